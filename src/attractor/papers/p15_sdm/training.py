"""One method on tasks of two classes each, without task labels: what each accuracy of the row comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, normalize
from torch.optim import SGD, Adam, Optimizer

from attractor.data import load, nearest_neighbour
from attractor.estimators.sequential import EWC, L2, MAS, SI, Rehearsal, SequentialLearner, Strategy, Task, Training, split_classes
from attractor.estimators.sequential.evaluation import score
from attractor.estimators.sequential.importance import mean_over_items
from attractor.estimators.sequential.strategy import Gradients
from attractor.nn.sparse_optimizers import RowSparseAdam, SilentMovement
from attractor.papers.p15_sdm.fly_model import FlyModel
from attractor.papers.p15_sdm.models import NETWORKS, Network

CLASSES = 10
CLIP = 1.0
"""Largest norm of a gradient."""

KEPT = 0.1
"""The part of each task that rehearsal keeps."""

ESTIMATED_ON = 300
"""Items of a task on which importances are estimated."""


class Split(NamedTuple):
    """Classes (0, 1), (2, 3), ... one pair after the other.

    Attributes:
        data: `"digits"` or `"mnist-5k"`.
        pool: unlabelled items to take addresses from, and the number of hidden neurons.
        items, tests: to learn and to test with; of all classes together.
    """

    data: str
    pool: int
    items: int
    tests: int


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


class OwnLabelEWC(EWC):
    """EWC with the information about the model's own answers, of a soft-max whose logits are multiplied by `temperature`."""

    def __init__(self, strength: float, temperature: float):
        super().__init__(strength)
        self.temperature = temperature

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        def loss(item: Tensor, label: Tensor) -> Tensor:
            return -log_softmax(self.temperature * training.model(item), dim=-1).max()

        return mean_over_items(loss, torch.square, items[:ESTIMATED_ON], labels[:ESTIMATED_ON], training)


PENALTIES: dict[str, Callable[[float], Strategy]] = {
    "EWC": lambda strength: OwnLabelEWC(strength, 0.08),
    "MAS": MAS,
    "SI": SI,
    "L2": L2,
}
OPTIMIZERS: dict[str, Callable[[Iterable[Any], float], Optimizer]] = {
    "SGD": lambda parameters, rate: SGD(parameters, rate),
    "Adam": lambda parameters, rate: Adam(parameters, rate),
    "row-sparse Adam": lambda parameters, rate: RowSparseAdam(parameters, rate),
}


def data_of(split: Split, seed: int) -> tuple[Tensor, Task]:
    """The unlabelled pool, and all classes as one task; pixels from 0 to 1.

    Raises:
        DataUnavailableError: the images are not on this machine.
    """
    pool, images, tests = load(split.data).split(split.pool, split.items, split.tests, seed=seed)
    assert images.labels is not None and tests.labels is not None
    return pool.patterns, Task(images.patterns, images.labels, tests.patterns, tests.labels)


def pairs(whole: Task) -> list[Task]:
    return split_classes(whole, [(first, first + 1) for first in range(0, CLASSES, 2)])


def strategies(name: str, strength: float) -> list[Strategy]:
    """Those of a name: `""` for none, `"replay"`, or one of `PENALTIES`."""
    if name == "replay":
        return [Rehearsal(KEPT)]
    return [PENALTIES[name](strength)] if name else []


def learn(network: str, strategy: str, seed: int, *plain: Any) -> dict[str, Any]:
    """Learn the tasks one after the other; the arguments are plain values, for a sweep: those of a `Split`, then of a `Recipe`.

    Returns:
        `accuracies` on all classes after each task, `dead`, the share of neurons that no test item activates at the end, and
        `silent`, the part of the addresses' movement that neurons made while they had no gradient.
    """
    split, recipe = Split(*plain[: len(Split._fields)]), Recipe(*plain[len(Split._fields) :])
    pool, whole = data_of(split, seed)
    made = NETWORKS[network]
    model = Network(whole.items.shape[1], CLASSES, split.pool, made, k=recipe.k, switch=recipe.switch, pool=pool, seed=seed)
    silent: list[SilentMovement] = []

    def optimizer(parameters: Iterable[nn.Parameter]) -> Optimizer:
        kept = list(parameters)
        one = OPTIMIZERS[recipe.optimizer](kept, recipe.rate)
        one.register_step_pre_hook(lambda *_: clip(kept))
        if recipe.optimizer != "SGD":
            silent.append(SilentMovement(one).__enter__())
        one.register_step_post_hook(lambda *_: model.project())
        return one

    learner = SequentialLearner(
        model,
        strategies=strategies(strategy, recipe.strength),
        optimizer=optimizer,
        loss=cross_entropy,
        epochs=recipe.epochs,
        batch_size=recipe.batch,
        seed=seed,
    )
    accuracies = []
    for task in pairs(whole):
        learner.fit_task(task.items, task.labels)
        accuracies.append(score(model, whole))
    return {"accuracies": accuracies, "dead": dead_share(model, whole.test_items), "silent": silent_share(silent)}


def learn_as_fly(active: int, rate: float, seed: int, *plain: Any) -> dict[str, Any]:
    """The same of the FlyModel with a cell for each neuron of the networks; it passes once over each task."""
    split = Split(*plain)
    _, whole = data_of(split, seed)
    model = FlyModel(whole.items.shape[1], CLASSES, cells=split.pool, active=active, rate=rate, seed=seed)
    accuracies = []
    for task in pairs(whole):
        model.learn(task.items, task.labels)
        accuracies.append(score(model, whole))
    return {"accuracies": accuracies}


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
def dead_share(model: Network, items: Tensor) -> float:
    """The share of hidden neurons that none of `items (n, dim)` activates."""
    model.eval()
    return float((~(model.hidden(items) > 0).any(0)).double().mean())


def silent_share(watched: Sequence[SilentMovement]) -> float:
    """Of the addresses, the first parameter, over all tasks."""
    moves = [one.movements[0] for one in watched]
    whole = sum(one.distance + one.silent_distance for one in moves)
    return sum(one.silent_distance for one in moves) / whole if whole else 0.0
