"""How the memories of a dense classifier are learned (Krotov and Hopfield 2016).

The loss of a batch is `sum (tanh(z) - t)^(2m)` over items and classes, with targets `t` of 1 for the class and -1 for all others.
The step keeps `V <- p V + gradient` and moves the memories by it, each row divided by its largest entry:
`Xi <- clip(Xi - eps V / max|V|, -1, 1)`. The gradient scales like the (n - 1)th power of an overlap; dividing that out is what lets
large vertices learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from attractor.nn.dense_classifier.checks import check_labels
from attractor.validation import check_count, check_floating, check_positive, check_shape, check_share

SMALLEST = 1e-30


def classification_loss(z: Tensor, labels: Tensor, power: int = 1) -> Tensor:
    """`sum (tanh(z) - t)^(2 power)` over items and classes, a scalar.

    Args:
        z: scores `(b, classes)` of a `DenseClassifier`.
        labels: classes `(b,)`, integers, or targets `(b, classes)` from -1 to 1, as pseudo-items carry them.
        power: how much a large error outweighs small ones.

    Raises:
        TypeError, ValueError: wrong shapes or dtypes, a label without a score, `power` below 1.

    Example:
        >>> classification_loss(torch.zeros(1, 3), torch.tensor([2])).item()
        3.0
    """
    check_floating("z", z)
    check_shape("z", z, allow_empty=True)
    check_count("power", power)
    return (z.tanh() - targets_of(z, labels)).pow(2 * power).sum()


def targets_of(z: Tensor, labels: Tensor) -> Tensor:
    """Targets `(b, classes)` for scores of that shape: 1 for the class, -1 for all others."""
    if isinstance(labels, Tensor) and labels.is_floating_point():
        if labels.shape != z.shape:
            raise ValueError(f"labels must be classes (b,) or targets {tuple(z.shape)}, got shape {tuple(labels.shape)}")
        return labels
    check_labels("labels", labels, len(z), z.shape[1])
    return signs_of(labels, z.shape[1], z.dtype)


def signs_of(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """The class neurons `(b, classes)` of `labels (b,)`: 1 and -1."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)).to(dtype) * 2 - 1


class MemoryOptimizer(torch.optim.Optimizer):
    """The step of Krotov and Hopfield: momentum, each row scaled to a largest entry of 1, entries kept within `clip`.

    The learning rate is how far the fastest entry of a memory moves in one step, whatever the scale of the gradient.

    Args:
        params: parameters, the last dimension of which is a row, or parameter groups.
        lr: learning rate; schedulers of torch change it.
        momentum: how much of the last step's direction stays, from 0 up to 1 (excluded).
        clip: largest absolute entry of a parameter.

    Raises:
        TypeError, ValueError: no number, or a setting out of its range.

    Example:
        >>> memory = torch.nn.Parameter(torch.tensor([[0.5, 0.98]]))
        >>> optimizer = MemoryOptimizer([memory], lr=0.1)
        >>> (memory * torch.tensor([[2.0, -4.0]])).sum().backward()
        >>> optimizer.step()
        >>> memory.tolist()
        [[0.44999..., 1.0]]
    """

    def __init__(self, params: Iterable[Any], lr: float = 0.05, momentum: float = 0.6, clip: float = 1.0):
        check_settings(lr, momentum, clip)
        super().__init__(params, {"lr": lr, "momentum": momentum, "clip": clip})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; missing ones are those of the optimizer.

        Raises:
            ValueError: a setting out of its range.
        """
        group = self.defaults | param_group
        check_settings(group["lr"], group["momentum"], group["clip"])
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; gives back what `closure` gave."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                velocity = state.setdefault("velocity", torch.zeros_like(parameter))
                velocity.mul_(group["momentum"]).add_(parameter.grad)
                largest = velocity.abs().amax(-1, keepdim=True)
                # half precision rounds the smallest divisor to zero
                largest = torch.where(largest > 0, largest.clamp_min(SMALLEST), 1)
                parameter.sub_(velocity / largest, alpha=group["lr"]).clamp_(-group["clip"], group["clip"])
        return loss


def check_settings(lr: float, momentum: float, clip: float) -> None:
    check_positive("lr", lr)
    check_positive("clip", clip)
    check_share("momentum", momentum)
