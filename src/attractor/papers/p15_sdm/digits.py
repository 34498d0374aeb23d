"""Scikit-learn's digits, two after the other: the SDMLP, what it becomes without its ingredients, with penalties, and baselines."""

from __future__ import annotations

from attractor.papers.p15_sdm.claims import ABLATED, ABOVE_MEAN, ABOVE_TOP_K, BASELINES, PENALISED, RELU, RELU_ADDRESSES, SDMLP
from attractor.papers.p15_sdm.comparison import CLASS_MEAN, Comparison, unavailable
from attractor.papers.p15_sdm.sizes import Size
from attractor.papers.p15_sdm.tuning import Method
from attractor.papers.parts import Measured, Tell

METHODS = {
    "SDMLP": Method("SDMLP"),
    "Top-K alone": Method("Top-K alone"),
    "ReLU": Method("ReLU network"),
    "ReLU, addresses from data": Method("ReLU network, addresses from data"),
    "SDMLP without unit length": Method("SDMLP without unit length"),
    "SDMLP with biases": Method("SDMLP with biases"),
    "SDMLP with signed weights": Method("SDMLP with signed weights"),
    "SDMLP, random addresses": Method("SDMLP, random addresses, GABA switch"),
    "SDMLP, EWC": Method("SDMLP", "EWC"),
    "SDMLP, MAS": Method("SDMLP", "MAS"),
    "SDMLP, SI": Method("SDMLP", "SI"),
    "SDMLP, L2": Method("SDMLP", "L2"),
    "ReLU, EWC": Method("ReLU network", "EWC"),
    "ReLU, replay": Method("ReLU network", "replay"),
}
CLAIMS = (
    SDMLP,
    ABOVE_TOP_K,
    ABOVE_MEAN,
    RELU,
    RELU_ADDRESSES,
    *ABLATED.values(),
    *PENALISED.values(),
    *BASELINES.values(),
)


def measure_digits(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and the figure; where the digits are not on this machine, rows that say so."""
    if (missing := unavailable(CLAIMS, size.digits)) is not None:
        return missing
    seeds = range(seed * size.digits_seeds, (seed + 1) * size.digits_seeds)
    found = Comparison(METHODS, size.digits, size.digits_recipe, size.digits_grid, seeds, tell)
    rows = [
        found.accuracy(SDMLP, "SDMLP", found.all_at_once),
        found.lead(ABOVE_TOP_K, "SDMLP", "Top-K alone"),
        found.lead(ABOVE_MEAN, "SDMLP", CLASS_MEAN),
        found.accuracy(RELU, "ReLU"),
        found.accuracy(RELU_ADDRESSES, "ReLU, addresses from data"),
        *(found.accuracy(claim, name) for name, claim in ABLATED.items()),
        *(found.accuracy(claim, name, f"without a penalty: {found.mean('SDMLP')}") for name, claim in PENALISED.items()),
        *(found.accuracy(claim, name) for name, claim in BASELINES.items()),
    ]
    return Measured(rows, [found.chart("digits", "Digits, two after the other")])
