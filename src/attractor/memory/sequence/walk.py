"""A network in motion: the states of many steps, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from attractor.memory.sequence.fast import LONGEST_STRIDE, FastSteps, fast_steps
from attractor.memory.sequence.network import Moment, Network, signs, times

Step = Callable[[Network, Moment], Tensor]
"""Moves a network to its next moment and tells the ties `(b,)`: units whose field was zero."""


@dataclass(frozen=True, eq=False)
class Walk:
    """The states of `b` walks of `T` steps, and where each state is.

    Attributes:
        states: `(b, T, d)`.
        index: id `(b, T)` of the stored pattern nearest to each state.
        score: `(b, T)` overlap with it, in [-1, 1].
        margin: `(b, T)` by how much that exceeds the overlap with any other pattern; infinite where there is no other.
        ties: `(b, T)` units whose field was exactly zero; they are set to 1.
    """

    states: Tensor
    index: Tensor
    score: Tensor
    margin: Tensor
    ties: Tensor

    def __len__(self) -> int:
        return len(self.states)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} walks of {self.states.shape[1]} steps, {int(self.ties.sum())} ties)"

    @classmethod
    def join(cls, parts: Sequence[Walk]) -> Walk:
        """The walks of several."""
        return parts[0] if len(parts) == 1 else cls(*(torch.cat([getattr(one, f.name) for one in parts]) for f in fields(cls)))


def walk(network: Network, cues: Tensor, steps: int, step: Step) -> tuple[Tensor, Tensor]:
    """The states `(steps + 1, N, b)` from `cues (b, N)` on, and the ties `(steps, b)`."""
    states = cues.new_empty(steps + 1, cues.shape[1], len(cues))
    states[0] = cues.T
    ties = torch.zeros(steps, len(cues), dtype=torch.int64, device=cues.device)
    fast = fast_steps(network, len(cues)) if step is step_at_once else None
    if fast is not None:
        stride_along(fast, states, ties)
        return states, ties
    moment = network.start(states[0])
    for done in range(steps):
        ties[done] = step(network, moment)
        states[done + 1] = moment.states
    return states, ties


def stride_along(fast: FastSteps, states: Tensor, ties: Tensor) -> None:
    """Fill the states by fast steps, and by a careful one wherever these left a zero."""
    done, stride = 0, 1
    while done < len(ties):
        stop = min(done + stride, len(ties))
        done += fast.run(states[done : stop + 1])
        if done == stop:
            stride = min(2 * stride, LONGEST_STRIDE)
            continue
        moment = fast.network.start(states[done])
        ties[done] = step_at_once(fast.network, moment)
        states[done + 1] = moment.states
        done, stride = done + 1, 1


def step_at_once(network: Network, moment: Moment) -> Tensor:
    """All units by the fields of one moment."""
    exact = network.has_whole_overlaps or network.self_coupling
    fields = network.fields(moment) if exact else network.all_unit_fields(moment)
    network.advance(moment, signs(fields))
    return (fields == 0).sum(0)


def step_one_by_one(generator: torch.Generator) -> Step:
    """One unit after the other, in an order drawn anew for each step."""

    def step(network: Network, moment: Moment) -> Tensor:
        now = Moment(moment.states.clone(), moment.overlaps.clone(), moment.past)
        ties = torch.zeros_like(moment.states[0], dtype=torch.int64)
        for unit in torch.randperm(len(now.states), generator=generator).tolist():
            fields = network.unit_fields(now, unit)
            ties += fields == 0
            change = signs(fields) - now.states[unit]
            if bool(change.any()):
                now.states[unit] += change
                now.overlaps.addr_(network.duals[:, unit], change)
        # counted anew: increments of overlaps that are no whole numbers leave rounding behind
        network.advance(moment, now.states)
        return ties

    return step


def nearest_rows(patterns: Tensor, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, overlap and lead `(b,)` of the pattern nearest to each of `states (N, b)`; copies of it are no rivals."""
    overlaps = times(patterns, states)
    best, row = overlaps.max(0)
    level = overlaps == best
    second = overlaps.masked_fill(level, -torch.inf).amax(0)
    for column in (level.sum(0) > 1).nonzero().flatten().tolist():
        if bool((patterns[level[:, column]] != patterns[row[column]]).any()):
            second[column] = best[column]
    return row, best / patterns.shape[1], (best - second) / patterns.shape[1]
