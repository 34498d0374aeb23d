"""Gradients where the caller wants none kept: under `torch.no_grad` and `torch.inference_mode` too."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradients(function: Callable[..., Tensor], *points: Tensor) -> tuple[Tensor, ...]:
    """The gradient of a function, summed, in each of its arguments; zero where it is constant.

    Where the caller keeps graphs, gradients pass through to the points and to all that the function holds.

    Raises:
        RuntimeError: the function holds tensors that were made under `torch.inference_mode`, and so have no gradients.
    """
    differentiable = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        # views keep two arguments apart that are the same tensor
        leaves = [one.view_as(one) if differentiable and one.requires_grad else leaf(one) for one in points]
        total = function(*leaves).sum()
        if not total.requires_grad:
            return tuple(torch.zeros_like(one) for one in leaves)
        return torch.autograd.grad(total, leaves, create_graph=differentiable, materialize_grads=True)


def leaf(point: Tensor) -> Tensor:
    return (point.clone() if point.is_inference() else point.detach()).requires_grad_()
