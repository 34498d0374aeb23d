"""Recall in one cluster: bit flipping between noisy constraint neurons and noisy pattern neurons.

    h_i = sum_j W_ij x_j + v_i,   |v_i| <= nu;       y_i = 1, -1 or 0 as h_i >= psi, h_i <= -psi or between
    g_j = sum_i sign(W_ij) y_i / d_j + u_j,   |u_j| <= upsilon;       x_j <- x_j - sign(g_j) where |g_j| >= phi

Source: Karbasi, Salavati, Shokrollahi and Varshney, "Noise-Enhanced Associative Memories", NIPS 2013, algorithm 1.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from attractor.errors import AttractorWarning
from attractor.validation import check_count, check_not_negative, check_positive

Vote = Literal["majority", "weighted", "winner"]
VOTES: tuple[Vote, ...] = ("majority", "weighted", "winner")
Distribution = Literal["uniform", "gaussian"]
DISTRIBUTIONS: tuple[Distribution, ...] = ("uniform", "gaussian")
MARGIN = 1e-3
"""What a constraint may be off, beside its residual on the stored patterns: rounding."""


@dataclass(frozen=True)
class BitFlipping:
    """How cues are corrected, and how noisy the neurons are that do it.

    Args:
        noise: upsilon, the largest noise of a pattern neuron. Some of it helps: it shakes cues out of states in which no neuron
            has enough votes.
        constraint_noise: nu, the largest noise of a constraint neuron.
        threshold: phi, votes from which a pattern neuron moves, as a share of its constraints.
        silence: psi, below which a constraint neuron is silent. Default: what it reads of stored patterns, and nu.
        vote: `"majority"`, each constraint has one vote; `"weighted"`, its weight; `"winner"`, only the neuron moves that the
            most constraints complain of.
        distribution: of the noise: `"uniform"`, or `"gaussian"` of the same variance, which is not bounded.
        rounds: most rounds in a cluster.
        sweeps: most sweeps over all clusters.

    Raises:
        TypeError, ValueError: a negative noise, a threshold that is not positive or that no neuron can reach, counts below 1, or
            an unknown name.

    Example:
        >>> BitFlipping(noise=0.0).deterministic, BitFlipping().deterministic
        (True, False)
    """

    noise: float = 0.3
    constraint_noise: float = 0.0
    threshold: float = 0.95
    silence: float | None = None
    vote: Vote = "majority"
    distribution: Distribution = "uniform"
    rounds: int = 40
    sweeps: int = 40

    def __post_init__(self) -> None:
        check_not_negative("noise", self.noise)
        check_not_negative("constraint_noise", self.constraint_noise)
        check_positive("threshold", self.threshold)
        for name, given, known in (("vote", self.vote, VOTES), ("distribution", self.distribution, DISTRIBUTIONS)):
            if given not in known:
                raise ValueError(f"{name} must be one of {known}, got {given!r}")
        if self.distribution == "uniform" and self.threshold > 1 + self.noise:
            raise ValueError(
                f"threshold must be at most 1 + noise = {1 + self.noise:g}, or no neuron moves, got {self.threshold:g}"
            )
        check_count("rounds", self.rounds)
        check_count("sweeps", self.sweeps)
        if self.silence is not None and check_positive("silence", self.silence) <= self.constraint_noise:
            warnings.warn(
                f"silence is {self.silence:g}, not above constraint_noise {self.constraint_noise:g}: neurons of constraints that "
                "hold fire for ever",
                AttractorWarning,
                stacklevel=3,
            )

    @property
    def deterministic(self) -> bool:
        """Whether no neuron is noisy."""
        return self.noise == 0 and self.constraint_noise == 0

    def silent_below(self, residual: float) -> float:
        """psi, for constraints of which stored patterns are up to `residual` off."""
        return self.constraint_noise + residual + MARGIN if self.silence is None else self.silence

    def drawn(self, like: Tensor, scale: float, generator: torch.Generator) -> Tensor:
        """Fresh noise of the shape of `like`."""
        if self.distribution == "gaussian":
            noise = torch.empty(like.shape, dtype=like.dtype).normal_(0, scale / math.sqrt(3), generator=generator)
        else:
            noise = torch.empty(like.shape, dtype=like.dtype).uniform_(-scale, scale, generator=generator)
        return noise.to(like.device)


class Check(NamedTuple):
    """The constraints of a cluster as its neurons read and hear them.

    `rows (m, n)`; `signs (m, n)` of them; `degrees (n,)`, in how many a pattern neuron is; `strengths (n,)`, the sum of their
    sizes; `silence`, psi.
    """

    rows: Tensor
    signs: Tensor
    degrees: Tensor
    strengths: Tensor
    silence: float

    @classmethod
    def of(cls, rows: Tensor, silence: float) -> Check:
        signs = rows.sign()
        return cls(rows, signs, signs.abs().sum(0).clamp_min(1), rows.abs().sum(0).clamp_min(torch.finfo(rows.dtype).tiny), silence)

    def fired(self, states: Tensor, how: BitFlipping, generator: torch.Generator) -> Tensor:
        """`y (b, m)` of `states (b, n)`."""
        read = states @ self.rows.T
        if how.constraint_noise > 0:
            read = read + how.drawn(read, how.constraint_noise, generator)
        return beyond(read, self.silence)

    def moved(self, states: Tensor, fired: Tensor, how: BitFlipping, generator: torch.Generator, free: Tensor | None) -> Tensor:
        """`states (b, n)` after the pattern neurons that are `free (b, n)` have heard what `fired (b, m)`."""
        if how.vote == "winner":
            heard = (fired.abs() @ self.signs.abs()) / self.degrees
        else:
            heard = fired @ self.signs / self.degrees if how.vote == "majority" else fired @ self.rows / self.strengths
        if how.noise > 0:
            heard = heard + how.drawn(heard, how.noise, generator)
        if how.vote == "winner":
            winner = (heard if free is None else heard.masked_fill(~free, -math.inf)).argmax(1, keepdim=True)
            step = torch.zeros_like(states).scatter(1, winner, (fired @ self.rows).gather(1, winner).sign())
        else:
            step = beyond(heard, how.threshold)
        return states - (step if free is None else step * free)


def beyond(values: Tensor, threshold: float) -> Tensor:
    """1 where values are at `threshold` or above, -1 at `-threshold` or below, 0 between."""
    return (values / threshold).trunc_().clamp_(-1, 1)


def correct(
    check: Check,
    states: Tensor,
    how: BitFlipping,
    generator: torch.Generator,
    limits: tuple[float, float],
    free: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Bit flipping in a cluster until its constraint neurons are silent.

    Args:
        check: the cluster.
        states: `(b, n)`, what it sees.
        how: the decoder.
        generator: of the noise.
        limits: between which neurons stay.
        free: `(b, n)`, True where a neuron may move; None for everywhere.

    Returns:
        the states `(b, n)` and which of them satisfy the cluster, `(b,)`; those that do not are as they came.
    """
    found, satisfied = states.clone(), torch.zeros(len(states), dtype=torch.bool, device=states.device)
    places, now = torch.arange(len(states), device=states.device), states
    for turn in range(how.rounds + 1):
        fired = check.fired(now, how, generator)
        heard = fired.any(1)
        if not bool(heard.all()):
            silent = places[~heard]
            found[silent], satisfied[silent] = now[~heard], True
            places, now, fired = places[heard], now[heard], fired[heard]
        if turn == how.rounds or len(places) == 0:
            break
        after = check.moved(now, fired, how, generator, None if free is None else free[places]).clamp(*limits)
        if how.deterministic:
            # what has not moved never will
            moving = (after != now).any(1)
            places, after = places[moving], after[moving]
        now = after
    return found, satisfied
