"""Attention weighted by the structure of graphs: its energy, its force, padding, and the network built of it."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.errors import EnergyUnboundedWarning
from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.graphs import batches, collate, edge_width, flipped, laplacian_positions, prepare
from attractor.nn.energy_transformer.graphs_model import GraphEnergyTransformer
from attractor.nn.energy_transformer.structure import StructuredEnergyTransformer
from attractor.nn.energy_transformer.structure_attention import Structure, StructureWeights

HEADS, TOKENS, DIM = 3, 6, 8


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def make_block(seed=0, *, init="scaled", dtype=torch.float64, **options):
    """Heads are mixed and have unequal temperatures: each error of an index shows."""
    block = StructuredEnergyTransformer(DIM, heads=HEADS, key_dim=4, memories=10, init=init, generator=seeded(seed), **options)
    with torch.no_grad():
        block.mixing += 0.3 * normal(HEADS, HEADS, seed=seed + 1, dtype=torch.float32)
        block.log_beta += torch.tensor([-0.5, 0.0, 0.7])
    return block.to(dtype)


def make_structure(batch=2, seed=0, *, dtype=torch.float64, size=1.0):
    allowed = torch.rand(batch, TOKENS, TOKENS, generator=seeded(seed)) < 0.6
    allowed[0, 2] = False
    present = torch.ones(batch, TOKENS, dtype=torch.bool)
    present[-1, -1] = False
    return Structure(size * normal(batch, HEADS, TOKENS, TOKENS, seed=seed + 7, dtype=dtype), allowed, present)


def naive_energy(block, g, structure):
    """The formula with loops over graphs, queries, keys and heads."""
    total = [torch.zeros((), dtype=g.dtype) for _ in g]
    beta = block.beta.detach()
    scores = torch.einsum("jyd,bcd,jye,bke->bckj", block.query, g, block.key, g) * beta
    for b in range(len(g)):
        present = structure.present[b].nonzero().flatten().tolist()
        for c in present:
            keys = [k for k in present if structure.allowed[b, c, k]]
            overlaps = block.tokens.memory @ g[b, c]
            total[b] = total[b] - overlaps.relu().square().sum() / 2
            for h in range(block.heads):
                terms = []
                for k in keys:
                    terms.append(structure.weights[b, h, c, k] * scores[b, c, k].dot(block.mixing[:, h]))
                if terms:
                    total[b] = total[b] - torch.stack(terms).logsumexp(0) / beta[h]
    return torch.stack(total)


def test_energy_is_that_of_the_formula():
    block, structure, x = make_block(), make_structure(), normal(2, TOKENS, DIM, seed=3)
    g = block.normalize(x)
    torch.testing.assert_close(block.energy(g, structure), naive_energy(block, g, structure), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "softmax"])
@pytest.mark.parametrize("seed", range(3))
def test_force_is_minus_the_gradient_of_the_energy(seed, activation):
    block, structure = make_block(seed, activation=activation), make_structure(seed=seed)
    g = block.normalize(normal(2, TOKENS, DIM, seed=seed)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(block.energy(g, structure).sum(), g)
    force = block.force(g, structure)
    assert float((force + gradient).detach().abs().max() / gradient.abs().max()) < 1e-10


def test_weights_of_one_and_unmixed_heads_give_the_plain_block():
    block = StructuredEnergyTransformer(DIM, heads=HEADS, key_dim=4, init="scaled", steps=3, generator=seeded()).double()
    structure = make_structure()
    structure = structure._replace(weights=torch.ones_like(structure.weights), present=torch.ones_like(structure.present))
    plain = EnergyTransformer(DIM, heads=HEADS, key_dim=4, steps=3, beta=block.beta.detach(), self_attention=True).double()
    plain.load_state_dict({name: block.state_dict()[key] for name, key in [("query", "query"), ("key", "key")]}, strict=False)
    plain.memory, plain.norm = block.tokens.memory, block.tokens.norm
    x = normal(2, TOKENS, DIM)
    torch.testing.assert_close(block(x, structure), plain(x, mask=structure.allowed), rtol=1e-10, atol=1e-10)
    g = block.normalize(x)
    torch.testing.assert_close(block.energy(g, structure), plain.energy(g, mask=structure.allowed), rtol=1e-10, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.floats(0.1, 2.0))
def test_energy_never_rises_at_the_default_step(seed, size):
    block, structure = make_block(seed, steps=1), make_structure(seed=seed, size=size)
    x = normal(2, TOKENS, DIM, seed=seed)
    found = block.descend(x, structure, max_steps=25, tol=0.0, trace=True)
    rises = found.trace.energy.diff(dim=0) / found.trace.energy[:-1].abs()
    assert float(rises.max()) <= 1e-9
    assert bool((found.energy < found.trace.energy[0]).all())


def test_descent_with_backtracking_never_rises_where_plain_steps_do():
    """Tokens that attend to themselves alone, and repel what they attend to, leap over the point where they would rest."""
    block, structure = make_block(), make_structure()
    structure = structure._replace(weights=structure.weights.abs(), allowed=torch.eye(TOKENS, dtype=torch.bool).expand(2, -1, -1))
    with torch.no_grad():
        block.tokens.memory *= 0.01
        block.mixing.copy_(torch.eye(HEADS))
        block.key.copy_(-block.query)
    x = normal(2, TOKENS, DIM)
    block.step_size = 10.0
    found = [
        block.descend(x, structure, max_steps=10, tol=0.0, step_size=one, trace=True).trace.energy for one in (None, "backtrack")
    ]
    rise, none = (float(energy.diff(dim=0).max()) for energy in found)
    assert none <= 0 < rise


def test_a_call_takes_the_steps_of_the_descent():
    block, structure, x = make_block(steps=4), make_structure(), normal(2, TOKENS, DIM)
    torch.testing.assert_close(
        block(x, structure), block.descend(x, structure, max_steps=4, tol=0.0).states, rtol=1e-12, atol=1e-12
    )


def test_graphs_that_rest_do_not_disturb_others():
    block, structure, x = make_block(), make_structure(), normal(2, TOKENS, DIM)
    both = block.descend(x, structure, max_steps=100, tol=3e-2)
    for row in range(2):
        alone = block.descend(x[row : row + 1], Structure(*(part[row : row + 1] for part in structure)), max_steps=100, tol=3e-2)
        torch.testing.assert_close(both.states[row : row + 1], alone.states, rtol=1e-9, atol=1e-9)
    assert int(both.steps[0]) != int(both.steps[1])


def test_edge_of_weight_zero_stays_and_absent_edge_goes():
    """A product that happens to be zero is an edge all the same: `exp(0)` is in the sum."""
    block, structure, x = make_block(), make_structure(), normal(2, TOKENS, DIM)
    query, key = structure.allowed[0].nonzero()[0].tolist()
    weights = structure.weights.clone()
    weights[0, :, query, key] = 0
    zero = structure._replace(weights=weights)
    allowed = structure.allowed.clone()
    allowed[0, query, key] = False
    absent = structure._replace(allowed=allowed)
    g = block.normalize(x)
    torch.testing.assert_close(block.energy(g, zero), naive_energy(block, g, zero), rtol=1e-12, atol=1e-12)
    assert (block.energy(g, zero) - block.energy(g, absent))[0].abs().item() > 1e-3


def test_padding_neither_attends_nor_is_attended_to():
    block, x = make_block(steps=3), normal(1, TOKENS, DIM)
    everyone = Structure(normal(1, HEADS, TOKENS, TOKENS), torch.ones(1, TOKENS, TOKENS).bool(), (torch.arange(TOKENS) < 4)[None])
    small = Structure(everyone.weights[..., :4, :4], everyone.allowed[:, :4, :4], everyone.present[:, :4])
    torch.testing.assert_close(block(x, everyone)[:, :4], block(x[:, :4], small), rtol=1e-12, atol=1e-12)
    assert torch.equal(block(x, everyone)[:, 4:], x[:, 4:])
    g = block.normalize(x)
    torch.testing.assert_close(block.energy(g, everyone), block.energy(g[:, :4], small), rtol=1e-12, atol=1e-12)


def test_gradients_reach_every_parameter_and_are_right():
    block, structure = make_block(steps=2), make_structure()
    x = normal(2, TOKENS, DIM).requires_grad_()
    weights = structure.weights.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda one, two: block(one, structure._replace(weights=two)), (x, weights), fast_mode=True)
    block(x, structure).square().sum().backward()
    assert all(bool(one.grad.any()) for one in block.parameters())


def test_weights_are_a_convolution_of_similarities_times_a_map_of_edges():
    weigh = StructureWeights(DIM, HEADS, 2, generator=seeded()).double()
    x, edges = normal(1, TOKENS, DIM), normal(1, TOKENS, TOKENS, 2, seed=1)
    alike = torch.nn.functional.pad(x[0] @ x[0].T / DIM, (1, 1, 1, 1))
    kernel, bias = weigh.convolution.weight[1, 0], weigh.convolution.bias[1]
    wanted = (kernel * alike[2:5, 1:4]).sum() + bias
    wanted = wanted * (weigh.linear.weight[1] @ edges[0, 2, 1] + weigh.linear.bias[1])
    torch.testing.assert_close(weigh(x, edges)[0, 1, 2, 1], wanted)


def test_noise_is_in_evaluation_only_with_a_generator():
    block, structure, x = make_block(noise=0.5), make_structure(), normal(2, TOKENS, DIM)
    with pytest.raises(ValueError, match="generator"):
        block(x, structure)
    noisy, again = block(x, structure, generator=seeded()), block(x, structure, generator=seeded())
    assert torch.equal(noisy, again)
    still = block.eval()(x, structure)
    assert not torch.equal(still, noisy) and torch.equal(block(x, structure, generator=seeded()), noisy)
    assert torch.equal(noisy[-1, -1], x[-1, -1])


def test_what_stands_at_an_absent_edge_changes_nothing():
    block, structure, x = make_block(steps=2), make_structure(), normal(2, TOKENS, DIM)
    absent = ~(structure.allowed & structure.present[:, None] & structure.present[..., None])[:, None]
    for value in (torch.nan, torch.inf, 1e300):
        strange = structure._replace(weights=structure.weights.masked_fill(absent, value))
        assert torch.equal(block(x, strange), block(x, structure))
        g = block.normalize(x)
        assert torch.equal(block.force(g, strange), block.force(g, structure))
        assert torch.equal(block.energy(g, strange), block.energy(g, structure))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weight_of_an_edge_that_is_not_finite_is_refused(value):
    structure = make_structure()
    query, key = structure.allowed[0].nonzero()[0].tolist()
    structure.weights[0, 1, query, key] = value
    with pytest.raises(ValueError, match=r"structure\.weights must be finite"):
        make_block()(normal(2, TOKENS, DIM), structure)


def test_arguments_are_checked_once_and_not_at_every_step(monkeypatch):
    block, structure, x = make_block(steps=5), make_structure(), normal(2, TOKENS, DIM)
    true, names = block.tokens.check_tokens, []
    monkeypatch.setattr(block.tokens, "check_tokens", lambda x, name: (names.append(name), true(x, name)))
    block(x, structure)
    block.descend(x, structure, max_steps=5, tol=0.0)
    assert names == ["x", "x"]


def test_states_that_leave_the_range_of_numbers_are_warned_of():
    block, structure = make_block(dtype=torch.float32), make_structure(dtype=torch.float32)
    block.step_size = 3e38
    with pytest.warns(EnergyUnboundedWarning, match="diverged"):
        block(normal(2, TOKENS, DIM, dtype=torch.float32), structure)


def test_step_of_a_descent_is_a_number_or_backtracked():
    block, structure, x = make_block(), make_structure(), normal(2, TOKENS, DIM)
    found = block.descend(x, structure, max_steps=1, tol=0.0, step_size=0.3).states
    torch.testing.assert_close(found, x + 0.3 * block.force(block.normalize(x), structure), rtol=1e-12, atol=1e-12)
    for bad, error in [("fast", ValueError), (0.0, ValueError), ([1], TypeError)]:
        with pytest.raises(error, match="step_size"):
            block.descend(x, structure, step_size=bad)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"weights": [1.0]}, TypeError, r"structure\.weights"),
        ({"weights": torch.ones(2, HEADS, TOKENS, TOKENS)}, ValueError, r"structure\.weights must be torch\.float64"),
        ({"present": [True]}, TypeError, r"structure\.present"),
        ({"weights": torch.ones(2, 1, TOKENS, TOKENS)}, ValueError, "weights"),
        ({"allowed": torch.ones(2, TOKENS, 3).bool()}, ValueError, "allowed"),
        ({"present": torch.ones(2, 1).bool()}, ValueError, "present"),
        ({"allowed": torch.ones(2, TOKENS, TOKENS)}, TypeError, "Boolean"),
    ],
)
def test_structure_that_does_not_fit_is_named(change, error, word):
    with pytest.raises(error, match=word):
        make_block()(normal(2, TOKENS, DIM), make_structure()._replace(**change))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"heads": 0}, "heads"),
        ({"step_size": 0.0}, "step_size"),
        ({"beta": -1.0}, "beta"),
        ({"init": "big"}, "init"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_bad_settings_of_the_block_are_named(options, word):
    with pytest.raises(ValueError, match=word):
        StructuredEnergyTransformer(DIM, **options)


def test_tokens_of_another_width_or_not_finite_are_refused():
    block, structure = make_block(), make_structure()
    with pytest.raises(ValueError, match="shape"):
        block(normal(2, TOKENS, DIM + 1), structure)
    with pytest.raises(ValueError, match="finite"):
        block(torch.full((2, TOKENS, DIM), torch.nan, dtype=torch.float64), structure)


def graph(nodes, edges, seed=0, *, features=3, kinds=2):
    pairs = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    index = torch.cat([pairs, pairs.flip(0)], 1)
    drawn = normal(len(edges), kinds, seed=seed, dtype=torch.float32)
    return SimpleNamespace(
        node_features=normal(nodes, features, seed=seed + 1, dtype=torch.float32),
        edge_index=index,
        edge_features=torch.cat([drawn, drawn]),
    )


GRAPHS = [graph(3, [(0, 1), (1, 2)]), graph(7, [(0, 1), (2, 5), (5, 6), (0, 6)], 1), graph(1, [], 2), graph(7, [(0, 3)], 3)]


def test_class_token_is_linked_to_all_and_edges_carry_their_features():
    tokens = collate(prepare(GRAPHS, positions=2)[1:2])
    allowed, edges = tokens.allowed[0], tokens.edges[0]
    assert bool(allowed[0].all() and allowed[:, 0].all() and allowed.diagonal().all())
    assert int(allowed[1:, 1:].sum()) == 7 + 2 * 4
    assert torch.equal(edges[3, 6, 2:], GRAPHS[1].edge_features[1]) and torch.equal(edges[6, 3], edges[3, 6])
    assert edges[0, 4].tolist() == [1, 0, 0, 0] and edges[4, 4].tolist() == [0, 1, 0, 0] and not edges[2, 4].any()
    assert edges[0, 0].tolist() == [1, 1, 0, 0] and edge_width(GRAPHS[1]) == edges.shape[2] == 4


def test_positions_are_eigenvectors_with_the_smallest_eigenvalues_but_the_first():
    (tokens,) = prepare([GRAPHS[1]], positions=3)
    allowed = collate([tokens]).allowed
    adjacency = allowed[0].double() - torch.eye(8, dtype=torch.float64)
    degrees = adjacency.sum(1)
    laplacian = torch.eye(8, dtype=torch.float64) - adjacency / (degrees[:, None] * degrees).sqrt()
    values = torch.linalg.eigvalsh(laplacian)
    vectors = laplacian_positions(allowed, 3)[0]
    torch.testing.assert_close(laplacian @ vectors, vectors * values[1:4])
    torch.testing.assert_close(vectors.norm(dim=0), torch.ones(3, dtype=torch.float64))
    assert abs(float(values[0])) < 1e-12 < float(values[1])
    torch.testing.assert_close(tokens.positions, vectors.float())


def test_small_graphs_have_zeros_for_missing_positions():
    tokens = prepare(GRAPHS, positions=5)
    assert tokens[2].positions.shape == (2, 5) and not tokens[2].positions[:, 1:].any() and tokens[2].positions[:, 0].any()
    assert prepare(GRAPHS, positions=0)[1].positions.shape == (8, 0)


def test_positions_of_graphs_of_one_size_do_not_depend_on_their_company():
    together = prepare(GRAPHS, positions=3)
    for one, alone in zip(together, GRAPHS, strict=True):
        assert torch.equal(one.positions, prepare([alone], positions=3)[0].positions)


@pytest.mark.parametrize("edges", [[(0, n) for n in range(1, 6)], [(n, (n + 1) % 6) for n in range(6)], []])
def test_positions_that_symmetries_leave_open_do_not_depend_on_company(edges):
    one, others = graph(6, edges), [graph(6, [(0, n), (n, 5)]) for n in range(1, 5)]
    (alone,) = prepare([one], positions=4)
    for place in range(5):
        together = prepare([*others[:place], one, *others[place:]], positions=4)
        torch.testing.assert_close(together[place].positions, alone.positions, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weighted", [True, False])
def test_scores_of_a_graph_do_not_depend_on_its_batch(weighted):
    model = GraphEnergyTransformer(
        3, 4, 2, dim=16, heads=2, key_dim=8, blocks=2, depth=2, positions=3, weighted=weighted, generator=seeded()
    )
    tokens = prepare(GRAPHS, positions=3)
    model.eval()
    together = model(collate(tokens))
    alone = torch.cat([model(collate([one])) for one in tokens])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert torch.equal(together, model(collate(tokens)))


def permuted(one, order):
    place = order.argsort()
    return SimpleNamespace(
        node_features=one.node_features[order], edge_index=place[one.edge_index], edge_features=one.edge_features
    )


@pytest.mark.parametrize(("kernel", "same"), [(1, True), (3, False)])
def test_order_of_nodes_matters_to_the_convolution_alone(kernel, same):
    model = GraphEnergyTransformer(
        3, 4, 2, dim=16, heads=2, key_dim=8, blocks=1, depth=2, positions=0, kernel=kernel, generator=seeded()
    ).double()
    one = SimpleNamespace(**{name: part.double() if part.is_floating_point() else part for name, part in vars(GRAPHS[1]).items()})
    model.eval()
    scores = [model(collate(prepare([each], positions=0))) for each in (one, permuted(one, torch.tensor([3, 0, 6, 1, 5, 2, 4])))]
    assert torch.allclose(*scores, rtol=1e-10, atol=1e-10) is same


def test_positions_do_not_depend_on_the_order_of_nodes():
    one = graph(8, [(0, 1), (1, 2), (2, 3), (3, 4), (2, 5), (5, 6), (5, 0), (4, 7)])
    (tokens,) = prepare([one], positions=4)
    for seed in range(10):
        order = torch.randperm(8, generator=seeded(seed))
        (other,) = prepare([permuted(one, order)], positions=4)
        torch.testing.assert_close(other.positions[1:], tokens.positions[1:][order], rtol=0, atol=1e-6)


def test_decompositions_in_parts_change_nothing(monkeypatch):
    whole = prepare(GRAPHS * 3, positions=3)
    sizes, true = [], torch.linalg.eigh
    monkeypatch.setattr("attractor.nn.energy_transformer.graphs.ENTRIES_AT_ONCE", 2 * 8**2)
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrices: (sizes.append(tuple(matrices.shape[:2])), true(matrices))[1])
    parts = prepare(GRAPHS * 3, positions=3)
    assert all(torch.equal(one.positions, other.positions) for one, other in zip(whole, parts, strict=True))
    assert [size for size in sizes if size[1] == 8] == [(2, 8)] * 3


def test_prepared_graphs_take_memory_by_their_edges():
    (tokens,) = prepare([graph(400, [(n, n + 1) for n in range(399)])], positions=0)
    assert tokens.pairs.shape[1] == 2 * 399 + 3 * 400 + 1 == len(tokens.edges)


def test_of_parallel_edges_the_first_counts_and_loops_keep_their_features():
    one = SimpleNamespace(
        node_features=torch.ones(2, 1),
        edge_index=torch.tensor([[0, 0, 1], [1, 1, 1]]),
        edge_features=torch.tensor([[3.0], [4.0], [5.0]]),
    )
    edges = collate(prepare([one], positions=0)).edges[0]
    assert edges[1, 2].tolist() == [0, 0, 3] and edges[2, 2].tolist() == [0, 1, 5] and edges[2, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("change", [{"features": 5}, {"kinds": 1}])
def test_batch_of_unlike_graphs_names_them(change):
    with pytest.raises(ValueError, match=r"graphs\[1\]"):
        collate(prepare([GRAPHS[0], graph(2, [(0, 1)], **change)], positions=2))
    with pytest.raises(ValueError, match=r"graphs\[1\].*positions"):
        collate([*prepare(GRAPHS[:1], positions=2), *prepare(GRAPHS[:1], positions=3)])


@pytest.mark.parametrize(("change", "word"), [({"features": 5}, "nodes"), ({"kinds": 1}, "edges"), ({}, "positions")])
def test_batch_that_the_model_is_not_for_is_named(change, word):
    model = GraphEnergyTransformer(3, 4, 2, dim=16, heads=2, key_dim=8, blocks=1, positions=2, generator=seeded()).eval()
    with pytest.raises(ValueError, match=rf"batch\.{word} must be"):
        model(collate(prepare([graph(2, [(0, 1)], **change)], positions=2 if change else 3)))
    with pytest.raises(ValueError, match=r"batch\.nodes .*torch\.float64"):
        model.double()(collate(prepare(GRAPHS, positions=2)))


def test_signs_of_positions_are_drawn_for_each_graph_and_eigenvector():
    batch = collate(prepare([GRAPHS[1]] * 64, positions=3))
    other = flipped(batch, seeded())
    signs = other.positions[:, 1] / batch.positions[:, 1]
    assert set(signs.flatten().tolist()) == {-1.0, 1.0} and len({tuple(row) for row in signs.tolist()}) == 8
    torch.testing.assert_close(other.positions, batch.positions * signs[:, None])


def test_model_learns_from_structure_alone():
    """Triangles against paths, with the same nodes: only the edges tell them apart."""
    kinds = [[(0, 1), (1, 2), (2, 0)], [(0, 1), (1, 2)]]
    graphs = [graph(3, kinds[n % 2], features=1) for n in range(8)]
    for one in graphs:
        one.node_features, one.edge_features = torch.ones(3, 1), None
    batch, labels = collate(prepare(graphs, positions=0)), torch.arange(8) % 2
    model = GraphEnergyTransformer(
        1, 3, 2, dim=16, heads=2, key_dim=8, blocks=2, depth=2, step_size=0.5, positions=0, generator=seeded()
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch, generator=seeded(step)), labels).backward()
        optimiser.step()
    assert torch.equal(model.eval()(batch).argmax(-1), labels)


def test_every_item_is_visited_once_in_batches_of_similar_size():
    sizes = torch.randint(1, 100, (333,), generator=seeded()).tolist()
    first, second = ([*batches(sizes, 10, seeded(seed))] for seed in (0, 1))
    assert sorted(item for part in first for item in part) == [*range(333)] and first != second and max(map(len, first)) == 10
    assert sum(max(sizes[item] for item in part) * len(part) for part in first) < 1.25 * sum(sizes)
