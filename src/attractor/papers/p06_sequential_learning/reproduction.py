"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p06_sequential_learning.claims import PAPER
from attractor.papers.p06_sequential_learning.classic import measure_classic
from attractor.papers.p06_sequential_learning.digits import measure_methods
from attractor.papers.p06_sequential_learning.mnist import measure_mnist
from attractor.papers.p06_sequential_learning.single_task import measure_single_task
from attractor.papers.p06_sequential_learning.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("methods on permuted digits", 0.6, partial(measure_methods, size)),
        Part("permuted MNIST", 0.25, partial(measure_mnist, size)),
        Part("classic network", 0.01, partial(measure_classic, size)),
        Part("one task alone", 0.14, partial(measure_single_task, size.single_task)),
    ]


run = reproduction(PAPER, SIZES, parts)
