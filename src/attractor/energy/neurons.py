"""Neurons: one layer of an energy network."""

from __future__ import annotations

import math

from torch import Tensor, nn

from attractor.energy.lagrangian import Lagrangian
from attractor.energy.synapses.shapes import as_shape
from attractor.energy.tempered import total
from attractor.read.similarity import widened
from attractor.validation import check_positive


class Neurons(nn.Module):
    """A layer: states `(b, *shape)`, the Lagrangian that turns them into activations, and the time constant of their motion.

    Args:
        lagrangian: what makes activations of states.
        shape: of one sample; a number stands for a vector.
        tau: time constant of `tau dx/dt = drive - x`. The limit `tau -> 0` has no motion of its own: use a memory synapse, which
            is such a layer integrated out.

    Raises:
        TypeError, ValueError: `tau` is not positive, `shape` is empty, not of positive integers, or not one that the Lagrangian
            can have.

    Example:
        >>> from attractor.energy import Neurons, lagrangians
        >>> Neurons(lagrangians.Tanh(beta=2.0), 3)
        Neurons(3, Tanh(beta=2.0), tau=1)
    """

    def __init__(self, lagrangian: Lagrangian, shape: int | tuple[int, ...], *, tau: float = 1.0):
        super().__init__()
        if not isinstance(lagrangian, Lagrangian):
            raise TypeError(f"lagrangian must be a Lagrangian, got {type(lagrangian).__name__}")
        self.lagrangian = lagrangian
        self.shape = as_shape("shape", shape)
        lagrangian.check(self.shape)
        self.tau = check_positive("tau", tau)

    @property
    def units(self) -> int:
        """How many neurons."""
        return math.prod(self.shape)

    def activation(self, x: Tensor) -> Tensor:
        return self.lagrangian.activation(x)

    def energy(self, x: Tensor, g: Tensor) -> Tensor:
        """`x.g - L(x)`, `(b,)`: the part of the energy that the layer has for itself, in float32 or better."""
        return total(widened(x) * g) - self.lagrangian.value(x)

    def __repr__(self) -> str:
        return f"Neurons({'x'.join(map(str, self.shape))}, {self.lagrangian!r}, tau={self.tau:g})"
