"""Designated registers: one for each class, of which the one with the least entropy over weight answers (2021 and 2022)."""

from __future__ import annotations

import time

from attractor.data import DataUnavailableError
from attractor.memory import ColumnQuantiser, EntropicRegisters
from attractor.papers.claim import Row
from attractor.papers.p08_entropic_memory.claims import CLASSES, REGISTERED
from attractor.papers.p08_entropic_memory.protocol import labels_of, prepare
from attractor.papers.p08_entropic_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson


def measure_registers(size: Size, seed: int, tell: Tell) -> Measured:
    """The rows on designated registers."""
    rows: list[Row] = []
    for done, (data, claim) in enumerate(CLASSES.items()):
        start, (width, levels) = time.perf_counter(), REGISTERED[data]
        try:
            protocol = prepare(data, size.most, width, size.cues, size.epochs, seed)
        except DataUnavailableError as error:
            rows.append(Row.unmeasured(claim, data, error))
            continue
        quantiser, labels = ColumnQuantiser.fit(protocol.codes, levels), labels_of(protocol.remembered)
        registers = EntropicRegisters(int(labels.max()) + 1, width, levels)
        registers.register(quantiser.quantise(protocol.codes), labels)
        found = registers.classify(quantiser.quantise(protocol.cue_codes))
        answered, right = int((found >= 0).sum()), int((found == protocol.cue_labels).sum())
        share, ends = (right / answered, wilson(right, answered)) if answered else (None, None)
        seconds, about = time.perf_counter() - start, f"{data}, n = {width}, m = {levels}, {len(labels):,} registered"
        note = f"{answered / len(found):.3f} of the cues answered"
        rows.append(Row(claim, share, ends, answered, seconds, about, protocol.nearest(protocol.cue_codes), note))
        tell((done + 1) / len(CLASSES))
    return Measured(rows)
