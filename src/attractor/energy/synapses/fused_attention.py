"""The pulls of attention by torch's fused kernels: no matrix of all pairs is kept, forward or backward.

`P K` is scaled dot-product attention whose values are the keys. `P^T Q` is the gradient of the same call in its values, with the
queries as upstream gradient. The derivative of both needs the kernels' first derivative only, which is all they have: with
upstream `dF` and `dG`, it is that of `(P K).dF + (P dG).Q` in queries and keys, plus `P dG` where the queries stand outside.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attractor.energy.differentiate import leaf
from attractor.energy.synapses.allowed import refuse_second_derivative


class FusedPulls(torch.autograd.Function):
    """`(P K, P^T Q)`, `P = softmax(Q K^T)` over the keys that are `allowed`; every query must have one."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(queries, keys, allowed)
        with torch.inference_mode(False), torch.enable_grad():
            # of tensors made in inference mode only copies take part in a gradient
            asking, values, mask = queries.clone(), keys.clone().requires_grad_(), None if allowed is None else allowed.clone()
            drawn = attend(asking, values.detach(), values, mask)
            (pulled,) = torch.autograd.grad(drawn, values, asking)
        return drawn.detach(), pulled

    @staticmethod
    def backward(ctx: Any, drawn: Tensor, pulled: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second_derivative()
        queries, keys, allowed = ctx.saved_tensors
        with torch.enable_grad():
            asking, asked, values = leaf(queries), leaf(keys), leaf(keys)
            outputs = [attend(asking, asked, values, allowed), attend(asking, asked, pulled.contiguous(), allowed)]
            upstream = [drawn.contiguous(), queries.detach()]
            by_query, by_key, by_value = torch.autograd.grad(outputs, [asking, asked, values], upstream)
        return by_query + outputs[1].detach(), by_key + by_value, None


def fused_pulls(queries: Tensor, keys: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same, for graphs of `torch.compile` too: they take it as it is, as they cannot trace gradients that are taken inside."""
    found: tuple[Tensor, Tensor] = FusedPulls.apply(queries, keys, allowed)
    return found


torch.compiler.allow_in_graph(fused_pulls)


def attend(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None) -> Tensor:
    return scaled_dot_product_attention(queries, keys, values, allowed, scale=1.0)
