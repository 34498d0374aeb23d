"""The measurements of row 10, on small sizes: that rows answer their claims and that the trends are those of the paper."""

from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet

from attractor.papers import paper_module
from attractor.papers.p10_correlated_synapses import additive, aging, exactness, unknown_age
from attractor.papers.p10_correlated_synapses.claims import PAPER, SIZES_MEASURED
from attractor.papers.p10_correlated_synapses.recalling import nearest_errors
from attractor.papers.p10_correlated_synapses.sizes import SIZES

SMALL = replace(SIZES["smoke"], networks=6, statistics=8, chains=200, history=20, ages=tuple(range(3)))


def test_it_is_a_paper_of_the_collection():
    assert paper_module("10").PAPER is PAPER
    assert len({claim.text for claim in PAPER.claims}) == len(PAPER.claims)


def test_formulas_hold():
    measured = exactness.measure_exactness(SMALL, 1, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[:4])
    closed, additive_rules, cascade, sampled = measured.rows
    assert closed.ok and cascade.ok
    assert additive_rules.measured < 6 and sampled.measured < 0.1


def test_correlations_that_are_ignored_ruin_recall(monkeypatch):
    gibbs = additive.recalled

    def without_samples(*point):
        return gibbs(*("mean-field" if part == "gibbs" else part for part in point))

    monkeypatch.setattr(additive, "recalled", without_samples)
    measured = additive.measure_additive(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[4:14])
    assert [(row.claim.text, row.measured) for row in measured.rows if not row.ok] == []
    (chart,) = measured.figures
    assert len(chart.series) == 9 and all(series.x == tuple(map(float, SIZES_MEASURED)) for series in chart.series)


def test_old_patterns_are_lost_and_calibrated_weights_do_no_harm(monkeypatch):
    monkeypatch.setattr(aging, "AGES", (0, 1, 2))
    measured = aging.measure_aging(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[14:20])
    aware, ratio, *xor, of_hebb, _ = measured.rows
    assert aware.ok and ratio.ok and all(row.ok for row in xor) and of_hebb.measured < 0
    assert len({figure.name for figure in measured.figures}) == len(measured.figures) == 6
    cascade = {series.label: series.y for series in measured.figures[0].series}
    assert cascade["correlations known"][0] < cascade["correlations ignored"][0]
    assert cascade["correlations known"][0] < cascade["correlations known"][2]


def test_pattern_and_age_are_found_together():
    measured = unknown_age.measure_unknown_age(replace(SMALL, networks=5, history=30), 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[20:])
    joint, fixed, found = measured.rows
    assert joint.ok and fixed.ok and found.ok
    assert found.interval[0] < found.measured < found.interval[1]


def test_ranks():
    pairs = torch.tensor([[0.0, 1.0], [0.0, 2.0], [3.0, 5.0], [9.0, 5.0]])
    assert unknown_age.rank_correlation(pairs) == pytest.approx(4 / 4.5)


def test_the_nearest_pattern_is_the_baseline():
    made = aging.simulate(aging.plasticity("hebb"), networks=2, size=40, stored=4, ages=(0, 3), seed=0)
    assert nearest_errors(made).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert nearest_errors(replace(made, targets=1 - made.targets)).tolist() == [[1.0, 1.0], [1.0, 1.0]]
