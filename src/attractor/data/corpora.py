"""Plain English text that packages ship, one sentence a line: articles, news, definitions.

Wikipedia: 206 pages of the dump of 2016 that gensim tests itself with, cleaned of their markup here. News: the 300 documents of
Lee, Pincombe and Welsh 2005, also in gensim. Definitions: the glosses of WordNet 3.0, each after the words that it defines.
"""

from __future__ import annotations

import bz2
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from attractor.data.locate import DataUnavailableError, first_existing, package_folder, roots
from attractor.data.wordnet import LETTERS, read_wordnet

GENSIM = "test/test_data"
WIKIPEDIA = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
LEE = "lee_background.cor"
HOW = "it comes with gensim: pip install gensim==4.4.0"
MAXIMUM_BYTES = 2**27
"""Most that a file may hold, unpacked."""
LEAST_WORDS = 3
"""Shorter sentences are captions and crumbs of markup."""

PAGE_TEXT = re.compile(r"<text[^>]*>(.*?)</text>", re.DOTALL)
GONE = (
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"<(ref|math|gallery|timeline|source|code|pre)\b[^<>]*?/>", re.DOTALL),
    re.compile(r"<(ref|math|gallery|timeline|source|code|pre)\b[^>]*>.*?</\1>", re.DOTALL),
)
NESTED = (re.compile(r"\{\{[^{}]*\}\}"), re.compile(r"\{\|(?:(?!\{\|).)*?\|\}", re.DOTALL))
LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
OUTSIDE_LINK = re.compile(r"\[(?:https?|ftp)?:?//[^\s\]]*\s*([^\]]*)\]")
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
QUOTES = re.compile(r"'{2,}")
HEADING = re.compile(r"^=+[^\n]*=+\s*$", re.MULTILINE)
LIST_MARK = re.compile(r"^[*#:;|!]+\s*", re.MULTILINE)
MAGIC = re.compile(r"__[A-Z]+__")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”)]*\s+(?=[\"'“(]?[A-Z0-9])")


@dataclass(frozen=True)
class Corpus:
    """Text, one sentence an item.

    Args:
        name: of the corpus, or of several joined by ` + `.
        sentences: as written, without markup.
        source: where they came from and under which licence.
    """

    name: str
    sentences: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.sentences)

    def __add__(self, other: Corpus) -> Corpus:
        return Corpus(f"{self.name} + {other.name}", self.sentences + other.sentences, f"{self.source}; {other.source}")

    def __repr__(self) -> str:
        return f"Corpus({self.name!r}, {len(self):,} sentences)"


def load_corpus(name: str, *, root: str | Path | None = None) -> Corpus:
    """A text that an installed package ships; the package is read as a folder of files and not imported.

    Args:
        name: `"wikipedia"`, `"lee"` or `"wordnet"`.
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: it is not on this machine; the message says how to get it.
        ValueError: `name` is unknown, or a file is damaged.

    Example:
        >>> load_corpus("wikipedia") + load_corpus("lee")             # doctest: +SKIP
        Corpus('wikipedia + lee', 27,420 sentences)
    """
    if name not in CORPORA:
        raise ValueError(f"name must be one of {', '.join(CORPORA)}, got {name!r}")
    return CORPORA[name](root)


def _wikipedia(root: str | Path | None) -> Corpus:
    path = _gensim_file("wikipedia", WIKIPEDIA, root)
    try:
        with bz2.open(path) as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
        if len(content) > MAXIMUM_BYTES:
            raise ValueError(f"it unpacks to more than {MAXIMUM_BYTES:,} bytes")
        dump = content.decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    pages = [html.unescape(text) for text in PAGE_TEXT.findall(dump)]
    kept = [clean(page) for page in pages if not page.lstrip().upper().startswith("#REDIRECT")]
    if not kept:
        raise ValueError(f"{str(path)!r} must hold pages of a wiki, it has none")
    found = tuple(one for page in kept for one in sentences(page))
    return Corpus("wikipedia", found, "gensim 4.4.0 (LGPL-2.1): English Wikipedia, 2016 (CC BY-SA)")


def _lee(root: str | Path | None) -> Corpus:
    path = _gensim_file("lee", LEE, root)
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{str(path)!r} is larger than {MAXIMUM_BYTES:,} bytes")
    found = tuple(sentences(path.read_text(encoding="utf-8")))
    return Corpus("lee", found, "gensim 4.4.0 (LGPL-2.1): news, Lee, Pincombe and Welsh 2005")


def _wordnet(root: str | Path | None) -> Corpus:
    found = [f"{' '.join(one.words)} {one.gloss}" for part in LETTERS for one in read_wordnet(part, root)]  # type: ignore[arg-type]  # keys of LETTERS are parts
    return Corpus("wordnet", tuple(found), "WordNet 3.0, Princeton University (WordNet licence)")


CORPORA: dict[str, Callable[[str | Path | None], Corpus]] = {"wikipedia": _wikipedia, "lee": _lee, "wordnet": _wordnet}


def _gensim_file(name: str, file: str, root: str | Path | None) -> Path:
    package = package_folder("gensim", root)
    candidates = [folder / file for folder in roots(root)] + ([] if package is None else [package / GENSIM / file])
    path = first_existing(candidates)
    if path is None:
        raise DataUnavailableError(f"the text {name!r} is not on this machine: {HOW}")
    return path


def clean(page: str) -> str:
    """The running text of a page in MediaWiki's markup: no templates, tables, references, headings, pictures.

    Example:
        >>> clean("'''Ants''' {{fact|by={{who}}}} are [[eusocial|social]] [[insect]]s.<ref>Book</ref> [[File:a.jpg|An [[ant]]]]")
        'Ants  are social insects. '
    """
    for pattern in GONE:
        page = pattern.sub(" ", page)
    for pattern in NESTED:
        page = until_same(page, partial(pattern.sub, ""))
    page = until_same(OUTSIDE_LINK.sub(r"\1", page), partial(LINK.sub, _shown))
    page = HEADING.sub("", MAGIC.sub("", QUOTES.sub("", page)))
    return html.unescape(LIST_MARK.sub("", TAG.sub(" ", page)))


def until_same(text: str, change: Callable[[str], str]) -> str:
    """Change a text until nothing changes: what is nested goes from the inside out."""
    while (changed := change(text)) != text:
        text = changed
    return text


def _shown(link: re.Match[str]) -> str:
    """What a link shows; pictures, categories and other languages show nothing."""
    target, _, label = link[1].partition("|")
    if ":" in target and not target.startswith(":"):
        return ""
    return label.rpartition("|")[2] or target


def sentences(text: str) -> list[str]:
    """The sentences of a text whose paragraphs are lines; those of fewer than three words are left out.

    Example:
        >>> sentences("One goes on here. Then comes \\"the second\\" one! No.")
        ['One goes on here.', 'Then comes "the second" one!']
    """
    found = (" ".join(one.split()) for line in text.splitlines() for one in SENTENCE_END.split(line))
    return [one for one in found if one.count(" ") >= LEAST_WORDS - 1]
