"""The stored items that score best, without recall: exact nearest neighbours under any similarity."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from attractor.bank import Bank
from attractor.read import Read, Similarity, TopK


class Nearest(NamedTuple):
    """`scores (b, k)`, best first, and `ids (b, k)`; a tie goes to the lower id."""

    scores: Tensor
    ids: Tensor


def nearest(bank: Bank, similarity: Similarity, cues: Tensor, known: Tensor | None, k: int) -> Nearest:
    """The `k` best rows of a bank for each of `cues (b, d)`, all of them where there are fewer."""
    separation = TopK(k, beta=1.0)
    found = bank.fold(Read(similarity, separation, cues, known)).body
    order = found.ids.argsort()
    scores, ids = found.scores[:, order], found.ids[order]
    kept = scores.masked_fill(~separation.chosen(scores, ids), -float("inf"))
    ids = ids[kept.topk(min(k, len(ids)), -1).indices.sort(-1).values]
    # scored again one by one: the fold's matrix product rounds differently with the shape of a block
    patterns = bank.get(ids.flatten()).patterns.unflatten(0, ids.shape).double()
    exact = similarity.paired(cues[:, None].double(), patterns, None if known is None else known[:, None])
    exact, rank = exact.sort(dim=-1, descending=True, stable=True)
    return Nearest(exact.to(found.scores.dtype), ids.gather(-1, rank))
