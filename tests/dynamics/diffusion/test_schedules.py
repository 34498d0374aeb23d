"""Noise schedules and conversions of predictions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attractor.dynamics.diffusion import Cosine, Karras, VarianceExploding, VariancePreserving, converted, diffuse

SCHEDULES = [Karras(), VarianceExploding(), VarianceExploding(2.5), VariancePreserving(), Cosine()]
KINDS = ["clean", "noise", "velocity", "score"]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: type(one).__name__)
def test_rates_are_derivatives(schedule):
    for share in (0.1, 0.5, 0.9):
        t = torch.tensor(schedule.t_min + share * (schedule.t_max - schedule.t_min), dtype=torch.float64, requires_grad=True)
        for value, rate in ((schedule.alpha, schedule.alpha_rate), (schedule.sigma, schedule.sigma_rate)):
            result = value(t)
            slope = torch.autograd.grad(result, t, allow_unused=True)[0] if result.requires_grad else None
            torch.testing.assert_close(rate(t).detach(), torch.zeros_like(t) if slope is None else slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: type(one).__name__)
def test_time_of_inverts_sigma_and_ratio_inverts_too(schedule):
    times = schedule.t_min + torch.linspace(0, 1, 9, dtype=torch.float64) * (schedule.t_max - schedule.t_min)
    torch.testing.assert_close(schedule.time_of(schedule.sigma(times)), times, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(schedule.sigma_of_ratio(schedule.ratio(times)), schedule.sigma(times))


@pytest.mark.parametrize("schedule", [VariancePreserving(), Cosine()], ids=lambda one: type(one).__name__)
def test_variance_is_preserved(schedule):
    times = torch.linspace(schedule.t_min, schedule.t_max, 50, dtype=torch.float64)
    torch.testing.assert_close(schedule.alpha(times) ** 2 + schedule.sigma(times) ** 2, torch.ones_like(times))


def test_linear_schedule_is_the_product_of_the_thousand_steps():
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    found = VariancePreserving().alpha(torch.arange(1, 1001, dtype=torch.float64) / 1000) ** 2
    torch.testing.assert_close(found, kept, rtol=1e-6, atol=0)


def test_times_have_the_spacing_of_karras():
    steps, rho = 18, 7.0
    i = torch.arange(steps + 1, dtype=torch.float64)
    expected = (80 ** (1 / rho) + i / steps * (0.002 ** (1 / rho) - 80 ** (1 / rho))) ** rho
    torch.testing.assert_close(Karras().times(steps), expected)
    for schedule in SCHEDULES:
        times = schedule.times(7)
        assert times[0] == schedule.t_max and times[-1] == schedule.t_min and (times.diff() < 0).all()
        roots = schedule.ratio(times) ** (1 / rho)
        torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(7), rtol=1e-6, atol=1e-9)


def test_noise_is_added_as_the_schedule_says():
    schedule = VariancePreserving()
    clean = torch.full((20_000, 2), 3.0, dtype=torch.float64)
    noisy = diffuse(clean, 0.4, schedule, generator=torch.Generator().manual_seed(0))
    assert noisy.mean().item() == pytest.approx(3 * schedule.alpha(0.4).item(), abs=0.02)
    assert noisy.std().item() == pytest.approx(schedule.sigma(0.4).item(), abs=0.02)


@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.floats(0.01, 50), st.floats(0.05, 1), st.integers(0, 1000))
def test_predictions_convert_into_one_another(given_kind, wanted, sigma, alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    x = alpha * clean + sigma * noise
    truth = {"clean": clean, "noise": noise, "velocity": alpha * noise - sigma * clean, "score": -noise / sigma}
    found = converted(truth[given_kind], x, sigma, given=given_kind, wanted=wanted, alpha=alpha)
    torch.testing.assert_close(found, truth[wanted], rtol=1e-6, atol=1e-8)


def test_unknown_prediction_is_refused_with_the_known_ones():
    for names in ({"given": "v", "wanted": "clean"}, {"given": "clean", "wanted": "v"}):
        with pytest.raises(ValueError, match=r"velocity.*'v'"):
            converted(torch.zeros(1), torch.zeros(1), 1.0, **names)


@pytest.mark.parametrize("sigma", [0.0, -1.0, 1e3, math.nan])
def test_noise_beyond_the_schedule_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma"):
        Karras().time_of(sigma)


@pytest.mark.parametrize("t", [0.0, 100.0, math.nan])
def test_time_outside_of_the_schedule_is_refused(t):
    with pytest.raises(ValueError, match=r"t must lie within 0\.002 to 80"):
        diffuse(torch.zeros(1, 2), t, Karras())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("ask", ["alpha", "sigma", "alpha_rate", "sigma_rate", "ratio"])
def test_a_schedule_is_asked_within_its_times_only(schedule, ask):
    for t in (-1.0, schedule.t_min / 2, 1.01 * schedule.t_max, 60 * schedule.t_max, math.nan):
        for given_time in (t, torch.tensor([schedule.t_max, t])):
            with pytest.raises(ValueError, match="t must lie within"):
                getattr(schedule, ask)(given_time)
    assert getattr(schedule, ask)(torch.tensor([schedule.t_min, schedule.t_max], dtype=torch.float64)).isfinite().all()


def test_cosine_keeps_the_square_of_a_cosine_of_the_signal():
    t, offset = torch.linspace(0.01, 0.9, 20, dtype=torch.float64), 0.008
    kept = [torch.cos((one + offset) / (1 + offset) * math.pi / 2) ** 2 for one in (t, torch.zeros(1, dtype=torch.float64))]
    torch.testing.assert_close(Cosine().alpha(t) ** 2, kept[0] / kept[1])


def test_times_begin_where_they_are_told():
    times = Karras().times(5, start=3.0)
    assert times[0] == 3.0 and times[-1] == 0.002 and (times.diff() < 0).all()
    roots = times ** (1 / 7)
    torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(5))
    with pytest.raises(ValueError, match="start"):
        Karras().times(5, start=90.0)


@pytest.mark.parametrize("clean", [torch.zeros(2, 2, dtype=torch.uint8), torch.full((1, 2), math.nan), torch.zeros(0, 2)])
def test_useless_data_are_not_diffused(clean):
    with pytest.raises(ValueError, match="clean"):
        diffuse(clean, 1.0, Karras())


@pytest.mark.parametrize("kind", KINDS[1:])
def test_each_sample_is_converted_with_its_own_noise(kind):
    generator = torch.Generator().manual_seed(0)
    value, x = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    found = converted(value, x, sigma, given="clean", wanted=kind)
    alone = [converted(value[i], x[i], sigma[i].item(), given="clean", wanted=kind) for i in range(3)]
    torch.testing.assert_close(found, torch.stack(alone))


@pytest.mark.parametrize(
    ("value", "options", "error"),
    [
        (torch.zeros(3, 3), {"alpha": 0.0}, "alpha"),
        (torch.zeros(1), {}, "value"),
        (torch.zeros(3, 3), {"sigma": torch.ones(2)}, "sigma"),
        (torch.zeros(3, 3), {"sigma": torch.ones(3, 1)}, "sigma"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(value, options, error):
    with pytest.raises(ValueError, match=error):
        converted(value, torch.zeros(3, 3), **{"sigma": 1.0, "given": "noise", "wanted": "clean", **options})


@pytest.mark.parametrize("times", [[1.0, 1.0], [1.0, 2.0], [1.0], [100.0, 1.0], [1.0, 0.0]])
def test_times_that_do_not_fall_are_refused(times):
    with pytest.raises(ValueError, match="times"):
        Karras().check_times(torch.tensor(times))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Karras(1.0, 1.0),
        lambda: Karras(0.0, 1.0),
        lambda: VarianceExploding(-1.0),
        lambda: VariancePreserving(0.02, 1e-4),
        lambda: VariancePreserving(1e-4, 1.0),
        lambda: Cosine(t_max=1.0),
        lambda: Karras().times(0),
        lambda: Karras().times(3, rho=0.0),
    ],
)
def test_useless_schedules_are_refused(make):
    with pytest.raises((ValueError, TypeError)):
        make()
