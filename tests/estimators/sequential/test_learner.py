from functools import cache, partial

import pytest
import torch
from torch import nn

from attractor.estimators.sequential import (
    EWC,
    GEM,
    L2,
    MAS,
    SI,
    AveragedGEM,
    PseudoRehearsal,
    Rehearsal,
    SequentialLearner,
    Strategy,
    Task,
    permuted,
    random_patterns,
    stable,
)
from attractor.nn import DenseClassifier, MemoryOptimizer, classification_loss

STRATEGIES = {
    "rehearsal": lambda: Rehearsal(0.2),
    "pseudorehearsal": lambda: PseudoRehearsal(30, reject_learned=True),
    "GEM": lambda: GEM(0.2),
    "A-GEM": lambda: AveragedGEM(0.2, sample=10),
    "L2": lambda: L2(0.1),
    "EWC": lambda: EWC(0.1),
    "online EWC": lambda: EWC(0.1, decay=0.9),
    "MAS": lambda: MAS(0.1),
    "SI": lambda: SI(0.1),
}


def toy_tasks(count=3):
    generator = torch.Generator().manual_seed(0)
    items = torch.randint(0, 2, (60, 8), generator=generator).float() * 2 - 1
    labels = (items[:, :3].sum(1) > 0).long()
    return permuted(Task(items[:40], labels[:40], items[40:], labels[40:]), count)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 2))


def dense():
    return DenseClassifier(8, 2, memories=12, n=3, temperature=0.3, seed=0)


def learner_of(model, *strategies, seed=0, epochs=3, **options):
    kind = MemoryOptimizer if isinstance(model, DenseClassifier) else torch.optim.Adam
    loss = classification_loss if isinstance(model, DenseClassifier) else nn.functional.cross_entropy
    settings = {"optimizer": lambda parameters: kind(parameters, lr=0.05), "loss": loss, "batch_size": 16} | options
    return SequentialLearner(model, strategies=strategies, epochs=epochs, seed=seed, **settings)


@pytest.mark.parametrize("model", [network, dense])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_works_with_any_module_and_optimizer(model, name):
    told = learner_of(model(), STRATEGIES[name]()).run(toy_tasks())
    assert told.scores.shape == (3, 3) and bool(((told.scores >= 0) & (told.scores <= 1)).all())
    assert told.learned_accuracy > 0.6


@pytest.mark.parametrize("name", STRATEGIES)
def test_same_seed_same_result_and_the_global_generator_is_left_alone(name):
    tasks = toy_tasks(2)
    before = torch.get_rng_state()
    models = [dense() for _ in range(3)]
    told = [
        learner_of(model, STRATEGIES[name](), seed=seed, epochs=1).run(tasks) for model, seed in zip(models, (1, 1, 2), strict=True)
    ]
    assert torch.equal(models[0].memories, models[1].memories) and torch.equal(told[0].scores, told[1].scores)
    assert not torch.equal(models[0].memories, models[2].memories)
    assert torch.equal(torch.get_rng_state(), before)


def test_strategies_compose():
    tasks = toy_tasks(2)
    finals = []
    for strategies in ([], [Rehearsal(0.2)], [EWC(5.0)], [Rehearsal(0.2), EWC(5.0)], [Rehearsal(0.2), EWC(5.0), GEM(0.2)]):
        model = dense()
        learner_of(model, *strategies, epochs=1).run(tasks)
        finals.append(model.memories.detach())
    assert not any(torch.equal(one, other) for number, one in enumerate(finals) for other in finals[:number])


def test_hooks_are_called_in_their_order():
    calls = []

    class Watching(Strategy):
        def __getattribute__(self, name):
            if not name.startswith("_"):
                calls.append(name)
            return super().__getattribute__(name)

    learner_of(network(), Watching(), epochs=1, batch_size=80).fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    assert calls == ["check", "before_task", "extend", "extra_loss", "penalty", "project", "after_step", "after_task"]


def test_projection_sees_the_penalties_of_strategies_that_come_after_it():
    class Constant(Strategy):
        def penalty(self, gradients, training):
            return {name: torch.full_like(value, 100.0) for name, value in gradients.items()}

    class Watching(Strategy):
        def __init__(self):
            self.least = []

        def project(self, gradients, training):
            self.least.append(min(float(value.min()) for value in gradients.values()))
            return gradients

    watching = Watching()
    learner_of(network(), watching, Constant(), epochs=1).fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    assert min(watching.least) > 50


def test_gradient_reaches_the_optimizer_as_the_strategies_left_it():
    class Nothing(Strategy):
        def project(self, gradients, training):
            return {name: torch.zeros_like(value) for name, value in gradients.items()}

    model = network()
    before = [value.detach().clone() for value in model.parameters()]
    learner_of(model, Nothing()).fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_training_without_strategies_is_that_of_a_plain_loop():
    task = toy_tasks()[0]
    model, plain = network(), network()
    learner_of(model, epochs=2, seed=5).fit_task(task.items, task.labels)
    optimizer, generator = torch.optim.Adam(plain.parameters(), lr=0.05), torch.Generator().manual_seed(5)
    for _ in range(2):
        for rows in torch.randperm(40, generator=generator).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(task.items[rows]), task.labels[rows]).backward()
            optimizer.step()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_batches_do_not_depend_on_the_strategies():
    class Watching(Strategy):
        def __init__(self):
            self.seen = []

        def penalty(self, gradients, training):
            return {}

        def extend(self, items, labels, training):
            self.seen.append(items)
            return items, labels

    seen = []
    for strategies in ([], [Rehearsal(0.5)], [PseudoRehearsal(10)]):
        watching = Watching()
        learner_of(network(), watching, *strategies).run(toy_tasks())
        seen.append(torch.cat(watching.seen))
    assert torch.equal(seen[0], seen[1]) and torch.equal(seen[0], seen[2])


def test_rate_follows_the_schedule_and_starts_anew_with_each_task():
    rates = []

    class Watching(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    learner = learner_of(
        network(),
        optimizer=lambda parameters: Watching(parameters, lr=0.1),
        schedule=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        batch_size=80,
        epochs=2,
    )
    learner.run(toy_tasks(2))
    assert rates == [0.1, 0.05, 0.1, 0.05]


def test_progress_is_told_of_every_epoch():
    told = []
    learner_of(network(), epochs=2, progress=lambda *where: told.append(where)).run(toy_tasks(2))
    assert told == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_run_keeps_the_score_of_each_task_after_each():
    tasks = toy_tasks()
    learner = learner_of(network())
    told = learner.run(tasks)
    assert torch.equal(told.scores[-1], learner.evaluate(tasks))
    by_hand = learner_of(network())
    torch.testing.assert_close(told.untrained, by_hand.evaluate(tasks))
    for number, task in enumerate(tasks):
        by_hand.fit_task(task.items, task.labels)
        assert torch.equal(told.scores[number], by_hand.evaluate(tasks))


def test_patterns_can_be_learned_as_their_own_targets():
    tasks = random_patterns((6, 1, 1), 16, seed=0)
    model = nn.Linear(16, 16)
    with torch.no_grad():
        model.weight.zero_()
    learner = learner_of(
        model,
        Rehearsal(1.0),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        loss=lambda outputs, targets: (outputs - targets).square().mean(),
        right=stable,
        epochs=100,
    )
    told = learner.run(tasks)
    assert told.average_accuracy == 1.0 and told.untrained[0] < 1


@pytest.mark.parametrize("name", STRATEGIES)
def test_state_of_a_strategy_goes_on_where_it_was(name):
    tasks = toy_tasks()
    first = STRATEGIES[name]()
    assert first.state_dict() == {}
    learner = learner_of(dense(), first)
    learner.run(tasks[:2])
    state = first.state_dict()
    assert state and all(isinstance(value, torch.Tensor) for value in state.values())
    second = STRATEGIES[name]()
    second.load_state_dict(state)
    assert second.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in second.state_dict().items())
    second.load_state_dict({})
    assert second.state_dict() == {}
    with pytest.raises(ValueError, match="state"):
        second.load_state_dict({"unknown": torch.zeros(1)})


def resumed_after(count, tasks, make):
    """A learner that has loaded what one saved after `count` tasks, and goes on."""
    strategies = make()
    first = learner_of(dense(), *strategies)
    for task in tasks[:count]:
        first.fit_task(task.items, task.labels)
    model = dense()
    model.load_state_dict(first.model.state_dict())
    second = learner_of(model, *make(), seed=99)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    for task in tasks[count:]:
        second.fit_task(task.items, task.labels)
    return second


def several(name):
    """New strategies of this name."""
    if name == "two":
        return [Rehearsal(0.2), PseudoRehearsal(9), EWC(1.0)]
    return [PseudoRehearsal(9, first_only=True) if name == "first only" else STRATEGIES[name]()]


@cache
def uninterrupted(name):
    whole = learner_of(dense(), *several(name))
    for task in toy_tasks(4):
        whole.fit_task(task.items, task.labels)
    return whole


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("name", [*STRATEGIES, "first only", "two"])
def test_resumed_learning_is_that_without_interruption(name, count):
    whole, again = uninterrupted(name), resumed_after(count, toy_tasks(4), partial(several, name))
    assert torch.equal(again.model.memories, whole.model.memories) and again.tasks == 4
    told, expected = again.state_dict(), whole.state_dict()
    assert told.keys() == expected.keys() and all(torch.equal(told[key], expected[key]) for key in expected)


def test_resumed_learner_still_refuses_tasks_of_another_shape():
    again = resumed_after(1, toy_tasks(1), list)
    with pytest.raises(ValueError, match="items"):
        again.fit_task(torch.zeros(4, 7), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("tasks"),
        lambda state: state.pop("generators.batches"),
        lambda state: state.pop("first.items"),
        lambda state: state.pop("strategies.1.anchor.memories"),
        lambda state: state.update({"strategies.2.items": torch.zeros(1)}),
        lambda state: state.update({"strategies.0.unknown": torch.zeros(1)}),
        lambda state: state.update({"unknown": torch.zeros(1)}),
    ],
)
def test_state_that_does_not_fit_is_refused_and_changes_nothing(spoil):
    make = lambda: [Rehearsal(0.2), EWC(1.0)]  # noqa: E731  # two of them, anew
    learner, other = learner_of(dense(), *make()), learner_of(dense(), *make())
    for one in (learner, other):
        one.fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    other.fit_task(toy_tasks()[1].items, toy_tasks()[1].labels)
    before, state = learner.state_dict(), other.state_dict()
    spoil(state)
    with pytest.raises(ValueError, match="state"):
        learner.load_state_dict(state)
    after = learner.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


def test_task_that_one_strategy_refuses_is_not_seen_by_the_others():
    # a learned task, then one of which the buffer would keep nothing
    pseudo = PseudoRehearsal(10)
    learner = learner_of(dense(), pseudo, Rehearsal(0.05))
    learner.fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    before = learner.state_dict()
    small = toy_tasks()[1]
    with pytest.raises(ValueError, match="fraction"):
        learner.fit_task(small.items[:4], small.labels[:4])
    after = learner.state_dict()
    assert pseudo.held == 0 and before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_run_refuses_what_a_strategy_refuses_before_anything_is_learned():
    first, small = toy_tasks(2)
    learner = learner_of(dense(), Rehearsal(0.05))
    with pytest.raises(ValueError, match="fraction"):
        learner.run([first, Task(small.items[:4], small.labels[:4], small.test_items, small.test_labels)])
    assert learner.tasks == 0


def test_importance_of_other_parameters_is_refused():
    method = EWC(1.0)
    method.load_state_dict({"importance.memories": torch.ones(3, 10), "anchor.memories": torch.ones(3, 10)})
    with pytest.raises(ValueError, match="importance"):
        learner_of(dense(), method).fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)


class RootOfZero(nn.Module):
    """A finite output whose gradient is not."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 8))

    def forward(self, items):
        return items @ self.weight.T + (self.weight * 0).sum().sqrt()


def test_gradient_that_is_not_finite_moves_nothing():
    model = RootOfZero()
    with pytest.raises(FloatingPointError, match="gradient of 'weight'"):
        learner_of(model).fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    assert torch.equal(model.weight, torch.zeros(2, 8))


def test_penalty_that_is_not_finite_moves_nothing():
    class Bad(Strategy):
        def penalty(self, gradients, training):
            return {name: torch.full_like(value, torch.inf) for name, value in gradients.items()}

    model = dense()
    before = model.memories.detach().clone()
    with pytest.raises(FloatingPointError, match="gradient"):
        learner_of(model, Bad()).fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    assert torch.equal(model.memories, before)


def test_parameters_that_the_last_step_made_infinite_are_told():
    task = toy_tasks()[0]
    overflow = learner_of(
        network(), optimizer=lambda p: torch.optim.SGD(p, lr=1e38), loss=lambda z, t: 1e3 * z.sum(), epochs=1, batch_size=80
    )
    with pytest.raises(FloatingPointError, match="value of"):
        overflow.fit_task(task.items, task.labels)


def partly_frozen():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 2))
    model[1].eval()
    return model


def test_scores_are_those_of_evaluation_and_each_part_keeps_its_mode():
    tasks, model = toy_tasks(1), partly_frozen().train()
    model[1].eval()
    modes = [part.training for part in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told = learner_of(model).evaluate(tasks)
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    expected = (model.eval()(tasks[0].test_items).argmax(1) == tasks[0].test_labels).double().mean()
    assert torch.equal(told[0], expected)


def test_what_strategies_draw_is_not_what_batches_draw():
    task = toy_tasks()[0]
    method = Rehearsal(0.2)
    learner_of(network(), method, seed=3, epochs=1).fit_task(task.items, task.labels)
    first_batch = task.items[torch.randperm(40, generator=torch.Generator().manual_seed(3))[:8]]
    assert not torch.equal(method.items, first_batch)


BAD = {
    "width": (torch.zeros(4, 7), torch.zeros(4, dtype=torch.int64), "items"),
    "precision": (torch.zeros(4, 8, dtype=torch.float64), torch.zeros(4, dtype=torch.int64), "items"),
    "class without output": (torch.zeros(4, 8), torch.full((4,), 2), "labels must lie below 2"),
    "negative class": (torch.zeros(4, 8), torch.full((4,), -1), "labels"),
    "number of labels": (torch.zeros(4, 8), torch.zeros(3, dtype=torch.int64), "labels"),
    "targets after classes": (torch.zeros(4, 8), torch.zeros(4, 2), "labels"),
    "not finite": (torch.full((4, 8), float("nan")), torch.zeros(4, dtype=torch.int64), "items"),
}


@pytest.mark.parametrize("what", BAD)
def test_tasks_that_do_not_fit_are_refused_and_change_nothing(what):
    items, labels, message = BAD[what]
    model, method = network(), EWC(0.1)
    learner = learner_of(model, method)
    learner.fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)
    before = [value.detach().clone() for value in (*model.parameters(), *method.state_dict().values())]
    with pytest.raises(ValueError, match=message):
        learner.fit_task(items, labels)
    after = (*model.parameters(), *method.state_dict().values())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True)) and learner.tasks == 1


def test_states_outside_of_their_range_are_refused_by_the_dense_memory():
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        learner_of(dense()).fit_task(torch.full((4, 8), 2.0), torch.zeros(4, dtype=torch.int64))


def test_tasks_of_a_run_must_be_alike():
    other = Task(torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64), torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64))
    model = network()
    before = model[0].weight.detach().clone()
    with pytest.raises(ValueError, match="items of task 1"):
        learner_of(model).run([toy_tasks()[0], other])
    assert torch.equal(model[0].weight, before)


def test_loss_that_is_no_longer_finite_is_said_aloud():
    learner = learner_of(network(), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e38))
    with pytest.raises(FloatingPointError, match="learning rate"):
        learner.fit_task(toy_tasks()[0].items, toy_tasks()[0].labels)


def test_models_without_parameters_and_bad_counts_are_refused():
    with pytest.raises(ValueError, match="model"):
        learner_of(nn.Identity())
    for name in ("epochs", "batch_size"):
        with pytest.raises(ValueError, match=name):
            learner_of(network(), **{name: 0})


def test_frozen_parameters_are_left_alone():
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    method = EWC(0.1)
    learner_of(model, method, GEM(0.2)).run(toy_tasks(2))
    assert torch.equal(model[0].weight, before) and set(method.importance) == {"2.weight", "2.bias"}
