"""Parts of IAMM's encoders and decoders: pre-norm blocks whose feed-forward layers are convolutions (Yang et al. 2024).

`x <- x + MHA(LN x)`, `x <- x + FF(LN x)`, and a last norm. Padding never reaches a word: it has no weight in attentions and
poolings, and is zero for convolutions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

LONGEST_WAVE = 1e4


class Sizes(NamedTuple):
    """Of a stack: `dim` of a word, `depth` of the attention over all `heads`, `filters` of the convolutions, `layers`."""

    dim: int
    depth: int
    heads: int
    filters: int
    layers: int


class Encoder(nn.Module):
    """Words `(b, n, dim)` in their context; zero at padding.

    Args:
        sizes: of the stack.
        generator: of the first weights.

    Example:
        >>> encoder = Encoder(Sizes(8, 4, 2, 5, 1), None)
        >>> mask = torch.tensor([[True, True, False]])
        >>> encoder(torch.randn(1, 3, 8), mask)[0].norm(dim=-1).bool().tolist()
        [True, True, False]
    """

    def __init__(self, sizes: Sizes, generator: torch.Generator | None):
        super().__init__()
        self.project = matrix(sizes.dim, sizes.dim, generator)
        self.blocks = nn.ModuleList(EncoderBlock(sizes, generator) for _ in range(sizes.layers))
        self.norm = Norm(sizes.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x (b, n, dim)` with `mask (b, n)`, True for words."""
        x = self.project(x) + signal(x)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) * mask[..., None]


class EncoderBlock(nn.Module):
    def __init__(self, sizes: Sizes, generator: torch.Generator | None):
        super().__init__()
        self.attention = Attention(sizes, generator)
        self.feed_forward = FeedForward(sizes, generator)
        self.norms = nn.ModuleList(Norm(sizes.dim) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        first = self.norms[0](x)
        x = x + self.attention(first, first, mask[:, None, None])[0]
        return x + self.feed_forward(self.norms[1](x), mask)


class Decoder(nn.Module):
    """Words `(b, t, dim)` that see those before them, and a context.

    Args:
        sizes: of the stack.
        generator: of the first weights.
    """

    def __init__(self, sizes: Sizes, generator: torch.Generator | None):
        super().__init__()
        self.project = matrix(sizes.dim, sizes.dim, generator)
        self.blocks = nn.ModuleList(DecoderBlock(sizes, generator) for _ in range(sizes.layers))
        self.norm = Norm(sizes.dim)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States `(b, t, dim)`, and how the last block scores the context `(b, t, n)`, by the mean of its heads, padding too."""
        x, logits = self.project(x) + signal(x), x.new_zeros(())
        for block in self.blocks:
            x, logits = block(x, context, mask)
        return self.norm(x), logits.mean(1)


class DecoderBlock(nn.Module):
    def __init__(self, sizes: Sizes, generator: torch.Generator | None):
        super().__init__()
        self.before = Attention(sizes, generator)
        self.across = Attention(sizes, generator)
        self.feed_forward = FeedForward(sizes, generator, causal=True)
        self.norms = nn.ModuleList(Norm(sizes.dim) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        first = self.norms[0](x)
        x = x + self.before(first, first, causal)[0]
        found, logits = self.across(self.norms[1](x), context, mask[:, None, None])
        x = x + found
        return x + self.feed_forward(self.norms[2](x), mask.new_ones(x.shape[:2])), logits


class Attention(nn.Module):
    """`softmax(q(x) k(y)^T / sqrt(dh)) v(y)` in heads, mapped back to the width of a word; no shifts."""

    def __init__(self, sizes: Sizes, generator: torch.Generator | None):
        super().__init__()
        self.heads, self.head_dim = sizes.heads, sizes.depth // sizes.heads
        self.query, self.key, self.value = (matrix(sizes.dim, sizes.depth, generator) for _ in range(3))
        self.out = matrix(sizes.depth, sizes.dim, generator)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The read-out `(b, n, dim)` and the scores `(b, heads, n, m)`, of which `mask` tells which count."""
        query, key, value = self._split(self.query(x)), self._split(self.key(y)), self._split(self.value(y))
        logits = self.head_dim**-0.5 * query @ key.mT
        found = masked_softmax(logits, mask) @ value
        return self.out(found.transpose(1, 2).flatten(2)), logits

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two convolutions over three words, with a ReLU after both as in the reference code; causal ones see no later word."""

    def __init__(self, sizes: Sizes, generator: torch.Generator | None, *, causal: bool = False):
        super().__init__()
        self.inner = convolution(sizes.dim, sizes.filters, generator)
        self.outer = convolution(sizes.filters, sizes.dim, generator)
        self.beside = (2, 0) if causal else (1, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in (self.inner, self.outer):
            wide = pad(x * mask[..., None], (0, 0, *self.beside))
            x = layer(torch.cat([wide[:, :-2], wide[:, 1:-1], wide[:, 2:]], -1)).relu()
        return x


class Norm(nn.Module):
    """`gain (x - mean) / (std + eps) + bias`, with the unbiased deviation, as in the reference code."""

    def __init__(self, dim: int, *, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        # the slope of the root is infinite at zero, where padding is
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().sum(-1, keepdim=True) / (x.shape[-1] - 1)
        return centred / (variance.clamp_min(1e-30).sqrt() + self.eps) * self.gain + self.bias


class EmotionHead(nn.Module):
    """Scores of classes for a sequence: `p = softmax(v^T tanh(W x))`, `h = sum p x`, `W_o tanh(W_h h + b_h) + b_o`."""

    def __init__(self, dim: int, classes: int, generator: torch.Generator | None):
        super().__init__()
        self.inner = matrix(dim, dim, generator)
        self.weight = matrix(dim, 1, generator)
        self.hidden = matrix(dim, dim, generator, bias=True)
        self.out = matrix(dim, classes, generator, bias=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`(b, classes)` of `x (b, n, dim)` with `mask (b, n)`."""
        weights = masked_softmax(self.weight(self.inner(x).tanh()).squeeze(-1), mask)
        pooled = (weights[:, None] @ x).squeeze(1)
        return self.out(self.hidden(pooled).tanh())


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Soft-max over the last axis where the mask is True, and exactly 0 elsewhere; all 0 where it is nowhere True."""
    return logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(-1) * mask


def pack(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Places `(b, m)` that bring what is there, `mask (b, n)`, to the front in its order, and the mask afterwards."""
    places = (~mask).long().argsort(dim=-1, stable=True)[:, : max(1, int(mask.sum(-1).max()))]
    return places, mask.gather(1, places)


def take_rows(x: Tensor, places: Tensor) -> Tensor:
    """`x (b, n, dim)` at `places (b, m)`."""
    return x.gather(1, places[..., None].expand(*places.shape, x.shape[-1]))


def signal(x: Tensor) -> Tensor:
    """Sines, then cosines, of waves of rising length over the places of `x (b, n, dim)`: `(n, dim)`."""
    length, dim = x.shape[-2:]
    # half precisions cannot count to the length of a dialogue
    exact = torch.promote_types(x.dtype, torch.float32)
    waves = dim // 2
    rates = torch.exp(-math.log(LONGEST_WAVE) / max(1, waves - 1) * torch.arange(waves, dtype=exact, device=x.device))
    angles = torch.arange(length, dtype=exact, device=x.device)[:, None] * rates
    return pad(torch.cat([angles.sin(), angles.cos()], -1), (0, dim % 2)).to(x.dtype)


def matrix(inputs: int, outputs: int, generator: torch.Generator | None, *, bias: bool = False) -> nn.Linear:
    """A linear map with Xavier's uniform start, and no shift at first."""
    return uniform(inputs, outputs, (6 / (inputs + outputs)) ** 0.5, generator, bias=bias)


def convolution(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """A linear map of three words side by side, with the start of a convolution over them."""
    return uniform(3 * inputs, outputs, (2 / (inputs + outputs)) ** 0.5, generator, bias=True)


def uniform(inputs: int, outputs: int, bound: float, generator: torch.Generator | None, *, bias: bool) -> nn.Linear:
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
