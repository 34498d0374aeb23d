"""The equalities between the two views, on real digits and on the ring."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from attractor.dynamics.diffusion import (
    EmpiricalDenoiser,
    Karras,
    Ring,
    descend,
    ode_log_prob,
    ring_points,
    sample,
    stability_limit,
)
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p12_diffusion_as_associative_memory.claims import (
    BREAKING,
    DENSITY,
    DESCENT,
    FLAT,
    LIKELIHOOD,
    MEMORISES,
    RADIUS,
    UPDATE,
)
from attractor.papers.p12_diffusion_as_associative_memory.digits import DATA, digits, share
from attractor.papers.parts import Measured, Tell

PATTERNS = 500
CUES = 50
NOISES = (0.05, 0.1, 0.3, 1.0)
STEPS = (0.1, 0.5, 1.0, 1.5, 2.0)
SHARPNESS = (1.1, 2.0, 5.0, 20.0)
SHOWN = (2, 4, 9, 1000)
RING = "points on the unit circle"


def measure_digits(seed: int, tell: Tell) -> Measured:
    """Density, update, descent and memorisation of the exact denoiser of 500 digits."""
    patterns = digits(seed)[:PATTERNS].double()
    model = EmpiricalDenoiser(patterns)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(CUES, patterns.shape[1], generator=generator, dtype=torch.float64)
    densities, updates, rises = [], [], []
    start = time.perf_counter()
    for sigma in NOISES:
        x = patterns[:CUES] + sigma * noise
        expected = mixture(patterns, sigma).log_prob(x)
        densities.append(float(((model.log_prob(x, sigma) - expected) / expected).abs().max()))
        updates.append(update_difference(model, x, sigma))
    halfway = time.perf_counter()
    for eta in STEPS:
        energies = descend(model, patterns[:CUES] + noise, 0.5, eta=eta, max_steps=50).energies
        rises.append(float((energies.diff(dim=0) / (1 + energies[:-1].abs())).max()))
    tell(0.5)
    descended = time.perf_counter()
    starts = 20 * torch.randn(300, patterns.shape[1], generator=generator, dtype=torch.float64)
    ends = sample(model, starts, schedule=Karras(sigma_max=20.0), steps=18, denoise_last=False).x
    distances = torch.cdist(ends, patterns).amin(-1)
    rate, interval = share(distances <= 0.1)
    reached = f"sigma 20 to 0.002; median distance {float(distances.median()):.3f}"
    each = len(NOISES) * CUES
    note = f"sigma {NOISES[0]} to {NOISES[-1]}"
    return Measured(
        [
            Row(DENSITY, max(densities), None, each, halfway - start, DATA, note=note),
            Row(UPDATE, max(updates), None, each, halfway - start, DATA, note=note),
            Row(DESCENT, max(0.0, *rises), None, len(STEPS) * CUES, descended - halfway, DATA, note=f"steps {STEPS}, sigma 0.5"),
            Row(MEMORISES, rate, interval, len(starts), time.perf_counter() - descended, DATA, note=reached),
        ]
    )


def mixture(patterns: Tensor, sigma: float) -> MixtureSameFamily:
    weights = torch.ones(len(patterns), dtype=patterns.dtype)
    return MixtureSameFamily(Categorical(weights), Independent(Normal(patterns, sigma), 1))


def update_difference(model: EmpiricalDenoiser, x: Tensor, sigma: float) -> float:
    """Largest entry by which a Hopfield update, an attention read and the denoiser differ."""
    memories, beta = model.patterns, sigma**-2
    bias = -memories.square().sum(-1) / 2
    hopfield = torch.softmax(beta * (x @ memories.T + bias), -1) @ memories
    attended = torch.nn.functional.scaled_dot_product_attention(
        x[None], memories[None], memories[None], attn_mask=(beta * bias).expand(1, len(x), -1), scale=beta
    )[0]
    clean = model.denoise(x, sigma)
    return max(float((hopfield - clean).abs().max()), float((attended - clean).abs().max()))


def measure_ring(seed: int, tell: Tell) -> Measured:
    """Likelihood, symmetry breaking, the radius of the minima, and how flat the ring becomes."""
    generator = torch.Generator().manual_seed(seed)
    start = time.perf_counter()
    nine = EmpiricalDenoiser(ring_points(9, generator=generator))
    x = nine.patterns.repeat(20, 1) + 0.1 * torch.randn(180, 2, generator=generator, dtype=torch.float64)
    found = ode_log_prob(nine, x, sigma=0.1, sigma_max=50.0, steps=200, end=lambda y: nine.log_prob(y, 50.0))
    error = float((found - nine.log_prob(x, 0.1)).abs().median())
    rows = [Row(LIKELIHOOD, error, None, len(x), time.perf_counter() - start, RING, note="200 Heun steps in log sigma, exact end")]
    tell(0.3)
    start = time.perf_counter()
    many = ring_points(5000, generator=generator)
    sigma = stability_limit(EmpiricalDenoiser(many), many.mean(0), low=0.5, high=1.0)
    rows.append(Row(BREAKING, 1 / (2 * sigma**2), None, 1, time.perf_counter() - start, RING, note="at the mean of the points"))
    start = time.perf_counter()
    even, outside = EmpiricalDenoiser(ring_points(5000)), ring_points(1)
    radii = [float(descend(even, outside, Ring(b).sigma).x.norm()) for b in SHARPNESS]
    gap = max(abs(one - Ring(b).radius()) for one, b in zip(radii, SHARPNESS, strict=True))
    rows.append(Row(RADIUS, gap, None, len(SHARPNESS), time.perf_counter() - start, RING, note="points evenly spaced"))
    tell(0.7)
    start = time.perf_counter()
    lines = {count: energies_on_ring(count, seed) for count in SHOWN}
    barrier = float(
        Ring(20.0).energy(torch.zeros(2, dtype=torch.float64)) - Ring(20.0).energy(ring_points(1) * Ring(20.0).radius())
    )
    flat = float(lines[1000].std()) / barrier
    rows.append(Row(FLAT, flat, None, 1, time.perf_counter() - start, RING, note=f"barrier {barrier:.3f}"))
    return Measured(rows, [chart(lines)])


def energies_on_ring(count: int, seed: int) -> Tensor:
    """The energy in the scaling of the companion, `b = 20`, at 181 angles on the circle of the minima; its mean is taken off."""
    ring = Ring(20.0)
    points = ring_points(count, generator=torch.Generator().manual_seed(seed))
    energies = 2 * EmpiricalDenoiser(points).energy(ring_points(181) * ring.radius(), ring.sigma)
    return energies - energies.mean()


def chart(lines: dict[int, Tensor]) -> Chart:
    angles = tuple(2 * math.pi * one / 181 for one in range(181))
    series = tuple(Series(f"K = {count}", angles, tuple(line.tolist()), style="line") for count, line in lines.items())
    title = "Energy along the ring, b = 20: few points are minima, many become one ring"
    return Chart("ring", title, "angle", "energy, less its mean", series)
