"""What a memory for a language model looks like: its size, how it is written and how it is read (He et al. 2024, CAMELoT)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

from attractor.memory.consolidated import Threshold, WriteRule, check_threshold
from attractor.memory.consolidated.slots import Measure
from attractor.memory.consolidated.writing import Familiar
from attractor.validation import check_count, check_number

ReadMode = Literal["all", "query", "key"]
Position = Literal["mean", "fixed", "stored"]
Granularity = Literal["head", "layer"]


@dataclass(frozen=True)
class CamelotConfig:
    """Settings of a memory; the defaults are `recommended()`.

    Of the `slots` entries that each key-value head keeps, the newest `recent` tokens are exact, and the others hold merged tokens.

    Attributes:
        slots: M, entries of each key-value head, exact ones included.
        window: L, tokens that the model sees at once.
        recent: newest tokens that are kept exactly after each window; only tokens that leave them merge. 0: everything merges. The
            default is that of the default window; `recommended` keeps as many as its window holds.
        read: `"all"` attends to every slot; `"query"` to the `top_k` best slots of each query; `"key"` (the paper's) to those that
            the keys of the window, up to that of the query, find among the slots.
        top_k: slots for each query, or for each key.
        threshold: R, a token merges where its key's similarity to the best slot is above it: a number, in (-1, 1) for cosines and
            below 0 for `"l2"`; `"auto:0.5"` for the one at which half of a head's first tokens would have merged; None to never
            merge.
        familiar: what becomes of a token whose similarity is above it: `"merge"`, or `"drop"` to keep novel tokens only, for
            comparison.
        measure: similarity of keys: `"cosine"`, `"dot"` or `"l2"`, minus the squared distance.
        centred: take the mean key from both sides before they are compared.
        sink_slots: the first tokens of a stream, which never merge, are never replaced and are always visible.
        count_bias: add `log c` to the logit of a slot that stands for `c` tokens.
        dedupe: a slot that several keys find counts once. With `count_bias` it always does.
        position: where a query sees a slot. `"mean"`: at the mean position of its tokens, no further away than the model's context;
            `"fixed"`: at `distance`, and every window begins anew, as endless streams need it; `"stored"`: keys keep the rotation
            that they came with, which is wrong in later windows and here for comparison only.
        distance: for `position="fixed"`. Default: the window.
        granularity: compare the keys of each `"head"`, or those of all heads of a `"layer"` joined.
        layers: which layers, counted from 0, have slots; the others keep the recent tokens only. Default: all but those with a
            sliding window that ends among the recent tokens, or before `distance`: they would never see a slot.
        min_similarity: ignore what keys find with a similarity below it, for `read="key"`.
        chunk: tokens that are compared with the slots at once when they are written; 1 is exact.

    Raises:
        TypeError, ValueError: a setting that is not as above, or no slot left beside the recent and the first tokens.

    Example:
        >>> CamelotConfig.recommended(slots=256).merged
        128
        >>> CamelotConfig.paper().read
        'key'
    """

    slots: int = 512
    window: int = 128
    recent: int = 128
    read: ReadMode = "all"
    top_k: int = 16
    threshold: float | str | None = 0.95
    familiar: Familiar = "merge"
    measure: Measure = "cosine"
    centred: bool = False
    sink_slots: int = 4
    count_bias: bool = True
    dedupe: bool = True
    position: Position = "mean"
    distance: int | None = None
    granularity: Granularity = "head"
    layers: Sequence[int] | None = None
    min_similarity: float | None = None
    chunk: int = 32

    def __post_init__(self) -> None:
        for name, least in (("slots", 1), ("window", 1), ("recent", 0), ("top_k", 1), ("sink_slots", 0), ("chunk", 1)):
            object.__setattr__(self, name, check_count(name, getattr(self, name), least))
        kinds = {"read": ReadMode, "familiar": Familiar, "measure": Measure, "position": Position, "granularity": Granularity}
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {get_args(kind)}, got {getattr(self, name)!r}")
        for name in ("centred", "count_bias", "dedupe"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        check_threshold(self.threshold, self.measure)
        if self.slots <= self.recent + self.sink_slots:
            raise ValueError(
                f"slots must be more than recent + sink_slots = {self.recent} + {self.sink_slots}, got {self.slots}: "
                "no slot would be left for merged tokens"
            )
        if self.limit.rate is not None and self.merged - self.sink_slots < 2:
            raise ValueError(
                f"slots must be at least 2 more than recent + sink_slots for the threshold {self.threshold!r}, got {self.slots}"
            )
        if self.read != "all" and self.top_k > self.merged:
            raise ValueError(f"top_k must be at most the {self.merged} slots that are not recent tokens, got {self.top_k}")
        if self.distance is not None:
            check_count("distance", self.distance, 0)
        if self.min_similarity is not None:
            check_number("min_similarity", self.min_similarity)
        if self.layers is not None:
            if not isinstance(self.layers, Iterable):
                raise TypeError(f"layers must be a sequence of integers, got {type(self.layers).__name__}")
            object.__setattr__(self, "layers", tuple(check_count("layers", layer, 0) for layer in self.layers))
            if not self.layers:
                raise ValueError("layers must name at least one layer, got none")

    @classmethod
    def recommended(cls, slots: int = 512, window: int = 128, **settings: Any) -> Self:
        """The last window kept exactly, older tokens merged at R = 0.95, four pinned first tokens, every slot read at its mean
        position with its count: two tiers, the best of the settings measured here."""
        return cls(slots=slots, window=window, **{"recent": window, **settings})

    @classmethod
    def paper(cls, slots: int = 512, window: int = 128, **settings: Any) -> Self:
        """The paper's read and write: each key of the window finds one slot; token by token, each merges or takes a slot.

        The paper does not say how positions are treated: memory appears at one distance here. Larger chunks write faster, but with
        no first token pinned it matters what merges with it.
        """
        chosen = {
            "recent": 0,
            "read": "key",
            "top_k": 1,
            "threshold": 0.9,
            "sink_slots": 0,
            "count_bias": False,
            "dedupe": False,
            "position": "fixed",
            "chunk": 1,
        }
        return cls(slots=slots, window=window, **{**chosen, **settings})

    @property
    def merged(self) -> int:
        """Slots of each head that are not recent tokens."""
        return self.slots - self.recent

    @property
    def nearest_slot(self) -> int:
        """How far back of a token the nearest slot can stand."""
        return self.seen_at if self.position == "fixed" else self.recent + 1

    @property
    def seen_at(self) -> int:
        """The distance of memory for `position="fixed"`."""
        return self.window if self.distance is None else self.distance

    @cached_property
    def limit(self) -> Threshold:
        """The threshold, read."""
        return check_threshold(self.threshold, self.measure)

    @cached_property
    def rule(self) -> WriteRule:
        """How tokens are written."""
        return WriteRule(self.measure, self.centred, self.chunk, self.limit.compares, self.limit.rate, self.familiar)
