"""The layer norm of the Energy Transformer, `g = gamma (x - mean(x)) / sqrt(var(x) + eps) + delta`, with one number `gamma`.

For each token it is the gradient of a convex function, `L = D gamma sqrt(var(x) + eps) + delta.x`, as long as `gamma` is positive:
that is why the energy falls. It is the function of `attractor.energy.lagrangians.LayerNorm`, by torch's kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from attractor.validation import check_count, check_positive


class EnergyLayerNorm(nn.Module):
    """Activations of tokens `(..., dim)`.

    Args:
        dim: entries of a token.
        eps: > 0.

    Attributes:
        gain: `gamma`, one number > 0, learned, 1 at first.
        bias: `delta (dim,)`, learned, zeros at first.

    Raises:
        TypeError, ValueError: `dim` below 1, or `eps` not positive; when a checkpoint is loaded, a gain that is not positive.

    Example:
        >>> EnergyLayerNorm(2)(torch.tensor([[1.0, 3.0]])).round().tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, dim: int, *, eps: float = 1e-5):
        super().__init__()
        self.dim, self.eps = check_count("dim", dim), check_positive("eps", eps)
        self.gain = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_load_state_dict_pre_hook(refuse_gain)

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, (self.dim,), self.gain.expand(self.dim), self.bias, self.eps)

    def check(self) -> None:
        """Raises ValueError where training has made the gain useless."""
        check_gain("norm.gain", self.gain)

    def extra_repr(self) -> str:
        return f"{self.dim}, gain={float(self.gain.detach()):.6g}, eps={self.eps:g}"


def refuse_gain(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    if f"{prefix}gain" in state:
        check_gain(f"{prefix}gain", state[f"{prefix}gain"])


def check_gain(name: str, gain: Tensor) -> None:
    """The Jacobian of the norm is positive semidefinite for a positive gain only; with another the energy may rise."""
    if not bool(((gain > 0) & gain.isfinite()).all()):
        raise ValueError(f"{name} must be positive and finite, or the energy would rise, got {gain.detach().tolist()}")
