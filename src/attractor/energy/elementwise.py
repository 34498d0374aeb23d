"""Lagrangians that are sums over entries: `L(x) = sum_i l(x_i)`, with the activation `g_i = l'(x_i)` and a diagonal Hessian.

Activations and Hessians are closed forms, right at `x = 0` and for large `|x|`, and autograd of each is the next one. Conjugates
obey `L*(g(x)) = x.g(x) - L(x)` for every `x`.

Sources: the table of Krotov and Hopfield 2021 (arXiv 2008.06996); Krotov and Hopfield 2016 (arXiv 1606.01164) for rectified
powers; Fanaskov and Oseledets 2024 (arXiv 2410.13866) for dead neurons and conjugates.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from attractor.energy.lagrangian import DEAD, Elementwise
from attractor.energy.tempered import Tempered, total, within
from attractor.read.similarity import widened
from attractor.validation import check_count, check_positive


class Identity(Elementwise):
    """`L = |x|^2 / 2`, `g = x`.

    Example:
        >>> Identity().activation(torch.tensor([[-1.0, 2.0]]))
        tensor([[-1.,  2.]])
    """

    bounded = False

    def value(self, x: Tensor) -> Tensor:
        return total(widened(x).square()) / 2

    def activation(self, x: Tensor) -> Tensor:
        return x

    def slope(self, x: Tensor) -> Tensor:
        return torch.ones_like(x)

    @property
    def curvature_bound(self) -> float:
        return 1.0

    def conjugate(self, g: Tensor) -> Tensor:
        return total(within(self, g).square()) / 2

    def dead(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x, dtype=torch.bool)


class RePU(Elementwise):
    """Rectified power: `L = sum max(x, 0)^n / n`, `g = max(x, 0)^(n-1)`. Entries with `x <= 0` are dead.

    The value overflows from `x = m^(1/n)`, `m` the largest number of the precision.

    Args:
        n: the power, at least 2.

    Raises:
        TypeError, ValueError: `n` is not an integer of at least 2.

    Example:
        >>> RePU(3).activation(torch.tensor([[-1.0, 2.0]]))
        tensor([[0., 4.]])
    """

    bounded = False

    def __init__(self, n: int = 3):
        super().__init__()
        self.n = check_count("n", n, least=2)

    def value(self, x: Tensor) -> Tensor:
        return total(widened(x).relu() ** self.n) / self.n

    def activation(self, x: Tensor) -> Tensor:
        return x.relu() ** (self.n - 1)

    def slope(self, x: Tensor) -> Tensor:
        return (self.n - 1) * x.relu() ** (self.n - 2) * (x > 0)

    @property
    def curvature_bound(self) -> float:
        return 1.0 if self.n == 2 else math.inf

    def conjugate(self, g: Tensor) -> Tensor:
        return total(within(self, g, low=0.0) ** (self.n / (self.n - 1))) * (self.n - 1) / self.n

    def dead(self, x: Tensor) -> Tensor:
        return x <= 0

    def extra_repr(self) -> str:
        return f"n={self.n}"


class ReLU(RePU):
    """`L = sum max(x, 0)^2 / 2`, `g = max(x, 0)`. Entries with `x <= 0` are dead: `LeakyReLU` has none.

    Example:
        >>> ReLU().flat_basis(torch.tensor([[-1.0, 2.0]]))
        tensor([[[1., 0.]]])
    """

    def __init__(self) -> None:
        super().__init__(2)

    def extra_repr(self) -> str:
        return ""


class LeakyReLU(Elementwise):
    """`L = sum w(x) x^2 / 2`, `g = w(x) x`, with `w` 1 above zero and `negative_slope` below: no neuron is ever dead.

    Args:
        negative_slope: > 0.

    Raises:
        TypeError, ValueError: `negative_slope` is not a positive number.

    Example:
        >>> LeakyReLU(0.1).activation(torch.tensor([[-1.0, 2.0]]))
        tensor([[-0.1000,  2.0000]])
    """

    bounded = False

    def __init__(self, negative_slope: float = 0.01):
        super().__init__()
        self.negative_slope = check_positive("negative_slope", negative_slope)

    def value(self, x: Tensor) -> Tensor:
        x = widened(x)
        return total(x * self.activation(x)) / 2

    def activation(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def slope(self, x: Tensor) -> Tensor:
        return torch.ones_like(x).masked_fill(x <= 0, self.negative_slope)

    @property
    def curvature_bound(self) -> float:
        return max(1.0, self.negative_slope)

    def conjugate(self, g: Tensor) -> Tensor:
        g = within(self, g)
        return total(g * F.leaky_relu(g, 1 / self.negative_slope)) / 2

    def dead(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x, dtype=torch.bool)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Power(Elementwise):
    """`L = sum x^n / n`, `g = x^(n-1)`, for even `n`; `RePU` takes odd ones.

    For `n > 2` the Hessian vanishes at `x = 0`, where nevertheless nothing is flat. The value
    overflows from `|x| = m^(1/n)`, `m` the largest number of the precision.

    Args:
        n: the power, even.

    Raises:
        TypeError, ValueError: `n` is not an even integer of at least 2: an odd power is not convex.

    Example:
        >>> Power(4).activation(torch.tensor([[-1.0, 2.0]]))
        tensor([[-1.,  8.]])
    """

    bounded = False

    def __init__(self, n: int = 4):
        super().__init__()
        if check_count("n", n, least=2) % 2:
            raise ValueError(f"n must be even, got {n}: odd powers are convex only when rectified, use RePU({n})")
        self.n = n

    def value(self, x: Tensor) -> Tensor:
        return total(widened(x) ** self.n) / self.n

    def activation(self, x: Tensor) -> Tensor:
        return x ** (self.n - 1)

    def slope(self, x: Tensor) -> Tensor:
        return (self.n - 1) * x ** (self.n - 2)

    @property
    def curvature_bound(self) -> float:
        return 1.0 if self.n == 2 else math.inf

    def conjugate(self, g: Tensor) -> Tensor:
        return total(within(self, g).abs() ** (self.n / (self.n - 1))) * (self.n - 1) / self.n

    def dead(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x, dtype=torch.bool)

    def extra_repr(self) -> str:
        return f"n={self.n}"


class Tanh(Tempered, Elementwise):
    """`L = sum log cosh(beta x) / beta`, `g = tanh(beta x)`; for `beta -> inf` the sign. Saturated entries count as dead.

    Args:
        beta: inverse temperature, > 0; a number, tensor or parameter.

    Raises:
        TypeError, ValueError: `beta` is not a positive finite number.

    Example:
        >>> Tanh(beta=2.0).value(torch.tensor([[-1000.0, 1000.0]]))
        tensor([1999.3069])
    """

    bounded = True

    def value(self, x: Tensor) -> Tensor:
        z = self.beta * widened(x)
        # without |z|, whose second derivative autograd loses at 0
        return total((softplus(2 * z) - z - math.log(2)) / self.beta)

    def activation(self, x: Tensor) -> Tensor:
        return (self.beta * widened(x)).tanh().to(x.dtype)

    def slope(self, x: Tensor) -> Tensor:
        z = 2 * self.beta * widened(x)
        # 1 - tanh^2 would lose all digits where it saturates
        return (4 * self.beta * z.sigmoid() * (-z).sigmoid()).to(x.dtype)

    @property
    def curvature_bound(self) -> float:
        return self.number

    def conjugate(self, g: Tensor) -> Tensor:
        g = within(self, g, low=-1.0, high=1.0)
        return total(((1 + g).xlogy(1 + g) + (1 - g).xlogy(1 - g)) / (2 * self.beta))

    def dead(self, x: Tensor) -> Tensor:
        return self.slope(widened(x)) < DEAD * self.curvature_bound


class Sigmoid(Tempered, Elementwise):
    """`L = sum log(1 + e^(beta x)) / beta`, `g = 1 / (1 + e^(-beta x))`. Saturated entries count as dead.

    Args:
        beta: inverse temperature, > 0; a number, tensor or parameter.

    Raises:
        TypeError, ValueError: `beta` is not a positive finite number.

    Example:
        >>> Sigmoid().activation(torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    bounded = True

    def value(self, x: Tensor) -> Tensor:
        return total(softplus(self.beta * widened(x)) / self.beta)

    def activation(self, x: Tensor) -> Tensor:
        return (self.beta * widened(x)).sigmoid().to(x.dtype)

    def slope(self, x: Tensor) -> Tensor:
        z = self.beta * widened(x)
        return (self.beta * z.sigmoid() * (-z).sigmoid()).to(x.dtype)

    @property
    def curvature_bound(self) -> float:
        return self.number / 4

    def conjugate(self, g: Tensor) -> Tensor:
        g = within(self, g, low=0.0, high=1.0)
        return total((g.xlogy(g) + (1 - g).xlogy(1 - g)) / self.beta)

    def dead(self, x: Tensor) -> Tensor:
        return self.slope(widened(x)) < DEAD * self.curvature_bound


def softplus(z: Tensor) -> Tensor:
    """`log(1 + e^z)` to full precision; torch's `softplus` drops the exponential from `z = 20`, an error of 2e-9."""
    return -F.logsigmoid(-z)
