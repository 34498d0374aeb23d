"""Which subspace the patterns lie in: learned exactly, or sample by sample as neurons can."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from attractor.memory.sparse_recovery.dual import span_and_dual, sparse_rows
from attractor.validation import check_count

INDEPENDENT = {torch.float64: 1e-8, torch.float32: 1e-4}


class Subspace:
    """Patterns `x` with `dual (x - mean) = 0`.

    Args:
        span: `(r, n)`, orthonormal.
        dual: `(m, n)`, orthonormal, `m = n - r`.
        mean: `(n,)`; default 0.
        rows: sparse constraints `(m, n)` of the same space where they are known; else they are searched when first needed.
    """

    def __init__(self, span: Tensor, dual: Tensor, mean: Tensor | None = None, rows: Tensor | None = None):
        self.span, self.dual = span, dual
        self.mean = span.new_zeros(span.shape[1]) if mean is None else mean
        self._given = rows

    @classmethod
    def of_constraints(cls, rows: Tensor) -> Subspace:
        """All that obeys `rows @ x = 0`, for any matrix `rows (m, n)` of lower rank than `n`."""
        dual, span = span_and_dual(rows)
        return cls(span, dual, rows=rows)

    @cached_property
    def rows(self) -> Tensor:
        """Sparse constraints `(m, n)`."""
        return sparse_rows(self.dual) if self._given is None else self._given

    def violation(self, vectors: Tensor) -> Tensor:
        """The part `(b, n)` of vectors, their mean subtracted, that is orthogonal to the span: `Q^T Q v`, by its smaller factor."""
        if len(self.dual) <= len(self.span):
            return (vectors @ self.dual.T) @ self.dual
        return vectors - (vectors @ self.span.T) @ self.span


class Learning(ABC):
    """How a subspace is learned; the state is a dictionary of tensors, its `parts`, and an update gives a new one."""

    name: ClassVar[str]
    parts: ClassVar[frozenset[str]]

    @abstractmethod
    def update(self, state: dict[str, Tensor], patterns: Tensor, seen: int) -> dict[str, Tensor]:
        """The state after `patterns (b, n)`, where `seen` came before; an empty state is the first."""

    @abstractmethod
    def subspace(self, state: dict[str, Tensor]) -> Subspace:
        """What is learned so far.

        Raises:
            ValueError: it is the whole space, or of a lower dimension than asked for.
        """

    def settings(self) -> dict[str, Any]:
        """What rebuilds it, as JSON values with its name."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Exact(Learning):
    """Singular vectors of all patterns; kept are the triangular factor of the data, `(n, n)` at most, and their mean.

    `r` independent patterns of an `r`-dimensional space are enough, `r + 1` with `centre`.

    Args:
        rank: dimension of the data; a share of the sum of squares; or None, to count singular values (see `dual_rows`).
        centre: subtract the mean, so that the constraints are affine.
    """

    rank: int | float | None = None
    centre: bool = False
    name: ClassVar[str] = "exact"
    parts: ClassVar[frozenset[str]] = frozenset({"factor", "mean"})

    def update(self, state: dict[str, Tensor], patterns: Tensor, seen: int) -> dict[str, Tensor]:
        mean = patterns.new_zeros(patterns.shape[1])
        parts = [state["factor"]] if state else []
        if self.centre:
            mean = patterns.mean(0)
            parts.append(patterns - mean)
            if state:
                count = len(patterns)
                parts.append((seen * count / (seen + count)) ** 0.5 * (mean - state["mean"])[None])
                mean = state["mean"] + (mean - state["mean"]) * count / (seen + count)
        else:
            parts.append(patterns)
        factor = torch.cat(parts)
        if len(factor) > patterns.shape[1]:
            factor = torch.linalg.qr(factor, mode="r").R
        return {"factor": factor, "mean": mean}

    def subspace(self, state: dict[str, Tensor]) -> Subspace:
        return Subspace(*span_and_dual(state["factor"], self.rank), state["mean"])


@dataclass(frozen=True)
class GramSchmidt(Learning):
    """Orthonormal directions, one for each pattern that is new to those before: exact after `r` independent noiseless patterns."""

    name: ClassVar[str] = "gram_schmidt"
    parts: ClassVar[frozenset[str]] = frozenset({"basis"})

    def update(self, state: dict[str, Tensor], patterns: Tensor, seen: int) -> dict[str, Tensor]:
        basis = state.get("basis", patterns[:0])
        least = INDEPENDENT.get(patterns.dtype, 1e-4)
        for pattern in patterns:
            rest = pattern - (basis @ pattern) @ basis
            rest = rest - (basis @ rest) @ basis
            if bool(rest.norm() > least * pattern.norm()):
                basis = torch.cat([basis, (rest / rest.norm())[None]])
        return {"basis": basis}

    def subspace(self, state: dict[str, Tensor]) -> Subspace:
        return Subspace(*span_and_dual(state["basis"]))


@dataclass(frozen=True)
class OrthogonalIteration(Learning):
    """Orthogonal iteration on a stream: `S += x y^T`, `y = U^T x`, and at the end of a block `U` becomes `S`, orthonormal.

    The sums are local and Hebbian as in Oja's subspace rule, without its rate: one that is small enough for some data takes
    for ever on directions in which the first weights have hardly a part. `S = C U` with the moments `C` of the block lies
    in the space of the patterns and, where these are as many as its dimensions, spans it: without noise the first block ends at the
    space itself, for any width and any first weights. Every block is as long as all before it, so that noise is averaged over half
    of the stream at least (Mitliagkas, Caramanis and Jain, "Memory limited, streaming PCA", NIPS 2013, with blocks that grow).

    Args:
        rank: dimension `r` of the data; the first block has `2 r` patterns.
        seed: of the first weights.
    """

    rank: int
    seed: int = 0
    name: ClassVar[str] = "orthogonal_iteration"
    parts: ClassVar[frozenset[str]] = frozenset({"weights", "sums"})

    def __post_init__(self) -> None:
        check_count("rank", self.rank)

    def update(self, state: dict[str, Tensor], patterns: Tensor, seen: int) -> dict[str, Tensor]:
        weights = state["weights"] if state else self._first(patterns)
        sums = state["sums"] if state else torch.zeros_like(weights)
        end = 2 * self.rank
        while end <= seen:
            end *= 2
        while len(patterns) > 0:
            block, patterns = patterns[: end - seen], patterns[end - seen :]
            sums = sums + (weights @ block.T) @ block
            seen += len(block)
            if seen == end:
                weights, sums, end = torch.linalg.qr(sums.T).Q.T.contiguous(), torch.zeros_like(sums), 2 * end
        return {"weights": weights, "sums": sums}

    def subspace(self, state: dict[str, Tensor]) -> Subspace:
        return Subspace(*span_and_dual(state["weights"], self.rank))

    def _first(self, patterns: Tensor) -> Tensor:
        width = patterns.shape[1]
        if self.rank >= width:
            raise ValueError(f"rank must be below the width of a pattern, {width}, got {self.rank}")
        generator = torch.Generator().manual_seed(self.seed)
        normal = torch.randn(width, self.rank, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(normal).Q.T.to(patterns)


LEARNINGS: dict[str, type[Learning]] = {kind.name: kind for kind in (Exact, GramSchmidt, OrthogonalIteration)}
