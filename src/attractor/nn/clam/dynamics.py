"""Descent among prototypes (Saha, Krotov, Zaki and Ram 2023, arXiv 2306.03209).

With prototypes `rho (k, d)`, a state `v (d,)`, weights `w_mu` of the clusters (one each where none are given) and `beta > 0`:

    E(v) = -log(sum_mu w_mu exp(-beta |rho_mu - v|^2)) / beta         p_mu = softmax_mu(-beta |rho_mu - v|^2 + log w_mu)
    v <- v + alpha m (sum_mu p_mu rho_mu - v)                         0 < alpha < 2, m = 1 where an entry may move

`E` lies below a parabola that touches it at `v` and has its minimum at `sum_mu p_mu rho_mu`, each coordinate for itself: no step
raises it, whatever the mask. On the sphere, with `v` and `rho` of length one,

    E(v) = -log(sum_mu w_mu exp(beta rho_mu . v)) / beta

and a step turns the direction `u` of the entries that may move, `u <- u + alpha (t - <t, u> u)` for `t = sum_mu p_mu rho_mu`, at
their own length. `E` is concave, so it falls by at least `<t, change of v>`: not negative for `alpha <= 1`, whatever the mask.

All take leading dimensions, `(..., k, d)` and `(..., b, d)`, which `attractor.read` does not: its products are of two matrices.
Distances come from one product of matrices; there is no tensor `(..., b, k, d)`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from attractor.read import SoftMax

SMALLEST = 1e-8
"""A direction shorter than this is none."""


class Landscape(NamedTuple):
    """Prototypes `(..., k, d)` and what makes an energy of them; on the sphere the prototypes have length one.

    `log_weights (..., k)` are those of the clusters, None for equal ones.
    """

    prototypes: Tensor
    beta: float | Tensor
    log_weights: Tensor | None = None
    spherical: bool = False

    def scores(self, states: Tensor) -> Tensor:
        """What the soft-max is taken of, over `beta`, up to a constant of each state: `(..., b, k)`."""
        products = states @ self.prototypes.mT
        scores = products if self.spherical else 2 * products - self.prototypes.square().sum(-1)[..., None, :]
        return scores if self.log_weights is None else scores + self.log_weights[..., None, :] / self.beta

    def assignments(self, states: Tensor) -> Tensor:
        """`p (..., b, k)`."""
        return (self.beta * self.scores(states)).softmax(-1)

    def energy(self, states: Tensor) -> Tensor:
        """`E (..., b)`."""
        potential = SoftMax(self.beta).potential(self.scores(states))
        return -potential if self.spherical else states.square().sum(-1) - potential

    def step(self, states: Tensor, step_size: float, hidden: Tensor | None = None) -> Tensor:
        """One step down; `hidden` is True, or 1, where an entry may move."""
        target = self.assignments(states) @ self.prototypes
        moving = None if hidden is None else hidden.to(states.dtype)
        if not self.spherical:
            return torch.lerp(states, target, step_size if moving is None else step_size * moving)
        if moving is None:
            return turned(states, target, step_size, states.new_ones(()))
        part = states * moving
        # the known entries leave this length to the others
        length = (1 - (states - part).square().sum(-1, keepdim=True)).clamp_min(SMALLEST**2).sqrt()
        return states - part + turned(part, target * moving, step_size, length)


def turned(states: Tensor, target: Tensor, step_size: float, length: Tensor) -> Tensor:
    """States of `length`, turned towards the target."""
    direction = normalize(states, dim=-1, eps=SMALLEST)
    tangent = target - (target * direction).sum(-1, keepdim=True) * direction
    return length * normalize(direction + step_size * tangent, dim=-1, eps=SMALLEST)
