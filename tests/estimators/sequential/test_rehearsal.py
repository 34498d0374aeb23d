import pytest
import torch
from torch import nn

from attractor.estimators.sequential import (
    PseudoRehearsal,
    Rehearsal,
    SequentialLearner,
    Task,
    Training,
    permuted,
    random_signs,
)
from attractor.estimators.sequential.rehearsal import drawn_rows


def training(model=None, tasks=0):
    return Training(model or nn.Linear(3, 2), nn.functional.cross_entropy, torch.Generator().manual_seed(0), tasks)


def task_of(value, count=10):
    return torch.full((count, 3), float(value)) + torch.arange(count)[:, None] / 100, torch.full((count,), value)


def test_buffer_keeps_the_fraction_of_each_task_with_their_labels():
    method = Rehearsal(0.3)
    for value in (0, 1):
        method.after_task(*task_of(value), training())
    assert method.sizes == [3, 3] and method.items.shape == (6, 3)
    assert method.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(method.items[:, 0].round().long(), method.labels)
    assert len(method.items.unique(dim=0)) == 6


def test_buffer_keeps_random_items_not_the_first_ones():
    kept = set()
    for seed in range(20):
        method, now = Rehearsal(0.3), training()
        now.generator.manual_seed(seed)
        method.after_task(*task_of(0), now)
        kept |= set(method.items[:, 0].mul(100).round().int().tolist())
    assert kept == set(range(10))


def test_pseudo_answers_are_those_of_evaluation_and_leave_the_model_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    method = PseudoRehearsal(20, settle=lambda model, items: items + model(items).sum() * 0)
    method.before_task(*task_of(0), training(model, tasks=1))
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(method.answers, model.eval()(method.items).tanh().detach())


@pytest.mark.parametrize(
    "state",
    [{"learned.5": torch.zeros(1, 3)}, {"items": torch.zeros(2, 3), "answers": torch.zeros(1, 2)}, {"items": torch.zeros(2, 3)}],
)
def test_states_with_gaps_are_refused(state):
    with pytest.raises(ValueError, match="state"):
        PseudoRehearsal(3).load_state_dict(state)


def test_first_task_is_learned_alone_and_later_batches_are_joined_by_as_many_old_items():
    method, now = Rehearsal(0.5), training()
    items, labels = task_of(2, 4)
    alone = method.extend(items, labels, now)
    assert torch.equal(alone[0], items)
    method.after_task(*task_of(0), now)
    joined, named = method.extend(items, labels, now)
    assert torch.equal(joined[:4], items) and len(joined) == 8
    assert named.tolist() == [2, 2, 2, 2, 0, 0, 0, 0]
    assert torch.equal(joined[4:, 0].round().long(), named[4:])


def test_small_buffer_is_drawn_evenly():
    rows = drawn_rows(3, 8, torch.Generator().manual_seed(0))
    assert len(rows) == 8 and sorted(torch.bincount(rows).tolist()) == [2, 3, 3]


@pytest.mark.parametrize("fraction", [0, 1.01, -1])
def test_fraction_outside_of_its_range_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
        Rehearsal(fraction)


def test_buffer_that_would_stay_empty_is_refused_before_anything_is_learned():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    learner = SequentialLearner(
        model, strategies=[Rehearsal(0.01)], optimizer=lambda p: torch.optim.SGD(p, lr=0.1), loss=nn.functional.cross_entropy
    )
    with pytest.raises(ValueError, match=r"Rehearsal needs a buffer that is not empty: 0\.01 of 10 items"):
        learner.fit_task(*task_of(1))
    assert torch.equal(model.weight, before) and learner.tasks == 0


def test_pseudo_items_carry_the_answers_of_the_model_at_that_time():
    model = nn.Linear(3, 2)
    method, now = PseudoRehearsal(20), training(model, tasks=1)
    method.before_task(*task_of(0), now)
    assert method.items.shape == (20, 3) and bool((method.items.abs() == 1).all())
    torch.testing.assert_close(method.answers, model(method.items).tanh().detach())
    items, labels = task_of(0, 5)
    assert method.extra_loss(items, labels, now).item() < 1e-10
    with torch.no_grad():
        model.weight += 0.1
    moved = method.extra_loss(items, labels, now)
    assert moved.item() > 1e-3 and moved.requires_grad


def test_extra_loss_is_the_squared_error_of_as_many_items_as_the_batch_has():
    model = nn.Linear(3, 2)
    method, now = PseudoRehearsal(4), training(model, tasks=1)
    method.before_task(*task_of(0), now)
    with torch.no_grad():
        model.weight += 0.1
    # a batch of the size of the pool takes each pseudo-item once
    expected = (model(method.items).tanh() - method.answers).square().sum()
    torch.testing.assert_close(method.extra_loss(*task_of(0, 4), now), expected)
    torch.testing.assert_close(method.extra_loss(*task_of(0, 8), now), 2 * expected)


def test_first_task_has_no_pseudo_items_and_later_ones_new_ones():
    method = PseudoRehearsal(20)
    method.before_task(*task_of(0), training())
    assert method.held == 0 and method.extra_loss(*task_of(0), training()) is None
    now = training(tasks=1)
    method.before_task(*task_of(0), now)
    first = method.items
    now.tasks = 2
    method.before_task(*task_of(0), now)
    assert not torch.equal(method.items, first)


def test_first_only_keeps_those_of_the_first_task():
    method, now = PseudoRehearsal(20, first_only=True), training(tasks=1)
    method.before_task(*task_of(0), now)
    first = method.items
    now.tasks = 2
    method.before_task(*task_of(0), now)
    assert method.items is first


def test_own_draws_settling_answers_and_errors_are_used():
    method = PseudoRehearsal(
        6,
        draw=lambda shape, generator: torch.full(shape, 2.0),
        settle=lambda model, items: items * 3,
        answer=lambda outputs: outputs.softmax(-1),
        error=lambda now, then: (now - then).abs().mean() + 7,
    )
    model = nn.Linear(3, 2)
    now = training(model, tasks=1)
    method.before_task(*task_of(0), now)
    assert method.items.unique().tolist() == [6.0]
    torch.testing.assert_close(method.answers, model(method.items).softmax(-1).detach())
    assert method.extra_loss(*task_of(0), now).item() == pytest.approx(7)


def test_items_that_were_learned_and_their_negatives_are_rejected():
    learned = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0]])
    method, now = PseudoRehearsal(200, reject_learned=True), training(tasks=1)
    method.after_task(learned, torch.zeros(2), now)
    method.before_task(*task_of(0), now)
    found = {tuple(item) for item in method.items.tolist()}
    # of the eight patterns of three signs, four are left
    assert len(found) == 4 and 60 < method.held < 140
    assert not found & {(1, 1, 1), (-1, -1, -1), (1, -1, 1), (-1, 1, -1)}


def test_where_all_are_rejected_nothing_is_rehearsed():
    method, now = PseudoRehearsal(5, reject_learned=True, settle=lambda model, items: torch.ones_like(items)), training(tasks=1)
    method.after_task(torch.ones(1, 3), torch.zeros(1), now)
    method.before_task(*task_of(0), now)
    assert method.held == 0 and method.extra_loss(*task_of(0), now) is None


def test_random_signs_are_balanced_and_follow_the_generator():
    first, again = (random_signs((100, 50), torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again) and abs(float(first.mean())) < 0.05


def test_count_below_one_is_refused():
    with pytest.raises(ValueError, match="count"):
        PseudoRehearsal(0)


def test_rehearsal_keeps_more_of_the_first_task_than_nothing_does():
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(200, 10, generator=generator)
    labels = (items[:, 0] > 0).long()
    tasks = permuted(Task(items[:120], labels[:120], items[120:], labels[120:]), 3, seed=2)

    def told(*strategies):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(10, 30), nn.Tanh(), nn.Linear(30, 2))
        learner = SequentialLearner(
            model,
            strategies=strategies,
            optimizer=lambda p: torch.optim.SGD(p, lr=0.2),
            loss=nn.functional.cross_entropy,
            epochs=12,
        )
        return learner.run(tasks)

    assert told(Rehearsal(0.3)).forgetting < told().forgetting - 0.05
