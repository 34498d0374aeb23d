"""Emotions of turns by the words that are in them: labels that cost nothing, and are no better than a lexicon.

The lexicon is the NRC's (Mohammad and Turney 2013) as the package nrclex ships it: words with eight emotions (Plutchik), and
whether they are positive or negative. Its words are hidden in the turn that they label, so that the emotion must be told from all
the rest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attractor.data.dialogues import Exchange, package_file, text_of, tokenise
from attractor.validation import check_count

WEAK_EMOTIONS = ("anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")
HIDDEN = "<unk>"
"""Stands for a hidden word."""


@dataclass(frozen=True)
class LabelledExchange:
    """An exchange in words, with the emotion of the last turn before the response.

    Args:
        conversation: its id.
        context: words of the turns; in the last one those of the lexicon are `HIDDEN`.
        response: words.
        situation: words.
        label: place of the emotion in `WEAK_EMOTIONS`.
        source: the exchange as it was, nothing hidden.
    """

    conversation: str
    context: tuple[tuple[str, ...], ...]
    response: tuple[str, ...]
    situation: tuple[str, ...]
    label: int
    source: Exchange


def weakly_labelled(
    found: Iterable[Exchange], lexicon: Mapping[str, Sequence[str]], *, longest: int = 30
) -> list[LabelledExchange]:
    """Exchanges whose last turn before the response has one most frequent emotion; the others are left out.

    Args:
        found: exchanges.
        lexicon: emotions of words, as of `load_emotion_lexicon`.
        longest: words of each text; the rest is cut off before labels are given.

    Raises:
        TypeError, ValueError: `longest` below 1.

    Example:
        >>> one = Exchange("1", ("I hate my happy angry boss",), "Why?")
        >>> (labelled,) = weakly_labelled([one], {"hate": ["anger"], "angry": ["anger"], "happy": ["joy", "positive"]})
        >>> WEAK_EMOTIONS[labelled.label], labelled.context
        ('anger', (('i', '<unk>', 'my', '<unk>', '<unk>', 'boss'),))
    """
    most = check_count("longest", longest)
    labelled = []
    for one in found:
        *before, last = one.context
        words = cut(last, most)
        label = emotion_of(words, lexicon)
        response = () if label is None else cut(one.response, most)
        if label is not None and response:
            hidden = tuple(HIDDEN if word in lexicon else word for word in words)
            context = (*(cut(text, most) for text in before), hidden)
            labelled.append(LabelledExchange(one.conversation, context, response, cut(one.situation, most), label, one))
    return labelled


def cut(text: str, most: int) -> tuple[str, ...]:
    """Its first words."""
    return tuple(tokenise(text)[:most])


def emotion_of(words: Sequence[str], lexicon: Mapping[str, Sequence[str]]) -> int | None:
    """The place of the most frequent emotion of a text; None where there is none, or more than one."""
    counts = Counter(emotion for word in words for emotion in lexicon.get(word, ()) if emotion in WEAK_EMOTIONS)
    first, second = [*counts.most_common(2), ("", 0), ("", 0)][:2]
    return WEAK_EMOTIONS.index(first[0]) if first[1] > second[1] else None


def load_emotion_lexicon(*, root: str | Path | None = None) -> dict[str, tuple[str, ...]]:
    """What words suggest: some of `WEAK_EMOTIONS`, "positive", "negative". The package nrclex is read and not imported.

    Args:
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: the package is not on this machine; the message says how to get it.
        ValueError: its file is damaged.
    """
    path = package_file("nrclex", "data/nrc_en.json", "the words of nrclex are", root)
    allowed = {*WEAK_EMOTIONS, "positive", "negative"}
    try:
        lexicon = {word: tuple(given) for word, given in json.loads(text_of(path)).items()}
        if not all(allowed.issuperset(given) for given in lexicon.values()):
            raise ValueError(f"some words have others than {sorted(allowed)}")
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} must hold words with their emotions: {error}") from error
    return lexicon
