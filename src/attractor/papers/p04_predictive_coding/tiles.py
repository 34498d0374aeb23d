"""Natural tiles to store, and how much of one is given back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, ImageSet, Occlude, load, nearest_neighbour
from attractor.memory import PredictiveCodingMemory
from attractor.memory.predictive_coding import PredictiveLearning
from attractor.papers.claim import Claim, Row
from attractor.papers.p04_predictive_coding.claims import LOOSE
from attractor.papers.statistics import wilson


def tiles(size: int, count: int, seed: int) -> ImageSet:
    """`count` natural tiles of this edge.

    Raises:
        DataUnavailableError: there are no photographs, or too few.
    """
    images = load("natural-tiles", size=size, seed=seed)
    if len(images) < count:
        raise DataUnavailableError(f"{count} tiles are needed, the photographs here give {len(images)}: install more of them")
    return images[slice(count)]


def stored_in(patterns: Tensor, layers: Sequence[int], learning: PredictiveLearning, seed: int) -> PredictiveCodingMemory:
    memory = PredictiveCodingMemory(patterns.shape[1], layers=layers, learning=learning, seed=seed)
    memory.store(patterns)
    return memory


def upper_part(images: ImageSet, share: float) -> Tensor:
    """The mask `(n, d)` of the rows of pixels at the top."""
    _, known = Occlude.side("lower", 1 - share)(images.patterns, shape=images.shape)
    assert known is not None
    return known


def right(recalled: Tensor, originals: Tensor, limit: float = LOOSE) -> Tensor:
    """Which pictures `(n,)` are retrieved: mean squared error of a pixel below the limit."""
    return (recalled - originals).square().mean(1) < limit


def rate_row(claim: Claim, found: Tensor, seconds: float, data: str, *, baseline: float | None = None, note: str = "") -> Row:
    """The share of what was found, with its interval."""
    count = int(found.sum())
    return Row(claim, count / len(found), wilson(count, len(found)), len(found), seconds, data, baseline, note)


def nearest_share(cues: Tensor, stored: Tensor, known: Tensor | None) -> float:
    """The share of cues that the nearest stored picture is right for."""
    return float((nearest_neighbour(cues, stored, known=known) == torch.arange(len(cues))).float().mean())


def completed(memory: PredictiveCodingMemory, images: ImageSet, share: float) -> Tensor:
    """The pictures as completed from the upper part, which stays."""
    return memory.recall(images.patterns, upper_part(images, share)).patterns


def rebuilt(memory: PredictiveCodingMemory, patterns: Tensor) -> Tensor:
    """What the network predicts of pictures that it sees whole."""
    return memory.recall(patterns, confidence=torch.ones(())).patterns
