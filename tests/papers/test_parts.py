"""A run in parts: one row a claim, told how far it is, with few threads."""

import pytest
import torch

from attractor.papers.claim import Claim, Paper, Row
from attractor.papers.parts import Measured, Part, run_parts


def toy_paper():
    claims = (Claim("one", 1, "a source"), Claim("two", 2, "a source"))
    return Paper("77", "a title", ("an author",), 2020, "a venue", "https://example.org", claims)


def measuring(claim):
    return lambda seed, tell: Measured([Row(claim, float(seed), None, 1, 0.0, "data")])


def test_run_gives_one_row_a_claim_and_tells_how_far_it_is():
    paper, told = toy_paper(), []
    parts = [Part(claim.text, share, measuring(claim)) for claim, share in zip(paper.claims, (1.0, 3.0), strict=True)]
    report = run_parts(paper, "smoke", 5, parts, lambda what, done: told.append((what, done)))
    assert [row.measured for row in report.rows] == [5.0, 5.0]
    assert told == [("one", 0.0), ("two", 0.25)]


def test_run_that_misses_a_claim_is_refused():
    paper = toy_paper()
    with pytest.raises(ValueError, match="77"):
        run_parts(paper, "smoke", 0, [Part("one", 1.0, measuring(paper.claims[0]))], None)


def test_threads_are_given_back():
    claim, seen, before = toy_paper().claims[0], [], torch.get_num_threads()

    def measure(seed, tell):
        seen.append(torch.get_num_threads())
        raise RuntimeError

    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError):
            run_parts(toy_paper(), "smoke", 0, [Part(claim.text, 1.0, measure)], None)
        assert seen == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
