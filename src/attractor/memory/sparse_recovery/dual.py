"""Constraints of data: the dual space of the span of patterns, and sparse rows in it.

Patterns in a subspace of `R^n` obey `B x = 0`: the rows of `B` span what is orthogonal to all of them. `dual_rows` reads
orthonormal rows off the singular vectors; `sparse_rows` looks in the same space for rows with few entries, each of which ties few
coordinates together.

Sources: Mazumdar and Rawat, "Associative memory using dictionary learning and expander decoding", AAAI 2017; the search is ER-SpUD
of Spielman, Wang and Wright, COLT 2012, with re-weighted least squares in place of linear programmes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.validation import check_count, check_matrix, check_number

ROUNDS = 30
FIRST_SMOOTHING = 0.1
SHRINKAGE = 0.6
NEGLIGIBLE = 1e-5
ON_SUPPORT = 1e-12
WORKSPACE = 2**24


def dual_rows(patterns: Tensor, *, rank: int | float | None = None) -> Tensor:
    """Orthonormal rows `(m, n)` with `rows @ x = 0` for every row `x` of `patterns (M, n)`; `m` is `n` minus the rank.

    Args:
        patterns: `(M, n)`, finite floating point. Subtract their mean first where the constraints should be affine.
        rank: dimension of the data. None counts the singular values above `1e-8` of the largest (`1e-4` in single precision); a
            whole number fixes it (noisy data: the directions of most variance are kept); a number between 0 and 1 keeps as many
            directions as hold that share of the sum of squares.

    Raises:
        ValueError: no pattern, NaN or infinity, data without a direction, fewer independent patterns than `rank`, or data that span
            the whole space, so that there is no constraint.

    Example:
        >>> patterns = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> dual_rows(patterns).shape
        torch.Size([1, 3])
    """
    return span_and_dual(patterns, rank)[1]


def sparse_rows(rows: Tensor, *, starts: int | None = None, seed: int = 0) -> Tensor:
    """Sparse, linearly independent rows `(m, n)` of norm 1 in the span of the orthonormal `rows (m, n)`, sparsest first.

    For each start `c`, a column of `rows` or the sum of two, `min |q rows|_1` subject to `q . c = 1` is solved by re-weighted least
    squares, all starts at once; the zeros of the solution are then made exact. Of all solutions the sparsest independent ones are
    kept. A generic solution still has `m - 1` zeros, so the answer has `m` rows wherever the starts reach the whole space.

    Args:
        rows: `(m, n)`, orthonormal, as `dual_rows` gives them.
        starts: at most how many; None is `2 n`. The search ends early when a block of them finds no sparser row.
        seed: draws the sums of two columns.

    Raises:
        ValueError: NaN or infinity, or rows that are not orthonormal.

    Example:
        >>> dual = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5]], dtype=torch.float64)
        >>> (sparse_rows(dual) != 0).sum(1)
        tensor([2, 2])
    """
    check_matrix("rows", rows)
    exact = rows.double()
    count, width = rows.shape
    if count > width or not torch.allclose(exact @ exact.T, torch.eye(count, dtype=exact.dtype, device=exact.device), atol=1e-3):
        raise ValueError(f"rows must be orthonormal, got {count} rows of width {width} that are not; dual_rows gives such")
    budget = 2 * width if starts is None else check_count("starts", starts)
    columns = start_columns(exact, budget, seed)
    block = max(1, WORKSPACE // (count * width))
    found = exact.new_zeros(0, width)
    for begin in range(0, len(columns), block):
        before = len(found), int((found != 0).sum())
        found = independent_rows(torch.cat([found, sparsest(exact, columns[begin : begin + block])]), count)
        if before == (count, int((found != 0).sum())):
            break
    return found.to(rows.dtype)


def span_and_dual(patterns: Tensor, rank: int | float | None = None) -> tuple[Tensor, Tensor]:
    """Orthonormal rows of the span of the patterns, those of most variance first, and of what is orthogonal to it."""
    check_matrix("patterns", patterns)
    # the triangular factor has the span and the singular values of the data and at most n rows
    factor = torch.linalg.qr(patterns, mode="r").R if len(patterns) > patterns.shape[1] else patterns
    _, singular, directions = torch.linalg.svd(factor, full_matrices=True)
    dimension = resolve_rank(singular, rank)
    if dimension >= patterns.shape[1]:
        raise ValueError(
            f"patterns must leave a constraint, got some that span all {patterns.shape[1]} dimensions: such data do not fit "
            "a memory of linear constraints; for noisy data near a subspace give rank: a dimension or a share of the sum of squares"
        )
    return directions[:dimension], directions[dimension:]


def resolve_rank(singular: Tensor, rank: int | float | None) -> int:
    """The dimension of data with these singular values, in falling order."""
    tolerance = 1e-8 if singular.dtype == torch.float64 else 1e-4
    numerical = int((singular > tolerance * singular[0]).sum()) if bool(singular[0] > 0) else 0
    if numerical == 0:
        raise ValueError("patterns must have a direction, all are zero (or equal, where their mean is subtracted)")
    if rank is None:
        return numerical
    check_number("rank", rank)
    if isinstance(rank, float):
        if not 0 < rank < 1:
            raise ValueError(f"rank must be a whole number, or a share between 0 and 1, got {rank!r}")
        shares = singular.square().cumsum(0) / singular.square().sum()
        return int((shares < rank).sum()) + 1
    check_count("rank", rank)
    if rank > numerical:
        raise ValueError(f"rank must be at most that of the patterns, {numerical}, got {rank}; store more independent patterns")
    return rank


def start_columns(rows: Tensor, budget: int, seed: int) -> Tensor:
    """Start vectors `(s, m)`: the columns of `rows` that are not zero, then sums of two of them."""
    columns = rows.T[rows.T.norm(dim=1) > NEGLIGIBLE]
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(len(columns), (2, max(0, budget - len(columns))), generator=generator).to(rows.device)
    return torch.cat([columns, columns[pairs[0]] + columns[pairs[1]]])[:budget]


def sparsest(rows: Tensor, columns: Tensor) -> Tensor:
    """For each start `(s, m)` the combination `(s, n)` of `rows` with the least sum of absolute values, its largest entry 1."""
    combined = weighted_least_squares(rows, columns, torch.ones(len(columns), rows.shape[1], dtype=rows.dtype, device=rows.device))
    smoothing = FIRST_SMOOTHING
    for _ in range(ROUNDS):
        combined = weighted_least_squares(rows, columns, (combined.square() + smoothing**2).rsqrt())
        smoothing *= SHRINKAGE
    support = combined.abs() > NEGLIGIBLE * combined.abs().amax(1, keepdim=True)
    for _ in range(2):
        # inverse iteration: what is left off the support falls by the square
        combined = weighted_least_squares(rows, combined @ rows.T, torch.where(support, ON_SUPPORT, 1.0).to(rows.dtype)) * support
    return combined / combined.abs().amax(1, keepdim=True)


def weighted_least_squares(rows: Tensor, columns: Tensor, weights: Tensor) -> Tensor:
    """`q rows (s, n)` with `q` least in `sum w (q rows)^2` subject to `q . c = 1`, for each start `c` and weights `w`."""
    gram = (rows * weights[:, None, :]) @ rows.T
    scale = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    solved = torch.linalg.solve(gram / scale, columns[..., None])[..., 0]
    return (solved / (solved * columns).sum(1, keepdim=True)) @ rows


def independent_rows(rows: Tensor, most: int) -> Tensor:
    """The sparsest rows that are linearly independent, of norm 1, at most `most`."""
    rows = rows[rows.isfinite().all(1)]
    rows = rows / rows.norm(dim=1, keepdim=True)
    rows = rows[(rows != 0).sum(1).argsort(stable=True)]
    basis = rows.new_zeros(0, rows.shape[1])
    kept: list[Tensor] = []
    for row in rows:
        if len(kept) == most:
            break
        rest = row - (basis @ row) @ basis
        if bool(rest.norm() > NEGLIGIBLE):
            rest = rest - (basis @ rest) @ basis
            basis = torch.cat([basis, (rest / rest.norm())[None]])
            kept.append(row)
    return torch.stack(kept) if kept else rows[:0]
