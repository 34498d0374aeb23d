"""Every Lagrangian at a few settings, and states to try them at."""

import torch

from attractor.energy.lagrangians import (
    Exp,
    Ghostmax,
    Identity,
    LayerNorm,
    LeakyReLU,
    Power,
    RectifiedExp,
    ReLU,
    RePU,
    Sigmoid,
    Softmax,
    Spherical,
    Tanh,
)

SAFE = [
    Identity(),
    ReLU(),
    LeakyReLU(0.2),
    RePU(2),
    RePU(3),
    Power(2),
    Power(4),
    Tanh(),
    Tanh(2.5),
    Sigmoid(),
    Sigmoid(3.0),
    Softmax(),
    Softmax(4.0),
    Softmax(2.0, dim=1),
    Ghostmax(),
    Ghostmax(3.0, dim=1),
    Spherical(0.01),
    Spherical(0.0),
    Spherical(0.0, dims=1),
    LayerNorm(),
    LayerNorm(1.5, delta=0.3, eps=0.1),
    LayerNorm(0.7, eps=0.0, dims=1),
    LayerNorm(2.0, delta=torch.tensor([0.5, -0.25, 1.0], dtype=torch.float64), dims=1),
]
OVERFLOWING = [RePU(20), Power(20), Exp(), Exp(0.5), RectifiedExp(), RectifiedExp(2.0)]
ALL = SAFE + OVERFLOWING
SHAPES = [(3,), (2, 3), (2, 4, 3)]


def name(case):
    return repr(case) if not isinstance(case, tuple) else "x".join(map(str, case))


def states(shape, scale=1.0, batch=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(batch, *shape, generator=generator, dtype=torch.float64)


def fits(lagrangian, shape):
    """Whether a layer of this shape can have the Lagrangian."""
    delta = getattr(lagrangian, "delta", 0.0)
    return not isinstance(delta, torch.Tensor) or delta.shape[-1:] == shape[-1:]


def hessian(lagrangian, x):
    """The Hessian `(N, N)` at one state `x (1, *shape)`, from products with unit vectors."""
    units = torch.eye(x.numel(), dtype=x.dtype).view(x.numel(), *x.shape[1:])
    return lagrangian.hvp(x.expand_as(units), units).flatten(1)
