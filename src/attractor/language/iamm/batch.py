"""Dialogues, and batches of them as tensors of ids.

A word outside the vocabulary of `V` words has an id from `V` on, numbered over all utterances of its dialogue: the model reads it
as UNK, and can copy it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from attractor.validation import check_count, shorten

UNK, PAD, EOS, SOS, USR, SYS, CLS = range(7)
SPECIAL = ("<unk>", "<pad>", "<eos>", "<sos>", "<usr>", "<sys>", "<cls>")
"""The first words of every vocabulary: unknown, padding, end, start, user, system, and what stands in front of each text."""


@dataclass(frozen=True)
class Dialogue:
    """One dialogue as ids, without special ones in front or at the end. `Vocabulary.dialogue` makes it from words.

    Attributes:
        utterances: of the user and the system in turn, the user first.
        situation: what the user is telling about; may be empty.
        response: of the system, to learn or to score.
        label: the emotion, from 0.
        unknown: the words outside the vocabulary; the ids from `V` on number them.
        knowledge: for each utterance the words of each relation.
        situation_knowledge: for each relation the words.
    """

    utterances: Sequence[Sequence[int]]
    situation: Sequence[int] = ()
    response: Sequence[int] | None = None
    label: int | None = None
    unknown: Sequence[str] = ()
    knowledge: Sequence[Sequence[Sequence[int]]] | None = None
    situation_knowledge: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True, eq=False)
class DialogueBatch:
    """Dialogues side by side: int64 ids, filled up at the end with PAD. `collate` makes it.

    Attributes:
        utterances: `(b, U, n)`, CLS in front of each; ids below `vocabulary + unknown`. Utterances that a dialogue does not have
            are PAD throughout, and come last.
        situation: `(b, m)`, CLS in front.
        vocabulary: the number of words that the model knows.
        unknown: the largest number of unknown words of a dialogue.
        response: `(b, T)`, EOS at the end; an unknown word must stand in the utterances of its dialogue. May be None.
        labels: `(b,)`. May be None.
        knowledge: `(b, U, R, c)`, for each utterance and relation a sequence with CLS in front. May be None.
        situation_knowledge: `(b, R, c)`. None where `knowledge` is None.

    Raises:
        TypeError: a tensor that is none, or not int64.
        ValueError: other shapes, ids out of their range, padding in front of words, a text without CLS, a dialogue without an
            utterance.
    """

    utterances: Tensor
    situation: Tensor
    vocabulary: int
    unknown: int = 0
    response: Tensor | None = None
    labels: Tensor | None = None
    knowledge: Tensor | None = None
    situation_knowledge: Tensor | None = None

    def __post_init__(self) -> None:
        least = check_count("vocabulary", self.vocabulary, len(SPECIAL) + 1)
        most = least + check_count("unknown", self.unknown, 0)
        check_texts("utterances", self.utterances, 3, most)
        size, count = self.utterances.shape[:2]
        present = self.utterances[..., 0] != PAD
        empty = (~present.any(1)).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"utterances must hold at least one of each dialogue, dialogues that are all padding: {shorten(empty)}"
            )
        if bool((present[:, 1:] & ~present[:, :-1]).any()):
            raise ValueError("utterances must have those that are padding at the end of each dialogue")
        check_texts("situation", self.situation, 2, self.vocabulary, (size,), present.new_ones(size))
        if (self.knowledge is None) != (self.situation_knowledge is None):
            raise ValueError("knowledge and situation_knowledge must be given together, got one of them")
        if self.knowledge is not None and self.situation_knowledge is not None:
            relations = self.situation_knowledge.shape[1] if self.situation_knowledge.dim() == 3 else 0
            shown = present[..., None].expand(size, count, relations)
            check_texts("knowledge", self.knowledge, 4, self.vocabulary, (size, count, relations), shown)
            whole = present.new_ones(size, relations)
            check_texts("situation_knowledge", self.situation_knowledge, 3, self.vocabulary, (size, relations), whole)
        if self.labels is not None:
            check_int64("labels", self.labels)
            if self.labels.shape != (size,) or bool((self.labels < 0).any()):
                raise ValueError(
                    f"labels must have shape ({size},) and be from 0, got {tuple(self.labels.shape)}: {self.labels.tolist()}"
                )
        if self.response is not None:
            self._check_response(self.response, size, most)

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def counts(self) -> Tensor:
        """How many utterances each dialogue has, `(b,)`."""
        return (self.utterances[..., 0] != PAD).sum(1)

    def to(self, device: str | torch.device) -> DialogueBatch:
        """The same on another device."""
        moved = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                # what has been checked need not be checked there again
                object.__setattr__(moved, name, value.to(device))
        return moved

    def _check_response(self, response: Tensor, size: int, most: int) -> None:
        check_ids("response", response, 2, most)
        mask = response != PAD
        if len(response) != size or response.shape[1] == 0 or bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError(f"response must have shape ({size}, T) with padding at the end only, got {tuple(response.shape)}")
        last = response.gather(1, (mask.sum(1, keepdim=True) - 1).clamp_min(0))
        if not bool((last == EOS).all()):
            raise ValueError("response must end with EOS in each dialogue")
        copied = (response[..., None] == self.utterances.flatten(1)[:, None]).any(-1)
        lost = ((response >= self.vocabulary) & ~copied).any(1).nonzero().flatten().tolist()
        if lost:
            raise ValueError(f"response must take unknown words from the utterances, dialogues where it does not: {shorten(lost)}")


def collate(dialogues: Sequence[Dialogue], vocabulary: int) -> DialogueBatch:
    """A batch of dialogues for a model that knows `vocabulary` words.

    Raises:
        TypeError: what is no list of dialogues, or an id or a label that is no integer.
        ValueError: no dialogues, one without utterances, a special id or one that its dialogue has no word for, some with and some
            without a response, label or knowledge; else as `DialogueBatch`.

    Example:
        >>> batch = collate([Dialogue([[10, 11, 12], [13]]), Dialogue([[14]])], vocabulary=20)
        >>> batch.utterances[0].tolist(), batch.counts.tolist()
        ([[6, 10, 11, 12], [6, 13, 1, 1]], [2, 1])
    """
    check_dialogues(dialogues, vocabulary)
    silent = [place for place, one in enumerate(dialogues) if len(one.utterances) == 0]
    if silent:
        raise ValueError(f"dialogues must have at least one utterance each, those without: {shorten(silent)}")
    for name in ("response", "label", "knowledge", "situation_knowledge"):
        given = [getattr(one, name) is not None for one in dialogues]
        if any(given) and not all(given):
            raise ValueError(f"dialogues must all have {name}, or none of them, missing at {given.index(False)}")
    first = dialogues[0]
    knowledge = [[[[CLS, *words] for words in one] for one in each.knowledge or ()] for each in dialogues]
    scene = [[[CLS, *words] for words in each.situation_knowledge or ()] for each in dialogues]
    return DialogueBatch(
        padded([[[CLS, *words] for words in each.utterances] for each in dialogues], 3),
        padded([[CLS, *each.situation] for each in dialogues], 2),
        vocabulary,
        max(len(each.unknown) for each in dialogues),
        None if first.response is None else padded([[*(each.response or ()), EOS] for each in dialogues], 2),
        None if first.label is None else torch.tensor([each.label for each in dialogues]),
        None if first.knowledge is None else padded(knowledge, 4),
        None if first.situation_knowledge is None else padded(scene, 3),
    )


def check_dialogues(dialogues: Sequence[Dialogue], vocabulary: int) -> None:
    """Lists of integers as deep as they should be; whether an id is valid depends on its own dialogue alone."""
    check_count("vocabulary", vocabulary, len(SPECIAL) + 1)
    if isinstance(dialogues, Dialogue):
        raise TypeError("dialogues must be a list, got one Dialogue")
    if len(dialogues) == 0:
        raise ValueError("dialogues must hold at least one, got none")
    for place, each in enumerate(dialogues):
        if not isinstance(each, Dialogue):
            raise TypeError(f"dialogues must hold Dialogue only, got {type(each).__name__} at {place}")
        said = vocabulary + len(each.unknown)
        check_nested(f"utterances of dialogue {place}", each.utterances, 2, said)
        check_nested(f"situation of dialogue {place}", each.situation, 1, vocabulary)
        check_nested(f"response of dialogue {place}", () if each.response is None else each.response, 1, said)
        check_nested(f"knowledge of dialogue {place}", () if each.knowledge is None else each.knowledge, 3, vocabulary)
        scene = () if each.situation_knowledge is None else each.situation_knowledge
        check_nested(f"situation_knowledge of dialogue {place}", scene, 2, vocabulary)
        if each.label is not None:
            check_count(f"label of dialogue {place}", each.label, 0)


def check_nested(name: str, nested: Any, axes: int, most: int) -> None:
    if isinstance(nested, str) or not isinstance(nested, Iterable):
        raise TypeError(f"{name} must be a list of {'lists of ' * (axes - 1)}ids, got {nested!r} in its place")
    for part in nested:
        if axes > 1:
            check_nested(name, part, axes - 1, most)
        elif isinstance(part, bool) or not isinstance(part, Integral):
            raise TypeError(f"{name} must hold integers, got {part!r}")
        elif not 0 <= int(part) < most:
            raise ValueError(f"{name} must hold ids from 0 to {most - 1}, got {part}")
        elif UNK < int(part) < len(SPECIAL):
            raise ValueError(f"{name} must hold ids of words, got {part}, which is {SPECIAL[int(part)]}")


def padded(nested: Sequence[Any], axes: int) -> Tensor:
    """Ids in lists `axes` deep as one tensor, filled up with PAD."""
    tensor = torch.full(extents(nested, axes), PAD)
    fill(tensor, nested)
    return tensor


def extents(nested: Sequence[Any], axes: int) -> list[int]:
    """The largest length at each depth."""
    if axes == 1:
        return [len(nested)]
    within = [extents(part, axes - 1) for part in nested]
    return [len(nested), *(max(sizes) for sizes in zip(*within, strict=True))] if within else [0] * axes


def fill(tensor: Tensor, nested: Sequence[Any]) -> None:
    if tensor.dim() == 1:
        tensor[: len(nested)] = torch.tensor(nested, dtype=torch.int64)
        return
    for row, part in zip(tensor, nested, strict=False):
        fill(row, part)


def check_texts(
    name: str, ids: Tensor, axes: int, most: int, leading: tuple[int, ...] | None = None, present: Tensor | None = None
) -> None:
    """Texts `(*leading, n)` with CLS in front and padding at the end; where `present (*leading)` is False, padding throughout."""
    check_ids(name, ids, axes, most)
    if 0 in ids.shape or (leading is not None and ids.shape[:-1] != leading):
        expected = "" if leading is None else f" {(*leading, '...')}"
        raise ValueError(f"{name} must have shape{expected} with no axis of length 0, got {tuple(ids.shape)}")
    mask = ids != PAD
    if bool((mask[..., 1:] & ~mask[..., :-1]).any()):
        raise ValueError(f"{name} must have padding at the end of each text only")
    begins = ids[..., 0] == CLS
    if present is None:
        present = mask[..., 0]
    if not bool((begins == present).all()):
        raise ValueError(f"{name} must have CLS = {CLS} in front of each text, and nothing where there is no text")


def check_ids(name: str, ids: Tensor, axes: int, most: int) -> None:
    check_int64(name, ids)
    if ids.dim() != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {tuple(ids.shape)}")
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < most:
        raise ValueError(f"{name} must hold ids from 0 to {most - 1}, got {int(ids.min())} to {int(ids.max())}")


def check_int64(name: str, ids: Tensor) -> None:
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
        came = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"{name} must be an int64 tensor of ids, got {came}")
