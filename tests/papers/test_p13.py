"""The measurements of row 13, on small sizes: that rows answer their claims and that the figures hold together."""

from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet, unavailable

from attractor.memory.sequence import SequenceMemory
from attractor.papers import paper_module
from attractor.papers.p13_long_sequence_memory import capacity, correlated, replays
from attractor.papers.p13_long_sequence_memory.claims import DEGREES, EXPONENTIAL_NEURONS, LEAST_NEURONS, PAPER
from attractor.papers.p13_long_sequence_memory.sizes import SIZES
from attractor.papers.storage import random_signs

SMALL = replace(
    SIZES["smoke"],
    draws=3,
    neurons={1: (20, 40), 2: (22, 30), 3: (14, 22)},
    exponential=(8, 14),
    repeats=2,
    transitions=60,
    sequences=3,
    precision=0.3,
)


def test_sequence_of_the_first_figure_agrees_with_the_paper():
    measured = replays.measure_sequence(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[:2])
    assert all(row.ok for row in measured.rows)
    (chart,) = measured.figures
    assert [len(series.x) for series in chart.series] == [99, 99]


def test_held_patterns_agree_with_the_paper():
    measured = replays.measure_holding(replace(SMALL, draws=2), 0, quiet)
    assert [row.claim.text for row in measured.rows if not row.ok] == []
    assert len(measured.figures[0].series) == 3


def test_visits_count_places_and_order():
    assert replays.visits_of(torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3])) == (4, 1.0, 4.0)
    assert replays.visits_of(torch.tensor([39, 0, -1, -1, 5, 6, 4])) == (5, 0.5, pytest.approx(5 / 3))
    assert replays.visits_of(torch.tensor([-1, 7, 7, 7, -1])) == (1, 0.0, 0.0)
    assert replays.visits_of(torch.tensor([-1, -1])) == (0, 0.0, 0.0)


def test_rows_of_capacity_answer_their_claims_with_a_figure():
    measured = capacity.measure_capacity(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[2:10])
    (chart,) = measured.figures
    assert len(chart.series) == 16 and {series.style for series in chart.series} == {"points", "guide"}


def test_capacity_of_the_square_is_that_of_the_theory():
    found = [capacity.single_capacity(2, 45, 300, 0.05, seed) for seed in range(2)]
    assert sum(found) / 2 == pytest.approx(89, rel=0.25)
    assert capacity.whole_capacity(2, 45, 10, 0.1, 0) < min(found)


def test_same_seed_same_capacity_other_seed_another():
    found = [capacity.single_capacity(1, 60, 100, 0.01, seed) for seed in (1, 1, 2, 3, 4)]
    assert found[0] == found[1] and len(set(found)) > 1


def test_every_wrong_transition_is_counted():
    patterns = random_signs(12, 20, 0)
    couplings = patterns.roll(-1, 0).T @ patterns
    fields = patterns @ couplings.fill_diagonal_(0).T
    wrong = ((fields >= 0).float() * 2 - 1 != patterns.roll(-1, 0)).any(1).sum()
    with pytest.warns(UserWarning, match="12 patterns"):
        assert capacity.wrong_transitions(1, 20, 12, 0) == int(wrong) > 0


def test_pseudo_inverse_rows_agree():
    rows = correlated.measure_pseudo_inverse(SMALL, 0, quiet).rows
    assert [row.measured for row in rows] == [0.0, 1.0] and all(row.ok for row in rows)


def test_images_in_a_ring_need_a_steep_interaction(monkeypatch):
    monkeypatch.setattr(correlated, "DEGREES", (1, 5, 10, 25, 50, 100))
    measured = correlated.measure_images(replace(SMALL, images=10), 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[-5:])
    rates = {row.claim.text: row.measured for row in measured.rows}
    assert list(rates.values())[-1] == 1.0 and all(row.baseline == 1.0 for row in measured.rows)
    assert measured.rows[0].measured < 0.5


def test_without_the_images_rows_say_what_is_needed(monkeypatch):
    monkeypatch.setattr(correlated, "load", unavailable)
    rows = correlated.measure_images(SMALL, 0, quiet).rows
    assert [row.claim for row in rows] == list(PAPER.claims[-5:])
    assert all(row.measured is None and row.ok is None and "needs mlxtend" in row.note for row in rows)


def test_a_memory_that_stays_where_it_is_would_be_seen(monkeypatch):
    monkeypatch.setattr(SequenceMemory, "replay", lambda self, cues, steps, **_: cues[:, None].expand(-1, steps, -1))
    rows = [*replays.measure_sequence(SMALL, 0, quiet).rows, *correlated.measure_pseudo_inverse(SMALL, 0, quiet).rows]
    assert [row.ok for row in rows] == [True, False, True, False]


def test_every_scale_has_the_sizes_that_claims_name():
    for size in SIZES.values():
        assert set(EXPONENTIAL_NEURONS) <= set(size.exponential) and set(size.neurons) == set(DEGREES)
        assert all(max(size.neurons[degree]) >= LEAST_NEURONS for degree in (2, 3))
        assert size.images == 300


@pytest.mark.parametrize(("scale", "seed"), [("huge", 0), ("smoke", -1)])
def test_bad_arguments_of_the_run_are_refused(scale, seed):
    with pytest.raises(ValueError, match=r"scale|seed"):
        paper_module("13").run(scale, seed)


@pytest.mark.slow
def test_smoke_run_agrees_with_the_paper():
    report = paper_module("13").run("smoke", 0)
    assert [row.claim.text for row in report.rows if row.ok is False] == []
