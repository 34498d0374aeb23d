"""The measurements of the law of the energy, at a small size, and that they can find a break of it."""

import math

import pytest
import torch
from papers.stand_ins import quiet

from attractor.nn.energy_transformer import EnergyLayerNorm, EnergyTransformer
from attractor.papers.p16_energy_transformer import law

pytestmark = pytest.mark.usefixtures("one_thread")

RISING = (9, 16, 23, 24)
"""Seeds of problems whose first whole step rises."""
TINY = law.LawSize(problems=2, steps=5)


def test_every_claim_gets_its_row_in_order_and_holds():
    found = law.measure_law(law.SMOKE, 0, quiet)
    assert [row.claim for row in found.rows] == list(law.CLAIMS)
    assert {row.claim.text: row.ok for row in found.rows if row.claim is not law.LARGE_STEPS} == {
        claim.text: True for claim in law.CLAIMS if claim is not law.LARGE_STEPS
    }
    assert [len(series.y) for series in found.figures[0].series] == [law.SMOKE.steps + 1] * 4


def test_problems_differ_by_seed_and_are_the_same_for_one():
    (block, x), (same, again), (other, _) = (law.problem(seed) for seed in (1, 1, 2))
    assert torch.equal(block.query, same.query) and torch.equal(x, again)
    assert not torch.equal(block.query, other.query)
    first, second = (law.measure_law(TINY, seed, quiet).figures for seed in (0, 1))
    assert first[0].series[0].y[0] != second[0].series[0].y[0]


def test_a_wrong_sign_of_the_force_is_found(monkeypatch):
    right = EnergyTransformer._force
    monkeypatch.setattr(EnergyTransformer, "_force", lambda block, g, allowed: -right(block, g, allowed))
    rows = {row.claim: row for row in law.measure_law(TINY, 0, quiet).rows}
    assert rows[law.STEPS_FALL[0.1]].measured == 1.0 and rows[law.STEPS_FALL[0.1]].ok is False
    assert rows[law.GRADIENT].ok is False


def test_a_wrong_norm_is_found(monkeypatch):
    right = EnergyLayerNorm.forward
    assert law.rate_error(0) < 1e-6
    monkeypatch.setattr(EnergyLayerNorm, "forward", lambda norm, x: right(norm, x) + 0.1 * x)
    assert law.rate_error(0) > 1e-2


def test_what_is_no_number_counts_as_a_break(monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(law, "energies_along", lambda *_: torch.tensor([1.0, torch.nan, 0.5]))
        assert math.isnan(law.worst_rise(0, 0.1, "both", False, 2))
    ways = len(law.CLAIMS) - 3
    worst = iter([[0.0, math.nan]] * ways + [[0.0, 1.0]] * 2)
    monkeypatch.setattr(law, "sweep", lambda measure, points: next(worst))
    assert [row.measured for row in law.measure_law(TINY, 0, quiet).rows[:ways]] == [0.5] * ways
    assert math.isnan(law.largest([0.0, math.nan, 1.0])) and math.isnan(law.largest([math.nan, 0.0]))


def test_backtracking_moves_where_the_whole_step_rises():
    for seed in RISING:
        whole, short = (law.energies_along(seed, law.LARGE, "attention", backtrack, 1) for backtrack in (False, True))
        assert whole[1] > whole[0] and short[1] < short[0]


def test_a_descent_that_lies_about_its_energy_is_found(monkeypatch):
    """It takes whole steps, and tells the lowest energy so far."""
    right = EnergyTransformer.descend

    def lies(block, x, **arguments):
        way = right(block, x, **{**arguments, "step_size": block.step_size})
        way.trace.energy.copy_(way.trace.energy.cummin(0).values)
        return way

    monkeypatch.setattr(EnergyTransformer, "descend", lies)
    assert max(law.worst_rise(seed, law.LARGE, "attention", True, 20) for seed in RISING) > law.ROUNDING
