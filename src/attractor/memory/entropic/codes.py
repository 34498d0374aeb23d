"""Objects as integers, one row for each column: what registers take."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.memory.base import Domain
from attractor.validation import check_finite, check_floating, check_known, check_shape, shorten


def check_codes(name: str, codes: Tensor, n: int, m: int) -> Tensor:
    """Return `codes (b, n)` of rows 0 to `m - 1`, or -1, as int64.

    Raises:
        TypeError: no integer tensor.
        ValueError: another shape, or values beyond the rows.
    """
    if not isinstance(codes, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(codes).__name__}")
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {codes.dtype}; ColumnQuantiser.fit(patterns, {m}).quantise makes them")
    if codes.dim() != 2 or codes.shape[1] != n or len(codes) == 0:
        raise ValueError(f"{name} must have shape (rows, {n}), got {tuple(codes.shape)}")
    least, most = torch.aminmax(codes)
    if int(least) < -1 or int(most) >= m:
        outside = (codes < -1) | (codes >= m)
        rows = shorten(outside.any(-1).nonzero().flatten().tolist())
        raise ValueError(f"{name} must be from 0 to {m - 1}, or -1 for undefined, got others in rows {rows}")
    return codes.to(torch.int64)


def codes_of(name: str, patterns: Tensor, domain: Domain, width: int, known: Tensor | None) -> Tensor:
    """Whole numbers `(b, width)` of a domain as integers, -1 where they are not known.

    Raises:
        TypeError, ValueError: wrong shape, type or entries, or a row with nothing known.
    """
    check_floating(name, patterns)
    check_shape(name, patterns, width)
    known = check_known(known, patterns)
    trusted = patterns if known is None else torch.where(known, patterns, 0)
    check_finite(name, trusted)
    domain.check(name, trusted)
    return trusted.to(torch.int64) if known is None else torch.where(known, trusted, -1).to(torch.int64)
