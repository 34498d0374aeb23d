"""Temperatures and strengths of each method and vertex, found once on a coarse grid.

They were tuned on other splits of the same images, so that what a row tests with may have been learned or tested with there.
"""

from __future__ import annotations

from collections.abc import Callable

from attractor.estimators.sequential import EWC, GEM, L2, MAS, SI, AveragedGEM, PseudoRehearsal, Rehearsal, Strategy

TUNED = "temperatures and strengths tuned on other splits of the same images"
VERTICES = (2, 5, 10, 20)
MIDDLE = 5
"""The vertex at which the methods are compared."""

TEMPERATURE = {2: 0.2, 5: 0.33, 10: 0.5, 20: 0.6}
STRENGTH = {
    "L2": {2: 0.25, 5: 0.25, 10: 0.1, 20: 0.1},
    "EWC": {2: 25.0, 5: 100.0, 10: 100.0, 20: 25.0},
    "MAS": {2: 5.0, 5: 2.0, 10: 1.0, 20: 1.0},
    "SI": {2: 5.0, 5: 25.0, 10: 5.0, 20: 5.0},
}
KEPT = 0.1
"""The part of each task that methods with a buffer keep."""

PROBES = 500
FRACTIONS = (0.01, 0.03, 0.1, 0.3)
JOINT = "joint"

METHODS: dict[str, Callable[[int], list[Strategy]]] = {
    "none": lambda n: [],
    "rehearsal": lambda n: [Rehearsal(KEPT)],
    "pseudorehearsal": lambda n: [PseudoRehearsal(PROBES)],
    "A-GEM": lambda n: [AveragedGEM(KEPT)],
    "GEM": lambda n: [GEM(KEPT)],
    "L2": lambda n: [L2(STRENGTH["L2"][n])],
    "EWC": lambda n: [EWC(STRENGTH["EWC"][n])],
    "MAS": lambda n: [MAS(STRENGTH["MAS"][n])],
    "SI": lambda n: [SI(STRENGTH["SI"][n])],
    # all tasks at once leave nothing to forget
    JOINT: lambda n: [],
}


def strategies_of(method: str, n: int) -> list[Strategy]:
    """What stands behind a name of `METHODS`, or behind `"rehearsal 0.3"`, which keeps 30%.

    Raises:
        KeyError: the method is unknown.
    """
    name, _, fraction = method.partition(" ")
    return [Rehearsal(float(fraction))] if fraction else METHODS[name](n)
