"""Recall over all clusters: each corrects what it sees and keeps that only where it ends satisfied, sweep after sweep.

A cluster with too many errors leaves its neurons as they were, and meets fewer errors once its neighbours have corrected theirs.
Whether it is satisfied its own constraint neurons say: no cluster is told what was stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.memory.constraint.decoding import MARGIN, BitFlipping, Check, correct
from attractor.memory.constraint.learning import Constraints


class Graph:
    """The constraints of all clusters, in one precision.

    Args:
        constraints: of each cluster.
        dim: number of pattern neurons.
        dtype: of the states that will be read.
        limits: between which neurons stay.

    Attributes:
        matrix: `(constraints, dim)`, sparse.
        residuals: for each cluster, how far off a constraint may read of a stored pattern, rounding included.
    """

    def __init__(self, constraints: Sequence[Constraints], dim: int, dtype: torch.dtype, limits: tuple[float, float]):
        self.members = [one.members.to(one.rows.device) for one in constraints]
        self.rows = [one.rows.to(dtype) for one in constraints]
        self.limits = limits
        unit = torch.finfo(dtype).eps * max(map(abs, limits))
        self.residuals = [one.residual + unit * float(one.rows.abs().sum(1).max()) for one in constraints]
        whole = torch.cat(
            [
                torch.zeros(len(rows), dim, dtype=dtype, device=rows.device).index_copy_(1, members, rows)
                for members, rows in zip(self.members, self.rows, strict=True)
            ]
        )
        self.matrix = whole.to_sparse()
        off = [torch.full((len(rows),), residual + MARGIN) for rows, residual in zip(self.rows, self.residuals, strict=True)]
        self.allowed = torch.cat(off).to(whole)[:, None]

    def satisfied(self, states: Tensor) -> Tensor:
        """Whether every constraint holds of `states (b, dim)`, read without noise, `(b,)`."""
        return (torch.sparse.mm(self.matrix, states.T).abs() < self.allowed).all(0)

    def checks(self, how: BitFlipping) -> list[Check]:
        """Each cluster as `how` reads it."""
        return [Check.of(rows, how.silent_below(off)) for rows, off in zip(self.rows, self.residuals, strict=True)]


class Peeled(NamedTuple):
    """`states (b, dim)`, whether all their constraints hold `(b,)`, the sweeps it took `(b,)`, and the states after each."""

    states: Tensor
    satisfied: Tensor
    sweeps: Tensor
    way: list[Tensor]


def peel(
    graph: Graph,
    states: Tensor,
    how: BitFlipping,
    generator: torch.Generator,
    free: Tensor | None = None,
) -> Peeled:
    """Correct `states (b, dim)`, of which the neurons in `free (b, dim)` may move.

    Without noise a cue ends when a sweep has changed nothing.
    """
    checks = graph.checks(how)
    satisfied = graph.satisfied(states)
    sweeps = torch.zeros(len(states), dtype=torch.int64, device=states.device)
    active, way = (~satisfied).nonzero().flatten(), [states]
    for _ in range(how.sweeps):
        if len(active) == 0:
            break
        before = states[active]
        after = sweep(graph, checks, before, how, generator, None if free is None else free[active])
        states = states.index_copy(0, active, after)
        way.append(states)
        sweeps[active] += 1
        done = graph.satisfied(after)
        satisfied[active] = done
        still = ~done if not how.deterministic else ~done & (after != before).any(1)
        active = active[still]
    return Peeled(states, satisfied, sweeps, way)


def sweep(
    graph: Graph,
    checks: Sequence[Check],
    states: Tensor,
    how: BitFlipping,
    generator: torch.Generator,
    free: Tensor | None,
) -> Tensor:
    """The states after every cluster has had its turn.

    They take turns: of random clusters nearly every pair shares neurons (of the paper's 1,225 pairs all but 39), so that hardly two
    could go side by side. The cues of a batch do.
    """
    states = states.clone()
    for members, check in zip(graph.members, checks, strict=True):
        movable = None if free is None else free[:, members]
        states[:, members], _ = correct(check, states[:, members], how, generator, graph.limits, movable)
    return states
