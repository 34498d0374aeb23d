"""The memory made of slots in which similar patterns merge."""

from functools import partial

import pytest
import torch
from memory.consolidated_patterns import clusters, rows

from attractor.memory import ConsolidatedMemory
from attractor.testing import check_memory

make = partial(ConsolidatedMemory, 16)


@pytest.mark.parametrize(
    "settings",
    [{}, {"slots": 8}, {"threshold": None}, {"measure": "l2", "threshold": -0.1}, {"threshold": "auto:0.5"}, {"chunk": 1}],
    ids=str,
)
def test_the_contract_of_a_memory_is_kept(settings):
    check_memory(partial(make, **settings))


def test_energy_is_the_formula_with_counts():
    memory = make(beta=0.7, threshold=0.8)
    patterns = clusters(40).double()
    memory.store(patterns)
    states = rows(5, seed=3).double()
    used = memory.counts > 0
    assert int(memory.counts.max()) > 1
    inside = memory.counts[used] * (0.7 * states @ memory.keys[used].T).exp()
    torch.testing.assert_close(memory.energy(states), -inside.sum(1).log() / 0.7)


def test_read_is_the_softmax_over_slots_with_counts():
    memory = make(beta=0.7, threshold=0.8)
    values = rows(40, 3, seed=5)
    memory.store(clusters(40), values)
    cues = rows(5, seed=3)
    used = memory.counts > 0
    weights = (0.7 * cues @ memory.keys[used].T + memory.counts[used].float().log()).softmax(1)
    torch.testing.assert_close(memory.recall(cues).patterns, weights @ memory.values[used])


def test_a_damaged_cue_recalls_what_merged():
    centres = torch.nn.functional.normalize(rows(10, 64), dim=1)
    memory = ConsolidatedMemory(64, slots=32, threshold=0.8, beta=40.0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        memory.store(centres + 0.03 * torch.randn(10, 64, generator=generator))
    assert int((memory.counts > 0).sum()) == 10 and len(memory) == 200
    known = torch.rand(10, 64, generator=generator) < 0.5
    found = memory.recall(torch.where(known, centres, torch.nan), known).patterns
    assert float(torch.cosine_similarity(found, centres).min()) > 0.99
    slot, score = memory.assign(centres)
    assert len(slot.unique()) == 10 and float(score.min()) > 0.99


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"threshold": 1.0}, ValueError, "threshold"),
        ({"threshold": -1.5}, ValueError, "threshold"),
        ({"threshold": "auto:2"}, ValueError, "threshold"),
        ({"threshold": "sometimes"}, ValueError, "threshold"),
        ({"threshold": True}, TypeError, "threshold"),
        ({"measure": "l2"}, ValueError, "threshold"),
        ({"measure": "l2", "threshold": 0.0}, ValueError, "threshold"),
        ({"slots": 1, "threshold": "auto:0.5"}, ValueError, "slots"),
        ({"slots": 0}, ValueError, "slots"),
        ({"beta": 0.0}, ValueError, "beta"),
        ({"chunk": 0}, ValueError, "chunk"),
        ({"measure": "hamming"}, ValueError, "measure"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, kind, message):
    with pytest.raises(kind, match=message):
        make(**settings)


def test_values_are_given_always_or_never():
    memory = make()
    memory.store(rows(3))
    with pytest.raises(ValueError, match="values"):
        memory.store(rows(3), rows(3, 2))
    assert len(memory) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_means_stay_in_float32_or_better_when_the_memory_is_moved(dtype):
    memory, patterns = make(slots=8, threshold=0.9), clusters(200, centres=3, noise=0.05)
    memory.store(patterns)
    before = memory.keys.clone()
    moved = torch.nn.ModuleList([memory]).to(dtype)[0]
    assert moved is memory and memory.keys.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(memory.keys.float(), before)
    memory.store(patterns.to(dtype))
    assert len(memory) == 400 and int((memory.counts > 0).sum()) == 3
    assert memory.recall(patterns[:3].to(dtype)).patterns.dtype == dtype
