"""MNIST, two classes after the other: the SDMLP and baselines."""

from __future__ import annotations

from attractor.papers.p15_sdm.claims import M_ABOVE_FLY, M_ABOVE_MEAN, M_BASELINES, M_SDMLP, ON_MNIST
from attractor.papers.p15_sdm.comparison import CLASS_MEAN, Comparison, unavailable
from attractor.papers.p15_sdm.sizes import Size
from attractor.papers.p15_sdm.training import FLY
from attractor.papers.p15_sdm.tuning import Method
from attractor.papers.parts import Measured, Tell

METHODS = {
    "SDMLP": Method("SDMLP"),
    "SDMLP, EWC": Method("SDMLP", "EWC"),
    "Top-K alone": Method("Top-K alone"),
    "ReLU": Method("ReLU network"),
    "ReLU, EWC": Method("ReLU network", "EWC"),
    "ReLU, replay": Method("ReLU network", "replay"),
    FLY: Method(FLY),
}


def measure_mnist(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and the figure; where the images are not on this machine, rows that say so."""
    if (missing := unavailable(ON_MNIST, size.mnist)) is not None:
        return missing
    seeds = range(seed * size.mnist_seeds, (seed + 1) * size.mnist_seeds)
    found = Comparison(METHODS, size.mnist, size.mnist_recipe, size.mnist_grid, seeds, tell)
    rows = [
        found.accuracy(M_SDMLP, "SDMLP", found.all_at_once),
        found.lead(M_ABOVE_FLY, "SDMLP", FLY),
        found.lead(M_ABOVE_MEAN, "SDMLP", CLASS_MEAN),
        *(found.accuracy(claim, name) for name, claim in M_BASELINES.items()),
    ]
    return Measured(rows, [found.by_task("mnist", "MNIST, two classes after the other", METHODS)])
