"""What the paper states, what demonstrations of it report, and what this library asks of itself where there is no figure."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

MILD, SHARP = 1.0, 4.0
NUDGES = (0.1, 0.01, 0.001)

NOT_IN_PAPER = "not in the paper, which has no experiments: the bar of this library"
DESCENT_LAW = "the paper's Lyapunov function; derived again, in float64"
DEMO = "demonstrations of the HAMUX code (PyTorch after 20 epochs, JAX after 10), on all of MNIST"

ACCURACY = Claim(
    "digits classified from the clamped image, mean over starts of training: accuracy", ">= 0.97", NOT_IN_PAPER, "rate", least=0.97
)
ABOVE_LOGISTIC = Claim("the same: more images right than by logistic regression", "at least one", NOT_IN_PAPER, "images", least=1.0)
SETTLED = Claim("the same after 400 steps of 0.1, trained with 8 of 0.5: accuracy", ">= 0.97", NOT_IN_PAPER, "rate", least=0.97)
SETTLED_RISE = Claim("along these 400 steps the energy never rises: worst rise", "no rise", DESCENT_LAW, most=1e-9)
SPLITS = Claim("digits classified, mean over random splits: accuracy", ">= 0.97", NOT_IN_PAPER, "rate", least=0.97)
COMPLETION = Claim(
    "digits, lower half completed by the same layers: squared error", "<= 0.045", NOT_IN_PAPER, "a pixel", most=0.045
)
TRAINING_TIME = Claim("training for both, on the first split", "under 60", NOT_IN_PAPER, "seconds", most=60.0)
DENOISING = Claim(
    "MNIST-5k on the unit sphere, noise of deviation 0.3: squared error", 0.803, DEMO, "thousandths a pixel", most=0.8
)
BELOW_MEAN = Claim("the same, below the error of the mean image: fraction", ">= 0.1", NOT_IN_PAPER, "of it", least=0.1)
GAIN = Claim(
    "the same, below the error of the memories as they were before training: fraction", "above 0", NOT_IN_PAPER, "of it", least=1e-3
)
MNIST = Claim("all of MNIST, the same: squared error after 10 epochs", 0.728, DEMO, "thousandths a pixel", most=0.728)
SWEEPS = Claim(
    "convolutional network, block solver: sweeps over Euler steps of 0.5 to rest, the worst network",
    "<= 0.5",
    NOT_IN_PAPER,
    most=0.5,
)
SHARP_SWEEPS = Claim(
    f"the same with soft-max at beta = {SHARP:g}, which has several basins: geometric mean", "<= 0.5", NOT_IN_PAPER, most=0.5
)
IMPLICIT = Claim(
    "gradients at rest, implicit against 300 unrolled steps: largest relative difference", "equal", NOT_IN_PAPER, most=1e-8
)
COSINE = Claim(
    f"gradients by equilibrium propagation, nudge {NUDGES[1]:g}: largest 1 - cosine to the unrolled ones",
    "0 for small nudges",
    "Scellier and Bengio 2017; quoted from memory",
    most=1e-5,
)
ORDER = Claim(
    "their error falls as the square of the nudge: exponent",
    2,
    "Laborieux et al. 2021 (the symmetric form); quoted from memory",
    least=1.9,
    most=2.1,
)
BLOCK_DESCENT = Claim(
    "random hypergraphs, block solver without a step size: worst rise of the energy",
    "no rise",
    "the concave-convex procedure; derived again, in float64",
    most=1e-9,
)
EULER_DESCENT = Claim(
    "random hypergraphs, Euler steps of 0.1: worst rise of the energy", "no rise for small steps", DESCENT_LAW, most=1e-9
)
LARGE_STEPS = Claim(
    "the same with steps of 0.5, too large for some of the networks: worst rise of the energy",
    "no rise for small steps",
    DESCENT_LAW,
)
BACKTRACKING = Claim(
    "the same with steps of 0.5, halved where they would raise the energy: worst rise", "no rise", DESCENT_LAW, most=1e-9
)
RUNGE_KUTTA_DESCENT = Claim(
    "random hypergraphs, Runge-Kutta steps of 0.5: worst rise of the energy", "no rise for small steps", DESCENT_LAW, most=1e-9
)
ADAPTIVE_DESCENT = Claim(
    "random hypergraphs, adaptive Runge-Kutta steps: worst rise of the energy", "no rise", DESCENT_LAW, most=1e-9
)
FALL = Claim(
    "all of these: fall of the energy from start to end, the least of all states and solvers", "it falls", DESCENT_LAW, least=1e-3
)

PAPER = Paper(
    "18",
    "Hierarchical Associative Memory",
    ("Dmitry Krotov",),
    2021,
    "arXiv 2107.06446",
    "https://arxiv.org/abs/2107.06446",
    (
        ACCURACY,
        ABOVE_LOGISTIC,
        SETTLED,
        SETTLED_RISE,
        SPLITS,
        COMPLETION,
        TRAINING_TIME,
        DENOISING,
        BELOW_MEAN,
        GAIN,
        MNIST,
        SWEEPS,
        SHARP_SWEEPS,
        IMPLICIT,
        COSINE,
        ORDER,
        BLOCK_DESCENT,
        EULER_DESCENT,
        LARGE_STEPS,
        BACKTRACKING,
        RUNGE_KUTTA_DESCENT,
        ADAPTIVE_DESCENT,
        FALL,
    ),
)
