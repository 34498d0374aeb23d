"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        corpora: texts that are learned from.
        little: texts of the smaller corpus.
        words: in the vocabulary of each.
        little_words: in that of the smaller.
        epochs: of training, of this and of word2vec.
        short_epochs: of the runs with and without division by counts.
        every: sentence is taken, such as 1 for all and 10 for a tenth.
        seeds: of weights and order.
        updates: independent cases of the rule.
    """

    corpora: tuple[str, ...] = ("wikipedia", "lee", "wordnet")
    little: tuple[str, ...] = ("wikipedia", "lee")
    words: int = 10_000
    little_words: int = 6_000
    epochs: int = 15
    short_epochs: int = 2
    every: int = 1
    seeds: int = 2
    updates: int = 10


SIZES: dict[Scale, Size] = {
    "smoke": Size(words=1500, little_words=1500, epochs=2, short_epochs=1, every=25, seeds=1, updates=2),
    "laptop": Size(),
    "full": Size(seeds=5, updates=100),
}
