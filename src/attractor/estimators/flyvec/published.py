"""The synapses that the authors of FlyVec publish: one `.npy` array `(cells, 2 V)`, single precision.

A row is a Kenyon cell. Its first half are synapses from neighbours, its second half those from the word itself, as here. The words
stand in another file, a pickled dictionary of gensim, which is never opened here: have gensim write it as text
(`Dictionary.save_as_text`). Two of them are signs: `<UNK>` for what is unknown, and `<NUM>` for words with a digit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from attractor.estimators.flyvec.words import NUMBER, Numbering, Word

Synapses = npt.NDArray[np.float32]

MAXIMUM_BYTES = 2**32
SMALLEST_NORM = 1e-32
LONGEST_NUMBER = 10
"""Digits of an id."""
UNKNOWN_SIGN, NUMBER_SIGN = "<UNK>", "<NUM>"
DAMAGE = (ValueError, TypeError, OverflowError, MemoryError, RecursionError, SyntaxError, TokenError, EOFError, OSError)
"""What NumPy raises at the header of a damaged file, which it reads as an expression of Python."""


def read_published(
    path: str | os.PathLike[str], words: str | os.PathLike[str] | Sequence[Any] | None, *, normalise: bool
) -> tuple[Synapses, list[Word]]:
    """Synapses and their words, without a place for what is unknown; arguments and errors as of `FlyVec.from_published`."""
    synapses = read_synapses(path, normalise=normalise)
    listed = read_words(words, synapses.shape[1] // 2)
    signs: dict[Word, Word | None] = {UNKNOWN_SIGN: None, NUMBER_SIGN: NUMBER}
    named = [signs.get(word, word) for word in listed]
    if named.count(NUMBER) > 1:
        raise ValueError(f"words must not hold both {NUMBER_SIGN!r} and {NUMBER!r}, which stand for the same")
    kept = [place for place, word in enumerate(named) if word is not None]
    if len(kept) < len(named):
        synapses = np.ascontiguousarray(synapses.T[[*kept, *(len(named) + place for place in kept)]]).T
    return synapses, [named[place] for place in kept]


def read_synapses(path: str | os.PathLike[str], *, normalise: bool = True) -> Synapses:
    """Synapses `(cells, 2 V)` of a published model.

    Args:
        path: of the `.npy` file.
        normalise: give every cell a unit norm, as the published package does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no such array, one of objects, one that is not finite, or a file of more than 4 GiB.
    """
    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(f"path must be a file of synapses, there is none at {place}")
    if place.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"path must be a file of at most {MAXIMUM_BYTES:,} bytes, {place} has {place.stat().st_size:,}")
    try:
        stored = np.load(place, mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise ValueError(f"path must be a .npy file of numbers, {place} is not: {error!r}") from error
    if (
        not isinstance(stored, np.ndarray)
        or stored.dtype.kind != "f"
        or stored.ndim != 2
        or stored.shape[1] % 2
        or stored.size == 0
    ):
        came = f"{stored.dtype} {stored.shape}" if isinstance(stored, np.ndarray) else type(stored).__name__
        raise ValueError(f"path must hold floating-point synapses (cells, 2 V), {place} holds {came}")
    with np.errstate(over="ignore"):
        synapses = np.array(stored.T, np.float32, order="C").T
    if not np.isfinite(synapses).all():
        raise ValueError(f"path must hold finite synapses of single precision, {place} holds NaN, infinity or larger ones")
    if normalise:
        norms = np.sqrt(np.einsum("ij,ij->i", synapses, synapses, dtype=np.float64))
        synapses /= (norms + SMALLEST_NORM)[:, None]
    return synapses


def read_words(words: str | os.PathLike[str] | Sequence[Any] | None, count: int) -> list[Word]:
    """The words of the synapses, in the order of their ids.

    Args:
        words: themselves; the path of the text that gensim's `Dictionary.save_as_text` writes (`id TAB word TAB count`); or None:
            their ids stand for them.
        count: how many there must be.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: words that are no strings or ids.
        ValueError: another number, a word twice, or a file of another form.
    """
    if words is None:
        return list(range(count))
    found = list(Numbering(read_dictionary(Path(words)) if isinstance(words, str | os.PathLike) else list(words)))
    if len(found) != count:
        raise ValueError(f"words must be the {count} words of the synapses, got {len(found)}")
    return found


def read_dictionary(path: Path) -> list[Word]:
    """The words of a dictionary that gensim has written as text.

    Raises:
        ValueError: another form, or a file of more than 4 GiB.
    """
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{str(path)!r} is larger than {MAXIMUM_BYTES:,} bytes")
    named: dict[int, Word] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        fields = line.split("\t")
        if number == 0 and len(fields) == 1:
            continue  # the number of documents
        if len(fields) != 3 or not is_id(fields[0]) or not fields[1] or int(fields[0]) in named:
            raise ValueError(f"{str(path)!r} must hold id, word and count in each line, line {number + 1} is {line[:80]!r}")
        named[int(fields[0])] = fields[1]
    if sorted(named) != list(range(len(named))):
        raise ValueError(f"{str(path)!r} must give the words the ids 0 to {len(named) - 1}")
    return [named[number] for number in range(len(named))]


def is_id(text: str) -> bool:
    return text.isdecimal() and len(text) <= LONGEST_NUMBER
