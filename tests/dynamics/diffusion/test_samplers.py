"""From noise to data, and the density along the way."""

import math
import sys

import pytest
import torch

from attractor.dynamics.diffusion import (
    DDIM,
    Adaptive,
    Cosine,
    EmpiricalDenoiser,
    Euler,
    EulerMaruyama,
    Heun,
    Karras,
    VarianceExploding,
    VariancePreserving,
    ode_log_prob,
    ring_points,
    sample,
)

SINGLE = EmpiricalDenoiser(torch.tensor([[0.5, -1.0]], dtype=torch.float64))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exact_path(x, schedule, start, end):
    """With one data point the ODE is solved by keeping `(x - alpha xi) / sigma`."""
    point = SINGLE.patterns
    noise = (x - schedule.alpha(start) * point) / schedule.sigma(start)
    return schedule.alpha(end) * point + schedule.sigma(end) * noise


@pytest.mark.parametrize(
    "schedule", [Karras(), VarianceExploding(), VariancePreserving(), Cosine()], ids=lambda s: type(s).__name__
)
@pytest.mark.parametrize(("sampler", "order"), [(Euler(), 1), (Heun(), 2)], ids=["Euler", "Heun"])
def test_error_of_a_step_falls_with_the_order_of_the_method(schedule, sampler, order):
    start, end = (schedule.time_of(schedule.sigma_of_ratio(torch.tensor(r).double())).item() for r in (2.0, 0.5))
    x = normal(3, 2)
    errors = []
    for steps in (20, 40):
        times = torch.linspace(start, end, steps + 1, dtype=torch.float64)
        found = sample(SINGLE, x, schedule=schedule, sampler=sampler, times=times, denoise_last=False).x
        errors.append((found - exact_path(x, schedule, start, end)).abs().max().item())
    if errors[0] > 1e-10:  # Euler in sigma is exact where sigma = t
        assert 0.7 * 2**order < errors[0] / errors[1] < 1.5 * 2**order


def test_ddim_is_exact_for_one_point_in_a_single_step():
    schedule = VariancePreserving()
    x = normal(3, 2)
    found = sample(SINGLE, x, schedule=schedule, sampler=DDIM(), times=torch.tensor([1.0, 0.3]), denoise_last=False).x
    torch.testing.assert_close(found, exact_path(x, schedule, 1.0, 0.3))


def test_the_ode_of_the_exact_denoiser_brings_every_sample_to_a_training_item():
    patterns = normal(500, 64).sign() * 0.9
    model = EmpiricalDenoiser(patterns)
    schedule = Karras(sigma_max=20.0)
    starts = 20 * normal(300, 64, seed=1)
    ends = sample(model, starts, schedule=schedule, steps=18, denoise_last=False).x
    nearest, index = torch.cdist(ends, patterns).min(-1)
    assert (nearest <= 0.1).double().mean() >= 0.99
    assert len(index.unique()) > 100
    few = sample(model, starts, schedule=schedule, steps=1, denoise_last=False).x
    assert (torch.cdist(few, patterns).amin(-1) <= 0.1).double().mean() < 0.5


def test_preserving_and_exploding_noise_give_the_same_end_for_matched_noise():
    model = EmpiricalDenoiser(normal(40, 8))
    preserving = VariancePreserving()
    times = preserving.times(200)
    ratios = preserving.ratio(times)
    exploding = Karras(sigma_min=ratios[-1].item() * (1 - 1e-12), sigma_max=ratios[0].item() * (1 + 1e-12))
    noise = ratios[0] * normal(50, 8, seed=1)
    scaled = preserving.alpha(times[0]) * noise
    ends = {}
    for schedule, x, clock in ((exploding, noise, ratios), (preserving, scaled, times)):
        for sampler in (Heun(), DDIM()):
            end = sample(model, x, schedule=schedule, sampler=sampler, times=clock, denoise_last=False).x
            ends[type(schedule).__name__, type(sampler).__name__] = end / schedule.alpha(clock[-1])
    first = ends["Karras", "Heun"]
    torch.testing.assert_close(ends["VariancePreserving", "Heun"], first, rtol=0, atol=1e-3)
    torch.testing.assert_close(ends["VariancePreserving", "DDIM"], ends["Karras", "DDIM"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("schedule", [Karras(sigma_max=5.0), VariancePreserving()], ids=["Karras", "VariancePreserving"])
def test_reverse_diffusion_ends_in_the_distribution_of_the_data(schedule):
    model = EmpiricalDenoiser(torch.tensor([[-1.0], [1.0], [1.0], [1.0]]))
    start = schedule.sigma(schedule.t_max).item() * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    times = schedule.times(60)
    options = {"schedule": schedule, "sampler": EulerMaruyama(), "times": times, "trace": True}
    found = sample(model, start, generator=torch.Generator().manual_seed(1), **options)
    assert (found.x.abs() - 1).abs().max() < 1e-2
    assert (found.x > 0).double().mean().item() == pytest.approx(0.75, abs=0.04)
    middle = 30
    alpha, sigma = schedule.alpha(times[middle]).item(), schedule.sigma(times[middle]).item()
    assert found.states[middle].var().item() == pytest.approx(alpha**2 * 0.75 + sigma**2, rel=0.15)
    again = sample(model, start, generator=torch.Generator().manual_seed(1), **options)
    assert torch.equal(again.x, found.x)


def test_adaptive_follows_the_exact_path():
    pytest.importorskip("torchdiffeq")
    schedule = Karras()
    x = 10 * normal(4, 2)
    found = sample(
        SINGLE, x, schedule=schedule, sampler=Adaptive(), times=torch.tensor([10.0, 0.5]), denoise_last=False, trace=True
    )
    torch.testing.assert_close(found.x, exact_path(x, schedule, 10.0, 0.5), rtol=1e-4, atol=1e-4)
    assert found.states.shape == (2, 4, 2)


def test_adaptive_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    with pytest.raises(ImportError, match=r"attractor\[ode\]"):
        sample(SINGLE, normal(1, 2), sampler=Adaptive())


def test_likelihood_along_the_ode_is_the_exact_density():
    pytest.importorskip("torchdiffeq")
    model = EmpiricalDenoiser(ring_points(9))
    x = model.patterns.repeat(5, 1) + 0.1 * normal(45, 2)
    found = ode_log_prob(model, x, sigma=0.1, sigma_max=50.0, end=lambda y: model.log_prob(y, 50.0))
    assert (found - model.log_prob(x, 0.1)).abs().median() < 0.01


def test_likelihood_in_fixed_steps_converges_and_takes_a_gaussian_end():
    model = EmpiricalDenoiser(ring_points(9))
    x = model.patterns + 0.1 * normal(9, 2)
    errors = [
        (ode_log_prob(model, x, sigma=0.1, sigma_max=50.0, steps=steps) - model.log_prob(x, 0.1)).abs().median().item()
        for steps in (25, 200)
    ]
    assert errors[1] < 0.01 and errors[1] < errors[0]


def test_last_time_ends_in_clean_data_unless_told_otherwise():
    model = EmpiricalDenoiser(normal(3, 2))
    found = sample(model, 80 * normal(2, 2), trace=True)
    torch.testing.assert_close(found.x, model.denoise(found.states[-1], 0.002))
    left = sample(model, 80 * normal(2, 2), denoise_last=False, trace=True)
    assert torch.equal(left.x, left.states[-1]) and len(left.times) == 19


@pytest.mark.parametrize(
    ("x", "options", "error"),
    [
        (torch.zeros(1, 3).double(), {}, "shape"),
        (torch.zeros(1, 2, dtype=torch.uint8), {}, "floating point"),
        (torch.zeros(1, 2).double(), {"times": torch.tensor([1.0, 2.0])}, "fall"),
        (torch.zeros(1, 2).double(), {"times": torch.tensor([90.0, 2.0])}, "80"),
        (torch.zeros(1, 2).double(), {"steps": 0}, "steps"),
    ],
)
def test_bad_requests_of_samples_are_refused(x, options, error):
    with pytest.raises(ValueError, match=error):
        sample(SINGLE, x, **options)


@pytest.mark.parametrize(("sigma", "most"), [(0.0, 1.0), (1.0, 0.5), (1.0, math.inf)])
def test_noise_levels_of_a_likelihood_must_rise(sigma, most):
    with pytest.raises(ValueError, match="sigma"):
        ode_log_prob(SINGLE, normal(1, 2), sigma=sigma, sigma_max=most, steps=5)


def test_the_last_step_of_the_reverse_diffusion_draws_no_noise():
    x, times = normal(4, 2), torch.tensor([2.0, 1.0, 0.7], dtype=torch.float64)

    def ends(clock, seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(SINGLE, x, sampler=EulerMaruyama(), times=clock, denoise_last=False, generator=generator).x

    assert torch.equal(ends(times[1:], 0), ends(times[1:], 1)) and not torch.equal(ends(times, 0), ends(times, 1))


def test_likelihood_by_random_probes_comes_near_the_exact_one():
    model = EmpiricalDenoiser(ring_points(9))
    x = model.patterns + 0.1 * normal(9, 2)
    options = {"sigma": 0.1, "sigma_max": 5.0, "steps": 8}
    exact = ode_log_prob(model, x, **options)
    probed = ode_log_prob(model, x, **options, probes=4, generator=torch.Generator().manual_seed(0))
    assert 0 < (probed - exact).abs().median() < 1
    again = ode_log_prob(model, x, **options, probes=4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(probed, again)


def test_one_likelihood_has_one_noise_level():
    # the run-time check of annotations refuses it first where it is on
    with pytest.raises(Exception, match="sigma"):
        ode_log_prob(SINGLE, normal(2, 2), sigma=torch.tensor([0.5, 1.0]), steps=5)
