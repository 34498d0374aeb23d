"""The measurements of row 12, on small sizes: that rows answer their claims and that the figures hold together."""

import pytest
import torch
from papers.stand_ins import quiet

from attractor.dynamics.diffusion import Classes, EmpiricalDenoiser, Heun
from attractor.papers import paper_module
from attractor.papers.p12_diffusion_as_associative_memory import equalities, recall, regimes
from attractor.papers.p12_diffusion_as_associative_memory.claims import FEWEST, MANY, PAPER, SYSTEMS
from attractor.papers.p12_diffusion_as_associative_memory.sizes import SIZES, Size

SMALL = Size((FEWEST, 8, MANY), steps=3, samples=20, energy_steps=2, copies=1)


def test_equalities_hold_on_digits_and_the_ring():
    rows = [*equalities.measure_digits(0, quiet).rows, *equalities.measure_ring(0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[:8])
    assert [row.claim.text for row in rows if not row.ok] == []
    assert "median distance 0.0" in rows[3].note
    assert all(row.measured > 0 or row.claim is equalities.DESCENT for row in rows)


def test_a_wrong_update_is_seen(monkeypatch):
    true = EmpiricalDenoiser.denoise
    monkeypatch.setattr(EmpiricalDenoiser, "denoise", lambda self, x, sigma: true(self, x, 1.01 * sigma))
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert equalities.update_difference(EmpiricalDenoiser(x), x, 1.0) > 1e-3


def test_rows_of_the_learned_models_answer_their_claims_with_figures():
    shares, energies, recalled = (
        measure(SMALL, 0, quiet) for measure in (regimes.measure_regimes, regimes.measure_conservativity, recall.measure_recall)
    )
    rows = [*shares.rows, *energies.rows, *recalled.rows]
    assert [row.claim for row in rows] == list(PAPER.claims[8:])
    assert {figure.name for figure in (*shares.figures, *recalled.figures)} == {"regimes", "digits", "energies"}
    by_claim = {row.claim: row for row in recalled.rows}
    for scores in (recall.EXACT, recall.IDENTIFIED, recall.DISTANCE):
        assert all(by_claim[scores[name]].ok for name in SYSTEMS[:2])
        assert all(by_claim[scores[name]].baseline is not None for name in SYSTEMS)
    # three steps of training recall nothing
    assert by_claim[recall.EXACT["learned denoiser"]].measured == 0
    assert energies.rows[0].ok


@pytest.fixture
def no_ode(monkeypatch):
    """A sampler that leaves the states where they are."""
    monkeypatch.setattr(Heun, "step", lambda self, flow, x, t, after, *, last, generator: x)


def test_without_the_ode_nothing_is_memorised(no_ode):
    rows = {row.claim: row for row in equalities.measure_digits(0, quiet).rows}
    assert rows[equalities.MEMORISES].measured == 0


def test_without_the_ode_no_denoiser_recalls(no_ode):
    rows = {row.claim: row for row in recall.measure_recall(SMALL, 0, quiet).rows}
    for name in SYSTEMS[1:]:
        assert rows[recall.EXACT[name]].measured == 0
        assert rows[recall.DISTANCE[name]].measured == 1 and rows[recall.DISTANCE[name]].ok is False
    assert rows[recall.EXACT["exact denoiser"]].ok is False and rows[recall.DISTANCE["dense memory"]].ok


def verdicts(monkeypatch, shares):
    """Which claims on regimes hold for these shares of memorised and spurious samples at the three sizes, of 100 samples each."""
    given = iter(shares)

    def classified(samples, data, *, memorised, spurious):
        labels, far = torch.full((100,), 2), torch.ones(100)
        if len(data) <= MANY:
            copies, twins = next(given)
            labels[:copies], labels[copies : copies + twins] = 0, 1
        return Classes(labels, far, far, torch.zeros(100, dtype=torch.int64))

    monkeypatch.setattr(regimes, "classify_samples", classified)
    monkeypatch.setattr(regimes, "drawn", lambda data, size, seed: torch.zeros(100, 64))
    return [row.ok for row in regimes.measure_regimes(SMALL, 0, quiet).rows]


@pytest.mark.parametrize(
    ("shares", "few", "peak", "between", "gone", "falls"),
    [
        (((95, 0), (30, 60), (0, 0)), True, True, True, True, True),
        (((80, 0), (30, 60), (0, 0)), False, True, True, True, True),
        (((95, 0), (30, 20), (0, 0)), True, False, True, True, True),
        (((5, 90), (3, 35), (1, 0)), False, True, False, True, True),
        (((95, 0), (30, 35), (0, 60)), True, True, False, True, True),
        (((95, 0), (30, 60), (20, 0)), True, True, True, False, True),
        (((95, 0), (0, 60), (20, 0)), True, True, True, False, False),
        (((95, 0), (0, 60), (1, 0)), True, True, True, True, True),  # one sample more is chance
    ],
)
def test_claims_on_regimes_can_fail(monkeypatch, shares, few, peak, between, gone, falls):
    assert verdicts(monkeypatch, shares) == [few, peak, between, gone, falls]


def test_memorised_samples_beyond_many_digits_count(monkeypatch):
    monkeypatch.setattr(regimes, "MANY", 8)
    assert verdicts(monkeypatch, ((95, 0), (30, 60), (0, 0)))[3] is False


def test_models_are_judged_on_the_same_noise():
    data = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    models = [regimes.learned(data, steps=steps, seed=0) for steps in (1, 60)]
    losses = [regimes.loss_on_fixed_noise(model, data, 0) for model in models]
    assert losses == [regimes.loss_on_fixed_noise(model, data, 0) for model in models] and losses[1] < losses[0]


def test_every_scale_has_the_sizes_that_claims_name():
    for size in SIZES.values():
        assert size.counts[0] == FEWEST and MANY in size.counts and len(size.counts) >= 3
        assert list(size.counts) == sorted(set(size.counts)) and size.counts[-1] <= 1024


@pytest.mark.parametrize(("scale", "seed"), [("huge", 0), ("smoke", -1)])
def test_bad_arguments_of_the_run_are_refused(scale, seed):
    with pytest.raises(ValueError, match=r"scale|seed"):
        paper_module("12").run(scale, seed)
