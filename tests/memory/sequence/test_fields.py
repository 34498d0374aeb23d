"""The fields of a sequence network against their definition, written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.memory.sequence import SequenceMemory, Timing, fast, network
from attractor.memory.sequence.fast import fast_steps
from attractor.memory.sequence.network import signs

pytestmark = pytest.mark.filterwarnings("ignore::attractor.AttractorWarning")
INTERACTIONS = [1, 2, 3, 4, "exponential"]


def random_signs(rows, dim, seed=0, dtype=torch.float64):
    return torch.randint(0, 2, (rows, dim), generator=torch.Generator().manual_seed(seed)).to(dtype) * 2 - 1


def stored(patterns, **options):
    memory = SequenceMemory(patterns.shape[1], **options)
    memory.store(patterns)
    return memory


def f(interaction, x, dim):
    return torch.exp((dim - 1) * (x - 1)) if interaction == "exponential" else x**interaction


def by_definition(patterns, sums, interaction, *, self_coupling, following, count=1):
    """`sum_mu next_i^mu f(m_i^mu)` for one vector `sums` of `count` states, unit by unit."""
    rows, dim = patterns.shape
    fields = []
    for i in range(dim):
        total = 0.0
        for mu in range(rows):
            if following[mu] is None:
                continue
            others = [j for j in range(dim) if self_coupling or j != i]
            m = sum(patterns[mu, j] * sums[j] for j in others) / len(others) / count
            total = total + patterns[following[mu], i] * f(interaction, m, dim)
        fields.append(total)
    return torch.stack(fields)


def ring(rows):
    return [*range(1, rows), 0]


def alike(one, other):
    """Equal up to a positive factor of each column."""
    return float((one / one.abs().amax(0) - other / other.abs().amax(0)).abs().max()) < 1e-10


def alike_by_unit(one, other):
    """Equal up to a factor for each column and a power of two for each unit."""
    decided = other.abs() > 1e-12 * other.abs().amax(0)
    logarithms = torch.where(decided, one / other, 1).log2()
    apart = logarithms - torch.where(decided.any(0), logarithms.gather(0, decided.int().argmax(0)[None])[0], 0)
    return float(torch.where(decided, apart - apart.round(), 0).abs().max()) < 1e-9


def fast_fields(memory, states):
    net = memory._network(None)
    steps = fast_steps(net, states.shape[1])
    space = states.new_empty(2, *states.shape)
    space[0] = states
    steps.run(space)
    return steps.products.parts[0].reshape(states.shape)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("self_coupling", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_form_equals_the_sum_of_the_definition(interaction, self_coupling, batch):
    patterns, states = random_signs(7, 12), random_signs(batch, 12, 1)
    memory = stored(patterns, interaction=interaction, self_coupling=self_coupling)
    expected = torch.stack(
        [by_definition(patterns, state, interaction, self_coupling=self_coupling, following=ring(7)) for state in states], 1
    )
    net = memory._network(None)
    moment = net.start(states.T)
    assert alike(net.fields(moment), expected)
    assert alike_by_unit(net.all_unit_fields(moment), expected)
    assert alike(fast_fields(memory, states.T), expected)
    decided = expected.T.abs() > 1e-12 * float(expected.abs().max())
    assert torch.equal(memory.replay(states, 1)[:, 0][decided], signs(expected).T[decided])


def test_degree_one_is_the_matrix_of_couplings():
    patterns, states = random_signs(5, 11), random_signs(4, 11, 1)
    couplings = patterns.roll(-1, 0).T @ patterns
    with_diagonal = couplings @ states.T / 11
    without = couplings.clone().fill_diagonal_(0) @ states.T / 10
    for self_coupling, expected in ((True, with_diagonal), (False, without)):
        memory = stored(patterns, interaction=1, self_coupling=self_coupling)
        net = memory._network(None)
        assert alike(net.fields(net.start(states.T)), expected)
        assert alike(fast_fields(memory, states.T), expected)
    assert not alike(with_diagonal, without)


@pytest.mark.parametrize("interaction", [1, 2, "exponential"])
def test_held_patterns_follow_the_mean_over_the_delay(interaction):
    patterns, state = random_signs(4, 8), random_signs(1, 8, 1)[0]
    delay, strength = 3, 2.5
    memory = stored(patterns, interaction=interaction, timing=Timing(delay, strength=strength, interaction=2))
    way, now = [state], state
    for _ in range(6):
        sums = sum(way[-delay:])
        held = by_definition(patterns, now, 2, self_coupling=False, following=list(range(4)))
        onward = by_definition(patterns, sums, interaction, self_coupling=False, following=ring(4), count=delay)
        now = signs(held + strength * onward)
        way.append(now)
    assert torch.equal(memory.replay(state[None], 6)[0], torch.stack(way[1:]))


@pytest.mark.parametrize("interaction", [2, "exponential"])
def test_asynchronous_steps_use_what_has_changed_already(interaction):
    patterns, state = random_signs(5, 9), random_signs(1, 9, 1)[0]
    memory = stored(patterns, interaction=interaction, update="asynchronous")
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        for unit in torch.randperm(9, generator=generator).tolist():
            state[unit] = signs(by_definition(patterns, state, interaction, self_coupling=False, following=ring(5)))[unit]
    assert torch.equal(memory.replay(random_signs(1, 9, 1), 3, seed=4)[0, -1], state)


def test_asynchronous_batch_equals_its_parts():
    patterns, cues = random_signs(6, 20), random_signs(3, 20, 1)
    memory = stored(patterns, interaction=3, update="asynchronous")
    assert torch.equal(memory.replay(cues, 4), memory.replay(cues, 4, batch_size=1))


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(2, 9),
    dim=st.integers(2, 12),
    interaction=st.sampled_from([1, 2, 5, 40, "exponential"]),
    self_coupling=st.booleans(),
    cyclic=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_fast_and_careful_steps_agree_at_any_state(rows, dim, interaction, self_coupling, cyclic, dtype, seed):
    memory = stored(random_signs(rows, dim, seed, dtype), interaction=interaction, self_coupling=self_coupling, cyclic=cyclic)
    states = random_signs(4, dim, seed + 1, dtype)
    net = memory._network(None)
    if fast_steps(net, 4) is None:
        return
    careful, quick = net.fields(net.start(states.T)), fast_fields(memory, states.T)
    scale = careful.abs().amax(0).clamp_min(1e-30)
    factor = quick.abs().amax(0) / scale
    assert float((quick - careful * factor).abs().max() / factor.max().clamp_min(1e-30)) < 2e-6 * rows * float(scale.max())


@pytest.mark.parametrize("self_coupling", [False, True])
@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("near", [1, 12])
def test_rows_without_a_weight_may_be_left_out(monkeypatch, self_coupling, cyclic, batch, near):
    """Of `near` patterns that resemble the states and 40 that do not, whose exponentials are nothing beside theirs."""
    generator = torch.Generator().manual_seed(3)
    base = random_signs(1, 300, dtype=torch.float32)
    alike_ones = base * torch.where(torch.rand(near, 300, generator=generator) < 0.02, -1.0, 1.0)
    memory = stored(
        torch.cat([alike_ones, random_signs(40, 300, 1, torch.float32)]),
        interaction="exponential",
        self_coupling=self_coupling,
        cyclic=cyclic,
    )
    states = (base * torch.where(torch.rand(batch, 300, generator=generator) < 0.02, -1.0, 1.0)).T
    found = {}
    for few in (0.0, 0.25):
        monkeypatch.setattr(fast, "FEW", few)
        net = memory._network(None)
        steps = fast_steps(net, batch)
        space = torch.stack([states, states])
        steps.run(space)
        found[few] = steps.products.parts[0].clone()
        held = steps.products.weights[0].reshape(len(memory), -1) > 0
        assert near - 1 <= int(held.any(1).sum()) <= near + 1, "the others have no weight"
        assert steps.products.read_out_few() is (few > near / len(memory))
    assert float((found[0.0] - found[0.25]).abs().max()) < 1e-6 * float(found[0.0].abs().max())


def test_a_power_beyond_the_precision_of_the_numbers_is_taken_with_care():
    memory = stored(random_signs(20, 7, 46, torch.float32), interaction=14)
    states = random_signs(8, 7, 146, torch.float32)
    net = memory._network(None)
    assert torch.equal(memory.replay(states, 1)[:, 0], signs(net.fields(net.start(states.T)).T))


@pytest.mark.parametrize("interaction", [1, 3, 4, "exponential"])
@pytest.mark.parametrize("self_coupling", [False, True])
@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("numbers_at_hand", [0, 2**20])
def test_fast_steps_keep_sequences_apart(monkeypatch, interaction, self_coupling, cyclic, batch, numbers_at_hand):
    monkeypatch.setattr(network, "NUMBERS_AT_HAND", numbers_at_hand)
    memory = SequenceMemory(13, interaction=interaction, self_coupling=self_coupling, cyclic=cyclic)
    for seed, rows in enumerate((4, 1, 5)):
        memory.store(random_signs(rows, 13, seed))
    states = random_signs(batch, 13, 7).T
    net = memory._network(None)
    assert alike(fast_fields(memory, states), net.fields(net.start(states)))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("steps", [1, 20])
def test_blocks_of_patterns_change_nothing(monkeypatch, batch, steps):
    patterns = random_signs(50, 40, dtype=torch.float32)
    cues = patterns[:batch].clone()
    cues[:, :5] *= -1
    whole = [stored(patterns, interaction=one).replay(cues, steps) for one in (2, "exponential", 70)]
    monkeypatch.setattr(network, "NUMBERS_AT_HAND", 300)
    blocked = [stored(patterns, interaction=one).replay(cues, steps) for one in (2, "exponential", 70)]
    assert all(torch.equal(one, other) for one, other in zip(whole, blocked, strict=True))


def test_ties_become_one_and_are_counted():
    memory = stored(torch.tensor([[-1.0, 1, 1, 1], [-1, 1, -1, -1]]), self_coupling=True)
    walked = memory.follow(torch.tensor([[-1.0, 1, 1, -1]]), 1)
    assert walked.ties.tolist() == [[2]] and walked.states.tolist() == [[[-1.0, 1, 1, 1]]]


def test_a_tie_on_the_way_leaves_the_rest_of_the_way_right():
    patterns, cues = random_signs(6, 7), random_signs(8, 7, 2)
    memory = stored(patterns, interaction=1)
    walked, net = memory.follow(cues, 30), memory._network(None)
    state, ties = cues.T, []
    for step in range(30):
        fields = net.fields(net.start(state))
        ties.append((fields == 0).sum(0))
        state = signs(fields)
        assert torch.equal(walked.states[:, step], state.T)
    assert torch.equal(walked.ties, torch.stack(ties, 1)) and int(walked.ties.sum()) > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("interaction", [100, "exponential"])
def test_large_powers_and_the_exponential_neither_overflow_nor_vanish(interaction, dtype):
    patterns = random_signs(200, 784, dtype=dtype)
    memory = stored(patterns, interaction=interaction)
    assert torch.equal(memory.replay(patterns, 1)[:, 0], patterns.roll(-1, 0))
    # far from every pattern the largest weight is tiny, and decides all the same
    far = random_signs(20, 784, 3, dtype)
    overlaps = (far.double() @ patterns.double().T).clamp(-783, 783)
    top = overlaps.argmax(1)
    lead = overlaps.sort(1).values
    rate = 100 * math.log(783) if interaction == 100 else 1.0
    clear = (lead[:, -1] - lead[:, -2] > 8) & (-lead[:, 0] < lead[:, -1] - 8)
    assert int(clear.sum()) >= 2 and rate > 0
    if interaction == "exponential":
        assert torch.equal(memory.replay(far, 1)[clear, 0], patterns.roll(-1, 0)[top[clear]])
    assert bool((memory.replay(far, 3).abs() == 1).all())


def fields_by_definition(patterns, states, interaction, gains, *, self_coupling, cyclic=True):
    """`(b, N)`; integers in float64, where neither power nor exponential leaves the range at 200 units."""
    dim = patterns.shape[1]
    own = 0 if self_coupling else patterns * states[:, None]
    x = (states @ patterns.T)[:, :, None] - own
    x = x / (dim if self_coupling else dim - 1)
    following = patterns.roll(-1, 0)
    if not cyclic:
        following[-1] = 0
    return (f(interaction, x, dim) * gains[:, :, None] * following).sum(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("interaction", [50, "exponential"])
@pytest.mark.parametrize("self_coupling", [False, True])
def test_what_has_no_gain_takes_nothing_from_the_others(interaction, self_coupling, dtype):
    """The state stands at the pattern of gain 0, whose weight is by far the largest."""
    patterns = random_signs(20, 200)
    gains = torch.ones(20, 20).double().fill_diagonal_(0)
    fields = fields_by_definition(patterns, patterns, interaction, gains, self_coupling=self_coupling)
    # float32 rounds the weights, which decide as far as they are not all but equal
    decided = fields.abs() > (1e-5 if dtype == torch.float32 else 1e-10) * fields.abs().amax(1, keepdim=True)
    assert float(decided.double().mean()) > 0.95
    memory = stored(patterns.to(dtype), interaction=interaction, self_coupling=self_coupling)
    net = memory._network(gains.T.to(dtype))
    moment = net.start(patterns.T.to(dtype))
    walked = memory.follow(patterns.to(dtype), 1, gains=gains.to(dtype))
    found = [walked.states[:, 0], net.fields(moment).T, net.all_unit_fields(moment).T]
    if self_coupling:
        found.append(memory.two_layers().step(patterns.to(dtype), gains.to(dtype)))
    for one in found:
        assert torch.equal(signs(one)[decided], signs(fields)[decided].to(dtype))
    one_by_one = torch.cat([memory.replay(patterns[row : row + 1].to(dtype), 1, gains=gains[row].to(dtype)) for row in range(20)])
    assert torch.equal(one_by_one[:, 0][decided], walked.states[:, 0][decided])


@pytest.mark.parametrize("interaction", [50, "exponential"])
def test_at_the_end_of_an_open_sequence_the_others_decide(interaction):
    patterns = random_signs(20, 200)
    fields = fields_by_definition(patterns, patterns[-1:], interaction, torch.ones(1, 20), self_coupling=False, cyclic=False)
    decided = fields.abs() > 1e-5 * fields.abs().max()
    found = stored(patterns.float(), interaction=interaction, cyclic=False).replay(patterns[-1:].float(), 1)[:, 0]
    assert torch.equal(found[decided], signs(fields)[decided].float())


@pytest.mark.parametrize("interaction", [3, 50, "exponential"])
def test_without_any_gain_all_units_tie(interaction):
    memory = stored(random_signs(5, 30).float(), interaction=interaction)
    assert memory.follow(random_signs(2, 30).float(), 1, gains=torch.zeros(5)).ties.tolist() == [[30], [30]]


@pytest.mark.parametrize(("degree", "dtype"), [(5, torch.float32), (150, torch.float32), (400, torch.float64)])
def test_powers_of_few_units_are_those_of_whole_numbers(degree, dtype):
    """The overlap of a stored state with all units at once occurs at no unit: its power would drown what does."""
    decided = 0
    for seed in range(10):
        patterns = random_signs(6, 12, seed, dtype)
        found = stored(patterns, interaction=degree).replay(patterns, 1)[:, 0].int().tolist()
        rows = patterns.int().tolist()
        for state, after in zip(rows, found, strict=True):
            overlaps = [sum(one * other for one, other in zip(row, state, strict=True)) for row in rows]
            for unit in range(12):
                terms = [rows[(mu + 1) % 6][unit] * (overlaps[mu] - rows[mu][unit] * state[unit]) ** degree for mu in range(6)]
                if 1000 * abs(sum(terms)) >= max(map(abs, terms)):
                    decided += 1
                    assert after[unit] == (1 if sum(terms) > 0 else -1)
    assert decided > 600


def test_products_stay_fast_where_exponentials_would_be_the_smallest_of_numbers():
    steps = fast_steps(stored(random_signs(300, 100, dtype=torch.float32), interaction="exponential")._network(None), 2)
    weights = steps.products.weights
    steps.fill(torch.linspace(-100, 100, 300)[:, None].repeat(1, 2), *weights)
    tiny = torch.finfo(torch.float32).tiny
    assert bool(((weights == 0) | (weights >= tiny)).all())
    assert int((weights == 0).sum()) > 300 and int((weights > 0).sum()) > 200


def test_a_state_for_which_all_gains_are_zero_is_undecided_at_every_unit():
    patterns = random_signs(4, 20)
    gains = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], dtype=patterns.dtype)
    walk = stored(patterns, interaction="exponential").follow(patterns[:2], 2, gains=gains)
    assert walk.ties.tolist() == [[0, 0], [20, 20]] and bool((walk.states[1] == 1).all())
