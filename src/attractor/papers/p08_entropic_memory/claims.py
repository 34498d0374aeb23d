"""What the paper reports, and which measured values agree with it.

The paper measures CIFAR-10 with trained networks: its levels are not to be met with other images and codes, its trends are.
"""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

N, M, SIGMA = 64, 16, 0.025
CHAIN_SIGMAS = (0.01, 0.025, 0.05, 0.1)
DEPTH = 6
FILLS = (0.01, 0.08, 1.0)
NOISE = 0.3

TABLES = "tables of results beside the authors' code, CIFAR-10 with n = 64, read there"
LARGE = "tables of results beside the authors' code, CIFAR-10 with n = 1024, read there"
CHAINS = "tables of results beside the authors' code, ten chosen images with n = 256, read there"
PROTOTYPE = "not in the paper: measured before with a prototype on the same data"
NOT_STORED = "figures of the paper, whose numbers are not stored anywhere"
HETERO = "Morales and Pineda 2024, whose numbers are not known: the bar of this library"
DERIVED = "derived from the definitions"

ENTROPY_LEAST = Claim("entropy gained as m doubles, from m = 32 on: the least gain", 0.91, TABLES, "bits", least=0.8)
ENTROPY_MOST = Claim("the same: the largest gain", 1.0, TABLES, "bits", most=1.05)
PRECISION_RISES = Claim("precision as m doubles up to m = 8: the least gain", 0.15, LARGE, "rate", least=0.0)
PRECISION_STAYS = Claim(
    "precision from m = 8 on, while a quarter of the cues is accepted: farthest from that at m = 8", 0.074, LARGE, "rate", most=0.06
)
BEST = Claim("m at which recall is largest", 16, LARGE, "levels", least=8, most=32)
LOSS = Claim("recall at the largest m, below the best", 0.341, LARGE, "rate", least=0.1)
FILLING = Claim("recall with 1, 8 and 100% registered, m = 16: the least gain", 0.16, LARGE, "rate", least=1e-3)

FASHION = f"Fashion-MNIST, n = {N}, m = {M}, sigma = {SIGMA:g}"
RECALL = Claim(f"{FASHION}: recall", 0.875, PROTOTYPE, "rate", least=0.84)
PRECISION = Claim("the same: precision", 0.879, PROTOTYPE, "rate", least=0.85)
SECONDS = Claim("the same with encoder and classifier: processor time", 8, PROTOTYPE, "seconds", most=30)
CUE = Claim("recall above that of the quantised cue itself, without a memory", 0.005, PROTOTYPE, "rate")
NOISY = Claim(f"cues with noise of deviation {NOISE:g}: recall", 0.779, PROTOTYPE, "rate")
HIDDEN = Claim("cues with the lower half black: precision", 0.53, PROTOTYPE, "rate")
ACCEPTED = Claim("images of pure noise that are accepted, the encoder being linear", 0.996, PROTOTYPE, "rate")

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

PAPER = Paper(
    "08",
    "Entropic associative memory for real world images",
    ("Noé Hernández", "Rafael Morales", "Luis A. Pineda"),
    2024,
    "arXiv 2405.12500",
    "https://arxiv.org/abs/2405.12500",
    (
        ENTROPY_LEAST,
        ENTROPY_MOST,
        PRECISION_RISES,
        PRECISION_STAYS,
        BEST,
        LOSS,
        FILLING,
        RECALL,
        PRECISION,
        SECONDS,
        CUE,
        NOISY,
        HIDDEN,
        ACCEPTED,
        NARROW,
        WIDER,
        WIDEST,
        TESTED,
        RANDOM,
        SEARCHED,
        RECOGNISED,
    ),
)
