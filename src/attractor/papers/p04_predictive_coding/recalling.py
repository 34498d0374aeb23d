"""Recall of larger tiles from noisy and incomplete cues, beside what else could do it."""

from __future__ import annotations

import time
from itertools import pairwise

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, GaussianNoise, ImageSet
from attractor.memory import DenseMemory, PredictiveCodingMemory
from attractor.memory.predictive_coding import Connection, Convolution, PredictiveLearning
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, ImageGrid, Series, grey_image
from attractor.papers.p04_predictive_coding.baselines import RIDGES, iterated, projected, trained_autoencoder
from attractor.papers.p04_predictive_coding.claims import (
    CONVOLUTION,
    CONVOLUTIONS,
    LARGE,
    LOOSE,
    NOVELTY,
    OVER_AUTOENCODER,
    OVER_DOT,
    OVER_RIDGE,
    PARTS,
    PROJECTION,
    STRONG,
    TOLD,
    WEAK,
    WEIGHTS,
)
from attractor.papers.p04_predictive_coding.sizes import Size
from attractor.papers.p04_predictive_coding.tiles import completed, nearest_share, rate_row, right, tiles, upper_part
from attractor.papers.parts import Measured, Tell

RATE = 5e-4
PASSES = 30
NOISES = {STRONG: 0.2**0.5, WEAK: 0.2}
NOISE = 0.1
BETAS = (0.1, 1.0, 10.0, 100.0)
SHOWN = 5
MAPS = ((32, 2), (64, 4))
CONVOLUTION_RATE = 2e-3


def measure_recall(size: Size, seed: int, tell: Tell) -> Measured:
    """All rows of one network, and those of its rivals on the same cues."""
    data = f"natural tiles of {size.tile} x {size.tile}"
    try:
        everything = tiles(size.tile, size.stored + size.unseen, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(LARGE, data, error))
    images, unseen = everything[: size.stored], everything.patterns[size.stored :]
    began = time.perf_counter()
    learning = PredictiveLearning(steps=size.large_steps, rate=RATE, tolerance=0.0)
    memory = PredictiveCodingMemory(images.dim, layers=(size.width, size.width), learning=learning, seed=seed)
    memory.store(images.patterns, progress=lambda done: tell(0.5 * done))
    seconds = time.perf_counter() - began
    rows = [noisy_row(claim, memory, images, sd, seed, data) for claim, sd in NOISES.items()]
    tell(0.6)
    shares = {part: right(completed(memory, images, 1 / part), images.patterns) for part in PARTS}
    for part, claim in PARTS.items():
        neighbour = nearest_share(images.patterns, images.patterns, upper_part(images, 1 / part))
        rows.append(rate_row(claim, shares[part], seconds, data, baseline=neighbour, note=everything.source))
    began = time.perf_counter()
    rebuild = trained_autoencoder(images.patterns, size.width, size.autoencoder_steps, seed, lambda done: tell(0.6 + 0.35 * done))
    seconds = time.perf_counter() - began
    half = upper_part(images, 0.5)
    rivals = {"autoencoder": iterated(rebuild, images.patterns, half, PASSES), "dot products": by_dot_products(images, half)}
    for claim, name in ((OVER_AUTOENCODER, "autoencoder"), (OVER_DOT, "dot products")):
        theirs = right(rivals[name], images.patterns)
        rows.append(lead_row(claim, shares[2], theirs, seconds, data, f"{name}: {float(theirs.float().mean()):.0%}"))
    rows.append(ridge_row(memory, images, seed, data))
    rows.append(rate_row(PROJECTION, right(projected(images.patterns, images.patterns, half, 0.0), images.patterns), 0.0, data))
    dense = DenseMemory(images.dim)
    dense.store(images.patterns)
    rows.append(rate_row(TOLD, right(dense.recall(images.patterns, half).patterns, images.patterns), 0.0, data))
    numbers = sum(parameter.numel() for parameter in memory.network.parameters())
    rows.append(Row(WEIGHTS, numbers / images.patterns.numel(), None, len(images), 0.0, data, note=f"{numbers:,} in the network"))
    rows.append(novelty_row(memory, images.patterns, unseen, data))
    order = {claim: place for place, claim in enumerate(LARGE)}
    return Measured(sorted(rows, key=lambda row: order[row.claim]), figures(memory, images, shares, rebuild, data))


def measure_convolution(size: Size, seed: int, tell: Tell) -> Measured:
    """Tiles in two layers of maps, each of half the size of the one below, and a memory layer."""
    data = f"natural tiles of {size.tile} x {size.tile}"
    try:
        images = tiles(size.tile, size.stored, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(CONVOLUTIONS, data, error))
    began = time.perf_counter()
    maps = [images.shape, *((channels, size.tile // part, size.tile // part) for channels, part in MAPS)]
    layers: list[int | Connection] = [*(Convolution(below, above) for below, above in pairwise(maps)), size.width // 2]
    learning = PredictiveLearning(steps=size.convolution_steps, rate=CONVOLUTION_RATE, tolerance=0.0)
    memory = PredictiveCodingMemory(images.dim, layers=layers, learning=learning, seed=seed)
    memory.store(images.patterns, progress=tell)
    half = upper_part(images, 0.5)
    found = right(memory.recall(images.patterns, half).patterns, images.patterns)
    baseline = nearest_share(images.patterns, images.patterns, half)
    note = f"{memory.last_fit!r}; {images.source}"
    return Measured([rate_row(CONVOLUTION, found, time.perf_counter() - began, data, baseline=baseline, note=note)])


def noisy_row(claim: Claim, memory: PredictiveCodingMemory, images: ImageSet, sd: float, seed: int, data: str) -> Row:
    began = time.perf_counter()
    cues, _ = GaussianNoise(sd)(images.patterns, generator=torch.Generator().manual_seed(seed))
    found = right(memory.recall(cues, max_steps=PASSES).patterns, images.patterns)
    return rate_row(claim, found, time.perf_counter() - began, data, baseline=nearest_share(cues, images.patterns, None))


def lead_row(claim: Claim, ours: Tensor, theirs: Tensor, seconds: float, data: str, note: str) -> Row:
    """By how much the share of ours is larger, on the same cues."""
    return Row(claim, float(ours.float().mean() - theirs.float().mean()), None, len(ours), seconds, data, note=note)


def by_dot_products(images: ImageSet, known: Tensor) -> Tensor:
    """What a dense memory by dot products makes of cues with zeros for what is missing, at the best of some temperatures."""
    cues = torch.where(known, images.patterns, 0)
    answers = []
    for beta in BETAS:
        # by hand: the memory would normalise its cues, or be told what is missing
        answers.append((beta * cues @ images.patterns.T).softmax(1) @ images.patterns)
    return max(answers, key=lambda one: int(right(one, images.patterns).sum()))


def ridge_row(memory: PredictiveCodingMemory, images: ImageSet, seed: int, data: str) -> Row:
    """Noise on what is left of the picture: nothing of the cue may stay as it is."""
    began = time.perf_counter()
    known = upper_part(images, 0.25)
    noisy, _ = GaussianNoise(NOISE)(images.patterns, generator=torch.Generator().manual_seed(seed))
    cues = torch.where(known, noisy, 0)
    ours = right(memory.recall(cues, confidence=known.float()).patterns, images.patterns)
    theirs = {ridge: right(projected(images.patterns, cues, known, ridge), images.patterns) for ridge in RIDGES}
    best = max(theirs, key=lambda ridge: int(theirs[ridge].sum()))
    note = f"{float(ours.float().mean()):.0%} against {float(theirs[best].float().mean()):.0%} at ridge {best:g}"
    return lead_row(OVER_RIDGE, ours, theirs[best], time.perf_counter() - began, data, note)


def novelty_row(memory: PredictiveCodingMemory, stored: Tensor, unseen: Tensor, data: str) -> Row:
    """How often a stored tile is less surprising than an unseen one."""
    began = time.perf_counter()
    known, new = memory.surprise(stored), memory.surprise(unseen)
    area = float((known[:, None] < new).float().mean())
    note = f"surprise of stored tiles up to {float(known.max()):.3g}, of unseen ones from {float(new.min()):.3g}"
    return Row(NOVELTY, area, None, len(stored) + len(unseen), time.perf_counter() - began, data, note=note)


def figures(
    memory: PredictiveCodingMemory, images: ImageSet, shares: dict[int, Tensor], rebuild: object, data: str
) -> list[Chart | ImageGrid]:
    """Completion against what is left, and some pictures."""
    assert callable(rebuild)
    parts = sorted(shares)
    curves = {"predictive coding": [float(shares[part].float().mean()) for part in parts], "autoencoder, 30 passes": []}
    for part in parts:
        theirs = iterated(rebuild, images.patterns, upper_part(images, 1 / part), PASSES)
        curves["autoencoder, 30 passes"].append(float(right(theirs, images.patterns).float().mean()))
    left = tuple(1 / part for part in parts)
    series = tuple(Series(label, left, tuple(rates), style="line") for label, rates in curves.items())
    labels = ("part of the picture that is left", f"share completed, error < {LOOSE}")
    chart = Chart("completion", f"{len(images)} {data}, completed from the upper part", *labels, series, "log")
    quarter = upper_part(images, 0.25)
    columns = {
        "stored": images.patterns,
        "cue": torch.where(quarter, images.patterns, 0),
        "predictive coding": completed(memory, images, 0.25),
        "autoencoder": iterated(rebuild, images.patterns, quarter, PASSES),
    }
    grey = {name: rows[:SHOWN].unflatten(1, images.shape).mean(1) for name, rows in columns.items()}
    cells = tuple(tuple(grey_image(rows[place]) for rows in grey.values()) for place in range(SHOWN))
    return [chart, ImageGrid("tiles", f"{len(images)} {data}, a quarter left", tuple(columns), ("",) * SHOWN, cells)]
