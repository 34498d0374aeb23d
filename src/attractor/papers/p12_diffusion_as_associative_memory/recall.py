"""The same noisy digits recalled by a dense memory and by diffusion models, through one bench: corrupt, recall, score, energies."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from attractor.data import exact, identified, nearest_neighbour
from attractor.dynamics.diffusion import EmpiricalDenoiser, Karras, ScoreModel, sample
from attractor.memory.dense import DenseMemory
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, ImageGrid, Series, grey_image
from attractor.papers.p12_diffusion_as_associative_memory.claims import DISTANCE, EXACT, IDENTIFIED, STORED
from attractor.papers.p12_diffusion_as_associative_memory.digits import DATA, LEVELS, SIDE, digits, learned, share
from attractor.papers.p12_diffusion_as_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.read import SoftMax

NOISE = 0.6
SHOWN = 5
STEPS = 18

Recaller = Callable[[Tensor], Tensor]
"""From cues `(b, d)` to the states on the way `(steps, b, d)`, the last of which is the answer."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What one system made of the cues: its answers, the energies on the way, and the time it took."""

    recalled: Tensor
    energies: Tensor
    seconds: float


def bench(recaller: Recaller, cues: Tensor, judge: EmpiricalDenoiser) -> Bench:
    """Recall, and judge every system's states by the same energy, that of the stored digits at the noise of the cues."""
    start = time.perf_counter()
    states = recaller(cues)
    seconds = time.perf_counter() - start
    energies = torch.stack([judge.energy(state, NOISE).mean() for state in states])
    return Bench(states[-1], energies, seconds)


def measure_recall(size: Size, seed: int, tell: Tell) -> Measured:
    """Both scores and the distance of each system, with the nearest neighbour beside them; the pictures and the energies."""
    stored = digits(seed)[:STORED]
    originals = stored.repeat(size.copies, 1)
    truth = torch.arange(STORED).repeat(size.copies)
    cues = originals + NOISE * torch.randn(originals.shape, generator=torch.Generator().manual_seed(seed))
    known = EmpiricalDenoiser(stored)
    network = learned(stored, steps=size.steps, seed=seed)
    tell(0.8)
    systems: dict[str, Recaller] = {
        "dense memory": dense(stored),
        "exact denoiser": denoised(known),
        "learned denoiser": denoised(network),
    }
    neighbours = stored[nearest_neighbour(cues, stored)]
    benches = {name: bench(system, cues, known) for name, system in systems.items()}
    n, rows = len(cues), []
    for name, one in benches.items():
        right, beside = (exact(answer, originals, levels=LEVELS, low=-1) for answer in (one.recalled, neighbours))
        found, found_beside = (identified(answer, truth, stored) for answer in (one.recalled, neighbours))
        left, left_beside = (distances(answer, cues, originals) for answer in (one.recalled, neighbours))
        note = f"mean energy {one.energies[-1]:.2f}"
        rows += [
            Row(EXACT[name], *share(right), n, one.seconds, DATA, share(beside)[0], note),
            Row(IDENTIFIED[name], *share(found), n, one.seconds, DATA, share(found_beside)[0]),
            Row(DISTANCE[name], *mean_interval(left), n, one.seconds, DATA, fmean(left_beside)),
        ]
    return Measured(rows, [gallery(stored, cues, benches, known), traces(benches)])


def distances(recalled: Tensor, cues: Tensor, originals: Tensor) -> list[float]:
    """How far each recall is from its original, over how far its cue was."""
    after, before = ((one - originals).norm(dim=-1) for one in (recalled, cues))
    return (after / before).tolist()


def dense(stored: Tensor) -> Recaller:
    memory = DenseMemory(stored.shape[1], separation=SoftMax(NOISE**-2))
    memory.store(stored)

    def recall(cues: Tensor) -> Tensor:
        trace = memory.recall(cues, trace=True).trace
        assert trace is not None
        return torch.cat([cues[None], trace.states])

    return recall


def denoised(model: ScoreModel) -> Recaller:
    def recall(cues: Tensor) -> Tensor:
        # a last denoising would name the nearest pattern by itself, whatever the way there
        found = sample(model, cues, schedule=Karras(sigma_max=NOISE), steps=STEPS, denoise_last=False, trace=True)
        assert found.states is not None
        return found.states

    return recall


def gallery(stored: Tensor, cues: Tensor, benches: dict[str, Bench], judge: EmpiricalDenoiser) -> ImageGrid:
    """The first cues, what each system made of them, and the energies of it."""
    columns = {"stored": stored, "cue": cues} | {name.replace(" ", "\n"): one.recalled for name, one in benches.items()}
    cells = tuple(tuple(grey_image((rows[one].reshape(SIDE, SIDE) + 1) / 2) for rows in columns.values()) for one in range(SHOWN))
    energies = [judge.energy(rows[:SHOWN], NOISE).tolist() for rows in columns.values()]
    labels = tuple("E " + ", ".join(f"{values[one]:.1f}" for values in energies) for one in range(SHOWN))
    title = f"{STORED} digits stored, noise of deviation {NOISE}; E: energy of each picture at that noise"
    return ImageGrid("digits", title, tuple(columns), labels, cells)


def traces(benches: dict[str, Bench]) -> Chart:
    series = tuple(
        Series(name, tuple(map(float, range(len(one.energies)))), tuple(one.energies.tolist()), style="line")
        for name, one in benches.items()
    )
    title = f"Energy of the stored digits at the fixed noise {NOISE}, along each recall"
    return Chart("energies", title, "step", "mean energy", series)
