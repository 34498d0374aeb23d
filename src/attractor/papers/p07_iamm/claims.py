"""What the paper states, and what this library asks of itself where the paper's data are in no package.

The paper's table is on EmpatheticDialogues. It is measured at the full scale where these files are in the data folder; everywhere
else its rows stay empty, and real dialogue with weak labels stands in.
"""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

OWN_BAR = "not in the paper, which has no such task: the bar of this library"
REPORTED = "not in the paper; reported beside"
RECALLED = "recalled roughly, unverified; with common sense of COMET and embeddings of GloVe"
LARGE = 25.0
"""How many times as large as the paper's the embeddings of words begin where the two choices are compared once more. With the
paper's start the memory learns the task by either choice, and the soft one has nothing to gain; at this size both learn slowly, and
at twice this size hardly at all."""

PLAIN = Claim("planted association, a plain encoder: accuracy within 800 steps", "not stated", OWN_BAR, "rate", least=0.95)
FULL = Claim("planted association, all heads: accuracy within 800 steps", "not stated", OWN_BAR, "rate", least=0.95)
MEMORY = Claim(
    "planted association, the memory's head alone: accuracy within 1,500 steps", "not stated", OWN_BAR, "rate", least=0.9
)
CHOICE = Claim(
    "one row of three partners a side, memory's head alone: accuracy of the soft choice of words above the paper's",
    "not stated",
    OWN_BAR,
    "rate",
    least=0.15,
)
HARD = Claim("one row of three partners a side: accuracy of the paper's choice", "not stated", REPORTED, "rate")
PARTNER = Claim("and how often it has a planted word among the partners", "not stated", REPORTED, "rate")
RANDOM_PARTNER = Claim("and a random choice", "not stated", REPORTED, "rate")
PAIR = Claim("how often it has the two planted words as a pair", "not stated", REPORTED, "rate")
RANDOM_PAIR = Claim("and a random choice has them as a pair", "not stated", REPORTED, "rate")
FIVE_PAIR = Claim(
    "five rows of five partners a side: how often they have the two planted words as a pair", "not stated", REPORTED, "rate"
)
FIVE_RANDOM_PAIR = Claim("and five random rows", "not stated", REPORTED, "rate")
LARGE_CHOICE = Claim(
    f"one row of three partners a side, embeddings begin {LARGE:g} times as large: accuracy of the soft choice above the paper's",
    "not stated",
    REPORTED,
    "rate",
)
LARGE_HARD = Claim("and accuracy of the paper's choice then", "not stated", REPORTED, "rate")
PLANTED = (
    PLAIN,
    FULL,
    MEMORY,
    CHOICE,
    HARD,
    PARTNER,
    RANDOM_PARTNER,
    PAIR,
    RANDOM_PAIR,
    FIVE_PAIR,
    FIVE_RANDOM_PAIR,
    LARGE_CHOICE,
    LARGE_HARD,
)

MEASURES = {"accuracy": "%", "perplexity": "", "paper_perplexity": "", "dist_1": "%", "dist_2": "%"}
"""Names of results and their units."""
NAMES = {
    "accuracy": "accuracy of the emotion",
    "perplexity": "perplexity over words",
    "paper_perplexity": "perplexity as the paper takes it, from means of dialogues",
    "dist_1": "Dist-1",
    "dist_2": "Dist-2",
}
KINDS = {"iamm": "IAMM", "plain": "an encoder and decoder of its size, without memory"}
MAJORITY = Claim("weak labels: accuracy of the most frequent emotion", "not stated", REPORTED, "%")
LINEAR = {
    True: Claim("weak labels: accuracy of logistic regression on TF-IDF", "not stated", REPORTED, "%"),
    False: Claim("weak labels, no situation given: accuracy of logistic regression on TF-IDF", "not stated", REPORTED, "%"),
}
LEARNED = {
    (kind, True, measure): Claim(f"weak labels: {name}, {NAMES[measure]}", "not stated", REPORTED, unit)
    for kind, name in KINDS.items()
    for measure, unit in MEASURES.items()
} | {
    (kind, False, measure): Claim(
        f"weak labels, no situation given: {name}, {NAMES[measure]}", "not stated", REPORTED, MEASURES[measure]
    )
    for kind, name in KINDS.items()
    for measure in ("accuracy", "perplexity")
}
GAIN = Claim("weak labels: accuracy of IAMM above that of the most frequent emotion", "not stated", OWN_BAR, "points", least=5.0)
RATIO = Claim("weak labels: perplexity over words of IAMM, divided by that without memory", "not stated", OWN_BAR, most=1.0)
DIALOGUE = (MAJORITY, *LINEAR.values(), *LEARNED.values(), GAIN, RATIO)

SURPRISE = Claim("SmolLM2-135M, no hint: surprise at the true next turn", "not stated", REPORTED, "nats a token")
HELP = Claim(
    "SmolLM2-135M: how much less surprise with associated words as a hint",
    "large language models understand and express better",
    f"the paper's abstract, without figures; {REPORTED}",
    "nats a token",
)
RANDOM_HELP = Claim("and with as many random pairs of words of the dialogue", "not stated", REPORTED, "nats a token")
ABOVE_RANDOM = Claim("associated words below random ones: surprise", "not stated", REPORTED, "nats a token")
HINTED = (SURPRISE, HELP, RANDOM_HELP, ABOVE_RANDOM)

PUBLISHED = {
    "accuracy": Claim("EmpatheticDialogues: IAMM, accuracy of 32 emotions", "55 to 57; CEM 39.1", RECALLED, "%"),
    "paper_perplexity": Claim(
        "EmpatheticDialogues: IAMM, perplexity as the paper takes it", "about 35 to 36; Transformer about 37.6, CEM 36.1", RECALLED
    ),
    "dist_1": Claim("EmpatheticDialogues: IAMM, Dist-1", "about 1.3 to 1.4; CEM 0.66", RECALLED, "%"),
    "dist_2": Claim("EmpatheticDialogues: IAMM, Dist-2", "above 5; CEM 2.99", RECALLED, "%"),
}
UNREAD = Claim("EmpatheticDialogues, no situation given: IAMM, accuracy of 32 emotions", "not stated", REPORTED, "%")

PAPER = Paper(
    "07",
    "An Iterative Associative Memory Model for Empathetic Response Generation",
    ("Zhou Yang", "Zhaochun Ren", "Yufeng Wang", "Haizhou Sun", "Chao Chen", "Xiaofei Zhu", "Xiangwen Liao"),
    2024,
    "ACL 2024",
    "https://arxiv.org/abs/2402.17959",
    (*PLANTED, *DIALOGUE, *HINTED, *PUBLISHED.values(), UNREAD),
)
