"""The energy of the block falls: along calls with small steps, without attention with any, and always where steps backtrack."""

import pytest
import torch
from torch.testing import assert_close

from attractor.energy import lagrangians
from attractor.errors import EnergyUnboundedWarning
from attractor.nn.energy_transformer import EnergyTransformer


def block_of(deviation=0.3, seed=0, dim=8, dtype=torch.float64, **settings):
    """Weights, memories and the shift of the norm are normal numbers of this deviation."""
    generator = torch.Generator().manual_seed(seed)
    block = EnergyTransformer(dim, **{"heads": 2, "key_dim": 4, "memories": 16, **settings}).to(dtype)
    with torch.no_grad():
        for one in (block.query, block.key, block.memory, block.norm.bias):
            if one is not None:
                one.copy_(deviation * torch.randn(one.shape, generator=generator, dtype=torch.float64))
    return block


def tokens_of(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(100 + seed), dtype=torch.float64).to(dtype)


def worst_rise(energies):
    """The largest rise `(steps + 1, b)` of a step, relative."""
    return float((energies.diff(dim=0) / energies[:-1].abs().clamp_min(1e-300)).max())


@pytest.mark.parametrize("deviation", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_energy_never_rises_with_small_steps(deviation, alpha):
    """100 random problems for each size of step: five blocks of each deviation with five sets of tokens each."""
    for seed in range(5):
        way = block_of(deviation, seed).descend(tokens_of(seed, 5, 6, 8), step_size=alpha, max_steps=100, tol=0.0, trace=True)
        assert worst_rise(way.trace.energy) <= 1e-9


@pytest.mark.parametrize("activation", ["relu", "softmax"])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 100.0])
def test_energy_of_memories_alone_never_rises_with_any_step(alpha, activation):
    for seed in range(5):
        block = block_of(1.0, seed, attention=False, activation=activation)
        way = block.descend(tokens_of(seed, 5, 6, 8), step_size=alpha, max_steps=60, tol=0.0, trace=True)
        assert worst_rise(way.trace.energy) <= 1e-12


def test_large_steps_may_raise_the_energy_and_backtracking_ones_never_do():
    raised = 0
    for seed in range(5):
        block = block_of(0.3, seed, dim=4, key_dim=2, memories=0, step_size=100.0)
        x = tokens_of(seed, 5, 6, 4)
        raised += worst_rise(block.descend(x, max_steps=40, tol=0.0, trace=True).trace.energy) > 1e-3
        way = block.descend(x, max_steps=40, tol=0.0, step_size="backtrack", trace=True).trace
        assert worst_rise(way.energy) <= 0
        again = torch.stack([block.energy(block.normalize(one)) for one in way.states])
        assert worst_rise(again) <= 1e-12
        over = block.energy(block.normalize(block(x, steps=1))) > way.energy[0]
        assert (way.energy[1] < way.energy[0])[over].all()
    assert raised


def test_samples_backtrack_one_by_one():
    block = block_of(0.3, 1, dim=4, key_dim=2, memories=0, step_size=100.0)
    x = tokens_of(1, 4, 6, 4)
    way = block.descend(x, max_steps=20, tol=0.0, step_size="backtrack")
    alone = [block.descend(one[None], max_steps=20, tol=0.0, step_size="backtrack").states for one in x]
    assert_close(way.states, torch.cat(alone))


def test_energy_falls_as_fast_as_the_force_and_the_norm_say():
    """`dE/dt = -f.J f`, with `f = -dE/dg` and `J` the Jacobian of the norm."""
    block = block_of()
    x = tokens_of(0, 3, 6, 8)
    with torch.no_grad():
        force = block.force(block.normalize(x))
        norm = lagrangians.LayerNorm(block.norm.gain, delta=block.norm.bias, dims=1)
        rate = -(force * norm.hvp(x, force)).flatten(1).sum(-1)
        after, before = (block.energy(block.normalize(x + time * force)) for time in (1e-5, -1e-5))
    assert_close((after - before) / 2e-5, rate, rtol=1e-6, atol=0)


def test_without_a_positive_gain_the_energy_would_rise():
    block = block_of()
    with torch.no_grad():
        block.norm.gain.fill_(-1.0)
        x = tokens_of(0, 1, 6, 8)
        energies = []
        for _ in range(5):
            g = block.norm(x)
            energies.append(block._energy(g, None))
            x = x + 0.1 * block._force(g, None)
    assert (torch.cat(energies).diff() > 0).all()


def test_descent_takes_the_steps_of_a_call():
    block = block_of(steps=7)
    x = tokens_of(0, 2, 6, 8)
    way = block.descend(x, max_steps=7, tol=0.0, trace=True)
    assert_close(way.states, block(x))
    assert_close(way.trace.states[3], block(x, steps=3))
    assert_close(way.trace.states[1], x + 0.1 * block.force(block.normalize(x)))
    assert way.trace.states.shape == (8, 2, 6, 8)
    for state, energy in zip(way.trace.states, way.trace.energy, strict=True):
        assert_close(block.energy(block.normalize(state)), energy)
    assert_close(way.energy, way.trace.energy[-1])
    assert way.steps.tolist() == [7, 7] and not way.converged.any()


def test_each_sample_rests_where_its_activations_do():
    block = block_of(1.0, attention=False)
    x = torch.stack([tokens_of(0, 6, 8), block(tokens_of(1, 1, 6, 8), steps=100)[0]])
    way = block.descend(x, tol=0.01, trace=True)
    assert way.converged.all() and way.steps[1] < way.steps[0] < 1000
    for sample, steps in enumerate(way.steps.tolist()):
        g = block.normalize(way.trace.states[: steps + 1, sample])
        change = g.diff(dim=0).abs().flatten(1).amax(-1)
        assert change[-1] < 0.01 and (change[:-1] >= 0.01).all()
        assert torch.equal(way.trace.states[steps, sample], way.states[sample])


def test_a_descent_without_end_stops_at_its_limit():
    """A token that attends to itself with `Wk = -Wq` flees itself: `x` shrinks, `g` flips, and no step is short enough."""
    block = block_of(heads=1, key_dim=8, memories=0, self_attention=True)
    with torch.no_grad():
        block.query.copy_(torch.eye(8))
        block.key.copy_(-torch.eye(8))
        block.norm.bias.zero_()
    way = block.descend(tokens_of(0, 1, 1, 8), step_size=0.5, max_steps=300, trace=True)
    assert way.steps.item() == 300 and not way.converged.item()
    assert (way.trace.energy.diff(dim=0) > 0).any()


def test_masks_go_with_their_samples():
    block = block_of(1.0, self_attention=True)
    x = tokens_of(0, 3, 6, 8)
    masks = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.5
    way = block.descend(x, mask=masks, tol=0.02)
    assert len(way.steps.unique()) > 1
    for sample, mask in enumerate(masks):
        alone = block.descend(x[sample : sample + 1], mask=mask.nonzero().T, tol=0.02)
        assert_close(alone.states[0], way.states[sample])
        assert alone.steps == way.steps[sample]


def test_descent_keeps_no_graph_and_serves_single_precision():
    block = block_of(dtype=torch.float32)
    way = block.descend(tokens_of(0, 2, 6, 8, dtype=torch.float32), max_steps=50, step_size="backtrack", trace=True)
    assert not way.states.requires_grad and way.states.dtype == torch.float32
    assert worst_rise(way.trace.energy) <= 0


def test_no_steps_leave_everything_where_it_is():
    block = block_of()
    x = tokens_of(0, 2, 6, 8)
    way = block.descend(x, max_steps=0, trace=True)
    assert torch.equal(way.states, x) and way.steps.tolist() == [0, 0]
    assert_close(way.energy, block.energy(block.normalize(x)))


@pytest.mark.parametrize(("dtype", "step_size"), [(torch.float32, 1e38), (torch.float16, 6e4)])
def test_a_step_beyond_the_range_of_numbers_is_told(dtype, step_size):
    block = block_of(1.0, dtype=dtype)
    x = tokens_of(0, 2, 6, 8, dtype=dtype)
    with pytest.warns(EnergyUnboundedWarning, match="2 of 2 samples diverged"):
        way = block.descend(x, step_size=step_size, max_steps=5)
    assert torch.equal(way.states, x) and way.energy.isfinite().all() and not way.converged.any() and way.steps.tolist() == [1, 1]
    with pytest.warns(EnergyUnboundedWarning, match="2 of 2 samples diverged"):
        block(x, steps=2, step_size=step_size)
    block.step_size = step_size
    way = block.descend(x, step_size="backtrack", max_steps=5)
    assert way.states.isfinite().all()
    assert_close(way.energy, block.energy(block.normalize(way.states)))


def test_who_cannot_take_any_share_of_a_step_stays_and_has_not_converged(monkeypatch):
    block = block_of()
    x = tokens_of(0, 2, 6, 8)
    force = block._force
    monkeypatch.setattr(block, "_force", lambda g, allowed: -force(g, allowed))
    way = block.descend(x, step_size="backtrack", max_steps=5)
    assert torch.equal(way.states, x) and not way.converged.any() and way.steps.tolist() == [1, 1]
