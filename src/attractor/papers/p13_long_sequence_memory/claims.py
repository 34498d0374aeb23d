"""What the paper states, and what this library asks of itself where the paper has no figure."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

DEGREES = (1, 2, 3)
LEAST_NEURONS = 22
EXPONENTIAL_NEURONS = (8, 14)
WRONG = 0.1
WHOLE = 0.5

FIGURE_1 = "Fig. 1: N = 300, P = 100, read in the paper"
FIGURE_4A = "Fig. 4A: N = 100, P = 40, delay 5, lambda 2.5, read in the paper as a picture; the bounds are this library's"
THEORY = "section 3 and Fig. 2, read in the paper; for this criterion, the bounds are this library's"
OWN = "not in the paper as a figure: the bar of this library"

LINEAR = Claim("f(x) = x loses the sequence: mean overlap with the right pattern", "lost", FIGURE_1, most=0.3)
SQUARE = Claim("f(x) = x^2 recalls all of it: draws without a wrong bit", "recalled", FIGURE_1, "rate", least=0.8)
EXPONENT = {
    degree: Claim(
        f"f(x) = x^{degree}: P_T of the order of N^{degree} / ln N: slope of ln(P_T ln N), {WRONG:.0%} of the transitions wrong",
        degree,
        THEORY,
        least=least,
        most=most,
    )
    for degree, least, most in ((1, 0.75, 1.05), (2, 1.85, 2.15), (3, 2.85, 3.25))
}
RATIO = {
    degree: Claim(
        f"f(x) = x^{degree}: P_T over N^{degree} / (2 (2d - 1)!! ln N), furthest from 1, N >= {LEAST_NEURONS}",
        1.0,
        THEORY,
        "times",
        least=0.75,
        most=1.25,
    )
    for degree in (2, 3)
}
GROWTH = Claim(
    "exponential: P_T grows exponentially: factor for each neuron, N = 8 to 14", "1.964 for large N", THEORY, least=1.7, most=1.95
)
WHOLE_GROWTH = Claim(
    f"exponential: P_S grows exponentially: factor for each neuron, N = 8 to 14, {WHOLE:.0%} of the sequences right",
    "1.964 for large N",
    THEORY,
    least=1.2,
    most=1.45,
)
BELOW_THEORY = Claim(
    "exponential: P_S lies below the Gaussian theory at these sizes: measured over theory, N = 14",
    "< 1",
    "Fig. 2, read in the paper",
    "times",
    most=1.0,
)
STUCK = Claim("held patterns, f(x) = x: patterns visited in 199 steps, the most", "fails", FIGURE_4A, most=4.0)
ORDER = {
    degree: Claim(f"held patterns, f(x) = x^{degree}: steps on to the next pattern that are right", "all", FIGURE_4A, least=1.0)
    for degree in (2, 10)
}
DWELL = {
    2: Claim("held patterns, f(x) = x^2: steps at each pattern, too few", "wrong timing", FIGURE_4A, "steps", least=3.5, most=4.5),
    10: Claim("held patterns, f(x) = x^10: steps at each pattern, as told", 5.0, FIGURE_4A, "steps", least=4.8, most=5.1),
}
PLAIN = Claim("80 patterns of 100 units, bias 0.8, f(x) = x: draws recalled whole by the plain rule", "0", OWN, "rate", most=0.0)
INVERSE = Claim("the same by the generalised pseudo-inverse rule", "1", OWN, "rate", least=0.9)
LOW = Claim("3000 MNIST images in a ring, x^1, x^5, x^10: exact transitions, the most", "0", OWN, "rate", most=0.0)
MIDDLE = Claim("the same, x^25", 0.54, OWN, "rate", least=0.49, most=0.59)
HIGH = {degree: Claim(f"the same, x^{degree}", ">= 0.9", OWN, "rate", least=0.9) for degree in (50, 100)}
ALL = Claim(
    "the same, exponential",
    "all",
    "Fig. 3A, of 200,000 moving digits, read in the paper; on fewer images here",
    "rate",
    least=1.0,
)

PAPER = Paper(
    "13",
    "Long Sequence Hopfield Memory",
    ("Hamza Tahir Chaudhry", "Jacob A. Zavatone-Veth", "Dmitry Krotov", "Cengiz Pehlevan"),
    2023,
    "NeurIPS 2023",
    "https://arxiv.org/abs/2306.04532",
    (
        LINEAR,
        SQUARE,
        *EXPONENT.values(),
        *RATIO.values(),
        GROWTH,
        WHOLE_GROWTH,
        BELOW_THEORY,
        STUCK,
        *ORDER.values(),
        *DWELL.values(),
        PLAIN,
        INVERSE,
        LOW,
        MIDDLE,
        *HIGH.values(),
        ALL,
    ),
)
