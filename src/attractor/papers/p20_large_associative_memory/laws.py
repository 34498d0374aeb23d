"""The descent law of the energy, and the soft-max memory as attention."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attractor.memory.dense import DenseMemory
from attractor.papers.claim import Row
from attractor.papers.energy_law import measure_descents
from attractor.papers.p20_large_associative_memory.claims import ATTENTION, DESCENT
from attractor.papers.p20_large_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.read import Dot, SoftMax

SHAPES = ((20, 16, 1), (1000, 64, 33), (5000, 64, 8))


def measure_descent(size: Size, seed: int, tell: Tell) -> Measured:
    """The worst rise of the energy along recalls of every combination that has a descent law."""
    start = time.perf_counter()
    seeds = range(seed * size.descents, (seed + 1) * size.descents)
    seen = measure_descents(seeds, betas=size.betas, max_steps=size.steps, tell=tell)
    note = f"{seen.recalls} recalls, {seen.steps} updates, {seen.combinations} memories (similarity, separation, beta, state)"
    data = "random patterns, half of the cues with a mask"
    return Measured([Row(DESCENT, seen.worst, None, seen.recalls, time.perf_counter() - start, data, note=note)])


def measure_attention(seed: int, tell: Tell) -> Measured:
    """The largest difference between a read of the soft-max memory, values beside keys, and PyTorch's attention."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    single = [attention_difference(*shape, dtype=torch.float32, generator=generator) for shape in SHAPES]
    double = [attention_difference(*shape, dtype=torch.float64, generator=generator) for shape in SHAPES]
    cues = sum(cues for _, _, cues in SHAPES)
    note = f"{max(double):.1e} in float64"
    return Measured([Row(ATTENTION, max(single), None, cues, time.perf_counter() - start, "normal random numbers", note=note)])


def attention_difference(count: int, dim: int, cues: int, *, dtype: torch.dtype, generator: torch.Generator) -> float:
    def normal(rows: int) -> Tensor:
        return torch.randn(rows, dim, generator=generator, dtype=dtype)

    keys, values, queries = normal(count), normal(count), normal(cues)
    beta = dim**-0.5
    memory = DenseMemory(dim, similarity=Dot(), separation=SoftMax(beta))
    memory.store(keys, values)
    attended = scaled_dot_product_attention(queries[None], keys[None], values[None], scale=beta)[0]
    return float((memory.read(queries).values - attended).abs().max())
