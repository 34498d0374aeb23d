"""The measurements of paper 06, at small sizes."""

from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet, unavailable

from attractor.estimators.sequential import GEM, Rehearsal
from attractor.papers import paper_module
from attractor.papers.figures import Chart
from attractor.papers.p06_sequential_learning import classic, digits, mnist, reproduction
from attractor.papers.p06_sequential_learning.claims import CLASSIC, MNIST, PAPER, REDUCED, RISING, STRONG
from attractor.papers.p06_sequential_learning.settings import FRACTIONS, VERTICES, strategies_of
from attractor.papers.p06_sequential_learning.single_task import SingleTaskSize
from attractor.papers.p06_sequential_learning.sizes import SIZES
from attractor.papers.p06_sequential_learning.training import Permutations, learn, tasks_of

TINY_DIGITS = Permutations("digits", tasks=2, items=100, tests=60, epochs=1)
TINY = replace(
    SIZES["smoke"],
    digits=TINY_DIGITS,
    mnist=TINY_DIGITS,
    networks=2,
    single_task=SingleTaskSize(1, (100, 60), 1, 1, (100, 60), 1),
)


def test_every_claim_gets_its_row_and_the_figures_are_made(monkeypatch):
    monkeypatch.setitem(reproduction.SIZES, "smoke", TINY)
    report = paper_module("06").run("smoke", 1)
    assert [row.claim for row in report.rows] == list(PAPER.claims)
    assert [figure.name for figure in report.figures] == [
        "vertices",
        "vertices-none",
        "vertices-rehearsal",
        "tasks",
        "fractions",
        "classic",
    ]
    assert all(isinstance(figure, Chart) for figure in report.figures)
    assert len(report.figures[0].series) == len(digits.SHOWN) == 9


def test_tasks_are_images_from_minus_one_to_one_that_the_seed_chooses():
    first, second = tasks_of(TINY_DIGITS, 0)
    assert first.items.shape == (100, 64) and first.test_items.shape == (60, 64)
    assert float(first.items.min()) == -1 and float(first.items.max()) == 1
    assert torch.equal(first.items.sort(1).values, second.items.sort(1).values) and not torch.equal(first.items, second.items)
    assert not torch.equal(first.items, tasks_of(TINY_DIGITS, 1)[0].items)


def test_same_arguments_give_the_same_scores():
    first, again, other = (learn("rehearsal", 5, seed, *TINY_DIGITS) for seed in (0, 0, 1))
    assert first == again and first["scores"] != other["scores"]
    assert len(first["scores"]) == 2 and len(first["untrained"]) == 2


def test_neighbours_search_what_a_method_has_at_hand():
    none, kept, everything = (learn(method, 5, 0, *TINY_DIGITS)["neighbour"] for method in ("none", "rehearsal 0.3", "joint"))
    assert none < kept < everything


def test_all_tasks_at_once_are_scored_once():
    assert len(learn("joint", 5, 0, *TINY_DIGITS)["scores"]) == 1


def test_every_method_has_settings_for_every_vertex():
    for method in digits.SHOWN:
        assert all(len(strategies_of(method, n)) == (method != "none") for n in VERTICES)
    (rehearsal,), (gem,) = strategies_of("rehearsal 0.03", 5), strategies_of("GEM", 5)
    assert isinstance(rehearsal, Rehearsal) and rehearsal.fraction == 0.03 and isinstance(gem, GEM)
    with pytest.raises(KeyError):
        strategies_of("magic", 5)


def runs_of(accuracies):
    """Runs with two tasks, of which the first was learned perfectly; the accuracies after the second are given."""
    points = [(method, n, 0) for method, n in accuracies]
    results = [{"scores": [[1.0, 0.0], [value, value]], "untrained": [0.0, 0.0], "neighbour": 0.5} for value in accuracies.values()]
    return digits.Runs(points, results)


def test_rows_count_the_worst_method_step_and_vertex():
    accuracies = {(method, n): 0.6 for method in digits.SHOWN for n in VERTICES}
    accuracies |= {("none", 5): 0.2, ("SI", 5): 0.3, ("rehearsal", 2): 0.9, ("rehearsal", 5): 0.8, ("rehearsal", 10): 0.7}
    accuracies |= {("rehearsal", 20): 0.65, ("GEM", 10): 0.4, ("A-GEM", 10): 0.5}
    accuracies |= dict(zip(((name, 5) for name in digits.BY_FRACTION), (0.1, 0.3, 0.35, 0.8), strict=True))
    runs = runs_of(accuracies)
    assert digits.reduction(runs, 0.0, "data").measured == pytest.approx(0.1)
    assert "the least is SI" in digits.reduction(runs, 0.0, "data").note
    assert digits.rise(runs, 0.0, "data").measured == pytest.approx(0.05)
    lead, dip = digits.over_vertices(runs, SIZES["laptop"], 0.0, "data")
    assert lead.measured == pytest.approx(0.05)
    assert dip.measured == pytest.approx(0.1)


def test_dip_counts_from_the_lower_neighbour():
    accuracies = {(method, n): 0.5 for method in digits.SHOWN for n in VERTICES} | {("GEM", 5): 0.9, ("GEM", 10): 0.6}
    dip = digits.over_vertices(runs_of(accuracies), SIZES["laptop"], 0.0, "data")[1]
    assert dip.measured == pytest.approx(-0.1)


@pytest.mark.parametrize("claim", [REDUCED, RISING, STRONG, *MNIST.values()])
def test_no_difference_agrees_with_no_claim_of_one(claim):
    assert claim.judge(0.0) is False and claim.judge(1e-12) is False and claim.judge(0.01) is True


def test_methods_that_freeze_the_model_do_not_reduce_forgetting():
    points = [(method, 5, 0) for method in digits.SHOWN]
    # none forgets the first task, all others learn nothing after it
    results = [{"scores": [[0.9, 0.1], [0.1, 0.9]], "untrained": [0.1, 0.1], "neighbour": 0.5}]
    results += [{"scores": [[0.9, 0.1], [0.9, 0.1]], "untrained": [0.1, 0.1], "neighbour": 0.5}] * 8
    row = digits.reduction(digits.Runs(points, results), 0.0, "data")
    assert row.ok is False and "none 0.800, rehearsal 0.000" in row.note


def test_vertices_are_compared_on_the_same_seeds():
    size = replace(SIZES["laptop"], vertex_seeds=1)
    points = [(method, n, 0) for method in digits.SHOWN for n in VERTICES] + [(method, 5, 1) for method in digits.SHOWN]
    results = [
        {"scores": [[1.0, 0.0], [value, value]], "untrained": [0.0, 0.0], "neighbour": 0.5}
        for value in [0.9 if method == "rehearsal" else 0.5 for method, *_ in points[:-9]] + [0.0] * 9
    ]
    paired = digits.Runs(points, results).first(size.vertex_seeds)
    assert {len(found) for found in paired.results.values()} == {1}
    strong, _ = digits.over_vertices(paired, size, 0.0, "data")
    assert strong.measured == pytest.approx(0.4) and strong.n == 1


def test_leads_have_the_interval_of_paired_seeds():
    row = digits.least_of(STRONG, {"n = 2": [0.5, 0.6], "n = 5": [0.1, 0.2]}, 0.0, "data")
    assert row.measured == pytest.approx(0.15) and row.n == 2
    assert row.interval[0] < 0.1 and row.interval[1] > 0.2


def test_each_task_is_shown_against_the_vertex():
    accuracies = {(method, n): n / 100 for method in digits.SHOWN for n in VERTICES}
    chart = digits.chart_of_tasks_by_vertex(runs_of(accuracies), SIZES["laptop"], "rehearsal")
    assert [one.label for one in chart.series] == ["task 1", "task 2"]
    assert chart.series[0].x == (2.0, 5.0, 10.0, 20.0) and chart.series[1].y == (0.02, 0.05, 0.1, 0.2)


def test_falling_accuracy_by_fraction_does_not_pass():
    runs = runs_of({("none", 5): 0.2} | dict(zip(((name, 5) for name in digits.BY_FRACTION), (0.1, 0.3, 0.2, 0.8), strict=True)))
    row = digits.rise(runs, 0.0, "data")
    assert row.claim is RISING and row.ok is False and f"{FRACTIONS[-1]:.0%} 0.800" in row.note


def test_single_patterns_wear_a_first_task_away_and_rehearsal_keeps_it():
    alone, rehearsed = (classic.first_task_left(method, 1000.0, 0) for method in ("no rehearsal", "rehearsal"))
    assert alone[0] == 1.0 and alone[-1] < 0.8 and rehearsed == [1.0] * 4


def test_classic_rows_agree():
    rows = classic.measure_classic(SIZES["smoke"], 0, quiet).rows
    assert [row.claim for row in rows] == list(CLASSIC.values()) and [row.ok for row in rows] == [True, True, None, None]
    none, _, once, anew = (row.measured for row in rows)
    assert once >= 0.95 and anew < once and none < once
    assert all(row.note.startswith("after each task 1.00, 1.00") for row in rows[1:])


def test_without_the_images_rows_say_what_is_needed(monkeypatch):
    monkeypatch.setattr(digits, "load", unavailable)
    monkeypatch.setattr(mnist, "load", unavailable)
    rows = digits.measure_methods(TINY, 0, quiet).rows
    assert [row.claim for row in rows] == list(digits.CLAIMS)
    rows = [*rows, *mnist.measure_mnist(TINY, 0, quiet).rows]
    assert [row.claim for row in rows[-len(MNIST) :]] == list(MNIST.values())
    assert all(row.measured is None and "attractor[demo]" in row.note for row in rows)
