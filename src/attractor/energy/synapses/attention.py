"""The attention energy of the Energy Transformer (Hoover et al. 2023, arXiv 2302.07253).

`E = -1/beta sum_h sum_C log sum_(B in N(C)) exp(beta k_hB . q_hC)`, `q_hC = Wq_h g_C`, `k_hB = Wk_h g_B`. With the weights
`P_h = softmax_B` the drive is `sum_h [(P_h K_h) Wq_h + (P_h^T Q_h) Wk_h]`: attention whose values are the keys, and the pull of
every query on the tokens that it attends to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attractor.energy.synapses.allowed import Mask
from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.shapes import check_shapes
from attractor.energy.synapses.token_attention import from_heads, into_heads, log_partitions, pulls
from attractor.energy.tempered import set_tensor
from attractor.validation import check_count, check_positive

MASKS = ("no-self", "causal")


class Attention(Synapse):
    """The attention energy of one layer of tokens `(tokens, dim)`, with learnable `query` and `key (heads, key_dim, dim)`.

    It is not concave: the block solver refuses it.

    Args:
        dim: entries of a token.
        heads: how many heads.
        key_dim: entries of a key.
        beta: inverse temperature, > 0; `1/sqrt(key_dim)` by default. A tensor holds one number or one for each head, and is kept as
            its logarithm `log_beta`, which is learned where a parameter was given.
        mask: which tokens a query attends to: None for all, `"no-self"` for all others (as in the paper), `"causal"` for itself and
            those before it, or a Boolean tensor `(tokens, tokens)`, True where query (row) attends to key (column). A query without
            keys adds nothing.
        bias: shift queries and keys, by learnable `query_bias` and `key_bias (heads, key_dim)`, zeros at first.
        generator: source of the first weights, normal with deviation `1/sqrt(dim)`.

    Raises:
        TypeError, ValueError: a size below 1, `beta` not positive or of another size, a mask of another kind or not square.

    Example:
        >>> synapse = Attention(8, 2, 4, mask="no-self")  # beta = 1/2
        >>> alike = torch.zeros(1, 5, 8)
        >>> round(synapse.energy(alike).item(), 3)  # -(1 / beta) * 2 heads * 5 queries * log(4 keys)
        -27.726
    """

    ends = 1
    query_bias: nn.Parameter | None
    key_bias: nn.Parameter | None
    log_beta: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        key_dim: int,
        *,
        beta: float | Tensor | None = None,
        mask: str | Tensor | None = None,
        bias: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.dim, self.heads, self.key_dim = check_count("dim", dim), check_count("heads", heads), check_count("key_dim", key_dim)
        self.fixed_beta = None if isinstance(beta, Tensor) else check_positive("beta", key_dim**-0.5 if beta is None else beta)
        if isinstance(beta, Tensor):
            logarithm = checked_betas(beta.detach(), heads).log()
            set_tensor(self, "log_beta", nn.Parameter(logarithm) if isinstance(beta, nn.Parameter) else logarithm)
        if isinstance(mask, Tensor):
            if mask.dtype != torch.bool or mask.dim() != 2 or mask.shape[0] != mask.shape[1]:
                raise ValueError(f"mask must be Boolean of shape (tokens, tokens), got {mask.dtype} of shape {tuple(mask.shape)}")
        elif mask is not None and mask not in MASKS:
            raise ValueError(f"mask must be None, one of {list(MASKS)} or a Boolean tensor, got {mask!r}")
        self.kind = mask if isinstance(mask, str) else None
        self.register_buffer("mask", mask.clone() if isinstance(mask, Tensor) else None)
        self.mask: Tensor | None
        query, key = torch.randn(2, heads, key_dim, dim, generator=generator) / dim**0.5
        self.query, self.key = nn.Parameter(query), nn.Parameter(key)
        for name in ("query_bias", "key_bias"):
            self.register_parameter(name, nn.Parameter(torch.zeros(heads, key_dim)) if bias else None)

    @property
    def beta(self) -> float | Tensor:
        """A number, or a tensor with one or one for each head."""
        return self.log_beta.exp() if self.fixed_beta is None else self.fixed_beta

    def energy(self, *activations: Tensor) -> Tensor:
        (g,) = activations
        queries, keys, beta = self.asked(g)
        return -(log_partitions(queries, keys, self.allowed(g)) / beta[..., 0]).flatten(1).sum(-1)

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        (g,) = activations
        queries, keys, beta = self.asked(g)
        # the curvature is a derivative of the drive, and may be differentiated once more: the fused kernels cannot
        return (from_heads(pulls(queries, keys, self.allowed(g), "plain"), beta, self.query, self.key).to(g.dtype),)

    def asked(self, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries times `beta` and keys, `(b, heads, tokens, key_dim)`, and `beta (heads or 1, 1, 1)`."""
        queries, keys = into_heads(g, self.query, self.query_bias), into_heads(g, self.key, self.key_bias)
        beta = torch.as_tensor(self.beta, dtype=queries.dtype, device=queries.device).view(-1, 1, 1)
        return queries * beta, keys, beta

    def allowed(self, g: Tensor) -> Mask:
        """Which keys (columns) each query (row) attends to."""
        if self.kind == "causal":
            return torch.ones(g.shape[1], g.shape[1], dtype=torch.bool, device=g.device).tril()
        return "no-self" if self.kind == "no-self" else self.mask

    def degree(self, *ends: int) -> float | None:
        return 2

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        tokens = "tokens" if self.mask is None else len(self.mask)
        fits = len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] == self.dim and tokens in ("tokens", shapes[0][0])
        check_shapes("Attention", (f"({tokens}, {self.dim})",), shapes, fits=fits)
        if self.kind == "no-self" and shapes[0][0] == 1:
            raise ValueError(f"Attention with mask 'no-self' expects at least two tokens, got a layer of shape {tuple(shapes[0])}")

    def extra_repr(self) -> str:
        mask = self.kind if self.mask is None else tuple(self.mask.shape)
        return f"dim={self.dim}, heads={self.heads}, key_dim={self.key_dim}, mask={mask!r}"


def checked_betas(beta: Tensor, heads: int) -> Tensor:
    if not beta.is_floating_point() or beta.numel() not in (1, heads):
        raise ValueError(f"beta must hold one floating-point number or {heads}, one a head, got {beta.dtype} {tuple(beta.shape)}")
    if not bool(((beta > 0) & beta.isfinite()).all()):
        raise ValueError(f"beta must be positive and finite, got {beta.detach().tolist()}")
    return beta
