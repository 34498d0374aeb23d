"""A constant current into one layer: `E = -b . g`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.shapes import Shape, as_parameter, as_shape, check_shapes


class Bias(Synapse):
    """`E = -b . g`, with a learnable `bias` of the layer's shape, or of size 1 along dimensions that share one current.

    Args:
        bias: its shape, for zeros to start from, or the current itself: a parameter is shared, another tensor copied.

    Raises:
        TypeError, ValueError: neither a shape nor a finite floating-point tensor with at least one dimension.

    Example:
        >>> Bias(torch.tensor([1.0, -1.0])).energy(torch.tensor([[3.0, 1.0]])).item()
        -2.0
    """

    ends = 1
    quadratic = True

    def __init__(self, bias: Shape | Tensor):
        super().__init__()
        if isinstance(bias, Tensor):
            as_shape("bias", tuple(bias.shape))
            self.bias = as_parameter("bias", bias)
        else:
            self.bias = nn.Parameter(torch.zeros(as_shape("bias", bias)))

    def energy(self, *activations: Tensor) -> Tensor:
        (g,) = activations
        return -(g * self.bias).flatten(1).sum(-1)

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        (g,) = activations
        return (self.bias.expand_as(g).clone(),)  # a view would hand out the parameter itself

    def curvature(self, activations: Sequence[Tensor], directions: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(torch.zeros_like(z) for z in directions)

    def degree(self, *ends: int) -> float | None:
        return len(set(ends))

    def concave_in(self, *ends: int) -> bool:
        return True

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        own = tuple(self.bias.shape)
        fits = [len(shape) == len(own) and all(b in (1, n) for b, n in zip(own, shape, strict=True)) for shape in shapes]
        check_shapes("Bias", (own,), shapes, fits=all(fits))

    def extra_repr(self) -> str:
        return f"{tuple(self.bias.shape)}"
