"""One task alone: the dense memory as a classifier of digits, with nearest neighbours and logistic regression beside it.

The temperatures were tuned on other splits of the same images, so that what a row tests with may have been learned or tested with
there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from attractor.data import DataUnavailableError, load, nearest_neighbour
from attractor.nn.dense_classifier.classifier import Initialise
from attractor.papers.claim import Claim, Row
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

OWN_BAR = "no figure of the paper is known here: the bar of this library"
KROTOV = "Krotov and Hopfield 2016, from memory, with all 60,000 images; the bar is this library's"

DIGITS = {n: Claim(f"digits, one task, n = {n}: accuracy", ">= 0.94", OWN_BAR, "rate", least=0.94) for n in (2, 5, 10, 20)}
MNIST = {
    (3, "krotov"): Claim("MNIST-5k, one task, n = 3, from noise: accuracy", "error 1.4%", KROTOV, "rate", least=0.72),
    (20, "data"): Claim("MNIST-5k, one task, n = 20, from halves of images: accuracy", "error 1.6%", KROTOV, "rate", least=0.88),
}
TEMPERATURES = {3: 0.15, 20: 0.6}
"""For MNIST, found on another split of the same images; those of digits are the estimator's own."""
CLAIMS = (*DIGITS.values(), *MNIST.values())


@dataclass(frozen=True)
class SingleTaskSize:
    """How much to measure.

    Attributes:
        digits_seeds, mnist_seeds: independent choices of images and memories.
        digits, mnist: images to learn and to test with.
        digits_epochs, mnist_epochs: over them.
    """

    digits_seeds: int
    digits: tuple[int, int]
    digits_epochs: int
    mnist_seeds: int
    mnist: tuple[int, int]
    mnist_epochs: int


def measure_single_task(size: SingleTaskSize, seed: int, tell: Tell) -> Measured:
    """A row for each vertex; where the images or scikit-learn are not on this machine, rows that say so."""
    digits, mnist = ((seed * count, (seed + 1) * count) for count in (size.digits_seeds, size.mnist_seeds))
    runs: dict[Claim, list[tuple[Any, ...]]] = {}
    for n, claim in DIGITS.items():
        runs[claim] = [("digits", n, "krotov", None, *size.digits, size.digits_epochs, 100, one) for one in range(*digits)]
    for (n, initialise), claim in MNIST.items():
        runs[claim] = [
            ("mnist-5k", n, initialise, TEMPERATURES[n], *size.mnist, size.mnist_epochs, 50, one) for one in range(*mnist)
        ]
    try:
        results = sweep(classify, [point for points in runs.values() for point in points], tell)
    except (DataUnavailableError, ImportError) as error:
        return Measured([Row.unmeasured(claim, points[0][0], error) for claim, points in runs.items()])
    found = iter(results)
    return Measured([row_of(claim, points[0][0], [next(found) for _ in points]) for claim, points in runs.items()])


def classify(
    data: str,
    n: int,
    initialise: Initialise,
    temperature: float | None,
    items: int,
    tests: int,
    epochs: int,
    batch_size: int,
    seed: int,
) -> dict[str, float]:
    """Accuracies on the same test images: of the dense memory, of the nearest neighbour and of logistic regression."""
    from sklearn.linear_model import LogisticRegression

    from attractor.estimators import DenseMemoryClassifier

    start = time.perf_counter()
    images, test = load(data).split(items, tests, seed=seed)
    assert images.labels is not None and test.labels is not None
    X, y, test_X, test_y = (one.numpy() for one in (images.patterns, images.labels, test.patterns, test.labels))
    classifier = DenseMemoryClassifier(
        n=n,
        temperature=temperature,
        initialise=initialise,
        limits=(0, 1),
        epochs=epochs,
        batch_size=batch_size,
        random_state=seed,
    )
    accuracy = float(classifier.fit(X, y).score(test_X, test_y))
    seconds = time.perf_counter() - start
    neighbour = images.labels[nearest_neighbour(test.patterns, images.patterns)] == test.labels
    logistic = LogisticRegression(max_iter=1000).fit(X, y).score(test_X, test_y)
    return {
        "accuracy": accuracy,
        "neighbour": float(neighbour.double().mean()),
        "logistic": float(logistic),
        "temperature": classifier.model_.temperature,
        "seconds": seconds,
    }


def row_of(claim: Claim, data: str, results: Sequence[dict[str, float]]) -> Row:
    def mean(name: str) -> float:
        return fmean(one[name] for one in results)

    accuracy, interval = mean_interval([one["accuracy"] for one in results])
    note = f"T = {results[0]['temperature']:g}, tuned on other splits of the same images; "
    note += f"logistic regression {mean('logistic'):.3f}; baseline: the nearest neighbour"
    seconds = sum(one["seconds"] for one in results)
    return Row(claim, accuracy, interval, len(results), seconds, data, mean("neighbour"), note)
