"""The modern Hopfield network that recalls a node from its context (Liang, Krotov and Zaki 2022, arXiv 2208.14376).

Memory mu ties the content row `Xi_mu` to the context row `Phi_mu`. The content logits `v (n,)` have the activity `g = softmax(v)`,
the context `c (n,)` is clamped, and the hidden layer is integrated out:

    E(v) = <v, g> - logsumexp(v) - (1/beta) logsumexp(beta (Xi g + Phi c))        v <- v + alpha (Xi^T f - v)

with `f = softmax(beta (Xi g + Phi c))`. The state starts at `v = 0`, the masked node, and `softmax(v)` after T steps ranks nodes.
Below, `content (n, K)` is `Xi^T`, `context (n, K)` is `Phi^T` and `drive (b, K)` is `Phi c`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from attractor.estimators.graph_embedding.walks import Bags


def context_drive(context: Tensor, bags: Bags) -> Tensor:
    """`Phi c (b, K)` of contexts."""
    return embedding_bag(bags.nodes, context, per_sample_weights=bags.weights.to(context.dtype), mode="sum")


def activity(content: Tensor, g: Tensor, drive: Tensor, beta: float) -> Tensor:
    """The hidden activity `f (b, K)` for content activity `g (b, n)`."""
    return (beta * (g @ content + drive)).softmax(-1)


def settle(content: Tensor, drive: Tensor, *, beta: float, steps: int, step_size: float = 1.0, v: Tensor | None = None) -> Tensor:
    """Content logits `v (b, n)` after `steps` down the energy, from `v = 0` by default."""
    if v is None:
        v = drive.new_zeros(*drive.shape[:-1], content.shape[-2])
    for _ in range(steps):
        v = v + step_size * (activity(content, v.softmax(-1), drive, beta) @ content.mT - v)
    return v


def recalled_activity(content: Tensor, drive: Tensor, *, beta: float, steps: int) -> Tensor:
    """The hidden activity `f (b, K)` of the last of `steps` full steps from `v = 0`; then `v = f @ content.T`."""
    f = (beta * (content.mean(0) + drive)).softmax(-1)
    for _ in range(steps - 1):
        f = activity(content, (f @ content.T).softmax(-1), drive, beta)
    return f


def energy(content: Tensor, drive: Tensor, v: Tensor, beta: float) -> Tensor:
    """`E (b,)` of content logits `v (b, n)`."""
    g = v.softmax(-1)
    hidden = g @ content + drive
    return (v * g).sum(-1) - v.logsumexp(-1) - (beta * hidden).logsumexp(-1) / beta


def sampled_loss(
    content: Tensor, drive: Tensor, targets: Tensor, rows: Tensor, own: Tensor, *, beta: float, steps: int, nodes: int
) -> Tensor:
    """Mean of `-log softmax(v)[target]`, with sums over all `nodes` estimated from a sample that is drawn evenly, each node once.

    A sum over a sample of k of n nodes counts n / k times (the correction by the logarithm of their chance): unbiased inside of the
    logarithm, and exact for the sample of all. On its way the state sees the sample only, so that nothing tells the target.

    Args:
        content: `(k, K)` rows of the sample.
        drive: `(b, K)` of the contexts.
        targets: `(b,)` nodes that are masked.
        rows: `(k,)` nodes of the sample.
        own: `(b, K)` content of the targets.
    """
    f = recalled_activity(content, drive, beta=beta, steps=steps)
    right = (f * own).sum(-1)
    others = f @ content.T + torch.log(torch.tensor(nodes / len(rows), dtype=f.dtype))
    others = others.masked_fill(rows == targets[:, None], -torch.inf)
    return (torch.logaddexp(others.logsumexp(-1), right) - right).mean()
