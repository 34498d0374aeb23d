"""The capacity tab: recall rates against load or damage, one measured point after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attractor.app.contenders import Contender
from attractor.app.explore.stock import COUPLED, NEAREST, OFFERED, TITLES, WIDEST_COUPLED
from attractor.app.explore.wire import Sweep
from attractor.app.measure import Entrant, Row, Task, nearest_euclidean
from attractor.data import BitFlip, Corruption, GaussianNoise, ImageSet, Occlude
from attractor.papers.statistics import wilson

FIRST_LOAD = 10
STRENGTHS = {
    "flips": (0.05, 0.1, 0.2, 0.3, 0.4, 0.45),
    "noise": (0.1, 0.25, 0.5, 0.75, 1.0, 1.5),
    "hidden": (0.1, 0.25, 0.5, 0.75, 0.9),
    "blank": (0.1, 0.25, 0.5, 0.75, 0.9),
}
AXES = {
    "flips": "fraction of pixels flipped",
    "noise": "standard deviation of the noise",
    "hidden": "fraction hidden, and the memory is told",
    "blank": "fraction blanked, and the memory is not told",
}


@dataclass(frozen=True)
class Place:
    """A point of the axis: where it stands, so many images stored, this damage done."""

    position: float
    load: int
    damage: Corruption


def measure(body: Sweep, images: ImageSet) -> Iterator[dict[str, Any]]:
    """First what will come, then each measured point, as JSON values.

    Args:
        body: what to measure.
        images: `body.most` of them; smaller loads are the first ones.

    Raises:
        ValueError: an unknown memory, or a damage of this strength makes no sense.
    """
    unknown = [name for name in body.memories if name not in TITLES]
    if unknown:
        raise ValueError(f"memories must be among {', '.join(TITLES)}, got {unknown[0]!r}")
    places = axis_of(body)
    axis = "images stored" if body.along == "load" else AXES[body.damage]
    yield {
        "axis": axis,
        "logarithmic": body.along == "load",
        "positions": [place.position for place in places],
        "total": len(places) * len(body.memories),
        "set": images.name,
    }
    for load in dict.fromkeys(place.load for place in places):
        stored = images[:load]
        here = [place for place in places if place.load == load]
        for name in body.memories:
            entrant = None if name == NEAREST else entrant_of(name, OFFERED[name], stored)
            for place in here:
                yield point_of(name, place, recalled_row(entrant, place, body, stored), min(body.cues, load))


def axis_of(body: Sweep) -> list[Place]:
    if body.along == "damage":
        return [Place(strength, body.most, damage_of(body.damage, strength)) for strength in STRENGTHS[body.damage]]
    damage = damage_of(body.damage, body.strength)
    loads, load = [], min(FIRST_LOAD, body.most)
    while load < body.most:
        loads.append(load)
        load *= 2
    return [Place(float(load), load, damage) for load in (*loads, body.most)]


def damage_of(kind: str, strength: float) -> Corruption:
    """Of images in [0, 1].

    Raises:
        ValueError: a fraction above one.
    """
    if kind == "noise":
        return GaussianNoise(strength)
    if kind == "flips":
        return BitFlip(strength, low=0.0, high=1.0)
    return Occlude.side("lower", strength, fill=0.0)


def entrant_of(name: str, contender: Contender, stored: ImageSet) -> Entrant | str:
    """The memory with the images in it, or why there is none."""
    if name in COUPLED and stored.dim > WIDEST_COUPLED:
        return f"couplings of {stored.dim:,} entries are more than a page may hold"
    try:
        return Entrant(contender, stored, 0.0, 1.0, check_energy=False)
    except ValueError as error:
        return str(error)


def recalled_row(entrant: Entrant | str | None, place: Place, body: Sweep, stored: ImageSet) -> Row | str:
    """The scores of a memory at a point, of the nearest neighbour where there is no memory, or why there are none."""
    if isinstance(entrant, str):
        return entrant
    task = Task.of(place.damage, stored, min(body.cues, place.load), mask_given=body.damage == "hidden", seed=body.seed)
    row = (nearest_euclidean(task, stored) if entrant is None else entrant.recall(task))[0]
    return row.note or "no scores" if row.exact is None else row


def point_of(name: str, place: Place, row: Row | str, cues: int) -> dict[str, Any]:
    head = {"memory": name, "title": TITLES[name], "position": place.position, "load": place.load, "cues": cues}
    if isinstance(row, str):
        return head | {"note": row}
    scores = {}
    for score, rate in (("exact", row.exact), ("identified", row.identified)):
        assert rate is not None
        low, high = wilson(round(rate * cues), cues)
        scores[score] = {"rate": rate, "low": low, "high": high}
    return head | scores
