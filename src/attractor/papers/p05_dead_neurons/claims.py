"""What follows from the paper's subject, as far as it can be counted or measured."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

NO_FIGURE = "the paper's abstract; it gives no figure, the bar is that of this library"
DERIVED = "derived again from the paper's abstract; in float64"

SPURIOUS = Claim(
    "stationary sets of the energy of a relu network, N = 12, that hold no steady state: share, mean over networks",
    "most",
    NO_FIGURE,
    "rate",
    least=0.9,
)
MISLED = Claim(
    "gradient descent of the energy in the states ends at activations that no steady state has: share of starts",
    "most",
    NO_FIGURE,
    "rate",
    least=0.9,
)
REACHED = Claim("the network's own motion ends at a steady state from the same starts: share", "all", NO_FIGURE, "rate", least=1.0)
FLAT = Claim(
    "from x* + z with the same activations, |x(5) - x*| / |z| is e^-5: largest relative error", "equal", DERIVED, most=1e-8
)
LEVEL = Claim("the energy is the same all along such a motion: largest relative change", "no change", DERIVED, most=1e-9)
REDUCED = Claim(
    "eigenvalues of the Jacobian at steady states are those of S^T W S - I and -1: largest difference", "equal", DERIVED, most=1e-8
)
VERDICT = Claim("the reduced and the full problem agree on stability: share of steady states", "all", DERIVED, "rate", least=1.0)
RATE = Claim(
    "E_gamma with gamma = 1 / (|W|^2 h_max) falls at least at 3/4 gamma |f|^2: slowest rate, in units of gamma |f|^2",
    "at most -0.75",
    "not in the paper: a strict Lyapunov function of this library; derived, in float64",
    most=-0.75,
)
LIMIT = Claim(
    "E_gamma can rise from c = 4 on: fastest rise found at c = 4.1, in units of gamma |f|^2",
    "above 0",
    "not in the paper: the bound of this library is sharp; derived, in float64",
    least=0.0,
)
EQUAL = Claim("V_conj(g(x)) = E(x) at every state: largest relative difference", "equal", DERIVED, most=1e-8)
CONJUGATE = Claim("V_conj never rises along the altered system, W indefinite: largest relative rise", "no rise", DERIVED, most=1e-9)
ASYMMETRIC = Claim(
    "feedback differs from the transposed feedforward weights: |B - A^T| / |A|, Frobenius norms, at the least",
    "different weights",
    "the paper's abstract",
    least=0.3,
)
FEEDBACK = Claim(
    "E_R never rises where feedback differs from the transposed feedforward weights: largest relative rise",
    "no rise",
    DERIVED,
    most=1e-9,
)
RESTS = Claim("such a system comes to rest: share of starts", "all", DERIVED, "rate", least=1.0)
SEVERAL = Claim("such a system has several states of rest: different ones reached, at the least", "several", DERIVED, least=2)
DEAD = Claim(
    "hidden neurons of a relu network trained on digits that are dead at rest: share, mean over test images",
    "not given",
    NO_FIGURE,
    "rate",
)
TRAINED = Claim(
    "gradient descent of its energy in the states, from random starts, ends at a spurious stationary point: share of test images",
    "not given",
    NO_FIGURE,
    "rate",
)

PAPER = Paper(
    "05",
    "Associative memory and dead neurons",
    ("Vladimir Fanaskov", "Ivan Oseledets"),
    2025,
    "ICLR 2025",
    "https://arxiv.org/abs/2410.13866",
    (
        SPURIOUS,
        MISLED,
        REACHED,
        FLAT,
        LEVEL,
        REDUCED,
        VERDICT,
        RATE,
        LIMIT,
        EQUAL,
        CONJUGATE,
        ASYMMETRIC,
        FEEDBACK,
        RESTS,
        SEVERAL,
        DEAD,
        TRAINED,
    ),
)
