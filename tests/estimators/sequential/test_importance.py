"""Importances on losses whose gradients are known in closed form."""

import pytest
import torch
from torch import nn

from attractor.estimators.sequential import EWC, L2, MAS, SI, SequentialLearner, Strategy, Task, permuted
from attractor.nn import DenseClassifier, MemoryOptimizer, classification_loss

KINDS = [L2, EWC, MAS, SI]


class Weights(nn.Module):
    """`z(x) = theta * x`: two parameters, each seen through one entry of the item."""

    def __init__(self, start=(1.0, -2.0)):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, items):
        return items * self.theta


def quadratic(outputs, targets):
    """`1/2 sum (theta x - t)^2`, a mean over the items."""
    return (outputs - targets).square().sum(1).mean() / 2


ITEMS = torch.tensor([[1.0, 2.0], [3.0, 0.0]], dtype=torch.float64)
TARGETS = torch.tensor([[0.0, 1.0], [2.0, 5.0]], dtype=torch.float64)
OTHER = torch.tensor([[2.0, -1.0], [0.5, 1.0]], dtype=torch.float64)


class Recorder(Strategy):
    """The way of the parameters, and the gradients of the loss along it."""

    def __init__(self):
        self.way, self.gradients, self.added = [], [], []

    def before_task(self, items, labels, training):
        self.way.append(training.model.theta.detach().clone())

    def penalty(self, gradients, training):
        self.gradients.append(gradients["theta"].clone())
        return {}

    def project(self, gradients, training):
        self.added.append(gradients["theta"] - self.gradients[-1])
        return gradients

    def after_step(self, training):
        self.way.append(training.model.theta.detach().clone())


def learner(*strategies, lr=0.05, epochs=4, **options):
    return SequentialLearner(
        Weights(),
        strategies=strategies,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=lr),
        loss=quadratic,
        epochs=epochs,
        batch_size=2,
        **options,
    )


def test_ewc_is_the_mean_squared_gradient_of_each_item():
    method = EWC(1.0, normalise=False)
    model = learner(method)
    model.fit_task(ITEMS, TARGETS)
    theta = model.model.theta.detach()
    expected = ((theta * ITEMS - TARGETS) * ITEMS).square().mean(0)
    torch.testing.assert_close(method.importance["theta"], expected)
    assert torch.equal(method.anchor["theta"], theta)


def test_mas_is_the_mean_absolute_gradient_of_the_squared_length():
    method = MAS(1.0, normalise=False)
    model = learner(method)
    model.fit_task(ITEMS, TARGETS)
    theta = model.model.theta.detach()
    torch.testing.assert_close(method.importance["theta"], (2 * theta * ITEMS.square()).abs().mean(0))


def test_mas_takes_absolute_values_item_by_item():
    class Signed(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.float64))

        def forward(self, items):
            return (items @ self.theta)[:, None]

    method = MAS(1.0, normalise=False)
    items = torch.tensor([[2.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    still = SequentialLearner(
        Signed(), strategies=[method], optimizer=lambda p: torch.optim.SGD(p, lr=0.0), loss=lambda z, t: z.sum(), epochs=1
    )
    still.fit_task(items, items)
    # |z|^2 has the gradient 2 z x: 2 (2, -1) for the first item, 4 (1, 1) for the second
    assert method.importance["theta"].tolist() == [(4 + 4) / 2, (2 + 4) / 2]


def test_si_is_the_work_done_along_the_way_over_the_way_squared():
    method, seen = SI(1.0, normalise=False), Recorder()
    learner(seen, method).fit_task(ITEMS, TARGETS)
    steps = [after - before for before, after in zip(seen.way[:-1], seen.way[1:], strict=True)]
    work = -sum(gradient * step for gradient, step in zip(seen.gradients, steps, strict=True))
    moved = seen.way[-1] - seen.way[0]
    torch.testing.assert_close(method.importance["theta"], (work / (moved.square() + 0.1)).clamp_min(0))
    assert float(method.importance["theta"].min()) > 0


def test_si_does_not_count_what_penalties_do():
    alone, beside = SI(0.0, normalise=False), SI(0.0, normalise=False)
    pull = L2(3.0)
    first, second = learner(alone), learner(pull, beside)
    for one in (first, second):
        one.fit_task(ITEMS, TARGETS)
    before = {name: value.clone() for name, value in beside.importance.items()}
    seen = Recorder()
    second.strategies = (*second.strategies, seen)
    second.fit_task(ITEMS, OTHER)
    steps = [after - start for start, after in zip(seen.way[:-1], seen.way[1:], strict=True)]
    work = -sum(gradient * step for gradient, step in zip(seen.gradients, steps, strict=True))
    moved = seen.way[-1] - seen.way[0]
    expected = before["theta"] + (work / (moved.square() + 0.1)).clamp_min(0)
    torch.testing.assert_close(beside.importance["theta"], expected)
    assert float(torch.stack(seen.added).abs().max()) > 0


def test_si_counts_no_step_that_raised_the_loss():
    method = SI(1.0, normalise=False)
    learner(method, lr=10.0, epochs=1).fit_task(ITEMS, TARGETS)
    up = SI(1.0, normalise=False)
    worse = SequentialLearner(
        Weights(), strategies=[up], optimizer=lambda p: torch.optim.SGD(p, lr=0.05, maximize=True), loss=quadratic, epochs=1
    )
    worse.fit_task(ITEMS, TARGETS)
    assert up.importance["theta"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_pull_is_that_of_the_quadratic_penalty(kind):
    method, seen = kind(0.7), Recorder()
    model = learner(method, seen)
    model.fit_task(ITEMS, TARGETS)
    count = len(seen.added)
    assert float(torch.stack(seen.added).abs().max()) == 0
    importance, anchor = method.importance["theta"].clone(), method.anchor["theta"].clone()
    model.fit_task(ITEMS, OTHER)
    # the way holds the start of each task and the place after each step
    places = seen.way[count + 1 : -1]
    for added, place in zip(seen.added[count:], places, strict=True):
        torch.testing.assert_close(added, 0.7 * importance * (place - anchor))
    assert float(torch.stack(seen.added).abs().max()) > 0


@pytest.mark.parametrize("kind", [EWC, MAS, SI])
def test_importances_of_a_task_are_at_most_one(kind):
    method, raw = kind(1.0), kind(1.0, normalise=False)
    learner(method, raw).fit_task(ITEMS, TARGETS)
    assert float(method.importance["theta"].max()) == 1.0
    torch.testing.assert_close(method.importance["theta"], raw.importance["theta"] / raw.importance["theta"].max())


def test_l2_is_one_everywhere_and_anchored_at_the_last_task():
    method = L2(1.0)
    model = learner(method)
    for targets in (TARGETS, OTHER):
        model.fit_task(ITEMS, targets)
    assert method.importance["theta"].tolist() == [1.0, 1.0]
    assert torch.equal(method.anchor["theta"], model.model.theta.detach())


@pytest.mark.parametrize("kind", [MAS, SI])
def test_importances_add_up_and_the_anchor_moves_on(kind):
    method = kind(0.1, normalise=False)
    model = learner(method)
    model.fit_task(ITEMS, TARGETS)
    first = method.importance["theta"].clone()
    model.fit_task(ITEMS, OTHER)
    assert bool((method.importance["theta"] > first).all())
    assert torch.equal(method.anchor["theta"], model.model.theta.detach())


def test_separate_ewc_pulls_to_each_task_by_its_own_importance():
    parts = []

    class Watching(EWC):
        def accumulate(self, measured, learned):
            parts.append((measured["theta"].clone(), learned["theta"].clone()))
            super().accumulate(measured, learned)

    method = Watching(0.5, normalise=False)
    model = learner(method)
    for targets in (TARGETS, OTHER, -TARGETS):
        model.fit_task(ITEMS, targets)
    place = torch.tensor([0.3, 0.4], dtype=torch.float64)
    expected = 0.5 * sum(importance * (place - anchor) for importance, anchor in parts)
    with torch.no_grad():
        model.model.theta.copy_(place)
    torch.testing.assert_close(method.penalty({}, model._training)["theta"], expected)
    assert len(parts) == 3


def test_online_ewc_decays_what_is_old_and_anchors_at_the_last_task():
    method, raw = EWC(0.1, decay=0.25, normalise=False), EWC(0.0, decay=1.0, normalise=False)
    model = learner(method, raw)
    model.fit_task(ITEMS, TARGETS)
    first = method.importance["theta"].clone()
    model.fit_task(ITEMS, OTHER)
    second = raw.importance["theta"] - first
    torch.testing.assert_close(method.importance["theta"], 0.25 * first + second)
    assert torch.equal(method.anchor["theta"], model.model.theta.detach())


def test_parameters_that_never_matter_are_free():
    class Idle(Weights):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.tensor([5.0], dtype=torch.float64))

    for kind in (EWC, MAS, SI):
        method = kind(1.0)
        model = SequentialLearner(
            Idle(), strategies=[method], optimizer=lambda p: torch.optim.SGD(p, lr=0.05), loss=quadratic, epochs=2
        )
        for targets in (TARGETS, OTHER):
            model.fit_task(ITEMS, targets)
        assert method.importance["unused"].tolist() == [0.0]
        assert bool(method.anchor["theta"].isfinite().all()) and model.model.unused.item() == 5.0


def digits_like(classes=4, dim=12):
    generator = torch.Generator().manual_seed(0)
    centres = torch.randint(0, 2, (classes, dim), generator=generator).float() * 2 - 1
    labels = torch.arange(240) % classes
    flips = torch.rand(240, dim, generator=generator) < 0.05
    items = torch.where(flips, -centres[labels], centres[labels])
    return permuted(Task(items[:160], labels[:160], items[160:], labels[160:]), 2, seed=1)


def dense_run(*strategies):
    model = DenseClassifier(12, 4, memories=16, n=3, temperature=0.3, seed=0)
    sequential = SequentialLearner(
        model,
        strategies=strategies,
        optimizer=lambda parameters: MemoryOptimizer(parameters, lr=0.05),
        loss=classification_loss,
        epochs=8,
        batch_size=20,
        seed=3,
    )
    return model, sequential.run(digits_like())


@pytest.mark.parametrize("kind", KINDS)
def test_strength_zero_changes_not_one_bit(kind):
    (plain, plain_told), (held, held_told) = dense_run(), dense_run(kind(0.0))
    assert torch.equal(plain.memories, held.memories)
    assert torch.equal(plain_told.scores, held_told.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_great_strength_freezes_what_was_learned(kind):
    _, plain = dense_run()
    _, frozen = dense_run(kind(1e9))
    assert plain.scores[1, 1] > 0.9 and plain.scores[0, 0] > 0.9
    assert frozen.scores[1, 1] < 0.5
    assert frozen.scores[1, 0] > plain.scores[1, 0]


def test_item_gradients_are_taken_with_dropout_off_and_training_goes_on_after():
    model = nn.Sequential(nn.Dropout(0.9), Weights())
    method = EWC(1.0, normalise=False)
    sequential = SequentialLearner(
        model, strategies=[method], optimizer=lambda p: torch.optim.SGD(p, lr=0.0), loss=quadratic, epochs=1, batch_size=2
    )
    sequential.fit_task(ITEMS, TARGETS)
    theta = model[1].theta.detach()
    torch.testing.assert_close(method.importance["1.theta"], ((theta * ITEMS - TARGETS) * ITEMS).square().mean(0))
    assert model.training


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_bad_strengths_are_refused(kind, strength):
    with pytest.raises(ValueError, match="strength"):
        kind(strength)


@pytest.mark.parametrize("decay", [0.0, 1.5])
def test_bad_decays_are_refused(decay):
    with pytest.raises(ValueError, match="decay"):
        EWC(1.0, decay=decay)


def test_importance_that_overflows_is_told():
    with pytest.raises(FloatingPointError, match="importance of 'theta'"):
        learner(EWC(1.0), lr=0.0, epochs=1).fit_task(ITEMS * 1e90, TARGETS)


def test_importance_and_anchor_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="state"):
        EWC(1.0).load_state_dict({"importance.theta": torch.ones(2), "anchor.theta": torch.ones(3)})
