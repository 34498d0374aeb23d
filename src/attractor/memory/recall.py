"""What a recall gives back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Trace:
    """The way of a recall: `states (t, b, d)` and their `energies (t, b)`, None for a memory without an energy.

    Entry 0 is the cue, or the state after the first fill where a mask was given. A sample at rest repeats its last state.

    Example:
        >>> trace = Trace(torch.zeros(3, 1, 2), None)
        >>> len(trace), trace[-1].shape
        (3, torch.Size([1, 2]))
    """

    states: Tensor
    energies: Tensor | None

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: int) -> Tensor:
        """The states `(b, d)` at one step."""
        return self.states[index]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.states)


@dataclass(frozen=True, eq=False)
class Recall:
    """A recall of `b` cues.

    Attributes:
        patterns: `(b, d)`, or `(b, e)` where the memory stores values beside its patterns. A refused cue comes back as given;
            where a mask was given, that is sure of its known entries only.
        index: id `(b,)` of the stored item that won, None for a memory that keeps no items.
        score: `(b,)` similarity between the cue (its known entries) and that item, None without items.
        margin: `(b,)` by how much that exceeds the cue's similarity to any other item that differs from it; negative where the
            recall ended at another item than the nearest, infinite where there is no other.
        accepted: `(b,)` Boolean, False where `reject` refused the cue.
        energy: `(b,)` of the state at rest, None for a memory without an energy.
        steps: `(b,)` how often the state was updated, the first fill included.
        converged: `(b,)` whether the state came to rest within the step limit.
        trace: the way there, where it was asked for.
    """

    patterns: Tensor
    index: Tensor | None
    score: Tensor | None
    margin: Tensor | None
    accepted: Tensor
    energy: Tensor | None
    steps: Tensor
    converged: Tensor
    trace: Trace | None = None

    def __len__(self) -> int:
        return len(self.patterns)

    def __repr__(self) -> str:
        rest = int(self.converged.sum())
        return f"Recall({len(self)} cues, {int(self.accepted.sum())} accepted, {rest} converged, steps <= {int(self.steps.max())})"

    @classmethod
    def join(cls, parts: Sequence[Recall]) -> Recall:
        """One recall of all the cues of several."""
        if len(parts) == 1:
            return parts[0]
        whole = {field.name: cls._joined([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        return cls(**{**whole, "trace": join_traces(parts)})

    @staticmethod
    def _joined(values: Sequence[Any]) -> Any:
        return torch.cat(list(values)) if isinstance(values[0], Tensor) else None


def join_traces(parts: Sequence[Recall]) -> Trace | None:
    traces = [part.trace for part in parts if part.trace is not None]
    if not traces:
        return None
    longest = max(map(len, traces))
    states = torch.cat([extend(trace.states, longest) for trace in traces], 1)
    energies = [extend(trace.energies, longest) for trace in traces if trace.energies is not None]
    return Trace(states, torch.cat(energies, 1) if energies else None)


def extend(steps: Tensor, length: int) -> Tensor:
    """Repeat the last step up to `length`."""
    return torch.cat([steps, steps[-1:].expand(length - len(steps), *steps.shape[1:])])
