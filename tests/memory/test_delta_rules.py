"""Learning by errors in the classic network, and what keeps the earlier tasks."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attractor import NotConvergedWarning
from attractor.memory.delta_rules import consolidate, hebbian_importance, learn_by_errors, stable_share, stable_states

UNITS, COUNTS, SEEDS = 64, (20, 1, 1, 1), range(5)


def signs(rows, dim, seed=0):
    return torch.randint(0, 2, (rows, dim), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


def noise(dim, seed=0):
    return torch.randn(dim, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def first_task_after_each(seed, *, temperature, rehearse):
    """How much of the first task is stable after each task."""
    couplings, tasks = noise(UNITS, seed), signs(sum(COUNTS), UNITS, seed + 100).split(COUNTS)
    shares = []
    for number, task in enumerate(tasks):
        learned = torch.cat(tasks[: number + 1]) if rehearse else task
        couplings = learn_by_errors(couplings, learned, temperature=temperature, epochs=300).couplings
        shares.append(stable_share(couplings, tasks[0]))
    return shares


def mean_shares(**settings):
    return torch.tensor([first_task_after_each(seed, **settings) for seed in SEEDS]).mean(0).tolist()


def test_rehearsal_keeps_the_first_task_and_nothing_else_does():
    alone, rehearsed = mean_shares(temperature=1000.0, rehearse=False), mean_shares(temperature=1000.0, rehearse=True)
    assert alone[0] == 1.0 and alone[-1] <= 0.7
    assert all(later < earlier for earlier, later in pairwise(alone))
    assert min(rehearsed) >= 0.95


@pytest.mark.filterwarnings("ignore::attractor.NotConvergedWarning")
def test_a_cold_start_forgets_more():
    # with a small T the patterns move the couplings by many small steps
    assert mean_shares(temperature=50.0, rehearse=False)[-1] < mean_shares(temperature=1000.0, rehearse=False)[-1]


@pytest.mark.parametrize("symmetric", [False, True])
def test_step_is_that_of_the_rule(symmetric):
    dim, patterns, start, T = 6, signs(4, 6), noise(6), 3.0
    start = (start + start.T) / 2
    with pytest.warns(NotConvergedWarning, match="of 4 patterns"):
        learned = learn_by_errors(start, patterns, temperature=T, epochs=2, symmetric=symmetric)
    couplings = start.clone().fill_diagonal_(0)
    for epoch in range(2):
        change = torch.zeros(dim, dim, dtype=torch.float64)
        for x in patterns:
            fields = couplings @ x
            change += torch.outer(x - fields.sign(), x) * math.exp(-float(fields.norm()) / (T * (1 - epoch / 2)))
        change.fill_diagonal_(0)
        couplings = couplings + ((change + change.T) / 2 if symmetric else change)
    torch.testing.assert_close(learned.couplings, couplings)
    assert learned.epochs == 2


@given(st.integers(0, 2**31), st.booleans())
def test_learned_patterns_are_at_rest(seed, symmetric):
    patterns, start = signs(8, 32, seed), noise(32, seed)
    learned = learn_by_errors(start + start.T, patterns, symmetric=symmetric)
    assert bool(((patterns @ learned.couplings.T) * patterns > 0).all()) and stable_share(learned.couplings, patterns) == 1.0
    assert torch.equal(learned.couplings.diagonal(), torch.zeros(32).double())
    assert not symmetric or torch.allclose(learned.couplings, learned.couplings.T)
    again = learn_by_errors(learned.couplings, patterns, symmetric=symmetric)
    assert again.epochs == 0 and torch.equal(again.couplings, learned.couplings) and not bool(again.sign_changes.any())


def test_sign_changes_are_counted():
    patterns = signs(6, 16)
    one = learn_by_errors(torch.zeros(16, 16).double(), patterns)
    assert torch.equal((one.sign_changes > 0).double(), (one.sign_changes.clamp_max(1)))
    assert bool((one.sign_changes[one.couplings != 0] >= 1).all())
    assert bool((one.sign_changes.diagonal() == 0).all())


def test_patterns_that_nothing_can_hold_are_told():
    patterns = torch.ones(2, 5)
    patterns[1, 0] = -1
    with pytest.warns(NotConvergedWarning, match="at rest"):
        learned = learn_by_errors(torch.zeros(5, 5), patterns, epochs=20)
    assert bool(learned.couplings.isfinite().all())


def test_consolidation_solves_its_least_squares():
    new, first, second, a, b = noise(4), noise(4, 1), noise(4, 2), noise(4, 3).abs(), noise(4, 4).abs()
    found = consolidate(new, [(first, a), (second, b)], 0.7)
    couplings = found.clone().requires_grad_()
    penalty = (a * (couplings - first) ** 2 + b * (couplings - second) ** 2).sum()
    (((couplings - new) ** 2).sum() + 0.7 * penalty).backward()
    assert float(couplings.grad.abs().max()) < 1e-12
    assert torch.equal(consolidate(new, [(first, a)], 0), new) and torch.equal(consolidate(new, []), new)
    torch.testing.assert_close(consolidate(new, [(first, torch.ones(4, 4).double())], 1e12), first, rtol=1e-6, atol=1e-6)


def test_consolidation_keeps_more_of_the_first_task():
    kept = {"none": 0.0, "ones": 0.0, "hebbian": 0.0, "sign changes": 0.0}
    for seed in SEEDS:
        first, *rest = signs(sum(COUNTS), UNITS, seed).split(COUNTS)
        start = learn_by_errors(noise(UNITS, seed), first)
        importances = {
            "none": torch.zeros(UNITS, UNITS).double(),
            "ones": torch.ones(UNITS, UNITS).double(),
            "hebbian": hebbian_importance(first),
            "sign changes": 1 / (1 + start.sign_changes),
        }
        for name, importance in importances.items():
            couplings = start.couplings
            for task in rest:
                new = learn_by_errors(couplings, task).couplings
                couplings = consolidate(new, [(start.couplings, importance)], 1.0)
            kept[name] += stable_share(couplings, first) / len(SEEDS)
    assert all(kept[name] > kept["none"] for name in ("ones", "hebbian", "sign changes"))


@given(st.integers(0, 2**31))
def test_states_found_from_probes_are_at_rest_and_different(seed):
    couplings, probes = noise(12, seed).fill_diagonal_(0), signs(30, 12, seed)
    symmetric = couplings + couplings.T
    found = stable_states(symmetric, probes, generator=torch.Generator().manual_seed(seed))
    # with symmetric couplings every probe comes to rest
    assert 1 <= len(found) <= 30 and bool(((found @ symmetric.T) * found > 0).all())
    assert len(found.unique(dim=0)) == len(found)
    again = stable_states(symmetric, found)
    assert torch.equal(again, found)


def test_probes_settle_in_learned_patterns_and_cycles_are_left_out():
    patterns = signs(3, 40)
    couplings = learn_by_errors(torch.zeros(40, 40).double(), patterns).couplings
    found = stable_states(couplings, signs(60, 40, 1), generator=torch.Generator().manual_seed(0))
    assert bool(((found @ patterns.T).abs() == 40).any(0).all())
    # the first unit follows the second, which does not mind it
    followed = torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 1, 0]])
    assert stable_states(followed, torch.tensor([[-1.0, 1, 1]])).tolist() == [[1.0, 1, 1]]
    # two units, one of which wants what the other is, and that one the opposite
    restless = torch.tensor([[0.0, 1], [-1, 0]])
    assert stable_states(restless, torch.tensor([[1.0, 1], [1, -1]])).shape == (0, 2)
    assert stable_states(torch.zeros(2, 2), torch.ones(1, 2)).shape == (0, 2)
    with pytest.raises(ValueError, match="-1 or 1"):
        stable_states(restless, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="sweeps"):
        stable_states(restless, torch.ones(1, 2), sweeps=0)


def test_stability_allows_two_percent_of_the_units():
    patterns = torch.ones(2, 100)
    couplings = torch.eye(100)
    couplings[:2, :2] = -torch.eye(2)
    assert stable_share(couplings, patterns) == 1.0
    couplings[2, 2] = -1
    assert stable_share(couplings, patterns) == 0.0 and stable_share(couplings, patterns, tolerance=0.03) == 1.0
    assert stable_share(torch.zeros(100, 100), patterns, tolerance=0) == 1.0


@pytest.mark.parametrize(
    ("arguments", "settings", "word"),
    [
        ((torch.zeros(3, 4), torch.ones(1, 4)), {}, "couplings"),
        ((torch.full((3, 3), math.nan), torch.ones(1, 3)), {}, "couplings"),
        ((torch.zeros(3, 3), torch.ones(1, 4)), {}, "patterns"),
        ((torch.zeros(3, 3).double(), torch.ones(1, 3)), {}, "patterns"),
        ((torch.zeros(3, 3), torch.ones(3)), {}, "patterns"),
        ((torch.zeros(3, 3), torch.ones(1, 3)), {"temperature": 0.0}, "temperature"),
        ((torch.zeros(3, 3), torch.ones(1, 3)), {"temperature": math.nan}, "temperature"),
        ((torch.zeros(3, 3), torch.ones(1, 3)), {"epochs": 0}, "epochs"),
        ((torch.zeros(3, 3), torch.full((1, 3), 0.5)), {}, "patterns must be -1 or 1.*Binarise"),
        ((torch.zeros(3, 3), torch.tensor([[1.0, 0, 1]])), {}, "patterns must be -1 or 1"),
    ],
)
def test_bad_arguments_of_learning_are_named(arguments, settings, word):
    with pytest.raises(ValueError, match=word):
        learn_by_errors(*arguments, **settings)


def test_bad_arguments_of_consolidation_are_named():
    square = torch.ones(3, 3)
    with pytest.raises(ValueError, match="strength"):
        consolidate(square, [], -1)
    with pytest.raises(ValueError, match="importance"):
        consolidate(square, [(square, -square)])
    with pytest.raises(ValueError, match="shape"):
        consolidate(square, [(torch.ones(2, 2), square)])
    with pytest.raises(ValueError, match="tolerance"):
        stable_share(square, torch.ones(1, 3), tolerance=2)
