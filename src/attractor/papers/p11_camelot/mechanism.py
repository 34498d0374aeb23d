"""What holds of the memory whatever the model, measured on a tiny random one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from attractor.papers.claim import Row, unmeasured
from attractor.papers.p11_camelot.claims import CAUSAL, EXACT, RESIDENT, SLOTS, WINDOW
from attractor.papers.p11_camelot.sizes import Size
from attractor.papers.p11_camelot.ways import (
    FULL,
    LONGER,
    NONE,
    NOVELTY,
    RECENCY,
    SINKS,
    TIERS,
    VARIANTS,
    tiny_model,
    way,
)
from attractor.papers.parts import Measured, Tell

TOKENS, SMALL_WINDOW, SMALL = 56, 8, 24
CHANGED = (20, 37, 54)
WIDE = 64
"""Entries of a key where memory is measured: a cache of all tokens would be seen at once."""
DATA = "random tokens, a random Llama of two layers"

Measurement = TypeVar("Measurement")


def measure_mechanism(size: Size, seed: int, tell: Tell) -> Measured:
    """Exactness, causality and the memory of the process."""
    try:
        model = tiny_model(seed)
    except ImportError:
        return Measured(unmeasured((EXACT, CAUSAL, RESIDENT), "none", "needs transformers: pip install 'attractor[language]'"))
    ids = torch.randint(96, (TOKENS,), generator=torch.Generator().manual_seed(seed))
    start = time.perf_counter()
    off = exactness(model, ids, SMALL_WINDOW)
    exact = Row(EXACT, off, None, 1, time.perf_counter() - start, DATA)
    tell(0.1)
    start = time.perf_counter()
    names = (NONE, FULL, LONGER, SINKS, RECENCY, NOVELTY, *VARIANTS, *TIERS)
    worst = max(leak(model, ids, name) for name in names)
    causal = Row(CAUSAL, worst, None, len(names) * len(CHANGED), time.perf_counter() - start, DATA, note=f"{len(names)} ways")
    tell(0.4)
    start = time.perf_counter()
    growth = in_a_fresh_process(resident_growth, size.flat, seed)
    note = f"{size.flat:,} tokens" if growth is not None else "this system does not tell the memory of a process"
    resident = Row(RESIDENT, growth, None, 1, time.perf_counter() - start, DATA, note=note)
    return Measured([exact, causal, resident])


@torch.no_grad()
def exactness(model: Any, ids: Tensor, window: int) -> float:
    """Largest difference of the logits of windows with every token kept from those of one pass."""
    from attractor.language.camelot.config import CamelotConfig
    from attractor.language.perplexity import FullContext, WithMemory

    everything = CamelotConfig(
        slots=len(ids) + 8, window=window, recent=0, threshold=None, sink_slots=0, count_bias=False, read="all", position="mean"
    )
    kept = torch.cat(list(WithMemory(everything).windows(model, ids[None], window)), 1)
    whole = torch.cat(list(FullContext().windows(model, ids[None], len(ids))), 1)
    return float((kept - whole).abs().max())


@torch.no_grad()
def leak(model: Any, ids: Tensor, name: str) -> float:
    """By how much tokens that are changed change what is foretold before them, at most.

    Raises:
        ValueError: one changes nothing after it either, so that nothing is tested.
    """
    how = way(name, SMALL, SMALL_WINDOW)

    def told(tokens: Tensor) -> Tensor:
        return torch.cat(list(how.windows(model, tokens[None], SMALL_WINDOW)), 1)[0]

    before, worst = told(ids), 0.0
    for place in CHANGED:
        other = ids.clone()
        other[place] = (ids[place] + 1) % 96
        after = told(other)
        if torch.equal(before[place:], after[place:]):
            raise ValueError(f"{name!r} must be moved by a token that changes")
        worst = max(worst, float((before[:place] - after[:place]).abs().max()))
    return worst


def in_a_fresh_process(measure: Callable[..., Measurement], *arguments: object) -> Measurement:
    """`measure(*arguments)` where nothing was freed before: what a process has freed it takes again, and seems not to grow."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def resident_growth(tokens: int, seed: int) -> float | None:
    """What this process gains from a tenth of the tokens to all of them, over what a cache of those between would take.

    None where the system does not say.
    """
    from attractor.language import attach

    model, generator = tiny_model(seed, WIDE), torch.Generator().manual_seed(seed)
    windows = tokens // WINDOW
    with attach(model, slots=SLOTS, window=WINDOW) as memory, memory.session() as session:
        early = None
        for number in range(windows):
            session.logits(torch.randint(96, (1, WINDOW), generator=generator))
            if number + 1 == windows // 10:
                early = resident()
    late = resident()
    return None if early is None or late is None else (late - early) / cache_bytes(model, (windows - windows // 10) * WINDOW)


def cache_bytes(model: Any, tokens: int) -> int:
    """What keys and values of so many tokens take, in the precision of the model."""
    config = model.config
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * tokens * model.dtype.itemsize)


def resident() -> int | None:
    """Bytes of memory that this process holds, as Linux tells it."""
    status = Path("/proc/self/status")
    found = re.search(r"^VmRSS:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return None if found is None else 1024 * int(found[1])
