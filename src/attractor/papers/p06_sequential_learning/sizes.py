"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.p06_sequential_learning.settings import VERTICES
from attractor.papers.p06_sequential_learning.single_task import SingleTaskSize
from attractor.papers.p06_sequential_learning.training import Permutations
from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        seeds: independent choices of images, permutations and memories for the comparison of methods.
        vertex_seeds: the same for the other vertices.
        vertices: at which the methods are measured.
        digits: their tasks.
        mnist: the tasks of large images.
        mnist_seeds: the same for these.
        networks: classic networks.
        single_task: what is measured of one task alone.
    """

    seeds: int
    vertex_seeds: int
    vertices: tuple[int, ...]
    digits: Permutations
    mnist: Permutations
    mnist_seeds: int
    networks: int
    single_task: SingleTaskSize


SIZES: dict[Scale, Size] = {
    "smoke": Size(
        seeds=1,
        vertex_seeds=1,
        vertices=(5,),
        digits=Permutations("digits", tasks=2, items=200, tests=200, epochs=3),
        mnist=Permutations("mnist-5k", tasks=2, items=200, tests=200, epochs=1),
        mnist_seeds=1,
        networks=5,
        single_task=SingleTaskSize(1, (400, 200), 8, 1, (500, 200), 2),
    ),
    "laptop": Size(
        seeds=3,
        vertex_seeds=1,
        vertices=VERTICES,
        digits=Permutations("digits", tasks=5, items=1000, tests=397, epochs=12),
        mnist=Permutations("mnist-5k", tasks=5, items=4000, tests=1000, epochs=8),
        mnist_seeds=1,
        networks=5,
        single_task=SingleTaskSize(3, (1400, 397), 30, 1, (4000, 1000), 15),
    ),
    "full": Size(
        seeds=10,
        vertex_seeds=10,
        vertices=VERTICES,
        digits=Permutations("digits", tasks=5, items=1000, tests=397, epochs=12),
        mnist=Permutations("mnist-5k", tasks=5, items=4000, tests=1000, epochs=8),
        mnist_seeds=5,
        networks=100,
        single_task=SingleTaskSize(10, (1400, 397), 30, 5, (4000, 1000), 15),
    ),
}
