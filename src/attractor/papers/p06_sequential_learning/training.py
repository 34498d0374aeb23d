"""One method on tasks of permuted images, with the dense memory as the model: what each accuracy of the row comes from."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch.optim.lr_scheduler import ExponentialLR

from attractor.data import load, nearest_neighbour
from attractor.estimators.sequential import SequentialLearner, Task, joint, permuted
from attractor.estimators.sequential.buffer import Buffered
from attractor.nn import DenseClassifier, MemoryOptimizer, classification_loss
from attractor.papers.p06_sequential_learning.settings import JOINT, TEMPERATURE, strategies_of

MEMORIES = 64
BATCH = 50
RATE, DECAY = 0.05, 0.95
CLASSES = 10


class Permutations(NamedTuple):
    """Tasks to learn: permutations of the images of `data`.

    Attributes:
        data: `"digits"` or `"mnist-5k"`.
        tasks: how many.
        items, tests: images to learn and to test with, the same ones in each task.
        epochs: over each task.
    """

    data: str
    tasks: int
    items: int
    tests: int
    epochs: int


def tasks_of(sequence: Permutations, seed: int) -> list[Task]:
    """The tasks, with pixels from -1 to 1; the seed chooses the images and the permutations.

    Raises:
        DataUnavailableError: the images are not on this machine.
    """
    images, tests = load(sequence.data).split(sequence.items, sequence.tests, seed=seed)
    assert images.labels is not None and tests.labels is not None
    first = Task(images.patterns * 2 - 1, images.labels, tests.patterns * 2 - 1, tests.labels)
    return permuted(first, sequence.tasks, seed=seed)


def learn(method: str, n: int, seed: int, data: str, tasks: int, items: int, tests: int, epochs: int) -> dict[str, Any]:
    """Learn the tasks with the vertex `n`, and score all of them after each; the arguments are plain values, for a sweep.

    Returns:
        `scores`, a list of lists, `untrained`, a list, and `neighbour`: the average accuracy of nearest neighbours among the items
        that the method has at hand at the end: those of the last task and what it keeps of the earlier ones.
    """
    learned = tasks_of(Permutations(data, tasks, items, tests, epochs), seed)
    whole = joint(learned)
    # large images need memories that begin at images: from noise, high vertices do not learn
    start = {"initialise": "data", "data": (learned[0].items, learned[0].labels)} if data != "digits" else {"initialise": "krotov"}
    model = DenseClassifier(whole.items.shape[1], CLASSES, memories=MEMORIES, n=n, temperature=TEMPERATURE[n], seed=seed, **start)
    strategies = strategies_of(method, n)
    learner = SequentialLearner(
        model,
        strategies=strategies,
        optimizer=partial(MemoryOptimizer, lr=RATE),
        loss=classification_loss,
        epochs=epochs,
        batch_size=BATCH,
        schedule=partial(ExponentialLR, gamma=DECAY),
        seed=seed,
    )
    if method == JOINT:
        untrained = learner.evaluate(learned)
        learner.fit_task(whole.items, whole.labels)
        scores = learner.evaluate(learned)[None]
        kept = (whole.items, whole.labels)
    else:
        told = learner.run(learned)
        untrained, scores = told.untrained, told.scores
        kept = (learned[-1].items, learned[-1].labels)
        for strategy in strategies:
            if isinstance(strategy, Buffered):
                earlier = sum(strategy.sizes[:-1])
                kept = (torch.cat([kept[0], strategy.items[:earlier]]), torch.cat([kept[1], strategy.labels[:earlier]]))
    nearest = kept[1][nearest_neighbour(whole.test_items, kept[0])] == whole.test_labels
    return {"scores": scores.tolist(), "untrained": untrained.tolist(), "neighbour": float(nearest.double().mean())}
