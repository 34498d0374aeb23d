"""The fields of a sequence network, whatever its settings.

`h_i = sum_mu xi_i^{mu+1} f(m_i^mu)`, where `m_i^mu` leaves out unit `i` itself unless there is self-coupling: each unit then sees
overlaps of its own. For states of -1 and 1 these take two values only, `G - 1` and `G + 1` over `N - 1` with `G = xi^mu . S`, by
the sign of `xi_i^mu S_i`. With `A` and `B` half the sum and half the difference of `f` at the two,

    h = A Xn + S * (B (Xi * Xn))        Xn: the next patterns, *: element by element

which is exact and takes two matrix products in place of `P N` evaluations of `f` for each state. A mean over `tau` states takes
the same form, once for each absolute value that a unit's sum over these states can have.

States stand in columns, `(N, b)`, and weights in rows of patterns, `(P, b)`. A shift of the weights by one row stands for `Xn`, so
that many patterns are never copied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attractor.memory.sequence.interaction import Interaction, Scaled, relative

NUMBERS_AT_HAND = 2**23
"""Of the patterns of a network that holds copies of them for speed; the matrix `Xi * Xn` of more is never held as a whole."""


@dataclass(frozen=True)
class Term:
    """A sum `strength * sum_mu xi^{mu+1} f(m^mu)`, with `xi^mu` unless `forward`; `m` is taken over the last `delay` states."""

    interaction: Interaction
    strength: float = 1.0
    forward: bool = True
    delay: int = 1


@dataclass(frozen=True)
class Order:
    """Which pattern follows which.

    Attributes:
        previous, following: `(P,)` rows of the patterns before and after each one, `P` where there is none.
    """

    previous: Tensor
    following: Tensor

    @classmethod
    def of(cls, sequence: Tensor, cyclic: bool) -> Order:
        """The order of rows that belong to the sequences numbered in `sequence (P,)`, ascending."""
        rows = torch.arange(len(sequence), device=sequence.device)
        first = torch.ones_like(sequence, dtype=torch.bool)
        first[1:] = sequence.diff() != 0
        starts = rows[first]
        ends = torch.cat([starts[1:], starts.new_tensor([len(rows)])]) - 1
        previous, following = rows - 1, rows + 1
        previous[starts] = ends if cyclic else len(rows)
        following[ends] = starts if cyclic else len(rows)
        return cls(previous, following)


@dataclass
class Moment:
    """What a network in motion knows: its states `(N, b)`, their overlaps `(P, b)`, and those of up to `delay - 1` steps before."""

    states: Tensor
    overlaps: Tensor
    past: deque[tuple[Tensor, Tensor]]

    def seen(self, delay: int) -> tuple[Tensor, Tensor]:
        """Sums of the last `delay` states and of their overlaps; before the first state there was nothing."""
        if delay == 1:
            return self.states, self.overlaps
        return sum((states for states, _ in self.past), self.states), sum((one for _, one in self.past), self.overlaps)


@dataclass
class Network:
    """Stored sequences and what is summed over them.

    Attributes:
        patterns: `(P, N)` of -1 and 1.
        order: which follows which.
        terms: their sum is the field of a unit.
        self_coupling: let a unit see itself.
        duals: `(P, N)`, whose products with a state are the overlaps: the patterns, or those of the pseudo-inverse rule.
        gains: `(P, b)` or `(P, 1)` factors of the patterns' weights; None for ones.
    """

    patterns: Tensor
    order: Order
    terms: tuple[Term, ...]
    self_coupling: bool
    duals: Tensor
    gains: Tensor | None = None
    _at_hand: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    @property
    def has_whole_overlaps(self) -> bool:
        return self.duals is self.patterns

    @property
    def is_plain(self) -> bool:
        """Whether it is one sum over next patterns, by whole overlaps of one state."""
        return self.has_whole_overlaps and len(self.terms) == 1 and self.terms[0].forward and self.terms[0].delay == 1

    def start(self, states: Tensor) -> Moment:
        delay = max(term.delay for term in self.terms)
        return Moment(states, times(self.duals, states), deque(maxlen=delay - 1))

    def advance(self, moment: Moment, states: Tensor, overlaps: Tensor | None = None) -> None:
        """Let `states` be the next ones."""
        if moment.past.maxlen:
            moment.past.append((moment.states, moment.overlaps))
        moment.states = states
        moment.overlaps = times(self.duals, states) if overlaps is None else overlaps

    def fields(self, moment: Moment) -> Tensor:
        """`(N, b)`, each column up to a positive factor."""
        shares = [share for term in self.terms for share in self.shares(term, moment)]
        weights = iter(relative([value for share in shares for value in share.values], self.patterns.dtype))
        total = torch.zeros_like(moment.states)
        for share in shares:
            below = next(weights)
            if len(share.values) == 1:
                part = self.read_out(share.term, below)
            else:
                above = next(weights)
                part = self.read_out(share.term, (below + above) / 2)
                part += share.own.sign() * self.read_out_own(share.term, (below - above) / 2)
            total += part if share.units is None else part.masked_fill_(~share.units, 0)
        return total

    def shares(self, term: Term, moment: Moment) -> Iterator[Share]:
        """The evaluations of `f` that a term needs: one for each absolute value of the units' own sums."""
        own, overlaps = moment.seen(term.delay)
        overlaps = overlaps.double()
        if self.self_coupling:
            yield Share(term, own, (self.response(term, overlaps),), None)
            return
        full = self.full(term)
        for level in own.abs().unique().tolist():
            units = None if term.delay == 1 else own.abs() == level
            # an overlap beyond that of all other units occurs at no unit: held back, so that its power drowns nothing
            near = (overlaps - level).clamp(-full, full), (overlaps + level).clamp(-full, full)
            values = tuple(self.response(term, each) for each in (near if level else near[:1]))
            yield Share(term, own, values, units)

    def full(self, term: Term) -> float:
        """The sum that counts as an overlap of 1."""
        return term.delay * (self.patterns.shape[1] - (0 if self.self_coupling else 1))

    def response(self, term: Term, overlaps: Tensor) -> Scaled:
        """`strength * f`, up to a factor that all terms share."""
        full, dim = self.full(term), self.patterns.shape[1]
        value = term.interaction.scaled(overlaps, full, dim)
        heard = self.heard(term)
        if heard is not None:
            value = value.only(heard)
        if all(other.interaction is term.interaction and other.delay == term.delay for other in self.terms):
            return Scaled(value.mantissa * term.strength, value.exponent)  # undivided: whole numbers stay whole
        return value.over(term.interaction.scaled(overlaps.new_tensor(full), full, dim), term.strength)

    def heard(self, term: Term) -> Tensor | None:
        """The rows `(P, b)` or `(P, 1)` with a gain and somewhere to go, None for all: others must not set the scale of the sum."""
        heard = None if self.gains is None else self.gains > 0
        last = (self.order.following == len(self.patterns))[:, None]
        if not term.forward or not bool(last.any()):
            return heard
        return ~last if heard is None else heard & ~last

    def read_out(self, term: Term, weights: Tensor) -> Tensor:
        """`sum_mu w_mu xi^{mu+1}`, or `xi^mu`."""
        weights = weights if self.gains is None else weights * self.gains
        return times(self.patterns.T, self.shifted(weights) if term.forward else weights)

    def read_out_own(self, term: Term, weights: Tensor) -> Tensor:
        """`sum_mu w_mu xi_i^mu xi_i^{mu+1}`, or `xi_i^mu xi_i^mu = 1`."""
        weights = weights if self.gains is None else weights * self.gains
        return self.times_joint(self.shifted(weights)) if term.forward else weights.sum(0, keepdim=True)

    def shifted(self, weights: Tensor) -> Tensor:
        """The weights, each at the row of the pattern that follows; zero at a first one."""
        return torch.cat([weights, torch.zeros_like(weights[:1])]).index_select(0, self.order.previous)

    def times_joint(self, weights: Tensor, out: Tensor | None = None) -> Tensor:
        """`(Xi * Xn)^T w`, for weights that are shifted."""
        if self.fits_at_hand:
            return times(self.at_hand()[1][1].T, weights, out)
        rows = max(1, NUMBERS_AT_HAND // self.patterns.shape[1])
        total = weights.new_zeros(self.patterns.shape[1], *weights.shape[1:]) if out is None else out.zero_()
        for start in range(0, len(self.patterns), rows):
            some = slice(start, start + rows)
            total += times(self.before(some).mul_(self.patterns[some]).T, weights[some])
        return total

    @property
    def fits_at_hand(self) -> bool:
        """Whether the patterns are few enough for copies of them."""
        return self.patterns.numel() <= NUMBERS_AT_HAND

    def at_hand(self) -> tuple[Tensor, Tensor]:
        """The pattern `(P, N)` before each one; the patterns and `Xi * Xn`, `(2, P, N)`: one piece, to stay in the caches."""
        if self._at_hand is None:
            before, count = self.before(slice(None)), len(self.patterns)
            piece = torch.cat([before[:1], self.patterns, before * self.patterns])
            follows = (self.order.previous == torch.arange(-1, count - 1, device=piece.device)) | (self.order.previous == count)
            self._at_hand = piece[:count] if bool(follows[1:].all()) else before, piece[1:].view(2, count, -1)
        return self._at_hand

    def before(self, rows: slice) -> Tensor:
        """The pattern before each one; what stands at a first one meets a weight of zero."""
        return self.patterns.index_select(0, self.order.previous[rows].clamp_max(len(self.patterns) - 1))

    def unit_fields(self, moment: Moment, unit: int) -> Tensor:
        """The field `(b,)` of one unit by the definition, up to a positive factor; for overlaps that are no whole numbers, or that
        change from unit to unit.
        """
        values = []
        for term in self.terms:
            own, overlaps = moment.seen(term.delay)
            if not self.self_coupling:
                overlaps = overlaps - self.duals[:, unit, None] * own[unit]
            values.append(self.response(term, overlaps.double()))
        total = torch.zeros_like(moment.states[unit])
        column = self.patterns[:, unit]
        following = torch.cat([column, column.new_zeros(1)])[self.order.following]
        for term, weights in zip(self.terms, relative(values, self.patterns.dtype), strict=True):
            weights = weights if self.gains is None else weights * self.gains
            total += (following if term.forward else column) @ weights
        return total

    def all_unit_fields(self, moment: Moment) -> Tensor:
        return torch.stack([self.unit_fields(moment, unit) for unit in range(self.patterns.shape[1])])


@dataclass(frozen=True)
class Share:
    """Values of `f` for the units of a mask `(N, b)`, None for all: at `G - v` and `G + v`, or at `G` alone."""

    term: Term
    own: Tensor
    values: tuple[Scaled, ...]
    units: Tensor | None


def times(matrix: Tensor, columns: Tensor, out: Tensor | None = None) -> Tensor:
    """`matrix @ columns`; a product with one column is that with a vector, which reads the matrix once."""
    if columns.dim() == 2 and columns.shape[1] == 1:
        result = torch.mv(matrix, columns[:, 0], out=None if out is None else out[:, 0])
        return result[:, None]
    return torch.matmul(matrix, columns, out=out)


def signs(fields: Tensor) -> Tensor:
    """-1 and 1; a field of zero gives 1."""
    return torch.ones_like(fields).masked_fill_(fields < 0, -1)
