"""What the paper states, and what this library asks of itself where the paper has no figure that was at hand."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

SPHERE = (4, 6, 8, 10, 12, 16, 24)
WHITENED = ((5, 4), (10, 9), (20, 10))
SEPARATIONS = ("soft-max", "1.5-entmax", "sparsemax")
HALF, STORED = 100, 500
WANTED = 0.25

OPTIMAL = "the paper's claim that the optimum is reached; the bar is that of this library"
TABLE = "the paper's table of metastable states, whose figures were not at hand; the bar is that of this library"
NOT_IN_PAPER = "not in the paper: the bar of this library"
REPORTED = "not in the paper: reported without a bar"

CODES = {
    count: Claim(f"{count} memories in 3 dimensions, raw: separation over that of the best code known", 1, OPTIMAL, least=0.98)
    for count in SPHERE
}
WHITE = {
    size: Claim(f"{size[0]} memories in {size[1]} dimensions, whitened: separation over the optimum", 1, OPTIMAL, least=0.995)
    for size in WHITENED
}
EXCESS = Claim("no learned code beats the best one known, nor the upper bound: largest excess", "none", "theory", most=1e-4)
RESTRICTED = Claim(
    "40 memories of 10 entries, linear map to 40 features: separation, where free points reach 1.03",
    "far below the optimum",
    "a limit of linear maps that the paper does not state; derived",
    most=0.9,
)
RAW = Claim("10 memories of 5 entries, beta 10, soft-max, not learned: rests at a single memory", "few", TABLE, "rate", most=0.6)
SINGLE = {
    name: Claim(f"10 memories of 5 entries, beta 10, {name}, U-Hop+: rests at a single memory", "most", TABLE, "rate", least=0.95)
    for name in SEPARATIONS
}
ERROR = Claim(
    f"lower half of {HALF} MNIST digits hidden, mask given, U-Hop+, one step at beta 20: squared error a picture",
    "lower than of the cosines",
    NOT_IN_PAPER,
    most=0.3,
)
RATIO = Claim(f"the same: error of the plain cosine over that of U-Hop+, {HALF} digits", "> 1", NOT_IN_PAPER, "times", least=3.0)
LEARNING = Claim(
    f"the same: error of the centred cosine, which learns nothing but the mean, over that of U-Hop+, {HALF} digits",
    "> 1",
    NOT_IN_PAPER,
    "times",
    least=2.0,
)
CENTRED = Claim("the same: error of the centred cosine", "not compared", REPORTED)
UNMASKED = Claim("the same without the mask: error of U-Hop+ over that of the plain cosine", "not asked", REPORTED, "times")
NOISE_AWARE = Claim(
    f"{STORED} MNIST digits, half of the pixels zero, no mask, noise-aware kernel: right memory weighs most",
    "not asked",
    NOT_IN_PAPER,
    "rate",
    least=0.95,
)
LEAD = Claim(
    "the same with 80% of the pixels zero: lead of the noise-aware kernel over the centred cosine",
    "not asked",
    NOT_IN_PAPER,
    least=0.4,
)
NOT_ROBUST = Claim(
    f"{STORED} MNIST digits, half of the pixels zero, no mask, U-Hop+ with 100 steps: right memory weighs most",
    "not asked",
    REPORTED,
    "rate",
)
GROWTH = Claim(
    "random unit vectors, beta 20: memories kept grow with each dimension by the factor",
    "exponential",
    "the known lower bound; the bar is that of this library",
    "times",
    least=1.7,
    most=2.2,
)
LEARNED = Claim(
    f"memories of separation {WANTED} in 4 dimensions: learned over random codes",
    "> 1",
    "the paper's claim of optimal capacity; the bar is that of this library",
    "times",
    least=8.0,
)

PAPER = Paper(
    "02",
    "Provably Optimal Memory Capacity for Modern Hopfield Models: "
    "Transformer-Compatible Dense Associative Memories as Spherical Codes",
    ("Jerry Yao-Chieh Hu", "Dennis Wu", "Han Liu"),
    2024,
    "NeurIPS 2024",
    "https://arxiv.org/abs/2410.23126",
    (
        *CODES.values(),
        *WHITE.values(),
        EXCESS,
        RESTRICTED,
        RAW,
        *SINGLE.values(),
        ERROR,
        RATIO,
        LEARNING,
        CENTRED,
        UNMASKED,
        NOISE_AWARE,
        LEAD,
        NOT_ROBUST,
        GROWTH,
        LEARNED,
    ),
)
