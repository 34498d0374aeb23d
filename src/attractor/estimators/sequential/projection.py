"""Projections of the gradient: no step may raise the loss on items kept of earlier tasks.

* GEM: `min_g~ 1/2 |g~ - g|^2` such that `<g~, g_k> >= 0` for the gradient `g_k` of each earlier task's items (Lopez-Paz and
  Ranzato 2017, equation 8). With the `g_k` as the rows of `G`, the dual is `min_(v >= margin) |G^T v + g|^2`, and
  `g~ = g + G^T v` (equation 11).
* A-GEM: the same with one constraint, the mean `r` over all items kept (Chaudhry et al. 2019, equation 11):
  `g~ = g - (g . r / r . r) r` where `g . r < 0`.

What they promise holds of the projected gradient. An optimizer with momentum or with a normalisation of its own makes another step
of it, which can violate a constraint.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from attractor.estimators.sequential.buffer import Buffered
from attractor.estimators.sequential.strategy import Gradients, Training, flatten, unflatten
from attractor.validation import check_count, check_finite, check_floating, check_matrix, check_not_negative


class ConstrainedGradient(Buffered):
    """Projects the gradient on what does not raise the loss on the items kept.

    Args:
        fraction: of each task's items to keep.
        margin: each constraint pushes at least so much, violated or not. 0: a gradient that violates none stays as it is.
        sample: at most so many items, drawn anew at each step, for each gradient of what is kept. Default: all of them.

    Raises:
        ValueError: `fraction` is not in (0, 1], `margin` negative, or `sample` below 1.
    """

    def __init__(self, fraction: float, *, margin: float = 0.0, sample: int | None = None):
        super().__init__(fraction)
        self.margin = check_not_negative("margin", margin)
        self.sample = None if sample is None else check_count("sample", sample)

    @abstractmethod
    def groups(self) -> list[tuple[Tensor, Tensor]]:
        """The items and labels whose gradients are the constraints."""

    def project(self, gradients: Gradients, training: Training) -> Gradients:
        if not self.sizes:
            return gradients
        constraints = [flatten(training.gradients(*self.sampled(*group, training))) for group in self.groups()]
        return unflatten(project(flatten(gradients), torch.stack(constraints), margin=self.margin), gradients)

    def sampled(self, items: Tensor, labels: Tensor, training: Training) -> tuple[Tensor, Tensor]:
        if self.sample is None or len(items) <= self.sample:
            return items, labels
        rows = torch.randperm(len(items), generator=training.generator)[: self.sample].to(items.device)
        return items[rows], labels[rows]


class GEM(ConstrainedGradient):
    """Gradient episodic memory: one constraint for each earlier task (Lopez-Paz and Ranzato 2017).

    Args:
        fraction: of each task's items to keep.
        margin: each constraint pushes at least so much, violated or not. 0: a gradient that violates none stays as it is.
        sample: at most so many items, drawn anew at each step, for each gradient of what is kept. Default: all of them.

    Raises:
        ValueError: `fraction` is not in (0, 1], `margin` negative, or `sample` below 1.

    Example:
        >>> GEM(0.1)
        GEM(fraction=0.1, 0 items kept)
    """

    def groups(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.items.split(self.sizes), self.labels.split(self.sizes), strict=True))


class AveragedGEM(ConstrainedGradient):
    """A-GEM: one constraint, the gradient of all items kept together (Chaudhry et al. 2019).

    Args:
        fraction: of each task's items to keep.
        margin: the constraint pushes at least so much, violated or not. 0: a gradient that does not violate it stays as it is.
        sample: at most so many items, drawn anew at each step, for the gradient of what is kept. Default: all of them.

    Raises:
        ValueError: `fraction` is not in (0, 1], `margin` negative, or `sample` below 1.

    Example:
        >>> AveragedGEM(0.1)
        AveragedGEM(fraction=0.1, 0 items kept)
    """

    def groups(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.items, self.labels)]


def project(gradient: Tensor, constraints: Tensor, *, margin: float = 0.0) -> Tensor:
    """The nearest vector to `gradient (p,)` whose products with the rows of `constraints (k, p)` are not negative.

    Args:
        gradient: `(p,)`.
        constraints: `(k, p)`.
        margin: least weight of each constraint in the answer. Above 0, also a gradient that violates none is changed.

    Returns:
        `(p,)`; `gradient` itself where nothing is violated and the margin is 0.

    Raises:
        TypeError, ValueError: ill-shaped or not finite, or `margin` negative.

    Example:
        >>> project(torch.tensor([1.0, -1.0]), torch.tensor([[0.0, 1.0]])).tolist()
        [1.0, 0.0]
    """
    check_floating("gradient", gradient)
    if gradient.dim() != 1:
        raise ValueError(f"gradient must have shape (p,), got {tuple(gradient.shape)}")
    check_finite("gradient", gradient[None])
    check_matrix("constraints", constraints, len(gradient), allow_empty=True)
    check_not_negative("margin", margin)
    wide, rows = gradient.double(), constraints.double()
    lengths = rows.norm(dim=1)
    rows, lengths = rows[lengths > 0], lengths[lengths > 0]
    if len(rows) == 0:
        return gradient
    # with rows of length one, v >= margin becomes u = v - margin >= 0 for a gradient that the margin has pushed already
    units, least = rows / lengths[:, None], margin * lengths
    pushed = wide + units.T @ least
    weights = non_negative_least_squares(units.T, -pushed)
    if margin == 0 and not bool(weights.any()):
        return gradient
    return (pushed + units.T @ weights).to(gradient.dtype)


def non_negative_least_squares(matrix: Tensor, target: Tensor) -> Tensor:
    """The `v >= 0` that minimises `|matrix v - target|`, by the active sets of Lawson and Hanson (1974).

    Args:
        matrix: `(p, k)` float64, few columns of about the same length.
        target: `(p,)` float64.

    Returns:
        `(k,)`.

    Example:
        >>> non_negative_least_squares(torch.eye(2).double(), torch.tensor([3.0, -1.0]).double()).tolist()
        [3.0, 0.0]
    """
    # Q R v against t leaves R v against Q^T t: k rows instead of p, and no squared condition as in the normal equations
    orthogonal, triangle = torch.linalg.qr(matrix)
    aim, triangle = (orthogonal.T @ target).cpu(), triangle.cpu()
    count = matrix.shape[1]
    weights, active = triangle.new_zeros(count), torch.zeros(count, dtype=torch.bool)
    tolerance = 1e-13 * float(target.norm())
    for _ in range(3 * count):
        slope = (triangle.T @ (aim - triangle @ weights)).masked_fill(active, -torch.inf)
        if float(slope.max()) <= tolerance:
            break
        active[slope.argmax()] = True
        weights = feasible(triangle, aim, weights, active)
        active = weights > 0
    return weights.to(matrix.device)


def feasible(matrix: Tensor, aim: Tensor, weights: Tensor, active: Tensor) -> Tensor:
    """Move from `weights` to the least squares of the active columns; those whose weights would turn negative on the way stay 0."""
    while bool(active.any()):
        goal = torch.zeros_like(weights)
        # columns may depend on each other: this driver gives the shortest solution
        goal[active] = torch.linalg.lstsq(matrix[:, active], aim[:, None], driver="gelsd").solution[:, 0]
        share = torch.where(active & (goal <= 0), weights / (weights - goal), torch.inf)
        step = share.min()
        if step > 1:
            return goal
        active = active & (share > step)
        weights = torch.where(active, weights + step * (goal - weights), 0)
    return weights
