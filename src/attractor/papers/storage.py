"""How many random patterns a binary memory keeps: one-bit flip tests, and the overlap of a recall with what was stored."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from attractor.errors import CapacityWarning
from attractor.memory.dense import DenseMemory
from attractor.memory.hopfield import HopfieldMemory
from attractor.memory.states import Binary
from attractor.read import Separation

MOST_MEMORIES = 32
SWEEPS = 200


def random_signs(count: int, dim: int, seed: int) -> Tensor:
    """`(count, dim)` of -1 and 1; the first rows of a larger draw with the same seed are those of a smaller one.

    Example:
        >>> bool((random_signs(5, 3, 0)[:2] == random_signs(2, 3, 0)).all())
        True
    """
    return torch.randint(0, 2, (count, dim), generator=torch.Generator().manual_seed(seed)).float() * 2 - 1


def bit_error_rate(separation: Separation, dim: int, count: int, *, bits: int, seed: int) -> float:
    """The one-bit flip test: the fraction of the bits of stored patterns whose flip lowers the energy.

    Args:
        separation: of a dense memory with binary states.
        dim: width of the random patterns.
        count: how many are stored together.
        bits: about how many bits to test, spread over several memories where one has fewer.
        seed: of the patterns.

    Example:
        >>> from attractor.read import Polynomial
        >>> bit_error_rate(Polynomial(2), 100, 2, bits=1000, seed=0)
        0.0
    """
    wrong = tested = 0
    for repeat in range(MOST_MEMORIES):
        patterns = random_signs(count, dim, seed * MOST_MEMORIES + repeat)
        memory = DenseMemory(dim, separation=separation, state=Binary("energy-difference"))
        memory.store(patterns)
        cues = patterns[: -(-(bits - tested) // dim)]
        with over_capacity_on_purpose():
            flipped = memory.recall(cues, max_steps=1).patterns != cues
        wrong, tested = wrong + int(flipped.sum()), tested + flipped.numel()
        if tested >= bits:
            break
    return wrong / tested


def largest_count(holds: Callable[[int], bool], start: int, *, precision: float) -> int:
    """The largest count at which `holds`, a test that fails from some count on; 0 where it never holds.

    Args:
        holds: the test.
        start: a guess.
        precision: when the bracket is this narrow, relative to its lower end, the lower end is taken.

    Example:
        >>> largest_count(lambda count: count <= 77, 10, precision=0.001)
        77
    """
    low, high = 0, max(1, start)
    while holds(high):
        low, high = high, 2 * high
    while low == 0 and high > 1:
        half = high // 2
        if holds(half):
            low = half
        else:
            high = half
    while high - low > max(1.0, precision * low):
        middle = round((low * high) ** 0.5) if low else 1
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def dense_capacity(separation: Separation, dim: int, *, errors: float, bits: int, precision: float, seed: int) -> int:
    """The largest number of random patterns of which at most the fraction `errors` of the bits fail the flip test."""
    guess = DenseMemory(dim, separation=separation, state="binary").capacity_estimate().patterns
    return largest_count(
        lambda count: bit_error_rate(separation, dim, count, bits=bits, seed=seed) <= errors, round(guess), precision=precision
    )


def hebbian_overlap(dim: int, count: int, *, cues: int, seed: int) -> float:
    """Mean overlap `x . xi / d` of asynchronous recall with the stored random pattern that it starts at, classic network.

    Args:
        dim: number of units.
        count: how many patterns are stored.
        cues: how many of them to recall.
        seed: of the patterns and of the order of updates.
    """
    patterns = random_signs(count, dim, seed)
    return float((hebbian_recall(patterns, patterns[:cues], max_steps=SWEEPS, seed=seed) * patterns[:cues]).mean())


def crossing(x: Sequence[float], y: Sequence[float], level: float) -> float:
    """Where a falling curve first crosses `level`, between its points; its first or last point where it does not cross.

    Example:
        >>> crossing([1, 2, 3], [1.0, 0.8, 0.0], 0.9)
        1.5
    """
    for left in range(len(x) - 1):
        if y[left] >= level > y[left + 1]:
            return x[left] + (x[left + 1] - x[left]) * (y[left] - level) / (y[left] - y[left + 1])
    return x[0] if y[0] < level else x[-1]


def hebbian_error_free(dim: int, *, kept: float, precision: float, seed: int) -> int:
    """The largest number of random patterns of which at least the fraction `kept` are at rest, without a wrong bit."""

    def holds(count: int) -> bool:
        patterns = random_signs(count, dim, seed)
        moved = hebbian_recall(patterns, patterns, max_steps=1, seed=seed) != patterns
        return 1 - float(moved.any(-1).float().mean()) >= kept

    guess = HopfieldMemory(dim).capacity_estimate(error_free=True).patterns
    return largest_count(holds, round(guess), precision=precision)


def hebbian_recall(patterns: Tensor, cues: Tensor, *, max_steps: int, seed: int) -> Tensor:
    memory = HopfieldMemory(patterns.shape[1], rule="hebbian")
    with over_capacity_on_purpose():
        memory.store(patterns)
        return memory.recall(cues, max_steps=max_steps, seed=seed).patterns


def over_capacity_on_purpose() -> warnings.catch_warnings[None]:
    """Silences the warning that a search for the capacity provokes."""
    return warnings.catch_warnings(action="ignore", category=CapacityWarning)
