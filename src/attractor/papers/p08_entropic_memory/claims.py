"""What the paper reports, and which measured values agree with it.

The paper measures CIFAR-10 with trained networks: its levels are not to be met with other images and codes, its trends are.
"""

from __future__ import annotations

from typing import NamedTuple

from attractor.papers.claim import Claim, Paper

N, M, SIGMA = 64, 16, 0.025
CHAIN_SIGMAS = (0.01, 0.025, 0.05, 0.1)
DEPTH = 6
FILLS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)
FEW_FILLS = (0.01, 0.08, 1.0)
NOISE = 0.3
NOISE_SIGMAS = (0.025, 0.05, 0.1, 0.25)
MOST_MISTAKEN = 0.05
REGISTERED = {"mnist-5k": (32, 8), "fashion-mnist": (64, 16)}
"""n and m of designated registers."""

TABLES = "tables of results beside the authors' code, CIFAR-10 with n = 64, read there"
LARGE = "tables of results beside the authors' code, CIFAR-10 with n = 1024, read there"
CHAINS = "tables of results beside the authors' code, ten chosen images with n = 256, read there"
PROTOTYPE = "not in the paper: measured before with a prototype on the same data"
NOT_STORED = "figures of the paper, whose numbers are not stored anywhere"
HETERO = "Morales and Pineda 2024, whose numbers are not known: the bar of this library"
DERIVED = "derived from the definitions"


class Trends(NamedTuple):
    """The claims on memory size and filling, of one data set."""

    entropy_least: Claim
    entropy_most: Claim
    precision_rises: Claim
    precision_stays: Claim
    best: Claim
    loss: Claim
    filling: Claim


def trends(data: str) -> Trends:
    return Trends(
        Claim(f"{data}: entropy gained as m doubles, from m = 32 on: the least gain", 0.91, TABLES, "bits", least=0.8),
        Claim(f"{data}: the same, the largest gain", 1.0, TABLES, "bits", most=1.05),
        Claim(f"{data}: precision as m doubles up to m = 8: the least gain", 0.15, LARGE, "rate", least=1e-3),
        Claim(
            f"{data}: precision from m = 8 on, while a quarter of the cues is accepted: farthest from that at m = 8",
            0.074,
            LARGE,
            "rate",
            most=0.06,
        ),
        Claim(f"{data}: m at which recall is largest", 16, LARGE, "levels", least=8, most=32),
        Claim(f"{data}: recall at the largest m, below the best", 0.341, LARGE, "rate", least=0.1),
        Claim(f"{data}: recall with 1, 8 and 100% registered, m = 16: the least gain", 0.16, LARGE, "rate", least=1e-3),
    )


DIGITS, GARMENTS = trends("mnist-5k"), trends("fashion-mnist")

FASHION = f"Fashion-MNIST, n = {N}, m = {M}, sigma = {SIGMA:g}"
RECALL = Claim(f"{FASHION}: recall", 0.875, PROTOTYPE, "rate", least=0.84)
PRECISION = Claim("the same: precision", 0.879, PROTOTYPE, "rate", least=0.85)
SECONDS = Claim("the same with encoder and classifier: processor time", 8, PROTOTYPE, "seconds", most=30)
CUE = Claim("recall above that of the quantised cue itself, without a memory", 0.005, PROTOTYPE, "rate")
NOISY = Claim(f"cues with noise of deviation {NOISE:g}: recall", 0.779, PROTOTYPE, "rate")
HIDDEN = Claim("cues with the lower half black: precision", 0.53, PROTOTYPE, "rate")
ACCEPTED = Claim("images of pure noise that are accepted, the encoder being linear", 0.996, PROTOTYPE, "rate")

NOISE_LEFT = Claim(
    f"the same, thresholds calibrated on others for {MOST_MISTAKEN:g} of them",
    "not given",
    NOT_STORED,
    "rate",
    most=2 * MOST_MISTAKEN,
)
CUES_LEFT = Claim("cues that are accepted still, with these thresholds", "not given", NOT_STORED, "rate")
DIGITS_LEFT = Claim(
    f"digits that are accepted, thresholds calibrated on others for {MOST_MISTAKEN:g} of them",
    "not given",
    NOT_STORED,
    "rate",
    most=2 * MOST_MISTAKEN,
)
GARMENTS_LEFT = Claim("cues that are accepted still, with those thresholds", "not given", NOT_STORED, "rate")

NARROW = Claim("chains, sigma = 0.01: in-class share lost from depth 1 to 6", 0.3, CHAINS, "rate", most=0.05)
WIDER = Claim("in-class share at depth 6, sigma = 0.01 above 0.05", 0.4, CHAINS, "rate", least=1e-3)
WIDEST = Claim("in-class share at depth 6, sigma = 0.05 above 0.1", 0.1, f"{CHAINS}; its widest is 0.11", "rate", least=1e-3)

TESTED = Claim(
    "pairs, digit to garment, 32 x 32 x 16 x 16: in-class share by sample-and-test above random",
    "better",
    HETERO,
    "rate",
    least=0.05,
)
RANDOM = Claim("the same, by random draws: above chance, 0.1", "better", HETERO, "rate", least=1e-3)
SEARCHED = Claim("the same, by search-and-test: above random draws", "better", HETERO, "rate", least=0.05)
RECOGNISED = Claim("the same: registered digits that are accepted", 1, DERIVED, "rate", least=1.0)

EARLIER = "Pineda, Fuentes and Morales 2021 and Morales and others 2022: far better with trained encoders, quoted from memory"
CLASSES = {
    data: Claim(f"{data}: designated registers, one for each class: right answers of those given", "better", EARLIER, "rate")
    for data in REGISTERED
}

PAPER = Paper(
    "08",
    "Entropic associative memory for real world images",
    ("Noé Hernández", "Rafael Morales", "Luis A. Pineda"),
    2024,
    "arXiv 2405.12500",
    "https://arxiv.org/abs/2405.12500",
    (
        *DIGITS,
        *GARMENTS,
        RECALL,
        PRECISION,
        SECONDS,
        CUE,
        NOISY,
        HIDDEN,
        ACCEPTED,
        NOISE_LEFT,
        CUES_LEFT,
        DIGITS_LEFT,
        GARMENTS_LEFT,
        NARROW,
        WIDER,
        WIDEST,
        *CLASSES.values(),
        TESTED,
        RANDOM,
        SEARCHED,
        RECOGNISED,
    ),
)
