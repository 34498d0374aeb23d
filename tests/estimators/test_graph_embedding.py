"""The Hopfield embedding of nodes: its energy, its walks and contexts, and its training."""

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians
from attractor.energy.synapses import MemorySynapse
from attractor.estimators.graph_embedding import contexts, training
from attractor.estimators.graph_embedding.network import context_drive, energy, recalled_activity, sampled_loss, settle
from attractor.estimators.graph_embedding.walks import Bags, Walker, steps_of
from attractor.read import SoftMax

KARATE = networkx.karate_club_graph()
MATRIX = csr_array(networkx.to_scipy_sparse_array(KARATE, weight=None, dtype=float))


def parts(seed, nodes=12, memories=5, batch=1):
    """Content, drives and logits by chance, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, memories, generator=generator, dtype=torch.float64) for size in (nodes, batch)] + [
        torch.randn(batch, nodes, generator=generator, dtype=torch.float64)
    ]


def dense_contexts(matrix, window):
    step = matrix / matrix.sum(1, keepdims=True)
    mean = sum(np.linalg.matrix_power(step, power) for power in range(1, window + 1)) / window
    np.fill_diagonal(mean, 0)
    return mean / mean.sum(1, keepdims=True)


# the network


def test_gradient_of_the_energy_is_that_of_the_formula():
    for seed in range(10):
        content, drive, v = parts(seed, batch=3)
        beta = 0.5 + seed / 3
        v.requires_grad_()
        (found,) = torch.autograd.grad(energy(content, drive, v, beta).sum(), v)
        g = v.detach().softmax(-1)
        force = v.detach() - (beta * (g @ content + drive)).softmax(-1) @ content.T
        wanted = g * (force - (g * force).sum(-1, keepdim=True))
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("step_size", [0.05, 0.5, 1.0])
def test_energy_never_rises(step_size):
    content, drive, v = (torch.stack(one) for one in zip(*(parts(seed) for seed in range(50)), strict=True))
    energies = [energy(content, drive, v, 1.5)]
    for _ in range(200):
        v = settle(content, drive, beta=1.5, steps=1, step_size=step_size, v=v)
        energies.append(energy(content, drive, v, 1.5))
    changes = torch.stack(energies).diff(dim=0)
    assert float(changes.max()) <= 1e-9 and float(changes[0].max()) < -1e-4


def test_it_is_an_energy_network_with_one_memory_synapse():
    """A content activity sums to 1, so the drive of the context can be added to the content of every node; logits then move by what
    is the same for all of them, and changes no activity.
    """
    content, drive, v = parts(0)
    layer = Neurons(lagrangians.Softmax(), len(content))
    synapse = MemorySynapse((content + drive).T.contiguous(), separation=SoftMax(beta=1.7))
    network = EnergyNetwork({"content": layer}, [Connection(synapse, ("content",))])
    torch.testing.assert_close(network.energy({"content": v}), energy(content, drive, v, 1.7))
    moved = v + 0.3 * network.velocity({"content": v})["content"]
    ours = settle(content, drive, beta=1.7, steps=1, step_size=0.3, v=v)
    torch.testing.assert_close(moved - moved.mean(), ours - ours.mean())


def test_one_step_is_the_closed_form():
    content, drive, _ = parts(1, batch=4)
    wanted = (2.0 * (content.mean(0) + drive)).softmax(-1) @ content.T
    torch.testing.assert_close(settle(content, drive, beta=2.0, steps=1), wanted, rtol=0, atol=1e-12)


@given(st.integers(1, 4), st.floats(0.1, 8))
@settings(max_examples=20, deadline=None)
def test_steps_with_hidden_states_are_those_of_the_logits(steps, beta):
    content, drive, _ = parts(2, batch=3)
    v = recalled_activity(content, drive, beta=beta, steps=steps) @ content.T
    torch.testing.assert_close(v, settle(content, drive, beta=beta, steps=steps))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_sample_of_all_nodes_gives_the_full_loss(steps):
    content, drive, _ = parts(3, batch=6)
    targets = torch.tensor([0, 5, 11, 3, 3, 7])
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    found = sampled_loss(content[order], drive, targets, order, content[targets], beta=1.3, steps=steps, nodes=12)
    full = torch.nn.functional.cross_entropy(settle(content, drive, beta=1.3, steps=steps), targets)
    torch.testing.assert_close(found, full)


def test_samples_estimate_the_sum_over_all_nodes_without_bias():
    content, drive, _ = parts(4, nodes=40)
    target, generator = torch.tensor([7]), torch.Generator().manual_seed(0)
    f = (content.mean(0) + drive).softmax(-1)
    whole = float((f @ content.T).exp().sum())
    sums = []
    for _ in range(1500):
        rows = training.distinct(40, 10, generator)
        # the state is that of all nodes, so that the sum alone is estimated
        fixed = drive + content.mean(0) - content[rows].mean(0)
        loss = sampled_loss(content[rows], fixed, target, rows, content[target], beta=1.0, steps=1, nodes=40)
        sums.append(float((loss + (f * content[target]).sum()).exp()))
    assert np.mean(sums) == pytest.approx(whole, rel=0.02)


def test_candidates_are_different_nodes_with_even_chances():
    generator = torch.Generator().manual_seed(0)
    assert all(len(training.distinct(16, 2, generator)) == 2 for _ in range(5000))
    for nodes in (20, 1000):
        drawn = torch.stack([training.distinct(nodes, 10, generator) for _ in range(2000)])
        assert all(len(row.unique()) == 10 for row in drawn[:200])
        share = drawn.flatten().bincount(minlength=nodes).double() / len(drawn) * nodes / 10
        assert float((share - 1).abs().mean()) < 1.2 * (0.8 * (nodes / 10 / 2000) ** 0.5)


# walks and contexts


def test_walks_follow_edges_by_their_weights():
    matrix = csr_array(np.array([[0, 1, 3.0], [1, 0, 0], [1, 0, 0]]))
    path = Walker(matrix).walk(torch.zeros(4000, dtype=torch.int64), 3, torch.Generator().manual_seed(0))
    assert bool((path[:, 1] == 0).all()) and set(path[:, 0].tolist()) == {1, 2}
    assert float((path[:, 0] == 2).double().mean()) == pytest.approx(0.75, abs=0.03)
    assert float((path[:, 2] == 2).double().mean()) == pytest.approx(0.75, abs=0.03)


def test_a_context_never_holds_its_centre():
    centres = torch.arange(34).repeat(5)
    bags = Walker(MATRIX).contexts(centres, 4, 2, torch.Generator().manual_seed(0))
    seen = bags.weights > 0
    assert bags.nodes.shape == (170, 8) and not bool((seen & (bags.nodes == centres[:, None])).any())
    torch.testing.assert_close(bags.weights.sum(1), torch.ones(170))


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7])
def test_drives_are_those_of_expected_contexts(window, monkeypatch):
    """Also in a directed graph, and in several blocks of rows."""
    monkeypatch.setattr(contexts, "ROWS", 10)
    matrix = MATRIX.toarray() * np.random.default_rng(1).uniform(0.5, 2, MATRIX.shape)
    memories = np.random.default_rng(2).normal(size=(34, 3))
    returned = contexts.returns(csr_array(matrix), window, torch.Generator())
    found = contexts.drives(csr_array(matrix), memories, contexts.reach(csr_array(matrix), memories, window), returned)
    np.testing.assert_allclose(found, dense_contexts(matrix, window) @ memories, atol=1e-12)


def test_returns_of_large_graphs_are_counted():
    exact = contexts.returns(MATRIX, 4, torch.Generator())
    counted = contexts.counted_returns(MATRIX, 4, torch.Generator().manual_seed(0))
    assert np.abs(counted - exact).max() < 0.12 and np.abs(counted - exact).mean() < 0.03


def test_order_of_nodes_changes_nothing():
    """Drives, losses and their gradients are those of the same nodes under other numbers."""
    order = torch.randperm(34, generator=torch.Generator().manual_seed(0))
    place = order.argsort()
    content, _, _ = parts(5, nodes=34)
    context, _, _ = parts(6, nodes=34)
    bags = Walker(MATRIX).contexts(torch.arange(20), 3, 2, torch.Generator().manual_seed(1))
    gradients = []
    for rows, names in ((torch.arange(34), torch.arange(34)), (order, place)):
        memories = [one[rows].clone().requires_grad_() for one in (content, context)]
        targets = names[torch.arange(20)]
        drive = context_drive(memories[1], Bags(names[bags.nodes], bags.weights))
        loss = sampled_loss(memories[0], drive, targets, torch.arange(34), memories[0][targets], beta=2.0, steps=2, nodes=34)
        gradients.append([loss.detach(), *torch.autograd.grad(loss, memories)])
    torch.testing.assert_close(gradients[1][0], gradients[0][0])
    for first, second in zip(gradients[0][1:], gradients[1][1:], strict=True):
        torch.testing.assert_close(second, first[order])
    mixed = csr_array(MATRIX.toarray()[np.ix_(order, order)])
    rows = context.numpy()
    drives = [
        contexts.drives(matrix, values, contexts.reach(matrix, values, 3), contexts.returns(matrix, 3, torch.Generator()))
        for matrix, values in ((MATRIX, rows), (mixed, rows[order]))
    ]
    np.testing.assert_allclose(drives[1], drives[0][order], atol=1e-12)


def test_a_heavy_edge_elsewhere_does_not_bend_walks():
    """Chances are summed up, not weights: five edges of weight 1 are alike beside one of 1e18."""
    matrix = np.ones((6, 6)) - np.eye(6)
    matrix[0, 1] = matrix[1, 0] = 1e18
    path = Walker(csr_array(matrix)).walk(torch.full((5000,), 4), 1, torch.Generator().manual_seed(0))
    share = path.flatten().bincount(minlength=6).double() / 5000
    assert float((share[[0, 1, 2, 3, 5]] - 0.2).abs().max()) < 0.03


@pytest.mark.parametrize("scale", [1e-310, 1e-320, 1e-3, 1e307])
def test_the_unit_of_weights_changes_no_step(scale):
    matrix = csr_array(np.array([[0, 1.0, 3.0], [1.0, 0, 1.0], [3.0, 1.0, 0]]))
    np.testing.assert_allclose(steps_of(csr_array(matrix * scale)).toarray(), steps_of(matrix).toarray(), rtol=1e-3)


def test_steps_of_nodes_without_an_edge_are_none():
    matrix = csr_array(np.array([[0, 2.0, 0], [0, 0, 0], [1.0, 1.0, 0]]))
    np.testing.assert_array_equal(steps_of(matrix).toarray(), [[0, 1, 0], [0, 0, 0], [0.5, 0.5, 0]])
    assert steps_of(csr_array((3, 3))).nnz == 0


# training


def steps_down(rows, gradients, rate=0.1):
    """What `Rows` makes of gradients `(nodes, gradient)`, one after the other."""
    optimiser = training.Rows(rows, rate)
    for nodes, gradient in gradients:
        touched, taken, place = optimiser.take(torch.tensor(nodes))
        (taken[place] * gradient).sum().backward()
        optimiser.move(touched, taken)
    return rows


def test_a_row_moves_by_the_rate_whatever_the_size_of_its_gradient():
    for size in (1e-6, 1.0, 1e6):
        moved = steps_down(torch.zeros(3, 4), [([1, 1], size * torch.tensor([[1.0, -1, 1, -1]]))])
        torch.testing.assert_close(moved, torch.tensor([[0.0] * 4, [-0.1, 0.1, -0.1, 0.1], [0.0] * 4]))


def test_rows_that_a_step_does_not_touch_wait():
    """The mean square of a row runs over its own steps, so what others do in between changes nothing."""
    one, two = torch.tensor([[1.0, 0, 2, 0]]), torch.tensor([[0.0, 3, 0, 1]])
    alone = steps_down(torch.ones(3, 4), [([0], one), ([0], two)])
    among = steps_down(torch.ones(3, 4), [([0], one), ([2], two), ([2], one), ([0], two)])
    torch.testing.assert_close(among[0], alone[0])
    later = 0.1 / (0.001 / (1 - 0.999**2)) ** 0.5
    torch.testing.assert_close(alone[0], torch.tensor([0.9, 1 - later, 0.9, 1 - later]))


def test_a_step_without_a_gradient_moves_nothing():
    torch.testing.assert_close(steps_down(torch.ones(2, 3), [([0], torch.zeros(1, 3))]), torch.ones(2, 3))


@pytest.mark.parametrize("alone", [True, False])
def test_new_nodes_are_masked_themselves_and_others_by_walks(monkeypatch, alone):
    """So new nodes and those without a way in are learned too."""
    drawn = []
    contexts_of = Walker.contexts

    def noted(self, centres, *arguments):
        drawn.append(centres.clone())
        return contexts_of(self, centres, *arguments)

    monkeypatch.setattr(Walker, "contexts", noted)
    content, context = torch.randn(34, 4), torch.randn(34, 4)
    learning = training.Learning(6, 2, 1, 1.0, 100, 10, 16, 0.05)
    starts = torch.tensor([11, 12, 14, 15, 16, 17, 18, 20, 21, 22, 26, 9])
    own = torch.full((34,), alone)
    training.train(MATRIX, content, context, starts, own, learning, torch.Generator().manual_seed(0))
    counts = torch.cat(drawn).bincount(minlength=34)
    assert len(drawn) == 200 and counts.sum() == 1200
    if alone:
        assert counts[starts].tolist() == [100] * 12
    else:
        # of the walks a sixth stays at its start
        assert 15 < float(counts[starts].min()) < 60 and counts[0] + counts[33] > 150
