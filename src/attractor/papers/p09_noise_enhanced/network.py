"""The network of the paper, the patterns that it stores, and cues with errors.

Patterns are `x = u G`, messages `u` of 20 bits, `G` sparse with 6 ones in each of 400 columns; 50 clusters of 40 neurons.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.memory import BitFlipping, ConstraintMemory
from attractor.memory.constraint import balanced_choices

NEURONS, CLUSTERS, DEGREE = 400, 50, 5
BITS, WEIGHT = 20, 6
SAMPLE = 6000
DATA = f"{NEURONS} neurons in {CLUSTERS} clusters, 2^{BITS} patterns, {SAMPLE:,} of them seen"
ON_UNSEEN, ON_SEEN = 1, 2
Tally = dict[str, int]
"""Of a number of trials: wrong patterns, wrong symbols, wrong verdicts, and wrong patterns of the nearest one seen."""


class Network(NamedTuple):
    """A memory that has learned, the generator `(bits, neurons)` of its patterns, and those that it has seen."""

    memory: ConstraintMemory
    generator: Tensor
    seen: Tensor

    def patterns(self, count: int, draw: torch.Generator) -> Tensor:
        """Random ones of all that are stored."""
        return torch.randint(0, 2, (count, BITS), generator=draw).float() @ self.generator


@lru_cache(maxsize=2)
def network(seed: int) -> Network:
    """The network of a seed."""
    draw = torch.Generator().manual_seed(seed)
    ones = balanced_choices(NEURONS, BITS, WEIGHT, draw)
    generator = torch.zeros(BITS, NEURONS).scatter_(0, ones.T, 1.0)
    memory = ConstraintMemory(NEURONS, clusters=CLUSTERS, degree=DEGREE, seed=seed)
    made = Network(memory, generator, torch.empty(0, NEURONS))
    made = made._replace(seen=made.patterns(SAMPLE, draw))
    memory.store(made.seen)
    return made


def with_errors(patterns: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """A copy in which each neuron is off by 1, up or down, with probability `share`."""
    wrong = torch.rand(patterns.shape, generator=draw) < share
    return patterns + wrong * (torch.randint(0, 2, patterns.shape, generator=draw) * 2.0 - 1)


def tally(
    errors: float, noise: float, threshold: float, constraint_noise: float, sweeps: int, trials: int, kind: int, seed: int
) -> Tally:
    """Recall of `trials` patterns with errors; `kind` says whether they were seen in training."""
    made, draw = network(seed), torch.Generator().manual_seed(1_000_003 * kind + seed)
    patterns = made.seen[:trials] if kind == ON_SEEN else made.patterns(trials, draw)
    cues = with_errors(patterns, errors, draw)
    decoder = BitFlipping(noise=noise, constraint_noise=constraint_noise, threshold=threshold, sweeps=sweeps)
    found = made.memory.recall(cues, decoder=decoder, generator=draw)
    wrong = found.patterns != patterns
    nearest = torch.cat([made.seen[torch.cdist(some, made.seen).argmin(1)] for some in cues.split(1000)])
    counted = {
        "wrong": wrong.any(1),
        "symbols": wrong,
        "false": wrong.any(1) & found.converged,
        "nearest": (nearest != patterns).any(1),
    }
    return {"trials": trials, **{name: int(which.sum()) for name, which in counted.items()}}
