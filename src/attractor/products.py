"""Matrix products by the faster of the two libraries that torch carries.

torch asks MKL for products in single precision, and MKL uses no AVX-512 on processors by AMD: it takes about twice as long there as
oneDNN, which torch keeps for other ends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual


def onednn_is_faster() -> bool:
    """Whether oneDNN is there, on a processor by AMD with AVX-512."""
    # older releases of torch do not tell what the processor is
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    onednn = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return onednn and "AMD" in can.get("cpu_name", "") and bool(can.get("avx512_f"))


ONEDNN_IS_FASTER = onednn_is_faster()
LEAST_MULTIPLICATIONS = 2**20
"""Below, the call of oneDNN takes longer than the product of MKL."""


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`rows @ weight.T + bias (..., m)`, of `rows (..., n)`, `weight (m, n)` and `bias (m,)`, in any strides.

    Example:
        >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[11.,  2.]])
    """
    if suits_onednn(rows, weight, bias):
        return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return torch.nn.functional.linear(rows, weight, bias)


def add_linear(given: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """`given (b, m)` and `linear(rows, weight)` together."""
    if suits_onednn(rows, weight, given):
        return torch.ops.mkldnn._linear_pointwise.binary(rows, given, weight, None, "add")
    return torch.addmm(given, rows, weight.T)


def subtract_linear(given: Tensor, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`given (b, m)` less `linear(rows, weight)`, and less `bias (m,)`."""
    if suits_onednn(rows, weight, bias, given):
        return torch.ops.mkldnn._linear_pointwise.binary(rows, given, weight, bias, "sub").neg_()
    return torch.addmm(given if bias is None else given - bias, rows, weight.T, alpha=-1)


def suits_onednn(rows: Tensor, weight: Tensor, *added: Tensor | None) -> bool:
    """Whether oneDNN takes these operands, and faster: it knows no derivatives, and a compiler chooses by itself."""
    if torch.compiler.is_compiling() or not ONEDNN_IS_FASTER or rows.numel() * len(weight) < LEAST_MULTIPLICATIONS:
        return False
    operands = [rows, weight, *(one for one in added if one is not None)]
    return all(one.dtype == torch.float32 and one.is_cpu and not followed(one) for one in operands)


def followed(one: Tensor) -> bool:
    """Whether derivatives, or a transformation of `torch.func`, follow what becomes of a tensor."""
    return (
        (torch.is_grad_enabled() and one.requires_grad)
        or torch._C._functorch.is_functorch_wrapped_tensor(one)
        or unpack_dual(one).tangent is not None
    )
