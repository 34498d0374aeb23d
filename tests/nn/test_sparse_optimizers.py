"""Optimizers that leave rows without gradient alone."""

from copy import deepcopy

import pytest
import torch

from attractor.nn import RowSparseAdam, RowSparseSGD, SilentMovement

PAIRS = {
    "SGD": (lambda given, **more: RowSparseSGD(given, 0.1, momentum=0), lambda given: torch.optim.SGD(given, 0.1)),
    "momentum": (
        lambda given, **more: RowSparseSGD(given, 0.1, momentum=0.9, **more),
        lambda given: torch.optim.SGD(given, 0.1, momentum=0.9),
    ),
    "Adam": (
        lambda given, **more: RowSparseAdam(given, 0.01, betas=(0.8, 0.95), **more),
        lambda given: torch.optim.Adam(given, 0.01, betas=(0.8, 0.95)),
    ),
}


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shape", [(5, 4), (5,), (), (3, 2, 2)])
def test_dense_gradients_give_the_steps_of_torch(name, shape):
    ours, theirs = (torch.nn.Parameter(randn(*shape)) for _ in range(2))
    mine, other = PAIRS[name][0]([ours]), PAIRS[name][1]([theirs])
    for step in range(100):
        ours.grad = randn(*shape, seed=step + 1)
        theirs.grad = ours.grad.clone()
        mine.step()
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["momentum", "Adam"])
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_without_gradient_do_not_move_by_a_bit(name, axis):
    weight = torch.nn.Parameter(randn(6, 6).float())
    optimizer = PAIRS[name][0]([weight], axis=axis)
    weight.grad = randn(6, 6, seed=1).float()
    optimizer.step()
    before = weight.detach().clone()
    state = {key: value.clone() for key, value in optimizer.state[weight].items()}
    gradient = torch.zeros(6, 6)
    gradient.movedim(axis, 0)[2, 1:3] = 1.0
    for _ in range(5):
        weight.grad = gradient.clone()
        optimizer.step()
    silent = [0, 1, 3, 4, 5]
    moved = weight.detach().movedim(axis, 0)
    assert torch.equal(moved[silent], before.movedim(axis, 0)[silent])
    assert bool((moved[2] != before.movedim(axis, 0)[2]).any())
    for key, value in optimizer.state[weight].items():
        assert torch.equal(value[silent], state[key][silent]) and not torch.equal(value[2], state[key][2]), key


@pytest.mark.parametrize("name", ["momentum", "Adam"])
def test_a_row_counts_only_its_own_steps(name):
    sparse, dense = torch.nn.Parameter(randn(2, 3)), torch.nn.Parameter(randn(2, 3)[:1].clone())
    mine, other = PAIRS[name][0]([sparse]), PAIRS[name][1]([dense])
    for step in range(12):
        gradient = randn(2, 3, seed=step)
        gradient[0] *= step % 3 == 0
        sparse.grad = gradient
        mine.step()
        if step % 3 == 0:
            dense.grad = gradient[:1].clone()
            other.step()
    torch.testing.assert_close(sparse[:1], dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "moved"),
    [
        (lambda given: torch.optim.SGD(given, 0.1), 1.0),
        (lambda given: torch.optim.SGD(given, 0.1, momentum=0.9), 10.0),
        (lambda given: torch.optim.Adam(given, 0.1), 6.0),
        (lambda given: RowSparseSGD(given, 0.1, momentum=0.9), 1.0),
        (lambda given: RowSparseAdam(given, 0.1), 1.0),
    ],
)
def test_report_tells_what_one_gradient_moves_in_the_end(make, moved):
    weight = torch.nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
    optimizer = make([weight])
    with SilentMovement(optimizer) as watched:
        for step in range(201):
            weight.grad = torch.full((1, 1), 0.2 if step == 0 else 0.0, dtype=torch.float64)
            optimizer.step()
    (told,) = watched.movements
    assert (told.steps, told.silent_steps) == (1, 200)
    whole = (told.distance + told.silent_distance) / told.distance
    assert whole == pytest.approx(moved, rel=0.02) and whole == pytest.approx(float(weight.detach().abs()) / told.distance)
    assert told.silent_share == pytest.approx(1 - 1 / whole)
    before = told.silent_steps
    optimizer.step()
    assert told.silent_steps == before


def test_state_is_saved_and_taken_up_again():
    first = torch.nn.Parameter(randn(4, 3))
    optimizer = RowSparseAdam([first], 0.1)
    for step in range(3):
        first.grad = randn(4, 3, seed=step)
        optimizer.step()
    second = torch.nn.Parameter(first.detach().clone())
    other = RowSparseAdam([second], 0.1)
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    for weight, stepping in ((first, optimizer), (second, other)):
        weight.grad = randn(4, 3, seed=9)
        stepping.step()
    assert torch.equal(first, second)


def test_closure_gives_the_loss_and_no_gradient_no_step():
    weight, idle = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))

    def closure():
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert RowSparseSGD([weight, idle], 0.5, momentum=0).step(closure).item() == 4.0
    assert torch.equal(weight, torch.zeros(2, 2)) and torch.equal(idle, torch.ones(2))


def test_saved_numbers_of_steps_keep_their_precision():
    weight = torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.bfloat16))
    optimizer = RowSparseAdam([weight], 1e-3)
    for _ in range(300):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    other = RowSparseAdam([weight], 1e-3)
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    other.step()
    # 300 and 301 are no numbers of bfloat16
    assert other.state[weight]["steps"].tolist() == [301, 301]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda given: RowSparseSGD(given, 0.0), "lr"),
        (lambda given: RowSparseSGD(given, momentum=1.0), "momentum"),
        (lambda given: RowSparseAdam(given, betas=(0.9, 1.0)), "betas"),
        (lambda given: RowSparseAdam(given, eps=0.0), "eps"),
        (lambda given: RowSparseAdam(given, axis=-1), "axis"),
    ],
)
def test_bad_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make([torch.nn.Parameter(torch.ones(2))])


def test_an_axis_that_a_parameter_does_not_have_changes_nothing():
    weight, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = RowSparseSGD([weight, bias], 0.5, axis=1)
    weight.grad, bias.grad = torch.ones(2, 2), torch.ones(2)
    with pytest.raises(ValueError, match="axis must be one of the parameter's, got 1"):
        optimizer.step()
    assert torch.equal(weight, torch.ones(2, 2))
