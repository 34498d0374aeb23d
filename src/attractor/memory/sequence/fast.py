"""Many steps of the plain network at the cost of their matrix products.

A step is three products (two with self-coupling), a few passes over the overlaps for `A` and `B` of the exact form (`network.py`),
and the sign, all into tensors that are there already. A field of zero leaves a zero, which is looked for after many steps; such a
step is done again with care. So is every step of powers that leave the range or the precision of the numbers: they have no fast
form.
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
LOST = 0.01
"""The most that rounding may take from what a unit sees of an overlap of 2: 1 or `3^d`, of `A` and `B` that hold `3^d`."""


class FastSteps:
    """The steps of a network of one plain term.

    Args:
        network: whose overlaps are whole numbers.
        fill: finds `A` and `B` for it.
        batch: number of states. For one state all tensors are vectors.
    """

    def __init__(self, network: Network, fill: Weights, batch: int):
        count = len(network.patterns)
        columns = (batch,) if batch > 1 else ()
        self.network, self.fill = network, fill
        self.products = Ready(network, columns) if network.fits_at_hand else Streamed(network, columns)
        self.factors: Tensor | None = None
        if network.gains is not None or bool((network.order.previous == count).any()):
            gains = network.patterns.new_ones(count, 1) if network.gains is None else network.gains
            self.factors = network.shifted(gains.expand(count, batch)).reshape(count, *columns)
        # what nobody hears must not be the largest weight, beside which the others would be lost
        self.unheard = self.factors == 0 if self.factors is not None and fill.beside_largest else None

    def run(self, states: Tensor) -> int:
        """Fill `states (t + 1, N, b)`, of which the first is given.

        Returns:
            how many steps are right; in the one after them, a field was zero.
        """
        products, fill, self_coupling = self.products, self.fill, self.network.self_coupling
        overlaps, (mean, half), (part, own) = products.overlaps, products.weights.unbind(), products.parts.unbind()
        views = (states if states.shape[2] > 1 else states.squeeze(2)).unbind()
        for now, then in pairwise(views):
            products.find_overlaps(now)
            if self.unheard is not None:
                overlaps.masked_fill_(self.unheard, -torch.inf)
            fill(overlaps, mean, half)
            if self.factors is not None:
                products.weights.mul_(self.factors)
            products.read_out()
            if not self_coupling:
                part.addcmul_(now, own, value=fill.own_factor)
            torch.sign(part, out=then)
        reached = states[1:]
        return len(reached) if has_no_zero(reached) else int((reached == 0).flatten(1).any(1).nonzero()[0])


class Products(ABC):
    """The matrix products of a step, and the tensors that they read and fill. For one state all are vectors.

    Attributes:
        overlaps: `(P, b)` with the pattern before each one; any where there is none.
        weights: `(2, P, b)` of the patterns, and of `Xi * Xn`.
        parts: `(2, N, b)`, their weighted sums. With self-coupling the second ones are neither read nor filled.
    """

    def __init__(self, network: Network, columns: tuple[int, ...]):
        count, dim = network.patterns.shape
        self.network = network
        self.overlaps = network.patterns.new_empty(count, *columns)
        self.weights = network.patterns.new_zeros(2, count, *columns)
        self.parts = network.patterns.new_empty(2, dim, *columns)

    @abstractmethod
    def find_overlaps(self, states: Tensor) -> None:
        """Fill `overlaps`."""

    @abstractmethod
    def read_out(self) -> None:
        """Fill `parts`."""


class Ready(Products):
    """With all matrices at hand."""

    def __init__(self, network: Network, columns: tuple[int, ...]):
        super().__init__(network, columns)
        self.before, readable = network.at_hand()
        self.product = torch.mm if columns else torch.mv
        self.readable = readable.mT if columns and not network.self_coupling else None
        triples = list(zip(readable.mT, self.weights, self.parts, strict=True))
        self.triples = triples[:1] if network.self_coupling else triples

    def find_overlaps(self, states: Tensor) -> None:
        self.product(self.before, states, out=self.overlaps)

    def read_out(self) -> None:
        if self.readable is not None:
            torch.bmm(self.readable, self.weights, out=self.parts)
            return
        for matrix, weights, part in self.triples:
            self.product(matrix, weights, out=part)


class Streamed(Products):
    """With no more than the patterns at hand."""

    def find_overlaps(self, states: Tensor) -> None:
        overlaps = torch.matmul(self.network.patterns, states)
        before = self.network.order.previous.clamp_max(len(overlaps) - 1)
        torch.index_select(overlaps, 0, before, out=self.overlaps)

    def read_out(self) -> None:
        torch.matmul(self.network.patterns.T, self.weights[0], out=self.parts[0])
        if not self.network.self_coupling:
            self.network.times_joint(self.weights[1], self.parts[1])


def has_no_zero(signs: Tensor) -> bool:
    """Whether all entries are -1 or 1. Their squares add up to how many they are: whole numbers, which so few add up to exactly."""
    return all(float(torch.dot(some, some)) == len(some) for some in signs.view(-1).split(2**24))


class Weights(ABC):
    """`A` and `B / own_factor` of overlaps, up to a positive factor for each state."""

    own_factor: float = -1.0
    beside_largest: bool = False
    """Whether the weights are relative to the largest of them."""

    @abstractmethod
    def __call__(self, overlaps: Tensor, mean: Tensor, half: Tensor) -> None:
        """Fill `mean` and `half` from `overlaps`, all `(P, b)` or `(P,)`. With self-coupling there is no need for `half`."""


class Powers(Weights):
    """`A_d = ((G - 1)^d + (G + 1)^d) / 2` and `-B_d`, by `A_{d+1} = G A_d - B_d` and `B_{d+1} = G B_d - A_d`."""

    def __init__(self, degree: int, like: Tensor):
        self.degree, self.ones = degree, torch.ones_like(like)
        self.room = [torch.empty_like(like) for _ in range(2)]

    def __call__(self, overlaps: Tensor, mean: Tensor, half: Tensor) -> None:
        wanted = (mean, half)
        near, other = (wanted, self.room) if self.degree % 2 else (self.room, wanted)
        near[0].copy_(overlaps)
        near[1].copy_(self.ones)
        for _ in range(self.degree - 1):
            torch.addcmul(near[1], overlaps, near[0], out=other[0])
            torch.addcmul(near[0], overlaps, near[1], out=other[1])
            near, other = other, near


class Cubes(Weights):
    """`-B_3 = 3 G^2 + 1` and `3 A_3 / 8 = G - G B_3 / 8` in a pass each. An eighth of a whole number is exact."""

    own_factor = -3 / 8

    def __init__(self, like: Tensor):
        self.ones = torch.ones_like(like)

    def __call__(self, overlaps: Tensor, mean: Tensor, half: Tensor) -> None:
        torch.addcmul(self.ones, overlaps, overlaps, value=3, out=half)
        torch.addcmul(overlaps, overlaps, half, value=1 / 8, out=mean)


class OwnPowers(Weights):
    """`G^d`, where a unit sees itself."""

    def __init__(self, degree: int):
        self.degree = degree

    def __call__(self, overlaps: Tensor, mean: Tensor, half: Tensor) -> None:
        torch.pow(overlaps, self.degree, out=mean)


class Exponentials(Weights):
    """`exp G` up to a factor of the state, which is `A` over `cosh 1` and `B` over `-sinh 1`."""

    own_factor = -math.tanh(1)
    beside_largest = True

    def __init__(self, dim: int, dtype: torch.dtype, *, self_coupling: bool):
        self.rate = (dim - 1) / dim if self_coupling else None
        # near the smallest of all numbers, exponentials and products take hundreds of times as long: what comes down there is none
        self.least = 2 * torch.finfo(dtype).tiny
        self.lowest = math.log(self.least)

    def __call__(self, overlaps: Tensor, mean: Tensor, half: Tensor) -> None:
        if self.rate is not None:
            overlaps.mul_(self.rate)
        if mean.dim() == 1:
            torch.softmax(overlaps, 0, out=mean)
        else:  # over columns, a soft-max takes longer than its parts
            torch.sub(overlaps, overlaps.amax(0), out=mean).clamp_min_(self.lowest).exp_()
        torch.threshold_(mean, 1.01 * self.least, 0.0)
        if self.rate is None:
            half.copy_(mean)


def fast_steps(network: Network, batch: int) -> FastSteps | None:
    """The fast form of a network, None where it has none."""
    if not network.is_plain:
        return None
    patterns, interaction = network.patterns, network.terms[0].interaction
    like = patterns.new_empty(len(patterns), *((batch,) if batch > 1 else ()))
    dim = patterns.shape[1]
    if isinstance(interaction, ExponentialInteraction):
        steps = FastSteps(network, Exponentials(dim, patterns.dtype, self_coupling=network.self_coupling), batch)
        unheard = steps.unheard
        return None if unheard is not None and bool(unheard.all(0).any()) else steps
    if not isinstance(interaction, PolynomialInteraction):
        return None
    degree = interaction.degree
    if degree * math.log2(dim + 1) > LARGEST_EXPONENT[patterns.dtype]:
        return None
    if network.self_coupling:
        return FastSteps(network, OwnPowers(degree), batch)
    if 3.0**degree * torch.finfo(patterns.dtype).eps > LOST:
        return None
    return FastSteps(network, Cubes(like) if degree == 3 else Powers(degree, like), batch)
