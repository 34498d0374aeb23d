"""A bfloat16 screen: finds the few rows that can matter to a peaked read, with a proof that no other can.

A shadow of the patterns in bfloat16 is multiplied with the cues by the processor's instructions for it. Its scores
are off by no more than a bound computed from the rounding residuals (Cauchy and Schwarz), so a group of rows whose best screened
score lies further below the best than twice that bound plus the separation's reach cannot change the read. The rows that remain
are scored again exactly, in the precision of the patterns.

Euclidean scores need `-|xi|^2 / 2` beside the product: three bfloat16 columns of the shadow hold it to 24 bits.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from attractor.read import Block, Dot, Euclidean, Read
from attractor.read.tiles import needs_gradient

GROUP = 32
EXTRA_COLUMNS = 8
TILE = 8192
FEW_CUES = 16
PROBES = 16
GROUPS_PER_RANK = 4
"""With more groups than this for each row that a read must know, scoring everything exactly is as fast."""
ROUNDING = 2.0**-8
"""Bounds the relative error of rounding a score to bfloat16."""


@cache
def has_any(*instructions: str) -> bool:
    """Whether this processor has any of these instructions, by torch's names."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(bool(capabilities.get(name)) for name in instructions)


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    return has_any("amx_bf16", "avx512_bf16", "bf16")


def fits_screen(read: Read, patterns: Tensor) -> bool:
    """Whether a screen can answer this read."""
    return (
        type(read.similarity) in (Dot, Euclidean)
        and read.known is None
        and patterns.device.type == "cpu"
        and patterns.dtype == read.cues.dtype == torch.float32
        and not needs_gradient(read, patterns)
        and read.separation.reach(len(patterns), patterns.dtype) < math.inf
    )


class Screen:
    """The shadow of some patterns, and what bounds its errors.

    Args:
        block: the rows to screen, float32.
    """

    def __init__(self, block: Block):
        patterns = self.patterns = block.patterns
        self.norms = block.squared_norms
        self.count, self.dim = patterns.shape
        groups = -(-self.count // GROUP)
        self.shadow = torch.zeros(groups * GROUP, self.dim + EXTRA_COLUMNS, dtype=torch.bfloat16)
        self.longest = float(self.norms.amax().sqrt())
        self.residual = 0.0
        for start in range(0, self.count, TILE):
            rows = patterns[start : start + TILE]
            rounded = rows.bfloat16()
            self.shadow[start : start + len(rows), : self.dim] = rounded
            self.residual = max(self.residual, float((rows - rounded.float()).norm(dim=-1).amax()))
        rest = self.norms / -2
        for column in range(3):
            part = rest.bfloat16()
            self.shadow[: self.count, self.dim + column] = part
            rest = rest - part.float()
        # the rows that only fill up the last group score far below any other
        self.shadow[self.count :, self.dim + 3] = -1.0
        self._clearance: dict[bool, float] = {}

    @property
    def nbytes(self) -> int:
        return self.shadow.nbytes

    def candidates(self, read: Read) -> Tensor | None:
        """Ascending places of the rows that can matter to some cue; None where they are too many to be worth it."""
        euclidean = type(read.similarity) is Euclidean
        reach = read.separation.reach(self.count, torch.float32)
        rank = min(read.separation.rank, self.count)
        if reach > 0 and reach > self.clearance(euclidean):
            return None
        error = self.error(read.cues, euclidean)
        maxima = self.group_maxima(read.cues, euclidean)
        top = maxima.topk(min(rank, len(maxima)), dim=0).values.float()
        if len(top) < rank:
            return None
        lowest = torch.minimum(lower(top[-1]), lower(top[0]) - reach) - error
        reached = lowest - error
        wanted = maxima >= torch.where(reached > 0, reached / (1 + ROUNDING), reached / (1 - ROUNDING))
        group, cue = wanted.nonzero(as_tuple=True)
        if len(group) > GROUPS_PER_RANK * rank * len(read.cues):
            return None
        return self.rows_above(lowest, group, cue, read.cues, euclidean)

    def clearance(self, euclidean: bool) -> float:
        """How far below the best score the groups beyond a handful lie, for a typical stored pattern as cue."""
        if euclidean not in self._clearance:
            probes = self.patterns[:: max(1, self.count // PROBES)][:PROBES]
            maxima = self.group_maxima(probes, euclidean).float()
            kept = min(GROUPS_PER_RANK * 2, len(maxima) - 1) + 1
            top = maxima.topk(kept, dim=0).values
            self._clearance[euclidean] = float((top[0] - top[-1]).median())
        return self._clearance[euclidean]

    def error(self, cues: Tensor, euclidean: bool) -> Tensor:
        """How far `(b,)` a screened score can be off, before it is rounded to bfloat16."""
        rounded = cues.bfloat16().float()
        product = (cues - rounded).norm(dim=-1) * self.longest + rounded.norm(dim=-1) * self.residual
        return product + self.summing_error(cues, euclidean)

    def summing_error(self, cues: Tensor, euclidean: bool) -> Tensor:
        """How far `(b,)` a score summed in float32, in any order, can be off."""
        terms = cues.norm(dim=-1) * self.longest + (self.longest**2 if euclidean else 0.0)
        return terms * (self.dim + EXTRA_COLUMNS) * 2.0**-23

    def group_maxima(self, cues: Tensor, euclidean: bool) -> Tensor:
        """The best screened score of each group, `(groups, b)` bfloat16."""
        augmented = torch.zeros(len(cues), self.dim + EXTRA_COLUMNS, dtype=torch.bfloat16)
        augmented[:, : self.dim] = cues
        augmented[:, self.dim : self.dim + 3] = float(euclidean)
        augmented[:, self.dim + 3] = torch.finfo(torch.bfloat16).max
        if len(cues) > FEW_CUES:
            return torch.cat([(rows @ augmented.T).unflatten(0, (-1, GROUP)).amax(1) for rows in self.shadow.split(TILE)])
        tiles = self.shadow.split(8 * TILE)
        if has_any("amx_bf16"):
            return torch.cat([(rows @ augmented.T).unflatten(0, (-1, GROUP)).amax(1) for rows in tiles])
        # without matrix tiles a product with few rows takes half as long as one with few columns
        return torch.cat([(augmented @ rows.T).unflatten(1, (-1, GROUP)).amax(-1) for rows in tiles], 1).T.contiguous()

    def rows_above(self, lowest: Tensor, group: Tensor, cue: Tensor, cues: Tensor, euclidean: bool) -> Tensor:
        """Ascending places of the rows in the given pairs of group and cue whose exact score is at least `lowest (b,)`."""
        slack = self.summing_error(cues, euclidean)
        inside = torch.arange(GROUP)
        chosen = torch.zeros(len(self.shadow), dtype=torch.bool)
        pairs_at_once = max(1, 2**22 // (GROUP * self.dim))
        for some_groups, some_cues in zip(group.split(pairs_at_once), cue.split(pairs_at_once), strict=True):
            places = (some_groups[:, None] * GROUP + inside).clamp_max(self.count - 1)
            scores = torch.bmm(self.patterns[places], cues[some_cues].unsqueeze(-1)).squeeze(-1)
            if euclidean:
                scores = scores - self.norms[places] / 2
            chosen[places[scores >= (lowest - slack)[some_cues, None]]] = True
        return chosen.nonzero().flatten()


def lower(scores: Tensor) -> Tensor:
    """The least that scores can have been before they were rounded to bfloat16."""
    return scores - ROUNDING * scores.abs()
