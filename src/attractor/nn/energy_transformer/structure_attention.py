"""Attention among the nodes of graphs, weighted by their structure (Hoover et al. 2023, arXiv 2302.07253, graph classification).

For queries `q_C` and keys `k_B`, both `(b, heads, tokens, key_dim)`, structure weights `A` and a mixing matrix `M` of heads,

    S_h[C,B] = sum_j M[j,h] q_jC . k_jB        z_hC = log sum_(B in N(C)) exp(A_h[C,B] S_h[C,B])

and with `P_h = softmax_B(A_h S_h)` over `N(C)` the gradient of `sum_hC z_hC / beta_h` in the product `q_jC . k_jB` is

    W_j[C,B] = sum_h M[j,h] A_h[C,B] P_h[C,B] / beta_h        pull on queries: W K        on keys: W^T Q

The inverse temperature is part of the queries, `Q = beta Q'`. An edge is left out because the graph does not have it, never because
its weight is zero: a weight of zero leaves it in the sum as `exp(0)`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from attractor.read.similarity import widened
from attractor.validation import check_count, check_floating, finite


class Structure(NamedTuple):
    """What the attention in a batch of graphs depends on beside its tokens.

    Attributes:
        weights: `(b, heads, tokens, tokens)`, factors of the scores; what stands where there is no edge counts nothing.
        allowed: `(b, tokens, tokens)` bool: whether the row attends to the column.
        present: `(b, tokens)` bool: False for padding, which attends to nothing, is not attended to, has no energy and feels
            no force.
    """

    weights: Tensor
    allowed: Tensor
    present: Tensor


class StructureWeights(nn.Module):
    """The weights `A = Conv(x x^T / dim) * Linear(edge features)` of a batch of graphs, one for each head and pair of tokens.

    The convolution runs over the places of tokens: with `kernel=3`, as in the paper, the order of the nodes matters; with 1 it does
    not.

    Args:
        dim: entries of a token.
        heads: weights for each pair.
        edge_features: features of an edge.
        kernel: edge of the convolution, odd.
        generator: of the first weights: the linear map starts near 1, the convolution at 1 with a part that sees the tokens.

    Raises:
        TypeError, ValueError: a size below 1 or an even kernel.

    Example:
        >>> weigh = StructureWeights(8, 2, 3)
        >>> weigh(torch.randn(4, 5, 8), torch.randn(4, 5, 5, 3)).shape
        torch.Size([4, 2, 5, 5])
    """

    def __init__(self, dim: int, heads: int, edge_features: int, *, kernel: int = 3, generator: torch.Generator | None = None):
        super().__init__()
        self.dim, self.heads, self.kernel = check_count("dim", dim), check_count("heads", heads), check_count("kernel", kernel)
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        self.convolution = nn.utils.skip_init(nn.Conv2d, 1, heads, kernel, padding=kernel // 2)
        self.linear = nn.utils.skip_init(nn.Linear, check_count("edge_features", edge_features), heads)
        nn.init.normal_(self.convolution.weight, std=1 / kernel, generator=generator)
        nn.init.normal_(self.linear.weight, std=edge_features**-0.5, generator=generator)
        nn.init.ones_(self.convolution.bias)
        nn.init.ones_(self.linear.bias)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Weights `(b, heads, tokens, tokens)` for tokens `(b, tokens, dim)`, zero where padded, and edge features
        `(b, tokens, tokens, edge_features)`."""
        alike: Tensor = self.convolution((x @ x.mT / self.dim)[:, None])
        return alike * self.linear(edges).movedim(-1, 1)


def checked_structure(structure: Structure, x: Tensor, heads: int) -> Structure:
    """The structure with no edge from or to padding and with weights of zero where there is no edge, for tokens `x (b, n, dim)`.

    Raises:
        TypeError: parts that are no tensors, or masks that are not Boolean.
        ValueError: parts of another shape, or weights of another precision than the tokens or not finite at an edge.
    """
    batch, tokens = x.shape[:2]
    weights, allowed, present = structure
    check_floating("structure.weights", weights)
    for name, mask in (("allowed", allowed), ("present", present)):
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            came = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise TypeError(f"structure.{name} must be a Boolean tensor, got {came}")
    shapes = {"weights": (batch, heads, tokens, tokens), "allowed": (batch, tokens, tokens), "present": (batch, tokens)}
    for name, shape in shapes.items():
        if getattr(structure, name).shape != shape:
            raise ValueError(f"structure.{name} must have shape {shape}, got {tuple(getattr(structure, name).shape)}")
    if weights.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(f"structure.weights must be {x.dtype} like the tokens, or stand under autocast, got {weights.dtype}")
    allowed = allowed & present[:, None] & present[..., None]
    weights = weights.masked_fill(~allowed[:, None], 0)
    if not finite(weights):
        raise ValueError("structure.weights must be finite where there is an edge, got NaN or infinity")
    return Structure(weights, allowed, present)


def structure_log_partitions(queries: Tensor, keys: Tensor, mixing: Tensor, structure: Structure) -> Tensor:
    """`z (b, heads, tokens)`, of a structure from `checked_structure`; zero where a token attends to nothing."""
    logits, blind = structure_logits(queries, keys, mixing, structure)
    return logits.logsumexp(-1).masked_fill(blind[:, None], 0)


def structure_pulls(queries: Tensor, keys: Tensor, mixing: Tensor, structure: Structure, betas: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients `beta W K` and `W^T Q` of `sum_hC z_hC / beta_h` in queries before they are multiplied by beta, and in keys.

    Args:
        queries, keys: `(b, heads, tokens, key_dim)`, the queries times beta.
        mixing: `(heads, heads)`, from the heads of the products to those of the logits.
        structure: of the batch, from `checked_structure`.
        betas: `(heads,)`.
    """
    logits, blind = structure_logits(queries, keys, mixing, structure)
    shares = logits.softmax(-1).masked_fill(blind[:, None, :, None], 0).to(keys.dtype)
    weights = mixed(mixing / betas, structure.weights * shares)
    return betas[:, None, None] * (weights @ keys), weights.mT @ queries


def structure_logits(queries: Tensor, keys: Tensor, mixing: Tensor, structure: Structure) -> tuple[Tensor, Tensor]:
    """Logits `(b, heads, tokens, tokens)`, minus infinity where there is no edge, and which tokens `(b, tokens)` attend to nothing.

    The rows of the latter stay open, as their weights would be NaN.
    """
    blind = ~structure.allowed.any(-1)
    found = widened(structure.weights * mixed(mixing.mT, queries @ keys.mT))
    return found.masked_fill(~(structure.allowed | blind[..., None])[:, None], -torch.inf), blind


def mixed(matrix: Tensor, scores: Tensor) -> Tensor:
    """`sum_j matrix[h, j] scores[:, j]`."""
    return (matrix @ scores.flatten(2)).view_as(scores)
