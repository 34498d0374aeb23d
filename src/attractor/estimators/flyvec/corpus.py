"""Text as numbers: sentences are read once, written to a temporary file as ids of words, and given back as windows of words.

So a corpus may be larger than the memory and may come from an iterator that runs once; what is held is one block of it, and one
entry for each different word. A window is a word and its `w - 1` neighbours in the sentence; beyond its ends stands nothing.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attractor.errors import AttractorWarning
from attractor.validation import check_count

Ids = npt.NDArray[np.int32]
Word = Hashable
"""A string, or the integer id that another tokeniser gave."""

NUMBER = "0"
"""Stands for every word with a digit."""
END, UNKNOWN = -1, -2
PIECE = 2**16
"""Ids that are written, and read again, at a time."""
PIECES = 16
"""Pieces from all over the text that make a block; sentences are shuffled within one."""
LONGEST_LINE = 2**24
SHOWN = 8

WORDS = re.compile(r"[^\W_]+")
DIGIT = re.compile(r"\d")
WITH_DIGIT = re.compile(r"[^\W_]*\d[^\W_]*")


def tokenise(text: str) -> list[str]:
    """The words of a text: lower case, without punctuation; each word with a digit is `"0"`.

    Example:
        >>> tokenise("Don't panic: it's only 42 (or B-52)!")
        ['dont', 'panic', 'its', 'only', '0', 'or', 'b', '0']
    """
    text = text.lower().replace("'", "").replace("’", "")
    return WORDS.findall(WITH_DIGIT.sub(NUMBER, text) if DIGIT.search(text) else text)


def tokens_of(sentence: Any) -> Sequence[Word]:
    """Words of a sentence that is a string, a sequence of strings, or one of integer ids.

    Raises:
        TypeError: it is none of these.
        ValueError: a negative id.
    """
    if isinstance(sentence, str):
        return tokenise(sentence)
    if isinstance(sentence, np.ndarray) or hasattr(sentence, "tolist"):
        sentence = sentence.tolist()
    if isinstance(sentence, bytes | dict) or not isinstance(sentence, Sequence):
        raise TypeError(f"a sentence must be a string, or a list of words or of integer ids, got {type(sentence).__name__}")
    if sentence and not isinstance(sentence[0], str):
        for one in sentence:
            if isinstance(one, bool) or not isinstance(one, int):
                raise TypeError(f"a sentence must be a string, or a list of words or of integer ids, got one with {one!r}")
            if one < 0:
                raise ValueError(f"ids of words must not be negative, got {one}")
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


class Numbering(dict[Word, int]):
    """Gives every new word the next number."""

    def __missing__(self, word: Word) -> int:
        self[word] = number = len(self)
        return number


def numbered(vocabulary: Sequence[Word]) -> dict[Word, int]:
    """The place of each word.

    Raises:
        TypeError: the vocabulary is a string or no sequence.
        ValueError: it holds a word twice.
    """
    if isinstance(vocabulary, str | bytes) or not isinstance(vocabulary, Sequence):
        raise TypeError(f"vocabulary must be a number of ids or a sequence of words, got {type(vocabulary).__name__}")
    numbers: dict[Word, int] = {}
    for place, word in enumerate(vocabulary):
        if numbers.setdefault(word, place) != place:
            raise ValueError(f"vocabulary must hold each word once, got {word!r} twice")
    return numbers


class Spool:
    """The ids of a corpus in a temporary file, and how often each was met. Use it in a `with`; the file goes at its end.

    Args:
        sentences: strings, lists of words or of ids; or the path of a text file.
        vocabulary: words that have a number already, in their order; all others are unknown. An integer `n`: the ids 0 to n - 1.
            None: every word gets a number.

    Raises:
        TypeError: sentences of another kind.
        ValueError: an id that is not below `n`.
    """

    def __init__(self, sentences: Any, vocabulary: Sequence[Word] | int | None = None):
        self.words: list[Word] = []
        self.counts = np.zeros(0, np.int64)
        self._starts = array("q", [0])
        self._rank: Ids | None = None
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close, in a with of the caller
        try:
            self._write(sentences, vocabulary)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _write(self, sentences: Any, vocabulary: Sequence[Word] | int | None) -> None:
        numbers: dict[Word, int] = Numbering()
        below = None
        number_of: Callable[[Sequence[Word]], Iterable[int]]
        if isinstance(vocabulary, int):
            vocabulary = range(check_count("vocabulary", vocabulary, 2))
            below = len(vocabulary)
        if vocabulary is None:
            number_of = lambda tokens: map(numbers.__getitem__, tokens)  # noqa: E731
        else:
            numbers = numbered(vocabulary)
            number_of = lambda tokens: map(numbers.get, tokens, repeat(UNKNOWN))  # noqa: E731
        ids = array("i")
        for sentence in lines_of(sentences):
            tokens = tokens_of(sentence)
            if below is not None and (beyond := [one for one in tokens if one not in numbers]):
                raise ValueError(f"ids of words must be below {below}, the size of the vocabulary, got {beyond[0]!r}")
            if tokens:
                ids.extend(number_of(tokens))
                ids.append(END)
            if len(ids) >= PIECE:
                self._flush(ids, len(numbers))
                ids = array("i")
        if ids:
            self._flush(ids, len(numbers))
        self.words = list(numbers)
        self.counts = np.pad(self.counts, (0, len(numbers) - len(self.counts)))

    def _flush(self, ids: array[int], words: int) -> None:
        values = np.frombuffer(ids, np.int32)
        counts = np.bincount(values[values >= 0], minlength=words)
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        values.tofile(self._file)
        self._starts.append(self._starts[-1] + len(values))

    def choose(self, most: int | None, least: int) -> tuple[list[Word], npt.NDArray[np.int64]]:
        """The words to learn, most frequent first (of equals the one met first), and their counts. All others become unknown.

        Args:
            most: how many words at most.
            least: times that a word must be met.

        Raises:
            ValueError: fewer than two are left.
        """
        order = np.argsort(-self.counts, kind="stable")[:most]
        return self._keep(order[self.counts[order] >= least])

    def keep_met(self) -> tuple[list[Word], npt.NDArray[np.int64]]:
        """The given words that were met, in their order, and their counts. Warns of the others: dividing by 0 has no meaning.

        Raises:
            ValueError: fewer than two are left.
        """
        absent = [self.words[number] for number in np.flatnonzero(self.counts == 0).tolist()]
        if absent:
            named = ", ".join(map(repr, absent[:SHOWN])) + (f", ... {len(absent)} in all" if len(absent) > SHOWN else "")
            message = f"words of the vocabulary that the sentences do not hold are dropped: {named}"
            warnings.warn(message, AttractorWarning, stacklevel=3)
        return self._keep(np.flatnonzero(self.counts))

    def check_met(self) -> None:
        """Raises ValueError where no word of the vocabulary was met."""
        if not self.counts.any():
            raise ValueError("sentences must hold words that the model knows, got none")

    def _keep(self, chosen: npt.NDArray[np.int64]) -> tuple[list[Word], npt.NDArray[np.int64]]:
        if len(self._starts) == 1:
            raise ValueError("sentences must hold at least one word, got none")
        if len(chosen) < 2:
            raise ValueError(f"the vocabulary must hold at least two words, got {len(chosen)} of {len(self.words)} different ones")
        rank = np.full(len(self.words) + 2, UNKNOWN, np.int32)
        rank[chosen] = np.arange(len(chosen), dtype=np.int32)
        rank[END] = END  # negative ids count from the end
        self._rank = rank
        return [self.words[number] for number in chosen.tolist()], self.counts[chosen]

    def blocks(self, order: np.random.Generator | None = None, first: int = 0) -> Iterator[Ids]:
        """The ids of all sentences, a block at a time: `END` after each sentence, `UNKNOWN` for words that are not learned.

        Args:
            order: of the pieces, by chance. None: as they came.
            first: block to begin with.
        """
        pieces = np.arange(len(self._starts) - 1)
        if order is not None:
            pieces = order.permutation(pieces)
        for start in range(first * PIECES, len(pieces), PIECES):
            ids = np.concatenate([self._piece(number) for number in pieces[start : start + PIECES].tolist()])
            yield ids if self._rank is None else self._rank[ids]

    def __len__(self) -> int:
        """How many blocks there are."""
        return -(-(len(self._starts) - 1) // PIECES)

    def _piece(self, number: int) -> Ids:
        start, end = self._starts[number : number + 2]
        self._file.seek(4 * start)
        return np.frombuffer(self._file.read(4 * (end - start)), np.int32)


def windows(ids: Ids, window: int, words: int, order: np.random.Generator | None, batch_size: int) -> Iterator[Ids]:
    """Batches `(b, window)` of the windows around all known words of a block; the middle stands for itself as `words + id`.

    What is unknown or beyond the ends of the sentence is `2 * words`. Batches are of equal size, but for one.

    Args:
        ids: of a block.
        window: number of words, odd.
        words: of the vocabulary.
        order: of the sentences, by chance. None: as they come.
        batch_size: most windows in a batch.

    Example:
        >>> ids = np.array([0, 1, 2, END, 1, END], np.int32)
        >>> next(windows(ids, 3, 3, None, 9)).tolist()
        [[6, 3, 1], [0, 4, 2], [1, 5, 6], [6, 4, 6]]
    """
    half = window // 2
    ends = np.flatnonzero(ids == END)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts
    if order is not None:
        chosen = order.permutation(len(ends))
        starts, lengths = starts[chosen], lengths[chosen]
    # as many empty places between two sentences as a window reaches
    places = half + np.cumsum(lengths + half) - (lengths + half)
    stream = np.full(places[-1] + lengths[-1] + half, 2 * words, np.int32)
    stream[runs(places, lengths)] = ids[runs(starts, lengths)]
    stream[stream < 0] = 2 * words
    centres = np.flatnonzero(stream < words) - half
    around = np.lib.stride_tricks.sliding_window_view(stream, window)
    if len(centres):
        for part in np.array_split(centres, -(-len(centres) // batch_size)):
            rows = around[part]
            rows[:, half] += words
            yield rows


def runs(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`starts[i], starts[i] + 1, ...`, `lengths[i]` of them, one run after the other.

    Example:
        >>> runs(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
