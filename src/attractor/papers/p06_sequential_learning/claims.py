"""What the paper states, and what this library asks of itself where no figure of the paper is known here."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper
from attractor.papers.p06_sequential_learning.settings import FRACTIONS, KEPT, MIDDLE
from attractor.papers.p06_sequential_learning.single_task import CLAIMS as SINGLE_TASK

ABSTRACT = "the paper's abstract; in words, its figures are not known here"
SUMMARY = "a summary of the paper; in words, its figures are not known here"
ABOVE_ZERO = 1e-3
"""Least difference that counts as one."""

OWN_BAR = "no figure of the paper is known here: the bar of this library"

DIGITS = f"five permuted digits, n = {MIDDLE}"
NONE = Claim(f"{DIGITS}, no method: average accuracy", "<= 0.45", OWN_BAR, "rate", most=0.45)
REHEARSAL = Claim(f"{DIGITS}, rehearsal with {KEPT:.0%} kept: average accuracy", ">= 0.82", OWN_BAR, "rate", least=0.82)
ABOVE_NONE = {
    method: Claim(f"the same, {method}: above no method", f">= {bar}", OWN_BAR, "rate", least=bar)
    for method, bar in (("GEM", 0.12), ("A-GEM", 0.12), ("EWC", 0.2), ("SI", 0.2), ("MAS", 0.2))
}
REPORTED = {
    method: Claim(f"the same, {method}: above no method", "no figure known", SUMMARY, "rate")
    for method in ("L2", "pseudorehearsal")
}
GEM_ABOVE = Claim("the same, GEM: above A-GEM", ">= -0.03", OWN_BAR, "rate", least=-0.03)
JOINT_ABOVE = Claim("the same, all tasks at once: above rehearsal", ">= 0", OWN_BAR, "rate", least=0.0)
REDUCED = Claim(
    "the same, the eight methods reduce forgetting: average accuracy above no method, the least of them",
    "reduced",
    ABSTRACT,
    "rate",
    least=ABOVE_ZERO,
)
RISING = Claim(
    f"the same, rehearsal gains by what is kept, {' < '.join(f'{one:.0%}' for one in FRACTIONS)}: least gain of a step",
    "> 0",
    OWN_BAR,
    "rate",
    least=ABOVE_ZERO,
)
STRONG = Claim(
    "five permuted digits, rehearsal is strong at each vertex: least lead over the best other method",
    "strong throughout",
    SUMMARY,
    "rate",
    least=ABOVE_ZERO,
)
DIP = Claim(
    "five permuted digits, GEM and A-GEM are unstable at intermediate vertices: accuracy at n = 10 below the lower of 5 and 20",
    "unstable",
    SUMMARY,
    "rate",
)
MNIST_VERTICES = (5, 20)
MNIST = {
    n: Claim(
        f"five permuted MNIST-5k, n = {n}, rehearsal, {KEPT:.0%} kept: above no method", "> 0", ABSTRACT, "rate", least=ABOVE_ZERO
    )
    for n in MNIST_VERTICES
}
PATTERNS, UNITS = (20, 1, 1, 1), 64
CLASSIC = {
    method: Claim(
        f"classic network, thermal delta rule, N = {UNITS}, {' + '.join(map(str, PATTERNS))} random patterns, "
        f"{method}: share of the first task that is stable at the end",
        published,
        OWN_BAR,
        "rate",
        least,
        most,
    )
    for method, published, least, most in (
        ("no rehearsal", "forgets", None, 0.7),
        ("rehearsal", "keeps", 0.95, None),
        ("pseudorehearsal, found once", "no figure known", None, None),
        ("pseudorehearsal, found before each task", "no figure known", None, None),
    )
}

PAPER = Paper(
    "06",
    "Sequential Learning in the Dense Associative Memory",
    ("Hayden McAlister", "Anthony Robins", "Lech Szymanski"),
    2025,
    "Neural Computation 37(10)",
    "https://arxiv.org/abs/2409.15729",
    (
        NONE,
        REHEARSAL,
        *ABOVE_NONE.values(),
        *REPORTED.values(),
        GEM_ABOVE,
        JOINT_ABOVE,
        REDUCED,
        RISING,
        STRONG,
        DIP,
        *MNIST.values(),
        *CLASSIC.values(),
        *SINGLE_TASK,
    ),
)
