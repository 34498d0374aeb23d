"""The benchmark of sequences: a replay that is fast and wrong meets no target."""

import pytest
import torch

from attractor.memory.sequence import SequenceMemory


@pytest.mark.parametrize("right", [True, False])
def test_sequence_that_is_not_recalled_misses_its_target(bench, monkeypatch, right):
    sequence = bench("sequence")
    if not right:
        monkeypatch.setattr(SequenceMemory, "replay", lambda memory, cues, steps: torch.zeros(len(cues), steps, memory.dim))
    found = sequence.measure(sequence.QUICK, lambda text: None).targets
    recalled = [target.met for target in found if "sequence recalled" in target.claim]
    assert len(recalled) >= len(sequence.NETWORKS) * len(sequence.QUICK.batches)
    assert set(recalled) == {right}
