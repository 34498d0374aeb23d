"""Pictures stored with their labels, and each read from the other."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from attractor.data import DataUnavailableError, ImageSet, load, nearest_neighbour
from attractor.memory import PredictiveCodingMemory
from attractor.memory.predictive_coding import PredictiveLearning
from attractor.papers.claim import unmeasured
from attractor.papers.p04_predictive_coding.claims import (
    DIGITS,
    DIGITS_STORED,
    DIGITS_UNSEEN,
    FACES,
    FACES_DRAWN,
    FACES_STORED,
    FACES_UNSEEN,
)
from attractor.papers.p04_predictive_coding.sizes import Size
from attractor.papers.p04_predictive_coding.tiles import rate_row, stored_in
from attractor.papers.parts import Measured, Tell

LAYERS = (128, 128)
STORED_DIGITS, UNSEEN_DIGITS = 100, 700
PERSONS, FACES_EACH = 10, 5
SMALL_FACE = (28, 23)


def measure_digits(size: Size, seed: int, tell: Tell) -> Measured:
    """Labels of digits."""
    try:
        digits = load("digits").take(STORED_DIGITS + UNSEEN_DIGITS, seed=seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(DIGITS, "scikit-learn digits", error))
    began = time.perf_counter()
    stored, unseen = digits[:STORED_DIGITS], digits[STORED_DIGITS:]
    memory = pairs_in(stored, 10, size, seed)
    rows = []
    for claim, shown in ((DIGITS_STORED, stored), (DIGITS_UNSEEN, unseen)):
        found = labels_of(memory, shown.patterns) == labels(shown)
        neighbours = labels(stored)[nearest_neighbour(shown.patterns, stored.patterns)]
        baseline = float((neighbours == labels(shown)).float().mean())
        rows.append(rate_row(claim, found, time.perf_counter() - began, "scikit-learn digits", baseline=baseline))
    tell(1.0)
    return Measured(rows)


def measure_faces(size: Size, seed: int, tell: Tell) -> Measured:
    """Labels of faces, stored and of the same persons, and faces of labels."""
    try:
        faces = shrunk(load("faces"))
    except DataUnavailableError as error:
        return Measured(unmeasured(FACES, "ORL faces", error))
    began = time.perf_counter()
    order = torch.arange(len(faces))
    person = labels(faces)
    place = torch.stack([(person[: row + 1] == person[row]).sum() - 1 for row in order])
    chosen = person < PERSONS
    stored, unseen = (faces[order[chosen & part]] for part in (place < FACES_EACH, place >= FACES_EACH))
    memory = pairs_in(stored, PERSONS, size, seed)
    rows = []
    for claim, shown in ((FACES_STORED, stored), (FACES_UNSEEN, unseen)):
        found = labels_of(memory, shown.patterns) == labels(shown)
        neighbours = labels(stored)[nearest_neighbour(shown.patterns, stored.patterns)]
        baseline = float((neighbours == labels(shown)).float().mean())
        rows.append(rate_row(claim, found, time.perf_counter() - began, "ORL faces, 23 x 28", baseline=baseline))
    means = torch.stack([stored.patterns[labels(stored) == one].mean(0) for one in range(PERSONS)])
    named = torch.cat([torch.zeros_like(means), torch.eye(PERSONS)], 1)
    drawn = memory.recall(named, label_known(memory, PERSONS).expand_as(named)).patterns[:, : means.shape[1]]
    right = nearest_neighbour(drawn, means) == torch.arange(PERSONS)
    rows.append(rate_row(FACES_DRAWN, right, time.perf_counter() - began, "ORL faces, 23 x 28"))
    tell(1.0)
    return Measured(rows)


def pairs_in(images: ImageSet, classes: int, size: Size, seed: int) -> PredictiveCodingMemory:
    """Pictures and the one-hot codes of their labels, side by side."""
    both = torch.cat([images.patterns, one_hot(labels(images), classes).float()], 1)
    return stored_in(both, LAYERS, PredictiveLearning(steps=size.pair_steps), seed)


def labels_of(memory: PredictiveCodingMemory, pictures: Tensor) -> Tensor:
    """The label `(n,)` that the memory completes each picture with."""
    classes = memory.dim - pictures.shape[1]
    cues = torch.cat([pictures, pictures.new_zeros(len(pictures), classes)], 1)
    return memory.recall(cues, ~label_known(memory, classes).expand_as(cues)).patterns[:, -classes:].argmax(1)


def label_known(memory: PredictiveCodingMemory, classes: int) -> Tensor:
    """The mask `(1, dim)` of the label."""
    return torch.arange(memory.dim)[None] >= memory.dim - classes


def labels(images: ImageSet) -> Tensor:
    assert images.labels is not None
    return images.labels


def shrunk(faces: ImageSet) -> ImageSet:
    """Faces at a quarter of their size."""
    small = interpolate(faces.images, size=SMALL_FACE, mode="area").flatten(1)
    return ImageSet(small, (1, *SMALL_FACE), faces.name, labels=faces.labels)
