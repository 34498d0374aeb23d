"""Random data that obey linear constraints, and errors in them: in random places, and where they harm most."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Literal

import torch
from torch import Tensor

from attractor.memory.sparse_recovery.decoders import top
from attractor.memory.sparse_recovery.dual import span_and_dual, weighted_least_squares
from attractor.validation import check_count, check_matrix

ROUNDS = 30
SMOOTHING = 0.1
IN_PLACE = 1e-9


@dataclass(frozen=True, eq=False)
class LinearCode:
    """Patterns `x = u A` of messages `u` of -1 and 1: `2^r` of them, all of which obey the constraints of the span of `A (r, n)`.

    Example:
        >>> code = LinearCode.gaussian(20, 8, generator=torch.Generator().manual_seed(0))
        >>> messages, patterns = code.draw(5, generator=torch.Generator().manual_seed(1))
        >>> patterns.shape, torch.equal(code.messages(patterns), messages)
        (torch.Size([5, 20]), True)
    """

    directions: Tensor

    @classmethod
    def gaussian(cls, n: int, r: int, *, generator: torch.Generator) -> LinearCode:
        """Independent normal entries."""
        check_width(n, r)
        return cls(torch.randn(r, n, generator=generator, dtype=torch.float64))

    @classmethod
    def signs(cls, n: int, r: int, *, generator: torch.Generator) -> LinearCode:
        """Independent entries -1 and 1."""
        check_width(n, r)
        return cls(torch.randint(0, 2, (r, n), generator=generator).double() * 2 - 1)

    @classmethod
    def orthonormal(cls, n: int, r: int, *, basis: Literal["dct", "hadamard"] = "dct", generator: torch.Generator) -> LinearCode:
        """`r` random rows of an orthonormal basis, the discrete cosines or Hadamard's (`n` a power of two)."""
        check_width(n, r)
        if basis not in ("dct", "hadamard"):
            raise ValueError(f"basis must be 'dct' or 'hadamard', got {basis!r}")
        whole = cosines(n) if basis == "dct" else hadamard(n)
        return cls(whole[torch.randperm(n, generator=generator)[:r]])

    @classmethod
    def of_constraints(cls, rows: Tensor) -> LinearCode:
        """All that obeys `rows @ x = 0`: with `sparse_constraints`, the third model of data."""
        return cls(span_and_dual(rows)[1])

    def draw(self, count: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random messages `(count, r)` and their patterns `(count, n)`."""
        check_count("count", count)
        messages = torch.randint(0, 2, (count, len(self.directions)), generator=generator).to(self.directions) * 2 - 1
        return messages, messages @ self.directions

    def messages(self, patterns: Tensor) -> Tensor:
        """The messages whose patterns are nearest, coordinate by coordinate: `u = sign(x A^+)`. Encoded again they say whether a
        recalled pattern was one of the alphabet."""
        check_matrix("patterns", patterns, self.directions.shape[1])
        return torch.where(patterns @ torch.linalg.pinv(self.directions) < 0, -1.0, 1.0).to(patterns.dtype)


def sparse_constraints(n: int, m: int, degree: int, *, generator: torch.Generator) -> Tensor:
    """Random constraints `(m, n)`, float64: each coordinate in `degree` of them, with normal weights."""
    check_count("n", n)
    check_count("m", m)
    check_count("degree", degree)
    if not degree <= m < n:
        raise ValueError(f"degree, m and n must rise, degree <= m < n, got {degree}, {m} and {n}")
    chosen = torch.rand(n, m, generator=generator).argsort(1)[:, :degree]
    weights = torch.randn(n, degree, generator=generator, dtype=torch.float64)
    return torch.zeros(n, m, dtype=torch.float64).scatter_(1, chosen, weights).T.contiguous()


def random_errors(patterns: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """Errors like `patterns (b, n)`: `count` random places of each, normal values of the deviation of all the entries."""
    check_matrix("patterns", patterns)
    check_places(count, patterns)
    places = torch.rand(patterns.shape, generator=generator).argsort(1)[:, :count]
    values = torch.randn(len(patterns), count, generator=generator, dtype=torch.float64) * patterns.square().mean().sqrt().double()
    return torch.zeros_like(patterns).scatter_(1, places, values.to(patterns))


def adversarial_errors(patterns: Tensor, span: Tensor, count: int) -> Tensor:
    """Errors `(b, n)` that basis pursuit takes for something else: part of a vector of the data's own span.

    From each pattern on, a vector of the span is concentrated on few coordinates: the sum of the absolute values of its `count`
    largest entries grows relative to the rest, by re-weighted least squares. The error is that vector at those entries. If they
    outweigh the rest, the rest, its sign turned, explains the same violation with a smaller sum.

    Args:
        patterns: `(b, n)`, where the search starts.
        span: `(r, n)`, orthonormal rows.
        count: how many coordinates are damaged.
    """
    check_matrix("patterns", patterns)
    check_matrix("span", span, patterns.shape[1])
    check_places(count, patterns)
    vectors = patterns / patterns.abs().amax(1, keepdim=True)
    for _ in range(ROUNDS):
        chosen = top(vectors, count)
        weights = torch.where(chosen, IN_PLACE, (vectors.square() + SMOOTHING**2).rsqrt())
        vectors = weighted_least_squares(span, (vectors.sign() * chosen) @ span.T, weights)
        vectors = vectors / vectors.abs().amax(1, keepdim=True)
    size = patterns.square().mean(1, keepdim=True).sqrt()
    return vectors * top(vectors, count) * size


def cosines(n: int) -> Tensor:
    """The orthonormal discrete cosine transform `(n, n)`."""
    place = torch.arange(n, dtype=torch.float64)
    waves = (2 / n) ** 0.5 * torch.cos(pi / n * place[:, None] * (place + 0.5))
    waves[0] /= 2**0.5
    return waves


def hadamard(n: int) -> Tensor:
    """Hadamard's matrix by Sylvester, `(n, n)`, orthonormal."""
    if n & (n - 1):
        raise ValueError(f"n must be a power of two for a Hadamard basis, got {n}")
    whole = torch.ones(1, 1, dtype=torch.float64)
    while len(whole) < n:
        whole = torch.cat([torch.cat([whole, whole], 1), torch.cat([whole, -whole], 1)]) / 2**0.5
    return whole


def check_width(n: int, r: int) -> None:
    check_count("n", n)
    check_count("r", r)
    if r >= n:
        raise ValueError(f"r must be below n = {n}, so that a constraint is left, got {r}")


def check_places(count: int, patterns: Tensor) -> None:
    check_count("count", count, 0)
    if count > patterns.shape[1]:
        raise ValueError(f"count must be at most the width of a pattern, {patterns.shape[1]}, got {count}")
