"""Any differentiable energy as a synapse; its drives come from autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.shapes import check_numbers, check_shapes
from attractor.validation import check_count


class FunctionSynapse(Synapse):
    """`E = function(g1, g2, ...)`, one number for each sample; an `nn.Module` brings its parameters along.

    Nothing is known of its curvature: `concave_in` says no.

    Args:
        function: takes one activation `(b, *shape)` for each end and gives `(b,)`; each sample by itself.
        ends: how many layers it joins.

    Raises:
        TypeError: `function` cannot be called, or `ends` is no integer.
        ValueError: `ends` is below 1.

    Example:
        >>> import torch
        >>> synapse = FunctionSynapse(lambda g: -g.pow(4).sum(-1) / 4, ends=1)
        >>> synapse.drive(torch.tensor([[2.0, -1.0]]))[0].tolist()
        [[8.0, -1.0]]
    """

    def __init__(self, function: Callable[..., Tensor], *, ends: int):
        super().__init__()
        if not callable(function):
            raise TypeError(f"function must be callable, got {type(function).__name__}")
        self.function = function
        self.ends = check_count("ends", ends)

    def energy(self, *activations: Tensor) -> Tensor:
        """The energy `(b,)`.

        Raises:
            ValueError: the function gives something other than one number for each sample, or loses the gradient.
        """
        energy = check_numbers("function", self.function(*activations), len(activations[0]))
        if torch.is_grad_enabled() and any(one.requires_grad for one in activations) and not energy.requires_grad:
            raise ValueError("function must be differentiable in its activations, its energy has no gradient")
        return energy

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        check_shapes("FunctionSynapse", ("any",) * self.ends, shapes, fits=True)

    def extra_repr(self) -> str:
        return f"{getattr(self.function, '__name__', type(self.function).__name__)}, ends={self.ends}"
