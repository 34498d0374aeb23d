"""Scikit-learn's digits, two after the other: the SDMLP, what it becomes without its ingredients, and baselines."""

from __future__ import annotations

from attractor.papers.p15_sdm.claims import ABLATED, ABOVE_MEAN, ABOVE_TOP_K, BASELINES, RELU, SDMLP
from attractor.papers.p15_sdm.comparison import CLASS_MEAN, Comparison, Method, unavailable
from attractor.papers.p15_sdm.sizes import Size
from attractor.papers.parts import Measured, Tell

METHODS = {
    "SDMLP": Method("SDMLP"),
    "Top-K alone": Method("Top-K alone"),
    "ReLU": Method("ReLU network", slow=True),
    "SDMLP without unit length": Method("SDMLP without unit length"),
    "SDMLP with biases": Method("SDMLP with biases"),
    "SDMLP with signed weights": Method("SDMLP with signed weights"),
    "SDMLP, random addresses": Method("SDMLP, random addresses, GABA switch"),
    "ReLU, EWC": Method("ReLU network", "EWC", slow=True),
    "ReLU, replay": Method("ReLU network", "replay", slow=True),
}
CLAIMS = (SDMLP, ABOVE_TOP_K, ABOVE_MEAN, RELU, *ABLATED.values(), *BASELINES.values())


def measure_digits(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and the figure; where the digits are not on this machine, rows that say so."""
    if (missing := unavailable(CLAIMS, size.digits)) is not None:
        return missing
    seeds = range(seed * size.digits_seeds, (seed + 1) * size.digits_seeds)
    found = Comparison(METHODS, size.digits, size.digits_recipe, seeds, tell)
    rows = [
        found.accuracy(SDMLP, "SDMLP", found.all_at_once),
        found.lead(ABOVE_TOP_K, "SDMLP", found.last("Top-K alone"), "Top-K alone"),
        found.lead(ABOVE_MEAN, "SDMLP", found.yardstick(CLASS_MEAN), CLASS_MEAN),
        found.accuracy(RELU, "ReLU"),
        *(found.accuracy(claim, name) for name, claim in (ABLATED | BASELINES).items()),
    ]
    return Measured(rows, [found.chart("digits", "Digits, two after the other")])
