"""What the block refuses, what it adds when asked, and faults of public code that it must not have."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attractor.energy.synapses import token_attention
from attractor.errors import AttractorWarning
from attractor.nn.energy_transformer import (
    EnergyLayerNorm,
    EnergyTransformer,
    GraphEnergyTransformer,
    StructuredEnergyTransformer,
    VisionEnergyTransformer,
)
from attractor.nn.energy_transformer.norm import refuse_gains
from attractor.read import Exponential, Sparsemax

TOKENS = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


def block_of(**settings):
    settings = {"heads": 2, "key_dim": 4, "memories": 16, "init": "scaled", **settings}
    return EnergyTransformer(8, generator=torch.Generator().manual_seed(1), **settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"heads": 0}, "heads must be at least 1"),
        ({"key_dim": 0}, "key_dim must be at least 1"),
        ({"memories": -1}, "memories must be at least 0"),
        ({"memories": 0, "attention": False}, "memories must be at least 1 where attention is False"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"step_size": 0.0}, "step_size must be a positive finite number"),
        ({"step_size": -0.1}, "step_size must be a positive finite number"),
        ({"beta": 0.0}, "beta must be a positive finite number"),
        ({"beta": torch.tensor([1.0, -1.0])}, "beta must be positive"),
        ({"beta": torch.nn.Parameter(torch.ones(2))}, "beta must be .* use learn_beta=True"),
        ({"attention": False, "learn_beta": True}, "learn_beta must be False where attention is False"),
        ({"activation": Exponential(1.0)}, "activation must be one of"),
        ({"beta": torch.ones(3)}, "beta must hold one floating-point number or 2"),
        ({"noise": -0.1}, "noise must be a positive finite number"),
        ({"activation": "gelu"}, "activation must be one of"),
        ({"activation": Sparsemax(1.0)}, "activation must be one of"),
        ({"init": "xavier"}, "init must be one of"),
        ({"route": "flash"}, "route must be one of"),
    ],
)
def test_a_useless_setting_is_refused_by_name(settings, complaint):
    with pytest.raises((TypeError, ValueError), match=complaint):
        block_of(**settings)


def test_a_useless_width_is_refused_by_name():
    with pytest.raises(ValueError, match="dim must be at least 1"):
        EnergyTransformer(0)
    with pytest.raises(ValueError, match="eps must be"):
        EnergyLayerNorm(4, eps=0.0)


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (torch.zeros(2, 5, 9), r"x must have shape \(b, tokens, 8\), got \(2, 5, 9\)"),
        (torch.zeros(5, 8), "x must have shape"),
        (torch.zeros(2, 0, 8), "x must have shape"),
        (torch.zeros(0, 5, 8), "x must have shape"),
        (torch.zeros(2, 5, 8).long(), "x must be floating point"),
        ([[1.0]], "x must be a torch.Tensor"),
        (torch.full((2, 5, 8), float("nan")), "x must be finite"),
        (torch.full((2, 5, 8), float("inf")), "x must be finite"),
        (torch.zeros(2, 5, 8).double(), "x must be torch.float32 like the weights"),
        (torch.full((2, 5, 8), 1e20), "x must have entries up to .* whose variance is finite, got"),
        (torch.zeros(2, 1, 8), "x must have at least two tokens where self_attention is False"),
    ],
)
def test_useless_tokens_are_refused_by_name(x, complaint):
    block = block_of()
    for take in (block, block.descend):
        with pytest.raises((TypeError, ValueError), match=complaint):
            take(x)


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        (torch.ones(5, 5), "mask must be Boolean"),
        (torch.ones(5, 5, dtype=torch.int32), "mask must be Boolean"),
        ("no-self", "mask must be a tensor"),
        (torch.ones(5, 4, dtype=torch.bool), "mask must have shape"),
        (torch.ones(1, 5, dtype=torch.bool), "mask must have shape"),
        (torch.ones(3, 5, 5, dtype=torch.bool), "mask must have shape"),
        (torch.ones(2, 3, 5, 5, dtype=torch.bool), r"mask must have shape .* \(2, 1 or 2, 5, 5\)"),
        (torch.ones(1, 1, 1, 5, 5, dtype=torch.bool), "mask must have shape"),
        (torch.tensor([[0, 5], [1, 0]]), "mask of edges must join tokens 0 to 4, got 0 to 5"),
        (torch.tensor([[0, -1], [1, 0]]), "mask of edges must join tokens 0 to 4, got -1 to 1"),
        (torch.ones(5, 5, dtype=torch.bool, device="meta"), "mask must be on cpu like the tokens, got meta"),
        (torch.tensor([0, 1]), r"mask of edges must have shape \(2, edges\)"),
        (torch.zeros(3, 4, dtype=torch.int64), r"mask of edges must have shape \(2, edges\)"),
    ],
)
def test_a_useless_mask_is_refused_by_name(mask, complaint):
    block = block_of()
    g = block.normalize(TOKENS)
    calls = (lambda: block(TOKENS, mask=mask), lambda: block.energy(g, mask=mask), lambda: block.descend(TOKENS, mask=mask))
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=complaint):
            call()


def test_edges_and_causal_contradict_each_other():
    with pytest.raises(ValueError, match="mask must be Boolean or None where causal is True"):
        block_of(causal=True)(TOKENS, mask=torch.tensor([[0], [1]]))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"max_steps": -1}, "max_steps must be at least 0"),
        ({"tol": -1.0}, "tol must be a finite number"),
        ({"step_size": "armijo"}, "step_size must be one of"),
        ({"step_size": 0.0}, "step_size must be a positive"),
    ],
)
def test_a_useless_way_down_is_refused_by_name(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        block_of().descend(TOKENS, **arguments)


@pytest.mark.parametrize("step_size", [torch.tensor(-5.0), [1, 2]])
def test_a_step_size_that_is_no_number_is_not_taken_for_the_default(step_size):
    with pytest.raises(TypeError, match="step_size must be a number"):
        block_of().descend(TOKENS, step_size=step_size)
    with pytest.raises((TypeError, ValueError), match="step_size must be"):
        block_of().descend(TOKENS, step_size=np.float32(-1.0))


def test_useless_steps_of_a_call_are_refused_by_name():
    with pytest.raises(ValueError, match="steps must be at least 1"):
        block_of()(TOKENS, steps=0)
    with pytest.raises(ValueError, match="step_size must be a positive"):
        block_of()(TOKENS, step_size=-1.0)


@pytest.mark.parametrize("gain", [-1.0, 0.0, float("nan")])
def test_a_gain_that_lets_the_energy_rise_is_refused(gain):
    block, other = block_of(), block_of()
    with torch.no_grad():
        block.norm.gain.fill_(gain)
    for call in (block, block.normalize, block.energy, block.force, block.descend):
        with pytest.raises(ValueError, match=r"norm\.gain must be positive and finite, or the energy would rise"):
            call(TOKENS)
    with pytest.raises(ValueError, match=r"norm\.gain must be positive"):
        other.load_state_dict(block.state_dict())
    assert other.norm.gain.item() == 1.0


def test_a_state_that_is_refused_changes_no_tensor():
    block, other = block_of(), block_of()
    with torch.no_grad():
        for one in block.parameters():
            one.add_(-2.0)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"norm\.gain must be positive"):
        other.load_state_dict(block.state_dict())
    around = torch.nn.Sequential(torch.nn.Linear(8, 8), other)
    around.register_load_state_dict_pre_hook(refuse_gains)
    kept = around[0].weight.clone()
    with pytest.raises(ValueError, match=r"1\.norm\.gain must be positive"):
        around.load_state_dict(torch.nn.Sequential(torch.nn.Linear(8, 8), block).state_dict())
    assert torch.equal(kept, around[0].weight)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_one_token_needs_a_mask_or_no_attention():
    mask = torch.ones(1, 1, dtype=torch.bool)
    alone, block = block_of(attention=False), block_of()
    assert_close(block(TOKENS[:, :1], mask=mask), block(TOKENS[:, :1], mask=torch.zeros(2, 0, dtype=torch.int64)))
    assert_close(alone(TOKENS[:, :1], mask=mask), alone(TOKENS[:, :1]))
    assert len(list(alone.network(1).parameters())) == 3


@pytest.mark.parametrize("mask", [torch.ones(1, 2, 5, 5, dtype=torch.bool), torch.tensor([[0], [1]])])
def test_a_network_takes_one_mask_for_all(mask):
    with pytest.raises(ValueError, match="mask must be Boolean of shape"):
        block_of().network(5, mask=mask)


def test_fused_kernels_that_are_missing_are_not_missed_in_silence(monkeypatch):
    block = block_of(route="fused")
    known = block(TOKENS)
    monkeypatch.setattr(token_attention, "has_kernel", lambda *_: False)
    with pytest.warns(AttractorWarning, match="no fused attention kernel"):
        assert_close(block(TOKENS), known)


def test_noise_only_where_it_is_asked_for():
    block = block_of(noise=0.5, step_size=0.04).eval()
    x = torch.randn(20, 50, 8, generator=torch.Generator().manual_seed(0))
    still = block(x, steps=1)
    assert torch.equal(still, block(x, steps=1))
    noise = block(x, steps=1, generator=torch.Generator().manual_seed(3)) - still
    assert noise.std().item() == pytest.approx(0.04**0.5 * 0.5, rel=0.03) and abs(noise.mean().item()) < 0.01
    assert_close(noise, block(x, steps=1, generator=torch.Generator().manual_seed(3)) - still)
    assert not torch.equal(noise, block(x, steps=1, generator=torch.Generator().manual_seed(4)) - still)
    block.train()
    with pytest.raises(ValueError, match="generator must be given for the noise in training"):
        block(x)
    before = torch.get_rng_state()
    block(x, generator=torch.Generator().manual_seed(3))
    assert torch.equal(before, torch.get_rng_state())


def test_an_activated_token_is_not_normalised_again():
    block = block_of()
    g = 2 * block.normalize(TOKENS)
    memories = block_of(attention=False)
    assert_close(memories.energy(g), 4 * memories.energy(g / 2))
    assert not torch.allclose(block.energy(g), block.energy(g / 2))


def test_padding_changes_no_token_of_the_set():
    """Whatever stands at padded places, and they themselves stay out of the attention."""
    block = block_of()
    real = torch.tensor([True, True, True, False, False])
    mask = real[:, None] & real
    moved = block(TOKENS, mask=mask)
    assert_close(moved[:, :3], block(TOKENS[:, :3]))
    other = torch.where(real[:, None], TOKENS, 100 * TOKENS)
    assert torch.equal(block(other, mask=mask)[:, :3], moved[:, :3])


def test_a_key_whose_score_is_zero_still_counts():
    block = block_of(memories=0, heads=1)
    with torch.no_grad():
        block.key.zero_()
    partner = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])
    for mask in (partner, torch.eye(5, dtype=torch.bool).roll(1, 1)):
        assert_close(block.energy(block.normalize(TOKENS), mask=mask), torch.zeros(2))
    assert_close(block.energy(block.normalize(TOKENS)), torch.full((2,), -5 * 2 * torch.tensor(4.0).log().item()))


def test_a_step_is_one_gradient_step_on_one_energy():
    """Attention and memories use the same activations, and nothing is added at the end."""
    block = block_of().double()
    x = TOKENS.double()
    g = block.normalize(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(block.energy(g).sum(), g)
    assert_close(block(x, steps=1), x - block.step_size * gradient)
    parts = block_of(memories=0).double(), block_of(attention=False).double()
    with torch.no_grad():
        parts[0].query.copy_(block.query)
        parts[0].key.copy_(block.key)
        parts[1].memory.copy_(block.memory)
    assert_close(block.force(g), parts[0].force(g) + parts[1].force(g))


def test_everything_but_gradients_works_without_them():
    block = block_of()
    known = block(TOKENS), block.energy(block.normalize(TOKENS))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = block(TOKENS), block.energy(block.normalize(TOKENS))
            assert not found[0].requires_grad
            assert_close(tuple(one.clone() for one in found), known)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StructuredEnergyTransformer(4, heads=1, key_dim=2),
        lambda: VisionEnergyTransformer((1, 4, 4), 2, EnergyTransformer(4, heads=1, key_dim=2)),
        lambda: GraphEnergyTransformer(3, 2, 2, dim=4, heads=1, key_dim=2, blocks=1, positions=0),
    ],
    ids=["structured", "vision", "graph"],
)
def test_a_state_that_is_refused_changes_no_tensor_of_the_models_around(make):
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    bad = {name: -torch.ones_like(value) for name, value in before.items()}
    with pytest.raises(ValueError, match="gain must be positive"):
        model.load_state_dict(bad)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
