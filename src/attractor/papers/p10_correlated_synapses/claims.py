"""What the paper states in words, and the bars that this library sets for it: no table of figures is known."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

SHOWN = "the paper's abstract and first page, read there; it shows curves and no figures: the bounds are this library's"
DERIVED = "follows from the model; the bounds are this library's"
EARLIER = "NeurIPS 2011, abstract, read there; the bounds are this library's"
OWN = "not in the paper: the bar of this library"

RULES = ("hebb", "pre", "post")
SIZES_MEASURED = (50, 100, 200)

CLOSED_FORM = Claim(
    "likelihood and all single flips in closed form, furthest from the solve with the whole covariance, relative, N = 8",
    "equal",
    DERIVED,
    most=1e-6,
)
ADDITIVE_STATISTICS = Claim(
    "additive rules: covariances of weights, furthest from the formula, in standard errors", "equal", DERIVED, most=3.0
)
CASCADE_STATISTICS = Claim(
    "cascade: covariances of weights, furthest from those of the chains, N = 100", "equal", DERIVED, most=0.015
)
ENUMERATION = Claim("Gibbs sampling, furthest from the sum over all patterns, probability, N = 10", "equal", DERIVED, most=0.02)
NAIVE = {
    rule: Claim(f"{rule}: wrong neurons, correlations ignored, N = 100, T = 10", "catastrophic", SHOWN, "rate", least=0.25)
    for rule in RULES
}
AWARE = {
    rule: Claim(f"{rule}: wrong neurons, correlations known, N = 100, T = 10", "restored", SHOWN, "rate", most=0.01)
    for rule in RULES
}
COVARIANCE = Claim(
    "covariance rule: wrong neurons, ignored less known: nothing to ignore", 0, SHOWN, "rate", least=-0.01, most=0.01
)
GROWTH = Claim(
    "hebb: wrong neurons, ignored, at T = N / 10: the least rise from a size to the next, N = 50, 100, 200",
    "does not vanish",
    SHOWN,
    "rate",
    least=0.0,
)
ALL_SIZES = Claim("the same, known: wrong neurons at the worst size", "vanishes", SHOWN, "rate", most=0.01)
DYNAMICS = Claim("mean field less Gibbs: wrong neurons, hebb, N = 200, T = 20", 0, DERIVED, "rate", least=-0.01, most=0.01)
CASCADE_AWARE = Claim("cascade, pre-gated, newest pattern: wrong neurons, known", "restored", SHOWN, "rate", most=0.02)
CASCADE_RATIO = Claim("the same, ignored over known", "worse", SHOWN, "times", least=2.0)
XOR = {
    name: Claim(f"cascade, exclusive or, newest pattern: wrong neurons, {name}", "no pairs to know of", SHOWN, "rate", most=0.01)
    for name in ("ignored", "known")
}
CALIBRATED = {
    name: Claim(
        f"{name}: wrong neurons beyond those of the cue, weights counted as calibrated, worst age of 0 to 10",
        "at most 0 for an exact posterior",
        OWN,
        "rate",
        most=0.01,
    )
    for name in ("hebb, decay 0.95", "cascade, pre-gated")
}
JOINT = Claim("age unknown: wrong neurons beyond those with the age told", "best", EARLIER, "rate", most=0.02)
FIXED = Claim("age taken for 0: wrong neurons beyond those with the age found", "old patterns suffer", EARLIER, "rate", least=0.03)
FOUND = Claim("rank correlation of the age found with the true one", "", OWN, least=0.6)

PAPER = Paper(
    "10",
    "Correlations strike back (again): the case of associative memory retrieval",
    ("Cristina Savin", "Peter Dayan", "Máté Lengyel"),
    2013,
    "NeurIPS 2013",
    "https://papers.nips.cc/paper_files/paper/2013",
    (
        CLOSED_FORM,
        ADDITIVE_STATISTICS,
        CASCADE_STATISTICS,
        ENUMERATION,
        *(claim for rule in RULES for claim in (NAIVE[rule], AWARE[rule])),
        COVARIANCE,
        GROWTH,
        ALL_SIZES,
        DYNAMICS,
        CASCADE_AWARE,
        CASCADE_RATIO,
        *XOR.values(),
        *CALIBRATED.values(),
        JOINT,
        FIXED,
        FOUND,
    ),
)
