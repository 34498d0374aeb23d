"""The last digits of a sparse error: where its entries are is known, how large they are follows from the constraints."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.memory.sparse_recovery.decoders import top
from attractor.memory.sparse_recovery.iteration import settled_below
from attractor.memory.sparse_recovery.learning import Subspace

ADDED_ENTRIES = 3
SWEEPS = 3
WORKSPACE = 2**24


def refined(cues: Tensor, errors: Tensor, subspace: Subspace) -> tuple[Tensor, Tensor]:
    """The errors by least squares on their support, and where these explain the whole violation.

    Fewer entries than constraints do that for the right support only, with probability one; as many do it for any, and are a corner
    of the feasible set, taken where its absolute sum is not larger. Entries that were too small to be found are added one by one,
    where most is left to explain. Errors that stay unexplained obey the constraints by the smallest change.
    """
    most = len(subspace.dual)
    gram = subspace.violation(torch.eye(cues.shape[1], dtype=cues.dtype, device=cues.device))
    support = (errors != 0) & top(errors, most)
    found = torch.zeros_like(support[:, 0])
    feasible = torch.where(support.any(1, keepdim=True), errors + subspace.violation(cues - errors), errors)
    for _ in range(1 + ADDED_ENTRIES):
        count = support.sum(1)
        rows = (~found & (count > 0) & (count <= most)).nonzero()[:, 0]
        exact = on_support(subspace.violation(cues[rows]), support[rows], gram)
        left = subspace.violation(cues[rows] - exact)
        good = left.norm(dim=1) <= settled_below(cues.dtype) * cues[rows].norm(dim=1)
        fewer = count[rows] < most
        good &= fewer | (exact.abs().sum(1) <= feasible[rows].abs().sum(1))
        feasible = feasible.index_copy(0, rows[good], exact[good])
        found[rows[good & fewer]] = True
        support[rows, left.abs().argmax(1)] = True
    return feasible, found


def on_support(target: Tensor, support: Tensor, gram: Tensor) -> Tensor:
    """`v (b, n)` that is 0 off its `support` and solves `P v = target` on it, `P (n, n)` being `gram`; rows all have a support."""
    width = int(support.sum(1).max()) if len(support) else 0
    size = max(1, WORKSPACE // max(1, width**2))
    return torch.cat([solved(*some, gram) for some in zip(target.split(size), support.split(size), strict=True)])


def solved(target: Tensor, support: Tensor, gram: Tensor) -> Tensor:
    count = support.sum(1)
    places = support.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : int(count.max()) if len(count) else 0]
    inside = support.gather(1, places)
    both = inside[:, :, None] & inside[:, None, :]
    part = torch.where(both, gram[places[:, :, None], places[:, None, :]], 0) + torch.diag_embed((~inside).to(gram))
    factor = torch.linalg.cholesky_ex(part).L
    asked = torch.where(inside, target.gather(1, places), 0)[..., None]
    value = torch.cholesky_solve(asked, factor)
    for _ in range(SWEEPS):
        # what the normal equations lose to their condition
        value = value + torch.cholesky_solve(asked - part @ value, factor)
    return torch.zeros_like(target).scatter(1, places, torch.where(inside, value[..., 0], 0).nan_to_num(0, 0, 0))
