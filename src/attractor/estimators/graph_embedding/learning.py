"""From a graph, and what is known of it already, to the memories of all of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from attractor.estimators.graph_embedding.adjacency import Network, with_ways_out
from attractor.estimators.graph_embedding.contexts import drives, reach, returns
from attractor.estimators.graph_embedding.fitted import Fitted, as_numpy
from attractor.estimators.graph_embedding.training import Learning, diverged, train

SPREAD = 0.1  # of the first weights


class Learned(NamedTuple):
    """What training gives: `next_seed` is for the training after it, which must not draw the same numbers."""

    fitted: Fitted
    losses: list[float]
    next_seed: int


@torch.inference_mode(False)
@torch.enable_grad()
def learn(
    network: Network,
    known: tuple[Tensor, Tensor],
    centres: np.ndarray,
    learning: Learning,
    *,
    isolated: str,
    seed: int,
    device: str | torch.device,
    progress: Callable[[float], None] | None,
) -> Learned:
    """Train on the nodes `centres` of a graph, of whose first m nodes the content and the context `(m, K)` are `known`.

    Raises:
        ValueError: a graph that walks cannot go on (`with_ways_out`), or training that diverges.
    """
    adjacency, lonely = with_ways_out(network, isolated)
    if isolated != "self":
        centres = centres[~lonely[centres]]
    generator = torch.Generator(device).manual_seed(seed)
    fresh = (len(network.nodes) - len(known[0]), known[0].shape[1])
    content, context = (
        torch.cat([one.to(device), SPREAD * torch.randn(fresh, generator=generator, dtype=one.dtype, device=device)])
        for one in known
    )
    # walks would seldom come to the nodes of a few new edges, and never to nodes without a way in
    own = np.full(len(network.nodes), len(known[0]) > 0) | (np.bincount(adjacency.indices, minlength=len(network.nodes)) == 0)
    starts, own_starts = (torch.from_numpy(one).to(device) for one in (centres, own))
    losses = train(adjacency, content, context, starts, own_starts, learning, generator, progress)
    next_seed, walks = torch.randint(2**62, (2,), generator=generator, device=device).tolist()
    rows = as_numpy(context)
    reached = reach(adjacency, rows, learning.window)
    # walks on the CPU count the returns, whatever the device
    drive = drives(adjacency, rows, reached, returns(adjacency, learning.window, torch.Generator().manual_seed(walks)))
    if not np.isfinite(drive).all():
        raise ValueError(diverged(learning.learning_rate))
    if isolated == "zero":
        reached[lonely] = drive[lonely] = 0
    contexts = (torch.from_numpy(values).to(content) for values in (reached, drive))
    return Learned(Fitted(network.nodes, network.adjacency, content, context, *contexts), losses, next_seed)


def joined(old: Network, new: Network) -> tuple[Network, np.ndarray]:
    """Both graphs as one, in which new nodes follow the old and the greater weight of an edge counts; the rows of the new nodes."""
    nodes = list(dict.fromkeys([*old.nodes, *new.nodes]))
    place = {node: row for row, node in enumerate(nodes)}
    rows = np.array([place[node] for node in new.nodes])
    shape = (len(nodes), len(nodes))
    before, added = old.adjacency.tocoo(), new.adjacency.tocoo()
    adjacency = csr_array(coo_array((before.data, (before.row, before.col)), shape=shape)).maximum(
        csr_array(coo_array((added.data, (rows[added.row], rows[added.col])), shape=shape))
    )
    return Network(csr_array(adjacency), nodes), rows
