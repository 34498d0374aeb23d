"""WordNet 3.0 as synsets: sets of words with one meaning, its definition, its class and the synsets it is related to.

Miller 1995, "WordNet: a lexical database for English". The files `data.noun`, `data.verb`, `data.adj` and `data.adv` are those of
Princeton's distribution (format: the manual page `wndb(5)`). Debian and its relatives install them as `wordnet-base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attractor.data.locate import DataUnavailableError, first_existing, roots

Part = Literal["noun", "verb", "adj", "adv"]
LETTERS: dict[str, str] = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
SYSTEM_FOLDERS = (Path("/usr/share/wordnet"), Path("/usr/local/share/wordnet"))
HOW = (
    "install Debian's package wordnet-base (apt install wordnet-base), or put data.noun, data.verb, data.adj and data.adv of "
    "Princeton's WordNet 3.0 into the folder wordnet of your data folder (root= or the environment variable ATTRACTOR_DATA)"
)


@dataclass(frozen=True)
class Synset:
    """Words with one meaning.

    Args:
        id: letter of the part of speech (`n`, `v`, `a`, `r`) and the eight digits of its place in the file, such as `"v00001740"`.
        words: lower and upper case as in the file, with spaces inside collocations.
        category: number of its lexicographer file, 0 to 44: a coarse class of meanings, such as 38 for verbs of motion.
        gloss: definition and examples.
        related: ids of the synsets that it points to, of any part of speech, each once, in the order of the file.
    """

    id: str
    words: tuple[str, ...]
    category: int
    gloss: str
    related: tuple[str, ...]


def read_wordnet(part: Part, root: str | Path | None = None) -> list[Synset]:
    """All synsets of one part of speech, in the order of the file.

    Args:
        part: `"noun"` (82,115 synsets), `"verb"` (13,767), `"adj"` (18,156, satellites among them) or `"adv"` (3,621).
        root: folder that holds the files, or a folder `wordnet` with them; default: the environment variable `ATTRACTOR_DATA`, then
            where the operating system has them.

    Raises:
        DataUnavailableError: the files are not on this machine; the message says how to get them.
        ValueError: `part` is none of the four, `root` is no folder, or the file is damaged.

    Example:
        >>> synsets = read_wordnet("verb")                    # doctest: +SKIP
        >>> synsets[0].words                                  # doctest: +SKIP
        ('breathe', 'take a breath', 'respire', 'suspire')
    """
    if part not in LETTERS:
        raise ValueError(f"part must be one of {', '.join(LETTERS)}, got {part!r}")
    folders = [folder for top in roots(root) for folder in (top, top / "wordnet")]
    path = first_existing(folder / f"data.{part}" for folder in (*folders, *SYSTEM_FOLDERS))
    if path is None:
        raise DataUnavailableError(f"WordNet is not on this machine: {HOW}")
    try:
        with path.open(encoding="utf-8") as lines:
            # the licence stands before the data, its lines begin with spaces
            return [read_synset(path, number, line) for number, line in enumerate(lines, 1) if not line.startswith(" ")]
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} must be a data file of WordNet: {error}") from error


def read_synset(path: Path, number: int, line: str) -> Synset:
    """One line of a data file; `path` and `number` are for the message.

    Raises:
        ValueError: it has another form.
    """
    try:
        data, gloss = line.split(" | ", 1)
        fields = data.split()
        offset, category, kind, count = fields[0], int(fields[1]), fields[2], int(fields[3], 16)
        words = tuple(spelled(word) for word in fields[4 : 4 + 2 * count : 2])
        first = 5 + 2 * count
        pointers = int(fields[first - 1])
        targets = fields[first + 1 : first + 4 * pointers : 4]
        parts = fields[first + 2 : first + 4 * pointers : 4]
        if len(words) != count or len(parts) != pointers:
            raise ValueError("fields are missing")
        related = dict.fromkeys(identity(*one) for one in zip(parts, targets, strict=True))
        return Synset(identity(kind, offset), words, category, gloss.strip(), tuple(related))
    except (ValueError, IndexError) as error:
        raise ValueError(f"{str(path)!r} must be a data file of WordNet, line {number} is not: {error}") from error


def identity(kind: str, offset: str) -> str:
    """The id of a synset; satellites of adjectives (`s`) stand in the file of adjectives."""
    if kind not in "nvasr" or len(offset) != 8 or not offset.isdigit():
        raise ValueError(f"{kind!r} and {offset!r} name no synset")
    return f"{'a' if kind == 's' else kind}{offset}"


def spelled(word: str) -> str:
    """A word without the marker of where an adjective may stand, such as `(p)`."""
    return word.split("(", 1)[0].replace("_", " ")
