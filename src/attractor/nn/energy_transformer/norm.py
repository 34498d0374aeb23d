"""The layer norm of the Energy Transformer, `g = gamma (x - mean(x)) / sqrt(var(x) + eps) + delta`, with one number `gamma`.

For each token it is the gradient of a convex function, `L = D gamma sqrt(var(x) + eps) + delta.x`, as long as `gamma` is positive:
that is why the energy falls. It is the function of `attractor.energy.lagrangians.LayerNorm`, by torch's kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from attractor.validation import check_count, check_finite, check_positive

LEAST_GAIN = 1e-3
"""Below it `keep_descending` lets no gain fall."""


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
        self.register_load_state_dict_pre_hook(refuse_gains)

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, (self.dim,), self.gain.expand(self.dim), self.bias, self.eps)

    def check(self) -> None:
        """Raises ValueError where training has made the gain useless."""
        check_gain("norm.gain", self.gain)

    def check_tokens(self, name: str, x: Tensor) -> None:
        """Raises ValueError where tokens are not finite, or so large that their variance would not be."""
        most = (torch.finfo(torch.promote_types(x.dtype, torch.float32)).max / self.dim) ** 0.5 / 2
        low, high = torch.aminmax(x.detach())
        if not bool((low >= -most) & (high <= most)):
            check_finite(name, x.flatten(0, -2))
            raise ValueError(f"{name} must have entries up to {most:.3g}, whose variance is finite, got {low:g} to {high:g}")

    def extra_repr(self) -> str:
        return f"{self.dim}, gain={float(self.gain.detach()):.6g}, eps={self.eps:g}"


def refuse_gains(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Hook of a module with such norms inside, before a state is loaded: on the whole, it checks all before anything changes."""
    for name, part in module.named_modules(prefix=prefix.removesuffix(".")):
        if isinstance(part, EnergyLayerNorm):
            key = f"{name}.gain" if name else "gain"
            if key in state:
                check_gain(key, state[key])


def check_gain(name: str, gain: Tensor) -> None:
    """The Jacobian of the norm is positive semidefinite for a positive gain only; with another the energy may rise."""
    if not bool(((gain > 0) & gain.isfinite()).all()):
        raise ValueError(f"{name} must be positive and finite, or the energy would rise, got {gain.detach().tolist()}")


@torch.no_grad()
def keep_descending(network: nn.Module) -> None:
    """After a step of an optimiser: gains of energy layer norms stay positive, for with a negative one the energy would rise.

    Example:
        >>> norm = EnergyLayerNorm(2)
        >>> norm.gain.data.fill_(-0.5)
        tensor(-0.5000)
        >>> keep_descending(norm)
        >>> round(norm.gain.item(), 6)
        0.001
    """
    for module in network.modules():
        if isinstance(module, EnergyLayerNorm):
            module.gain.clamp_(min=LEAST_GAIN)
