"""Memorised, spurious, generalised; the ring."""

import math

import pytest
import torch

from attractor.dynamics.diffusion import (
    EmpiricalDenoiser,
    Heun,
    Ring,
    classify_samples,
    conservativity,
    critical_noise,
    minima_census,
    nearest_distances,
    recovery,
    regimes,
    ring_points,
    stability_limit,
)
from attractor.errors import NotConvergedWarning


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def grid(size=21, reach=1.5):
    axis = torch.linspace(-reach, reach, size, dtype=torch.float64) + 0.01
    return torch.cartesian_prod(axis, axis)


def test_classes_follow_the_definition():
    data = torch.randn(40, 3, generator=seeded(), dtype=torch.float64)
    samples = torch.cat(
        [data[:5] + 0.01, torch.randn(30, 3, generator=seeded(1), dtype=torch.float64), torch.full((2, 3), 9.0).double()]
    )
    found = classify_samples(samples, data, memorised=0.3, spurious=0.4)
    to_data = torch.cdist(samples, data, compute_mode="donot_use_mm_for_euclid_dist").amin(-1)
    among = torch.cdist(samples, samples, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf).amin(-1)
    expected = [0 if to_data[i] <= 0.3 else 1 if among[i] <= 0.4 else 2 for i in range(len(samples))]
    assert found.labels.tolist() == expected and set(expected) == {0, 1, 2}
    torch.testing.assert_close(found.to_data, to_data)
    torch.testing.assert_close(found.to_samples, among)
    assert math.isclose(sum(found.fraction(name) for name in found.NAMES), 1.0)


def test_equal_samples_are_each_others_neighbours_and_a_lone_one_has_none():
    far = torch.full((3, 2), 50.0)
    found = classify_samples(far, torch.zeros(1, 2), memorised=1.0, spurious=1e-6)
    assert found.labels.tolist() == [1, 1, 1] and found.to_samples.tolist() == [0.0] * 3
    assert classify_samples(far[:1], torch.zeros(1, 2), memorised=1.0, spurious=1.0).labels.tolist() == [2]


def test_nearest_distance_leaves_out_the_item_itself():
    assert nearest_distances(torch.tensor([[0.0], [1.0], [4.0]])).tolist() == [1.0, 1.0, 3.0]


@pytest.mark.parametrize("thresholds", [{"memorised": 0.0, "spurious": 1.0}, {"memorised": 1.0, "spurious": -1.0}])
def test_thresholds_must_be_positive(thresholds):
    with pytest.raises(ValueError, match=r"memorised|spurious"):
        classify_samples(torch.zeros(2, 2), torch.zeros(1, 2), **thresholds)


def test_bad_samples_are_refused():
    for samples, data in (
        (torch.zeros(2, 3), torch.zeros(1, 2)),
        (torch.zeros(2, 2, dtype=torch.uint8), torch.zeros(1, 2, dtype=torch.uint8)),
        (torch.zeros(2, 2), torch.zeros(0, 2)),
    ):
        with pytest.raises(ValueError, match=r"shape|floating|empty"):
            classify_samples(samples, data, memorised=1.0, spurious=1.0)


@pytest.mark.parametrize("b", [0.5, 1.0, 2.0, 20.0, 500.0])
def test_ring_energy_is_that_of_many_points(b):
    ring = Ring(b)
    points = ring_points(20_000)
    x = torch.tensor([[0.0, 0.0], [0.3, 0.4], [1.0, 0.0], [-1.2, 0.9]], dtype=torch.float64)
    mean = (-b * (x[:, None] - points).square().sum(-1)).logsumexp(-1) - math.log(len(points))
    torch.testing.assert_close(ring.energy(x), -mean / b, rtol=1e-9, atol=1e-9)
    # twice the energy of the exact denoiser, up to the normalising constant
    exact = EmpiricalDenoiser(points).energy(x, ring.sigma)
    torch.testing.assert_close(ring.energy(x).diff(), 2 * exact.diff(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("b", [0.5, 2.0, 20.0, 1e6])
def test_ring_force_is_minus_the_slope_of_its_energy(b):
    radius = torch.tensor([0.1, 0.7, 1.3], dtype=torch.float64, requires_grad=True)
    energy = Ring(b).energy(torch.stack([radius, torch.zeros_like(radius)], -1))
    (slope,) = torch.autograd.grad(energy.sum(), radius)
    torch.testing.assert_close(Ring(b).force(radius.detach()), -slope, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("b", "radius"), [(0.5, 0.0), (1.0, 0.0), (1.01, 0.1403), (1.1, 0.4134), (2.0, 0.8315), (20.0, 0.9873)])
def test_radius_of_the_minimum_solves_the_bessel_equation(b, radius):
    found = Ring(b).radius()
    assert found == pytest.approx(radius, abs=5e-5)
    assert abs(Ring(b).force(torch.tensor(found, dtype=torch.float64)).item()) < 1e-9
    if b > 1.05:  # nearer to 1 the descent slows down
        points = EmpiricalDenoiser(ring_points(200))
        minimum = minima_census(points, ring_points(1), points.patterns, Ring(b).sigma, apart=1e-3).minima[0]
        assert minimum.norm().item() == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize("generator", [None, 0])
def test_symmetry_breaks_at_b_equal_to_one(generator):
    points = ring_points(5000, generator=None if generator is None else seeded(generator))
    model = EmpiricalDenoiser(points)
    sigma = stability_limit(model, points.mean(0), low=0.5, high=1.0)
    assert 1 / (2 * sigma**2) == pytest.approx(1.0, abs=0.03)


def test_stability_must_change_between_the_levels():
    with pytest.raises(ValueError, match=r"low=0\.8"):
        stability_limit(EmpiricalDenoiser(ring_points(50)), torch.zeros(2).double(), low=0.8, high=1.0)


def test_few_points_are_isolated_minima_and_close_ones_merge():
    sigma = Ring(20.0).sigma
    two = EmpiricalDenoiser(ring_points(2))
    census = minima_census(two, grid(), two.patterns, sigma, apart=0.01)
    assert len(census.minima) == 2 and census.away(0.05) == 0 and census.reached.sum() == 441
    angles = torch.tensor([0.0, 0.2, 2.0, 4.0], dtype=torch.float64)
    close = EmpiricalDenoiser(torch.stack([angles.cos(), angles.sin()], -1))
    merged = minima_census(close, grid(), close.patterns, sigma, apart=0.01)
    assert len(merged.minima) == 3 and merged.away(0.05) == 1
    sharp = minima_census(close, close.patterns + 0.02, close.patterns, Ring(400.0).sigma, apart=0.01)
    assert len(sharp.minima) == 4 and sharp.away(0.05) == 0


def test_recovery_falls_with_noise_and_its_critical_level_is_found():
    model = EmpiricalDenoiser(ring_points(2))
    shares = [recovery(model, model.patterns, sigma, delta=0.1, copies=500, generator=seeded()) for sigma in (0.2, 0.4, 0.8)]
    assert shares[0] == 1.0 and shares[1] == pytest.approx(0.995, abs=0.01) and shares[2] == pytest.approx(0.89, abs=0.04)
    assert critical_noise(model, model.patterns, [0.1, 0.2, 0.4, 3.0], delta=0.1) == 0.4
    assert critical_noise(model, model.patterns, [5.0], delta=0.1) is None
    with pytest.raises(ValueError, match="rise"):
        critical_noise(model, model.patterns, [0.4, 0.2], delta=0.1)


def test_nothing_but_finite_samples_are_classified():
    data, bad = torch.randn(20, 4, generator=seeded()), torch.full((2, 4), math.nan)
    for samples, items in ((bad, data), (data, torch.cat([data, bad]))):
        with pytest.raises(ValueError, match="finite"):
            classify_samples(samples, items, memorised=0.1, spurious=0.1)
    with pytest.raises(ValueError, match="finite"):
        nearest_distances(bad)


def test_conservativity_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="finite"):
        conservativity(EmpiricalDenoiser(torch.eye(3)), torch.full((1, 3), math.nan), 1.0)

    class Cusp:
        event = (1,)

        def score(self, x, sigma):
            return x.abs().sqrt()

    with pytest.raises(ValueError, match="Jacobian"):
        conservativity(Cusp(), torch.zeros(1, 1), 1.0)


def test_nearest_rows_do_not_depend_on_the_block(monkeypatch):
    data = torch.randn(50, 3, generator=seeded())
    whole = regimes.nearest(data, data, apart=True)
    monkeypatch.setattr(regimes, "DISTANCES_PER_BLOCK", 120)
    for one, other in zip(regimes.nearest(data, data, apart=True), whole, strict=True):
        assert torch.equal(one, other)


def test_a_saddle_is_no_minimum():
    two = EmpiricalDenoiser(ring_points(2))
    starts = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.9, 0.0]], dtype=torch.float64)
    census = minima_census(two, starts, two.patterns, 0.3, apart=0.01)
    assert census.reached.tolist() == [1] and census.elsewhere == 2 and census.away(0.05) == 0
    torch.testing.assert_close(census.minima, torch.tensor([[1.0, 0.0]], dtype=torch.float64), rtol=0, atol=1e-3)
    nothing = minima_census(two, starts[:2], two.patterns, 0.3, apart=0.01)
    assert nothing.minima.shape == (0, 2) and nothing.reached.tolist() == [] and nothing.away(0.0) == 0


def test_descents_that_have_not_come_to_rest_are_no_minima():
    two = EmpiricalDenoiser(ring_points(2))
    starts = torch.tensor([[0.001, 0.0], [0.002, 1.0]], dtype=torch.float64)
    with pytest.warns(NotConvergedWarning, match="2 of 2"):
        census = minima_census(two, starts, two.patterns, 0.9, apart=0.01, max_steps=2)
    assert len(census.minima) == 0 and census.elsewhere == 2


def test_a_census_takes_a_single_start():
    two = EmpiricalDenoiser(ring_points(2))
    found = minima_census(two, torch.tensor([0.5, 0.5], dtype=torch.float64), two.patterns, 0.3, apart=0.01)
    assert found.minima.shape == (1, 2) and found.reached.tolist() == [1]


@pytest.mark.parametrize("tol", [0.0, -1.0])
def test_a_stability_limit_needs_a_positive_tolerance(tol):
    with pytest.raises(ValueError, match="tol"):
        stability_limit(EmpiricalDenoiser(ring_points(10)), torch.zeros(2).double(), low=0.5, high=1.0, tol=tol)


def test_a_stability_limit_ends_at_the_precision_of_numbers():
    found = stability_limit(EmpiricalDenoiser(ring_points(10)), torch.zeros(2).double(), low=0.5, high=1.0, tol=1e-17)
    assert found == pytest.approx(0.5**0.5, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 5.0, math.nan])
def test_the_share_that_comes_back_lies_within_one(share):
    with pytest.raises(ValueError, match="share"):
        critical_noise(EmpiricalDenoiser(ring_points(2)), ring_points(2), [0.1], delta=0.1, share=share, copies=2)


def test_without_the_ode_nothing_comes_back(monkeypatch):
    monkeypatch.setattr(Heun, "step", lambda self, flow, x, t, after, *, last, generator: x)
    model = EmpiricalDenoiser(ring_points(2))
    assert recovery(model, model.patterns, 0.4, delta=0.01, generator=seeded()) < 0.05


@pytest.mark.parametrize("shape", [(3, 5), (2, 1)])
def test_the_ring_is_of_points_in_the_plane(shape):
    with pytest.raises(ValueError, match="shape"):
        Ring(2.0).energy(torch.ones(shape))
