import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attractor.estimators.sequential import Task, joint, permuted, random_patterns, split_classes
from attractor.estimators.sequential.tasks import check_alike


def toy(count=12, dim=5, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(2 * count, dim, generator=generator)
    labels = torch.arange(2 * count) % classes
    return Task(items[:count], labels[:count], items[count:], labels[count:])


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 5))
def test_permuted_tasks_reorder_the_entries_of_all_items_alike(count, dim, seed):
    task = toy(dim=dim)
    tasks = permuted(task, count, seed=seed)
    assert len(tasks) == count and tasks[0] is task
    for one in tasks:
        # the order is found again from one item, and must explain all others, tests included
        order = [task.items[0].tolist().index(value) for value in one.items[0].tolist()]
        assert sorted(order) == list(range(dim))
        assert torch.equal(one.items, task.items[:, order]) and torch.equal(one.test_items, task.test_items[:, order])
        assert one.labels is task.labels and one.test_labels is task.test_labels


def test_permutations_follow_the_seed_and_differ_from_each_other():
    task = toy(dim=30)
    first, again, other = (permuted(task, 4, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a.items, b.items) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1].items, other[1].items)
    assert len({tuple(one.items[0].tolist()) for one in first}) == 4
    # more tasks begin with the same ones
    assert torch.equal(permuted(task, 2, seed=1)[1].items, first[1].items)


def test_split_classes_share_out_every_item_once():
    task = toy()
    tasks = split_classes(task, [(0, 1), (3,), (2,)])
    assert [sorted(set(one.labels.tolist())) for one in tasks] == [[0, 1], [3], [2]]
    assert sum(len(one.items) for one in tasks) == len(task.items)
    assert sum(len(one.test_items) for one in tasks) == len(task.test_items)
    assert torch.equal(tasks[1].test_items, task.test_items[task.test_labels == 3])


@pytest.mark.parametrize("groups", [[], [(0, 1), (1, 2)], [(0,), (9,)]])
def test_groups_that_are_no_split_are_refused(groups):
    with pytest.raises(ValueError, match="groups"):
        split_classes(toy(), groups)


def test_random_patterns_are_their_own_targets_and_tests():
    tasks = random_patterns((20, 1, 1), 64, seed=3)
    assert [tuple(task.items.shape) for task in tasks] == [(20, 64), (1, 64), (1, 64)]
    for task in tasks:
        assert bool((task.items.abs() == 1).all())
        assert torch.equal(task.items, task.labels) and torch.equal(task.items, task.test_items)
    assert not torch.equal(tasks[1].items, tasks[2].items)
    assert abs(float(tasks[0].items.mean())) < 0.1


def test_joint_task_holds_all_items_of_all():
    tasks = permuted(toy(), 3)
    everything = joint(tasks)
    assert torch.equal(everything.items, torch.cat([task.items for task in tasks]))
    assert torch.equal(everything.test_labels, torch.cat([task.test_labels for task in tasks]))


def test_tasks_of_different_shapes_are_refused_by_number():
    with pytest.raises(ValueError, match=r"items of task 1 .*\(5,\).*\(4,\)"):
        check_alike([toy(), toy(dim=4)])
    targets = torch.zeros(12, 4)
    with pytest.raises(ValueError, match="labels of task 1"):
        check_alike([toy(), Task(toy().items, targets, toy().items, targets)])
    with pytest.raises(ValueError, match="at least one task"):
        joint([])


ITEMS, LABELS = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("items", (torch.zeros(0, 2), LABELS[:0], ITEMS, LABELS)),
        ("items", (torch.zeros(3), LABELS, ITEMS, LABELS)),
        ("items", (ITEMS.long(), LABELS, ITEMS, LABELS)),
        ("items", (ITEMS * float("nan"), LABELS, ITEMS, LABELS)),
        ("labels", (ITEMS, LABELS[:2], ITEMS, LABELS)),
        ("labels", (ITEMS, LABELS - 1, ITEMS, LABELS)),
        ("labels", (ITEMS, LABELS.bool(), ITEMS, LABELS)),
        ("labels", (ITEMS, LABELS[:, None], ITEMS, LABELS)),
        ("labels", (ITEMS, ITEMS / 0, ITEMS, ITEMS)),
        ("test_items", (ITEMS, LABELS, ITEMS[:, :1], LABELS)),
        ("test_items", (ITEMS, LABELS, ITEMS.double(), LABELS)),
        ("test_labels", (ITEMS, LABELS, ITEMS, ITEMS)),
    ],
)
def test_items_and_labels_that_do_not_belong_together_are_refused(name, arguments):
    with pytest.raises(ValueError, match=f"^{name} must"):
        Task(*arguments)


def test_other_things_than_tensors_are_refused():
    with pytest.raises(TypeError, match="items"):
        Task([[0.0]], LABELS, ITEMS, LABELS)
    with pytest.raises(TypeError, match="labels"):
        Task(ITEMS, [0, 0, 0], ITEMS, LABELS)


def test_pictures_that_are_no_rows_cannot_be_permuted():
    pictures = Task(torch.zeros(3, 2, 2), LABELS, torch.zeros(3, 2, 2), LABELS)
    with pytest.raises(ValueError, match="flatten"):
        permuted(pictures)
    with pytest.raises(ValueError, match="count"):
        permuted(toy(), 0)
