"""Every registered memory against load and against damage: the plan, and the recalls that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attractor.app.contenders import Contender
from attractor.app.figures import Panel
from attractor.app.measure import Entrant, Row, Task, nearest_cosine, nearest_encoded, nearest_euclidean
from attractor.app.sources import data_range
from attractor.data import BitFlip, Corruption, GaussianNoise, ImageSet, Occlude
from attractor.memory import Encoded

SCORES = ("exact", "identified")


@dataclass(frozen=True)
class Point:
    """One place on an axis: so many items stored, this damage done."""

    position: float
    load: int
    damage: Corruption
    mask_given: bool = False


@dataclass(frozen=True)
class Sweep:
    """Points along an axis; `logarithmic` where they grow by factors."""

    title: str
    axis: str
    points: tuple[Point, ...]
    logarithmic: bool = False


@dataclass(frozen=True)
class Comparison:
    """What came out: the rows at each point of each sweep, the encoder of each memory behind one, and what each warned of first."""

    sweeps: tuple[Sweep, ...]
    rows: dict[Point, list[Row]]
    encoders: dict[str, str]
    warned: dict[str, str]

    @property
    def baselines(self) -> list[str]:
        return list(dict.fromkeys(row.memory for rows in self.rows.values() for row in rows if row.baseline))

    @property
    def notes(self) -> dict[str, None]:
        """Why a memory has no scores, each once, and what memories warned of."""
        refusals = [f"{row.memory}: {row.note}" for rows in self.rows.values() for row in rows if row.note]
        return dict.fromkeys([*refusals, *(f"{memory}: {warning}" for memory, warning in self.warned.items())])

    def panel(self, sweep: Sweep) -> Panel:
        """The curves of a sweep, memories first so that baselines are drawn over them."""
        curves: dict[str, dict[str, list[float | None]]] = {}
        for point in sweep.points:
            for row in sorted(self.rows[point], key=lambda row: row.baseline):
                curve = curves.setdefault(row.memory, {score: [] for score in SCORES})
                for score in SCORES:
                    curve[score].append(getattr(row, score))
        return Panel(sweep.title, sweep.axis, tuple(point.position for point in sweep.points), curves, sweep.logarithmic)

    def as_json(self) -> dict[str, Any]:
        described = [
            {
                "title": sweep.title,
                "axis": sweep.axis,
                "points": [
                    {"position": point.position, "stored": point.load, "rows": [row.as_json() for row in self.rows[point]]}
                    for point in sweep.points
                ],
            }
            for sweep in self.sweeps
        ]
        return {"encoders": self.encoders, "sweeps": described, "notes": list(self.notes)}


def plan(images: ImageSet, loads: Sequence[int]) -> tuple[Sweep, ...]:
    """Load under one damage, then each damage by strength at the middle load."""
    low, high = data_range(images)
    middle = loads[len(loads) // 2]
    side: Literal["lower", "right"] = "lower" if images.shape[1] > 1 else "right"  # a vector has no lower part

    def flips(fraction: float) -> Corruption:
        return BitFlip(fraction, low=low, high=high)

    def noise(strength: float) -> Corruption:
        return GaussianNoise(strength * (high - low))

    def hidden(fraction: float) -> Corruption:
        return Occlude.side(side, fraction, fill=low)

    def rising(of_strength: Callable[[float], Corruption], strengths: Sequence[float], *, mask: bool = False) -> tuple[Point, ...]:
        return tuple(Point(strength, middle, of_strength(strength), mask) for strength in strengths)

    return (
        Sweep("load, 20% flips", "items stored", tuple(Point(load, load, flips(0.2)) for load in loads), logarithmic=True),
        Sweep(f"flips, {middle} stored", "fraction of pixels flipped", rising(flips, (0.1, 0.2, 0.3, 0.4, 0.45))),
        Sweep(f"noise, {middle} stored", "standard deviation, in ranges of the data", rising(noise, (0.25, 0.5, 1.0, 2.0))),
        Sweep(
            f"{side} part hidden, {middle} stored",
            "fraction hidden, mask given",
            rising(hidden, (0.25, 0.5, 0.75, 0.9), mask=True),
        ),
    )


def pieces(sweeps: Sequence[Sweep], contenders: Sequence[Contender]) -> int:
    """How often `compare_memories` calls `advance`."""
    return len({point for sweep in sweeps for point in sweep.points}) * len(contenders)


def compare_memories(
    images: ImageSet,
    sweeps: tuple[Sweep, ...],
    cues: int,
    seed: int,
    contenders: Sequence[Contender],
    advance: Callable[[str], None] = lambda work: None,
) -> Comparison:
    """Measure each point of `sweeps` with every contender and baseline.

    Args:
        images: as many as the largest load; smaller loads are its first items.
        cues: most items to damage and recall at a point.
        seed: of the damages.
        advance: told of each piece of work before it begins.
    """
    rows: dict[Point, list[Row]] = {}
    encoders: dict[str, str] = {}
    warned: dict[str, str] = {}
    points = dict.fromkeys(point for sweep in sweeps for point in sweep.points)
    for load in dict.fromkeys(point.load for point in points):
        stored = images[:load]
        entrants = [Entrant(contender, stored, *data_range(images), check_energy=False) for contender in contenders]
        binary = (entrant.memory for entrant in entrants if entrant.contender.binary)
        encoded = next((memory for memory in binary if isinstance(memory, Encoded)), None)
        for point in points:
            if point.load != load:
                continue
            task = Task.of(point.damage, stored, min(cues, load), mask_given=point.mask_given, seed=seed)
            rows[point] = []
            for entrant in entrants:
                advance(f"{load} stored: {entrant.contender.title}")
                rows[point].append(entrant.recall(task)[0])
            rows[point] += [nearest_euclidean(task, stored)[0], nearest_cosine(task, stored)[0]]
            rows[point] += [] if encoded is None else [nearest_encoded(task, stored, encoded)[0]]
        encoders |= {
            entrant.contender.title: repr(entrant.memory.encoder) for entrant in entrants if isinstance(entrant.memory, Encoded)
        }
        warned = {entrant.contender.title: entrant.notes[0] for entrant in entrants if entrant.notes} | warned
    return Comparison(sweeps, rows, encoders, warned)
