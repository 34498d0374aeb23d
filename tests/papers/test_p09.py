"""The measurements of row 09, on small sizes: that rows answer their claims and that trends are those of the paper."""

from dataclasses import replace

import pytest
from papers.stand_ins import quiet

from attractor.papers import paper_module
from attractor.papers.p09_noise_enhanced import clusters, network, recalling
from attractor.papers.p09_noise_enhanced.claims import PAPER
from attractor.papers.p09_noise_enhanced.reproduction import parts
from attractor.papers.p09_noise_enhanced.sizes import SIZES

SMALL = replace(SIZES["smoke"], sweeps=3, trials=20, noises=(0.0, 0.3, 0.8), noises_many=(0.0, 0.3))


def test_it_is_a_paper_of_the_collection():
    assert paper_module("09").PAPER is PAPER
    assert len({claim.text for claim in PAPER.claims}) == len(PAPER.claims)
    assert len(parts(SMALL)) == 4


def test_learned_constraints_agree():
    measured = recalling.measure_learning(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[:3])
    assert [(row.claim.text, row.measured) for row in measured.rows if not row.ok] == []


def test_recall_error_dips_at_moderate_noise():
    measured = recalling.measure_noise(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[3:11])
    quiet_few, noisy_few, quiet_many, noisy_many, loud, dip, *_ = measured.rows
    assert noisy_few.measured < 0.2 < quiet_few.measured and noisy_many.measured < quiet_many.measured
    assert loud.measured > noisy_few.measured and all(row.baseline > 0.9 for row in measured.rows[:5])
    assert dip.interval[0] > 0 and dip.interval[0] < dip.measured < dip.interval[1]
    assert [chart.name for chart in measured.figures] == ["noise", "symbols"]
    few = measured.figures[0].series[0]
    assert few.x == SMALL.noises and few.y[1] == noisy_few.measured and few.low[1] <= few.y[1] <= few.high[1]


def test_clusters_correct_more_with_noise_and_density_evolution_says_so():
    measured = clusters.measure_clusters(SMALL, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[11:18])
    two, one, threshold, gain, below, above, bound = measured.rows
    assert two.ok and threshold.ok and gain.ok and one.measured > 0.85
    assert below.measured < above.measured and abs(bound.measured) < 0.2
    assert len(measured.figures[0].series) == clusters.MOST_ERRORS


def test_what_was_never_seen_is_recalled_and_no_verdict_is_false():
    measured = recalling.measure_storage(replace(SMALL, seen=60, flags=101), 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[18:])
    storage, false = measured.rows
    assert false.ok and false.n == 101 and abs(storage.measured) < 0.1


def test_seeds_give_other_patterns_and_the_same_seed_the_same():
    settings = (0.15, 0.0, 0.75, 0.0, 3, 30)
    assert network.tally(*settings, 1, 0) == network.tally(*settings, 1, 0)
    assert network.tally(*settings, 1, 0) != network.tally(*settings, 3, 0)
    seen = network.tally(*settings, network.ON_SEEN, 0)
    assert seen["nearest"] < 3 and network.tally(*settings, network.ON_UNSEEN, 0)["nearest"] > 27


def test_differences_have_newcombes_interval():
    row = recalling.above(PAPER.claims[8], {"trials": 80, "wrong": 56}, {"trials": 80, "wrong": 38}, 0.0, "")
    # Newcombe 1998, method 10: 56/70 and 48/80 give 0.0524 to 0.3339
    again = recalling.above(PAPER.claims[8], {"trials": 70, "wrong": 56}, {"trials": 80, "wrong": 48}, 0.0, "")
    assert row.measured == pytest.approx(0.225)
    assert again.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)
