"""Exponential Lagrangians, sums over entries: the hidden layer of a memory with exponential capacity.

Activations and Hessians are closed forms, and autograd of each is the next one. Conjugates obey `L*(g(x)) = x.g(x) - L(x)`.

Sources: Demircigil et al. 2017 (exponential interaction); the table of Krotov and Hopfield 2021 (arXiv 2008.06996).
"""

from __future__ import annotations

import math

from torch import Tensor

from attractor.energy.lagrangian import Elementwise
from attractor.energy.tempered import Tempered, total, within
from attractor.read.similarity import widened


class Exp(Tempered, Elementwise):
    """`L = sum e^(beta x) / beta`, `g = e^(beta x)`.

    Overflows from `beta x = 709.8` in float64, `88.8` in float32, `11.1` in float16.
    Entries whose activation underflows to zero count as dead.

    Args:
        beta: inverse temperature, > 0; a number, tensor or parameter.

    Raises:
        TypeError, ValueError: `beta` is not a positive finite number.

    Example:
        >>> import torch
        >>> Exp(beta=2.0).activation(torch.zeros(1, 2))
        tensor([[1., 1.]])
    """

    bounded = False

    def value(self, x: Tensor) -> Tensor:
        return total((self.beta * widened(x)).exp() / self.beta)

    def activation(self, x: Tensor) -> Tensor:
        return (self.beta * widened(x)).exp().to(x.dtype)

    def slope(self, x: Tensor) -> Tensor:
        return self.beta * self.activation(x)

    @property
    def curvature_bound(self) -> float:
        return math.inf

    def conjugate(self, g: Tensor) -> Tensor:
        g = within(self, g, low=0.0)
        return total((g.xlogy(g) - g) / self.beta)

    def dead(self, x: Tensor) -> Tensor:
        return self.activation(x) == 0


class RectifiedExp(Tempered, Elementwise):
    """`L = sum [e^(beta max(x, 0)) / beta - max(x, 0)]`, `g = e^(beta max(x, 0)) - 1`. Entries with `x <= 0` are dead.

    Overflows from `beta x = 709.8` in float64, `88.8` in float32, `11.1` in float16.

    Args:
        beta: inverse temperature, > 0; a number, tensor or parameter.

    Raises:
        TypeError, ValueError: `beta` is not a positive finite number.

    Example:
        >>> import torch
        >>> RectifiedExp().activation(torch.tensor([[-1.0, 1.0]]))
        tensor([[0.0000, 1.7183]])
    """

    bounded = False

    def value(self, x: Tensor) -> Tensor:
        x = widened(x).relu()
        return total((self.beta * x).exp() / self.beta - x)

    def activation(self, x: Tensor) -> Tensor:
        return (self.beta * widened(x).relu()).expm1().to(x.dtype)

    def slope(self, x: Tensor) -> Tensor:
        return (self.beta * (self.beta * widened(x).relu()).exp() * (x > 0)).to(x.dtype)

    @property
    def curvature_bound(self) -> float:
        return math.inf

    def conjugate(self, g: Tensor) -> Tensor:
        g = within(self, g, low=0.0)
        return total((1 + g) * (g.log1p() - 1) / self.beta)

    def dead(self, x: Tensor) -> Tensor:
        return x <= 0
