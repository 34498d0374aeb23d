"""The learning rule against its formula, its energy and its fixed points; codes packed and searched."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from attractor.estimators.flyvec import FlyVec
from attractor.estimators.flyvec.learning import Learner
from attractor.papers.claim import Row
from attractor.papers.p19_flyvec.claims import DESCENT, MEGABYTES, NORMS, SEARCH, UPDATE
from attractor.papers.p19_flyvec.sizes import Size
from attractor.papers.parts import Measured, Tell

Array = npt.NDArray[Any]
WORDS, CELLS = 20, 6
SMALL_STEP = 1e-3
STEPS, LEAST_STEPS = 50, 40
TO_REST = 600
SEARCHED, LINE = 20_000, 20
QUERIES = 50


def measure_rule(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of what can be computed without a text."""
    start = time.perf_counter()
    worst = max(difference(seed * size.updates + number) for number in range(size.updates))
    random_windows = f"random windows, {WORDS} words, {CELLS} cells"
    rows = [Row(UPDATE, worst, None, size.updates, time.perf_counter() - start, random_windows)]
    start = time.perf_counter()
    descents = [descent(seed * size.updates + number) for number in range(size.updates)]
    rises = [rise for one in descents for rise in one]
    worst_rise = max(rises) if len(rises) >= LEAST_STEPS else None
    note = f"{len(rises)} steps with fixed winners" + ("" if worst_rise is not None else f", fewer than {LEAST_STEPS}")
    rows.append(Row(DESCENT, worst_rise, None, len(rises), time.perf_counter() - start, random_windows, note=note))
    start = time.perf_counter()
    norms = winning_norms(seed)
    rows.append(
        Row(NORMS, float(np.abs(norms - 1).max()), None, len(norms), time.perf_counter() - start, f"toy windows, {WORDS} words")
    )
    start = time.perf_counter()
    megabytes, milliseconds = packed(seed)
    seconds = time.perf_counter() - start
    data = f"random lines of {SEARCHED:,} words"
    rows.append(Row(MEGABYTES, megabytes, None, SEARCHED, seconds, data))
    rows.append(Row(SEARCH, milliseconds, None, QUERIES, seconds, data, note="median of single queries, after the first"))
    return Measured(rows)


def random_windows(seed: int, count: int = 60, width: int = 5) -> tuple[Array, Array, Array]:
    """Windows `(count, width)` with words missing at some places, synapses in float64, and counts of words."""
    chance = np.random.default_rng(seed)
    rows = chance.choice(WORDS, (count, width), p=falling()).astype(np.int32)
    rows[chance.random(rows.shape) < 0.1] = 2 * WORDS
    rows[:, width // 2] = WORDS + chance.choice(WORDS, count, p=falling())
    return rows, chance.normal(0, 0.02, (CELLS, 2 * WORDS)), np.maximum(1, (1000 * falling()).astype(int))


def falling() -> Array:
    """Chances of words, as Zipf has them."""
    shares = 1 / np.arange(1, WORDS + 1)
    return shares / shares.sum()


def inputs(rows: Array, width: int = 2 * WORDS) -> Array:
    """The windows as `x (count, 2 V)`."""
    x = np.zeros((len(rows), width + 1))
    np.add.at(x, (np.arange(len(rows))[:, None], rows), 1)
    return x[:, :-1]


def by_formula(rows: Array, synapses: Array, counts: Array, rate: float, *, max_normalised: bool) -> Array:
    """Synapses after one step, window by window with the starting weights."""
    change = np.zeros_like(synapses)
    for x in inputs(rows, synapses.shape[1]):
        winner, share = int((synapses @ x).argmax()), x / np.tile(counts, 2)
        change[winner] += share - (synapses[winner] @ share) * synapses[winner]
    return synapses + rate * change / (np.abs(change).max() if max_normalised else 1)


def difference(seed: int) -> float:
    """Largest difference between a step and the formula, one window and many, in both forms of the rule."""
    rows, synapses, counts = random_windows(seed)
    worst = 0.0
    for some in (rows[:1], rows):
        for max_normalised in (True, False):
            with Learner(synapses, counts) as learner:
                learner.step(some, 0.3, max_normalised=max_normalised)
                wanted = by_formula(some, synapses, counts, 0.3, max_normalised=max_normalised)
                worst = max(worst, float(np.abs(learner.synapses - wanted).max()))
    return worst


def descent(seed: int) -> list[float]:
    """Relative rise of the energy in each step that leaves all winners as they were."""
    rows, synapses, counts = random_windows(seed)
    rises = []
    with Learner(synapses, counts) as learner:
        for _ in range(STEPS):
            winners, before = learner.winners(rows), learner.energy(rows)
            learner.step(rows, SMALL_STEP, max_normalised=False)
            if (learner.winners(rows) == winners).all():
                rises.append((learner.energy(rows) - before) / abs(before))
    return rises


def winning_norms(seed: int) -> Array:
    """Norms of the cells that win, after training at the plain rule until rest."""
    rows, synapses, counts = random_windows(seed)
    with Learner(synapses, counts) as learner:
        for step in range(TO_REST):
            learner.step(rows, 0.5 * (1 - step / TO_REST), max_normalised=False)
        norms: Array = np.linalg.norm(learner.synapses, axis=1)[np.unique(learner.winners(rows))]
    return norms


def packed(seed: int) -> tuple[float, float]:
    """Megabytes of the codes of a model, and milliseconds of one search in them."""
    lines = np.random.default_rng(seed).permutation(SEARCHED).reshape(-1, LINE)
    model = FlyVec(min_count=1, epochs=1, random_state=seed).fit(lines)
    model.nearest(0)
    taken = []
    for word in range(QUERIES):
        start = time.perf_counter()
        model.nearest(word, 10)
        taken.append(time.perf_counter() - start)
    return model.codes().bits.nbytes / 1e6, 1e3 * median(taken)
