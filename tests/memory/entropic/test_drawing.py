"""Draws at the edges of their laws, and by the law of the table of bits."""

import numpy as np
import pytest
import torch
from memory.entropic import loop_form

from attractor.memory import EntropicRegisters
from attractor.memory.entropic.drawing import Picker, draw, likelihoods

SPREADS = (1e-200, 1e-30, 0.3, 1e30, 1e200)


def test_a_uniform_number_of_zero_draws_no_row_of_next_to_no_odds():
    weights = torch.zeros(1, 1, 64, dtype=torch.int32)
    weights[0, 0, 0], weights[0, 0, 60] = 1, 1000
    assert int(draw(weights, None, torch.tensor([[60]]), 1.0, torch.zeros(1, 1))) == 60


@pytest.mark.parametrize("values", [1, 2, 3, 5, 8, 12])
def test_any_uniform_number_draws_the_row_that_its_share_of_the_odds_says(values):
    odds = torch.randint(1, 5, (7, values), generator=torch.Generator().manual_seed(values)).float()
    odds[:, values // 2] *= torch.arange(7) % 2
    shares = torch.arange(0, 64) / 64
    rows = Picker(odds, most_probable=False)(torch.arange(7)[:, None].expand(-1, 64), shares.expand(7, -1))
    for line, found in zip(odds.tolist(), rows.tolist(), strict=True):
        sums = np.cumsum(line)
        expected = [int((sums < (1 - share) * sums[-1]).sum()) if sums[-1] else -1 for share in shares.tolist()]
        assert found == expected


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("cues", [1, 50])
def test_widths_next_to_zero_and_to_infinity_are_the_limits_of_the_law(spread, cues):
    registers = EntropicRegisters(1, 2, 8, sigma=spread / 8, xi=2)
    registers.register(torch.tensor([[1, 2], [6, 7]]))
    found = registers.retrieve(torch.tensor([[1, 7]]).expand(cues, -1), generator=torch.Generator().manual_seed(1)).codes
    assert set(found[:, 0].tolist()) <= {1, 6} and set(found[:, 1].tolist()) <= {2, 7}
    if spread <= 0.3:
        assert found.unique(dim=0).tolist() == [[1, 7]]
    elif cues > 1:
        assert len(found.unique(dim=0)) == 4


def test_the_law_of_the_table_of_bits_is_a_triangle_over_the_run_around_the_cue():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(3, (40, 11), generator=generator)
    weights[0] = 0
    for cue in range(12):
        odds = likelihoods(weights, torch.full((40,), cue), None)
        assert float(odds[0].sum()) == 0
        for column, found in zip(weights[1:].numpy(), odds[1:].numpy(), strict=True):
            assert np.allclose(found / found.sum(), loop_form.triangle(column, cue), atol=1e-6)


@pytest.mark.parametrize("cues", [3, 4000])
def test_registers_without_a_width_draw_by_that_law(cues):
    registers = EntropicRegisters(1, 3, 8, sigma=None, xi=3, cap=1)
    registers.weights[0] = torch.tensor([[0, 1, 1, 1, 1, 0, 1, 0]] * 3)
    codes = torch.tensor([[2, 5, -1]]).expand(cues, -1)
    drawn = registers.retrieve(codes, generator=torch.Generator().manual_seed(2)).codes
    for column, cue in enumerate((2, 5, -1)):
        expected = loop_form.triangle(registers.weights[0, column], cue)
        counts = drawn[:, column].bincount(minlength=8).numpy()
        assert not counts[expected == 0].any()
        if cues > 3:
            assert np.allclose(counts / cues, expected, atol=0.03)
    best = registers.retrieve(codes, deterministic=True).codes
    assert best.unique(dim=0).tolist() == [[2, 1, 1]]
