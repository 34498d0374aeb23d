"""The landscape tab: energy, basins and fixed points of memories of the plane, and the way that recall takes from a cue."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from attractor.app.basins import Window, measure_basins
from attractor.app.explore.wire import COARSE, FINE, REACH, Plane, Start, packed
from attractor.errors import AttractorWarning
from attractor.memory import DenseMemory
from attractor.read import separation_from

WINDOW = Window(-REACH, REACH, -REACH, REACH)
MOST_STEPS = 400


def landscape_of(body: Plane) -> dict[str, Any]:
    """Energy `(r, r)` in float32 and basin of each cell, the lowest row first, and the fixed points; -1 is in no basin."""
    memory = memory_of(body)
    with quietly():
        basins = measure_basins(memory, WINDOW, resolution=FINE if body.fine else COARSE)
    assert memory.beta is not None
    return {
        "beta": float(memory.beta),
        "cells": len(basins.energy),
        "energy": packed(basins.energy.float()),
        "labels": packed(basins.labels.to(torch.int8)),
        "border": basins.border,
        "fixed_points": [{**vars(point), "position": list(point.position)} for point in basins.fixed_points],
    }


def way_from(body: Start) -> dict[str, Any]:
    """The states on the way from a cue to rest, and their energies."""
    memory = memory_of(body)
    with quietly():
        recalled = memory.recall(torch.tensor([body.start], dtype=torch.float64), trace=True, max_steps=MOST_STEPS)
    assert recalled.trace is not None and recalled.trace.energies is not None and recalled.index is not None
    return {
        "states": recalled.trace.states[:, 0].tolist(),
        "energies": recalled.trace.energies[:, 0].tolist(),
        "winner": int(recalled.index[0]),
        "steps": int(recalled.steps[0]),
        "converged": bool(recalled.converged[0]),
    }


def memory_of(body: Plane) -> DenseMemory:
    beta = "auto" if body.beta is None else body.beta
    separation = separation_from({"name": body.separation.value, "beta": beta})
    memory = DenseMemory(2, similarity=body.similarity.value, separation=separation)
    memory.store(torch.tensor(body.points, dtype=torch.float64))
    return memory


def quietly() -> warnings.catch_warnings[None]:
    """Memories that blend are what the tab shows."""
    return warnings.catch_warnings(action="ignore", category=AttractorWarning)
