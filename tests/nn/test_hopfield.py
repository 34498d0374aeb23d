"""Hopfield layers: attention at one step, descent, masks, sparse weights, learned sets, weights of the public package."""

import pytest
import torch
from nn.public_hopfield import public_hopfield, random_weights
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from attractor import DenseMemory, Dot, Entmax, Polynomial, SoftMax, TopK
from attractor.errors import NotConvergedWarning
from attractor.nn import HopfieldAttention, HopfieldLookup, HopfieldPooling, from_hopfield_layers
from attractor.nn.hopfield.convert import OWN, SETTINGS

SEPARATIONS = ["softmax", "sparsemax", "entmax", TopK(3)]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(dim=6, seed=1, **settings):
    return HopfieldAttention(dim, generator=torch.Generator().manual_seed(seed), **settings).double()


def plain(**settings):
    return layer(project=(), normalize=(), **settings)


def test_one_step_is_multi_head_attention():
    torch.manual_seed(0)
    public = nn.MultiheadAttention(8, 2, batch_first=True).double()
    nn.init.normal_(public.in_proj_bias)
    ours = layer(8, heads=2, normalize=())
    with torch.no_grad():
        for name, weight, bias in zip(
            ("state", "memory", "value"), public.in_proj_weight.chunk(3), public.in_proj_bias.chunk(3), strict=True
        ):
            ours.maps[name].weight.copy_(weight)
            ours.maps[name].bias.copy_(bias)
        ours.maps["out"].weight.copy_(public.out_proj.weight)
    states, memories, values = normal(3, 4, 8), normal(3, 5, 8, seed=1), normal(3, 5, 8, seed=2)
    torch.testing.assert_close(ours(states, memories, values), public(states, memories, values)[0])


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_steps_are_soft_max_reads(steps):
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    expected = states
    for _ in range(steps):
        expected = scaled_dot_product_attention(expected, memories, memories, scale=2.0)
    torch.testing.assert_close(plain(beta=2.0, steps=steps)(states, memories), expected)


def test_lookup_recalls_as_a_dense_memory_does():
    patterns, cues = normal(20, 6), normal(4, 6, seed=1)
    memory = DenseMemory(6, similarity=Dot(), separation=SoftMax(3.0))
    memory.store(patterns)
    found = HopfieldLookup.from_patterns(patterns, beta=3.0, steps=50)(cues[:, None])
    torch.testing.assert_close(found[:, 0], memory.recall(cues, max_steps=50, tol=1e-12).patterns)


@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("heads", [1, 2])
def test_energy_never_rises(separation, heads):
    beta = torch.tensor([1.0, 5.0])[:heads].double()
    memories, states = normal(3, 9, 6, seed=1), 3 * normal(3, 4, 6)
    energies = []
    for steps in range(1, 9):
        one = plain(beta=beta, steps=steps, separation=separation, heads=heads)
        moved = one(states, memories).unflatten(-1, (heads, 6)) if steps > 1 else None
        if moved is not None:
            energies.append(
                torch.stack(
                    [plain(beta=beta[h], separation=separation).energy(moved[:, :, h], memories)[:, 0] for h in range(heads)]
                )
            )
    rises = torch.stack(energies).diff(dim=0)
    assert rises.max() <= 1e-12 and rises.min() < -1e-6


@pytest.mark.parametrize("separation", ["sparsemax", "entmax", TopK(3)])
def test_sparse_weights_are_truly_sparse_and_those_of_the_memory(separation):
    memories, states = normal(1, 30, 6, seed=1), normal(1, 5, 6)
    one = plain(beta=2.0, separation=separation)
    weights = one.weights(states, memories)[0, 0]
    torch.testing.assert_close(weights.sum(-1), torch.ones(5).double())
    assert (weights == 0).any(-1).all()
    kind = one.association.separation.at(2.0)
    memory = DenseMemory(6, similarity=Dot(), separation=kind)
    memory.store(memories[0])
    torch.testing.assert_close(weights @ memories[0], memory.read(states[0]).values)
    torch.testing.assert_close(one(states, memories)[0], weights @ memories[0])


@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("steps", [1, 3])
def test_masked_patterns_are_as_if_not_there(separation, steps):
    one = layer(heads=2, steps=steps, separation=separation)
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    there = torch.tensor([True] * 4 + [False] * 3)
    for mask in (there.expand(3, 7), there.expand(2, 1, 7), there.expand(2, 2, 3, 7)):
        torch.testing.assert_close(one(states, memories, mask=mask), one(states, memories[:, :4]))
    assert (one.weights(states, memories, mask=there.expand(3, 7))[..., 4:] == 0).all()


@pytest.mark.parametrize("separation", SEPARATIONS)
def test_states_that_may_read_nothing_read_zeros_and_give_no_gradient(separation):
    one = plain(separation=separation, steps=2, beta=1.0)
    states, memories = normal(2, 3, 6).requires_grad_(), normal(2, 5, 6, seed=1)
    mask = torch.ones(2, 3, 5, dtype=torch.bool)
    mask[0, 1] = False
    found = one(states, memories, mask=mask)
    assert (found[0, 1] == 0).all() and (found[1] != 0).any()
    found.sum().backward()
    assert states.grad.isfinite().all() and (states.grad[0, 1] == 0).all()


def test_null_pattern_is_a_pattern_of_zeros():
    states, memories = normal(2, 3, 6), normal(2, 5, 6, seed=1)
    zeros = torch.cat([memories, torch.zeros(2, 1, 6).double()], 1)
    one = plain(beta=1.0, steps=2, null_pattern=True)
    torch.testing.assert_close(one(states, memories), plain(beta=1.0, steps=2)(states, zeros))
    assert one.weights(states, memories).shape == (2, 1, 3, 6)


def test_weights_and_gradients_of_both_ways_agree():
    # tol > 0 writes the weights down, tol = 0 leaves them to the fused kernel
    fused, written = layer(heads=2, steps=3), layer(heads=2, steps=3, tol=1e-300)
    states, memories, mask = normal(2, 3, 6).requires_grad_(), normal(2, 7, 6, seed=1), torch.rand(2, 3, 7) < 0.7
    gradients = []
    for one in (fused, written):
        found = one(states, memories, mask=mask)
        gradients.append([found, *torch.autograd.grad(found.square().sum(), [states, *one.parameters()])])
    for left, right in zip(*gradients, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize(("separation", "tol"), [("softmax", 1e-300), *((one, 0.0) for one in SEPARATIONS)])
def test_gradients_are_those_of_finite_differences(separation, tol):
    one = layer(heads=2, steps=3, tol=tol, beta=torch.tensor([0.2, 0.4]), learn_beta=True, separation=separation)
    states, memories = normal(2, 3, 6).requires_grad_(), normal(2, 4, 6, seed=1).requires_grad_()
    mask = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)) < 0.7
    mask[0, 1] = False
    assert torch.autograd.gradcheck(lambda *sets: one(*sets, mask=mask), (states, memories))
    one(states, memories).sum().backward()
    assert (one.log_beta.grad != 0).all()


@pytest.mark.parametrize("separation", SEPARATIONS)
def test_gradient_of_the_energy_is_the_state_less_its_read_out(separation):
    one = plain(heads=2, beta=torch.tensor([0.5, 2.0]), separation=separation)
    states, memories = normal(2, 3, 6).requires_grad_(), normal(2, 5, 6, seed=1)
    mask = torch.ones(2, 3, 5, dtype=torch.bool)
    mask[1, :, 2:] = False
    mask[0, 1] = False  # may read nothing
    energy = one.energy(states, memories, mask=mask)
    torch.testing.assert_close(energy[0, :, 1], (states[0, 1].square().sum() / 2).expand(2))
    (gradient,) = torch.autograd.grad(energy.sum(), states)
    read = one(states, memories, mask=mask).unflatten(-1, (2, 6)).sum(2)
    torch.testing.assert_close(gradient, 2 * states - read)


def test_beta_of_each_head_is_its_own():
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    both = plain(heads=2, beta=torch.tensor([1.0, 8.0]))(states, memories)
    for head, beta in enumerate((1.0, 8.0)):
        torch.testing.assert_close(both[..., 6 * head : 6 * head + 6], plain(beta=beta)(states, memories))


def test_heads_rest_one_by_one_within_the_tolerance():
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    rested = plain(heads=2, beta=torch.tensor([0.1, 8.0]), steps=None, tol=1e-12)(states, memories)
    torch.testing.assert_close(rested, plain(heads=2, beta=torch.tensor([0.1, 8.0]), steps=500)(states, memories))


def test_samples_do_not_see_each_other():
    one = layer(heads=2, steps=3)
    states, memories = normal(4, 3, 6), normal(4, 7, 6, seed=1)
    alone = torch.cat([one(states[i : i + 1], memories[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(one(states, memories), alone)


def test_order_of_the_patterns_changes_nothing():
    one = layer(heads=2, steps=2, separation="entmax")
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one(states, memories), one(states, memories[:, order]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("separation", SEPARATIONS)
def test_half_precision_stays_finite_and_near(dtype, separation):
    one = layer(heads=2, steps=2, separation=separation)
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    exact = one(states, memories)
    found = one.to(dtype)(states.to(dtype), memories.to(dtype))
    assert found.dtype == dtype
    assert (found.double() - exact).abs().max() < 64 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1, 300])  # squares of 300 overflow in float16
def test_energy_and_weights_in_half_precision_are_those_of_the_rounded_numbers(dtype, scale):
    states, memories = (scale * normal(2, 3, 6)).to(dtype), (scale * normal(2, 7, 6, seed=1)).to(dtype)
    one = plain(beta=0.7 / scale)
    for exact, found, tolerance in (
        (one.energy(states.double(), memories.double()), one.energy(states, memories), 1e-5),
        (one.weights(states.double(), memories.double()), one.weights(states, memories), torch.finfo(dtype).eps),
    ):
        torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)
    assert one.energy(states, memories).dtype == torch.float32


@pytest.mark.parametrize("separation", SEPARATIONS)
@pytest.mark.parametrize("project", [("state",), ("state", "memory", "value", "out")])
def test_autocast_is_near(separation, project):
    one = HopfieldAttention(6, project=project, steps=2, separation=separation, generator=torch.Generator().manual_seed(1))
    states, memories = normal(2, 3, 6).float(), normal(2, 7, 6, seed=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, energy = one(states, memories), one.energy(states, memories)
        mixed = one(states.bfloat16(), memories)
    for exact, near in ((one(states, memories), found), (one(states, memories), mixed), (one.energy(states, memories), energy)):
        assert (near - exact).abs().max() < 0.1
    assert energy.dtype == torch.float32


@pytest.mark.parametrize("settings", [{}, {"steps": 3}, {"steps": None, "tol": 1e-3}, {"separation": "entmax", "steps": 3}])
def test_an_empty_batch_gives_an_empty_batch(settings):
    assert layer(**settings)(normal(0, 3, 6), normal(0, 7, 6)).shape == (0, 3, 6)


@pytest.mark.parametrize("separation", SEPARATIONS)
def test_dropout_is_for_training_only(separation):
    one, whole = layer(dropout=0.5, separation=separation), layer(separation=separation)
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    torch.manual_seed(0)
    assert (one(states, memories) != whole(states, memories)).any()
    torch.testing.assert_close(one.eval()(states, memories), whole(states, memories))


def test_state_dict_rebuilds_the_layer():
    one, other = (layer(heads=2, beta=torch.tensor([1.0, beta]), learn_beta=True, seed=int(beta)) for beta in (3.0, 5.0))
    other.load_state_dict(one.state_dict())
    states = normal(2, 3, 6)
    torch.testing.assert_close(one(states), other(states), rtol=0, atol=0)


def test_energy_is_that_of_what_may_be_read():
    one = layer(heads=2)
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    there = torch.tensor([True] * 4 + [False] * 3).expand(3, 7)
    torch.testing.assert_close(one.energy(states, memories, mask=there), one.energy(states, memories[:, :4]))


def test_fixed_beta_is_exact_in_double_precision():
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    expected = (0.7 * states @ memories.mT).softmax(-1) @ memories
    torch.testing.assert_close(plain(beta=0.7)(states, memories), expected, rtol=0, atol=1e-14)


def test_learned_beta_stays_positive():
    one = plain(beta=0.01, learn_beta=True)
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    optimizer = torch.optim.SGD(one.parameters(), lr=10.0)
    for _ in range(20):
        optimizer.zero_grad()
        one(states, memories).square().sum().backward()
        optimizer.step()
    assert (one.beta > 0).all() and one.beta.item() != 0.01


def test_samples_that_never_rest_are_told(monkeypatch):
    monkeypatch.setattr("attractor.nn.hopfield.association.MOST_STEPS", 3)
    with pytest.warns(NotConvergedWarning, match="1 of 1"):
        plain(beta=1.0, steps=None, tol=1e-12)(normal(2, 3, 6), normal(2, 7, 6, seed=1))


def test_it_compiles():
    one = layer(heads=2, steps=3)
    states, memories = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    compiled = torch.compile(one, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(states, memories), one(states, memories))


def test_pooling_reads_a_set_with_learned_states():
    bags = normal(3, 10, 6)
    pooling = HopfieldPooling(6, queries=3, heads=2, generator=torch.Generator().manual_seed(0)).double()
    found = pooling(bags)
    assert found.shape == (3, 18)
    expected = pooling.attention(pooling.queries.expand(3, -1, -1), bags)
    torch.testing.assert_close(found, expected.flatten(1))
    assert pooling.weights(bags).shape == (3, 2, 3, 10)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pooling(bags[:, order]), found)
    real = torch.arange(10) < torch.tensor([[4], [10], [1]])  # as many sets as learned states, to tell (b, s) from (queries, s)
    alone = torch.cat([pooling(bags[i : i + 1, : int(real[i].sum())]) for i in range(3)])
    torch.testing.assert_close(pooling(bags, mask=real), alone)


def test_pooling_learns_which_item_matters():
    """A bag is positive when one item of thirty bears a mark; the mean of a bag hardly shows it."""
    reached = {}
    for name, beta in (("pooling", 1.0), ("mean", 1e-9)):
        generator = torch.Generator().manual_seed(0)
        bags = torch.randn(800, 30, 8, generator=generator)
        labels = torch.arange(800) % 2
        bags[labels == 1, 3, :2] += 3
        head = nn.Linear(8, 1)
        nn.init.normal_(head.weight, std=0.3, generator=generator)
        model = nn.Sequential(HopfieldPooling(8, beta=beta, normalize=(), generator=generator), head)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(200):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(bags[:400])[:, 0], labels[:400].float()).backward()
            optimizer.step()
        reached[name] = float(((model(bags[400:])[:, 0] > 0) == labels[400:].bool()).float().mean())
    assert reached["pooling"] > 0.85 and reached["mean"] < 0.75


def test_learned_sets_have_the_energy_of_the_association():
    generator = torch.Generator().manual_seed(0)
    pooling, lookup = (
        kind.double() for kind in (HopfieldPooling(6, queries=2), HopfieldLookup(6, memories=7, generator=generator))
    )
    sets, items, some = normal(3, 4, 6), torch.ones(3, 4, dtype=torch.bool), torch.ones(4, 7, dtype=torch.bool)
    items[1, 2:], some[2, 3:] = False, False
    expected = pooling.attention.energy(pooling.queries.expand(3, -1, -1), sets, mask=items[:, None])
    torch.testing.assert_close(pooling.energy(sets, mask=items), expected)
    expected = lookup.attention.energy(sets, lookup.memories.expand(3, -1, -1), mask=some)
    torch.testing.assert_close(lookup.energy(sets, mask=some), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_lookup_has_the_precision_of_its_patterns(dtype):
    patterns = normal(5, 6).to(dtype)
    lookup = HopfieldLookup.from_patterns(patterns, learn_beta=True)
    assert {parameter.dtype for parameter in lookup.parameters()} == {dtype}
    assert lookup(patterns[None]).dtype == dtype


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: HopfieldLookup.from_patterns(torch.ones(5, 6), torch.ones(4, 3)), "values"),
        (lambda: HopfieldLookup.from_patterns(torch.ones(5, 6).double(), torch.ones(5, 3)), "values"),
        (lambda: HopfieldLookup.from_patterns(torch.full((5, 6), torch.nan)), "patterns"),
        (lambda: HopfieldLookup.from_patterns(torch.ones(5, 6), value_dim=3), "value_dim"),
        (lambda: HopfieldLookup(6, memories=5, value_dim=3), "value_dim"),
        (lambda: HopfieldLookup(6, memories=0), "memories"),
        (lambda: HopfieldLookup(6, memories=5)(torch.ones(3, 6)), "states"),
        (lambda: HopfieldLookup(6, memories=5)([1]), "states"),
        (lambda: HopfieldPooling(6, queries=0), "queries"),
        (lambda: HopfieldPooling(6)(torch.tensor(1.0)), "memories"),
        (lambda: HopfieldPooling(6)(torch.full((2, 3, 6), torch.nan)), "memories"),
    ],
)
def test_bad_learned_sets_are_refused_by_name(make, word):
    with pytest.raises((ValueError, TypeError), match=word):
        make()


def test_lookup_reads_separate_values():
    patterns, values = normal(5, 6), normal(5, 3, seed=1)
    found = HopfieldLookup.from_patterns(patterns, values, beta=200.0)(patterns[None])
    torch.testing.assert_close(found[0], values, atol=1e-6, rtol=0)
    assert {name for name, _ in HopfieldLookup.from_patterns(patterns, values).named_parameters()} == {"memories", "values"}


STATIC = {"state_pattern_as_static": True, "stored_pattern_as_static": True, "pattern_projection_as_static": True}
UNNORMALIZED = {
    f"normalize_{name}{end}": False for name in ("state_pattern", "stored_pattern", "pattern_projection") for end in ("", "_affine")
}
CASES = {
    "defaults": {},
    "heads": {"num_heads": 3},
    "updates": {"num_heads": 2, "update_steps_max": 5, "scaling": 1.5},
    "updates that rest": {"num_heads": 2, "update_steps_max": 500, "update_steps_eps": 1e-2, "scaling": 4.0},
    "until rest": {"update_steps_max": None, "update_steps_eps": 1e-3, "scaling": 2.0},
    "sizes": {"hidden_size": 5, "pattern_size": 4, "output_size": 7, "stored_pattern_size": 8, "pattern_projection_size": 3},
    "sizes, heads": {"num_heads": 2, "hidden_size": 5, "pattern_size": 4, "stored_pattern_size": 8, "pattern_projection_size": 3},
    "no shifts": {"input_bias": False, "num_heads": 2},
    "no norms": UNNORMALIZED,
    "norms without weights": {
        f"normalize_{name}_affine": False for name in ("state_pattern", "stored_pattern", "pattern_projection")
    },
    "eps of norms": {
        "normalize_state_pattern_eps": 0.1,
        "normalize_stored_pattern_eps": 0.2,
        "normalize_pattern_projection_eps": 0.3,
    },
    "space": {
        "normalize_hopfield_space": True,
        "normalize_hopfield_space_affine": True,
        "hidden_size": 4,
        "num_heads": 2,
        "update_steps_max": 2,
    },
    "space without weights": {"normalize_hopfield_space": True, "update_steps_max": 1},
    "connected": {"pattern_projection_as_connected": True, "num_heads": 2},
    "connected, static": {"pattern_projection_as_connected": True, "pattern_projection_as_static": True, "num_heads": 2},
    "zero": {"add_zero_association": True, "num_heads": 2, "update_steps_max": 2},
    "shifts of patterns": {"concat_bias_pattern": True},
    "static state": {"state_pattern_as_static": True},
    "static patterns": {"stored_pattern_as_static": True},
    "static values": {"pattern_projection_as_static": True},
    "static states and patterns": {"state_pattern_as_static": True, "stored_pattern_as_static": True, "update_steps_max": 3},
    "no output projection": {"disable_out_projection": True, "num_heads": 2, "hidden_size": 4},
    "until rest, by a negative number": {"update_steps_max": -1, "update_steps_eps": 1e-3, "scaling": 2.0},
    "static state of a head's width": {"state_pattern_as_static": True, "num_heads": 2, **UNNORMALIZED},
    "static patterns of a head's width": {"stored_pattern_as_static": True, "hidden_size": 4, "output_size": 5, **UNNORMALIZED},
    "static values of a head's width": {
        "pattern_projection_as_static": True,
        "pattern_projection_size": 3,
        "num_heads": 2,
        **UNNORMALIZED,
    },
    "static values of any width": {
        "pattern_projection_as_static": True,
        "pattern_projection_size": 5,
        "disable_out_projection": True,
        "num_heads": 2,
    },
    "static states and patterns, heads": {"state_pattern_as_static": True, "stored_pattern_as_static": True, "num_heads": 2},
    "all static": {**STATIC, "disable_out_projection": True, "num_heads": 2, "update_steps_max": 2},
    "all static, connected": {**STATIC, "disable_out_projection": True, "pattern_projection_as_connected": True},
    "all static, output projection": {**STATIC, "output_size": 5},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_weights_of_the_public_package_give_its_output(case):
    settings = {**SETTINGS, "input_size": 6, **case}
    weights = random_weights(settings)
    ours = from_hopfield_layers(weights, "hopfield", input_size=6, **case).eval()
    state, stored = normal(3, 4, ours.dim), normal(3, 7, ours.memory_dim, seed=1)
    values = normal(3, 7, ours.value_dim, seed=2)
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1, 4:] = True
    for absent in (None, padding):
        mask = None if absent is None else ~absent[:, None]
        expected = public_hopfield(weights, settings, stored, state, values, absent)
        torch.testing.assert_close(ours(state, stored, values, mask=mask), expected, rtol=0, atol=1e-12)


def public_module(kind, **settings):
    """Weights of a public module around a `Hopfield`, and its settings."""
    everything = {**SETTINGS, **OWN[kind], "input_size": 6, "num_heads": 2, **settings}
    weights = {f"hopfield.{name}": tensor for name, tensor in random_weights(everything).items()}
    return weights, everything


def core(weights):
    return {name.removeprefix("hopfield."): tensor for name, tensor in weights.items() if name.startswith("hopfield.")}


NARROW = {"state_pattern_as_static": True, **UNNORMALIZED}


@pytest.mark.parametrize(("settings", "width"), [({}, 6), (NARROW, 3), (NARROW | {"stored_pattern_as_static": True}, 3)])
def test_public_pooling_gives_its_output(settings, width):
    given = {"quantity": 3, "update_steps_max": 2, **settings}
    weights, everything = public_module("pooling", **given)
    weights["pooling_weights"] = normal(1, 3, width, seed=7)
    ours = from_hopfield_layers(weights, "pooling", input_size=6, num_heads=2, **given)
    bags = normal(4, 9, ours.attention.memory_dim, seed=8)
    values = normal(4, 9, 6, seed=9)
    expected = public_hopfield(core(weights), everything, bags, weights["pooling_weights"].expand(4, -1, -1), values)
    torch.testing.assert_close(ours(bags, values), expected.flatten(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("settings", "width"), [({}, 6), ({"stored_pattern_as_static": True, "pattern_projection_size": 3, **UNNORMALIZED}, 3)]
)
def test_public_layer_gives_its_output(separate, settings, width):
    given = {"quantity": 5, "lookup_weights_as_separated": separate, **settings}
    weights, everything = public_module("lookup", **given)
    weights["lookup_weights"] = normal(1, 5, width, seed=7)
    if separate:
        weights["target_weights"] = normal(1, 5, width, seed=9)
    states = normal(4, 3, 6, seed=8)
    stored = weights["lookup_weights"].expand(4, -1, -1)
    values = weights["target_weights"].expand(4, -1, -1) if separate else stored
    expected = public_hopfield(core(weights), everything, stored, states, values)
    ours = from_hopfield_layers(weights, "lookup", input_size=6, num_heads=2, trainable=False, **given)
    torch.testing.assert_close(ours(states), expected, rtol=0, atol=1e-12)
    assert not ours.memories.requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_layer_has_the_precision_of_the_public_weights(dtype):
    weights = {name: tensor.to(dtype) for name, tensor in random_weights({**SETTINGS, "input_size": 6}).items()}
    ours = from_hopfield_layers(weights, "hopfield", input_size=6)
    assert torch.equal(ours.maps["out"].weight, weights["association_core.out_proj.weight"])
    assert {parameter.dtype for parameter in ours.parameters()} == {dtype}


def test_what_the_public_module_does_not_learn_is_not_learned():
    weights = random_weights({**SETTINGS, "input_size": 6, **CASES["norms without weights"]})
    ours = from_hopfield_layers(weights, "hopfield", input_size=6, **CASES["norms without weights"])
    assert {name for name, _ in ours.named_parameters() if name.startswith("norms")} == set()


def test_public_weights_of_several_precisions_are_refused():
    weights = random_weights({**SETTINGS, "input_size": 6})
    weights["norm_state_pattern.bias"] = weights["norm_state_pattern.bias"].float()
    with pytest.raises(ValueError, match="state_dict must have one precision"):
        from_hopfield_layers(weights, "hopfield", input_size=6)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"input_size": None}, "input_size"),
        ({"num_heads": 0}, "num_heads"),
        ({**STATIC, "num_heads": 2, "pattern_size": 3}, "static"),
        (
            {**STATIC, "num_heads": 2, "stored_pattern_size": 3, "disable_out_projection": True, "normalize_hopfield_space": True},
            "static",
        ),
        ({"unknown": 1}, "unknown"),
        ({"association_activation": "relu"}, "relu"),
        ({"scaling": torch.tensor([1.0, 2.0]), "num_heads": 2}, "scaling"),
        ({"output_size": 9}, "out_proj"),
        ({"num_heads": 4}, "heads"),
        ({"normalize_state_pattern": False, "normalize_state_pattern_affine": False}, "norm_state_pattern"),
        ({"stored_pattern_size": 8}, "q_proj_weight|k_proj_weight|rows|shape"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(settings, word):
    weights = random_weights({**SETTINGS, "input_size": 6})
    with pytest.raises(ValueError, match=word):
        from_hopfield_layers(weights, "hopfield", **{"input_size": 6, **settings})


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind"):
        from_hopfield_layers({}, "other", input_size=6)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"heads": 4}, "heads"),
        ({"heads": 0}, "heads"),
        ({"beta": -1.0}, "beta"),
        ({"beta": torch.ones(3), "heads": 2}, "beta"),
        ({"beta": torch.tensor([1.0, float("nan")]), "heads": 2}, "beta"),
        ({"steps": 0}, "steps"),
        ({"steps": None}, "tol"),
        ({"tol": float("nan")}, "tol"),
        ({"tol": None}, "tol must be a number"),
        ({"tol": True}, "tol must be a number"),
        ({"separation": Polynomial(3)}, "separation"),
        ({"separation": SoftMax(2.0)}, "beta"),
        ({"separation": Entmax(alpha=1.5, beta=3.0)}, "beta"),
        ({"separation": "hardmax"}, "separation"),
        ({"project": ("keys",)}, "project"),
        ({"project": "out"}, "project"),
        ({"normalize": ("out",)}, "normalize"),
        ({"project": ("memory",), "key_dim": 4}, "key_dim"),
        ({"project": (), "memory_dim": 4}, "key_dim"),
        ({"project": ("state", "memory"), "read_dim": 4}, "read_dim"),
        ({"project": ("state",), "out_dim": 4, "memory_dim": 3, "key_dim": 3}, "out_dim"),
        ({"connected": True, "value_dim": 4}, "connected"),
        ({"connected": True, "project": ()}, "connected"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": "a"}, "dropout must be a number"),
        ({"beta": nn.Parameter(torch.ones(1))}, "learn_beta=True"),
        ({"beta": torch.ones(1, requires_grad=True), "learn_beta": True}, "learn_beta=True"),
        ({"project": None}, "project"),
        ({"project": [["state"]]}, "project"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, word):
    with pytest.raises((ValueError, TypeError), match=word):
        HopfieldAttention(6, **settings)


@pytest.mark.parametrize(
    ("arguments", "mask", "word"),
    [
        ((torch.zeros(3, 6),), None, "states"),
        ((torch.zeros(2, 3, 5),), None, "states"),
        ((torch.zeros(2, 3, 6).long(),), None, "states"),
        ((torch.full((2, 3, 6), torch.nan),), None, "states must be finite"),
        ((torch.zeros(2, 3, 6), torch.full((2, 4, 6), torch.inf)), None, "memories must be finite"),
        ((torch.zeros(2, 3, 6), torch.zeros(2, 4, 6), torch.full((2, 4, 6), -torch.inf)), None, "values must be finite"),
        ((torch.zeros(2, 3, 6).double(),), None, "states must be torch.float32 like the weights"),
        ((torch.zeros(2, 3, 6), torch.zeros(2, 4, 6).double()), None, "memories must be torch.float32"),
        ((torch.zeros(2, 3, 6), torch.zeros(2, 4, 6), torch.zeros(2, 4, 6).half()), None, "values must be torch.float32"),
        ((torch.zeros(2, 3, 6), torch.zeros(2, 4, 5)), None, "memories"),
        ((torch.zeros(2, 3, 6), torch.zeros(3, 4, 6)), None, "memories"),
        ((torch.zeros(2, 3, 6), torch.zeros(2, 0, 6)), None, "memories"),
        ((torch.zeros(2, 3, 6), torch.zeros(2, 4, 6), torch.zeros(2, 5, 6)), None, "values"),
        ((torch.zeros(2, 3, 6),), torch.ones(2, 3, 3), "mask"),
        ((torch.zeros(2, 3, 6),), torch.ones(2, 3, dtype=torch.bool), "mask"),
        ((torch.zeros(2, 3, 6),), torch.ones(3, dtype=torch.bool), "mask"),
        ((torch.zeros(2, 3, 6),), torch.ones(4, 3, 3, dtype=torch.bool), "mask"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, mask, word):
    with pytest.raises((ValueError, TypeError), match=word):
        HopfieldAttention(6)(*arguments, mask=mask)


def test_precisions_that_differ_are_refused_without_weights_and_under_autocast_too():
    one = HopfieldAttention(6, project=(), normalize=())
    with pytest.raises(ValueError, match=r"memories must be torch\.float32 like the states"):
        one(torch.zeros(2, 3, 6), torch.zeros(2, 4, 6).double())
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(ValueError, match="states"):
        HopfieldAttention(6)(torch.zeros(2, 3, 6).double())
