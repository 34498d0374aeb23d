import math
from dataclasses import dataclass

import pytest
import torch

from attractor import DenseMemory, RectifiedPolynomial, SoftMax
from attractor.memory.diagnostics import BasinRadius, flip_fraction, relative_noise


def hadamard(power):
    rows = torch.ones(1, 1)
    for _ in range(power):
        rows = torch.cat([torch.cat([rows, rows], 1), torch.cat([rows, -rows], 1)])
    return rows


def test_basin_of_orthogonal_patterns_reaches_almost_to_half_the_bits():
    memory = DenseMemory(64, separation=RectifiedPolynomial(4), state="binary")
    memory.store(hadamard(6)[:8])
    basin = memory.basin_radius()
    assert basin.recovered[:4] == (1.0,) * 4 and 0.3 <= basin.radius <= 0.5
    assert all(later <= earlier + 0.15 for earlier, later in zip(basin.recovered, basin.recovered[1:], strict=False))
    assert basin == memory.basin_radius() or basin.recovered == memory.basin_radius().recovered


def test_basin_shrinks_as_the_memory_fills():
    generator = torch.Generator().manual_seed(0)
    radii = []
    for count in (4, 12, 30):
        memory = DenseMemory(60, separation=RectifiedPolynomial(3), state="binary")
        memory.store(torch.randn(count, 60, generator=generator).sign())
        radii.append(memory.basin_radius(strengths=[0.1, 0.2, 0.3, 0.4]).radius)
    assert radii == sorted(radii, reverse=True) and radii[0] >= 0.3


def test_continuous_basin_is_measured_in_units_of_the_deviation():
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-2, 1.0, 1e2):
        memory = DenseMemory(50)
        memory.store(scale * torch.randn(20, 50, generator=generator))
        basin = memory.basin_radius(strengths=[0.5, 1.0, 100.0])
        assert basin.recovered[:2] == (1.0, 1.0) and basin.radius == 1.0


@dataclass
class Hidden:
    cue: torch.Tensor
    known: torch.Tensor


def test_damage_of_the_user_may_bring_a_mask():
    memory = DenseMemory(20)
    memory.store(torch.randn(10, 20, generator=torch.Generator().manual_seed(0)))
    seen = []

    def hide(patterns, strength, generator):
        known = torch.ones_like(patterns, dtype=torch.bool)
        known[:, : int(strength * 20)] = False
        seen.append(strength)
        return Hidden(torch.where(known, patterns, math.nan), known)

    basin = memory.basin_radius(hide, strengths=[0.25, 0.5], samples=5)
    assert seen == [0.25, 0.5] and basin.recovered == (1.0, 1.0) and basin.radius == 0.5
    with pytest.raises(ValueError, match="samples"):
        memory.basin_radius(samples=0)


def test_radius_ends_at_the_first_strength_that_half_do_not_survive():
    assert BasinRadius((0.1, 0.2, 0.3), (1.0, 0.5, 0.4)).radius == 0.2
    assert BasinRadius((0.1, 0.2, 0.3), (0.4, 1.0, 1.0)).radius == 0.0
    assert BasinRadius((0.1, 0.2, 0.3), (1.0, 0.2, 1.0)).radius == 0.1


def test_default_damages_are_as_strong_as_they_say():
    patterns, generator = torch.ones(5, 40), torch.Generator().manual_seed(0)
    assert ((flip_fraction(patterns, 0.25, generator) == -1).sum(-1) == 10).all()
    noisy = relative_noise(3 * torch.randn(400, 50, generator=generator), 0.5, generator)
    assert noisy.std() == pytest.approx(3 * 1.25**0.5, rel=0.02)


def test_patterns_that_are_recalled_are_told_from_those_that_blend():
    patterns = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.06, 0.0], [8.0, 0.0], [0.0, 9.0]])
    memory = DenseMemory(2, separation=SoftMax(1.0))
    memory.store(patterns)
    found = memory.separation_of(patterns)
    assert torch.allclose(found.gap, torch.tensor([0.0018, 0.0008, 0.0008, 7.9**2 / 2, 40.5]), atol=1e-3)
    assert found.needed == pytest.approx(math.log(400))
    assert ((found.gap > found.needed) == torch.tensor([False, False, False, True, True])).all()
    assert found.retrievable.tolist() == [False, False, True, True, True]
    assert "3 of 5 retrievable" in repr(found)
    assert DenseMemory(bank=memory.bank, separation=SoftMax(1e5)).separation_of(patterns).retrievable.all()


def test_memory_without_a_temperature_needs_no_gap():
    memory = DenseMemory(8, separation=RectifiedPolynomial(3), state="binary")
    memory.store(hadamard(3))
    found = memory.separation_of(hadamard(3))
    assert found.needed is None and found.retrievable.all() and found.gap.tolist() == [8.0] * 8
