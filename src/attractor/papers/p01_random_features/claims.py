"""What the paper states, and what this library measures of it."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

FIGURE_3 = "figure 3, read as a trend; sizes of one machine"
FIGURE_5 = "figure 5, read as a trend; sizes of one machine"
FIGURE_6 = "figure 6, read as a trend, on other data"
PROTOTYPE = "not in the paper as a figure: the law with its constant, derived for these patterns and measured in a prototype"
RECALLED, FEW = 16_000, 1000
COMPLETED = 20
# the smallest inverse temperature of the paper's comparison of maps, which goes up to 600
PAPERS_LEAST = 1.0

ENERGY_SLOPE = Claim("error of the energy against features Y: exponent", -0.5, FIGURE_3, least=-0.6, most=-0.4)
FORCE_SLOPE = Claim("error of the gradient against features Y: exponent", -0.5, FIGURE_3, least=-0.6, most=-0.4)
CONSTANT = Claim(
    "mean error of the energy times sqrt(Y), D = 100, K = 500, beta = 10", "0.17 to 0.18", PROTOTYPE, least=0.14, most=0.22
)
ESTIMATED = Claim(
    "standard error that the memory reports over the error measured (root mean square)",
    1.0,
    PROTOTYPE,
    "times",
    least=0.8,
    most=1.25,
)
COLD = Claim("mean error of the energy at beta = 30 over that at beta = 10, Y the same", "> 1", FIGURE_3, "times", least=1.0)
GROWTH = Claim(
    "error of the sum of kernels against patterns K: exponent, between 1/2 (independent) and 1 (bound)",
    0.6,
    FIGURE_5,
    least=0.4,
    most=1.0,
)
DESCENT = Claim(
    "the estimated energy never rises along plain steps x + alpha force, Y = 4000: worst rise",
    "no rise",
    "gradient descent with alpha <= 0.1; float64",
    most=1e-9,
)
FALL = Claim(
    "the estimated energy falls along those steps: least mean fall of a set of states",
    "falls",
    "the same",
    least=0.01,
)
WRONG = Claim(f"wrong bits after recall from 10% flips, Y = {RECALLED}, beta = 30", "<= 0.01", PROTOTYPE, "rate", most=0.01)
APART = Claim(
    f"wrong bits beyond those of the exact memory, Y = {RECALLED}", "figure 4A: they fall with Y", PROTOTYPE, "rate", most=0.01
)
TREND = Claim(
    f"wrong bits at Y = {FEW} over those at Y = {RECALLED} (at least one bit counted)",
    "figure 4A: they fall with Y",
    PROTOTYPE,
    "times",
    least=5.0,
)
COMPLETION = Claim(
    f"{COMPLETED} MNIST digits, lower half unknown, beta = 60: stored digit nearest by that half alone is right",
    "the images of the exact memory, figure 1",
    PROTOTYPE,
    "of 20",
    least=19,
)
DISTANCE = Claim("MNIST completion: relative distance to where the exact memory ends", 0.135, PROTOTYPE, most=0.2)
BEST = Claim(
    "kernel ablation: error of the best other map over that of SinCos, smallest ratio over all beta",
    "> 1",
    FIGURE_6,
    "times",
    least=1.0,
)
DEGRADED = {
    name: Claim(
        f"kernel ablation: error of {name} over that of SinCos, at the largest beta over at beta = {PAPERS_LEAST:g}",
        "> 1",
        FIGURE_6,
        "times",
        least=1.0,
    )
    for name in ("exp", "expexp")
}

PAPER = Paper(
    "01",
    "Dense Associative Memory Through the Lens of Random Features",
    ("Benjamin Hoover", "Duen Horng Chau", "Hendrik Strobelt", "Parikshit Ram", "Dmitry Krotov"),
    2024,
    "NeurIPS 2024",
    "https://arxiv.org/abs/2410.24153",
    (
        ENERGY_SLOPE,
        FORCE_SLOPE,
        CONSTANT,
        ESTIMATED,
        COLD,
        GROWTH,
        DESCENT,
        FALL,
        WRONG,
        APART,
        TREND,
        COMPLETION,
        DISTANCE,
        BEST,
        *DEGRADED.values(),
    ),
)
