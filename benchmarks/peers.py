"""The formulas and packages that the library stands beside. A package that is not installed is None, and its cells say so."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

DISTRIBUTIONS = {"faiss": "faiss-cpu", "torchhd": "torch-hd", "sklearn": "scikit-learn"}


@cache
def optional(name: str) -> Any:
    """The module, or None where it is not installed or does not load."""
    try:
        return import_module(name)
    except (ImportError, OSError):
        return None


def installed_version(module: str) -> str | None:
    try:
        return version(DISTRIBUTIONS[module])
    except PackageNotFoundError:
        return None


def naive(cues: Tensor, patterns: Tensor, beta: float, squared_norms: Tensor | None = None) -> Tensor:
    """`softmax(beta s) X` in one piece; with `squared_norms (n,)` the scores are Euclidean, else dot products."""
    if squared_norms is None:
        logits = (beta * cues) @ patterns.T
    else:
        logits = torch.addmm(squared_norms, cues, patterns.T, beta=-beta / 2, alpha=beta)
    return logits.softmax(-1) @ patterns


def sdpa(cues: Tensor, patterns: Tensor, beta: float, squared_norms: Tensor | None = None) -> Tensor:
    """The same by torch's scaled dot-product attention, with the Euclidean term as its additive mask."""
    mask = None if squared_norms is None else (squared_norms * (-beta / 2))[None, None, None]
    rows = patterns[None, None]
    return scaled_dot_product_attention(cues[None, None], rows, rows, attn_mask=mask, scale=beta)[0, 0]
