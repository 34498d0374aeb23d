"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        starts: of training on the first split of the digits, over which means are taken.
        splits: of the digits into training and test images; all but the mean over splits is measured on the first.
        epochs: of training on digits.
        denoising_splits: of 5,000 images of MNIST into training and test images, over all of which means are taken.
        denoising_epochs: of training on MNIST.
        all_of_mnist: whether to train on its 60,000 images too.
        networks: random networks for each statement on solvers and gradients.
        steps: along which the energy of a hypergraph is watched.
    """

    starts: int
    splits: int
    epochs: int
    denoising_splits: int
    denoising_epochs: int
    all_of_mnist: bool
    networks: int
    steps: int


SIZES: dict[Scale, Size] = {
    "smoke": Size(starts=1, splits=1, epochs=8, denoising_splits=1, denoising_epochs=3, all_of_mnist=False, networks=4, steps=20),
    "laptop": Size(
        starts=5, splits=5, epochs=60, denoising_splits=3, denoising_epochs=10, all_of_mnist=False, networks=20, steps=100
    ),
    "full": Size(
        starts=10, splits=10, epochs=60, denoising_splits=5, denoising_epochs=10, all_of_mnist=True, networks=100, steps=400
    ),
}
