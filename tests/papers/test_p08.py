"""The measurements of row 08, on small sizes: that rows answer their claims and that trends are those of the paper."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError, load
from attractor.papers import paper_module
from attractor.papers.p08_entropic_memory import designated, garments, memory_size, pairs, refusal
from attractor.papers.p08_entropic_memory.claims import CLASSES, DEPTH, DIGITS, FEW_FILLS, FILLS, PAPER
from attractor.papers.p08_entropic_memory.protocol import Outcome, prepare
from attractor.papers.p08_entropic_memory.sizes import SIZES

SMALL = replace(SIZES["smoke"], most=5000, cues=300)
NO_DATA = DataUnavailableError("the data set is not on this machine")


@pytest.fixture(scope="module")
def digits():
    try:
        load("mnist-5k")
    except DataUnavailableError as error:
        pytest.skip(str(error))
    return "mnist-5k"


@pytest.fixture(scope="module")
def sizes(digits):
    return memory_size.measure_sizes(SMALL, 0, quiet)


def test_it_is_a_paper_of_the_collection():
    assert paper_module("08").PAPER is PAPER
    assert len({claim.text for claim in PAPER.claims}) == len(PAPER.claims)


def test_trends_over_memory_size_and_filling_agree_with_the_paper(sizes):
    assert [row.claim for row in sizes.rows] == list(DIGITS)
    assert [(row.claim.text, row.measured) for row in sizes.rows if not row.ok] == []
    assert [chart.name for chart in sizes.figures] == ["memory-size-mnist-5k", "filling-mnist-5k"]


def test_filling_trades_acceptance_and_entropy(sizes):
    """More that is registered is accepted more often, and at a higher entropy."""
    assert set(FEW_FILLS) <= set(FILLS) and len(FILLS) == 8
    lines = {series.label: series.y for series in sizes.figures[1].series}
    assert set(lines) == {"precision", "recall", "accepted", "entropy / 10 bits"}
    for name in ("recall", "accepted"):
        assert all(low <= high + 0.02 for low, high in pairwise(lines[name])) and lines[name][-1] > lines[name][0] + 0.3
    assert all(low < high for low, high in pairwise(lines["entropy / 10 bits"]))


def test_level_rows_and_pictures(digits):
    measured = garments.measure_level(SMALL, 0, quiet, digits)
    assert [row.claim for row in measured.rows] == list(garments.LEVEL)
    recall, precision, seconds, cue, noisy, hidden, accepted = measured.rows
    assert 0.75 < recall.measured <= precision.measured and recall.baseline > 0.8
    assert noisy.measured < recall.measured and hidden.measured < precision.measured
    assert 0 <= accepted.measured <= 1 and abs(cue.measured) < 0.2 and seconds.measured > 0
    grid, chart = measured.figures
    assert len(grid.columns) == 6 and len(grid.rows) == garments.PICTURES
    whole, noisy, _ = (series.y for series in chart.series)
    assert whole[0] == pytest.approx(recall.measured) and noisy[0] > noisy[-1] + 0.1


def test_calibrated_thresholds_refuse_noise_and_keep_cues(digits):
    measured = refusal.measure_refusal(SMALL, 0, quiet, digits)
    noise, cues, _, _ = measured.rows
    assert [row.claim for row in measured.rows] == [claim for pair in refusal.STRANGERS.values() for claim in pair]
    # 5% of the other half, of 150
    assert noise.measured < 0.15 and cues.measured > 0.5


def test_designated_registers_answer_far_better_than_chance(digits, monkeypatch):
    monkeypatch.setattr(designated, "CLASSES", {digits: CLASSES[digits]})
    (row,) = designated.measure_registers(SMALL, 0, quiet).rows
    assert row.measured > 0.3 and row.n > 200 and row.baseline > row.measured


def test_wider_chains_leave_the_class_of_their_cue_sooner(digits):
    measured = garments.measure_chains(SMALL, 0, quiet, digits)
    assert [row.claim for row in measured.rows] == list(garments.CHAINS)
    assert [(row.claim.text, row.measured) for row in measured.rows if not row.ok] == []
    assert len(measured.figures) == 1 + len(measured.figures[0].series)
    assert len(measured.figures[1].columns) == DEPTH + 1


def test_tested_samples_beat_random_ones_which_beat_chance(digits):
    measured = pairs.measure_pairs(replace(SMALL, pair_cues=60), 0, quiet, digits)
    assert [row.claim for row in measured.rows] == list(pairs.CLAIMS)
    assert [(row.claim.text, row.measured) for row in measured.rows if not row.ok] == []


@pytest.mark.parametrize(
    ("module", "measure", "count"),
    [
        (memory_size, memory_size.measure_sizes, 7),
        (garments, garments.measure_level, 7),
        (refusal, refusal.measure_refusal, 4),
        (garments, garments.measure_chains, 3),
        (designated, designated.measure_registers, 2),
        (pairs, pairs.measure_pairs, 4),
    ],
)
def test_images_that_are_not_here_leave_rows_that_say_so(monkeypatch, module, measure, count):
    def missing(*given):
        raise NO_DATA

    missing.cache_clear = prepare.cache_clear
    monkeypatch.setattr(module, "prepare", missing)
    measured = measure(SMALL, 0, quiet)
    assert [row.measured for row in measured.rows] == [None] * count
    assert all(row.note == str(NO_DATA) and row.ok is None for row in measured.rows)


def test_a_refused_cue_counts_against_recall_only():
    outcome = Outcome(10, 5, 4)
    assert (outcome.precision, outcome.recall, outcome.answered) == (0.8, 0.4, 0.5)
    assert Outcome(10, 0, 0).precision == 0.0


def test_parts_of_the_images_are_disjoint_and_training_leaves_the_global_generator_alone(digits):
    prepare.cache_clear()
    state = torch.get_rng_state()
    protocol = prepare(digits, 2000, 16, 200, 1, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(protocol.remembered) == 400 and len(protocol.cues) == 200
    apart = torch.cdist(protocol.remembered.patterns, protocol.cues.patterns)
    assert float(apart.min()) > 0
