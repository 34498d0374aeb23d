"""Weights inside one layer: `E = -g . S g / 2` with a symmetric `S`, the energy of Hopfield 1982 and 1984."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.shapes import Shape, as_parameter, as_shape, check_shapes
from attractor.products import linear
from attractor.read.similarity import widened
from attractor.validation import check_matrix


class Lateral(Synapse):
    """`E = -g . S g / 2` with `S = (A + A^T) / 2`, symmetric whatever the learnable `weight` `A` becomes.

    It is concave, and a block step may move the layer, only where `S` is positive semi-definite.

    Args:
        shape: the layer's shape.
        generator: source of the first `A`, normal with deviation `1/sqrt(prod(shape))`.

    Raises:
        TypeError, ValueError: `shape` is empty or holds something other than positive integers.

    Example:
        >>> synapse = Lateral.from_matrix(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        >>> g = torch.tensor([[1.0, 3.0]])
        >>> synapse.energy(g).item(), synapse.drive(g)[0].tolist(), synapse.concave_in(0)
        (-3.0, [[3.0, 1.0]], False)
    """

    ends = 1
    quadratic = True

    def __init__(self, shape: Shape, *, generator: torch.Generator | None = None):
        super().__init__()
        self.shape = as_shape("shape", shape)
        count = math.prod(self.shape)
        self.weight = nn.Parameter(torch.randn(count, count, generator=generator) / count**0.5)

    @classmethod
    def from_matrix(cls, matrix: Tensor) -> Self:
        """The synapse of a vector layer with `S = matrix (n, n)`; a parameter is shared, another tensor copied.

        Raises:
            TypeError, ValueError: `matrix` is no finite floating-point matrix, or is not symmetric up to rounding.
        """
        check_matrix("matrix", matrix)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix must be square, got shape {tuple(matrix.shape)}")
        apart, largest = float((matrix - matrix.T).detach().abs().amax()), float(matrix.detach().abs().amax())
        if apart > 16 * torch.finfo(matrix.dtype).eps * largest:
            raise ValueError(
                f"matrix must be symmetric, got entries that differ from their mirror image by {apart:.3g}: without symmetry "
                "-g.Sg/2 is no energy of the dynamics; attractor.energy.feedback has systems with asymmetric feedback"
            )
        with torch.device("meta"):  # where nothing is drawn: the weights come from the caller
            synapse = cls(1)
        synapse.shape = (len(matrix),)
        synapse.weight = as_parameter("matrix", matrix)
        return synapse

    @property
    def matrix(self) -> Tensor:
        """`S`."""
        return (self.weight + self.weight.T) / 2

    def energy(self, *activations: Tensor) -> Tensor:
        (g,) = activations
        flat = g.flatten(1)
        return -(flat * linear(flat, self.weight.T)).sum(-1) / 2  # a quadratic form sees the symmetric part only

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        (g,) = activations
        return (linear(g.flatten(1), self.matrix).view_as(g),)

    def curvature(self, activations: Sequence[Tensor], directions: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return self.drive(*directions)

    def degree(self, *ends: int) -> float | None:
        return 2 * len(set(ends))

    def concave_in(self, *ends: int) -> bool:
        """Whether `S` is positive semi-definite up to rounding, by its eigenvalues at each call."""
        if not ends:
            return True
        eigenvalues = torch.linalg.eigvalsh(widened(self.matrix.detach()))
        rounding = torch.finfo(self.weight.dtype).eps * len(eigenvalues)
        return bool(eigenvalues[0] >= -rounding * eigenvalues.abs().amax())

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        check_shapes("Lateral", (self.shape,), shapes)

    def extra_repr(self) -> str:
        return f"{self.shape}"
