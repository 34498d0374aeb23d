"""Expander decoding: constraints with few entries, each of which tells a wrong coordinate by how much it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from attractor.memory.sparse_recovery.decoders import Decoded, Decoder, largest
from attractor.memory.sparse_recovery.iteration import State, iterate
from attractor.memory.sparse_recovery.learning import Subspace

Rule = Literal["majority", "two"]
DENSEST = 0.5
AGREEMENT = {torch.float64: 1e-5, torch.float32: 1e-3}
COMPARED = 2**24
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-5}


@dataclass(frozen=True)
class Expander(Decoder):
    """Gaps `s_i / B_ij` that agree at a coordinate are its error; the coordinate where most agree is corrected first.

    With `"majority"` more than half of a coordinate's constraints must agree: then every step leaves fewer constraints violated,
    and all errors are found whose graph expands enough. With `"two"` two suffice, which is right with probability one where the
    weights are drawn from a continuous distribution, and corrects more.

    Raises:
        ValueError: an unknown rule; when it decodes, constraints that are not sparse or a coordinate in none.
    """

    rule: Rule = "two"
    name: ClassVar[str] = "expander"

    def __post_init__(self) -> None:
        if self.rule not in ("majority", "two"):
            raise ValueError(f"rule must be 'majority' or 'two', got {self.rule!r}")

    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        rows = subspace.rows
        check, weight = neighbours(rows)
        incident = weight != 0
        least = torch.full_like(incident.sum(1), 2) if self.rule == "two" else incident.sum(1) // 2 + 1
        rounding = ROUNDING.get(cues.dtype, 1e-2)
        agreement = AGREEMENT.get(cues.dtype, 1e-2)
        size = max(1, COMPARED // (check.numel() * check.shape[1]))

        def advance(state: State) -> State:
            errors, syndrome, scale, _ = state
            gaps = torch.where(incident, syndrome[:, check] / torch.where(incident, weight, 1), 0)
            agreeing = torch.cat([agreements(some, agreement) for some in gaps.split(size)])
            most, which = agreeing.max(2)
            votes = torch.where(most >= least, most, 0)
            chosen = votes.argmax(1)
            sample = torch.arange(len(errors), device=errors.device)
            found = votes[sample, chosen] > 0
            step = torch.where(found, gaps[sample, chosen, which[sample, chosen]], 0)
            errors = errors.index_put((sample, chosen), step, accumulate=True)
            change = rows.T[chosen] * step[:, None]
            left = syndrome - change
            # what agrees cancels but for rounding
            left = torch.where(left.abs() <= 10 * agreement * change.abs(), 0, left)
            return errors, torch.where(left.abs() <= rounding * scale, 0, left), scale, found

        def settled(state: State) -> Tensor:
            _, syndrome, _, found = state
            return (syndrome == 0).all(1) | ~found

        syndrome = cues @ rows.T
        scale = largest(cues) * largest(rows)[:, 0].max()
        syndrome = torch.where(syndrome.abs() <= rounding * scale, 0, syndrome)
        start = (torch.zeros_like(cues), syndrome, scale, torch.ones_like(scale[:, 0], dtype=torch.bool))
        (errors, syndrome, *_), steps, _ = iterate(start, advance, settled, len(rows) + 1)
        return Decoded(errors, steps, (syndrome == 0).all(1))


def neighbours(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The constraints of each coordinate and their weights, `(n, d)`; weight 0 where a coordinate has fewer than `d`."""
    entries = rows != 0
    if float(entries.double().mean()) > DENSEST:
        raise ValueError(f"rows must be sparse for expander decoding, got {float(entries.double().mean()):.0%} of entries not zero")
    degree = entries.sum(0)
    if bool((degree == 0).any()):
        alone = (degree == 0).nonzero().flatten().tolist()
        raise ValueError(f"rows must constrain every coordinate for expander decoding, in no constraint: {alone[:8]}")
    check = entries.T.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : int(degree.max())]
    return check, rows.T.gather(1, check)


def agreements(gaps: Tensor, tolerance: float) -> Tensor:
    """With how many gaps of its coordinate each one agrees, itself included; 0 where it is zero: `(b, n, d)`."""
    one, other = gaps[..., :, None], gaps[..., None, :]
    same = (one - other).abs() <= tolerance * torch.maximum(one.abs(), other.abs())
    return (same & (one != 0) & (other != 0)).sum(-1)
