"""Speed and memory of one step of the Energy Transformer beside autograd of its energy and a layer of a transformer.

All take the same tokens; attractor and the two forms of autograd take the same weights and give the same step:

- attractor, by each of its routes: the matrix of all weights, blocks of queries, torch's fused kernels;
- the energy, batched, under `torch.autograd.grad(create_graph=True)`, as plainly as it is said and with `beta` in the weights and
  torch's `linear`, and under `torch.func.grad_and_value`;
- `nn.TransformerEncoderLayer` of the same sizes, which has twice the parameters and another function.

Run as a program, this file takes the peak memory of a training step in a fresh process:
`energy_transformer.py WAY BATCH TOKENS DIM HEADS KEY_DIM MEMORIES THREADS`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from peak_memory import highest, reset_high_water, status
from report import NOTHING, Section, Table, Target, megabytes, milliseconds
from timing import Contender, Race, Spread, race
from torch import Tensor, nn
from torch.nn.functional import linear

from attractor.nn.energy_transformer import EnergyTransformer

AUTO, PLAIN, BLOCKS, FUSED = "attractor", "attractor, plain", "attractor, blocks", "attractor, fused"
ROUTES = {AUTO: "auto", PLAIN: "plain", BLOCKS: "blocks", FUSED: "fused"}
GRAD, LINEAR, FUNC = "autograd of the energy", "autograd, linear", "torch.func of the energy"
PEERS, LAYER = (GRAD, LINEAR, FUNC), "transformer layer"
WAYS = (*ROUTES, *PEERS, LAYER)
STEP = 0.1


@dataclass(frozen=True)
class Shape:
    """Of the tokens and of the block."""

    batch: int
    tokens: int
    dim: int
    heads: int
    key_dim: int
    memories: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.tokens} x {self.dim}"


IMAGE, BATCH = Shape(2, 197, 768, 12, 64, 3072), Shape(16, 400, 128, 4, 32, 512)
LONGER, LONG = Shape(1, 1024, 256, 4, 64, 1024), Shape(1, 2048, 256, 4, 64, 1024)


@dataclass(frozen=True)
class Sizes:
    """One row for each shape, about `seconds` for each; the peak memory at the last one."""

    shapes: tuple[Shape, ...] = (IMAGE, BATCH, LONGER, LONG)
    seconds: float = 25.0


QUICK = Sizes((Shape(1, 12, 16, 2, 4, 32),), seconds=0.2)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    found = []
    for shape in sizes.shapes:
        say(f"energy transformer: {shape}")
        found.append(one(shape, sizes.seconds))
    peaks = {}
    for way in WAYS:
        say(f"energy transformer: memory of {way}")
        peaks[way] = peak_in_fresh_process(way, sizes.shapes[-1])
    tables = [table(found, "forward"), table(found, "training"), memory_table(peaks, sizes.shapes[-1])]
    return Section("Energy Transformer", tables, targets(found, peaks), {"steps": found, "peaks": peaks})


def one(shape: Shape, seconds: float) -> dict[str, Any]:
    """Races of a step without gradients, and of a step with those of the parameters."""
    block, x = block_of(shape), tokens_of(shape)
    steps = {way: step_of(way, block, shape) for way in WAYS}
    known = steps[PLAIN](x).detach()
    off = max(float((steps[way](x).detach() - known).abs().max()) for way in WAYS if way != LAYER)
    forward = [Contender(way, lambda step=step: without_gradients(step, x)) for way, step in steps.items()]
    training = [Contender(way, lambda step=step: trained(step, x)) for way, step in steps.items()]
    return {"shape": shape, "forward": race(forward, seconds / 2), "training": race(training, seconds / 2), "off": off}


def block_of(shape: Shape) -> EnergyTransformer:
    sizes = {"heads": shape.heads, "key_dim": shape.key_dim, "memories": shape.memories}
    generator = torch.Generator().manual_seed(0)
    return EnergyTransformer(shape.dim, **sizes, init="scaled", steps=1, step_size=STEP, self_attention=True, generator=generator)


def tokens_of(shape: Shape) -> Tensor:
    return torch.randn(shape.batch, shape.tokens, shape.dim, generator=torch.Generator().manual_seed(1))


def step_of(way: str, block: EnergyTransformer, shape: Shape) -> Callable[[Tensor], Tensor]:
    if way in ROUTES:
        return lambda x: routed(block, ROUTES[way])(x)
    if way == LAYER:
        return nn.TransformerEncoderLayer(shape.dim, shape.heads, shape.memories, 0.0, batch_first=True, norm_first=True)
    if way == FUNC:
        return lambda x: by_func(block, x)
    return lambda x: by_autograd(block, x, energy_of if way == GRAD else linear_energy_of)


def routed(block: EnergyTransformer, route: str) -> EnergyTransformer:
    block.route = route
    return block


def energy_of(block: EnergyTransformer, g: Tensor) -> Tensor:
    """The energy of all samples, as plainly as it is said."""
    beta = block.key_dim**-0.5
    queries, keys = (torch.einsum("bnd,hyd->bhny", g, weight) for weight in (block.query, block.key))
    attention = (beta * queries @ keys.mT).logsumexp(-1).sum() / beta
    return -attention - (g @ block.memory.T).relu().square().sum() / 2


def linear_energy_of(block: EnergyTransformer, g: Tensor) -> Tensor:
    """The same, in the order of operations that torch has fast ways for."""
    beta = block.key_dim**-0.5
    weights = (block.query * beta).flatten(0, 1), block.key.flatten(0, 1)
    queries, keys = (linear(g, one).unflatten(-1, block.query.shape[:2]).transpose(1, 2) for one in weights)
    return -(queries @ keys.mT).logsumexp(-1).sum() / beta - linear(g, block.memory).relu().square().sum() / 2


def by_autograd(block: EnergyTransformer, x: Tensor, energy: Callable[[EnergyTransformer, Tensor], Tensor]) -> Tensor:
    training = torch.is_grad_enabled()
    with torch.enable_grad():
        g = block.norm(x)
        (gradient,) = torch.autograd.grad(energy(block, g), g, create_graph=training)
    return x - STEP * gradient


def by_func(block: EnergyTransformer, x: Tensor) -> Tensor:
    gradient, _ = torch.func.grad_and_value(lambda g: energy_of(block, g))(block.norm(x))
    return x - STEP * gradient


def without_gradients(step: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.no_grad():
        return step(x)


def trained(step: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Forward and backward, to the tokens and all parameters."""
    with torch.enable_grad():
        step(x.clone().requires_grad_()).square().sum().backward()


def peak_in_fresh_process(way: str, shape: Shape) -> int:
    # a fixed threshold hands every large tensor back to the system as soon as it is freed, so that no peak hides in an old one
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, __file__, way, *map(str, astuple(shape)), str(torch.get_num_threads())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process that measures {way!r} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def peak_of_training(way: str, shape: Shape) -> int:
    """Bytes that a training step takes at its highest beside tokens and weights, after one of few tokens has loaded all."""
    block = block_of(shape)
    step = step_of(way, block, shape)
    trained(step, tokens_of(shape)[:, :32])
    x = tokens_of(shape)
    exact = reset_high_water()
    before = status("VmRSS") if exact else highest()
    trained(step, x)
    return max(0, (status("VmHWM") if exact else highest()) - before)


def table(found: Sequence[dict[str, Any]], what: str) -> Table:
    columns = ("tokens", f"{AUTO} ms", PLAIN, BLOCKS, FUSED, *PEERS, LAYER, "steps apart")
    rows = []
    for line in found:
        timed = line[what]
        cells = [str(timed.ratio(way, AUTO)) for way in (PLAIN, BLOCKS, FUSED, *PEERS, LAYER)]
        rows.append([str(line["shape"]), milliseconds(timed.time(AUTO)), *cells, f"{line['off']:.0e}"])
    title = {"forward": "without gradients", "training": "forward and backward"}[what]
    note = "Without a unit: the other's time over attractor's in the same round, median (quartiles). Self-attention is included."
    return Table(f"One step of the Energy Transformer, float32, {title}", columns, rows, note)


def memory_table(peaks: dict[str, int], shape: Shape) -> Table:
    rows = [[way, megabytes(peak), f"{peak / peaks[AUTO]:.2f}" if peaks[AUTO] else NOTHING] for way, peak in peaks.items()]
    return Table(f"Peak memory of a training step, {shape} tokens, float32", ("by", "MB", "against attractor"), rows)


def targets(found: Sequence[dict[str, Any]], peaks: dict[str, int]) -> list[Target]:
    first, last = found[0], found[-1]
    forward, training = fastest(first["forward"], PEERS), fastest(last["training"], PEERS)
    layer = last["training"].ratio(AUTO, LAYER)
    share = peaks[AUTO] / max(1, min(peaks[way] for way in PEERS))
    routes = (PLAIN, BLOCKS, FUSED)
    chosen = min((fastest(line[what], routes) for line in found for what in ("forward", "training")), key=lambda one: one.median)
    return [
        Target(f"forward, {first['shape']}: speed-up over autograd", ">= 1.15", str(forward), forward.median >= 1.15),
        Target(f"training, {last['shape']}: speed-up over autograd", ">= 1.8", str(training), training.median >= 1.8),
        Target(f"training, {last['shape']}: peak memory against autograd", "<= 0.5", f"{share:.2f}", share <= 0.5),
        Target(f"training, {last['shape']}: time against a transformer layer", "<= 2.2", str(layer), layer.median <= 2.2),
        Target("the worst row: time of the best route against the chosen one", ">= 0.83", str(chosen), chosen.median >= 1 / 1.2),
    ]


def fastest(timed: Race, ways: Sequence[str]) -> Spread:
    """The time over attractor's of that one which is the fastest of several on the whole, not round by round."""
    return min((timed.ratio(way, AUTO) for way in ways), key=lambda one: one.median)


if __name__ == "__main__":
    way, *numbers = sys.argv[1:]
    *shape, threads = map(int, numbers)
    torch.set_num_threads(threads)
    print(json.dumps(peak_of_training(way, Shape(*shape))))
