"""The dense classifier: its energy, its reading, its learning."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call, grad, vmap

from attractor import AttractorWarning, HopfieldMemory
from attractor.nn import DenseClassifier, MemoryOptimizer, classification_loss
from attractor.nn.dense_classifier import classifier

INTERACTIONS = ["polynomial", "rectified", "leaky"]
VERTICES = [2, 3, 10, 30]


def interact(x, n, interaction, leak=0.01):
    if interaction == "polynomial":
        return x**n
    return x**n if x > 0 else (leak * x if interaction == "leaky" else 0.0)


def model_of(inputs=12, classes=3, *, memories=7, double=True, **settings):
    model = DenseClassifier(inputs, classes, memories=memories, **settings)
    return model.double() if double else model


def signs(rows, width, seed=0):
    return torch.randint(0, 2, (rows, width), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


def inner(rows, width, seed=0):
    return torch.rand(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("n", VERTICES)
def test_energy_is_the_double_loop(n, interaction):
    model, states = model_of(n=n, interaction=interaction, temperature=0.4), signs(4, 15)
    for state, energy in zip(states, model.energy(states), strict=True):
        expected = 0.0
        for memory in model.memories.detach():
            overlap = sum(float(a) * float(b) for a, b in zip(memory, state, strict=True)) / (15 * 0.4)
            expected -= interact(overlap, n, interaction)
        assert float(energy) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("n", VERTICES)
def test_energy_never_rises_over_1000_asynchronous_updates(n, interaction):
    generator = torch.Generator().manual_seed(n)
    model, states = model_of(n=n, interaction=interaction, temperature=0.5, initialise="normal"), signs(8, 15, seed=n)
    energy, moved = model.energy(states), 0
    for neuron in torch.randint(15, (125,), generator=generator):  # of 8 states each
        new = model.update(states, neuron[None])
        after = model.energy(new)
        assert bool((after <= energy + 1e-12 * energy.abs()).all())
        moved += int((new != states).sum())
        states, energy = new, after
    assert moved > 0


@given(st.integers(0, 2**31), st.sampled_from(VERTICES), st.sampled_from(INTERACTIONS))
def test_update_takes_the_sign_of_lower_energy(seed, n, interaction):
    model, states = model_of(n=n, interaction=interaction, temperature=0.5, seed=seed), signs(5, 15, seed=seed)
    neuron = seed % 15
    energies = []
    for sign in (1, -1):
        tried = states.clone()
        tried[:, neuron] = sign
        energies.append(model.energy(tried))
    new = model.update(states, torch.tensor([neuron]))
    lower = torch.where(energies[0] < energies[1], 1.0, -1.0)
    # a difference within rounding leaves the neuron as it is
    clear = (energies[0] - energies[1]).abs() > 1e-12 * (energies[0].abs() + energies[1].abs())
    assert torch.equal(new[clear, neuron], lower[clear].double())
    rest = torch.arange(15) != neuron
    assert torch.equal(new[:, rest], states[:, rest])


def test_a_tie_leaves_the_neuron_as_it_is():
    model = model_of(n=3, interaction="rectified", memories=1)
    with torch.no_grad():
        model.memories.fill_(-1)
    states = torch.ones(2, 15, dtype=torch.float64)
    states[1, ::8] = -1
    # both signs of any neuron leave the overlap negative, the rectified F zero
    assert torch.equal(model.update(states), states)
    assert torch.equal(model.update(states, synchronous=True), states)


def test_synchronous_update_decides_at_the_states_given():
    model, states = model_of(n=3), signs(6, 15)
    together = model.update(states, synchronous=True)
    for neuron in range(15):
        assert torch.equal(model.update(states, torch.tensor([neuron]))[:, neuron], together[:, neuron])


def test_order_of_updates_comes_from_the_generator():
    model, states = model_of(n=2, initialise="normal"), signs(20, 15)
    first, again, other = (model.update(states, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_second_power_is_the_classic_network():
    dim, patterns = 40, signs(3, 40)
    memory = HopfieldMemory(dim)
    memory.store(patterns)
    model = model_of(38, 2, memories=0, n=2, interaction="polynomial", temperature=0.5)
    model.store(patterns[:, :38], (patterns[:, 39] > 0).long())
    with torch.no_grad():
        model.memories.copy_(patterns)
    states = signs(30, dim, seed=1)
    # E = -sum (xi . s)^2 / (N T)^2 = (2 E_classic N - K N) / (N T)^2, the last term for the diagonal
    expected = (2 * dim * memory.energy(states) - 3 * dim) / (dim * 0.5) ** 2
    torch.testing.assert_close(model.energy(states), expected, rtol=1e-10, atol=1e-10)
    cues = patterns.repeat(4, 1) * torch.where(torch.rand(12, dim, generator=torch.Generator().manual_seed(2)) < 0.1, -1, 1)
    recalled = cues
    for sweep in range(5):
        recalled = model.update(recalled, generator=torch.Generator().manual_seed(sweep))
    assert torch.equal(recalled, memory.recall(cues).patterns)


def tiled_scores(model, items):
    """As the public code does it: a copy of the whole state for each class neuron and sign."""
    columns = []
    for label in range(model.classes):
        values = []
        for sign in (1.0, -1.0):
            state = torch.cat([items, -torch.ones(len(items), model.classes, dtype=items.dtype)], 1)
            state[:, model.inputs + label] = sign
            scale = (model.neurons if model.normalize == "inside" else 1) * model.temperature
            values.append(model._pull(state @ model.memories.T / scale, model._scale()[1]).sum(1))
        columns.append(values[0] - values[1])
    return torch.stack(columns, 1)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("n", VERTICES)
def test_fast_scores_are_the_tiled_ones(n, interaction):
    model, items = model_of(n=n, interaction=interaction), inner(9, 12)
    torch.testing.assert_close(model(items), tiled_scores(model, items), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n", VERTICES)
@pytest.mark.parametrize("power", [1, 3])
def test_gradient_is_krotovs_closed_form(n, power):
    model, items = model_of(n=n, temperature=0.5, initialise="normal"), inner(6, 12)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    classification_loss(model(items), labels, power).backward()
    scale, xi = 15 * 0.5, model.memories.detach()
    targets = torch.full((6, 3), -1.0, dtype=torch.float64)
    targets[torch.arange(6), labels] = 1
    expected = torch.zeros_like(xi)
    y = model(items).tanh().detach()
    for item, output, target in zip(items, y, targets, strict=True):
        for label in range(3):
            # d loss / d z, then d z / d xi = F'(on) s_on - F'(off) s_off
            outer = 2 * power * (output[label] - target[label]) ** (2 * power - 1) * (1 - output[label] ** 2)
            for sign in (1.0, -1.0):
                state = torch.cat([item, -torch.ones(3, dtype=torch.float64)])
                state[12 + label] = sign
                slope = n * (xi @ state / scale).clamp_min(0) ** (n - 1) / scale
                expected += sign * outer * slope[:, None] * state
    torch.testing.assert_close(model.memories.grad, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("n", [2, 5, 20])
@pytest.mark.parametrize("interaction", ["polynomial", "rectified"])
def test_inside_and_outside_agree_where_the_interaction_is_homogeneous(n, interaction):
    inside = model_of(n=n, interaction=interaction, temperature=0.6)
    outside = model_of(n=n, interaction=interaction, temperature=0.6 * 15, normalize="outside")
    items = inner(5, 12)
    torch.testing.assert_close(outside(items), inside(items), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(outside.energy(signs(4, 15)), inside.energy(signs(4, 15)), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_outside_is_the_original_spelling(interaction):
    n, T = 7, 9.0
    model, states = model_of(n=n, interaction=interaction, temperature=T, normalize="outside"), signs(6, 15)
    overlaps = states @ model.memories.detach().T
    expected = -torch.tensor([[interact(float(x), n, interaction) / T**n for x in row] for row in overlaps]).double().sum(1)
    torch.testing.assert_close(model.energy(states), expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("n", [2, 10, 30, 50])
@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("normalize", ["inside", "outside"])
def test_large_powers_stay_finite_in_single_precision(n, interaction, normalize):
    temperature = 0.3 if normalize == "inside" else 0.3 * 794
    settings = {"interaction": interaction, "normalize": normalize, "temperature": temperature}
    model = model_of(784, 10, n=n, memories=5, double=False, **settings)
    with torch.no_grad():
        model.memories[0] = 1
    items = torch.cat([torch.ones(1, 784), inner(3, 784).float(), -torch.ones(1, 784)])
    z = model(items)
    classification_loss(z, torch.tensor([0, 1, 2, 3, 4])).backward()
    assert bool(z.isfinite().all()) and bool(model.memories.grad.isfinite().all())
    assert bool(model.energy(torch.cat([items, torch.ones(5, 10)], 1)).isfinite().all())


def test_powers_that_would_overflow_are_refused():
    with pytest.raises(ValueError, match="temperature"):
        model_of(n=50, temperature=0.1, double=False)(torch.ones(1, 12))
    assert bool(model_of(n=50, temperature=0.1)(torch.ones(1, 12).double()).isfinite().all())


def test_stored_items_are_recalled_without_learning():
    items, labels = signs(12, 40), torch.arange(12) % 3
    model = model_of(40, 3, memories=0, n=5, double=False)
    model.store(items[:6].float(), labels[:6])
    model.store(items[6:].float(), labels[6:])
    assert len(model.memories) == 12
    damaged = items.float()
    damaged[:, :4] *= -1
    assert torch.equal(model.predict(damaged), labels)
    states = torch.cat([items, model.memories[:, 40:].detach()], 1).float()
    assert torch.equal(model.update(states), states)


def test_starts_are_what_they_say():
    krotov, normal = (DenseClassifier(400, 2, memories=100, initialise=name).memories.detach() for name in ("krotov", "normal"))
    assert float(krotov.mean()) == pytest.approx(-0.3, abs=0.01) and 0.27 < float(krotov.std()) < 0.31
    assert float(normal.mean()) == pytest.approx(0, abs=0.01) and float(normal.std()) == pytest.approx(0.1, abs=0.01)
    items, labels = signs(5, 400).float(), torch.tensor([0, 1, 0, 1, 0])
    data = DenseClassifier(400, 2, memories=100, initialise="data", data=(items, labels)).memories.detach()
    halves = torch.cat([items, torch.nn.functional.one_hot(labels) * 2 - 1], 1) / 2
    distance, nearest = torch.cdist(data, halves).min(1)
    assert float(distance.max()) < 0.12 * 402**0.5 and len(nearest.unique()) == 5
    again, other = (DenseClassifier(400, 2, memories=100, seed=seed).memories for seed in (0, 1))
    assert torch.equal(again, krotov) and not torch.equal(other, krotov)


def test_building_a_model_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    DenseClassifier(5, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_of_single_items_by_vmap_sum_to_that_of_the_batch():
    model, items, labels = model_of(n=5), inner(6, 12), torch.tensor([0, 1, 2, 0, 1, 2])

    def loss(parameters, item, label):
        return classification_loss(functional_call(model, parameters, (item[None],)), label[None])

    parameters = {"memories": model.memories.detach()}
    each = vmap(grad(loss), (None, 0, 0))(parameters, items, labels)["memories"]
    classification_loss(model(items), labels).backward()
    torch.testing.assert_close(each.sum(0), model.memories.grad)


def test_dead_memories_are_counted_and_told():
    model = model_of(n=30, memories=4, double=False)
    with torch.no_grad():
        model.memories[:3] = -1
        model.memories[3] = 1
    items = torch.ones(2, 12)
    assert model.dead_share(items) == 0.75
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(items)
        with torch.no_grad():
            model.memories.fill_(-1)
        with pytest.raises(AttractorWarning, match=r"100\.0%"):
            model.predict(items)
    leaky = model_of(n=30, memories=4, interaction="leaky", double=False)
    assert leaky.dead_share(items) == 0


def test_memory_that_answers_for_one_class_is_not_dead():
    model = model_of(n=3, memories=2)
    with torch.no_grad():
        model.memories[:, :12] = 0
        # twice a class neuron less the sum of all: 0.2 for the first class, below zero for the others; below zero for all
        model.memories[0, 12:] = torch.tensor([1.0, 0.4, 0.4])
        model.memories[1, 12:] = torch.tensor([1.0, 1.0, 1.0])
    items = torch.ones(2, 12).double()
    on, _ = next(model._class_pulls(items))
    assert (on > 0).all(0).T.tolist() == [[True, False, False], [False, False, False]]
    assert model.dead_share(items) == 0.5


@pytest.mark.filterwarnings("ignore::attractor.AttractorWarning")
def test_block_size_changes_nothing(monkeypatch):
    model, items = model_of(n=5, memories=9), inner(50, 12)
    items[7] = -1
    whole = model(items), model.predict(items), model.dead_share(items)
    whole[0].sum().backward()
    gradient = model.memories.grad.clone()
    model.memories.grad = None
    monkeypatch.setattr(classifier, "PULLS_AT_A_TIME", 100)
    assert len(list(model._class_pulls(items))) == 17
    torch.testing.assert_close(model(items), whole[0], rtol=1e-12, atol=1e-14)
    assert torch.equal(model.predict(items), whole[1]) and model.dead_share(items) == whole[2]
    model(items).sum().backward()
    torch.testing.assert_close(model.memories.grad, gradient, rtol=1e-10, atol=1e-13)
    assert model(items[:0]).shape == (0, 3) and model.predict(items[:0]).shape == (0,)


def test_silent_items_of_all_blocks_are_counted(monkeypatch):
    model = model_of(n=3, memories=2)
    with torch.no_grad():
        model.memories.fill_(1)
    items = torch.ones(10, 12).double()
    items[::2] = -1
    monkeypatch.setattr(classifier, "PULLS_AT_A_TIME", 20)
    with pytest.warns(AttractorWarning, match=r"50\.0% of the items"):
        model.predict(items)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"n": 1}, "n must"),
        ({"n": 2.5}, "n must"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"memories": -1}, "memories"),
        ({"classes": 1}, "classes"),
        ({"inputs": 0}, "inputs"),
        ({"interaction": "cubic"}, "interaction"),
        ({"normalize": "both"}, "normalize"),
        ({"initialise": "zero"}, "initialise"),
        ({"initialise": "data"}, "data"),
        ({"data": (torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64))}, "data"),
        ({"initialise": "data", "data": (torch.zeros(1, 4), torch.tensor([2]))}, "labels"),
        ({"initialise": "data", "data": (torch.zeros(2, 4), torch.tensor([0]))}, "labels"),
        ({"initialise": "data", "data": (torch.zeros(1, 5), torch.tensor([0]))}, "items"),
    ],
)
def test_bad_settings_are_named(settings, word):
    with pytest.raises((ValueError, TypeError), match=word):
        DenseClassifier(**{"inputs": 4, "classes": 2} | settings)


@pytest.mark.parametrize("bad", [2.0, -1.5, math.nan, math.inf])
def test_states_outside_of_the_range_are_refused(bad):
    model = model_of(double=False)
    items, states = torch.zeros(2, 12), torch.zeros(2, 15)
    items[1, 3] = states[1, 3] = bad
    for call, value, word in ((model, items, "items"), (model.predict, items, "items"), (model.energy, states, "states")):
        with pytest.raises(ValueError, match=rf"{word} must lie in \[-1, 1\]"):
            call(value)
    with pytest.raises(ValueError, match="states"):
        model.update(states)
    memories = model.memories
    with pytest.raises(ValueError, match="items"):
        model.store(items, torch.tensor([0, 1]))
    assert model.memories is memories


@pytest.mark.parametrize("labels", [torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0]), torch.tensor([[0], [1]])])
def test_bad_labels_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        classification_loss(torch.zeros(2, 3), labels)


def test_bad_arguments_of_the_loss_are_refused():
    with pytest.raises(TypeError, match="labels"):
        classification_loss(torch.zeros(2, 3), [0, 1])
    with pytest.raises(ValueError, match="labels"):
        classification_loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="power"):
        classification_loss(torch.zeros(2, 3), torch.tensor([0, 1]), 0)


def test_loss_takes_soft_targets():
    z, targets = inner(4, 3), inner(4, 3, seed=1)
    torch.testing.assert_close(classification_loss(z, targets, 2), ((z.tanh() - targets) ** 4).sum())
    hard = torch.tensor([[1.0, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]).double()
    torch.testing.assert_close(classification_loss(z, hard), classification_loss(z, torch.tensor([0, 2, 1, 0])))


def test_optimizer_makes_the_published_step():
    start = inner(3, 5)
    memory, velocity = torch.nn.Parameter(start.clone()), torch.zeros_like(start)
    optimizer, expected = MemoryOptimizer([memory], lr=0.3, momentum=0.6), start.clone()
    for seed in range(4):
        gradient = inner(3, 5, seed=seed + 1) * 10.0 ** torch.tensor([[-30], [0], [20]])
        memory.grad = gradient.clone()
        optimizer.step()
        velocity = 0.6 * velocity + gradient
        largest = velocity.abs().max(1, keepdim=True).values.clamp_min(1e-30)
        expected = (expected - 0.3 * velocity / largest).clamp(-1, 1)
        torch.testing.assert_close(memory.detach(), expected)


def test_a_row_without_gradient_does_not_move():
    memory = torch.nn.Parameter(inner(2, 4))
    before = memory.detach().clone()
    memory.grad = torch.tensor([[0.0] * 4, [1.0, 0, 0, 0]]).double()
    MemoryOptimizer([memory], lr=0.5).step()
    assert torch.equal(memory.detach()[0], before[0]) and not torch.equal(memory.detach()[1], before[1])


def test_optimizer_goes_on_from_its_saved_state():
    def steps(memory, optimizer, count):
        for _ in range(count):
            memory.grad = memory.detach() + 0.1
            optimizer.step()

    one, two = (torch.nn.Parameter(inner(2, 4)) for _ in range(2))
    first = MemoryOptimizer([one])
    steps(one, first, 4)
    half = MemoryOptimizer([two])
    steps(two, half, 2)
    resumed = MemoryOptimizer([two])
    resumed.load_state_dict(half.state_dict())
    steps(two, resumed, 2)
    assert torch.equal(one, two)


@pytest.mark.parametrize("settings", [{"lr": 0}, {"lr": -0.1}, {"momentum": 1.0}, {"momentum": -0.1}, {"clip": 0}])
def test_bad_settings_of_the_optimizer_are_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        MemoryOptimizer([torch.nn.Parameter(torch.zeros(2, 2))], **settings)


@pytest.mark.parametrize("settings", [{"lr": -1.0}, {"momentum": 1.0}, {"clip": 0.0}])
def test_bad_settings_of_a_group_are_named(settings):
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=next(iter(settings))):
        MemoryOptimizer([{"params": [parameter], **settings}])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rows_without_gradient_stay_in_every_precision(dtype):
    memory = torch.nn.Parameter(torch.full((2, 3), 0.5, dtype=dtype))
    memory.grad = torch.tensor([[0.0, 0, 0], [0, 1, 0]], dtype=dtype)
    MemoryOptimizer([memory], lr=0.25).step()
    assert memory.tolist() == [[0.5, 0.5, 0.5], [0.5, 0.25, 0.5]]
