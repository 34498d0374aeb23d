"""One measured recall: both scores, error, steps, time and the energy check, and the baselines with the same information."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attractor.app.contenders import Contender
from attractor.data import Corruption, ImageSet, exact, identified, nearest_neighbour
from attractor.errors import AttractorWarning
from attractor.memory import DenseMemory, Encoded, Memory, Recall

BINARISED = "nearest, binarised"
CHECKED = 50
"""How many cues of a task the energy is followed for."""
ROUNDING = 1e-10
"""Relative rise of an energy in float64 that is rounding and nothing else."""


@dataclass(frozen=True, eq=False)
class Task:
    """Cues to recall.

    Attributes:
        damage: what happened to them, in words.
        cues: `(b, d)`.
        known: `(b, d)` where the memory is told what to trust, else None.
        rows: `(b,)` which stored row each cue was made from.
    """

    damage: str
    cues: Tensor
    known: Tensor | None
    rows: Tensor

    @classmethod
    def of(cls, damage: Corruption, stored: ImageSet, count: int, *, mask_given: bool, seed: int) -> Task:
        """The first `count` stored items, damaged."""
        generator = torch.Generator().manual_seed(seed)
        cues, known = damage(stored.patterns[:count], shape=stored.shape, generator=generator)
        return cls(damage.name, cues, known if mask_given else None, torch.arange(count))


@dataclass(frozen=True)
class Row:
    """A line of a table: what a memory, or a baseline, made of a task. None where it does not apply.

    `energy_rise` is the largest rise along any trace relative to the energy, negative or 0 where it only fell.
    """

    damage: str
    mask_given: bool
    memory: str
    baseline: bool
    exact: float | None = None
    identified: float | None = None
    mean_squared_error: float | None = None
    steps_median: float | None = None
    steps_max: int | None = None
    ms_per_cue: float | None = None
    energy_law: bool | None = None
    energy_rise: float | None = None
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Entrant:
    """A contender with the data stored in it.

    Args:
        contender: which memory.
        stored: the items.
        low, high: ends of the data's range; in their middle data becomes -1 and 1 for a binary memory.
        check_energy: keep a twin in float64, in which the energy law is checked to the last digits.
    """

    def __init__(self, contender: Contender, stored: ImageSet, low: float, high: float, *, check_energy: bool):
        self.contender = contender
        self.stored = stored
        self.notes: list[str] = []
        self.memory = contender.build(stored.dim, low, high)
        self.misfit = self._misfit()
        if self.misfit is None:
            self._filled(self.memory, stored.patterns)
        self.twin: Memory | None = None
        if check_energy and self.misfit is None:
            self.twin = self._filled(contender.build(stored.dim, low, high), stored.patterns.double())

    def _filled(self, memory: Memory, patterns: Tensor) -> Memory:
        self._noting(lambda: memory.store(patterns))
        if self.contender.learn is not None:
            self.contender.learn(memory)
        return memory

    def _misfit(self) -> str | None:
        if self.contender.misfit is None:
            return None
        patterns = self.stored.patterns
        codes = self.memory.encoder.encode(patterns) if isinstance(self.memory, Encoded) else patterns
        return self.contender.misfit(self.inner, codes)

    @property
    def inner(self) -> Memory:
        """The memory behind the encoder."""
        return self.memory.memory if isinstance(self.memory, Encoded) else self.memory

    @property
    def beta(self) -> float | None:
        """The inverse temperature in use."""
        beta = self.inner.beta if isinstance(self.inner, DenseMemory) else None
        return None if beta is None else float(beta)

    def recall(self, task: Task) -> tuple[Row, Tensor | None]:
        """The line of this memory and what it recalled, None where the data do not suit it or it refuses the cues."""
        row = Row(task.damage, task.known is not None, self.contender.title, baseline=False, note=self.misfit)
        if self.misfit is not None:
            return row, None
        try:
            self._noting(lambda: self.memory.recall(task.cues[:1], first_known(task)))
            start = time.perf_counter()
            recalled = self._noting(lambda: self.memory.recall(task.cues, task.known))
            seconds = time.perf_counter() - start
        except ValueError as error:
            return replace(row, note=str(error)), None
        row = replace(
            judged(row, recalled.patterns, task, self.stored),
            steps_median=float(recalled.steps.double().median()),
            steps_max=int(recalled.steps.max()),
            ms_per_cue=1e3 * seconds / len(task.cues),
        )
        if recalled.energy is not None and self.twin is not None:
            row = replace(row, energy_law=self.contender.monotone, energy_rise=self._rise(task))
        return row, recalled.patterns

    def _rise(self, task: Task) -> float | None:
        assert self.twin is not None
        twin: Any = self.twin
        some = slice(CHECKED)
        known = None if task.known is None else task.known[some]
        recalled: Recall = self._noting(lambda: twin.recall(task.cues[some].double(), known, trace=True))
        if recalled.trace is None or recalled.trace.energies is None:
            return None
        energies = recalled.trace.energies
        if len(energies) < 2:
            return 0.0
        return float(((energies[1:] - energies[:-1]) / energies.abs().amax(0).clamp_min(1)).max())

    def _noting(self, work: Callable[[], Any]) -> Any:
        """Keep the memory's own warnings, such as over capacity, for a note below the table."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AttractorWarning)
            result = work()
        for warning in caught:
            note = str(warning.message)
            if note not in self.notes:
                self.notes.append(note)
        return result


def first_known(task: Task) -> Tensor | None:
    return None if task.known is None else task.known[:1]


def judged(row: Row, recalled: Tensor, task: Task, stored: ImageSet) -> Row:
    """The row with its scores."""
    originals = stored.patterns[task.rows]
    return replace(
        row,
        exact=rate(exact(recalled, originals, levels=stored.levels)),
        identified=rate(identified(recalled, task.rows, stored.patterns)),
        mean_squared_error=float((recalled - originals).square().mean()),
    )


def rate(hits: Tensor) -> float:
    return float(hits.double().mean())


def nearest_euclidean(task: Task, stored: ImageSet) -> tuple[Row, Tensor | None]:
    """The baseline: the nearest stored item over the entries that the memory may trust."""
    return _baseline("nearest, Euclidean", task, stored, lambda: nearest_neighbour(task.cues, stored.patterns, known=task.known))


def nearest_cosine(task: Task, stored: ImageSet) -> tuple[Row, Tensor | None]:
    """The baseline of memories that compare directions."""
    memory = DenseMemory(stored.dim, similarity="cosine")
    memory.store(stored.patterns)
    return _baseline("nearest, cosine", task, stored, lambda: memory.nearest(task.cues, known=task.known).ids[:, 0])


def nearest_encoded(task: Task, stored: ImageSet, encoded: Encoded) -> tuple[Row, Tensor | None]:
    """The baseline of memories behind an encoder: nearest among the encoded items, read out through the decoder."""
    encode, decode = encoded.encoder.encode, encoded.encoder.decode
    codes = encode(stored.patterns)
    return _baseline(BINARISED, task, stored, lambda: nearest_neighbour(encode(task.cues), codes, known=task.known), decode(codes))


def _baseline(
    title: str, task: Task, stored: ImageSet, find: Callable[[], Tensor], read_out: Tensor | None = None
) -> tuple[Row, Tensor | None]:
    row = Row(task.damage, task.known is not None, title, baseline=True)
    start = time.perf_counter()
    try:
        index = find()
    except ValueError as error:
        return replace(row, note=str(error)), None
    seconds = time.perf_counter() - start
    recalled = (stored.patterns if read_out is None else read_out)[index]
    if task.known is not None:  # what is known comes back as it came, from memories and baselines alike
        recalled = torch.where(task.known, task.cues, recalled)
    return judged(replace(row, ms_per_cue=1e3 * seconds / len(task.cues)), recalled, task, stored), recalled
