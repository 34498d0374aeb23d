"""Which stored item a cue speaks for, and by what margin."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.read import Read, ReadOut, TopK


@torch.no_grad()
def evidence(bank: Bank, read: Read, first: ReadOut, winners: Tensor) -> tuple[Tensor, Tensor]:
    """Score `(b,)` of each cue with the item that won, and its lead `(b,)` over any other item.

    Copies of the winner are not rivals. A negative lead: the recall ended at another item than the nearest.

    Args:
        read: the first question asked with the cues.
        first: its answer.
        winners: ids `(b,)` at which the recall ended.
    """
    offset = read.prepared.offset.squeeze(-1)
    best, second = first.scores.unbind(-1)
    leaders = bank.get(first.ids[:, 0]).patterns
    won = bank.get(winners).patterns
    is_leader = (won == leaders).all(-1)
    score = torch.where(is_leader, best, second)
    elsewhere = ~is_leader & (winners != first.ids[:, 1])
    if bool(elsewhere.any()):
        known = None if read.known is None else read.known[elsewhere]
        score = score.masked_scatter(elsewhere, read.similarity.paired(read.cues[elsewhere], won[elsewhere], known))
    twin = is_leader & (first.ids[:, 1] >= 0)
    twin[twin.clone()] = (bank.get(first.ids[twin, 1]).patterns == leaders[twin]).all(-1)
    rival = torch.where(is_leader, second, best)
    if bool(twin.any()):
        known = None if read.known is None else read.known[twin]
        deeper = best_rival(bank, read.with_cues(read.cues[twin], known), leaders[twin])
        rival = rival.masked_scatter(twin, deeper + offset[twin])
    return score, score - rival


def best_rival(bank: Bank, read: Read, leaders: Tensor) -> Tensor:
    """The best relative score `(b,)` of a row that differs from the leader `(b, d)`, -inf where there is none."""
    rivals = read.prepared.vectors.new_full((len(leaders),), -torch.inf)
    still = torch.arange(len(leaders), device=leaders.device)
    depth = 2
    while len(still):
        known = None if read.known is None else read.known[still]
        separation = TopK(depth, beta=1.0)
        found = bank.fold(Read(read.similarity, separation, read.cues[still], known)).body
        scores, places = found.scores.topk(min(depth, found.scores.shape[-1]), -1)
        rows = bank.get(found.ids[places].flatten()).patterns.unflatten(0, places.shape)
        differs = (rows != leaders[still][:, None]).any(-1)
        rivals[still] = scores.masked_fill(~differs, -torch.inf).amax(-1)
        still = still[~differs.any(-1)] if depth < len(bank) else still[:0]
        depth *= 8
    return rivals
