"""All Lagrangians, and their short names."""

from __future__ import annotations

from typing import Any

from attractor.energy.collective import Ghostmax, Softmax
from attractor.energy.elementwise import Identity, LeakyReLU, Power, ReLU, RePU, Sigmoid, Tanh
from attractor.energy.exponential import Exp, RectifiedExp
from attractor.energy.lagrangian import Lagrangian
from attractor.energy.norms import LayerNorm, Spherical

__all__ = [
    "LAGRANGIANS",
    "Exp",
    "Ghostmax",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Power",
    "ReLU",
    "RePU",
    "RectifiedExp",
    "Sigmoid",
    "Softmax",
    "Spherical",
    "Tanh",
    "lagrangian_from",
]

LAGRANGIANS: dict[str, type[Lagrangian]] = {
    "identity": Identity,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "repu": RePU,
    "power": Power,
    "exp": Exp,
    "rexp": RectifiedExp,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
    "ghostmax": Ghostmax,
    "spherical": Spherical,
    "layernorm": LayerNorm,
}


def lagrangian_from(name: str, **settings: Any) -> Lagrangian:
    """The Lagrangian of a short name.

    Args:
        name: one of the names in `LAGRANGIANS`.
        settings: arguments of its class.

    Raises:
        ValueError: an unknown name; or as its class does.

    Example:
        >>> lagrangian_from("softmax", beta=4.0)
        Softmax(beta=4.0)
    """
    if name not in LAGRANGIANS:
        raise ValueError(f"name must be one of {list(LAGRANGIANS)}, got {name!r}")
    return LAGRANGIANS[name](**settings)
