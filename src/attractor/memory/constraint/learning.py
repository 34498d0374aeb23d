"""Learning of local linear constraints: rows `w` with `w . x = 0` for the part `x` of every stored pattern that a cluster sees.

The online rule of Karbasi, Salavati and Shokrollahi (ICML 2013; Salavati, Kumar and Shokrollahi, TNNLS 2014) descends
`(w . x)^2` one pattern after the other and shrinks small entries of `w`:

    y = w . x,     w <- w - alpha / |x|^2  y (x - y w / |w|^2) - beta w 1[|w| < theta]

Its mean over the stored patterns needs nothing but their second moments `C = sum x x^T`: `w <- w - alpha C w / tr C`, with `w` kept
at norm 1. So the moments are all that is kept, the order of the patterns does not matter, and every row of every cluster is learned
at once. The rule decides which entries a row has; what is left of `C w` on those is then removed by projection.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.errors import AttractorWarning
from attractor.memory.sparse_recovery.dual import independent_rows, sparse_rows
from attractor.validation import shorten

Learn = Literal["online", "spud", "svd"]
LEARN: tuple[Learn, ...] = ("online", "spud", "svd")

ALPHA, BETA, THETA = 0.95, 0.75, 0.05
STEPS, ROUNDS, ROUNDS_OF_A_THRESHOLD = 16, 125, 12
"""Steps of descent between two shrinkages, shrinkages, and after how many of them the threshold falls."""
SMALLEST = 0.02
"""Smaller entries go: a neuron with a weight below psi would have a vote in a constraint that cannot hear it."""
CANDIDATES = 2
"""Rows that start for each that there can be."""
RANK_TOLERANCE = 1e-10
WORKSPACE = 2**24


@dataclass(frozen=True, eq=False)
class Constraints:
    """The constraints of a cluster.

    Attributes:
        members: `(n,)` which pattern neurons it sees.
        rows: `(m, n)`, of norm 1 and linearly independent.
        residual: no stored pattern has a larger `|w . x|`.
    """

    members: Tensor
    rows: Tensor
    residual: float


def learn_constraints(moments: Tensor, clusters: Sequence[Tensor], how: Learn, seed: int) -> tuple[Constraints, ...]:
    """The constraints of each cluster, float64.

    Args:
        moments: `(dim, dim)`, the sum of `x x^T` over the patterns.
        clusters: the neurons of each.
        how: `"online"`, the rule above; `"spud"`, the sparsest rows that linear programmes find; `"svd"`, dense orthonormal rows.
        seed: of the first rows.

    Raises:
        ValueError: a cluster has no constraint: the patterns are of full rank there, or the rule found none.
    """
    learned: dict[int, Constraints] = {}
    generator = torch.Generator().manual_seed(seed)
    seen = [moments[members][:, members].double() for members in clusters]
    full = []
    for size in sorted({len(members) for members in clusters}):
        places = [place for place, members in enumerate(clusters) if len(members) == size]
        local = torch.stack([seen[place] for place in places])
        values, vectors = torch.linalg.eigh(local)
        free = (values <= RANK_TOLERANCE * values[:, -1:]).sum(1).tolist()
        full += [place for place, count in zip(places, free, strict=True) if count == 0]
        spaces = [one[:, :count].T.contiguous() for one, count in zip(vectors, free, strict=True)]
        if how == "online":
            found = searched(local, [len(space) for space in spaces], generator)
        else:
            found = [sparsest(one, space, seed) if how == "spud" else space for one, space in zip(local, spaces, strict=True)]
        for place, rows in zip(places, found, strict=True):
            learned[place] = Constraints(clusters[place], rows, residual(rows, seen[place]))
    if full:
        largest = max(len(clusters[place]) for place in full)
        raise ValueError(
            f"patterns must lie in a subspace in every cluster, they are of full rank in clusters {shorten(sorted(full))} of up to "
            f"{largest} neurons, which leaves no constraint there: the data do not fit this memory, or need larger clusters"
        )
    empty = [place for place, constraints in sorted(learned.items()) if len(constraints.rows) == 0]
    if empty:
        raise ValueError(f"every cluster must have a constraint, the rule found none in {shorten(empty)}; give learn='spud'")
    return tuple(learned[place] for place in range(len(clusters)))


def warn_of_unconstrained(constraints: Sequence[Constraints], dim: int) -> None:
    """Warn of neurons that no constraint hears, in any cluster."""
    heard = torch.zeros(dim, dtype=torch.bool)
    for one in constraints:
        heard[one.members[(one.rows.norm(dim=0) > SMALLEST).cpu()]] = True
    alone = (~heard).nonzero().flatten().tolist()
    if alone:
        warnings.warn(
            f"{len(alone)} of {dim} neurons are in no constraint, errors there go unseen: {shorten(alone)}; the data fit this "
            "memory in part, or need larger clusters",
            AttractorWarning,
            stacklevel=4,
        )


def residual(rows: Tensor, moments: Tensor) -> float:
    """A bound on `|w . x|` over the patterns: the root of the sum of its squares, largest of all rows."""
    squares = ((rows @ moments) * rows).sum(1)
    return float(squares.clamp_min(0).max().sqrt()) if len(rows) else 0.0


def searched(moments: Tensor, most: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Rows for each of the clusters with these `moments (l, n, n)`, at most `most` of each, by the online rule."""
    clusters, size, _ = moments.shape
    starts = max(1, CANDIDATES * max(most))
    first = torch.rand(clusters, starts, size, generator=generator, dtype=torch.float64).to(moments.device)
    block = max(1, WORKSPACE // (starts * size**2))
    parts = zip(moments.split(block), first.split(block), strict=True)
    rows = torch.cat([cleared(some, shrunk(some, begun)) for some, begun in parts])
    return [independent_rows(one[one.any(1)], count) for one, count in zip(rows, most, strict=True)]


def shrunk(moments: Tensor, rows: Tensor) -> Tensor:
    """The rule, from `rows (l, r, n)` on: descent for some steps, then small entries shrink by `beta`, and so on."""
    trace = moments.diagonal(dim1=1, dim2=2).sum(-1).clamp_min(1)[:, None, None]
    one_step = torch.eye(moments.shape[1], dtype=moments.dtype, device=moments.device) - ALPHA * moments / trace
    descent = torch.linalg.matrix_power(one_step, STEPS)
    for turn in range(ROUNDS):
        rows = torch.nn.functional.normalize(rows @ descent, dim=-1)
        threshold = THETA / (1 + turn // ROUNDS_OF_A_THRESHOLD)
        rows = torch.where(rows.abs() < threshold, (1 - BETA) * rows, rows)
    return rows


def sparsest(moments: Tensor, space: Tensor, seed: int) -> Tensor:
    """The sparsest rows in the span of the orthonormal `space (m, n)`, without small entries where that can be."""
    if len(space) == 0:
        return space
    rows = sparse_rows(space, seed=seed)
    clear = cleared(moments[None], rows[None])[0]
    return independent_rows(torch.cat([clear[clear.any(1)], rows]), len(space))


def cleared(moments: Tensor, rows: Tensor) -> Tensor:
    """`rows (l, r, n)` as constraints without small entries; zero where that cannot be."""
    small = rows.abs() <= SMALLEST
    rows = polished(moments, rows.masked_fill(small, 0))
    # a projection can make other entries small; it ends, as rows lose entries each time
    while bool((small := (rows != 0) & (rows.abs() <= SMALLEST)).any()):
        cluster, row = small.any(-1).nonzero().T
        again = rows[cluster, row].masked_fill(small[cluster, row], 0)
        rows[cluster, row] = polished(moments[cluster], again[:, None])[:, 0]
    return rows


def polished(moments: Tensor, rows: Tensor) -> Tensor:
    """`rows (l, r, n)` projected on what has their entries and no residual, of norm 1; zero where half of a row would be lost."""
    support = (rows != 0).double()
    scale = moments.diagonal(dim1=1, dim2=2).mean(-1)
    outside = (1 - support) * torch.where(scale > 0, scale, 1.0)[:, None, None]
    inside = moments[:, None] * support[..., :, None] * support[..., None, :]
    values, vectors = torch.linalg.eigh(inside + torch.diag_embed(outside))
    free = (values <= RANK_TOLERANCE * values[..., -1:]).double()
    along = (rows[..., None, :] @ vectors) * free[..., None, :]
    projected = (along @ vectors.mT)[..., 0, :] * support
    kept = projected.norm(dim=-1) >= rows.norm(dim=-1) / 2
    return torch.nn.functional.normalize(projected, dim=-1) * kept[..., None]
