"""Writing into slots: familiar tokens merge, novel ones take an empty or the oldest slot (He et al. 2024, CAMELoT).

 A token with key k is familiar when `max_mu sim(k, K_mu) > R`. Then, with mu the best slot and c its count,
   `K <- (c K + k) / (c + 1)`, `V <- (c V + v) / (c + 1)`, `c <- c + 1`;
 else the token takes an empty slot, or the one that was changed longest ago: `K <- k`, `V <- v`, `c <- 1`.

A chunk of one token is this rule to the letter. In larger ones similarities are taken once for the whole chunk, novel tokens that
resemble an earlier novel one are taken as that one is, and the r-th of the others goes to the r-th oldest slot that no token of the
chunk has merged with. What more are novel than there are such slots is written behind the chunk, one by one. The result is the same
where the tokens of a chunk do not meet:
 - no mean that one of them has moved, of a slot or of all keys, decides what another one does;
 - none resembles an earlier novel one;
 - none takes the slot that a later one matches, nor are more novel than there are slots to take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from attractor.memory.consolidated.slots import Measure, Slots, check_measure, compared
from attractor.validation import check_count, finite

Familiar = Literal["merge", "drop"]
CALIBRATION = 256
"""Tokens that a store keeps unmerged before it chooses its threshold."""
STORES_AT_ONCE = 128
BLOCK = 32
"""Tokens written one by one whose similarities are taken together."""


@dataclass(frozen=True)
class WriteRule:
    """How tokens are compared and merged.

    Attributes:
        measure: the similarity.
        centred: take the mean key from both sides before they are compared.
        chunk: tokens that are compared with the slots at once; 1 is exact.
        compares: False takes every token for a novel one: first in, first out.
        rate: share of tokens that are to be familiar: the threshold of each store is chosen once, from its first tokens.
        familiar: what becomes of a token that resembles a slot: `"merge"` takes it into the means, `"drop"` changes nothing: slots
            hold novel tokens only, as they came.

    Raises:
        TypeError, ValueError: a setting that is not as above.
    """

    measure: Measure = "cosine"
    centred: bool = False
    chunk: int = 32
    compares: bool = True
    rate: float | None = None
    familiar: Familiar = "merge"

    def __post_init__(self) -> None:
        check_measure(self.measure)
        check_count("chunk", self.chunk)
        if self.rate is not None and not 0 < self.rate < 1:
            raise ValueError(f"rate must be in (0, 1) or None, got {self.rate!r}")
        if self.familiar not in get_args(Familiar):
            raise ValueError(f"familiar must be one of {get_args(Familiar)}, got {self.familiar!r}")


class Tokens(NamedTuple):
    """Tokens to write: `keys (N, T, D)`, `values (N, T, E)`, `positions (N, T)`, and which of them are there, `mask (N, T)`."""

    keys: Tensor
    values: Tensor
    positions: Tensor
    mask: Tensor

    def part(self, columns: slice) -> Tokens:
        return Tokens(*(each[:, columns] for each in self))


@torch.no_grad()
def write(
    slots: Slots,
    keys: Tensor,
    values: Tensor,
    positions: Tensor,
    mask: Tensor | None = None,
    rule: WriteRule = WriteRule(),
) -> None:
    """Write tokens into `slots`, in place, in the order in which they stand.

    Args:
        slots: to be changed.
        keys: `(..., T, D)`.
        values: `(..., T, E)`.
        positions: `(..., T)`.
        mask: `(..., T)`, True where a token is to be written. Default: everywhere.
        rule: how.

    Raises:
        ValueError: keys or values of another shape, or one to be written that is NaN or infinite; nothing is written then.

    Example:
        >>> slots = Slots.empty((), slots=3, key_dim=2, value_dim=1, threshold=0.9)
        >>> keys = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
        >>> write(slots, keys, keys[:, :1], torch.arange(3), rule=WriteRule(chunk=1))
        >>> slots.counts.tolist(), slots.keys[0].tolist(), slots.positions.tolist()
        ([2, 1, 0], [1.0, 0.05000000074505806], [1.0, 1.0, 0.0])
    """
    flat = slots.flat()
    count, tokens = len(flat.written), keys.shape[-2]
    if mask is None:
        mask = torch.ones(*slots.lead, tokens, dtype=torch.bool, device=keys.device)
    mask = mask.expand(*slots.lead, tokens)
    for name, vectors, held in (("keys", keys, slots.keys), ("values", values, slots.values)):
        if vectors.shape != (expected := (*slots.lead, tokens, held.shape[-1])):
            raise ValueError(f"{name} must have shape {expected}, got {tuple(vectors.shape)}")
        if not finite(vectors) and not bool((vectors.isfinite().all(-1) | ~mask).all()):
            raise ValueError(f"{name} must be finite where they are written, got NaN or infinity")
    dtype = slots.keys.dtype
    given = Tokens(
        keys.to(dtype).reshape(count, tokens, -1),
        values.to(dtype).reshape(count, tokens, -1),
        positions.to(dtype).expand(*slots.lead, tokens).reshape(count, tokens),
        mask.reshape(count, tokens),
    )
    singly = rule.compares and rule.chunk == 1
    # what is not compared is written as much at once as there are places
    size = (BLOCK if singly else rule.chunk) if rule.compares else slots.counts.shape[-1] - slots.pinned
    start, waiting = 0, calibrate(flat, rule)
    while start < tokens:
        # no further than to where a threshold is chosen: what comes behind it is compared
        stop = start + min(size, waiting or size)
        (write_singly if singly else write_chunk)(flat, given.part(slice(start, stop)), rule)
        start, waiting = stop, calibrate(flat, rule) if waiting else 0


def write_singly(slots: Slots, tokens: Tokens, rule: WriteRule) -> None:
    """Write one token after the other into slots with one leading dimension."""
    rows = torch.arange(len(tokens.mask), device=tokens.mask.device)
    scores = slots.similarity(tokens.keys, rule.measure, centred=rule.centred)
    for column in tokens.mask.any(0).nonzero().flatten().tolist():
        one = tokens.part(slice(column, column + 1))
        if rule.centred:
            # the mean of all keys has moved, and with it every similarity
            scores[:, column] = slots.similarity(one.keys, rule.measure, centred=True)[:, 0]
            follow_centre(slots, one.keys, one.mask)
        best, nearest = scores[:, column].masked_fill(~slots.movable, -torch.inf).max(-1, keepdim=True)
        familiar = one.mask & (best > slots.threshold[:, None])
        target = torch.where(familiar, nearest, ages(slots, replaceable(slots)).argmin(-1, keepdim=True))
        number = slots.written[:, None].clone()
        if rule.familiar == "merge":
            merge(slots, one, number, familiar, target)
        place(slots, one, number, one.mask & ~familiar, target)
        slots.written += one.mask[:, 0]
        # for the tokens behind, one slot of each store has changed, if any
        behind, changed = slice(column + 1, None), slots.keys[rows[:, None], target]
        scores[rows, behind, target[:, 0]] = compared(tokens.keys[:, behind], changed, rule.measure)[..., 0]


def write_chunk(slots: Slots, tokens: Tokens, rule: WriteRule) -> None:
    """Write one chunk into slots with one leading dimension."""
    keys, _, _, mask = tokens
    familiar = follows = torch.zeros_like(mask)
    nearest = leader = torch.zeros_like(mask, dtype=torch.int64)
    if rule.compares:
        scores = slots.similarity(keys, rule.measure, centred=rule.centred)
        best, nearest = scores.masked_fill_(~slots.movable[:, None], -torch.inf).max(-1)
        familiar = mask & (best > slots.threshold[:, None])
        first = slots.written[:, None] + mask.cumsum(-1) <= slots.pinned
        follows, leader = followers(slots, keys, mask & ~familiar & ~first, rule)
    novel = mask & ~familiar & ~follows

    merges = rule.familiar == "merge"
    free = replaceable(slots)
    if merges:
        free &= torch.zeros_like(slots.counts).scatter_add_(1, nearest, familiar.long()) == 0
    oldest_first = ages(slots, free).sort(dim=-1, stable=True).indices
    rank = novel.cumsum(-1) - 1
    late = novel & (rank >= free.sum(-1, keepdim=True))
    late = late | (follows & late.gather(1, leader))
    novel, follows = novel & ~late, follows & ~late

    done = familiar | novel | follows
    number = slots.written[:, None] + done.cumsum(-1) - 1
    if rule.centred:
        follow_centre(slots, keys, done)
    if merges:
        merge(slots, tokens, number, familiar, nearest)
    target = oldest_first.gather(1, rank.clamp(0, oldest_first.shape[-1] - 1))
    place(slots, tokens, number, novel, target)
    if merges:
        merge(slots, tokens, number, follows, target.gather(1, leader))
    slots.written += done.sum(-1)
    if bool(late.any()):
        # they may replace what this chunk has changed
        write_singly(slots, tokens._replace(mask=late), rule)


def replaceable(slots: Slots) -> Tensor:
    """`(N, M)` which slots a novel token may take: empty or not pinned."""
    index = torch.arange(slots.counts.shape[-1], device=slots.counts.device)
    return (index >= slots.pinned) | ~slots.occupied


def ages(slots: Slots, free: Tensor) -> Tensor:
    """`(N, M)` running numbers by which the `free` slots are taken, lowest first; empty ones come before all."""
    return torch.where(slots.occupied, slots.last, -1).masked_fill_(~free, torch.iinfo(torch.int64).max)


def followers(slots: Slots, keys: Tensor, novel: Tensor, rule: WriteRule) -> tuple[Tensor, Tensor]:
    """Which of the `novel (N, T)` tokens of a chunk resemble an earlier one that itself does not, and which, `(N, T)`."""
    seen = keys - slots.centre[:, None] if rule.centred else keys
    scores = compared(seen, seen, rule.measure)
    near = (scores > slots.threshold[:, None, None]) & novel[:, None] & novel[..., None] & torch.ones_like(scores).tril(-1).bool()
    leads = novel & ~near.any(-1)
    best, leader = scores.masked_fill_(~(near & leads[:, None]), -torch.inf).max(-1)
    return best.isfinite(), leader


def merge(slots: Slots, tokens: Tokens, number: Tensor, which: Tensor, target: Tensor) -> None:
    """Take the tokens `which (N, T)` into the means of their slots `target (N, T)`; several may go into one."""
    where = places(slots, which, target)
    counts = slots.counts.view(-1)
    counts.index_add_(0, where, torch.ones_like(where))
    share = counts[where].to(slots.keys.dtype).reciprocal()
    for mean, added in zip(means(slots), (tokens.keys, tokens.values, tokens.positions[..., None]), strict=True):
        mean.index_add_(0, where, (added[which] - mean[where]) * share[:, None])
    slots.last.view(-1).scatter_reduce_(0, where, number[which], "amax")


def place(slots: Slots, tokens: Tokens, number: Tensor, which: Tensor, target: Tensor) -> None:
    """Put the tokens `which (N, T)` in place of what their slots `target (N, T)` held; each has a slot of its own."""
    where = places(slots, which, target)
    for mean, added in zip(means(slots), (tokens.keys, tokens.values, tokens.positions[..., None]), strict=True):
        mean[where] = added[which]
    slots.counts.view(-1)[where] = 1
    slots.last.view(-1)[where] = number[which]


def places(slots: Slots, which: Tensor, target: Tensor) -> Tensor:
    """Where the slots `target` of the tokens `which` lie when all stores are laid end to end."""
    rows = torch.arange(len(target), device=target.device)[:, None] * slots.counts.shape[-1]
    return (rows + target)[which]


def means(slots: Slots) -> tuple[Tensor, Tensor, Tensor]:
    """The running means of all stores end to end, `(N M, ...)`."""
    return slots.keys.flatten(0, 1), slots.values.flatten(0, 1), slots.positions.view(-1, 1)


def follow_centre(slots: Slots, keys: Tensor, which: Tensor) -> None:
    """Take the keys `which (N, T)` into the mean of all keys."""
    added = which.sum(-1, keepdim=True)
    total = slots.written[:, None] + added
    sums = keys.masked_fill(~which[..., None], 0).sum(1)
    slots.centre += (sums - added * slots.centre) / total.clamp_min(1)


def calibrate(slots: Slots, rule: WriteRule) -> int:
    """Choose the threshold of stores that have none yet and enough tokens: a share `rule.rate` of those are as near to another one.

    Returns:
        tokens after which the next store has enough; 0 where none waits.
    """
    enough = min(CALIBRATION, slots.counts.shape[-1] - slots.pinned)
    if rule.rate is None or enough < 2:
        return 0
    movable = slots.movable
    ready = slots.threshold.isinf() & (movable.sum(-1) >= enough)
    oldest_first = slots.last.masked_fill(~movable, torch.iinfo(torch.int64).max)
    itself = torch.eye(enough, dtype=torch.bool, device=movable.device)
    for stores in ready.nonzero().flatten().split(STORES_AT_ONCE) if bool(ready.any()) else ():
        oldest = oldest_first[stores].topk(enough, -1, largest=False).indices
        keys = slots.keys[stores].gather(1, oldest[..., None].expand(-1, -1, slots.keys.shape[-1]))
        seen = keys - slots.centre[stores, None] if rule.centred else keys
        best = compared(seen, seen, rule.measure).masked_fill_(itself, -torch.inf).amax(-1)
        slots.threshold[stores] = best.quantile(1 - rule.rate, -1)
    waiting = slots.threshold.isinf()
    return int((enough + slots.pinned - slots.used[waiting]).min()) if bool(waiting.any()) else 0
