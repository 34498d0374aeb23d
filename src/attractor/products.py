"""Matrix products by the faster of the two libraries that torch carries.

torch asks MKL for products in single precision, and MKL uses no AVX-512 on processors by AMD: it takes about twice as long there as
oneDNN, which torch keeps for other ends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def onednn_is_faster() -> bool:
    """Whether oneDNN is there, on a processor by AMD with AVX-512."""
    # older releases of torch do not tell what the processor is
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    onednn = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return onednn and "AMD" in can.get("cpu_name", "") and bool(can.get("avx512_f"))


ONEDNN_IS_FASTER = onednn_is_faster()


def linear(rows: Tensor, weight: Tensor) -> Tensor:
    """`rows @ weight.T (b, m)`, of `rows (b, n)` and `weight (m, n)`, in any strides.

    Example:
        >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[11.,  2.]])
    """
    if suits_onednn(rows, weight):
        return torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")
    return rows @ weight.T


def subtract_linear(given: Tensor, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`given (b, m)` less `linear(rows, weight)`, and less `bias (m,)`."""
    if suits_onednn(rows, weight):
        return torch.ops.mkldnn._linear_pointwise.binary(rows, given, weight, bias, "sub").neg_()
    return torch.addmm(given if bias is None else given - bias, rows, weight.T, alpha=-1)


def suits_onednn(rows: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN takes this product, and faster: it knows no gradients, and a compiler chooses by itself."""
    return (
        not torch.compiler.is_compiling()
        and ONEDNN_IS_FASTER
        and rows.dtype == weight.dtype == torch.float32
        and rows.is_cpu
        and weight.is_cpu
        and not (torch.is_grad_enabled() and (rows.requires_grad or weight.requires_grad))
    )
