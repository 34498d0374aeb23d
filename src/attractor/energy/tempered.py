"""What Lagrangians share: a fixed or learned inverse temperature, sums over entries, domains of conjugates."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attractor.energy.lagrangian import Lagrangian
from attractor.read.similarity import widened
from attractor.validation import check_positive


class Tempered(Lagrangian):
    """A Lagrangian with an inverse temperature.

    `beta` is a positive number, or a tensor or parameter of shape `()` or `(1,)`: gradients reach it.
    """

    beta: float | Tensor

    def __init__(self, beta: float | Tensor = 1.0):
        super().__init__()
        set_scale(self, "beta", beta)

    @property
    def number(self) -> float:
        """`beta` as a plain number, without its gradient."""
        return as_number(self.beta)

    def extra_repr(self) -> str:
        return f"beta={self.number:.6g}" if isinstance(self.beta, Tensor) else f"beta={self.beta}"


def set_scale(module: nn.Module, name: str, value: float | Tensor) -> None:
    """Give `module` a positive number: as it is, or as the parameter or buffer that it is.

    Raises:
        TypeError, ValueError: not one positive finite number.
    """
    if not isinstance(value, Tensor):
        setattr(module, name, check_positive(name, value))
        return
    if value.numel() != 1 or value.ndim > 1 or not value.is_floating_point():
        raise ValueError(f"{name} must be one floating-point number, got {value.dtype} of shape {tuple(value.shape)}")
    if not bool((value > 0) & value.isfinite()):
        raise ValueError(f"{name} must be a positive finite number, got {as_number(value)!r}")
    set_tensor(module, name, value)


def set_tensor(module: nn.Module, name: str, value: Tensor) -> None:
    """Give `module` a parameter where `value` is one, otherwise a buffer."""
    if isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def as_number(value: float | Tensor) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else value


def total(terms: Tensor) -> Tensor:
    """The sum `(b,)` over all but the batch."""
    return terms.flatten(1).sum(-1)


def rounding(dtype: torch.dtype) -> float:
    """How far outside a domain an activation computed in this precision may lie."""
    return float(torch.finfo(dtype).eps ** (2 / 3))


def within(lagrangian: Lagrangian, g: Tensor, low: float = -math.inf, high: float = math.inf) -> Tensor:
    """`g` in float32 or better with rounding beyond `[low, high]` cut off.

    Raises:
        ValueError: an entry is not finite, or outside by more than rounding.
    """
    slack = rounding(g.dtype)
    g = widened(g)
    inside = (g >= low - slack) & (g <= high + slack) & g.isfinite()
    if not bool(inside.all()):
        worst = g.detach()[~inside].flatten()[0].item()
        raise ValueError(f"g must lie in [{low:g}, {high:g}], the activations of {lagrangian!r}, got an entry {worst:g}")
    return g.clamp(low, high)
