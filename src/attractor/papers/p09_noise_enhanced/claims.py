"""What the paper reports, and which measured values agree with it.

Its figures give no numbers; the levels are those of a prototype of this library on a network of the same size.
"""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

PHI = 0.95
MODERATE, LOUD = 0.3, 0.8
FEW, SOME, MANY = 0.125, 0.15, 0.175
THRESHOLDS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.95)

PROTOTYPE = "not in the paper: measured before with a prototype, 400 neurons in 50 clusters"
FIGURE = "a figure of the paper, quoted from memory; the level is that of a prototype of the same size"
PAGE = "abstract of the paper"
BAR = "the bar of this library"

RESIDUAL = Claim("learned constraints on fresh patterns: largest |w . x|", "0.005", BAR, most=5e-3)
ROWS = Claim("constraints of the cluster that has the fewest", 17, PROTOTYPE, least=15)
WEIGHT = Claim("entries of a constraint that are not zero, of 40", 23.7, PROTOTYPE, most=30)

QUIET = Claim(f"wrong patterns at {FEW:.1%} errors, no noise", 0.81, PROTOTYPE, "rate", least=0.5)
NOISY = Claim(f"wrong patterns at {FEW:.1%} errors, noise {MODERATE:g}", 0.0, PROTOTYPE, "rate", most=0.02)
QUIET_MANY = Claim(f"wrong patterns at {MANY:.1%} errors, no noise", 1.0, PROTOTYPE, "rate", least=0.9)
NOISY_MANY = Claim(f"wrong patterns at {MANY:.1%} errors, noise {MODERATE:g}", 0.04, PROTOTYPE, "rate", most=0.15)
TOO_LOUD = Claim(f"wrong patterns at {FEW:.1%} errors, noise {LOUD:g}", 0.995, PROTOTYPE, "rate", least=0.9)
DIP = Claim(f"wrong patterns at {FEW:.1%} errors without noise, above those at the best noise", 0.81, FIGURE, "rate", least=0.48)
BEST_QUIET = Claim(
    f"wrong patterns at {SOME:.1%} errors: the best threshold without noise, above noise {MODERATE:g} at {PHI:g}",
    0.54,
    PROTOTYPE,
    "rate",
    least=0.3,
)
CHECKS = Claim("wrong patterns at 10.0% errors, noise 0.3, constraint noise 0.1", 0.0, PROTOTYPE, "rate")

TWO = Claim(f"clusters that correct 2 errors: noise {MODERATE:g} over none", 1.91, FIGURE, "ratio", least=1.5)
ONE = Claim(f"clusters that correct 1 error: the least up to noise {MODERATE:g}", 0.965, PROTOTYPE, "rate", least=0.9)
THRESHOLD = Claim("density evolution without noise: errors that it corrects", 0.1175, PROTOTYPE, "share", least=0.09, most=0.14)
GAIN = Claim(f"the same: noise {MODERATE:g} over none", 1.4, PROTOTYPE, "ratio", least=1.2)
BELOW = Claim("wrong patterns at 0.65 of that share of errors, no noise", "low", BAR, "rate", most=0.1)
ABOVE = Claim("wrong patterns at 1.1 of that share of errors, no noise", "high", BAR, "rate", least=0.5)
BOUND = Claim("one round in a cluster, one error: the derived bound above the rate", "at most 0", BAR, "rate", most=0.02)

STORAGE = Claim("patterns recalled: seen in training, above never seen", 0.0, PAGE, "rate", least=-0.02, most=0.02)
FALSE = Claim("recalls that say all constraints hold, of a wrong pattern", 0, PROTOTYPE, "recalls", most=0)

PAPER = Paper(
    "09",
    "Noise-Enhanced Associative Memories",
    ("Amin Karbasi", "Amir Hesam Salavati", "Amin Shokrollahi", "Lav R. Varshney"),
    2013,
    "NIPS 2013",
    "https://proceedings.neurips.cc/paper/2013/hash/e1e32e235eee1f970470a3a6658dfdd5-Abstract.html",
    (
        RESIDUAL,
        ROWS,
        WEIGHT,
        QUIET,
        NOISY,
        QUIET_MANY,
        NOISY_MANY,
        TOO_LOUD,
        DIP,
        BEST_QUIET,
        CHECKS,
        TWO,
        ONE,
        THRESHOLD,
        GAIN,
        BELOW,
        ABOVE,
        BOUND,
        STORAGE,
        FALSE,
    ),
)
