"""All Lagrangians."""

from attractor.energy.collective import Ghostmax, Softmax
from attractor.energy.elementwise import Identity, LeakyReLU, Power, ReLU, RePU, Sigmoid, Tanh
from attractor.energy.exponential import Exp, RectifiedExp
from attractor.energy.norms import LayerNorm, Spherical

__all__ = [
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
]
