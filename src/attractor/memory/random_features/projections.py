"""Random projections: the rows `S (rows, dim)` along which random features look at a vector.

* `Gaussian`: independent rows of N(0, I) (Rahimi and Recht 2007).
* `Orthogonal`: rows orthogonal in groups of `dim`, each with the length of a fresh normal vector (Yu et al. 2016). A row on its
  own is again N(0, I); together they cover the directions more evenly, which helps where `beta |x|^2` is about 1 or less.
* `Hadamard`: `H D1 H D2 H D3` with random signs `D` and the fast Walsh-Hadamard transform (Yu et al. 2016, "structured"): no
  matrix is drawn or kept, and a projection costs `rows log(dim)` rather than `rows dim`. Its directions are not
  uniform, so that kernels are biased, the more so the fewer entries there are to mix.

A projection is a recipe: `draw` makes the random numbers for some rows, `apply` and `transposed` multiply with those rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

NUMBERS_AT_ONCE = 2**18
LEAST_WIDTH = 16


class Projection(ABC):
    """How rows are drawn, and multiplied with."""

    name: ClassVar[str]

    @abstractmethod
    def group(self, dim: int) -> int:
        """How many rows depend on each other; groups are independent."""

    @abstractmethod
    def draw(self, rows: int, dim: int, generator: torch.Generator) -> Tensor:
        """The random numbers, float32, that make `rows` rows."""

    @abstractmethod
    def apply(self, drawn: Tensor, vectors: Tensor, rows: int, out: Tensor | None = None) -> Tensor:
        """`vectors S^T (b, rows)` for `vectors (b, dim)`; written to `out` where that is given and saves a copy."""

    @abstractmethod
    def transposed(self, drawn: Tensor, weights: Tensor, dim: int) -> Tensor:
        """`weights S (b, dim)` for `weights (b, rows)`."""

    def numbers(self, rows: int, dim: int) -> int:
        """How many numbers `draw` makes for `rows` rows."""
        return rows * dim

    def operations(self, rows: int, dim: int) -> int:
        """Multiplications and additions that the projection of one vector takes."""
        return 2 * rows * dim

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Gaussian(Projection):
    """Independent rows of N(0, I).

    Example:
        >>> rows = Gaussian().draw(3, 2, torch.Generator().manual_seed(0))
        >>> Gaussian().apply(rows, torch.eye(2), 3).equal(rows.T)
        True
    """

    name = "gaussian"

    def group(self, dim: int) -> int:
        return 1

    def draw(self, rows: int, dim: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rows, dim, generator=generator)

    def apply(self, drawn: Tensor, vectors: Tensor, rows: int, out: Tensor | None = None) -> Tensor:
        return torch.mm(vectors, drawn.T, out=out)

    def transposed(self, drawn: Tensor, weights: Tensor, dim: int) -> Tensor:
        return weights @ drawn


class Orthogonal(Gaussian):
    """Rows that are orthogonal in groups of `dim`, with the lengths of independent normal vectors."""

    name = "orthogonal"

    def group(self, dim: int) -> int:
        return dim

    def draw(self, rows: int, dim: int, generator: torch.Generator) -> Tensor:
        groups = -(-rows // dim)
        q, r = torch.linalg.qr(torch.randn(groups, dim, dim, generator=generator))
        # the signs of LAPACK are not those of a uniformly distributed rotation
        q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]
        lengths = torch.randn(groups * dim, dim, generator=generator).norm(dim=-1, keepdim=True)
        return (q.mT.reshape(groups * dim, dim) * lengths)[:rows].clone()


class Hadamard(Projection):
    """Rows of `H D1 H D2 H D3`, with the lengths of independent normal vectors; `dim` is padded to a power of two, 16 or more.

    The directions of its rows are not uniform, so that kernels are biased, by up to about 0.005 where at least 16 entries are
    mixed; with as few as 2 it would be 0.2.
    """

    name = "hadamard"

    def group(self, dim: int) -> int:
        return padded(dim)

    def draw(self, rows: int, dim: int, generator: torch.Generator) -> Tensor:
        width = padded(dim)
        groups = -(-rows // width)
        signs = torch.randint(0, 2, (3, groups, width), generator=generator).float() * 2 - 1
        # a few rows at a time: all of them would be the matrix that this projection saves
        lengths = torch.empty(groups * width)
        for some in lengths.split(max(1, NUMBERS_AT_ONCE // width)):
            torch.linalg.vector_norm(torch.randn(len(some), width, generator=generator), dim=-1, out=some)
        return torch.cat([signs, lengths.view(1, groups, width)])

    def apply(self, drawn: Tensor, vectors: Tensor, rows: int, out: Tensor | None = None) -> Tensor:
        width = drawn.shape[-1]
        turned = pad(vectors, (0, width - vectors.shape[1]))[:, None, :]
        for signs in (drawn[2], drawn[1], drawn[0]):
            turned = walsh_hadamard(turned * signs)
        return (turned * drawn[3]).flatten(1)[:, :rows]

    def transposed(self, drawn: Tensor, weights: Tensor, dim: int) -> Tensor:
        groups, width = drawn.shape[1:]
        turned = pad(weights, (0, groups * width - weights.shape[1])).view(-1, groups, width) * drawn[3]
        for signs in (drawn[0], drawn[1], drawn[2]):
            turned = walsh_hadamard(turned) * signs
        return turned.sum(1)[:, :dim]

    def numbers(self, rows: int, dim: int) -> int:
        width = padded(dim)
        return 4 * width * -(-rows // width)

    def operations(self, rows: int, dim: int) -> int:
        width = padded(dim)
        return -(-rows // width) * width * (3 * sum(matrix.shape[0] * 2 for matrix in factors(width, torch.zeros(()))) + 4)


def walsh_hadamard(vectors: Tensor) -> Tensor:
    """The orthonormal Walsh-Hadamard transform of the last dimension, a power of two.

    Two small matrix products in the place of `log2(width)` passes over memory: `H_(a b) = H_a (x) H_b`.

    Example:
        >>> walsh_hadamard(torch.tensor([1.0, 0.0, 0.0, 0.0])).tolist()
        [0.5, 0.5, 0.5, 0.5]
    """
    left, right = factors(vectors.shape[-1], vectors)
    square = vectors.unflatten(-1, (len(left), len(right)))
    return (left @ square @ right).flatten(-2) * vectors.shape[-1] ** -0.5


def factors(width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The Hadamard matrices of sizes `a` and `b` with `a b = width`."""
    bits = width.bit_length() - 1
    return hadamard(bits // 2, like), hadamard(bits - bits // 2, like)


def hadamard(bits: int, like: Tensor) -> Tensor:
    """The Hadamard matrix of size `2^bits`, entries 1 and -1."""
    matrix = torch.ones(1, 1, dtype=like.dtype, device=like.device)
    for _ in range(bits):
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix


def padded(dim: int) -> int:
    """The smallest power of two that is at least `dim` and `LEAST_WIDTH`."""
    return max(LEAST_WIDTH, 1 << (dim - 1).bit_length())


PROJECTIONS: dict[str, type[Projection]] = {kind.name: kind for kind in (Gaussian, Orthogonal, Hadamard)}


def projection_from(name: str) -> Projection:
    """The projection of this name.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    if not isinstance(name, str) or name not in PROJECTIONS:
        raise ValueError(f"projection must be one of {sorted(PROJECTIONS)}, got {name!r}")
    return PROJECTIONS[name]()
