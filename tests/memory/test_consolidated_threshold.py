"""Thresholds that are chosen for a wanted share of familiar tokens."""

import pytest
import torch
from memory.consolidated_patterns import clusters, rows

from attractor.memory import ConsolidatedMemory
from attractor.memory.consolidated import Slots, WriteRule, check_threshold, write


def test_other_measures_take_other_thresholds():
    assert check_threshold(7.5, "dot").value == 7.5 and check_threshold(-3, "l2").value == -3


def test_threshold_is_chosen_for_a_wanted_share():
    keys = clusters(512, centres=200, noise=0.5)
    first = torch.nn.functional.normalize(keys[:256], dim=1)
    nearest = (first @ first.T - 2 * torch.eye(256)).amax(1)
    shares = []
    for rate in (0.2, 0.5, 0.8):
        store = Slots.empty((2,), 600, 16, 16)
        # cosines do not see the lengths
        both = torch.stack([keys, 3 * keys])
        for part in both.split(128, 1):
            write(store, part, part, torch.arange(128), rule=WriteRule(rate=rate))
        torch.testing.assert_close(store.threshold, nearest.quantile(1 - rate).expand(2))
        assert float((nearest > store.threshold[0]).double().mean()) == pytest.approx(rate, abs=0.01)
        shares.append(1 - float(store.used[0] - 256) / 256)
    assert shares == sorted(shares) and shares[0] < shares[2] - 0.2


@pytest.mark.parametrize("calls", [1, 10, 100])
def test_first_patterns_of_a_wanted_share_are_compared_however_they_are_given(calls):
    """What comes behind the first ones in the same call merges too."""
    keys = clusters(2000, centres=50, dim=32)
    memory = ConsolidatedMemory(32, slots=300, threshold="auto:0.5")
    for part in keys.chunk(calls):
        memory.store(part)
    first = torch.nn.functional.normalize(keys[:256], dim=1)
    nearest = (first @ first.T - 2 * torch.eye(256)).amax(1)
    assert float(memory._held.threshold) == pytest.approx(float(nearest.quantile(0.5)), abs=1e-6)
    assert len(memory) > 1000 and int(memory.counts.max()) > 5


def test_choosing_a_threshold_compares_the_first_tokens_only():
    """Not all slots with all: most of many are empty."""
    store = Slots.empty((2,), 3000, 4, 4)
    largest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, given=(), options=None):
            output = function(*given, **(options or {}))
            largest.append(output.numel() if isinstance(output, torch.Tensor) else 0)
            return output

    keys = rows(300, 4).expand(2, -1, -1)
    with Watch():
        write(store, keys, keys, torch.arange(300), rule=WriteRule(rate=0.5))
    assert bool(store.threshold.isfinite().all())
    assert max(largest) < 3000 * 3000 / 10
