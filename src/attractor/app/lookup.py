"""Recall from the user's own bank: which stored item a cue speaks for, how clearly, and the item itself."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from attractor.app.collection import name_of
from attractor.app.verdict import resemblance, threshold_of
from attractor.bank import DiskBank
from attractor.data import ImageSet
from attractor.memory import DenseMemory


@dataclass(frozen=True)
class Answer:
    """What became of one cue. `name` and `id` are the stored item that it came nearest to, recognised or not."""

    cue: str
    recognised: bool
    name: str
    id: int
    resemblance: float
    score: float
    margin: float | None
    steps: int
    energy: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self, threshold: float) -> str:
        if self.recognised:
            return f"{self.cue} is {self.name}"
        return (
            f"{self.cue} resembles nothing stored: nearest is {self.name}, at {self.resemblance:.2f} where {threshold:.2f} is asked"
        )


@dataclass(frozen=True, eq=False)
class Lookup:
    """The answers to all cues, the patterns recalled for them, the resemblance that was asked, whether a mask was given."""

    answers: list[Answer]
    patterns: Tensor
    threshold: float
    masked: bool
    memory: str
    beta: float


def look_up(bank: DiskBank, cues: ImageSet, mask: Tensor | None, similarity: str, reject: float | None) -> Lookup:
    """Recall `cues` from `bank` and judge each.

    Args:
        bank: not empty.
        cues: of the bank's width.
        mask: `(d,)`, True where cues are trusted.
        similarity: name of the similarity to compare with.
        reject: resemblance below which a cue is refused. Default: `verdict.threshold_of` the bank.
    """
    memory = DenseMemory(bank=bank, similarity=similarity)
    threshold = threshold_of(memory, mask) if reject is None else reject
    patterns = cues.patterns.to(bank.dtype)
    recalled = memory.recall(patterns, None if mask is None else mask.expand(len(patterns), -1))
    assert recalled.index is not None and recalled.score is not None and recalled.margin is not None
    assert recalled.energy is not None and memory.beta is not None
    standing = resemblance(memory, patterns, mask, recalled.index).tolist()
    names = name_of(bank, recalled.index)
    cue_names = cues.names or tuple(f"cue {row}" for row in range(len(cues)))
    answers = [
        Answer(
            cue=cue_names[row],
            recognised=standing[row] >= threshold,
            name=names[row],
            id=int(recalled.index[row]),
            resemblance=standing[row],
            score=float(recalled.score[row]),
            margin=finite(float(recalled.margin[row])),
            steps=int(recalled.steps[row]),
            energy=float(recalled.energy[row]),
        )
        for row in range(len(cues))
    ]
    return Lookup(answers, recalled.patterns, threshold, mask is not None, f"soft-max, {similarity}", float(memory.beta))


def finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
