"""Ambiguous words in sentences: do two sentences of one sense give codes more alike than two of different senses?

Words that stand in more than one sentence of a word are left out of them, so that codes are alike only by what was learned: for
synapses as they were at the start, the answer is yes for about half of the words.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from attractor.data import DataUnavailableError
from attractor.estimators.flyvec import Codes, FlyVec, tokenise
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.p19_flyvec.ambiguous import AMBIGUOUS, Sentences
from attractor.papers.p19_flyvec.claims import DIFFERENT, DIFFERENT_SAME, SAME, SENSES, UNTRAINED
from attractor.papers.p19_flyvec.similarity import text
from attractor.papers.p19_flyvec.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

NEAREST, HASH_LENGTH = 10, 32
WITHIN = ((0, 1), (2, 3))
ACROSS = tuple(product((0, 1), (2, 3)))


class Told(NamedTuple):
    """What the sentences of a word tell.

    Attributes:
        within: cells on in both codes, mean of the two pairs of sentences of one sense.
        across: the same of the four pairs of different senses.
        different: how many of the four pairs across have fewer than half of their nearest words in common.
        different_same: the same of the two pairs within.
        near: the nearest words in the first sentence of each sense.
    """

    within: float
    across: float
    different: int
    different_same: int
    near: str

    @property
    def apart(self) -> bool:
        """Whether senses are told apart."""
        return self.within > self.across


def measure_senses(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for codes in context."""
    try:
        sentences = text(size.corpora, size.every)
    except DataUnavailableError as error:
        claims = (SENSES, UNTRAINED, DIFFERENT, DIFFERENT_SAME, SAME)
        return Measured(unmeasured(claims, " + ".join(size.corpora), error))
    start = time.perf_counter()
    model = FlyVec(max_words=size.words, min_count=1, epochs=size.epochs, random_state=seed)
    model.fit(sentences, progress=tell)
    words = [word for word in AMBIGUOUS if word in set(model.words_)]
    learned, chance = told(model, words), told(untrained(model), words)
    static, empty = model.codes(words, HASH_LENGTH), model.codes_in_context(words, [[]] * len(words), HASH_LENGTH)
    unequal = int((static.bits != empty.bits).any(1).sum())
    data, seconds = f"{' + '.join(size.corpora)}, {len(sentences):,} sentences", time.perf_counter() - start

    def row(claim: Claim, yes: int, of: int, note: str = "") -> Row:
        return Row(claim, yes / of if of else None, wilson(yes, of) if of else None, of, seconds, data, note=note)

    within, across = (np.mean(some) for some in zip(*((one.within, one.across) for one in learned), strict=True))
    means = f"cells in common: {within:.1f} within, {across:.1f} across"
    return Measured(
        [
            row(SENSES, sum(one.apart for one in learned), len(words), means),
            row(UNTRAINED, sum(one.apart for one in chance), len(words)),
            row(
                DIFFERENT,
                sum(one.different for one in learned),
                len(ACROSS) * len(words),
                f"before training {sum(one.different for one in chance)}; " + "; ".join(one.near for one in learned),
            ),
            row(DIFFERENT_SAME, sum(one.different_same for one in learned), len(WITHIN) * len(words)),
            Row(SAME, unequal, None, len(words), seconds, data),
        ]
    )


def untrained(model: FlyVec) -> FlyVec:
    """The same words with synapses as at the start of training."""
    fresh = FlyVec(**model.get_params())
    fresh.words_, fresh.counts_ = model.words_, model.counts_
    fresh._start()
    return fresh


def told(model: FlyVec, words: Sequence[str]) -> list[Told]:
    """What the sentences of each word tell."""
    index = model.codes(None, HASH_LENGTH)
    return [of_word(model, index, word, AMBIGUOUS[word]) for word in words]


def of_word(model: FlyVec, index: Codes, word: str, sentences: Sentences) -> Told:
    codes = model.codes_in_context([word] * 4, own_words(sentences), HASH_LENGTH)
    on = codes.unpack()
    near = [[str(other) for other, _ in one] for one in index.nearest(codes, NEAREST)]

    def alike(pairs: Sequence[tuple[int, int]]) -> float:
        return float(np.mean([(on[one] & on[other]).sum() for one, other in pairs]))

    def different(pairs: Sequence[tuple[int, int]]) -> int:
        return sum(len({*near[one]} & {*near[other]}) < NEAREST / 2 for one, other in pairs)

    named = f"{word}: {', '.join(near[0][:3])} | {', '.join(near[2][:3])}"
    return Told(alike(WITHIN), alike(ACROSS), different(ACROSS), different(WITHIN), named)


def own_words(sentences: Sentences) -> list[list[str]]:
    """Of each sentence the words that stand in no other one."""
    tokens = [tokenise(one) for one in sentences]
    return [[word for word in one if sum(word in other for other in tokens) == 1] for one in tokens]
