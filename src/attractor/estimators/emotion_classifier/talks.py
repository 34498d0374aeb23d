"""Lists of dialogues as people have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from attractor.language.iamm import tokenise


class Talk(NamedTuple):
    """A dialogue as words."""

    utterances: tuple[tuple[str, ...], ...]
    situation: tuple[str, ...]


def talks_of(X: Any) -> list[Talk]:
    """Dialogues as words.

    Example:
        >>> talks_of([["My dog died.", "Oh!"]])
        [Talk(utterances=(('my', 'dog', 'died', '.'), ('oh', '!')), situation=())]
    """
    if isinstance(X, str | dict) or not isinstance(X, Iterable):
        raise TypeError(f"X must be a sequence of dialogues, got {type(X).__name__}")
    talks = [talk_of(f"X[{place}]", one) for place, one in enumerate(X)]
    if not talks:
        raise ValueError("X must hold at least one dialogue, got none")
    return talks


def talk_of(name: str, one: Any) -> Talk:
    said = getattr(one, "context", one)
    if isinstance(said, str | dict) or not isinstance(said, Iterable):
        raise TypeError(f"{name} must be a sequence of utterances, or have them as its context, got {type(said).__name__}")
    utterances = tuple(words_of(name, text) for text in said)
    if not utterances:
        raise ValueError(f"{name} must have at least one utterance, got none")
    return Talk(utterances, words_of(name, getattr(one, "situation", "")))


def words_of(name: str, text: Any) -> tuple[str, ...]:
    if isinstance(text, str):
        return tuple(tokenise(text))
    if not isinstance(text, list | tuple) or not all(isinstance(word, str) for word in text):
        raise TypeError(f"{name} must hold texts, or lists of their words, got {text!r}")
    return tuple(text)
