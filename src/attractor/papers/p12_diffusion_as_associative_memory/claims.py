"""What the survey and its companion state, and what this library asks of itself where they have no figure."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

FEWEST = 4
MANY = 256
STORED = 64

SURVEY = "the survey's correspondence; derived again, in float64"
COMPANION = "Pham et al. 2025 (arXiv 2505.21777), figures without numbers; the bar is this library's"
OWN = "not in the paper: the bar of this library"

DENSITY = Claim(
    "log-density of noisy digits by the fold equals the Gaussian mixture: relative difference", "equal", SURVEY, most=1e-10
)
UPDATE = Claim(
    "one Hopfield update is one denoising is one attention read with a bias: largest difference", "equal", SURVEY, most=1e-10
)
DESCENT = Claim("the energy never rises for steps up to 2: worst rise, relative", "no rise", SURVEY, most=1e-10)
LIKELIHOOD = Claim("log-density along the probability-flow ODE, ring of 9 points: median error", "equal", SURVEY, "nats", most=0.01)
BREAKING = Claim(
    "5000 random points on a ring: b where the centre loses its stability", 1, "the companion's ring energy", least=0.97, most=1.03
)
RADIUS = Claim(
    "minimum of 5000 points on a ring against the Bessel equation: largest difference, b = 1.1 to 20",
    "equal",
    "the companion's ring energy",
    most=0.01,
)
FLAT = Claim(
    "1000 random points on a ring, b = 20: deviation of the energy along the ring over the barrier at its centre",
    "a ring of minima at 1000 points",
    COMPANION,
    most=0.05,
)
MEMORISES = Claim(
    "exact denoiser of 500 digits, 18 Heun steps and no last denoising: samples within 0.1 of a training item",
    "memorises",
    OWN,
    "rate",
    least=0.99,
)
FEW = Claim(f"learned denoiser of {FEWEST} digits: memorised samples", "high", COMPANION, "rate", least=0.9)
PEAK = Claim("spurious samples: largest share over all sizes", "a peak", COMPANION, "rate", least=0.3)
BETWEEN = Claim(
    "the same: largest share between the smallest and the largest size, less that at these two; lower end of the 95% interval",
    "the peak is between",
    COMPANION,
    least=0.0,
)
GONE = Claim(
    f"learned denoisers of {MANY} digits and more: memorised samples, largest share", "falls to zero", COMPANION, "rate", most=0.05
)
FALLS = Claim(
    "memorised share against the number of digits: largest rise from one size to the next, lower end of its 95% interval",
    "falls",
    COMPANION,
    most=0.0,
)
CONSERVATIVE = Claim(
    "learned energy: rotation of the score, |J - J'| / |J|", 0, "an energy's score is a gradient; derived again", most=1e-6
)
ROTATION = Claim("learned plain network: rotation of the score, |J - J'| / |J|, mean of three noise levels", "> 0", OWN, least=0.05)
AS_GOOD = Claim(
    "loss of the learned energy over that of the plain network, on the same noise after training",
    "at most 1.15",
    OWN,
    "times",
    most=1.15,
)
CUES = f"{STORED} digits, noise of deviation 0.6"
SYSTEMS = ("dense memory", "exact denoiser", "learned denoiser")
KNOWS_THEM = SYSTEMS[:2]
EXACT, IDENTIFIED = (
    {
        name: Claim(
            f"{CUES}: {score} by the {name}",
            ">= 0.95" if name in KNOWS_THEM else "reported",
            OWN,
            "rate",
            least=0.95 if name in KNOWS_THEM else None,
        )
        for name in SYSTEMS
    }
    for score in ("every pixel right to the grey level", "identified")
)
DISTANCE = {
    name: Claim(f"{CUES}: distance from the original after recall by the {name}", "<= 0.5", OWN, "of that of the cue", most=0.5)
    for name in SYSTEMS
}

PAPER = Paper(
    "12",
    "Memory in Plain Sight: A Survey of the Uncanny Resemblances between Diffusion Models and Associative Memories",
    ("Benjamin Hoover", "Hendrik Strobelt", "Dmitry Krotov", "Judy Hoffman", "Zsolt Kira", "Duen Horng Chau"),
    2023,
    "arXiv 2309.16750",
    "https://arxiv.org/abs/2309.16750",
    (
        DENSITY,
        UPDATE,
        DESCENT,
        MEMORISES,
        LIKELIHOOD,
        BREAKING,
        RADIUS,
        FLAT,
        FEW,
        PEAK,
        BETWEEN,
        GONE,
        FALLS,
        CONSERVATIVE,
        ROTATION,
        AS_GOOD,
        *(scores[name] for name in SYSTEMS for scores in (EXACT, IDENTIFIED, DISTANCE)),
    ),
)
