"""What the paper states, and what this library asks of itself where the paper has no figure."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

POWERS = (2, 3, 4)
ERRORS = 0.005
OVERLAP = 0.9
KEPT = 0.9
DIMS = (500, 1000)
STORED = (200, 1000, 5000)
MIDDLE = 1000

FROM_MEMORY = "stated for binary memories (model A); quoted from memory"
NOT_IN_PAPER = "not in the paper, which has no such table: the bar of this library"

EXPONENT = {
    n: Claim(
        f"F = x^{n} keeps of the order of N^{n - 1} random patterns: exponent, {ERRORS:.1%} wrong bits",
        n - 1,
        FROM_MEMORY,
        least=n - 1.2,
        most=n - 0.8,
    )
    for n in POWERS
}
GROWTH = Claim(
    "F = exp(x) keeps of the order of 2^(N/2): doublings for each neuron",
    "at least 0.5",
    "Demircigil et al. 2017, which the paper builds on; quoted from memory",
    least=0.5,
)
ABOVE_POWERS = Claim(
    "F = exp(x) keeps more than any of the powers at the same N: ratio to the best", "> 1", FROM_MEMORY, "times", least=1.0
)
KNEE = {
    d: Claim(
        f"the classic network keeps about 0.14 N patterns: load where the mean overlap crosses {OVERLAP}, N = {d}",
        0.14,
        "the paper's introduction",
        "patterns a neuron",
        least=0.12,
        most=0.16,
    )
    for d in DIMS
}
ERROR_FREE = {
    d: Claim(
        f"the classic network keeps N / (2 ln N) without a wrong bit ({KEPT:.0%} of the patterns): measured over theory, N = {d}",
        1.0,
        "McEliece et al. 1987, a limit of large N, not in the paper; quoted from memory",
        "times",
        least=0.8,
        most=1.2,
    )
    for d in DIMS
}
DESCENT = Claim(
    "the energy never rises along a recall: worst rise, relative",
    "no rise",
    "the paper's Lyapunov function; derived again, in float64",
    most=1e-10,
)
ATTENTION = Claim(
    "a unit step of the soft-max memory (model B) is one attention read: largest difference, float32",
    "equal",
    "the paper's reduction to attention; derived again",
    most=1e-6,
)
MASKED = Claim(f"MNIST, {MIDDLE} stored, lower half unknown, mask given: exact", ">= 0.99", NOT_IN_PAPER, "rate", least=0.99)
HALVES = {
    n: Claim(f"MNIST, {n} stored, lower half zeroed, no mask, cosine: identified", f">= {bar:.2f}", NOT_IN_PAPER, "rate", least=bar)
    for n, bar in zip(STORED, (0.95, 0.95, 0.80), strict=True)
}
LEAD = Claim(
    f"MNIST, {MIDDLE} stored, lower half zeroed, no mask, cosine: identified, above the nearest neighbour",
    ">= 0.5",
    NOT_IN_PAPER,
    "rate",
    least=0.5,
)
NOISY = {
    n: Claim(f"MNIST, {n} stored, noise of deviation 0.5, cosine: identified", ">= 0.95", NOT_IN_PAPER, "rate", least=0.95)
    for n in STORED
}
FLIPPED = {
    similarity: Claim(f"MNIST, {MIDDLE} stored, 20% flips, {similarity}: exact", "1.00", NOT_IN_PAPER, "rate", least=1.0)
    for similarity in ("Euclidean", "Manhattan")
}

PAPER = Paper(
    "20",
    "Large Associative Memory Problem in Neurobiology and Machine Learning",
    ("Dmitry Krotov", "John Hopfield"),
    2021,
    "ICLR 2021",
    "https://arxiv.org/abs/2008.06996",
    (
        *EXPONENT.values(),
        GROWTH,
        ABOVE_POWERS,
        *KNEE.values(),
        *ERROR_FREE.values(),
        DESCENT,
        ATTENTION,
        MASKED,
        *HALVES.values(),
        LEAD,
        *NOISY.values(),
        *FLIPPED.values(),
    ),
)
