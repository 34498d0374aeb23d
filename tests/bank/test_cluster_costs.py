"""The cost model of a read over a cluster, as the benchmark tells it."""

import pytest


@pytest.fixture
def cluster(bench):
    return bench("cluster")


def test_the_costs_give_back_what_was_measured(cluster):
    sizes = cluster.Sizes(count=1_000, dim=8, workers=2)
    made = cluster.cost({"batch": 3, "cluster": 0.5}, {1: 0.020, 4: 0.050}, sizes)
    assert (made.shard, made.call) == (pytest.approx(0.010), pytest.approx(0.010))
    assert made.seconds(1_000, 2) == pytest.approx(0.5)
    assert made.seconds(2_000, 2) - made.seconds(1_000, 2) == pytest.approx(1_000 / 2 * made.row)
    assert made.sent > 3 * 8 * 4 and made.received > 3 * 8 * 4


def test_the_soonest_number_of_workers_is_a_minimum(cluster):
    one = cluster.Cost(batch=1, row=1e-8, shard=1e-3, call=1e-2, sent=100, received=100)
    best = round(one.best(1e10))
    assert best == 316
    assert one.seconds(1e10, best) < min(one.seconds(1e10, best // 2), one.seconds(1e10, 2 * best))


def test_the_plan_counts_bytes_operations_and_network(cluster):
    one = cluster.Cost(batch=1, row=1e-8, shard=1e-3, call=1e-2, sent=1_000, received=3_000)
    rows = {tuple(row[:2]): row[2:] for row in cluster.plan_table([one], cluster.Sizes(dim=256)).rows}
    memory, each, operations, seconds, network = rows["1e+10", "512"]
    assert (memory, each, operations) == ("9,537", "18.63", "1.02e+04")
    assert float(seconds) == pytest.approx(1e10 / 512 * 1e-8 + 0.512 + 0.01, rel=1e-2)
    assert float(network) == pytest.approx(512 * 4_000 / 1e6, rel=1e-2)
