import math

import pytest
import torch

from attractor import Binary, Continuous, DenseMemory, Exponential, Polynomial, RectifiedPolynomial, SoftMax
from attractor.memory.capacity import capacity_of, lambert_w, spherical_capacity


@pytest.mark.parametrize("value", [1e-9, 0.1, 1.0, math.e, 50.0, 1e10, 1e200])
def test_lambert_w_solves_its_equation(value):
    w = lambert_w(value)
    assert math.log(w) + w == pytest.approx(math.log(value), rel=1e-12, abs=1e-12)


def test_published_examples_of_the_spherical_theorem():
    """Ramsauer et al. 2021, after theorem 3."""
    first = spherical_capacity(20, 1.0, 3.0, 0.001)
    assert first.patterns == pytest.approx(0.001**0.5 * 3.1546 ** (19 / 4), rel=1e-4)
    second = spherical_capacity(75, 1.0, 1.0, 0.001)
    assert second.patterns == pytest.approx(0.001**0.5 * 1.3718 ** (74 / 4), rel=2e-3)


@pytest.mark.parametrize(("n", "factor"), [(3, 3), (4, 15), (5, 105)])
def test_powers_hold_the_published_number_of_patterns(n, factor):
    for separation in (Polynomial(n), RectifiedPolynomial(n)):
        estimate = capacity_of(separation, Binary(), 100)
        assert estimate.patterns == pytest.approx(100 ** (n - 1) / (2 * factor * math.log(100)))
        assert "Krotov" in estimate.source


def test_classical_network_holds_a_seventh_of_its_width():
    assert capacity_of(Polynomial(2), Binary(), 1000).patterns == pytest.approx(138)


def test_exponential_holds_exponentially_many():
    assert capacity_of(Exponential(1.0), Binary(), 40).patterns == pytest.approx(2.0**20)
    assert math.isfinite(capacity_of(Exponential(1.0), Binary(), 10**6).patterns)


def test_estimate_of_a_memory_takes_its_temperature_and_the_length_of_its_patterns():
    patterns = torch.nn.functional.normalize(torch.randn(30, 20, generator=torch.Generator().manual_seed(0)), dim=-1)
    memory = DenseMemory(20, separation=SoftMax(1.0))
    memory.store(patterns * 3 * 19**0.5)
    expected = capacity_of(SoftMax(1.0), Continuous(), 20, beta=1.0, length=3.0)
    assert memory.capacity_estimate().patterns == pytest.approx(expected.patterns, rel=1e-4)
    assert expected.patterns == pytest.approx(0.001**0.5 * 3.1546 ** (19 / 4), rel=1e-4)
    assert "theorem 3" in expected.source and "3.15" in expected.law
