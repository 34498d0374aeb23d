"""The Silhouette Coefficient of many labellings of the same points at once (Rousseeuw 1987)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

JUDGED = 4096
"""Rows by which labellings of larger data are compared."""
NUMBERS = 2**23
"""Most sums of distances that are held at once."""


def silhouettes(points: Tensor, labels: Tensor) -> Tensor:
    """The coefficient `(restarts,)` of each labelling, as scikit-learn's `silhouette_score` has it; -1 where all is one cluster.

    Distances are computed once, `(n, n)`; a labelling costs a product of them with its members.

    Args:
        points: `(n, d)`.
        labels: `(restarts, n)` int64 from 0.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> [round(value, 3) for value in silhouettes(points, torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]])).tolist()]
        [0.9, -1.0]
    """
    # the fast product leaves points that coincide a distance of the root of the rounding: in float64 that is nothing
    distances = torch.cdist(points.double(), points.double()).float()
    clusters = int(labels.max()) + 1
    at_once = max(1, NUMBERS // (len(points) * clusters))
    return torch.cat([_silhouettes(distances, some, clusters) for some in labels.split(at_once)])


def _silhouettes(distances: Tensor, labels: Tensor, clusters: int) -> Tensor:
    members = one_hot(labels, clusters).to(distances.dtype)
    counts = members.sum(1)
    sums = (distances @ members.transpose(0, 1).flatten(1)).unflatten(1, (len(labels), clusters)).transpose(0, 1)
    own, size = labels[..., None], counts.gather(1, labels)[..., None]
    inside = sums.gather(2, own) / (size - 1).clamp_min(1)
    means = torch.where((counts > 0)[:, None], sums / counts.clamp_min(1)[:, None], torch.inf)
    outside = means.scatter(2, own, torch.inf).amin(2, keepdim=True)
    widths = (outside - inside) / torch.maximum(inside, outside).clamp_min(torch.finfo(distances.dtype).tiny)
    # a point alone in its cluster counts zero
    mean = torch.where(size > 1, widths, 0).mean((1, 2))
    return torch.where((counts > 0).sum(1) > 1, mean, -1.0)
