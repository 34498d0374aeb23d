"""Memorised, spurious and generalised samples of networks that learned more and more digits; energies against plain networks."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import fmean

import torch
from torch import Tensor

from attractor.dynamics.diffusion import (
    Classes,
    EnergyDenoiser,
    NetDenoiser,
    PotentialMLP,
    classify_samples,
    conservativity,
    nearest_distances,
    sample,
    train_denoiser,
)
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p12_diffusion_as_associative_memory.claims import (
    AS_GOOD,
    CONSERVATIVE,
    FALLS,
    FEW,
    FEWEST,
    GONE,
    MANY,
    PEAK,
    ROTATION,
    STORED,
)
from attractor.papers.p12_diffusion_as_associative_memory.digits import DATA, HELD_OUT, digits, learned, share
from attractor.papers.p12_diffusion_as_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell

NEAR = 0.4
NOISES = (0.1, 0.5, 2.0)
JUDGED = 200
PROBES = 16


def measure_regimes(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the shares of memorised and spurious samples, and their chart."""
    everything = digits(seed)
    threshold = NEAR * float(nearest_distances(everything).median())
    start = time.perf_counter()
    classes: list[Classes] = []
    away: list[float] = []
    seconds: dict[int, float] = {}
    for done, count in enumerate(size.counts):
        tell(done / len(size.counts))
        begun = time.perf_counter()
        samples = drawn(everything[:count], size, seed)
        classes.append(classify_samples(samples, everything[:count], memorised=threshold, spurious=threshold))
        held = classify_samples(samples, everything[HELD_OUT:], memorised=threshold, spurious=threshold)
        away.append(float(held.to_data.median()))
        seconds[count] = time.perf_counter() - begun
    memorised = [one.fraction("memorised") for one in classes]
    spurious = [one.fraction("spurious") for one in classes]
    inner = spurious[1:-1]
    peak = inner.index(max(inner)) + 1
    whole = time.perf_counter() - start

    def rate(claim_class: str, place: int) -> tuple[float, tuple[float, float]]:
        return share(classes[place].labels == Classes.NAMES.index(claim_class))

    few, many = size.counts.index(FEWEST), size.counts.index(MANY)
    note = f"median distance to held-out digits {away[many]:.2f}, threshold {threshold:.2f}"
    peaked = f"at {size.counts[peak]} digits; {spurious[0]:.3f} at the smallest number, {spurious[-1]:.3f} at the largest"
    steps = max(after - before for before, after in pairwise(memorised))
    rows = [
        Row(
            FEW,
            *rate("memorised", few),
            size.samples,
            seconds[FEWEST],
            DATA,
            note=f"median distance {away[few]:.2f} to held-out digits",
        ),
        Row(PEAK, *rate("spurious", peak), size.samples, seconds[size.counts[peak]], DATA, note=peaked),
        Row(GONE, *rate("memorised", many), size.samples, seconds[MANY], DATA, note=note),
        Row(FALLS, max(steps, 0.0), None, len(size.counts), whole, DATA, note=f"{', '.join(map(str, size.counts))} digits"),
    ]
    return Measured(rows, [chart(size.counts, classes)])


def drawn(data: Tensor, size: Size, seed: int) -> Tensor:
    """Samples of a network trained on `data`, by 18 Heun steps."""
    model, _ = learned(data, steps=size.steps, seed=seed)
    noise = torch.randn(size.samples, data.shape[1], generator=torch.Generator().manual_seed(seed + 1))
    return sample(model, 80 * noise, steps=18).x


def chart(counts: tuple[int, ...], classes: list[Classes]) -> Chart:
    x = tuple(map(float, counts))
    series = tuple(Series(name, x, tuple(one.fraction(name) for one in classes), style="line") for name in Classes.NAMES)
    title = "What a small network learned of digits, by the samples it gives"
    return Chart("regimes", title, "training digits", "share of the samples", series, x_scale="log")


def measure_conservativity(size: Size, seed: int, tell: Tell) -> Measured:
    """Rotation and loss of a learned energy beside those of a plain network of the same size."""
    data = digits(seed)[:STORED]
    event = tuple(data.shape[1:])
    start = time.perf_counter()
    plain, plainly = learned(data, steps=size.energy_steps, seed=seed)
    tell(0.2)
    between = time.perf_counter()
    potential = PotentialMLP(event, generator=torch.Generator().manual_seed(seed))
    energy = EnergyDenoiser(potential, event, sigma_data=0.6)
    energetic = train_denoiser(energy, data, seed=seed, steps=size.energy_steps)
    trained = time.perf_counter()
    noisy = data[:4].double()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(noisy.shape, generator=generator, dtype=torch.float64)

    def rotations(model: EnergyDenoiser | NetDenoiser) -> list[float]:
        double = model.double()
        return [conservativity(double, noisy + sigma * noise, sigma, probes=PROBES, generator=generator) for sigma in NOISES]

    curl, plain_curl = rotations(energy), rotations(plain)
    ratio = energetic.last(JUDGED) / plainly.last(JUDGED)
    note = f"loss {energetic.last(JUDGED):.3f} against {plainly.last(JUDGED):.3f}, last {JUDGED} of {size.energy_steps} steps"
    levels = ", ".join(f"{value:.2f} at {sigma}" for value, sigma in zip(plain_curl, NOISES, strict=True))
    return Measured(
        [
            Row(
                CONSERVATIVE,
                max(curl),
                None,
                len(noisy) * len(NOISES),
                trained - between,
                DATA,
                note=f"{STORED} digits",
            ),
            Row(ROTATION, fmean(plain_curl), None, len(noisy) * len(NOISES), between - start, DATA, note=levels),
            Row(AS_GOOD, ratio, None, 1, trained - start, DATA, note=note),
        ]
    )
