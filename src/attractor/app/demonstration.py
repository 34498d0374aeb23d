"""The main job: real images stored in several memories, damaged in several ways, recalled, and judged beside the baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from attractor.app.contenders import DEMONSTRATED, Contender
from attractor.app.figures import Strip
from attractor.app.measure import BINARISED, Entrant, Row, Task, nearest_cosine, nearest_encoded, nearest_euclidean
from attractor.app.sources import data_range
from attractor.data import BitFlip, Corruption, GaussianNoise, ImageSet, Occlude, SaltAndPepper, identified
from attractor.memory import Encoded

EXAMPLES = 3


@dataclass(eq=False)
class Demonstration:
    """What came out: `rows` for the table, `blocks` for the picture, `betas` by memory, `notes` by memory."""

    rows: list[Row] = field(default_factory=list)
    blocks: dict[str, list[Strip]] = field(default_factory=dict)
    betas: dict[str, float] = field(default_factory=dict)
    encoders: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "beta": self.betas,
            "encoders": self.encoders,
            "rows": [row.as_json() for row in self.rows],
            "notes": self.notes,
        }


def damages(images: ImageSet) -> list[tuple[Corruption, bool]]:
    """Each damage, and whether the memories are told what is missing."""
    low, high = data_range(images)
    # a vector has one row, and no lower half
    half = Occlude.half("lower" if images.shape[1] > 1 else "right", fill=low)
    return [
        (half, True),
        (half, False),
        (BitFlip(0.2, low=low, high=high), False),
        (GaussianNoise(0.5 * (high - low)), False),
        (SaltAndPepper(0.3, low=low, high=high), False),
    ]


def demonstrate(
    images: ImageSet,
    cues: int,
    seed: int,
    *,
    contenders: Sequence[Contender] = DEMONSTRATED,
    advance: Callable[[str], None] = lambda work: None,
) -> Demonstration:
    """Store all `images` in each memory and recall the first `cues` of them from every damage.

    Args:
        images: what to store.
        cues: how many of them to damage and recall.
        seed: of the damages.
        contenders: the memories.
        advance: told of each piece of work before it begins; there are `pieces(images, contenders)` of them.
    """
    result = Demonstration()
    entrants = []
    for contender in contenders:
        advance(f"storing: {contender.title}")
        entrants.append(Entrant(contender, images, *data_range(images), check_energy=True))
    encoded = next((entrant.memory for entrant in entrants if isinstance(entrant.memory, Encoded)), None)
    for damage, mask_given in damages(images):
        task = Task.of(damage, images, cues, mask_given=mask_given, seed=seed)
        strips = [as_strip("original", images.patterns, images), cue_strip(task, images)]
        for entrant in entrants:
            advance(f"{damage.name}: {entrant.contender.title}")
            row, recalled = entrant.recall(task)
            result.rows.append(row)
            strips.append(judged_strip(row.memory, recalled, task, images))
        advance(f"{damage.name}: baselines")
        for row, recalled in [
            nearest_euclidean(task, images),
            nearest_cosine(task, images),
            *([] if encoded is None else [nearest_encoded(task, images, encoded)]),
        ]:
            result.rows.append(row)
            if row.memory != BINARISED:
                strips.append(judged_strip(row.memory, recalled, task, images))
        mask = "mask given" if mask_given else "no mask"
        result.blocks[f"{damage.name}\n{mask}"] = strips
    for entrant in entrants:
        title = entrant.contender.title
        if entrant.beta is not None:
            result.betas[title] = entrant.beta
        if isinstance(entrant.memory, Encoded):
            result.encoders[title] = repr(entrant.memory.encoder)
        if entrant.notes:
            result.notes[title] = entrant.notes
    return result


def pieces(images: ImageSet, contenders: Sequence[Contender] = DEMONSTRATED) -> int:
    """How often `demonstrate` calls `advance`."""
    return len(contenders) + len(damages(images)) * (len(contenders) + 1)


def as_strip(title: str, patterns: Tensor, images: ImageSet) -> Strip:
    return Strip(title, patterns[:EXAMPLES].unflatten(1, images.shape))


def cue_strip(task: Task, images: ImageSet) -> Strip:
    shown = task.cues[:EXAMPLES].unflatten(1, images.shape)
    known = None if task.known is None else task.known[:EXAMPLES].unflatten(1, images.shape).all(1)
    return Strip("cue", shown, known=known)


def judged_strip(title: str, recalled: Tensor | None, task: Task, images: ImageSet) -> Strip:
    """The first recalls, empty where the memory refused the cues."""
    if recalled is None:
        recalled = torch.full_like(task.cues, data_range(images)[0])
    shown = recalled[:EXAMPLES]
    return Strip(title, shown.unflatten(1, images.shape), right=identified(shown, task.rows[:EXAMPLES], images.patterns))
