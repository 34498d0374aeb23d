"""Three layers at once: `E = -sum_ijk T_ijk a_i b_j c_k`, the smallest synapse that no pair of layers can replace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.shapes import Shape, as_parameter, as_shape, check_shapes
from attractor.products import linear


class Trilinear(Synapse):
    """`E = -sum_ijk T_ijk a_i b_j c_k`, with a learnable `weight (prod(a), prod(b), prod(c))`.

    Args:
        a, b, c: the layers' shapes.
        generator: source of the first weights, normal with deviation `1/sqrt(prod(a) prod(b))`.

    Raises:
        TypeError, ValueError: a shape is empty or holds something other than positive integers.

    Example:
        >>> synapse = Trilinear.from_tensor(torch.full((1, 1, 2), 2.0))
        >>> synapse.energy(torch.tensor([[3.0]]), torch.tensor([[1.0]]), torch.tensor([[1.0, 4.0]])).item()
        -30.0
    """

    ends = 3

    def __init__(self, a: Shape, b: Shape, c: Shape, *, generator: torch.Generator | None = None):
        super().__init__()
        self.shapes = (as_shape("a", a), as_shape("b", b), as_shape("c", c))
        counts = [math.prod(shape) for shape in self.shapes]
        self.weight = nn.Parameter(torch.randn(counts, generator=generator) / (counts[0] * counts[1]) ** 0.5)

    @classmethod
    def from_tensor(cls, weight: Tensor) -> Self:
        """The synapse of three vector layers with `weight (a, b, c)`; a parameter is shared, another tensor copied.

        Raises:
            TypeError, ValueError: `weight` is no finite floating-point tensor of three dimensions.
        """
        learned = as_parameter("weight", weight)
        if learned.dim() != 3:
            raise ValueError(f"weight must have shape (a, b, c), got {tuple(learned.shape)}")
        with torch.device("meta"):  # where nothing is drawn: the weights come from the caller
            synapse = cls(1, 1, 1)
        synapse.shapes = ((learned.shape[0],), (learned.shape[1],), (learned.shape[2],))
        synapse.weight = learned
        return synapse

    def matrices(self, c: Tensor) -> Tensor:
        """`sum_k T_ijk c_k`, one matrix `(b, i, j)` for each sample."""
        return linear(c, self.weight.flatten(0, 1)).unflatten(1, self.weight.shape[:2])

    def energy(self, *activations: Tensor) -> Tensor:
        a, b, c = (g.flatten(1) for g in activations)
        return -(a * apply(self.matrices(c), b)).sum(-1)

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        a, b, c = (g.flatten(1) for g in activations)
        matrices = self.matrices(c)
        pairs = (a[:, :, None] * b[:, None, :]).flatten(1)
        drives = (apply(matrices, b), apply(matrices.mT, a), linear(pairs, self.weight.flatten(0, 1).T))
        return tuple(drive.unflatten(1, shape) for drive, shape in zip(drives, self.shapes, strict=True))

    def degree(self, *ends: int) -> float | None:
        return len(set(ends))

    def concave_in(self, *ends: int) -> bool:
        # linear in each end, indefinite in two
        return len(set(ends)) < 2

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        check_shapes("Trilinear", self.shapes, shapes)

    def extra_repr(self) -> str:
        return " x ".join(map(str, self.shapes))


def apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Each sample's matrix times its vector."""
    return (matrices @ vectors[:, :, None]).squeeze(-1)
