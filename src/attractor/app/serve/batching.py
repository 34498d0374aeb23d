"""Micro-batches: cues that wait while a recall is running are recalled together by the next one, and so is their metadata.

Nobody waits for others to come: a single client meets no delay, and under load the batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from attractor.memory import DenseMemory, Recall

Metadata = list[dict[str, Any] | None]
Found = tuple[Recall, Metadata]
Answer = Found | Exception


@dataclass(eq=False)
class Question:
    """Cues of one client, and the promise of their recall and of the metadata of what is recalled."""

    cues: Tensor
    known: Tensor | None
    reject: float | None
    answer: asyncio.Future[Found] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def joins(self, other: Question) -> bool:
        """Whether one call can recall both."""
        return self.reject == other.reject and (self.known is None) == (other.known is None)


class Batcher:
    """Recalls for many clients at once.

    Args:
        memory: what recalls.
        run: carries out a call that takes long, beside the event loop.
        rows: most cues of one batch, where a single question does not bring more.
    """

    def __init__(self, memory: DenseMemory, run: Callable[[Callable[[], Any]], Awaitable[Any]], rows: int):
        self.memory, self.rows = memory, rows
        self.cues = self.batches = 0
        self._run = run
        self._waiting: list[Question] = []
        self._work: asyncio.Task[None] | None = None

    async def recall(self, cues: Tensor, known: Tensor | None, reject: float | None) -> Found:
        """As `memory.recall`, in the company of what else waits; the mistake of one question is not that of others.

        Args:
            cues: in float64; they are recalled in the precision of the bank.
        """
        question = Question(cues, known, reject)
        self._waiting.append(question)
        if self._work is None:
            self._work = asyncio.create_task(self._answer_all())
        return await question.answer

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                try:
                    answers: Sequence[Answer] = await self._run(partial(answered, self.memory, batch))
                except Exception as error:  # nobody may wait for ever
                    answers = [error] * len(batch)
                self.batches += 1
                self.cues += sum(len(question.cues) for question in batch)
                for question, answer in zip(batch, answers, strict=True):
                    if question.answer.done():
                        continue
                    if isinstance(answer, Exception):
                        question.answer.set_exception(answer)
                    else:
                        question.answer.set_result(answer)
        finally:
            self._work = None

    def _next(self) -> list[Question]:
        """The question that waits longest, and those that can join it, in their order."""
        batch, rest, rows = [self._waiting[0]], [], len(self._waiting[0].cues)
        for question in self._waiting[1:]:
            if question.joins(batch[0]) and rows + len(question.cues) <= self.rows:
                batch.append(question)
                rows += len(question.cues)
            else:
                rest.append(question)
        self._waiting = rest
        return batch


def answered(memory: DenseMemory, batch: list[Question]) -> list[Answer]:
    """The recall of each question, or what was wrong with it."""
    masks = [question.known for question in batch if question.known is not None]
    try:
        cues = torch.cat([question.cues for question in batch]).to(memory.bank.dtype or torch.float32)
        recall = memory.recall(cues, torch.cat(masks) if masks else None, reject=batch[0].reject)
        assert recall.index is not None
        metadata = memory.bank.metadata(recall.index)
    except Exception as error:
        if len(batch) == 1:
            return [error]
        return [answer for question in batch for answer in answered(memory, [question])]
    return split(recall, metadata, [len(question.cues) for question in batch])


def split(recall: Recall, metadata: Metadata, counts: list[int]) -> list[Answer]:
    """A recall of each run of so many cues, with its metadata."""
    names = ("patterns", "index", "score", "margin", "accepted", "energy", "steps", "converged")
    parts = {name: whole.split(counts) for name in names if (whole := getattr(recall, name)) is not None}

    def part(place: int) -> dict[str, Any]:
        return {name: parts[name][place] if name in parts else None for name in names}

    entries = iter(metadata)
    return [(Recall(**part(place)), list(islice(entries, count))) for place, count in enumerate(counts)]
