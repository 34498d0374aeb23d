"""The association of states with stored patterns, head by head: what the Hopfield layers share.

With the states `q` and stored patterns `k` of a head, an update is `q <- w k`, `w = softmax(beta q k^T)`: a step of the
concave-convex procedure on `E(q) = |q|^2 / 2 - logsumexp(beta k q) / beta`, which never raises it. The last step reads out values
in place of `k`. One step is attention.

Sources: Ramsauer et al. 2021, "Hopfield Networks is All You Need" (arXiv 2008.02217); sparse weights: Hu et al. 2023
(arXiv 2309.12673).
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout, scaled_dot_product_attention

from attractor.errors import NotConvergedWarning
from attractor.read import Separation, SoftMax, separation_from
from attractor.read.similarity import widened
from attractor.read.sparse import Sparse

MOST_STEPS = 10_000


class Question(NamedTuple):
    """States `(b, heads, l, k)`, keys `(b, heads, s, k)`, `beta (heads, 1, 1)`, and who may read whom, `(b, heads, l, s)`."""

    states: Tensor
    keys: Tensor
    beta: Tensor
    allowed: Tensor | None


class Association:
    """How scores become weights, and for how many steps.

    Args:
        separation: `"softmax"`, `"sparsemax"`, `"entmax"`, `"top-k"`, or such an object with `beta="auto"`: heads have their own.
        steps: how often weights are computed, the read-out included; None for as long as a head moves.
        tol: a head rests once no sample's weights change by more than this (Frobenius norm); 0 takes all steps.

    Raises:
        ValueError: a separation whose weights do not sum to one, or that has a `beta` of its own.
    """

    def __init__(self, separation: str | Separation, steps: int | None, tol: float):
        kind = separation_from(separation) if isinstance(separation, str) else separation
        if not isinstance(kind, SoftMax | Sparse):
            raise ValueError(f"separation must have weights that sum to one, such as 'softmax' or 'sparsemax', got {kind!r}")
        if kind.beta != "auto":
            raise ValueError(f"separation must leave beta to the layer, whose heads have their own, got {kind!r}")
        self.separation, self.steps, self.tol = kind.at(1.0), steps, tol

    def read(self, question: Question, values: Tensor, probability: float = 0.0) -> Tensor:
        """The read-out `(b, heads, l, r)` of `values (b, heads, s, r)`; weights are dropped with a probability at the last step."""
        if not isinstance(self.separation, SoftMax) or self.tol > 0:
            return dropout(self.weights(question), probability) @ values
        states, keys, beta, _ = question
        allowed, blind = visible(question.allowed)
        for _ in range((self.steps or 1) - 1):
            states = scaled_dot_product_attention((states * beta).to(keys.dtype), keys, keys, allowed, scale=1.0)
        found = scaled_dot_product_attention((states * beta).to(keys.dtype), keys, values, allowed, probability, scale=1.0)
        return found if blind is None else found.masked_fill(blind, 0)

    def weights(self, question: Question) -> Tensor:
        """The weights `(b, heads, l, s)` of the read-out."""
        states, keys, _, allowed = question
        weights = self.weigh(scores(states, question), allowed).to(keys.dtype)
        moving = torch.ones(states.shape[1], dtype=torch.bool, device=states.device)
        for _ in range((self.steps or MOST_STEPS) - 1):
            before, weights = weights, self.weigh(scores(weights @ keys, question), allowed).to(keys.dtype)
            if self.tol > 0:
                weights = torch.where(moving[:, None, None], weights, before)
                moving = moving & ((weights - before).detach().norm(dim=(-2, -1)) > self.tol).any(0)
                if not bool(moving.any()):
                    return weights
        if self.steps is None:
            text = f"{int(moving.sum())} of {len(moving)} heads still move by more than tol={self.tol:g} after {MOST_STEPS} steps"
            warnings.warn(text, NotConvergedWarning, stacklevel=2)
        return weights

    def weigh(self, logits: Tensor, allowed: Tensor | None) -> Tensor:
        """Weights of `logits (b, heads, l, s)`, zero where nothing may be read."""
        open_to, blind = visible(allowed)
        if open_to is not None:
            logits = logits.masked_fill(~open_to, -torch.inf)
        if isinstance(self.separation, Sparse):
            weights = self.separation.weights(logits.flatten(0, -2), torch.arange(logits.shape[-1], device=logits.device))
            weights = weights.view_as(logits)
        else:
            weights = logits.softmax(-1)
        return weights if blind is None else weights.masked_fill(blind, 0)

    def energy(self, question: Question) -> Tensor:
        """`|q|^2 / 2 - Psi(beta k q) / beta`, `(b, heads, l)`; updates never raise it.

        Its gradient is the state less its read-out. Where nothing may be read, both the read-out and `Psi` are zero.
        """
        logits = scores(question.states, question)
        allowed, blind = visible(question.allowed)
        if allowed is not None:
            logits = logits.masked_fill(~allowed, -torch.inf)
        potential = self.separation.potential(logits.flatten(0, -2)).view(logits.shape[:-1])
        if blind is not None:
            potential = potential.masked_fill(blind.squeeze(-1), 0)
        return widened(question.states).square().sum(-1) / 2 - potential / question.beta[..., 0]


def scores(states: Tensor, question: Question) -> Tensor:
    """`beta q k^T`, in single precision or better: products of half precision overflow."""
    with torch.autocast(states.device.type, enabled=False):
        return (widened(states) * question.beta) @ widened(question.keys).mT


def visible(allowed: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The mask with rows that may read nothing opened, as their weights would be NaN, and which rows those are."""
    if allowed is None:
        return None, None
    blind = ~allowed.any(-1, keepdim=True)
    return allowed | blind, blind
