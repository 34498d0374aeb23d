"""The loop of a recall: read, move, until each sample is at rest. Samples at rest are not read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attractor.memory.flips import flip_units
from attractor.memory.recall import Trace
from attractor.memory.states import Binary
from attractor.read import ReadOut

if TYPE_CHECKING:
    from attractor.memory.dense import DenseMemory


@dataclass(frozen=True, eq=False)
class Descent:
    """Where `b` cues ended.

    Attributes:
        first: the answer to the cues themselves, over their known entries.
        states: `(b, d)` at rest or at the step limit.
        read_out: `(b, d)` of the last read of each sample.
        winners: ids `(b,)` of the best row at the last read.
        energies: `(b,)` at the last read.
        lead: `(b,)` best score minus potential at the last read; with weights that sum to one, how alone the winner stands.
        steps, converged: `(b,)`.
        trace: the way there, where it was asked for.
    """

    first: ReadOut
    states: Tensor
    read_out: Tensor
    winners: Tensor
    energies: Tensor
    lead: Tensor
    steps: Tensor
    converged: Tensor
    trace: Trace | None


def descend(
    memory: DenseMemory, cues: Tensor, known: Tensor | None, tol: float, max_steps: int, keep_trace: bool, seed: int
) -> Descent:
    """Let `cues (b, d)` fall to rest."""
    steps = torch.zeros(len(cues), dtype=torch.int64, device=cues.device)
    first = None
    states = cues
    if known is not None:
        first = memory.read_state(cues, known)
        states = memory.moves.fill(cues, known, first.values)
        steps += 1
    flipper = Flipper(memory, seed) if isinstance(memory.moves, Binary) and memory.moves.update != "synchronous" else None
    active = torch.arange(len(cues), device=cues.device)
    converged = torch.zeros_like(steps, dtype=torch.bool)
    winners = torch.zeros_like(steps)
    read_out = energies = lead = None
    way: list[Tensor] = []
    while True:
        here, trusted = states[active], None if known is None else known[active]
        answer = memory.read_state(here)
        first = answer if first is None else first
        winners[active] = answer.ids[:, 0]
        energies = scattered(energies, active, memory.energy_at(here, answer.potential))
        lead = scattered(lead, active, answer.scores[:, 0] - answer.potential)
        read_out = scattered(read_out, active, answer.values)
        if keep_trace:
            way.append(states)
        if flipper is None:
            moved = memory.moves.move(here, answer.values, trusted)
        else:
            moved = flipper.sweep(here, trusted)
        change = (moved - here).detach().abs().amax(-1)
        scale = here.detach().abs().amax(-1).clamp_min(1)
        rests = change <= tol * scale
        converged[active] = rests
        # the step limit leaves a sample where it was read, so that its energy and winner are those of its state
        may_move = steps[active] < max_steps
        stepped = may_move & (change > 0)
        states = states.index_copy(0, active[stepped], moved[stepped])
        steps[active] += stepped
        active = active[may_move & ~rests]
        if len(active) == 0:
            break
    trace = None
    if keep_trace:
        way.append(states)
        trace = Trace(torch.stack(way), torch.stack([memory.state_energy(state) for state in way]))
    assert first is not None and read_out is not None and energies is not None and lead is not None
    return Descent(first, states, read_out, winners, energies, lead, steps, converged, trace)


def scattered(whole: Tensor | None, index: Tensor, part: Tensor) -> Tensor:
    """`whole` with the rows at `index` replaced; the first part is the whole."""
    return part if whole is None else whole.index_copy(0, index, part)


class Flipper:
    """Sweeps over the units of binary states, in an order drawn anew for each sweep."""

    def __init__(self, memory: DenseMemory, seed: int):
        self.memory = memory
        self.generator = torch.Generator().manual_seed(seed)
        self.blocks = list(memory.bank.blocks(len(memory.bank)))
        scale = memory.dim**-0.5 if memory.similarity.unit else 1.0
        self.columns = torch.cat([memory.similarity.read_out(block) for block in self.blocks]).T * scale

    def sweep(self, states: Tensor, known: Tensor | None) -> Tensor:
        scores = torch.cat([self.memory.similarity.scores(states, block) for block in self.blocks], -1)
        order = torch.randperm(states.shape[1], generator=self.generator)
        if known is not None:
            order = order[(~known.cpu()).any(0)[order]]
        at_once = isinstance(self.memory.moves, Binary) and self.memory.moves.update == "energy-difference"
        free = None if known is None else ~known
        separation = self.memory.reading_separation()
        return flip_units(states, scores, self.columns, separation, order, free, at_once=at_once)[0]
