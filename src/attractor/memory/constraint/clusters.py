"""Which pattern neurons each cluster of constraints sees: the contracted graph, pattern neurons by clusters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attractor.validation import check_count, check_ids, shorten

USUAL_SIZE = 40


def balanced_choices(rows: int, among: int, each: int, generator: torch.Generator) -> Tensor:
    """`each` distinct numbers below `among` for each of `rows`, `(rows, each)`, every number chosen about equally often.

    The configuration model: all sockets in random order; where a row drew a number twice, one of the two trades places with a
    socket anywhere.

    Raises:
        ValueError: more are to be chosen than there are.
    """
    if check_count("each", each) > check_count("among", among):
        raise ValueError(f"each must be at most among, {among}, got {each}")
    if each == among:
        return torch.arange(among).expand(rows, -1).contiguous()
    sockets = (torch.arange(rows * each) % among)[torch.randperm(rows * each, generator=generator)]
    while True:
        ordered, order = sockets.view(rows, each).sort(1)
        twice = torch.zeros(rows, each, dtype=torch.bool).scatter_(1, order[:, 1:], ordered[:, 1:] == ordered[:, :-1])
        repeated = twice.flatten().nonzero().flatten()
        if len(repeated) == 0:
            return sockets.view(rows, each)
        for one in repeated.tolist():
            other = int(torch.randint(len(sockets), (), generator=generator))
            sockets[[one, other]] = sockets[[other, one]]


def random_clusters(dim: int, count: int, degree: int, seed: int) -> tuple[Tensor, ...]:
    """The neurons of each of `count` clusters, in rising order; each neuron is in `degree` clusters, sizes differ by 1 at most."""
    joined = balanced_choices(dim, count, degree, torch.Generator().manual_seed(seed))
    return tuple((joined == one).any(1).nonzero().flatten() for one in range(count))


def usual_count(dim: int, degree: int) -> int:
    """How many clusters of about 40 neurons there are where each neuron is in `degree` of them."""
    return max(degree, -(-degree * dim // USUAL_SIZE))


def check_clusters(clusters: Sequence[Sequence[int] | Tensor], dim: int) -> tuple[Tensor, ...]:
    """The clusters of a user, as index tensors.

    Raises:
        TypeError: other numbers than integers.
        ValueError: no cluster, a cluster of fewer than 2 neurons, an index out of range or twice in a cluster, or a neuron in none.
    """
    if len(clusters) == 0:
        raise ValueError("clusters must hold at least one cluster, got none")
    checked = tuple(check_ids("clusters", torch.as_tensor(members)).cpu() for members in clusters)
    for place, members in enumerate(checked):
        if len(members) < 2 or len(members.unique()) < len(members):
            raise ValueError(f"clusters must hold 2 or more different neurons each, cluster {place} has {len(members)}, or repeats")
        if int(members.min()) < 0 or int(members.max()) >= dim:
            raise ValueError(f"clusters must hold numbers from 0 to {dim - 1}, cluster {place} goes to {int(members.max())}")
    seen = torch.zeros(dim, dtype=torch.bool)
    seen[torch.cat(checked)] = True
    missing = (~seen).nonzero().flatten().tolist()
    if missing:
        raise ValueError(f"clusters must hold every neuron, these are in none: {shorten(missing)}")
    return checked
