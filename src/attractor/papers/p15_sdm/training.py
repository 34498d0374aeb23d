"""One method on tasks of two classes each, without task labels: what each accuracy of the row comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.optim import SGD, Adam, Optimizer

from attractor.data import load, nearest_neighbour
from attractor.data.image_set import ImageSet
from attractor.estimators.sequential import Rehearsal, SequentialLearner, Strategy, Task, split_classes
from attractor.estimators.sequential.evaluation import score
from attractor.nn.sparse_optimizers import RowSparseAdam, SilentMovement
from attractor.papers.p15_sdm.fly_model import FlyModel
from attractor.papers.p15_sdm.models import NETWORKS, Network
from attractor.papers.p15_sdm.penalties import PENALTIES

CLASSES = 10
CLIP = 1.0
"""Largest norm of a gradient."""

KEPT = 0.1
"""The part of each task that rehearsal keeps."""

HELD_OUT = 0.2
"""The part of the items to learn that tuning tests with."""

TESTS_SEED = 0
"""Of the choice of test items, which are the same in all runs."""

FIRST_TEST_ITEM = {"mnist": 60_000}
"""Of sets whose test items are those at the end."""

FLY = "FlyModel"
FLY_ACTIVE = 32
"""How many of its cells answer."""


class Split(NamedTuple):
    """Classes (0, 1), (2, 3), ... one pair after the other.

    Attributes:
        data: `"digits"`, `"mnist-5k"` or `"mnist"`.
        pool: unlabelled items to take addresses from, and the number of hidden neurons.
        items, tests: to learn and to test with; of all classes together.
        tuning: whether to test with a part of the items, which is then not learned.
    """

    data: str
    pool: int
    items: int
    tests: int
    tuning: bool = False


class Recipe(NamedTuple):
    """How a network is trained: `epochs` over each task, `batch` items a step, learning `rate`, `k` winners, GABA `switch`.

    `strength` is that of a penalty, where the strategy is one.
    """

    epochs: int
    batch: int
    rate: float
    strength: float = 1.0
    k: int = 10
    switch: int = 2000
    optimizer: str = "SGD"


OPTIMIZERS: dict[str, Callable[[Iterable[Any], float], Optimizer]] = {
    "SGD": lambda parameters, rate: SGD(parameters, rate),
    "Adam": lambda parameters, rate: Adam(parameters, rate),
    "row-sparse Adam": lambda parameters, rate: RowSparseAdam(parameters, rate),
}


@lru_cache(maxsize=2)
def images(name: str) -> ImageSet:
    """The set of images; reading it anew would take longer than learning from it."""
    return load(name)


def data_of(split: Split, seed: int) -> tuple[Tensor, Task]:
    """The unlabelled pool, and all classes as one task; pixels from 0 to 1. The seed chooses among all but the test items.

    Raises:
        DataUnavailableError: the images are not on this machine.
    """
    everything = images(split.data)
    if split.data in FIRST_TEST_ITEM:
        border = FIRST_TEST_ITEM[split.data]
        tests, rest = everything[border:].take(split.tests, seed=TESTS_SEED), everything[:border]
    else:
        tests, rest = everything.split(split.tests, len(everything) - split.tests, seed=TESTS_SEED)
    pool, known = rest.split(split.pool, split.items, seed=seed)
    if split.tuning:
        held_out = round(HELD_OUT * split.items)
        tests, known = known.split(held_out, split.items - held_out, seed=seed)
    assert known.labels is not None and tests.labels is not None
    return pool.patterns, Task(known.patterns, known.labels, tests.patterns, tests.labels)


def pairs(whole: Task) -> list[Task]:
    return split_classes(whole, [(first, first + 1) for first in range(0, CLASSES, 2)])


def strategies(name: str, strength: float) -> list[Strategy]:
    """Those of a name: `""` for none, `"replay"`, or one of `PENALTIES`."""
    if name == "replay":
        return [Rehearsal(KEPT)]
    return [PENALTIES[name](strength)] if name else []


def learn(network: str, strategy: str, seed: int, *plain: Any) -> dict[str, Any]:
    """Learn the tasks one after the other; the arguments are plain values, for a sweep: those of a `Split`, then of a `Recipe`.

    The FlyModel has a cell for each neuron of the networks, and passes once over each task.

    Returns:
        `accuracies` on all classes after each task, `dead`, the share of neurons that no test item activates at the end, and
        `silent`, the part of the addresses' movement that neurons made while they had no gradient.
    """
    split, recipe = Split(*plain[: len(Split._fields)]), Recipe(*plain[len(Split._fields) :])
    pool, whole = data_of(split, seed)
    dim, silent = whole.items.shape[1], list[SilentMovement]()
    model: Network | FlyModel
    fit: Callable[[Tensor, Tensor], None]
    if network == FLY:
        model = FlyModel(dim, CLASSES, cells=split.pool, active=FLY_ACTIVE, rate=recipe.rate, seed=seed)
        fit = model.learn
    else:
        model = Network(dim, CLASSES, split.pool, NETWORKS[network], k=recipe.k, switch=recipe.switch, pool=pool, seed=seed)
        fit = learner_of(model, strategy, recipe, seed, silent).fit_task
    accuracies = []
    for task in pairs(whole):
        fit(task.items, task.labels)
        accuracies.append(score(model, whole))
    return {"accuracies": accuracies, "dead": dead_share(model, whole.test_items), "silent": silent_share(silent)}


def learner_of(model: Network, strategy: str, recipe: Recipe, seed: int, silent: list[SilentMovement]) -> SequentialLearner:
    """Trains `model`, and adds to `silent` what watches the optimizer of each task, where neurons may move in silence."""

    def optimizer(parameters: Iterable[nn.Parameter]) -> Optimizer:
        kept = list(parameters)
        one = OPTIMIZERS[recipe.optimizer](kept, recipe.rate)
        one.register_step_pre_hook(lambda *_: clip(kept))
        if recipe.optimizer != "SGD":
            silent.append(SilentMovement(one).__enter__())
        one.register_step_post_hook(lambda *_: model.project())
        return one

    return SequentialLearner(
        model,
        strategies=strategies(strategy, recipe.strength),
        optimizer=optimizer,
        loss=cross_entropy,
        epochs=recipe.epochs,
        batch_size=recipe.batch,
        seed=seed,
    )


def yardsticks(seed: int, *plain: Any) -> dict[str, float]:
    """Accuracies of what sees all classes at once: nearest class mean, nearest neighbour, logistic regression."""
    from sklearn.linear_model import LogisticRegression

    _, whole = data_of(Split(*plain), seed)
    items, tests = normalize(whole.items, dim=-1), normalize(whole.test_items, dim=-1)
    means = normalize(torch.stack([items[whole.labels == label].mean(0) for label in range(CLASSES)]), dim=-1)
    found = {
        "nearest class mean": (tests @ means.T).argmax(-1),
        "nearest neighbour": whole.labels[nearest_neighbour(whole.test_items, whole.items)],
    }
    fitted = LogisticRegression(max_iter=300).fit(whole.items.numpy(), whole.labels.numpy())
    found["joint logistic regression"] = torch.from_numpy(fitted.predict(whole.test_items.numpy()))
    return {name: float((told == whole.test_labels).double().mean()) for name, told in found.items()}


def clip(parameters: Sequence[nn.Parameter]) -> None:
    nn.utils.clip_grad_norm_(parameters, CLIP)


@torch.no_grad()
def dead_share(model: Network | FlyModel, items: Tensor) -> float:
    """The share of hidden neurons that none of `items (n, dim)` activates."""
    model.eval()
    return float((~(model.hidden(items) > 0).any(0)).double().mean())


def silent_share(watched: Sequence[SilentMovement]) -> float:
    """Of the addresses, the first parameter, over all tasks."""
    moves = [one.movements[0] for one in watched]
    whole = sum(one.distance + one.silent_distance for one in moves)
    return sum(one.silent_distance for one in moves) / whole if whole else 0.0
