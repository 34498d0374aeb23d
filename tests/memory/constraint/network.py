"""Networks of the paper's size, and cues with errors."""

from functools import cache

import torch

from attractor.memory import ConstraintMemory
from attractor.memory.constraint import balanced_choices

NEURONS, BITS = 400, 20


@cache
def sources(neurons=NEURONS, bits=BITS):
    ones = balanced_choices(neurons, bits, 6, torch.Generator().manual_seed(0))
    return torch.zeros(bits, neurons).scatter_(0, ones.T, 1.0)


def patterns(count, seed, neurons=NEURONS, bits=BITS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, bits), generator=generator).float() @ sources(neurons, bits)


@cache
def network(learn="online", neurons=NEURONS, bits=BITS):
    memory = ConstraintMemory(neurons, learn=learn)
    memory.store(patterns(6000, 1, neurons, bits))
    return memory


def small(learn="online"):
    """A memory of 120 neurons in 15 clusters of 40 that learns in a moment."""
    return network(learn, 120, 10)


def small_patterns(count, seed):
    return patterns(count, seed, 120, 10)


def with_errors(true, share, seed):
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(true.shape, generator=generator) < share
    return true + wrong * (torch.randint(0, 2, true.shape, generator=generator) * 2.0 - 1)


def wrong_share(memory, true, cues, decoder):
    found = memory.recall(cues, decoder=decoder)
    return float((found.patterns != true).any(1).double().mean())
