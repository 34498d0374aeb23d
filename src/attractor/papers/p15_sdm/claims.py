"""What the paper states on its own images, and what this library asks of itself on those that come with packages."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

ABOVE_ZERO = 1e-3
"""Least difference that counts as one."""

FIGURE = "Bricken et al. 2023, figure 3, Split CIFAR10, read from memory; other data here: the bar is this library's"
WORDS = "Bricken et al. 2023, in words; the bar is this library's"
FLY = "re-run by the paper's authors, Split CIFAR10, 1K cells, from their result files; other data here"
FLY_MNIST = "re-run by the paper's authors, Split MNIST, 1K cells, 64 active, one seed, from their result files"
OWN_BAR = "no figure of the paper is known here: the bar of this library"
KANERVA = "Kanerva 1988; no figure for this size: the bar of this library"
KANERVA_RECALLED = "Kanerva 1988, from memory; the binomial rule gives 447"
UNKNOWN = "no figure known"

POOL = ", addresses from an unlabelled pool of all classes"
DIGITS = "five tasks of two digits"
SDMLP = Claim(f"{DIGITS}, SDMLP{POOL}: accuracy on all classes", UNKNOWN, OWN_BAR, "rate", least=0.93)
ABOVE_TOP_K = Claim(f"{DIGITS}, SDMLP: above Top-K without the rest of SDM", "far above", WORDS, "rate", least=0.10)
ABOVE_MEAN = Claim(f"{DIGITS}, SDMLP: above the nearest class mean", UNKNOWN, OWN_BAR, "rate", least=0.0)
RELU = Claim(f"{DIGITS}, ReLU network: accuracy on all classes", "about 0.2", FIGURE, "rate", most=0.25)
RELU_ADDRESSES = Claim(f"{DIGITS}, ReLU network{POOL}: accuracy", UNKNOWN, OWN_BAR, "rate")
ABLATED = {
    "SDMLP without unit length": Claim(f"{DIGITS}, SDMLP without unit length: accuracy", "fails", WORDS, "rate", most=0.35),
    "SDMLP with biases": Claim(f"{DIGITS}, SDMLP with biases: accuracy", "fails", WORDS, "rate", most=0.35),
    "SDMLP with signed weights": Claim(f"{DIGITS}, SDMLP with signed weights: accuracy", "fails on CIFAR10", WORDS, "rate"),
    "SDMLP, random addresses": Claim(f"{DIGITS}, SDMLP, random addresses, GABA switch: accuracy", UNKNOWN, OWN_BAR, "rate"),
}
PENALISED = {
    "SDMLP, EWC": Claim(f"{DIGITS}, SDMLP with EWC: accuracy", "0.84 to 0.86", FIGURE, "rate"),
    "SDMLP, MAS": Claim(f"{DIGITS}, SDMLP with MAS: accuracy", "0.77 to 0.80", FIGURE, "rate"),
    "SDMLP, SI": Claim(f"{DIGITS}, SDMLP with SI: accuracy", UNKNOWN, OWN_BAR, "rate"),
    "SDMLP, L2": Claim(f"{DIGITS}, SDMLP with L2: accuracy", UNKNOWN, OWN_BAR, "rate"),
}
BASELINES = {
    "ReLU, EWC": Claim(f"{DIGITS}, ReLU network with EWC: accuracy", UNKNOWN, OWN_BAR, "rate"),
    "ReLU, replay": Claim(f"{DIGITS}, ReLU network, a tenth of old items replayed: accuracy", UNKNOWN, OWN_BAR, "rate"),
    "FlyModel": Claim(f"{DIGITS}, FlyModel, as many cells as the SDMLP has neurons, 32 active: accuracy", 0.704, FLY, "rate"),
}

ONE_RATE, RELU_RATE = 0.5, 0.05
AT_ONE_RATE = f"{DIGITS}, one learning rate for all, {ONE_RATE:g}"
ONE_RATE_SDMLP = Claim(f"{AT_ONE_RATE}: SDMLP{POOL}: accuracy", UNKNOWN, OWN_BAR, "rate", least=0.93)
ONE_RATE_ABOVE_TOP_K = Claim(f"{AT_ONE_RATE}: SDMLP above Top-K without the rest of SDM", "far above", WORDS, "rate", least=0.10)
ONE_RATE_ABLATED = {
    "SDMLP without unit length": Claim(f"{AT_ONE_RATE}: SDMLP without unit length: accuracy", "fails", WORDS, "rate", most=0.35),
    "SDMLP with biases": Claim(f"{AT_ONE_RATE}: SDMLP with biases: accuracy", "fails", WORDS, "rate", most=0.35),
}
RELU_AT_ITS_RATE = Claim(f"{DIGITS}, ReLU network at the rate {RELU_RATE:g}: accuracy", "about 0.2", FIGURE, "rate", most=0.25)

MNIST = "five tasks of two classes of MNIST"
M_SDMLP = Claim(f"{MNIST}, SDMLP{POOL}: accuracy on all classes", UNKNOWN, OWN_BAR, "rate", least=0.86)
M_ABOVE_FLY = Claim(
    f"{MNIST}, SDMLP: above the FlyModel with as many cells", "below it, with MAS", FIGURE, "rate", least=ABOVE_ZERO
)
M_ABOVE_MEAN = Claim(f"{MNIST}, SDMLP: above the nearest class mean", UNKNOWN, OWN_BAR, "rate", least=ABOVE_ZERO)
M_BASELINES = {
    "SDMLP, EWC": Claim(f"{MNIST}, SDMLP with EWC: accuracy", "0.84 to 0.86", FIGURE, "rate"),
    "Top-K alone": Claim(f"{MNIST}, Top-K without the rest of SDM: accuracy", "poor", WORDS, "rate"),
    "ReLU": Claim(f"{MNIST}, ReLU network: accuracy", "about 0.2", FIGURE, "rate"),
    "ReLU, EWC": Claim(f"{MNIST}, ReLU network with EWC: accuracy", UNKNOWN, OWN_BAR, "rate"),
    "ReLU, replay": Claim(f"{MNIST}, ReLU network, a tenth of old items replayed: accuracy", UNKNOWN, OWN_BAR, "rate"),
    "FlyModel": Claim(f"{MNIST}, FlyModel, as many cells as the SDMLP has neurons, 32 active: accuracy", 0.770, FLY_MNIST, "rate"),
}
STALE = "SDMLP on MNIST-5k, Adam that leaves silent neurons alone"
ADAM_ABOVE = Claim(f"{STALE}: accuracy above torch's Adam", "momentum is stale", WORDS, "rate", least=0.05)
ADAM_DEAD = Claim(f"{STALE}: dead neurons, of those of torch's Adam", "momentum kills", WORDS, "ratio", most=2 / 3)
DEAD = Claim(
    "SDMLP on MNIST-5k, random addresses: dead neurons with the GABA switch below the fewer of subtracting and masking",
    "the switch keeps neurons alive",
    WORDS,
    "rate",
    least=0.3,
)

RADIUS = Claim("Kanerva's radius at n = 1000, p = 0.000368", 451, KANERVA_RECALLED, least=447, most=447)
RECALLED = Claim(
    "Kanerva's memory, 100 patterns with a tenth of the bits flipped, ten reads: recalled exactly",
    "converges",
    KANERVA,
    "rate",
    least=1.0,
)
ONE_READ = Claim("the same, one read: recalled exactly", "converges by iteration", KANERVA, "rate")
NARROW = Claim("Kanerva's memory, 800 patterns, p = 0.003, no noise, one read: recalled exactly", UNKNOWN, KANERVA, "rate")
WIDE = Claim("the same, p = 0.01: recalled exactly", UNKNOWN, KANERVA, "rate")
OVERLOADED = Claim("the same, 1600 patterns: recalled exactly", "fails", KANERVA, "rate", most=0.2)

ON_DIGITS = (
    SDMLP,
    ABOVE_TOP_K,
    ABOVE_MEAN,
    RELU,
    RELU_ADDRESSES,
    *ABLATED.values(),
    *PENALISED.values(),
    *BASELINES.values(),
    ONE_RATE_SDMLP,
    ONE_RATE_ABOVE_TOP_K,
    *ONE_RATE_ABLATED.values(),
    RELU_AT_ITS_RATE,
)
ON_MNIST = (M_SDMLP, M_ABOVE_FLY, M_ABOVE_MEAN, *M_BASELINES.values())
OF_SILENCE = (ADAM_ABOVE, ADAM_DEAD, DEAD)

PAPER = Paper(
    "15",
    "Sparse Distributed Memory is a Continual Learner",
    ("Trenton Bricken", "Xander Davies", "Deepak Singh", "Dmitry Krotov", "Gabriel Kreiman"),
    2023,
    "ICLR",
    "https://arxiv.org/abs/2303.11934",
    (*ON_DIGITS, *ON_MNIST, *OF_SILENCE, RADIUS, RECALLED, ONE_READ, NARROW, WIDE, OVERLOADED),
)
