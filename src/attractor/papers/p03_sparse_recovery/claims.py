"""What is claimed of the memory, and which measured values agree."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

MODELS = {"gaussian": "normal entries", "signs": "entries -1 and 1", "dct": "rows of the cosine transform"}
EASY, HARD = 0.6, 1.35

THEORY = "statistical dimension, Amelunxen et al. 2014; derived again"
NOT_IN_PAPER = "not in the paper: the bar of this library"
LEARNED = "derived: as many samples as dimensions"
FOLLOW_UP = "the authors' work of 2017 states the form, without this figure: the bar of this library"

MIDDLE = {
    name: Claim(f"{what}: errors corrected half of the time, over theory", 1.0, THEORY, "times", least=0.92, most=1.08)
    for name, what in MODELS.items()
}
BELOW = {
    name: Claim(f"{what}: recalled with {EASY:g} of that number of errors", 1.0, THEORY, "rate", least=0.99)
    for name, what in MODELS.items()
}
ABOVE = {
    name: Claim(f"{what}: recalled with {HARD:g} of that number of errors", 0.0, THEORY, "rate", most=0.1)
    for name, what in MODELS.items()
}
ADVERSARY = Claim(
    "errors that an adversary places: number corrected half of the time, over that in random places",
    "below 1",
    "the paper's guarantee is for the worst errors; without a figure",
    "times",
    most=0.999,
)
EXACT = Claim("0.12 n errors, half as many constraints as coordinates: recalled", 1.0, THEORY, "rate", least=0.98)
PROJECTED = Claim("the same, least-squares projection on the subspace: recalled", 0.0, NOT_IN_PAPER, "rate", most=0.0)
NEIGHBOUR = Claim("the same, nearest of 10,000 other patterns: recalled", 0.0, NOT_IN_PAPER, "rate", most=0.0)
UNSEEN = Claim(
    "0.9 of the number of errors corrected half of the time: 1,000 stored patterns recalled more often than 1,000 never stored",
    0.0,
    "the paper stores constraints",
    "rate",
    least=-0.03,
    most=0.03,
)
ENOUGH = Claim(
    "1.1 times as many patterns stored as dimensions, 0.12 n errors: patterns never stored recalled",
    1.0,
    "derived: as many samples as dimensions",
    "rate",
    least=0.98,
)
LEAK = Claim("learned from as many samples as dimensions: leak of the constraints", 0.0, LEARNED, most=1e-10)
ONLINE = Claim(
    "learned from a stream, 60 samples a dimension: sine of the largest angle, largest of several spaces",
    "not stated",
    NOT_IN_PAPER,
    most=0.1,
)
ROWS = Claim("sparse constraints, 75 on 600 coordinates, 4 a coordinate: found again", 75, FOLLOW_UP, "rows", least=73)
EXPANDER = Claim("the same learned constraints, expander decoding, 10 errors: recalled", 1.0, FOLLOW_UP, "rate", least=0.95)
DIGITS = Claim(
    "digits, 300 stored, 10 of 64 pixels to the other end of the range: nearest stored image of the recalled one right, above that "
    "of the cue",
    0.22,
    "not in the paper: measured before with a prototype, whose cues were right in .46",
    "rate",
    least=0.15,
)
SHIFTED = Claim(
    "the same, 10 pixels up or down by the range at random, so that half of them leave it",
    "not stated",
    "not in the paper: the other reading of a move by the range",
    "rate",
)

PAPER = Paper(
    "03",
    "Associative Memory via a Sparse Recovery Model",
    ("Arya Mazumdar", "Ankit Singh Rawat"),
    2015,
    "NIPS 2015",
    "https://papers.nips.cc/paper/5915-associative-memory-via-a-sparse-recovery-model",
    (
        *(claim for name in MODELS for claim in (MIDDLE[name], BELOW[name], ABOVE[name])),
        ADVERSARY,
        EXACT,
        PROJECTED,
        NEIGHBOUR,
        UNSEEN,
        ENOUGH,
        LEAK,
        ONLINE,
        ROWS,
        EXPANDER,
        DIGITS,
        SHIFTED,
    ),
)
