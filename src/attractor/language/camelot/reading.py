"""One attention layer with a memory: slots, recent tokens and the window under one soft-max.

 `softmax([q . K_mu + log c_mu | q . k_recent | q . k_window])`, where a slot that a query may not see has the logit -infinity.
Every way of reading is such a bias on the slots. The slots hold earlier tokens only, but which of them are *shown* must not tell a
query about later tokens either: with key search, query i sees what the keys up to its own have found, never more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attractor.language.camelot.attention import Attended, AttentionLayer, Plain
from attractor.language.camelot.positions import Rotary, Tables
from attractor.language.camelot.store import LayerGroup, Remembered
from attractor.language.camelot.timeline import Timeline

LOGITS_AT_ONCE = 2**25


@dataclass(eq=False)
class Pass:
    """One pass of tokens through the model.

    Attributes:
        positions: `(b, q)` as the model is told them.
        timeline: of the `b` rows.
        writes: whether the tokens are to be remembered.
        new: `(b, q)` which of the tokens are there.
        local: `(b, kv)` which of the keys of this pass and of its cache are tokens that are there; None for all.
        rows: `(b,)` of the memory, where rows share one; None where each has its own.
        origin: `(B,)` of the memory's rows.
        found: `(b, H or 1, 1, M)` how often earlier passes of the same window have found each slot, by layer; None where this pass
            is a window.
    """

    positions: Tensor
    timeline: Timeline
    writes: bool
    new: Tensor
    origin: Tensor
    local: Tensor | None = None
    rows: Tensor | None = None
    found: dict[int, Tensor] | None = None
    made: dict[Any, Tables] = field(default_factory=dict)

    @property
    def newest(self) -> Tensor:
        """The furthest position of this pass."""
        return self.positions.max()

    def key_positions(self, count: int) -> Tensor:
        """Positions `(b, count)` of the newest tokens, those of the cache included."""
        return self.positions[:, -1:] - torch.arange(count - 1, -1, -1, device=self.positions.device)

    def tables(self, rotary: Rotary, count: int, like: Tensor) -> Tables:
        """Tables of the newest `count` tokens, as the model rounds them; made once for all layers that rotate alike."""
        key = (rotary.key, count, like.dtype, like.device)
        if key not in self.made:
            places = self.key_positions(count).to(like.device)
            self.made[key] = rotary.tables(places, self.newest.to(like.device), like.dtype)
        return self.made[key]


class LayerReader:
    """Listens to one attention layer while a session is open.

    Attributes:
        current: the pass that is under way.
        new: keys and values of its tokens, to be remembered.
        read: `(B, heads, M)` share of the attention of a mean token that each slot got in the last pass, if that is watched.
    """

    def __init__(self, layer: AttentionLayer, group: LayerGroup, place: int, *, watch: bool):
        self.layer, self.group, self.place, self.watch = layer, group, place, watch
        self.current: Pass | None = None
        self.new: tuple[Tensor, Tensor] | None = None
        self.read: Tensor | None = None

    def attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Any,
        plain: Plain,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        softcap: float | None = None,
        s_aux: Tensor | None = None,
        **options: Any,
    ) -> Attended:
        current = self.current
        if current is None:
            return plain()
        if dropout > 0:
            raise ValueError(f"model must be in eval mode, its attention has dropout {dropout:g}: call model.eval()")
        if current.writes:
            self.new = (key.detach(), value.detach())
        held = self.group.remembered(self.place, current.origin, current.newest)
        if held is None:
            return plain()
        if current.rows is not None:
            held = Remembered(*(each.index_select(0, current.rows.to(each.device)) for each in held))
        queries, count = query.shape[2], key.shape[2]
        if mask is None and queries > 1:
            # transformers leaves the mask out where it is causal; a cache of fixed length has no tokens behind the new ones then
            count = queries
            key, value = key[:, :, :count], value[:, :, :count]
            mask = torch.ones(1, 1, queries, count, dtype=torch.bool, device=key.device).tril()
        given = Attention(query, key, value, mask, held, self.layer.key_dim**-0.5 if scaling is None else scaling, softcap, s_aux)
        far = self._far_query(query, current)
        slots = self._slot_bias(given, far, current)
        recent = self._recent_bias(current, held)
        size = max(1, LOGITS_AT_ONCE // (query.shape[0] * query.shape[1] * (held.keys.shape[2] + count)))
        parts = [given.part(at, min(at + size, queries), slots, recent, far) for at in range(0, queries, size)]
        if self.watch:
            weights = torch.cat([weights for _, weights in parts], 2)[..., : held.weight.shape[-1]].detach()
            new = current.new[:, None, :, None].to(weights)
            self.read = (weights * new).sum(2) / new.sum(2).clamp_min(1)
        return torch.cat([output for output, _ in parts], 1), None

    def _far_query(self, query: Tensor, current: Pass) -> Tensor | None:
        """The queries as they look at slots that appear at one distance."""
        rotary, config = self.group.rotary, self.group.config
        if rotary is None or config.position != "fixed":
            return None
        bare = rotary.undo(query, current.tables(rotary, query.shape[2], query))
        place = torch.full((1, 1), config.seen_at, device=query.device)
        return rotary.rotate(bare, rotary.tables(place, current.newest.to(place))).to(query.dtype)

    def _slot_bias(self, given: Attention, far: Tensor | None, current: Pass) -> Tensor | None:
        """What is added to the logits of the slots, `(b, H or 1, G or 1, q or 1, M)`; None without slots."""
        held, config = given.held, self.group.config
        if not held.weight.shape[-1]:
            return None
        shown = held.occupied[:, :, None, None]
        window = self.layer.sliding_window
        if window is not None and config.position == "fixed":
            shown = shown & (config.seen_at < window)
        elif window is not None:
            # as far as they are in the text, also where they are shown nearer
            places = held.positions - current.timeline.origin.to(held.positions)[:, None, None]
            shown = shown & (current.positions.to(places.device)[:, None, None, :, None] - places[:, :, None, None] < window)
        weight = held.weight[:, :, None, None]
        pinned = torch.arange(held.weight.shape[-1], device=weight.device) < config.sink_slots
        if config.read == "query":
            shown = shown & (pinned | best(given.slot_logits(far), shown & ~pinned, config.top_k))
        elif config.read == "key":
            found = self._found(given.key, current)[:, :, None]
            shown = shown & (pinned | (found > 0))
            if not (config.dedupe or config.count_bias):
                weight = weight + torch.where(pinned, 1, found).clamp_min(1).log()
        return torch.where(shown, weight, torch.finfo(torch.float32).min)

    def _recent_bias(self, current: Pass, held: Remembered) -> Tensor | None:
        """What is added to the logits of the recent tokens, `(b, 1, 1, q or 1, R)`; None where every query sees them all."""
        there, window = current.timeline.there, self.layer.sliding_window
        shown = there[:, None, None, None]
        if window is not None:
            places = current.timeline.positions - current.timeline.origin[:, None]
            shown = shown & (current.positions[:, None, None, :, None] - places[:, None, None, None] < window)
        if bool(shown.all()):
            return None
        return torch.where(shown, 0.0, torch.finfo(torch.float32).min).to(held.keys.device)

    def _found(self, key: Tensor, current: Pass) -> Tensor:
        """How often the keys of the window, up to that of each query, have found each slot, `(b, H or 1, q, M)`."""
        rotary, config, queries = self.group.rotary, self.group.config, current.positions.shape[1]
        bare = key if rotary is None else rotary.undo(key, current.tables(rotary, key.shape[2], key))
        if current.rows is not None:
            raise ValueError("read='key' cannot share one memory among several rows: use as many rows as the session has")
        scores, slot = self.group.similarity(self.place, bare).topk(config.top_k, -1)
        least = -torch.inf if config.min_similarity is None else config.min_similarity
        valid = scores.isfinite() & (scores >= least)
        if current.local is not None:
            valid = valid & current.local.to(valid.device)[:, None, -key.shape[2] :, None]
        hits = torch.zeros(*slot.shape[:-1], config.merged, device=key.device).scatter_(-1, slot, valid.float())
        counts = running_counts(hits)[:, :, -queries:]
        if current.found is not None:
            counts = counts + current.found.get(self.layer.index, 0)
            current.found[self.layer.index] = counts[:, :, -1:]
        return counts


def running_counts(hits: Tensor) -> Tensor:
    """Of `hits (..., T, M)`, those of each token and the ones before it: what later tokens find is hidden."""
    return hits.cumsum(-2)


def best(scores: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Which of `scores (..., M)` are the `count` largest of the `allowed` ones, Boolean."""
    hidden = scores.masked_fill(~allowed, -torch.inf)
    index = hidden.topk(min(count, scores.shape[-1]), -1).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, index, True) & allowed


@dataclass(eq=False)
class Attention:
    """What one attention is computed from; `held` are slots and recent tokens, the rest is as transformers gives it."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    held: Remembered
    scaling: float
    softcap: float | None
    sinks: Tensor | None

    def grouped(self, query: Tensor) -> Tensor:
        """Queries `(b, heads, q, D)` as `(b, H, G q, D)`: those that share a key-value head side by side, scaled."""
        batch, _, _, width = query.shape
        return (query * self.scaling).reshape(batch, self.key.shape[1], -1, width)

    def slot_logits(self, far: Tensor | None) -> Tensor:
        """`q . K` of the slots, `(b, H, G, q, M)`; `far` are the queries where those that look at slots are others."""
        batch, heads, queries, _ = self.query.shape
        kept, slots = self.key.shape[1], self.held.weight.shape[-1]
        scores = self.grouped(self.query if far is None else far) @ self.held.keys[:, :, :slots].mT
        return scores.view(batch, kept, heads // kept, queries, slots)

    def part(self, start: int, stop: int, slots: Tensor | None, recent: Tensor | None, far: Tensor | None) -> tuple[Tensor, Tensor]:
        """Output `(b, q, heads, E)` of the queries from `start` to `stop`, and the weights `(b, heads, q, N)` that they gave."""
        held, query = self.held, self.query[:, :, start:stop]
        batch, heads, queries, _ = query.shape
        kept, merged, known = self.key.shape[1], held.weight.shape[-1], held.keys.shape[2]
        keys, values = torch.cat([held.keys, self.key], 2), torch.cat([held.values, self.value], 2)
        if far is None:
            logits = self.grouped(query) @ keys.mT
        else:
            logits = torch.cat(
                [self.grouped(far[:, :, start:stop]) @ keys[:, :, :merged].mT, self.grouped(query) @ keys[:, :, merged:].mT], -1
            )
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.softcap is not None:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        grid = logits.view(batch, kept, heads // kept, queries, -1)
        if slots is not None:
            grid[..., :merged] += slots if slots.shape[3] == 1 else slots[:, :, :, start:stop]
        if recent is not None:
            grid[..., merged:known] += recent if recent.shape[3] == 1 else recent[:, :, :, start:stop]
        if self.mask is not None:
            add_mask(grid[..., known:], self.mask[:, :, None, start:stop, : self.key.shape[2]])
        if self.sinks is not None:
            sinks = self.sinks.to(grid.dtype).view(1, kept, -1, 1, 1).expand(batch, -1, -1, queries, 1)
            weights = torch.cat([grid, sinks], -1).softmax(-1)[..., :-1]
        else:
            weights = grid.softmax(-1)
        output = weights.to(values.dtype).reshape(batch, kept, -1, weights.shape[-1]) @ values
        output = output.view(batch, heads, queries, -1).transpose(1, 2)
        return output, weights.flatten(1, 2)


def add_mask(logits: Tensor, mask: Tensor) -> None:
    """Hide what a mask of transformers hides, in place: Boolean, True where visible, or numbers to add."""
    if mask.dtype == torch.bool:
        logits.masked_fill_(~mask, torch.finfo(logits.dtype).min)
    else:
        logits += mask
