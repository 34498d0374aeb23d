"""The block of the Energy Transformer: one energy, its force, and steps that do what the equations say."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attractor.energy import lagrangians
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.read import SoftMax

HOLE = torch.rand(7, 7, generator=torch.Generator().manual_seed(5)) < 0.5
HOLE[3] = False
KINDS = {
    "paper": {},
    "self": {"self_attention": True},
    "causal": {"causal": True},
    "causal, self": {"causal": True, "self_attention": True},
    "beta by head": {"beta": torch.tensor([0.3, 0.5, 2.0])},
    "learned beta": {"beta": 0.7, "learn_beta": True},
    "bias": {"bias": True},
    "softmax": {"activation": "softmax"},
    "softmax, learned": {"activation": SoftMax(nn.Parameter(torch.tensor(0.3, dtype=torch.float64)))},
    "no attention": {"attention": False},
    "no memory": {"memories": 0},
}


def block_of(kind="paper", seed=0, dim=8, dtype=torch.float64, **settings):
    settings = {"heads": 3, "key_dim": 4, "memories": 11, "init": "scaled", **KINDS[kind], **settings}
    generator = torch.Generator().manual_seed(seed)
    block = EnergyTransformer(dim, generator=generator, **settings).to(dtype)
    with torch.no_grad():
        block.norm.gain.fill_(1.3)
        for shift in (block.norm.bias, block.query_bias, block.key_bias):
            if shift is not None:
                shift.copy_(torch.randn(shift.shape, generator=generator))
    return block


def tokens_of(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("route", ["plain", "blocks", "fused"])
@pytest.mark.parametrize("mask", [None, HOLE], ids=["all", "hole"])
@pytest.mark.parametrize("kind", KINDS)
def test_force_is_minus_the_gradient_of_the_energy(kind, mask, route, generator):
    block = block_of(kind, route=route)
    g = block.normalize(tokens_of(generator, 2, 7, 8)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(block.energy(g, mask=mask).sum(), g)
    assert_close(block.force(g, mask=mask), -gradient, rtol=1e-10, atol=1e-11)


def test_the_paper_energy_is_its_formula(generator):
    block = block_of()
    g = block.normalize(tokens_of(generator, 1, 4, 8)).detach()
    energy = -block.memory.matmul(g[0].T).relu().square().sum() / 2
    for query, key in zip(block.query, block.key, strict=True):
        scores = 0.5 * (g[0] @ query.T) @ (g[0] @ key.T).T
        for token in range(4):
            energy -= sum(scores[token, other].exp() for other in range(4) if other != token).log() / 0.5
    assert_close(block.energy(g), energy[None])


def test_steps_are_those_of_an_independent_block(generator):
    """Written again from the equations: five-operation layer norm, looped heads, gradient by autograd."""
    block = block_of(dim=16, dtype=torch.float32, steps=12, step_size=0.1)
    x = tokens_of(generator, 2, 9, 16, dtype=torch.float32)

    def norm(x):
        centred = x - x.mean(-1, keepdim=True)
        return block.norm.gain * centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() + block.norm.bias

    def energy(g):
        total = torch.zeros(len(g))
        for query, key in zip(block.query, block.key, strict=True):
            scores = torch.einsum("bcy,bdy->bcd", g @ query.T, g @ key.T) / math.sqrt(4)
            scores = scores - torch.diag(torch.full((9,), math.inf))
            total = total - 2 * scores.logsumexp(-1).sum(-1)
        return total - (g @ block.memory.T).clamp_min(0).pow(2).sum((1, 2)) / 2

    state = x
    for _ in range(12):
        g = norm(state).detach().requires_grad_()
        state = (state - 0.1 * torch.autograd.grad(energy(g).sum(), g)[0]).detach()
    assert_close(block(x), state, rtol=1e-5, atol=1e-5)
    assert_close(block.energy(block.normalize(state)), energy(norm(state)), rtol=1e-5, atol=1e-5)


def test_parameters_of_the_paper_block_are_counted():
    block = EnergyTransformer(768)
    weights = sum(one.numel() for one in (block.query, block.key, block.memory))
    assert weights == 3_538_944
    assert sum(one.numel() for one in block.parameters()) == weights + 1 + 768


def test_norm_is_the_gradient_of_the_lagrangian_of_each_token(generator):
    block = block_of()
    x = tokens_of(generator, 1, 11, 8).requires_grad_()
    norm = lagrangians.LayerNorm(block.norm.gain, delta=block.norm.bias, dims=1)
    (gradient,) = torch.autograd.grad(norm.value(x).sum(), x)
    assert_close(block.normalize(x), gradient, rtol=1e-10, atol=1e-10)
    assert_close(block.normalize(x), norm.activation(x), rtol=1e-12, atol=1e-12)


def test_jacobian_of_the_norm_is_symmetric_and_positive_semidefinite(generator):
    block = block_of()
    jacobian = torch.autograd.functional.jacobian(block.norm, tokens_of(generator, 8))
    assert_close(jacobian, jacobian.T, rtol=1e-12, atol=1e-12)
    assert torch.linalg.eigvalsh(jacobian).min() >= -1e-12


def test_permuted_tokens_move_to_permuted_places(generator):
    block = block_of(route="blocks")
    x, order = tokens_of(generator, 2, 7, 8), torch.randperm(7, generator=generator)
    assert_close(block(x[:, order]), block(x)[:, order], rtol=1e-10, atol=1e-10)
    permuted = block(x[:, order], mask=HOLE[order][:, order])
    assert_close(permuted, block(x, mask=HOLE)[:, order], rtol=1e-10, atol=1e-10)


def test_samples_do_not_see_each_other(generator):
    block = block_of()
    x, masks = tokens_of(generator, 2, 7, 8), torch.stack([HOLE, ~HOLE])
    assert_close(block(x, mask=masks), torch.cat([block(one[None], mask=mask) for one, mask in zip(x, masks, strict=True)]))
    g = block.normalize(x)
    energies = block.energy(g, mask=masks)
    assert energies.shape == (2,)
    assert_close(energies, torch.cat([block.energy(one[None], mask=mask) for one, mask in zip(g, masks, strict=True)]))
    assert_close(energies, block.token_energies(g, mask=masks).sum(-1))


def test_a_constant_added_to_tokens_changes_no_activation(generator):
    block = block_of()
    x = tokens_of(generator, 2, 7, 8)
    assert_close(block.normalize(x + 3.7), block.normalize(x), rtol=1e-10, atol=1e-10)


def test_all_forms_of_a_mask_say_the_same(generator):
    block = block_of(self_attention=True)
    x = tokens_of(generator, 2, 7, 8)
    known = block(x, mask=HOLE)
    for same in (HOLE.expand(2, 7, 7), HOLE.expand(2, 1, 7, 7), HOLE.expand(2, 3, 7, 7), HOLE[None, None], HOLE.nonzero().T):
        assert_close(block(x, mask=same), known, rtol=1e-10, atol=1e-12)


def test_what_the_block_forbids_no_mask_allows(generator):
    x = tokens_of(generator, 1, 7, 8)
    block, everyone = block_of(), torch.ones(7, 7, dtype=torch.bool)
    for mask in (everyone, everyone.nonzero().T):
        assert_close(block(x, mask=mask), block(x))
    causal = block_of("causal")
    assert_close(causal(x, mask=everyone), block(x, mask=everyone.tril()))
    energies = causal.token_energies(causal.normalize(x))
    assert_close(energies[:, :3], causal.token_energies(causal.normalize(x[:, :3])))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_an_energy_network(kind, generator):
    block = block_of(kind)
    network = block.network(7, mask=HOLE)
    state = network.initial(tokens=tokens_of(generator, 2, 7, 8))
    activated = network.activations(state)
    g = block.normalize(state["tokens"])
    assert_close(activated["tokens"], g, rtol=1e-12, atol=1e-12)
    assert_close(network.synapse_energy(activated), block.energy(g, mask=HOLE), rtol=1e-10, atol=1e-10)
    assert_close(network.drives(activated)["tokens"], block.force(g, mask=HOLE), rtol=1e-10, atol=1e-10)
    shared = {id(one) for one in network.parameters()}
    assert shared == {id(one) for name, one in block.named_parameters() if name not in ("log_beta", "log_memory_beta")}


def test_gradients_pass_through_all_steps(generator):
    block = block_of("learned beta", bias=True, steps=3)
    x = tokens_of(generator, 1, 5, 8).requires_grad_()
    weights = list(block.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: block(x, mask=HOLE[:5, :5]), (x, *weights), fast_mode=True)


@pytest.mark.parametrize("route", ["plain", "blocks", "fused"])
def test_checkpoints_change_no_gradient(route, generator):
    x = tokens_of(generator, 2, 7, 8)
    found = []
    for kept in (False, True):
        block = block_of("learned beta", checkpoint=kept, route=route, noise=0.1)
        moved = block(x, generator=torch.Generator().manual_seed(3))
        moved.square().sum().backward()
        found.append([moved, *(one.grad for one in block.parameters())])
    assert_close(found[1], found[0])


def test_checkpoints_keep_the_states_alone(generator):
    kept = {}
    for checkpoint in (False, True):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda one, sizes=sizes: sizes.append(one.numel()) or one, lambda one: one):
            block_of(checkpoint=checkpoint, steps=6)(tokens_of(generator, 2, 7, 8))
        kept[checkpoint] = sum(sizes)
    assert kept[True] <= 6 * 2 * 7 * 8 + 6 < kept[False] / 10


def test_low_precision_follows_single_precision(generator):
    block = block_of(dtype=torch.float32)
    x = tokens_of(generator, 2, 7, 8, dtype=torch.float32)
    g = block.normalize(x).detach()
    with torch.autocast("cpu", torch.bfloat16):
        moved, energy = block(x), block.energy(g)
    assert moved.dtype == energy.dtype == torch.float32
    assert_close(moved, block(x), rtol=0.05, atol=0.15)
    assert_close(energy, block.energy(g), rtol=0.02, atol=0.02)
    half = block_of(dtype=torch.bfloat16)
    assert half(x.bfloat16()).dtype == torch.bfloat16
    assert half.energy(g.bfloat16()).dtype == torch.float32


def test_same_seed_same_weights_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    one, same, other = (EnergyTransformer(8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.query, same.query) and torch.equal(one.memory, same.memory)
    assert not torch.equal(one.key, other.key)
    assert torch.equal(before, torch.get_rng_state())


def test_first_weights_have_the_spread_that_init_names(generator):
    paper = EnergyTransformer(256, heads=4, generator=generator)
    assert paper.query.std().item() == pytest.approx(0.002, rel=0.05) and paper.memory.std().item() == pytest.approx(0.02, rel=0.05)
    scaled = EnergyTransformer(256, heads=4, init="scaled", generator=generator)
    for weight in (scaled.query, scaled.key, scaled.memory):
        assert weight.std().item() == pytest.approx(1 / 16, rel=0.05)


def test_state_dict_brings_back_the_same_block(generator):
    block, other = block_of("learned beta", bias=True), block_of("learned beta", seed=1, bias=True)
    other.load_state_dict(block.state_dict())
    x = tokens_of(generator, 2, 7, 8)
    assert torch.equal(block(x), other(x))


def test_learned_temperatures_stay_positive(generator):
    block = block_of("softmax, learned", learn_beta=True)
    x = tokens_of(generator, 2, 7, 8)
    optimizer = torch.optim.SGD([block.log_beta, block.log_memory_beta], lr=1.0)
    for _ in range(10):
        optimizer.zero_grad()
        (block.beta.sum() + block.memory_beta).backward()
        optimizer.step()
    assert (block.beta > 0).all() and 0 < block.memory_beta.item() < 0.3
    assert block.energy(block.normalize(x)).isfinite().all()


@pytest.mark.parametrize("route", ["plain", "blocks", "fused"])
def test_it_compiles(route, generator):
    block = block_of("learned beta", route=route, steps=2)
    x = tokens_of(generator, 2, 7, 8)
    torch._dynamo.reset()
    assert_close(torch.compile(block, backend="eager", fullgraph=True)(x, mask=HOLE), block(x, mask=HOLE))


def test_a_network_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    block_of().network(7)
    assert torch.equal(before, torch.get_rng_state())
