"""What one page has stored, in several memories, and what each of them makes of a cue.

Memories are built when they are first asked. Those that keep real patterns share one bank.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from attractor.app.contenders import (
    BINARY,
    COSINE,
    ENTROPIC,
    HEBBIAN,
    MANHATTAN,
    PSEUDO_INVERSE,
    SOFT_MAX,
    SPARSEMAX,
    TOP_K,
    Contender,
)
from attractor.app.explore.shelf import caption
from attractor.app.explore.wire import as_bytes
from attractor.app.lookup import finite
from attractor.app.verdict import resemblance, threshold_of
from attractor.bank import RamBank
from attractor.data import ImageSet
from attractor.errors import AttractorWarning
from attractor.memory import DenseMemory, Encoded, Memory, Recall

NEAREST = "nearest"
OFFERED: dict[str, Contender] = {
    "dense": SOFT_MAX,
    "cosine": COSINE,
    "manhattan": MANHATTAN,
    "sparsemax": SPARSEMAX,
    "top-32": TOP_K,
    "binary": BINARY,
    "hebbian": HEBBIAN,
    "pseudo-inverse": PSEUDO_INVERSE,
    "entropic": ENTROPIC,
}
"""Memories that answer while one waits."""
TITLES = {name: contender.title for name, contender in OFFERED.items()} | {NEAREST: "nearest neighbour"}
CHOSEN = ("dense", "cosine", "hebbian", "pseudo-inverse", NEAREST)
COUPLED = ("hebbian", "pseudo-inverse")
WIDEST_COUPLED = 4096
"""Couplings grow with the square of the width."""
MOST_FRAMES = 24


class Stock:
    """Stored images, and the memories that hold them.

    Args:
        images: stored, in [0, 1].
        rest: of the same set, not stored.
    """

    def __init__(self, images: ImageSet, rest: ImageSet):
        self.images, self.rest = images, rest
        self.bank = RamBank(images.dim)
        self.bank.append(images.patterns)
        self._memories: dict[str, Memory] = {}
        self._notes: dict[str, list[str]] = {}
        self._threshold: float | None = None

    def memory(self, name: str) -> Memory:
        """The memory of this name, with the images stored in it.

        Raises:
            ValueError: no such memory, or it does not suit images of this size.
        """
        if name not in OFFERED:
            raise ValueError(f"the memory must be one of {', '.join(TITLES)}, got {name!r}")
        if name in COUPLED and self.images.dim > WIDEST_COUPLED:
            raise ValueError(f"couplings of {self.images.dim:,} entries are more than a page may hold: {WIDEST_COUPLED:,} at most")
        if name not in self._memories:
            memory = OFFERED[name].build(self.images.dim, 0.0, 1.0)
            if isinstance(memory, DenseMemory):
                memory = DenseMemory(bank=self.bank, similarity=memory.similarity, separation=memory.separation, state=memory.state)
            else:
                memory.store(self.images.patterns)
            self._memories[name] = memory
        return self._memories[name]

    def prepare(self, names: Iterable[str]) -> None:
        """Build memories, and let each recall once, so that they answer at once when they are asked; one that cannot is left."""
        for name in names:
            self.recall(name, self.images.patterns[:1], None, None)

    def recall(self, name: str, cue: Tensor, known: Tensor | None, item: int | None) -> dict[str, Any]:
        """What a memory makes of a cue, or why it refuses, as JSON values.

        Args:
            name: of the memory, or `NEAREST`.
            cue: `(1, d)`.
            known: `(1, d)`, True where the memory may trust the cue; None for everywhere.
            item: row that the cue was made from, None for one that is not stored.
        """
        head = {"memory": name, "title": TITLES.get(name, name)}
        try:
            if name == NEAREST:
                return head | self._nearest(cue, known, item)
            memory = self.memory(name)
            notes = self._notes.setdefault(name, [])
            start = time.perf_counter()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", AttractorWarning)
                recalled: Recall = self._traced(memory, cue, known)
            seconds = time.perf_counter() - start
        except (ValueError, TypeError) as error:
            return head | {"error": str(error)}
        notes += [note for note in (str(one.message) for one in caught) if note not in notes]
        ends, distance = self._stored_row(recalled.patterns)
        margin = None if recalled.margin is None else finite(float(recalled.margin[0]))
        return head | {
            "milliseconds": 1e3 * seconds,
            "image": as_bytes(recalled.patterns),
            "winner": self._named(ends if recalled.index is None else int(recalled.index[0]), item),
            "counted": recalled.index is not None,
            "margin": margin,
            "accepted": bool(recalled.accepted[0]),
            "distance": distance,
            "steps": int(recalled.steps[0]),
            "converged": bool(recalled.converged[0]),
            "notes": notes,
            **self._way(memory, cue, known, recalled),
        }

    def verdict(self, cue: Tensor, known: Tensor | None) -> dict[str, Any]:
        """Whether a cue resembles a stored image more than chance would have it."""
        memory = self.memory("dense")
        assert isinstance(memory, DenseMemory)
        mask = None if known is None else known[0]
        if mask is None and self._threshold is None:
            self._threshold = threshold_of(memory, None)
        threshold = threshold_of(memory, mask) if mask is not None or self._threshold is None else self._threshold
        winner = memory.nearest(cue, 1, known).ids[:, 0]
        stands = float(resemblance(memory, cue, mask, winner))
        named = self._named(int(winner), None)
        return {"recognised": stands >= threshold, "resemblance": stands, "threshold": threshold, "nearest": named}

    @staticmethod
    def _traced(memory: Memory, cue: Tensor, known: Tensor | None) -> Recall:
        options: Any = {"trace": True}
        return memory.recall(cue, known, **options)

    def _nearest(self, cue: Tensor, known: Tensor | None, item: int | None) -> dict[str, Any]:
        memory = self.memory("dense")
        assert isinstance(memory, DenseMemory)
        start = time.perf_counter()
        found = memory.nearest(cue, 2, known)
        row = int(found.ids[0, 0])
        answer = self.images.patterns[row][None]
        answer = answer if known is None else torch.where(known, cue, answer)
        return {
            "milliseconds": 1e3 * (time.perf_counter() - start),
            "image": as_bytes(answer),
            "winner": self._named(row, item),
            "counted": True,
            "margin": float(found.scores[0, 0] - found.scores[0, 1]) if found.scores.shape[1] > 1 else None,
            "accepted": True,
            "distance": self._stored_row(answer)[1],
            "steps": 0,
            "converged": True,
            "notes": [],
            "frames": as_bytes(torch.cat([cue, answer])),
            "frame_steps": [0, 1],
            "energies": None,
        }

    def _way(self, memory: Memory, cue: Tensor, known: Tensor | None, recalled: Recall) -> dict[str, Any]:
        """The frames of the trajectory, and the energy at every step; None before the first fill, which has none."""
        assert recalled.trace is not None
        states = recalled.trace.states[:, 0]
        moved = (states[1:] != states[:-1]).any(-1).nonzero()
        states = states[: int(moved.max()) + 2 if len(moved) else 1]  # a last read that changes nothing is no step
        inner = memory.memory if isinstance(memory, Encoded) else memory
        if isinstance(inner, DenseMemory) and inner.similarity.unit:  # directions: drawn in the units of what came back
            states = states * (recalled.patterns.norm() / states.norm(dim=-1, keepdim=True).clamp_min(1e-12))
        states = torch.cat([states[:-1], recalled.patterns])
        energies = None
        if recalled.trace.energies is not None:
            energies = [finite(float(one)) for one in recalled.trace.energies[: len(states), 0]]
        if known is not None:
            states = torch.cat([cue, states])
            energies = None if energies is None else [None, *energies]
        picked = torch.linspace(0, len(states) - 1, min(MOST_FRAMES, len(states))).round().long()
        return {"frames": as_bytes(states[picked]), "frame_steps": picked.tolist(), "energies": energies}

    def _stored_row(self, patterns: Tensor) -> tuple[int, float]:
        """The stored row nearest to a pattern `(1, d)`, and the root mean squared difference."""
        distances = torch.cdist(patterns.float(), self.images.patterns)[0]
        row = int(distances.argmin())
        return row, float(distances[row]) / math.sqrt(self.images.dim)

    def _named(self, row: int, item: int | None) -> dict[str, Any]:
        """A stored row; `right` says whether it equals the one that the cue was made from."""
        patterns = self.images.patterns
        right = None if item is None else bool((patterns[row] == patterns[item]).all())
        return {"row": row, "caption": caption(self.images, row), "image": as_bytes(patterns[row]), "right": right}
