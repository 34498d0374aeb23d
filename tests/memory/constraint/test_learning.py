"""Learned constraints, clusters, and missing entries."""

import pytest
import torch
from memory.constraint.network import network, patterns, small, small_patterns

from attractor.memory import ConstraintMemory
from attractor.memory.constraint import Graph, balanced_choices, learn_constraints, random_clusters
from attractor.memory.constraint.erasures import completed
from attractor.memory.constraint.learning import polished, residual


def test_constraints_hold_of_fresh_patterns_are_sparse_independent_and_of_norm_1():
    constraints, fresh = network().constraints, patterns(10_000, 5).double()
    entries = torch.cat([(one.rows != 0).sum(1) for one in constraints]).double()
    assert float(entries.mean()) <= 30
    for one in constraints:
        off = float((fresh[:, one.members] @ one.rows.T).abs().max())
        assert off <= 5e-3
        # a smaller weight would have a vote, and no error would be heard through it
        assert float(one.rows[one.rows != 0].abs().min()) > 0.02
        assert len(one.rows) >= 15 and torch.linalg.matrix_rank(one.rows) == len(one.rows)
        assert torch.allclose(one.rows.norm(dim=1), torch.ones(len(one.rows), dtype=torch.float64))


@pytest.mark.parametrize("learn", ["spud", "svd"])
def test_other_ways_of_learning_find_all_constraints(learn):
    counts = [len(one.rows) for one in small(learn).constraints]
    assert counts == [30] * len(counts)
    entries = torch.cat([(one.rows != 0).sum(1) for one in small(learn).constraints]).double().mean()
    assert entries < 14 if learn == "spud" else entries > 30


def test_the_residual_bounds_what_is_read_of_seen_patterns():
    seen = small_patterns(6000, 1).double()
    for one in small().constraints:
        assert float((seen[:, one.members] @ one.rows.T).abs().max()) <= one.residual + 1e-12


def test_the_residual_is_the_root_of_the_sum_of_squares(generator):
    seen, rows = (torch.randn(count, 5, generator=generator, dtype=torch.float64) for count in (7, 3))
    assert residual(rows, seen.T @ seen) == pytest.approx(float((seen @ rows.T).norm(dim=0).max()))


def test_a_row_of_which_half_would_be_lost_is_dropped():
    # patterns (a, a, b): the only constraint is (1, -1, 0)
    moments = torch.tensor([[[5.0, 5.0, 1.0], [5.0, 5.0, 1.0], [1.0, 1.0, 3.0]]], dtype=torch.float64)
    near, far = polished(moments, torch.tensor([[[1.0, -1.0, 0.3], [1.0, 0.6, 0.5]]], dtype=torch.float64))[0]
    assert near.tolist() == pytest.approx([0.5**0.5, -(0.5**0.5), 0.0], abs=1e-9) and not far.any()


def test_neurons_that_are_always_0_are_constraints_of_their_own():
    moments = torch.zeros(4, 4, dtype=torch.int64)
    moments[2:, 2:] = 5
    for learn in ("online", "spud", "svd"):
        (one,) = learn_constraints(moments, (torch.arange(4),), learn, 0)
        assert len(one.rows) == 3 and one.residual < 1e-6


def test_clusters_without_a_constraint_are_named():
    moments = torch.eye(6, dtype=torch.int64) * 9
    moments[4:, 4:] = 9
    with pytest.raises(ValueError, match="full rank in clusters \\[0, 1\\]"):
        learn_constraints(moments, (torch.arange(4), torch.arange(1, 5), torch.arange(2, 6)), "svd", 0)


@pytest.mark.parametrize(("rows", "among", "each"), [(400, 50, 5), (7, 3, 2), (5, 4, 4), (30, 4, 1)])
def test_choices_are_distinct_and_balanced(rows, among, each):
    chosen = balanced_choices(rows, among, each, torch.Generator().manual_seed(3))
    assert chosen.shape == (rows, each) and all(len(set(row)) == each for row in chosen.tolist())
    counts = torch.bincount(chosen.flatten(), minlength=among)
    assert int(counts.max() - counts.min()) <= 1


def test_clusters_are_random_and_every_neuron_is_in_as_many():
    clusters = random_clusters(400, 50, 5, 0)
    assert [len(members) for members in clusters] == [40] * 50
    assert torch.equal(torch.bincount(torch.cat(clusters)), torch.full((400,), 5))
    assert not torch.equal(clusters[0], random_clusters(400, 50, 5, 1)[0])


@pytest.mark.parametrize("dim", [30, 121, 400])
def test_usual_clusters_have_40_neurons_at_most(dim):
    assert max(map(len, ConstraintMemory(dim).clusters)) <= 40


def test_missing_entries_solve_the_least_squares_nearest_to_the_guess():
    generator = torch.Generator().manual_seed(0)
    matrix, cues = torch.randn(5, 9, generator=generator).double(), torch.randn(4, 9, generator=generator)
    known = torch.rand(4, 9, generator=generator) < 0.4
    guess = torch.randn(9, generator=generator).double()
    found = completed(matrix, cues, known, guess)
    for row in range(4):
        missing = ~known[row]
        start = torch.where(known[row], cues[row].double(), guess)
        step = torch.linalg.pinv(matrix[:, missing]) @ (matrix @ start)
        assert torch.allclose(found[row, missing], guess[missing] - step, atol=1e-8)
        assert torch.equal(found[row, known[row]], cues[row, known[row]].double())


def test_the_graph_knows_which_states_satisfy_it():
    graph = Graph(small().constraints, 120, torch.float32, (-10, 100))
    true = small_patterns(20, 9)
    wrong = true.clone()
    wrong[:10, 5] += 1
    assert graph.satisfied(wrong).tolist() == [False] * 10 + [True] * 10
