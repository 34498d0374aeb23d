"""Memorised, spurious and generalised samples of networks that learned more and more digits; energies against plain networks."""

from __future__ import annotations

import time
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
from attractor.dynamics.diffusion.training import denoising_loss
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p12_diffusion_as_associative_memory.claims import (
    AS_GOOD,
    BETWEEN,
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
from attractor.papers.p12_diffusion_as_associative_memory.digits import (
    DATA,
    HELD_OUT,
    LOG_SIGMA,
    SIGMA_DATA,
    digits,
    learned,
    least_rise,
    share,
)
from attractor.papers.p12_diffusion_as_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell

NEAR = 0.4
NOISES = (0.1, 0.5, 2.0)
JUDGED = 4096
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
    peak = spurious.index(max(spurious))
    whole = time.perf_counter() - start

    def members(claim_class: str, place: int) -> Tensor:
        return classes[place].labels == Classes.NAMES.index(claim_class)

    few = size.counts.index(FEWEST)
    many = max(range(size.counts.index(MANY), len(size.counts)), key=lambda place: memorised[place])
    note = f"at {size.counts[many]} digits; median distance to held-out ones {away[many]:.2f}, threshold {threshold:.2f}"
    peaked = f"at {size.counts[peak]} digits; {spurious[0]:.3f} at the smallest number, {spurious[-1]:.3f} at the largest"
    end = max(0, len(classes) - 1, key=lambda place: spurious[place])
    inside = max(range(1, len(classes) - 1), key=lambda place: spurious[place])
    lead = least_rise(members("spurious", end), members("spurious", inside))
    rise = max(least_rise(members("memorised", place), members("memorised", place + 1)) for place in range(len(classes) - 1))
    shown = ", ".join(f"{value:.3f} at {count}" for value, count in zip(memorised, size.counts, strict=True))
    rows = [
        Row(
            FEW,
            *share(members("memorised", few)),
            size.samples,
            seconds[FEWEST],
            DATA,
            note=f"median distance {away[few]:.2f} to held-out digits",
        ),
        Row(PEAK, *share(members("spurious", peak)), size.samples, seconds[size.counts[peak]], DATA, note=peaked),
        Row(BETWEEN, lead, None, size.samples, whole, DATA, note=f"{spurious[inside]:.3f} at {size.counts[inside]} digits"),
        Row(GONE, *share(members("memorised", many)), size.samples, seconds[size.counts[many]], DATA, note=note),
        Row(FALLS, rise, None, len(size.counts), whole, DATA, note=shown),
    ]
    return Measured(rows, [chart(size.counts, classes)])


def drawn(data: Tensor, size: Size, seed: int) -> Tensor:
    """Samples of a network trained on `data`, by 18 Heun steps."""
    model = learned(data, steps=size.steps, seed=seed)
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
    plain = learned(data, steps=size.energy_steps, seed=seed)
    tell(0.2)
    between = time.perf_counter()
    potential = PotentialMLP(event, generator=torch.Generator().manual_seed(seed))
    energy = EnergyDenoiser(potential, event, sigma_data=SIGMA_DATA)
    train_denoiser(energy, data, seed=seed, steps=size.energy_steps, log_sigma=LOG_SIGMA)
    trained = time.perf_counter()
    losses = [loss_on_fixed_noise(model, data, seed) for model in (energy, plain)]
    noisy = data[:4].double()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(noisy.shape, generator=generator, dtype=torch.float64)

    def rotations(model: EnergyDenoiser | NetDenoiser) -> list[float]:
        double = model.double()
        return [conservativity(double, noisy + sigma * noise, sigma, probes=PROBES, generator=generator) for sigma in NOISES]

    curl, plain_curl = rotations(energy), rotations(plain)
    note = f"loss {losses[0]:.3f} against {losses[1]:.3f}, {JUDGED} noisy digits, {size.energy_steps} steps of training"
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
            Row(AS_GOOD, losses[0] / losses[1], None, 1, trained - start, DATA, note=note),
        ]
    )


@torch.no_grad()
def loss_on_fixed_noise(model: EnergyDenoiser | NetDenoiser, data: Tensor, seed: int) -> float:
    """The loss of a trained model, on noise that is the same for all."""
    generator = torch.Generator().manual_seed(seed + 1)
    return float(denoising_loss(model, data, SIGMA_DATA, JUDGED, LOG_SIGMA, generator))
