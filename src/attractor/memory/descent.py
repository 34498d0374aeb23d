"""The loop of a recall: read, move, until each sample is at rest. Samples at rest are not read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.memory.flips import flip_units
from attractor.memory.landscape import Landscape
from attractor.memory.recall import Trace
from attractor.memory.states import Binary
from attractor.read import ReadOut


class Way(NamedTuple):
    """How to descend: at rest below `tol`, at most `max_steps` updates, `keep_trace` of the states, `seed` for random orders."""

    tol: float
    max_steps: int
    keep_trace: bool
    seed: int


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


def descend(landscape: Landscape, cues: Tensor, known: Tensor | None, way: Way) -> Descent:
    """Let `cues (b, d)` fall to rest."""
    steps = torch.zeros(len(cues), dtype=torch.int64, device=cues.device)
    first = None
    states = cues
    if known is not None:
        first = landscape.read(cues, known)
        states = landscape.state.fill(cues, known, first.values)
        steps += 1
    update = landscape.state
    flipper = Flipper(landscape, update, way.seed) if isinstance(update, Binary) and update.update != "synchronous" else None
    active = torch.arange(len(cues), device=cues.device)
    converged = torch.zeros_like(steps, dtype=torch.bool)
    winners = torch.zeros_like(steps)
    read_out = energies = lead = None
    passed: list[Tensor] = []
    while True:
        here, trusted = states[active], None if known is None else known[active]
        answer = landscape.read(here)
        first = answer if first is None else first
        winners[active] = answer.ids[:, 0]
        energies = scattered(energies, active, landscape.energy_at(here, answer.potential))
        lead = scattered(lead, active, answer.scores[:, 0] - answer.potential)
        read_out = scattered(read_out, active, answer.values)
        if way.keep_trace:
            passed.append(states)
        if flipper is None:
            moved = landscape.state.move(here, answer.values, trusted)
        else:
            moved = flipper.sweep(here, trusted)
        change = (moved - here).detach().abs().amax(-1)
        scale = here.detach().abs().amax(-1).clamp_min(1)
        # what moves by rounding alone is at rest: the count of steps must not depend on the size of a block
        rounding = 4 * torch.finfo(here.dtype).eps * scale
        rests = change <= torch.maximum(way.tol * scale, rounding)
        converged[active] = rests
        # the step limit leaves a sample where it was read, so that its energy and winner are those of its state
        may_move = steps[active] < way.max_steps
        stepped = may_move & (change > rounding)
        states = states.index_copy(0, active[stepped], moved[stepped])
        steps[active] += stepped
        active = active[may_move & ~rests]
        if len(active) == 0:
            break
    trace = None
    if way.keep_trace:
        passed.append(states)
        trace = Trace(torch.stack(passed), torch.stack([landscape.energy(state) for state in passed]))
    assert first is not None and read_out is not None and energies is not None and lead is not None
    return Descent(first, states, read_out, winners, energies, lead, steps, converged, trace)


def scattered(whole: Tensor | None, index: Tensor, part: Tensor) -> Tensor:
    """`whole` with the rows at `index` replaced; the first part is the whole."""
    return part if whole is None else whole.index_copy(0, index, part)


class Flipper:
    """Sweeps over the units of binary states, in an order drawn anew for each sweep."""

    def __init__(self, landscape: Landscape, update: Binary, seed: int):
        self.landscape = landscape
        self.at_once = update.update == "energy-difference"
        self.generator = torch.Generator().manual_seed(seed)
        self.blocks = list(landscape.bank.blocks(len(landscape.bank)))
        scale = landscape.bank.dim**-0.5 if landscape.similarity.unit else 1.0
        self.columns = torch.cat([landscape.similarity.read_out(block) for block in self.blocks]).T * scale

    def sweep(self, states: Tensor, known: Tensor | None) -> Tensor:
        similarity, separation = self.landscape.similarity, self.landscape.separation
        scores = torch.cat([similarity.scores(states, block) for block in self.blocks], -1)
        order = torch.randperm(states.shape[1], generator=self.generator)
        if known is not None:
            order = order[(~known.cpu()).any(0)[order]]
        free = None if known is None else ~known
        return flip_units(states, scores, self.columns, separation, order, free, at_once=self.at_once)[0]
