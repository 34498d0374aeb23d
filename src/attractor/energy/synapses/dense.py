"""All-to-all weights between two layers: `E = -g2 . W g1`, the synapse of Hopfield 1984 and Krotov 2021 (arXiv 2107.06446)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from attractor.energy.synapses.bilinear import Bilinear
from attractor.energy.synapses.shapes import Shape, as_parameter, as_shape, check_shapes
from attractor.products import linear
from attractor.validation import check_matrix


class Dense(Bilinear):
    """`E = -g2 . W g1`, with a learnable `weight (prod(out_shape), prod(in_shape))`.

    Ends: the lower layer of `in_shape`, then the upper one of `out_shape`. The lower layer hears back through `W^T`.

    Args:
        in_shape: the lower layer's shape.
        out_shape: the upper layer's shape.
        generator: source of the first weights, normal with deviation `1/sqrt(prod(in_shape))`.

    Raises:
        TypeError, ValueError: a shape is empty or holds something other than positive integers.

    Example:
        >>> synapse = Dense.from_matrix(torch.tensor([[1.0, 2.0]]))
        >>> lower, upper = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0]])
        >>> synapse.energy(lower, upper).item()
        -6.0
        >>> [drive.tolist() for drive in synapse.drive(lower, upper)]
        [[[2.0, 4.0]], [[3.0]]]
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, *, generator: torch.Generator | None = None):
        super().__init__()
        self.in_shape, self.out_shape = as_shape("in_shape", in_shape), as_shape("out_shape", out_shape)
        fan_in = math.prod(self.in_shape)
        self.weight = nn.Parameter(torch.randn(math.prod(self.out_shape), fan_in, generator=generator) / fan_in**0.5)

    @classmethod
    def from_matrix(cls, weight: Tensor) -> Self:
        """The synapse of two vector layers with `weight (out, in)`; a parameter is shared, another tensor copied.

        Raises:
            TypeError, ValueError: `weight` is no finite floating-point matrix.
        """
        check_matrix("weight", weight)
        with torch.device("meta"):  # where nothing is drawn: the weights come from the caller
            synapse = cls(1, 1)
        synapse.in_shape, synapse.out_shape = (weight.shape[1],), (weight.shape[0],)
        synapse.weight = as_parameter("weight", weight)
        return synapse

    def up(self, lower: Tensor) -> Tensor:
        return linear(lower.flatten(1), self.weight).unflatten(1, self.out_shape)

    def down(self, upper: Tensor, shape: tuple[int, ...]) -> Tensor:
        return linear(upper.flatten(1), self.weight.T).unflatten(1, self.in_shape)

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        check_shapes("Dense", (self.in_shape, self.out_shape), shapes)

    def extra_repr(self) -> str:
        return f"{self.in_shape} -> {self.out_shape}"
