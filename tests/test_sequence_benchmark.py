"""The benchmark of sequences: a replay that is fast and wrong meets no target."""

import sys
from pathlib import Path

import pytest
import torch

from attractor.memory.sequence import SequenceMemory

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = [path.stem for path in FOLDER.glob("*.py")]


@pytest.mark.parametrize("right", [True, False])
def test_sequence_that_is_not_recalled_misses_its_target(monkeypatch, right):
    monkeypatch.syspath_prepend(str(FOLDER))
    sequence = __import__("sequence")
    try:
        if not right:
            monkeypatch.setattr(SequenceMemory, "replay", lambda memory, cues, steps: torch.zeros(len(cues), steps, memory.dim))
        found = sequence.measure(sequence.QUICK, lambda text: None).targets
    finally:
        for name in NAMES:
            sys.modules.pop(name, None)
    recalled = [target.met for target in found if "sequence recalled" in target.claim]
    assert len(recalled) >= len(sequence.NETWORKS) * len(sequence.QUICK.batches)
    assert set(recalled) == {right}
