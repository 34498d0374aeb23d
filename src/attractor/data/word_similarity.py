"""Pairs of words with a similarity that people gave them: what word codes are judged by.

Two come with gensim: WordSim-353 (Finkelstein et al. 2002) and SimLex-999 (Hill, Reichart and Korhonen 2015). Others are looked for
in a folder `word-similarity` with the files `EN-*.txt` of Faruqui and Dyer's collection (2014): two words and a score in each line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from attractor.data.locate import DataUnavailableError, first_existing, package_folder, roots

FILES = {
    "WS353": ("EN-WS-353-ALL.txt", "wordsim353.tsv"),
    "SimLex": ("EN-SIMLEX-999.txt", "simlex999.txt"),
    "RG-65": ("EN-RG-65.txt", None),
    "MC-30": ("EN-MC-30.txt", None),
    "MEN": ("EN-MEN-TR-3k.txt", None),
    "RW": ("EN-RW-STANFORD.txt", None),
    "MTurk-771": ("EN-MTurk-771.txt", None),
}
"""Name of a set: its file in the collection, and in gensim."""
MAXIMUM_BYTES = 2**22


@dataclass(frozen=True)
class WordPairs:
    """Pairs of words, in lower case, and the score of each; the higher, the more alike.

    Args:
        name: of the set.
        pairs: two words each.
        scores: as many, on the scale of the set.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    scores: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.pairs)


def load_word_pairs(name: str, *, root: str | Path | None = None) -> WordPairs:
    """A set of word pairs by its name, one of `FILES`.

    Args:
        name: such as `"WS353"`.
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: the set is not on this machine; the message says how to get it.
        ValueError: `name` is unknown, or the file is damaged.

    Example:
        >>> pairs = load_word_pairs("WS353")                  # doctest: +SKIP
        >>> pairs.pairs[1], pairs.scores[1]                   # doctest: +SKIP
        (('tiger', 'cat'), 7.35)
    """
    if name not in FILES:
        raise ValueError(f"name must be one of {', '.join(FILES)}, got {name!r}")
    collected, shipped = FILES[name]
    folders = [folder for top in roots(root) for folder in (top / "word-similarity", top)]
    candidates = [folder / collected for folder in folders]
    package = None if shipped is None else package_folder("gensim", root)
    if package is not None and shipped is not None:
        candidates.append(package / "test/test_data" / shipped)
    path = first_existing(candidates)
    if path is None:
        gensim = " or install gensim (pip install gensim==4.4.0)" if shipped else ""
        raise DataUnavailableError(
            f"the word pairs {name!r} are not on this machine: put {collected} of Faruqui and Dyer's collection into the folder "
            f"word-similarity of your data folder (root= or the environment variable ATTRACTOR_DATA){gensim}"
        )
    return read_word_pairs(path, name)


def read_word_pairs(path: str | Path, name: str) -> WordPairs:
    """A file with two words and a score in each line, apart by white space; lines that begin with `#` are passed over.

    Raises:
        ValueError: a line of another form, or a file of more than 4 MiB.
    """
    place = Path(path)
    if place.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{str(place)!r} is larger than {MAXIMUM_BYTES:,} bytes")
    pairs, scores = [], []
    for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            first, second, score = line.lower().split()
            scores.append(float(score))
            if not math.isfinite(scores[-1]):
                raise ValueError(f"the score is {score}")
        except ValueError as error:
            raise ValueError(f"{str(place)!r} must hold two words and a score in line {number}, got {line!r}") from error
        pairs.append((first, second))
    if not pairs:
        raise ValueError(f"{str(place)!r} must hold pairs of words, it has none")
    return WordPairs(name, tuple(pairs), tuple(scores))
