"""Ambiguous words in two contexts each."""

from __future__ import annotations

import time

from attractor.data import DataUnavailableError
from attractor.estimators.flyvec import FlyVec
from attractor.papers.claim import Row
from attractor.papers.p19_flyvec.claims import SAME, SENSES
from attractor.papers.p19_flyvec.similarity import text
from attractor.papers.p19_flyvec.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

NEAREST, HASH_LENGTH = 10, 32
AMBIGUOUS = {
    "bank": ("the river flooded its bank after heavy rain", "he borrowed money from the bank at high interest"),
    "plant": ("a plant with green leaves and yellow flowers", "workers at the chemical plant produce steel"),
    "bat": ("the bat is a flying mammal active at night", "he hit the ball with a wooden bat"),
    "spring": ("flowers bloom in spring after the winter", "a metal spring is a coil of elastic wire"),
    "star": ("the star is a hot bright body in the galaxy", "a famous film star and actor in the movie"),
    "cell": ("the nucleus of a living cell contains dna", "the prisoner was locked in a small prison cell"),
    "organ": ("the liver is an organ of the body", "music played on the church organ and piano"),
    "match": ("they won the final match of the football season", "he struck a match to light the fire"),
    "court": ("the judge of the supreme court heard the case", "the tennis player hit the ball across the court"),
    "seal": ("a seal is a marine mammal that eats fish", "an official seal stamped in wax on the document"),
    "mouse": ("the cat caught a small mouse rodent", "click with the mouse of the computer"),
    "bass": ("he plays bass guitar in a rock band", "the bass is a fish of fresh water"),
    "light": ("light is electromagnetic radiation of visible wavelength", "a light meal that has little weight"),
    "band": ("the rock band recorded an album of songs", "a thin band of metal worn around the finger"),
    "charge": ("the electric charge of an electron is negative", "the police arrested him on a murder charge"),
    "capital": ("paris is the capital city of france", "investors need capital to finance the company"),
    "wave": ("a sound wave has a frequency and amplitude", "the sea wave broke on the beach"),
    "party": ("the political party won the election", "guests danced at the birthday party"),
    "apple": ("he ate a ripe apple fruit from the tree", "apple released a computer with new software"),
    "field": ("the farmer grows wheat in the field", "the magnetic field of the current"),
}
"""A word, and a sentence for each of two senses."""


def measure_senses(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for codes in context."""
    try:
        sentences = text(size.corpora, size.every)
    except DataUnavailableError as error:
        return Measured([Row(claim, None, None, 0, 0.0, " + ".join(size.corpora), note=str(error)) for claim in (SENSES, SAME)])
    start = time.perf_counter()
    model = FlyVec(max_words=size.words, min_count=1, epochs=size.epochs, random_state=seed)
    model.fit(sentences, progress=tell)
    data = f"{' + '.join(size.corpora)}, {len(sentences):,} sentences"
    words = [word for word in AMBIGUOUS if word in set(model.words_)]
    apart, notes = 0, []
    for word in words:
        first, second = (
            [str(near) for near, _ in model.nearest(word, NEAREST, context=one, hash_length=HASH_LENGTH)] for one in AMBIGUOUS[word]
        )
        apart += len({*first} & {*second}) < NEAREST / 2
        notes.append(f"{word}: {', '.join(first[:3])} | {', '.join(second[:3])}")
    static, empty = model.codes(words, HASH_LENGTH), model.codes_in_context(words, [[]] * len(words), HASH_LENGTH)
    unequal = int((static.bits != empty.bits).any(1).sum())
    seconds = time.perf_counter() - start
    return Measured(
        [
            Row(SENSES, apart / len(words), wilson(apart, len(words)), len(words), seconds, data, note="; ".join(notes)),
            Row(SAME, unequal, None, len(words), seconds, data),
        ]
    )
