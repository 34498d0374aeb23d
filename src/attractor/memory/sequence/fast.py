"""Many steps of the plain network at the cost of their matrix products.

A step is three products (two with self-coupling), a few passes over the overlaps for `A` and `B` of the exact form (`network.py`),
and the sign, all into tensors that are there already. Where most weights are zero, as those of exponentials are, the read-outs take
the other rows alone. A field of zero leaves a zero, which is looked for after many steps; such a step is done again with care. So
is every step of powers that leave the range or the precision of the numbers: they have no fast form.
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
FEW = 1 / 4
"""Of the patterns: as long as no more have a weight, those are gathered for the read-outs."""
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
        self.products = (Ready if network.fits_at_hand else Streamed)(network, fill, columns)
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
        find_overlaps, read_out = products.find_overlaps, products.read_out
        overlaps, weights, parts = products.overlaps, products.weights.unbind(), products.parts.unbind()
        views = (states if states.shape[2] > 1 else states.squeeze(2)).unbind()
        for now, then in pairwise(views):
            find_overlaps(now)
            if self.unheard is not None:
                overlaps.masked_fill_(self.unheard, -torch.inf)
            fill(overlaps, *weights)
            if self.factors is not None:
                products.weights.mul_(self.factors)
            read_out()
            if not self_coupling:
                parts[0].addcmul_(now, parts[1], value=fill.own_factor)
            torch.sign(parts[0], out=then)
        reached = states[1:]
        return len(reached) if has_no_zero(reached) else int((reached == 0).flatten(1).any(1).nonzero()[0])


class Products(ABC):
    """The matrix products of a step, and the tensors that they read and fill. For one state all are vectors.

    Attributes:
        overlaps: `(P, b)` with the pattern before each one; any where there is none.
        weights: `(2, P, b)` of the patterns, and of `Xi * Xn`; `(1, P, b)` where both are the same, or the second ones not needed.
        parts: `(2, N, b)`, their weighted sums; `(1, N, b)` with self-coupling.
    """

    def __init__(self, network: Network, fill: Weights, columns: tuple[int, ...]):
        count, dim = network.patterns.shape
        self.network, self.fill = network, fill
        sums = 1 if network.self_coupling else 2
        self.overlaps = network.patterns.new_empty(count, *columns)
        self.weights = network.patterns.new_zeros(min(sums, fill.kinds), count, *columns)
        self.parts = network.patterns.new_empty(sums, dim, *columns)

    @abstractmethod
    def find_overlaps(self, states: Tensor) -> None:
        """Fill `overlaps`."""

    @abstractmethod
    def read_out(self) -> None:
        """Fill `parts`."""


class Ready(Products):
    """With all matrices at hand."""

    def __init__(self, network: Network, fill: Weights, columns: tuple[int, ...]):
        super().__init__(network, fill, columns)
        self.before, readable = network.at_hand()
        self.readable = readable[: len(self.parts)]
        self.product = torch.mm if columns else torch.mv
        self.each_weights = self.weights.expand(len(self.parts), *self.overlaps.shape)
        self.triples = list(zip(self.readable.mT, self.each_weights, self.parts, strict=True))

    def find_overlaps(self, states: Tensor) -> None:
        self.product(self.before, states, out=self.overlaps)

    def read_out(self) -> None:
        if self.fill.may_vanish and self.read_out_few():
            return
        if self.overlaps.dim() == 2 and len(self.parts) == 2:
            torch.bmm(self.readable.mT, self.each_weights, out=self.parts)
            return
        for matrix, weights, part in self.triples:
            self.product(matrix, weights, out=part)

    def read_out_few(self) -> bool:
        """The same from the rows with a weight, if they are few. The result says whether they were."""
        weights = self.weights[0]
        largest = weights if weights.dim() == 1 else weights.amax(1)
        rows = largest.nonzero().squeeze(1)
        if len(rows) > FEW * len(weights):
            return False
        some = weights.index_select(0, rows).view(len(rows), -1).expand(len(self.parts), -1, -1)
        torch.bmm(self.readable.index_select(1, rows).mT, some, out=self.parts.view(*self.parts.shape[:2], -1))
        return True


class Streamed(Products):
    """With no more than the patterns at hand."""

    def find_overlaps(self, states: Tensor) -> None:
        overlaps = torch.matmul(self.network.patterns, states)
        before = self.network.order.previous.clamp_max(len(overlaps) - 1)
        torch.index_select(overlaps, 0, before, out=self.overlaps)

    def read_out(self) -> None:
        torch.matmul(self.network.patterns.T, self.weights[0], out=self.parts[0])
        if len(self.parts) == 2:
            self.network.times_joint(self.weights[-1], self.parts[1])


def has_no_zero(signs: Tensor) -> bool:
    """Whether all entries are -1 or 1. Their squares add up to how many they are: whole numbers, which so few add up to exactly."""
    return all(float(torch.dot(some, some)) == len(some) for some in signs.view(-1).split(2**24))


class Weights(ABC):
    """`A` and `B / own_factor` of overlaps, up to a positive factor for each state."""

    own_factor: float = -1.0
    kinds: int = 2
    """1 where both are the same, or the second ones not needed."""
    beside_largest: bool = False
    """Whether the weights are relative to the largest of them."""
    may_vanish: bool = False
    """Whether zeros are to be expected among the weights."""

    @abstractmethod
    def __call__(self, overlaps: Tensor, *weights: Tensor) -> None:
        """Fill the `weights` from `overlaps`, all `(P, b)` or `(P,)`."""


class Powers(Weights):
    """`A_d = ((G - 1)^d + (G + 1)^d) / 2` and `-B_d`, by `A_{d+1} = G A_d - B_d` and `B_{d+1} = G B_d - A_d`."""

    def __init__(self, degree: int, like: Tensor):
        self.degree, self.ones = degree, torch.ones_like(like)
        self.room = [torch.empty_like(like) for _ in range(2)]

    def __call__(self, overlaps: Tensor, *weights: Tensor) -> None:
        wanted = list(weights)
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

    def __call__(self, overlaps: Tensor, *weights: Tensor) -> None:
        mean, half = weights
        torch.addcmul(self.ones, overlaps, overlaps, value=3, out=half)
        torch.addcmul(overlaps, overlaps, half, value=1 / 8, out=mean)


class OwnPowers(Weights):
    """`G^d`, where a unit sees itself, by repeated squaring: whole numbers stay whole."""

    kinds = 1

    def __init__(self, degree: int):
        self.degree = degree

    def __call__(self, overlaps: Tensor, *weights: Tensor) -> None:
        (power,) = weights
        if self.degree <= 3:  # these powers of torch are products, in one pass
            torch.pow(overlaps, self.degree, out=power)
            return
        now = overlaps
        for digit in f"{self.degree:b}"[1:]:
            now = torch.mul(now, now, out=power)
            if digit == "1":
                power.mul_(overlaps)


class Exponentials(Weights):
    """`exp G` up to a factor of the state, which is `A` over `cosh 1` and `B` over `-sinh 1`."""

    own_factor = -math.tanh(1)
    kinds = 1
    beside_largest = True

    def __init__(self, dim: int, dtype: torch.dtype, *, self_coupling: bool):
        self.rate = (dim - 1) / dim if self_coupling else None
        # near the smallest of all numbers, exponentials and products take hundreds of times as long: what comes down there is none
        self.least = 2 * torch.finfo(dtype).tiny
        self.lowest = math.log(self.least)
        self.may_vanish = 2 * dim > -self.lowest

    def __call__(self, overlaps: Tensor, *weights: Tensor) -> None:
        (both,) = weights
        if self.rate is not None:
            overlaps.mul_(self.rate)
        if both.dim() == 1:
            torch.softmax(overlaps, 0, out=both)
        else:  # over columns, a soft-max takes longer than its parts
            torch.sub(overlaps, overlaps.amax(0), out=both).clamp_min_(self.lowest).exp_()
        torch.threshold_(both, 1.01 * self.least, 0.0)


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
