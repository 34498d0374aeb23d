"""The measurements of the law of the energy, at a small size, and that they can find a break of it."""

import pytest
import torch

from attractor.nn.energy_transformer import EnergyLayerNorm, EnergyTransformer
from attractor.papers.p16_energy_transformer import law
from attractor.papers.parts import at_most

TINY = law.LawSize(problems=2, steps=5)


@pytest.fixture(autouse=True)
def one_thread():
    with at_most(1):
        yield


def quiet(done):
    assert 0 <= done <= 1


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
