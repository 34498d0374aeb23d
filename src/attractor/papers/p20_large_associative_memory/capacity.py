"""How many random patterns binary memories keep with powers and with the exponential, against their number of neurons."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import exp, log2

from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p20_large_associative_memory.claims import ABOVE_POWERS, ERRORS, EXPONENT, GROWTH, POWERS
from attractor.papers.p20_large_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval, log_log_slope, mean_interval
from attractor.papers.storage import dense_capacity
from attractor.papers.text import listed
from attractor.read import Exponential, Polynomial, Separation

DATA = "random patterns of -1 and 1"


def measure_capacity(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the exponents of powers, the growth of the exponential, and its lead over them."""
    largest = size.exponential[-1]
    measured: dict[str, Capacities] = {}
    for done, n in enumerate(POWERS):
        measured[f"x^{n}"] = Capacities(Polynomial(n), (*size.neurons[n], largest), size, seed)
        tell((done + 1) / (len(POWERS) + 1))
    exponential = Capacities(Exponential(), size.exponential, size, seed)
    rows = []
    series = []
    for n in POWERS:
        power, neurons = measured[f"x^{n}"], size.neurons[n]
        slopes = [log_log_slope(neurons, [power.kept[one][repeat] for one in neurons])[0] for repeat in range(size.repeats)]
        slope, interval = mean_interval(slopes)
        rows.append(Row(EXPONENT[n], slope, interval, size.repeats, power.seconds, DATA, note=f"N = {listed(neurons)}"))
        series += [power.series(f"F = x^{n}", neurons), power.fit(f"slope {slope:.2f}", neurons)]
    smallest = size.exponential[0]
    doublings = [
        log2(many / few) / (largest - smallest)
        for few, many in zip(exponential.kept[smallest], exponential.kept[largest], strict=True)
    ]
    growth, interval = mean_interval(doublings)
    note = f"N = {smallest} to {largest}"
    rows.append(Row(GROWTH, growth, interval, size.repeats, exponential.seconds, DATA, note=note))
    best = [max(counts) for counts in zip(*(power.kept[largest] for power in measured.values()), strict=True)]
    ratio, interval = geometric_interval([mine / theirs for mine, theirs in zip(exponential.kept[largest], best, strict=True)])
    rows.append(Row(ABOVE_POWERS, ratio, interval, size.repeats, exponential.seconds, DATA, note=f"N = {largest}"))
    series.append(exponential.series("F = exp(x)", size.exponential))
    labels = ("neurons N", f"patterns kept with {ERRORS:.1%} wrong bits (bars: range)")
    title = "Binary dense memories: random patterns kept"
    return Measured(rows, [Chart("capacity", title, *labels, tuple(series), "log", "log")])


class Capacities:
    """Numbers of patterns kept: `kept[neurons]` has one of each repeat; they took `seconds`."""

    def __init__(self, separation: Separation, neurons: Sequence[int], size: Size, seed: int):
        start = time.perf_counter()
        seeds = range(seed * size.repeats, (seed + 1) * size.repeats)
        options = {"errors": ERRORS, "precision": size.precision}
        self.kept = {
            one: [dense_capacity(separation, one, bits=size.bits, seed=each, **options) for each in seeds]
            for one in sorted(set(neurons))
        }
        self.seconds = time.perf_counter() - start

    def means(self, neurons: Sequence[int]) -> list[float]:
        return [mean_interval(self.kept[one])[0] for one in neurons]

    def series(self, label: str, neurons: Sequence[int]) -> Series:
        """What was measured, with the range of the repeats as error bars."""
        low = tuple(float(min(self.kept[one])) for one in neurons)
        high = tuple(float(max(self.kept[one])) for one in neurons)
        return Series(label, tuple(map(float, neurons)), tuple(self.means(neurons)), low, high)

    def fit(self, label: str, neurons: Sequence[int]) -> Series:
        """The straight line through the logarithms of the means."""
        slope, intercept = log_log_slope(neurons, self.means(neurons))
        ends = (float(neurons[0]), float(neurons[-1]))
        return Series(label, ends, tuple(exp(intercept) * end**slope for end in ends), style="guide")
