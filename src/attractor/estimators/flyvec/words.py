"""Text as words, and words as numbers: how sentences may be given, and what is a word."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attractor.validation import check_count

Word = Hashable
"""A string, or the integer id that another tokeniser gave."""

NUMBER = "0"
"""Stands for every word with a digit."""
UNKNOWN = -2
LONGEST_LINE = 2**24

WORDS = re.compile(r"[^\W_]+")
DIGIT = re.compile(r"\d")
WITH_DIGIT = re.compile(r"[^\W_]*\d[^\W_]*")


def tokenise(text: str) -> list[str]:
    """The words of a text: lower case, without punctuation; each word with a digit is `"0"`.

    It is made for letters that stand alone, as in Latin, Greek and Cyrillic. Accents are composed with their letters first. Scripts
    that add marks to letters (Devanagari) or put no spaces between words (Chinese, Thai) need a tokeniser of their own: give the
    model lists of its words.

    Example:
        >>> tokenise("Don't panic: it's only 42 (or B-52)!")
        ['dont', 'panic', 'its', 'only', '0', 'or', 'b', '0']
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.lower().replace("'", "").replace("’", "")
    return WORDS.findall(WITH_DIGIT.sub(NUMBER, text) if DIGIT.search(text) else text)


def tokens_of(sentence: Any) -> Sequence[Word]:
    """What a sentence holds, be it a string, or a sequence of words or of integer ids.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(sentence, str):
        return tokenise(sentence)
    if hasattr(sentence, "tolist"):
        sentence = sentence.tolist()
    if isinstance(sentence, bytes | dict) or not isinstance(sentence, Sequence):
        raise TypeError(f"a sentence must be a string, or a list of words or of integer ids, got {type(sentence).__name__}")
    return sentence


def lines_of(sentences: Any) -> Iterator[Any]:
    """The sentences of an iterable, or the lines of a text file.

    Raises:
        TypeError: it is neither.
        ValueError: a line of more than 16 million characters.
    """
    if isinstance(sentences, os.PathLike):
        with Path(sentences).open(encoding="utf-8") as file:
            while line := file.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise ValueError(
                        f"{os.fspath(sentences)!r} must have one sentence in each line, got one of {len(line):,} characters"
                    )
                yield line
        return
    if isinstance(sentences, str | bytes) or not isinstance(sentences, Iterable):
        raise TypeError(
            f"sentences must be an iterable of sentences, or a pathlib.Path of a text file with one in each line, got "
            f"{type(sentences).__name__}"
        )
    yield from sentences


def checked(word: Any) -> str | int:
    """A word, as a string or a plain integer.

    Raises:
        TypeError: it is neither.
        ValueError: a negative integer.
    """
    if isinstance(word, str):
        return word
    if isinstance(word, bool) or not isinstance(word, int | np.integer):
        raise TypeError(f"words must be strings or integer ids, got {word!r}")
    if word < 0:
        raise ValueError(f"ids of words must not be negative, got {word}")
    return int(word)


class Numbering(dict[Word, int]):
    """The number of each word. What is met for the first time is checked; then it gets the next number, or is `UNKNOWN`.

    Args:
        vocabulary: words in the order of their numbers; an integer `n` for the ids 0 to n - 1. None: every new word gets a number.

    Raises:
        TypeError: a vocabulary, or a word, of another kind.
        ValueError: a word that the vocabulary holds twice, a negative id, or one that is not below `n`.

    Example:
        >>> Numbering().of(["a", "b", "a"]), Numbering(["a", "b"]).of(["b", "c"])
        ([0, 1, 0], [1, -2])
    """

    def __init__(self, vocabulary: Sequence[Word] | int | None = None):
        self.grows = vocabulary is None
        self.below: int | None = None
        self.given = 0
        if isinstance(vocabulary, int | np.integer):
            self.below = check_count("vocabulary", vocabulary, 2)
            vocabulary = range(self.below)
        elif vocabulary is None:
            vocabulary = ()
        elif isinstance(vocabulary, str | bytes) or not isinstance(vocabulary, Sequence):
            raise TypeError(f"vocabulary must be a number of ids or a sequence of words, got {type(vocabulary).__name__}")
        for word in vocabulary:
            if self.setdefault(checked(word), self.given) != self.given:
                raise ValueError(f"words of the vocabulary must differ, got {word!r} twice")
            self.given += 1

    def __missing__(self, word: Word) -> int:
        known = checked(word)
        if self.below is not None:
            raise ValueError(f"ids of words must be below {self.below}, the size of the vocabulary, got {word!r}")
        if not self.grows:
            return UNKNOWN
        self[known] = number = self.given
        self.given += 1
        return number

    def of(self, words: Iterable[Word]) -> list[int]:
        """The numbers of some words."""
        words = list(words)
        try:
            return list(map(self.__getitem__, words))
        except TypeError:
            for word in words:  # a list cannot even be looked for
                checked(word)
            raise
