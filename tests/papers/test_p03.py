"""The measurements of row 03, on small sizes: that rows answer their claims, and what is stable in them."""

from functools import cache

import pytest
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError
from attractor.papers import paper_module
from attractor.papers.p03_sparse_recovery import learned, recovery
from attractor.papers.p03_sparse_recovery.claims import (
    ABOVE,
    ADVERSARY,
    BELOW,
    DIGITS,
    ENOUGH,
    EXACT,
    EXPANDER,
    LEAK,
    NEIGHBOUR,
    ONLINE,
    PAPER,
    PROJECTED,
    UNSEEN,
)
from attractor.papers.p03_sparse_recovery.reproduction import parts
from attractor.papers.p03_sparse_recovery.sizes import SIZES

SMALL = SIZES["smoke"]


@cache
def measured():
    return [part.measure(0, quiet) for part in parts(SMALL)]


@pytest.fixture(scope="module")
def rows():
    return {row.claim: row for part in measured() for row in part.rows}


def test_it_is_a_paper_of_the_collection():
    assert paper_module("03").PAPER is PAPER
    assert len({claim.text for claim in PAPER.claims}) == len(PAPER.claims)


def test_every_claim_has_its_row_and_what_is_stable_agrees(rows):
    assert list(rows) == list(PAPER.claims)
    stable = (
        *BELOW.values(),
        *ABOVE.values(),
        ADVERSARY,
        EXACT,
        PROJECTED,
        NEIGHBOUR,
        LEAK,
        ONLINE,
        EXPANDER,
        DIGITS,
        UNSEEN,
        ENOUGH,
    )
    measured_here = [rows[claim] for claim in stable if rows[claim].measured is not None and claim not in (EXACT, EXPANDER)]
    assert [(row.claim.text, row.measured) for row in measured_here if not row.ok] == []
    assert rows[EXACT].measured > 0.9 and rows[EXACT].baseline == 0


def test_figures_of_errors_constraints_and_images():
    names = [figure.name for part in measured() for figure in part.figures]
    assert names[:4] == ["transition", "adversary", "patterns", "expander"]


def test_too_few_stored_patterns_recall_themselves_and_no_others():
    patterns = next(figure for part in measured() for figure in part.figures if figure.name == "patterns")
    stored, fresh = patterns.series
    assert fresh.y[0] == 0 and fresh.y[-1] > 0.9 and min(stored.y) > 0.9


def test_half_is_where_the_curve_crosses():
    middle, (low, high) = recovery.half((10, 20, 30), (40, 30, 0), 40, 0)
    assert middle == pytest.approx(20 + 10 / 3) and low < middle < high


def test_images_that_are_not_here_leave_a_row_that_says_so(monkeypatch):
    def missing(name):
        raise DataUnavailableError("no digits here")

    monkeypatch.setattr(learned, "load", missing)
    rows = learned.measure_digits(SMALL, 0, quiet).rows
    assert [(row.measured, row.note) for row in rows] == [(None, "no digits here")] * 2
