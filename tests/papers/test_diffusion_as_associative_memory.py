"""The measurements of row 12, on small sizes: that rows answer their claims and that the figures hold together."""

import pytest
import torch

from attractor.dynamics.diffusion import EmpiricalDenoiser
from attractor.papers import paper_module
from attractor.papers.p12_diffusion_as_associative_memory import equalities, recall, regimes
from attractor.papers.p12_diffusion_as_associative_memory.claims import FEWEST, MANY, PAPER
from attractor.papers.p12_diffusion_as_associative_memory.sizes import SIZES, Size

SMALL = Size((FEWEST, 8, MANY), steps=3, samples=20, energy_steps=2, copies=1)


def quiet(done):
    assert 0 <= done <= 1


def test_equalities_hold_on_digits_and_the_ring():
    rows = [*equalities.measure_digits(0, quiet).rows, *equalities.measure_ring(0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[:8])
    assert [row.claim.text for row in rows if not row.ok] == []
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
    by_name = {row.claim.text.partition("by the ")[2]: row for row in recalled.rows}
    assert by_name["dense memory"].ok and by_name["exact denoiser"].ok and by_name["dense memory"].baseline is not None
    assert energies.rows[0].ok


def test_every_scale_has_the_sizes_that_claims_name():
    for size in SIZES.values():
        assert size.counts[0] == FEWEST and MANY in size.counts and len(size.counts) >= 3
        assert list(size.counts) == sorted(set(size.counts)) and size.counts[-1] <= 1024


@pytest.mark.parametrize(("scale", "seed"), [("huge", 0), ("smoke", -1)])
def test_bad_arguments_of_the_run_are_refused(scale, seed):
    with pytest.raises(ValueError, match=r"scale|seed"):
        paper_module("12").run(scale, seed)
