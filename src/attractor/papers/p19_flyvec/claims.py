"""What the paper states, and what this library asks of itself where the text is a thousandth of the paper's."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

LENGTHS = (4, 8, 16, 32, 50, 64, 128)
"""Hash lengths."""
MIDDLE = 32
SETS = ("WS353", "SimLex", "RG-65", "MC-30")
PUBLISHED = {4: 43, 8: 52, 16: 55, 32: 57, 64: 60, 128: 52}
"""WS353 of static codes."""

RECALLED = "recalled, unverified; learned from OpenWebText, 6.5 billion words"
NOT_IN_PAPER = "not in the paper, which learns from more text: the bar of this library"
REPORTED = "not in the paper; reported beside"
POINTS = "Spearman x 100"

UPDATE = Claim(
    "a step is the sum of the rule over the batch, and moves the winners alone: largest difference, float64",
    "equal",
    "the paper's rule, computed window by window",
    most=1e-6,
)
DESCENT = Claim(
    "plain rule, small steps, all windows at once: largest rise of the energy in 50 steps, relative, winners fixed",
    "no rise",
    "the paper's energy; derived again, in float64",
    most=1e-12,
)
NORMS = Claim("at rest every cell that wins has unit norm: largest difference, 20 words", 0, "a fixed point of the rule", most=0.02)
STATIC = {
    k: Claim(f"static codes, {k} of 400 on: WS353", PUBLISHED.get(k, "not stated"), RECALLED, POINTS)
    for k in LENGTHS
    if k != MIDDLE
}
STATIC[MIDDLE] = Claim(
    f"static codes, {MIDDLE} of 400 on: WS353", PUBLISHED[MIDDLE], f"{RECALLED}; the bar is this library's", POINTS, least=42.0
)
OTHER_SETS = {
    "SimLex": Claim(
        f"static codes, {MIDDLE} on: SimLex-999",
        "22 to 23 at best",
        f"{RECALLED}; judges synonyms, which stand side by side in the text from WordNet here",
        POINTS,
    ),
    "RG-65": Claim(f"static codes, {MIDDLE} on: RG-65", 62, RECALLED, POINTS),
    "MC-30": Claim(f"static codes, {MIDDLE} on: MC-30", "not stated", RECALLED, POINTS),
}
PEAK = Claim(
    "similarity is best at a hash length of 4 to 13% of the cells, 16, 32 or 50: seeds where it is, WS353",
    "16 to 64",
    RECALLED,
    "rate",
    least=1.0,
)
FALL = Claim("and falls beyond: WS353 at 128 on, below the best", ">= 8", f"{RECALLED}; here at least 10", POINTS, least=10.0)
BINARY = Claim(
    f"static codes with {MIDDLE} on, above skip-gram made binary with {MIDDLE} on: WS353",
    "above at short codes",
    f"{RECALLED}; the bar is this library's",
    POINTS,
    least=-2.0,
)
BY_NEIGHBOURS = Claim(f"codes of words as neighbours, {MIDDLE} on: WS353", "not stated", REPORTED, POINTS)
DENSE = {
    name: Claim(f"word2vec, {name}, 100 numbers a word, cosine: WS353", "not stated", REPORTED, POINTS)
    for name in ("skip-gram", "CBOW")
}
SECONDS = Claim("training on one core", "minutes an epoch on 3 GPUs, of 6.5 billion words", RECALLED, "s of CPU", most=300.0)
DIVISION = Claim(
    f"division by word counts, above none in as many epochs, {MIDDLE} on: WS353", ">= 20", NOT_IN_PAPER, POINTS, least=20.0
)
LITTLE = {
    "both": Claim("little text: codes from both halves, 16 on: WS353", "not stated", REPORTED, POINTS),
    "target": Claim("little text: static codes, 16 on: WS353", "not stated", REPORTED, POINTS),
    "skip-gram": Claim("little text: skip-gram, cosine: WS353", "not stated", REPORTED, POINTS),
}
SENSES = Claim(
    "20 ambiguous words: codes share more cells in two sentences of one sense than of different senses (above half by chance)",
    "not stated",
    f"{NOT_IN_PAPER}; 15 of 20, where the 95% interval is above one half",
    "rate",
    least=0.75,
)
UNTRAINED = Claim("the same before any training", 0.5, "by symmetry; reported beside", "rate")
DIFFERENT = Claim(
    "of the ten nearest words fewer than half are the same, in two sentences of different senses",
    "not stated",
    "not in the paper; at least 0.7 hoped for, which untrained synapses reach too: no evidence alone",
    "rate",
)
DIFFERENT_SAME = Claim("the same in two sentences of one sense", "not stated", REPORTED, "rate")
SAME = Claim("codes in an empty context that are not the static code", 0, "by definition", "codes", most=0)
MEGABYTES = Claim("codes of 20,000 learned words, 400 cells, packed", "<= 1", NOT_IN_PAPER, "MB", most=1.0)
SEARCH = Claim("the model's ten nearest of 20,000 learned words, asked again", "< 5", NOT_IN_PAPER, "ms", most=5.0)

PAPER = Paper(
    "19",
    "Can a Fruit Fly Learn Word Embeddings?",
    (
        "Yuchen Liang",
        "Chaitanya K. Ryali",
        "Benjamin Hoover",
        "Leopold Grinberg",
        "Saket Navlakha",
        "Mohammed J. Zaki",
        "Dmitry Krotov",
    ),
    2021,
    "ICLR 2021",
    "https://arxiv.org/abs/2101.06887",
    (
        UPDATE,
        DESCENT,
        NORMS,
        MEGABYTES,
        SEARCH,
        *(STATIC[k] for k in LENGTHS),
        *OTHER_SETS.values(),
        PEAK,
        FALL,
        BINARY,
        BY_NEIGHBOURS,
        *DENSE.values(),
        SECONDS,
        DIVISION,
        *LITTLE.values(),
        SENSES,
        UNTRAINED,
        DIFFERENT,
        DIFFERENT_SAME,
        SAME,
    ),
)
