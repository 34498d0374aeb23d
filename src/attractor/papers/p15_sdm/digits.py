"""Scikit-learn's digits, two after the other: the SDMLP, what it becomes without its ingredients, with penalties, and baselines."""

from __future__ import annotations

from attractor.papers.p15_sdm.claims import (
    ABLATED,
    ABOVE_MEAN,
    ABOVE_TOP_K,
    BASELINES,
    ON_DIGITS,
    ONE_RATE,
    ONE_RATE_ABLATED,
    ONE_RATE_ABOVE_TOP_K,
    ONE_RATE_SDMLP,
    PENALISED,
    RELU,
    RELU_ADDRESSES,
    RELU_AT_ITS_RATE,
    RELU_RATE,
    SDMLP,
)
from attractor.papers.p15_sdm.comparison import CLASS_MEAN, Comparison, unavailable
from attractor.papers.p15_sdm.sizes import Size
from attractor.papers.p15_sdm.training import FLY
from attractor.papers.p15_sdm.tuning import Method
from attractor.papers.parts import Measured, Tell

INGREDIENTS = {
    "SDMLP": Method("SDMLP"),
    "Top-K alone": Method("Top-K alone"),
    "ReLU": Method("ReLU network"),
    "ReLU, addresses from data": Method("ReLU network, addresses from data"),
    "SDMLP without unit length": Method("SDMLP without unit length"),
    "SDMLP with biases": Method("SDMLP with biases"),
    "SDMLP with signed weights": Method("SDMLP with signed weights"),
    "SDMLP, random addresses": Method("SDMLP, random addresses, GABA switch"),
}
HELPED = {
    "SDMLP, EWC": Method("SDMLP", "EWC"),
    "SDMLP, MAS": Method("SDMLP", "MAS"),
    "SDMLP, SI": Method("SDMLP", "SI"),
    "SDMLP, L2": Method("SDMLP", "L2"),
    "ReLU, EWC": Method("ReLU network", "EWC"),
    "ReLU, replay": Method("ReLU network", "replay"),
    FLY: Method(FLY),
}


def at_one_rate(name: str) -> str:
    """The name of a method that is not tuned."""
    return f"{name}, rate {ONE_RATE:g}"


AT_ONE_RATE = {at_one_rate(name): INGREDIENTS[name]._replace(rate=ONE_RATE) for name in ("SDMLP", "Top-K alone", *ONE_RATE_ABLATED)}
RELU_AS_GIVEN = f"ReLU, rate {RELU_RATE:g}"
METHODS = INGREDIENTS | HELPED | AT_ONE_RATE | {RELU_AS_GIVEN: Method("ReLU network", rate=RELU_RATE)}
BY_RATE = ("SDMLP", "SDMLP without unit length", "SDMLP with biases", "SDMLP with signed weights", "Top-K alone", "ReLU", FLY)
OWN_RATE = "each method at the rate that is best for it, where the published comparison has one for all"


def measure_digits(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and figures; where the digits are not on this machine, rows that say so."""
    if (missing := unavailable(ON_DIGITS, size.digits)) is not None:
        return missing
    seeds = range(seed * size.digits_seeds, (seed + 1) * size.digits_seeds)
    found = Comparison(METHODS, size.digits, size.digits_recipe, size.digits_grid, seeds, tell)

    def untuned(name: str) -> str:
        """The other accuracy of an ablated network, if it has one."""
        return f"{OWN_RATE}; {found.told(at_one_rate(name))}" if name in ONE_RATE_ABLATED else ""

    lead = found.value(at_one_rate("SDMLP")) - found.value(at_one_rate("Top-K alone"))
    rows = [
        found.accuracy(SDMLP, "SDMLP", found.all_at_once),
        found.lead(ABOVE_TOP_K, "SDMLP", "Top-K alone", f"{OWN_RATE}; {lead:.3f} above where both have the rate {ONE_RATE:g}"),
        found.lead(ABOVE_MEAN, "SDMLP", CLASS_MEAN),
        found.accuracy(RELU, "ReLU", found.told(RELU_AS_GIVEN)),
        found.accuracy(RELU_ADDRESSES, "ReLU, addresses from data"),
        *(found.accuracy(claim, name, untuned(name)) for name, claim in ABLATED.items()),
        *(found.accuracy(claim, name, f"without a penalty {found.value('SDMLP'):.3f}") for name, claim in PENALISED.items()),
        *(found.accuracy(claim, name) for name, claim in BASELINES.items()),
        found.accuracy(ONE_RATE_SDMLP, at_one_rate("SDMLP")),
        found.lead(ONE_RATE_ABOVE_TOP_K, at_one_rate("SDMLP"), at_one_rate("Top-K alone")),
        *(found.accuracy(claim, at_one_rate(name)) for name, claim in ONE_RATE_ABLATED.items()),
        found.accuracy(RELU_AT_ITS_RATE, RELU_AS_GIVEN),
    ]
    title = "Digits, two after the other"
    figures = [
        found.by_task("digits-ingredients", f"{title}: an SDMLP and its parts", INGREDIENTS),
        found.by_task("digits-methods", f"{title}: penalties and other methods", ("SDMLP", "ReLU", *HELPED)),
        found.by_rate("digits-rates", f"{title}: the choice of the learning rate", BY_RATE),
    ]
    return Measured(rows, figures)
