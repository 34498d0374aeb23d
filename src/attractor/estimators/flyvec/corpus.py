"""Text as numbers: sentences are read once, written to a temporary file as ids of words, and given back as windows of words.

So a corpus may be larger than the memory and may come from an iterator that runs once; what is held is one block of it, and one
entry for each different word, of which the rarest are forgotten where there are too many. A window is a word and its `w - 1`
neighbours in the sentence; beyond its ends stands nothing.
"""

from __future__ import annotations

import tempfile
import warnings
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from attractor.errors import AttractorWarning
from attractor.estimators.flyvec.words import UNKNOWN, Numbering, Word, lines_of, tokens_of

Ids = npt.NDArray[np.int32]

END = -1
PIECE = 2**16
"""Ids that are written, and read again, at a time."""
PIECES = 16
"""Pieces from all over the text that make a block; sentences are shuffled within one."""
MOST_WORDS = 2**22
"""Different words that are held while a text without a given vocabulary is read; beyond it the rarest are forgotten."""
SHOWN = 8


class Spool:
    """The ids of a corpus in a temporary file, and how often each was met. Use it in a `with`; the file goes at its end.

    Args:
        sentences: strings, lists of words or of ids; or the path of a text file.
        vocabulary: words that have a number already, in their order; all others are unknown. An integer `n`: the ids 0 to n - 1.
            None: every word gets a number. Of more than `MOST_WORDS` different ones those met once so far are forgotten, the next
            time those met twice, and so on; one that is met again later counts from there.

    Attributes:
        words: that have a number, in the order in which they got it.
        counts: how often each was met.
        checksum: of the ids.

    Raises:
        TypeError: sentences of another kind.
        ValueError: an id that is not below `n`.
    """

    def __init__(self, sentences: Any, vocabulary: Sequence[Word] | int | None = None):
        self.checksum = 0
        self._numbering = Numbering(vocabulary)
        # by number, with room for more; those of words that were forgotten stay empty
        self._met = np.zeros(self._numbering.given, np.int64)
        self._forgotten = 0
        self._starts = array("q", [0])
        self._rank: Ids | None = None
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close, in a with of the caller
        try:
            self._write(sentences)
        except BaseException:
            self.close()
            raise
        self.words: list[Word] = list(self._numbering)
        self._numbers = np.fromiter(self._numbering.values(), np.int64, len(self.words))
        self.counts = self._met[self._numbers]

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _write(self, sentences: Any) -> None:
        ids = array("i")
        for sentence in lines_of(sentences):
            if numbers := self._numbering.of(tokens_of(sentence)):
                ids.extend(numbers)
                ids.append(END)
            if len(ids) >= PIECE:
                self._flush(ids)
                ids = array("i")
        if ids:
            self._flush(ids)

    def _flush(self, ids: array[int]) -> None:
        values = np.frombuffer(ids, np.int32)
        if self._numbering.given > len(self._met):
            self._met = np.pad(self._met, (0, max(self._numbering.given, 2 * len(self._met)) - len(self._met)))
        np.add.at(self._met, values[values >= 0], 1)
        values.tofile(self._file)
        self.checksum = zlib.crc32(ids, self.checksum)
        self._starts.append(self._starts[-1] + len(values))
        if self._numbering.grows and len(self._numbering) > MOST_WORDS:
            self._forgotten += 1
            for word in [word for word, number in self._numbering.items() if self._met[number] <= self._forgotten]:
                del self._numbering[word]

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
        rank = np.full(self._numbering.given + 2, UNKNOWN, np.int32)
        rank[self._numbers[chosen]] = np.arange(len(chosen), dtype=np.int32)
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
