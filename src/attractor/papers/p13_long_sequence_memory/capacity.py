"""How many random patterns a sequence may have, against the number of neurons: `P_T` and `P_S` beside their theory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from itertools import product
from math import log
from statistics import fmean

from attractor.errors import AttractorWarning
from attractor.memory.capacity import CapacityEstimate
from attractor.memory.sequence import SequenceMemory, sequence_capacity, transition_capacity
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p13_long_sequence_memory.claims import (
    BELOW_THEORY,
    DEGREES,
    EXPONENT,
    EXPONENTIAL_NEURONS,
    GROWTH,
    LEAST_NEURONS,
    RATIO,
    WHOLE,
    WHOLE_GROWTH,
    WRONG,
)
from attractor.papers.p13_long_sequence_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval, log_log_slope, mean_interval
from attractor.papers.storage import largest_count, random_signs
from attractor.papers.sweep import sweep
from attractor.papers.text import listed

DATA = "random patterns of -1 and 1"
Interaction = int | str
Capacities = dict[tuple[Interaction, int], list[float]]


def wrong_transitions(interaction: Interaction, dim: int, count: int, seed: int) -> int:
    """How many of the transitions of one sequence of random patterns have a wrong bit.

    Example:
        >>> wrong_transitions(2, 100, 5, 0)
        0
    """
    patterns = random_signs(count, dim, seed)
    memory = SequenceMemory(dim, interaction=interaction)
    memory.store(patterns)
    return int((memory.replay(patterns, 1)[:, 0] != patterns.roll(-1, 0)).any(1).sum())


def single_capacity(interaction: Interaction, dim: int, transitions: int, precision: float, seed: int) -> int:
    """`P_T`: the largest number of patterns at which at most a tenth of the transitions are wrong."""

    def holds(count: int) -> bool:
        draws = max(1, -(-transitions // count))
        wrong = sum(wrong_transitions(interaction, dim, count, seed * 10_000 + draw) for draw in range(draws))
        return wrong <= WRONG * draws * count

    return searched(holds, transition_capacity(dim, interaction).patterns, precision)


def whole_capacity(interaction: Interaction, dim: int, sequences: int, precision: float, seed: int) -> int:
    """`P_S`: the largest number of patterns at which at least half of the sequences are without a wrong bit."""

    def holds(count: int) -> bool:
        wrong = 0
        for draw in range(sequences):
            wrong += wrong_transitions(interaction, dim, count, seed * 10_000 + draw) > 0
            if wrong > (1 - WHOLE) * sequences:
                return False
        return True

    return searched(holds, sequence_capacity(dim, interaction).patterns, precision)


def searched(holds: Callable[[int], bool], guess: float, precision: float) -> int:
    """The largest count that holds; a sequence of one pattern does."""
    # too many patterns are stored on purpose, and few units have few patterns, some of them twice
    with warnings.catch_warnings(action="ignore", category=AttractorWarning):
        return largest_count(lambda count: count < 2 or holds(count), round(min(guess, 1000)), precision=precision)


def measure_capacity(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for exponents, ratios to the theory, and the growth of the exponential; one figure of all."""
    seeds = range(seed * size.repeats, (seed + 1) * size.repeats)
    start = time.perf_counter()
    powers = [(degree, dim) for degree in DEGREES for dim in size.neurons[degree]]
    exponentials = [("exponential", dim) for dim in size.exponential]
    wanted: list[tuple[Interaction, int]] = [*powers, *exponentials]
    single = capacities(wanted, size.transitions, size, seeds, lambda done: tell(done / 2), whole=False)
    single_seconds = time.perf_counter() - start
    whole = capacities(wanted, size.sequences, size, seeds, lambda done: tell(0.5 + done / 2), whole=True)
    whole_seconds = time.perf_counter() - start - single_seconds
    rows = []
    for degree in DEGREES:
        dims = size.neurons[degree]
        slopes = [
            log_log_slope(dims, [single[degree, dim][repeat] * log(dim) for dim in dims])[0] for repeat in range(size.repeats)
        ]
        slope, interval = mean_interval(slopes)
        rows.append(Row(EXPONENT[degree], slope, interval, size.repeats, single_seconds, DATA, note=f"N = {listed(dims)}"))
    for degree, claim in RATIO.items():
        ratios = {
            dim: geometric_interval([count / transition_capacity(dim, degree).patterns for count in single[degree, dim]])
            for dim in size.neurons[degree]
            if dim >= LEAST_NEURONS
        }
        furthest = max(ratios, key=lambda dim: abs(log(ratios[dim][0])))
        ratio, interval = ratios[furthest]
        note = f"at N = {furthest} of {listed(tuple(ratios))}"
        rows.append(Row(claim, ratio, interval, size.repeats, single_seconds, DATA, note=note))
    smallest, largest = EXPONENTIAL_NEURONS
    for claim, found, seconds in ((GROWTH, single, single_seconds), (WHOLE_GROWTH, whole, whole_seconds)):
        factors = [
            (many / few) ** (1 / (largest - smallest))
            for few, many in zip(found["exponential", smallest], found["exponential", largest], strict=True)
        ]
        growth, interval = geometric_interval(factors)
        counts = ", ".join(f"{fmean(found['exponential', dim]):.0f}" for dim in size.exponential)
        rows.append(Row(claim, growth, interval, size.repeats, seconds, DATA, note=f"{counts} patterns"))
    theory = sequence_capacity(largest, "exponential").patterns
    ratio, interval = geometric_interval([count / theory for count in whole["exponential", largest]])
    rows.append(Row(BELOW_THEORY, ratio, interval, size.repeats, whole_seconds, DATA))
    labels = ("neurons N", "patterns (bars: range of the repeats; lines: theory)")
    title = f"Sequences of random patterns: P_T ({WRONG:.0%} of the transitions wrong), P_S ({WHOLE:.0%} of the sequences right)"
    series = [*curves("P_T", single, transition_capacity, size), *curves("P_S", whole, sequence_capacity, size)]
    return Measured(rows, [Chart("capacity", title, *labels, tuple(series), "log", "log")])


def capacities(
    wanted: Sequence[tuple[Interaction, int]], trials: int, size: Size, seeds: range, tell: Tell, *, whole: bool
) -> Capacities:
    """The capacity of each interaction and number of neurons, for each seed."""
    points = [(*one, trials, size.precision, seed) for one, seed in product(wanted, seeds)]
    found = sweep(whole_capacity if whole else single_capacity, points, tell)
    return {
        one: [float(count) for count in found[place * len(seeds) : (place + 1) * len(seeds)]] for place, one in enumerate(wanted)
    }


def curves(name: str, found: Capacities, theory: Callable[[int, Interaction], CapacityEstimate], size: Size) -> list[Series]:
    """What was measured, with the range of the repeats, and the theory as a guide."""
    series = []
    for interaction in (*DEGREES, "exponential"):
        dims = size.exponential if isinstance(interaction, str) else size.neurons[interaction]
        label = f"{name}, {interaction}" if isinstance(interaction, str) else f"{name}, x^{interaction}"
        x, counts = tuple(map(float, dims)), [found[interaction, dim] for dim in dims]
        series.append(Series(label, x, tuple(map(fmean, counts)), tuple(map(min, counts)), tuple(map(max, counts))))
        series.append(Series(f"{label}, theory", x, tuple(theory(dim, interaction).patterns for dim in dims), style="guide"))
    return series
