"""Memories that keep no items: their counts belong to the state."""

import pytest
import torch

from attractor.memory import ConstraintMemory, EntropicMemory, HopfieldMemory, PalimpsestMemory, SparseDistributedMemory

BITS = torch.randint(0, 2, (9, 40), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.parametrize(("make", "patterns"), [(HopfieldMemory, 2 * BITS - 1), (PalimpsestMemory, BITS), (ConstraintMemory, BITS)])
def test_a_state_taken_before_storing_brings_the_counts_back(make, patterns):
    memory = make(40)
    memory.store(patterns[:3])
    before = memory.state_dict()
    memory.store(patterns[3:])
    memory.load_state_dict(before)
    assert len(memory) == 3
    assert memory.store(patterns[3:5]).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("make", "patterns"),
    [(lambda: SparseDistributedMemory(40, locations=50, activation=0.1), 2 * BITS - 1), (lambda: EntropicMemory(40, 2), BITS)],
)
def test_a_memory_that_stored_in_inference_mode_can_still_load(make, patterns):
    memory = make()
    with torch.inference_mode():
        memory.store(patterns)
        memory.forget(patterns[:2])
    memory.load_state_dict(make().state_dict())
    assert len(memory) == 0
