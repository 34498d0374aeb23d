"""Reading a trained network: how surprising cues are, and what it predicts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from attractor.bank import RamBank
from attractor.memory.evidence import evidence
from attractor.memory.nearest import nearest
from attractor.memory.predictive_coding.checks import check_confidence, check_not_empty
from attractor.memory.predictive_coding.inference import Evidence, Inference, Inferred, infer
from attractor.memory.predictive_coding.network import Curvature, PredictiveNetwork
from attractor.memory.recall import Recall, Trace
from attractor.read import Euclidean, Read, SoftMax
from attractor.validation import check_count, check_finite, check_floating, check_known, check_like, check_shape

NUMBERS_PER_BATCH = 2**22
PASSES, STEPS_OF_A_PASS = 30, 50
Method = Literal["prediction", "joint"]


class Question(NamedTuple):
    """Some cues.

    Attributes:
        senses: `(b, dim)`, 0 where they are not known.
        known: `(b, dim)`, which senses are held; None where `confidence` says more, or all are evidence and all move.
        confidence: `(b, dim)`, how much each counts.
    """

    senses: Tensor
    known: Tensor | None = None
    confidence: Tensor | None = None

    @property
    def trusted(self) -> Tensor | None:
        """Where the senses are evidence at all, None for everywhere."""
        if self.confidence is None:
            return self.known
        return None if bool((self.confidence > 0).all()) else self.confidence > 0

    def of(self, rows: Tensor | slice) -> Question:
        """Some of the rows."""
        known, confidence = (None if one is None else one[rows] for one in self[1:])
        return Question(self.senses[rows], known, confidence)

    def split(self, size: int) -> Iterator[Question]:
        """The rows, so many at a time."""
        for start in range(0, len(self.senses), size):
            yield self.of(slice(start, start + size))


def asked_of(name: str, cues: Tensor, known: Tensor | None, confidence: float | Tensor | None, bank: RamBank) -> Question:
    """`cues (b, dim)`, once they are found fit; `name` they are called by in errors.

    Raises:
        TypeError, ValueError: wrong shape, dtype, NaN or infinity where they are known, a row with nothing known, or nothing
            is stored.
    """
    check_not_empty(bank)
    check_floating(name, cues)
    check_shape(name, cues, bank.dim)
    check_like(name, cues, bank.dtype, bank.device)
    known = check_known(known, cues)
    senses = cues if known is None else torch.where(known, cues, 0)
    check_finite(name, senses)
    return Question(senses.detach(), known, check_confidence(confidence, cues, known))


def planned(
    asked: Question, method: Method, max_steps: int | None, inference: Inference | None, usual: Inference
) -> tuple[int, Inference]:
    """How many passes over the senses answer a question, and the inference of each.

    Raises:
        ValueError: an unknown method, or one that the rest does not go with.
    """
    if method not in ("prediction", "joint"):
        raise ValueError(f"method must be 'prediction' or 'joint', got {method!r}")
    joint = method == "joint"
    if joint and (asked.confidence is not None or max_steps not in (None, 1)):
        raise ValueError("confidence and max_steps must not be given with method='joint', which makes one pass of full confidence")
    single = joint or asked.known is not None or asked.confidence is not None
    passes = (1 if single else PASSES) if max_steps is None else check_count("max_steps", max_steps)
    if inference is not None:
        return passes, inference
    several = passes > 1 and asked.known is None
    return passes, replace(usual, steps=min(usual.steps, STEPS_OF_A_PASS)) if several else usual


class Walked(NamedTuple):
    """Where senses `(b, dim)` ended, after how many passes `(b,)`, whether at rest `(b,)`, and the way there."""

    senses: Tensor
    steps: Tensor
    converged: Tensor
    way: list[Tensor]


class Reader:
    """A network that no longer learns, with what its step sizes need."""

    def __init__(self, network: PredictiveNetwork):
        self.network = network
        self.curvature = Curvature(network)

    @property
    def batch(self) -> int:
        """How many rows to take at a time."""
        return max(1, NUMBERS_PER_BATCH // (self.network.connections[0].below + sum(one.above for one in self.network.connections)))

    def infer(self, asked: Question, how: Inference) -> Inferred:
        """The layers above the senses at rest, from what the memory vector predicts."""
        weights = asked.known if asked.confidence is None else asked.confidence
        precision = None if weights is None else weights * self.network.sensory_precision
        return self._settled(Evidence(asked.senses, precision), how)

    def surprise(self, asked: Question, how: Inference) -> Tensor:
        """The energy `(b,)` of the senses as far as they are evidence."""
        return torch.cat([self.infer(some, how).errors.energy() for some in asked.split(self.batch)])

    def predicted(self, asked: Question, how: Inference, tol: float, passes: int) -> Walked:
        """Senses that are not held become what is predicted from all of them, up to so many times."""
        # what is filled in is no evidence: a second pass over held senses would change nothing
        passes = 1 if asked.known is not None else passes
        senses, active = asked.senses, torch.arange(len(asked.senses), device=asked.senses.device)
        steps, converged = torch.zeros_like(active), torch.zeros_like(active, dtype=torch.bool)
        way = [senses]
        for _ in range(passes):
            some = asked.of(active)._replace(senses=senses[active])
            found = self.infer(some, how)
            predicted = self.network.predicted_senses(found.latents)
            after = predicted if some.known is None else torch.where(some.known, some.senses, predicted)
            change = found.change if passes == 1 else relative_change(after, some.senses)
            steps[active] += 1
            senses = senses.index_copy(0, active, after)
            way.append(senses)
            converged[active] = change <= tol
            active = active[change > tol]
            if len(active) == 0:
                break
        return Walked(senses, steps, converged, way)

    def joint(self, asked: Question, how: Inference, tol: float) -> Walked:
        """Senses that are not held descend beside the layers above, from the cue or, where there is none, from its prediction."""
        senses, moves = asked.senses, torch.ones_like(asked.senses)
        if asked.known is not None:
            expected = self.network.predicted_senses(self.network.prior_state(1))
            senses, moves = torch.where(asked.known, senses, expected), (~asked.known).to(senses)
        found = self._settled(Evidence(senses, None, moves), how)
        once = torch.ones(len(senses), dtype=torch.int64, device=senses.device)
        return Walked(found.senses, once, found.change <= tol, [senses, found.senses])

    def _settled(self, evidence: Evidence, how: Inference) -> Inferred:
        return infer(self.network, self.curvature, evidence, self.network.prior_state(len(evidence.senses)), how)


def relative_change(after: Tensor, before: Tensor) -> Tensor:
    return (after - before).abs().amax(-1) / after.abs().amax(-1).clamp_min(1)


def recalled(
    bank: RamBank, asked: Question, walked: Walked, accepted: Tensor, surprise: Callable[[Question], Tensor], keep_trace: bool
) -> Recall:
    """The answer to some cues, named after the stored patterns nearest to it; cues that are not accepted come back."""
    senses, trusted = walked.senses, asked.trusted
    cues = asked.senses if trusted is None else torch.where(trusted, asked.senses, 0)
    read = Read(Euclidean(), SoftMax(beta=1.0), cues, trusted)
    winners = nearest(bank, Euclidean(), senses, None, 1).ids[:, 0]
    score, margin = evidence(bank, read, read.finish(bank.fold(read)), winners)
    trace = None
    if keep_trace:
        states = walked.way if asked.known is None else walked.way[1:]
        trace = Trace(torch.stack(states), torch.stack([surprise(Question(one)) for one in states]))
    patterns = torch.where(accepted[:, None], senses, asked.senses)
    return Recall(patterns, winners, score, margin, accepted, surprise(Question(senses)), walked.steps, walked.converged, trace)
