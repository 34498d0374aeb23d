"""Inference: the states of a predictive network descend on its energy while the weights stand still.

All layers move at the same time, `dx^l = gamma (-pi_l e^l + f'(x^l) (pi_{l-1} e^{l-1} W_{l-1}))`. The step is one over a bound of
the curvature unless one is given; Nesterov's momentum makes the descent several times shorter, backtracking makes it never rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from attractor.memory.predictive_coding.held import HeldSenses, hold
from attractor.memory.predictive_coding.network import Curvature, Errors, PredictiveNetwork
from attractor.validation import check_count, check_positive, finite

MOST_MOMENTUM = 0.95
HALVINGS = 12
GROWTH = 1e-3


@dataclass(frozen=True)
class Inference:
    """How states descend.

    Args:
        steps: T.
        gamma: length of a step; `"auto"`: one over the curvature bound of the network as it stands.
        way: `"accelerated"`: Nesterov's momentum, up to 0.95, not monotone; `"plain"`: gradient steps; `"monotone"`: gradient steps
            of up to twice gamma, halved for the rows whose energy would rise: no energy ever rises, whatever the activation.

    Raises:
        ValueError: a number is not positive, or `way` is none of these.
    """

    steps: int = 300
    gamma: float | Literal["auto"] = "auto"
    way: Literal["accelerated", "plain", "monotone"] = "accelerated"

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        if self.gamma != "auto":
            check_positive("gamma", self.gamma)
        if self.way not in ("accelerated", "plain", "monotone"):
            raise ValueError(f"way must be 'accelerated', 'plain' or 'monotone', got {self.way!r}")


class Inferred(NamedTuple):
    """Where a batch of `N` states ended.

    Attributes:
        senses: `x^0 (N, n_0)`, as given unless they could move.
        latents: `x^1..x^L`.
        errors: at these states.
        change: `(N,)`, the largest change of a node in the last step, relative to the row's largest latent or 1.
    """

    senses: Tensor
    latents: list[Tensor]
    errors: Errors
    change: Tensor


class Evidence(NamedTuple):
    """What the senses tell.

    Attributes:
        senses: `(N, n_0)`.
        precision: what broadcasts to `(N, n_0)`, 0 where a sense is missing; None for the network's.
        moves: `(N, n_0)`, 1 where a sense follows its prediction and 0 where it is held; None to hold all of them.
        held: the same from above, which saves time in many steps; None to ask the senses in each.
    """

    senses: Tensor
    precision: Tensor | None = None
    moves: Tensor | None = None
    held: HeldSenses | None = None


def infer(network: PredictiveNetwork, curvature: Curvature, evidence: Evidence, latents: list[Tensor], how: Inference) -> Inferred:
    """Let `latents`, and the senses that move, descend.

    Raises:
        ValueError: the energy of a row has grown, or is not finite: a gamma of the user's was too large.
    """
    start = None if how.gamma == "auto" else network.errors(evidence.senses, latents, evidence.precision).energy()
    (senses, settled), (before, earlier) = descend(network, curvature, evidence, latents, how)
    errors = network.errors(senses, settled, evidence.precision)
    energy = errors.energy()
    if not finite(energy) or (start is not None and bool((energy > start * (1 + GROWTH) + GROWTH).any())):
        gamma = "a number" if how.gamma == "auto" else f"smaller than {how.gamma:g}, or 'auto'"
        raise ValueError(f"gamma must be {gamma}: inference diverged, the energy of a row grew to {float(energy.max()):.3g}")
    pairs = [(senses, before), *zip(settled, earlier, strict=True)]
    moved = torch.stack([(new - old).abs().amax(-1) for new, old in pairs]).amax(0)
    largest = torch.stack([layer.abs().amax(-1) for layer in settled]).amax(0)
    return Inferred(senses, settled, errors, moved / largest.clamp_min(1))


State = tuple[Tensor, list[Tensor]]


def descend(
    network: PredictiveNetwork, curvature: Curvature, evidence: Evidence, latents: list[Tensor], how: Inference
) -> tuple[State, State]:
    """The state after all steps, and the one before the last."""
    bound = curvature.bound(evidence.moves is not None, evidence.precision)
    gamma = (1 / bound if how.gamma == "auto" else torch.full_like(bound, how.gamma)).to(evidence.senses)
    if evidence.moves is None and how.way != "monotone":  # which needs the energy, and so the senses, at each step
        evidence = evidence._replace(held=hold(network, evidence.senses, evidence.precision, how.steps))
    walk = {"accelerated": accelerated, "plain": plain, "monotone": monotone}[how.way]
    return walk(network, evidence, (evidence.senses, latents), gamma, how.steps)


def descended(network: PredictiveNetwork, evidence: Evidence, state: State, gamma: Tensor) -> State:
    """The state after one gradient step; `gamma` is a number or one of each row, `(N, 1)`."""
    senses, latents = state
    if evidence.held is not None:
        gradients = network.gradients_above(latents, evidence.held.seen)
    else:
        errors = network.errors(senses, latents, evidence.precision)
        gradients = network.latent_gradients(latents, errors)
    moved = [torch.addcmul(layer, gradient, gamma, value=-1) for layer, gradient in zip(latents, gradients, strict=True)]
    if evidence.moves is not None:
        senses = senses - gamma * evidence.moves * errors.weighted[0]
    return senses, moved


def plain(network: PredictiveNetwork, evidence: Evidence, state: State, gamma: Tensor, steps: int) -> tuple[State, State]:
    """The last state and the one before."""
    before = state
    for _ in range(steps):
        before, state = state, descended(network, evidence, state, gamma)
    return state, before


def accelerated(network: PredictiveNetwork, evidence: Evidence, state: State, gamma: Tensor, steps: int) -> tuple[State, State]:
    """The same with steps from where momentum leads."""
    ahead = before = state
    for step in range(steps):
        before, state = state, descended(network, evidence, ahead, gamma)
        momentum = min(MOST_MOMENTUM, step / (step + 3))
        ahead = extrapolated(state, before, momentum, evidence.moves is not None)
    return state, before


def extrapolated(state: State, before: State, momentum: float, senses_move: bool) -> State:
    latents = [torch.lerp(old, new, 1 + momentum) for new, old in zip(state[1], before[1], strict=True)]
    return torch.lerp(before[0], state[0], 1 + momentum) if senses_move else state[0], latents


def monotone(network: PredictiveNetwork, evidence: Evidence, state: State, gamma: Tensor, steps: int) -> tuple[State, State]:
    """The same with a step for each row, from twice `gamma` down, that lowers its energy; without one it rests."""
    before = state
    energy = network.errors(*state, evidence.precision).energy()
    resting = torch.zeros_like(energy, dtype=torch.bool)
    for _ in range(steps):
        before = state
        lengths = (2 * gamma).expand(len(energy), 1)
        for _ in range(HALVINGS + 1):
            tried = descended(network, evidence, before, lengths)
            reached = network.errors(*tried, evidence.precision).energy()
            falls = reached < energy
            if bool((falls | resting).all()):
                break
            lengths = torch.where(falls[:, None], lengths, lengths / 2)
        kept = falls[:, None]
        state = (
            torch.where(kept, tried[0], before[0]),
            [torch.where(kept, new, old) for new, old in zip(tried[1], before[1], strict=True)],
        )
        energy = torch.where(falls, reached, energy)
        # from where it is, a row that found no step never will
        resting = ~falls
        if bool(resting.all()):
            break
    return state, before
