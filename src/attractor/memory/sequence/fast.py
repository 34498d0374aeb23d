"""Many steps of the plain network at the cost of their matrix products.

A step is three products (two with self-coupling), a few passes over the overlaps for `A` and `B` of the exact form (`network.py`),
and the sign, all into tensors that are there already. A field of zero leaves a zero, which is looked for after many steps; such a
step is done again with care. So is every step of powers that leave the range of the numbers: these have no fast form.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from torch import Tensor

from attractor.memory.sequence.interaction import ExponentialInteraction, PolynomialInteraction
from attractor.memory.sequence.network import Network

LONGEST_STRIDE = 256
LARGEST_EXPONENT = {torch.float32: 100, torch.float64: 1000}
"""Of a power of two that a weight may reach, so that a sum of weights is finite."""


class FastSteps:
    """The steps of a network of one plain term.

    Args:
        network: whose overlaps are whole numbers.
        weights: `A` and `B` for it.
        batch: number of states. For one state all tensors are vectors.
    """

    def __init__(self, network: Network, weights: Weights, batch: int):
        count, dim = network.patterns.shape
        columns = (batch,) if batch > 1 else ()
        self.network, self.weights = network, weights
        self.product = torch.mm if columns else torch.mv
        previous = network.order.previous
        self.is_ring = bool(previous[0] == count - 1)
        # one row beside the patterns: that of the last one again, before the first, or what stands for no pattern
        self.overlaps = network.patterns.new_zeros(count + 1, *columns)
        self.rolled = self.overlaps[:-1] if self.is_ring else self.overlaps.new_empty(count, *columns)
        self.parts = self.rolled.new_empty(2, dim, *columns).unbind()
        self.factors: Tensor | None = None
        if network.gains is not None or bool((previous == count).any()):
            gains = network.patterns.new_ones(count, 1) if network.gains is None else network.gains
            self.factors = network.shifted(gains.expand(count, batch)).reshape(self.rolled.shape)
        # what nobody hears must not be the largest weight, beside which the others would be lost
        self.unheard = self.factors == 0 if self.factors is not None and weights.beside_largest else None

    def run(self, states: Tensor) -> int:
        """Fill `states (t + 1, N, b)`, of which the first is given.

        Returns:
            how many steps are right; in the one after them, a field was zero.
        """
        network, product, overlaps, rolled = self.network, self.product, self.overlaps, self.rolled
        patterns, readable, (part, own_part) = network.patterns, network.patterns.T, self.parts
        head, first, last = overlaps[1:] if self.is_ring else overlaps[:-1], overlaps[0], overlaps[-1]
        joint = None if network.self_coupling else network.joint_at_hand()
        own_readable = None if joint is None else joint.T
        own_factor = self.weights.own_factor
        views = (states if states.shape[2] > 1 else states.squeeze(2)).unbind()
        for now, then in pairwise(views):
            product(patterns, now, out=head)
            if self.is_ring:
                first.copy_(last)
            else:
                torch.index_select(overlaps, 0, network.order.previous, out=rolled)
            if self.unheard is not None:
                rolled.masked_fill_(self.unheard, -torch.inf)
            mean, half = self.weights(rolled)
            if self.factors is not None:
                mean, half = mean * self.factors, half * self.factors
            product(readable, mean, out=part)
            if not network.self_coupling:
                if own_readable is None:
                    network.times_joint(half, own_part)
                else:
                    product(own_readable, half, out=own_part)
                part.addcmul_(now, own_part, value=own_factor)
            torch.sign(part, out=then)
        reached = states[1:]
        return len(reached) if has_no_zero(reached) else int((reached == 0).flatten(1).any(1).nonzero()[0])


def has_no_zero(signs: Tensor) -> bool:
    """Whether all entries are -1 or 1. Their squares add up to how many they are: whole numbers, which so few add up to exactly."""
    return all(float(torch.dot(some, some)) == len(some) for some in signs.view(-1).split(2**24))


class Weights(ABC):
    """`A` and `B / own_factor` of overlaps `(P, b)` or `(P,)`, up to a positive factor for each state."""

    own_factor: float = -1.0
    beside_largest: bool = False
    """Whether the weights are relative to the largest of them."""

    @abstractmethod
    def __call__(self, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        """Tensors that the next call may overwrite."""


class Powers(Weights):
    """`A_d = ((G - 1)^d + (G + 1)^d) / 2` and `-B_d`, by `A_{d+1} = G A_d - B_d` and `B_{d+1} = G B_d - A_d`."""

    def __init__(self, degree: int, like: Tensor, *, self_coupling: bool):
        self.degree, self.self_coupling = degree, self_coupling
        self.ones = torch.ones_like(like)
        self.room = [like.new_empty(2, *like.shape).unbind() for _ in range(2)]

    def __call__(self, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        mean, half = overlaps, self.ones
        for step in range(self.degree - 1):
            next_mean, next_half = self.room[step % 2]
            if self.self_coupling:
                mean = torch.mul(mean, overlaps, out=next_mean)
            else:
                mean, half = (
                    torch.addcmul(half, overlaps, mean, out=next_mean),
                    torch.addcmul(mean, overlaps, half, out=next_half),
                )
        return mean, half


class Cubes(Weights):
    """`-B_3 = 3 G^2 + 1` and `3 A_3 / 8 = G - G B_3 / 8` in a pass each. An eighth of a whole number is exact."""

    own_factor = -3 / 8

    def __init__(self, like: Tensor):
        self.ones = torch.ones_like(like)
        self.mean, self.half = like.new_empty(2, *like.shape).unbind()

    def __call__(self, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        torch.addcmul(self.ones, overlaps, overlaps, value=3, out=self.half)
        return torch.addcmul(overlaps, overlaps, self.half, value=1 / 8, out=self.mean), self.half


class Exponentials(Weights):
    """`exp G` over its sum, which is `A` over `cosh 1` and `B` over `-sinh 1`, up to a factor of the state."""

    own_factor = -math.tanh(1)
    beside_largest = True

    def __init__(self, like: Tensor, dim: int, *, self_coupling: bool):
        self.rate = (dim - 1) / dim if self_coupling else None

    def __call__(self, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        weights = (overlaps if self.rate is None else overlaps * self.rate).softmax(0)
        # near the smallest of all numbers, products take hundreds of times as long: what comes down there is none
        torch.threshold_(weights, torch.finfo(weights.dtype).tiny, 0.0)
        return weights, weights


def fast_steps(network: Network, batch: int) -> FastSteps | None:
    """The fast form of a network, None where it has none."""
    if not network.is_plain:
        return None
    patterns, interaction = network.patterns, network.terms[0].interaction
    like = patterns.new_empty(len(patterns), *((batch,) if batch > 1 else ()))
    dim, settings = patterns.shape[1], {"self_coupling": network.self_coupling}
    if isinstance(interaction, ExponentialInteraction):
        steps = FastSteps(network, Exponentials(like, dim, **settings), batch)
        unheard = steps.unheard
        return None if unheard is not None and bool(unheard.all(0).any()) else steps
    bits = interaction.degree * math.log2(dim + 1) if isinstance(interaction, PolynomialInteraction) else math.inf
    if isinstance(interaction, PolynomialInteraction) and bits <= LARGEST_EXPONENT[patterns.dtype]:
        of_powers = (
            Cubes(like) if interaction.degree == 3 and not network.self_coupling else Powers(interaction.degree, like, **settings)
        )
        return FastSteps(network, of_powers, batch)
    return None
