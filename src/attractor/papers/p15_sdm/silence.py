"""What kills neurons: momentum that goes on while they are silent, and full inhibition from the start at random addresses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from attractor.papers.claim import Row
from attractor.papers.p15_sdm.claims import ADAM_ABOVE, ADAM_DEAD, DEAD, OF_SILENCE
from attractor.papers.p15_sdm.comparison import last, unavailable
from attractor.papers.p15_sdm.sizes import Size
from attractor.papers.p15_sdm.training import learn
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

ADAM_RATE = 0.003
ADAMS = ("row-sparse Adam", "Adam")
RANDOM = {name: f"SDMLP, random addresses, {name}" for name in ("GABA switch", "subtract", "mask")}


def measure_silence(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for stale momentum and for random addresses; where the images are not on this machine, rows that say so."""
    if (missing := unavailable(OF_SILENCE, size.silence)) is not None:
        return missing
    start = time.perf_counter()
    seeds = range(seed * size.silence_seeds, (seed + 1) * size.silence_seeds)
    adam = size.silence_recipe._replace(epochs=size.adam_epochs, rate=ADAM_RATE)
    points = [("SDMLP", "", one, *size.silence, *adam._replace(optimizer=name)) for name in ADAMS for one in seeds]
    points += [(network, "", one, *size.silence, *size.silence_recipe) for network in RANDOM.values() for one in seeds]
    found = sweep(learn, points, tell)
    runs = {name: found[place * len(seeds) : (place + 1) * len(seeds)] for place, name in enumerate((*ADAMS, *RANDOM))}
    seconds = time.perf_counter() - start
    ours, theirs = (runs[name] for name in ADAMS)
    data = f"{size.silence.data}, {size.silence.items} items, {size.silence.pool} neurons"

    def row(claim: Any, values: Sequence[float], note: str) -> Row:
        mean, interval = mean_interval(values)
        return Row(claim, mean, interval, len(seeds), seconds, data, note=note)

    told = {name: f"{name} {fmean(last(runs[name])):.3f}, dead {fmean(dead(runs[name])):.2f}" for name in runs}
    silent = f"of the movement {fmean(one['silent'] for one in theirs):.0%} by silent neurons"
    fewest = [min(pair) for pair in zip(dead(runs["subtract"]), dead(runs["mask"]), strict=True)]
    return Measured(
        [
            row(
                ADAM_ABOVE,
                [one - other for one, other in zip(last(ours), last(theirs), strict=True)],
                f"rate {ADAM_RATE:g}; {told[ADAMS[0]]}; torch's {told[ADAMS[1]]}, {silent}",
            ),
            row(
                ADAM_DEAD,
                [one / max(other, 1 / size.silence.pool) for one, other in zip(dead(ours), dead(theirs), strict=True)],
                f"{told[ADAMS[0]]}; torch's {told[ADAMS[1]]}",
            ),
            row(
                DEAD,
                [other - one for one, other in zip(dead(runs["GABA switch"]), fewest, strict=True)],
                "; ".join(told[name] for name in RANDOM),
            ),
        ]
    )


def dead(results: Sequence[dict[str, Any]]) -> list[float]:
    return [one["dead"] for one in results]
