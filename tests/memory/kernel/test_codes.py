import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from attractor.memory.kernel import (
    code_report,
    code_size_bounds,
    kissing_bounds,
    needed_separation,
    optimal_separation,
    separation_lower_bound,
    separation_upper_bound,
    suggested_beta,
)
from attractor.memory.kernel.codes import ANGLES, KISSING, cap_share

PHI = (1 + 5**0.5) / 2
ICOSAHEDRON = torch.tensor(
    [[0, a, b * PHI] for a in (1, -1) for b in (1, -1)] + [[a, b * PHI, 0] for a in (1, -1) for b in (1, -1)]
    + [[b * PHI, 0, a] for a in (1, -1) for b in (1, -1)],
    dtype=torch.float64,
)  # fmt: skip
SIMPLEX = torch.eye(5).double() - 0.2


@pytest.mark.parametrize(
    ("code", "separation"),
    [(SIMPLEX, 1.25), (torch.cat([torch.eye(3), -torch.eye(3)]), 1.0), (ICOSAHEDRON, 1 - 1 / 5**0.5), (torch.eye(4), 1.0)],
)
def test_report_knows_the_regular_codes(code, separation):
    report = code_report(code.double())
    assert report.separation == pytest.approx(separation, abs=1e-12)
    assert report.angle == pytest.approx(math.degrees(math.acos(1 - separation)))
    points = normalize(code.double(), dim=-1)
    assert report.radius == pytest.approx(float(torch.pdist(points).min()) / 2)


def test_regular_codes_are_the_optima():
    assert optimal_separation(5, 4) == pytest.approx(1.25) and optimal_separation(6, 3) == 1.0
    assert optimal_separation(12, 3) == pytest.approx(1 - 1 / 5**0.5, abs=1e-6)
    assert optimal_separation(7, 2) == pytest.approx(1 - math.cos(2 * math.pi / 7))
    assert optimal_separation(2, 1) == 2.0 and optimal_separation(3, 1) == 0.0
    assert optimal_separation(11, 3) is None and optimal_separation(30, 5) is None


@pytest.mark.parametrize("dim", range(1, 9))
def test_bounds_enclose_every_known_optimum(dim):
    for count in range(2, 40):
        low, high = separation_lower_bound(count, dim), separation_upper_bound(count, dim)
        best = optimal_separation(count, dim)
        assert low <= high + 1e-12
        if best is not None:
            assert low - 1e-12 <= best <= high + 1e-9, (count, dim)


def test_bounds_are_the_formulas_of_caps():
    count, dim = 100, 3
    upper = 2 * (2 * math.sqrt(math.pi) / count * math.gamma(2) / math.gamma(1.5)) ** (2 / 2)
    lower = 0.5 * (math.sqrt(math.pi) / count * math.gamma(2) / math.gamma(2.5)) ** (2 / 2)
    assert separation_upper_bound(count, dim) == pytest.approx(upper)
    assert separation_lower_bound(count, dim) == pytest.approx(lower)


@settings(max_examples=30)
@given(count=st.integers(2, 30), dim=st.integers(2, 6), seed=st.integers(0, 2**31))
def test_no_random_code_beats_the_upper_bound(count, dim, seed):
    features = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    report = code_report(features)
    assert report.separation <= report.bounds[1] + 1e-12
    if report.optimum is not None:
        assert report.separation <= report.optimum + 1e-5
    low, high = code_size_bounds(max(report.separation, 1e-3), dim)
    assert count <= high * (1 + 1e-6) and low <= high


def test_caps_have_the_areas_of_a_circle_and_a_sphere():
    assert cap_share(math.pi / 3, 2) == pytest.approx(1 / 3)
    assert cap_share(1.0, 3) == pytest.approx((1 - math.cos(1.0)) / 2, rel=1e-6)
    assert cap_share(math.pi, 7) == pytest.approx(1.0, rel=1e-6)


def test_kissing_numbers_lie_between_the_bounds_of_caps():
    for dim, (low, high) in KISSING.items():
        assert kissing_bounds(dim) == (low, high)
        if dim > 1:
            least, most = code_size_bounds(0.5, dim)
            assert least <= low <= high <= most
    assert kissing_bounds(12)[0] < 840 < kissing_bounds(12)[1]
    assert ANGLES[12] >= 60 > ANGLES[16]


def test_code_size_grows_exponentially_with_the_dimension():
    sizes = [code_size_bounds(0.25, dim)[0] for dim in (10, 20, 30)]
    assert sizes[2] / sizes[1] == pytest.approx(sizes[1] / sizes[0], rel=0.3) and sizes[1] > 10 * sizes[0]


def test_report_names_the_confusable_pairs_across_blocks(generator, monkeypatch):
    monkeypatch.setattr("attractor.memory.kernel.report.ROWS_AT_ONCE", 3)
    features = torch.randn(10, 30, generator=generator)
    features[7] = 3 * features[2] + 0.01 * torch.randn(30, generator=generator)
    features[9] = 0.5 * features[4] + 0.1 * torch.randn(30, generator=generator)
    report = code_report(features, pairs=2)
    assert [pair[:2] for pair in report.confusable] == [(2, 7), (4, 9)]
    assert report.separation == pytest.approx(1 - report.confusable[0][2])
    assert len(code_report(features, pairs=500).confusable) == 45


@pytest.mark.parametrize("seed", range(20))
def test_needed_separation_keeps_the_ball(seed):
    generator = torch.Generator().manual_seed(seed)
    points = normalize(torch.randn(8, 20, generator=generator, dtype=torch.float64), dim=-1)
    separation = code_report(points).separation
    radius = separation / 2 * float(torch.rand(1, generator=generator)) * 0.9 + 1e-3
    beta = math.log(2 * 7 / radius) / (separation - 2 * radius)
    assert needed_separation(beta, 8, radius) == pytest.approx(separation)
    away = normalize(torch.randn(8, 200, 20, generator=generator, dtype=torch.float64), dim=-1)
    states = points[:, None] + radius * away
    moved = (beta * states @ points.T).softmax(-1) @ points
    assert float((moved - points[:, None]).norm(dim=-1).max()) <= radius


def test_suggested_temperature_meets_the_condition_at_some_radius(generator):
    report = code_report(torch.randn(9, 12, generator=generator))
    assert report.beta == suggested_beta(report.separation, 9)
    radii = [report.separation / 2 * step / 64 for step in range(1, 64)]
    assert min(needed_separation(report.beta * 1.0001, 9, radius) for radius in radii) <= report.separation
    assert min(needed_separation(report.beta * 0.99, 9, radius) for radius in radii) > report.separation


def test_duplicates_have_no_temperature():
    report = code_report(torch.ones(2, 3))
    assert report.separation == 0 and report.beta is None and "beta none" in repr(report)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: code_report(torch.eye(3)[:1]), "at least 2 rows"),
        (lambda: code_report(torch.tensor([[1.0, 0.0], [0.0, 0.0]])), r"zero: \[1\]"),
        (lambda: code_report(torch.eye(3), pairs=0), "pairs"),
        (lambda: optimal_separation(1, 3), "count"),
        (lambda: separation_upper_bound(3, 0), "dim"),
        (lambda: separation_lower_bound(1, 3), "count"),
        (lambda: code_size_bounds(0.0, 3), "separation"),
        (lambda: code_size_bounds(0.5, 1), "dim"),
        (lambda: needed_separation(0.0, 3, 0.1), "beta"),
        (lambda: needed_separation(1.0, 3, 0.0), "radius"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, named):
    with pytest.raises(ValueError, match=named):
        call()
