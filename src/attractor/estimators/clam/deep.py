"""The trainer of deep clustering with associative memories (Saha, Krotov, Zaki and Ram, arXiv 2601.00963)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.estimators.clam.silhouette import silhouettes
from attractor.estimators.clam.start import start
from attractor.nn.clam import DeepClAM
from attractor.validation import check_count, check_finite, check_floating, check_positive

STARTS = 20
"""Restarts of k-means on the latents; the tightest is kept."""
JUDGED = 4096
"""Rows by which the Silhouette Coefficients are computed."""


@dataclass(frozen=True, eq=False)
class DeepClAMReport:
    """What training came to, all of the data it was given.

    The descent draws latents together, so a coefficient after it says little: read both, and a score against known classes.

    Args:
        labels: `(n,)` int64, the prototype with the largest assignment.
        latents: `(n, d)` before the descent.
        states: `(n, d)` after it.
        silhouette_before: Silhouette Coefficient of the labels on the latents.
        silhouette_after: the same on the states.
        autoencoder_error: mean squared error of decoded latents.
        error: of decoded states, which is the loss.
        clusters: labels in use.
        losses: mean loss of each epoch of the joint training.
    """

    labels: Tensor
    latents: Tensor
    states: Tensor
    silhouette_before: float
    silhouette_after: float
    autoencoder_error: float
    error: float
    clusters: int
    losses: tuple[float, ...]


def fit_deep_clam(
    model: DeepClAM,
    data: Tensor,
    *,
    pretraining: int = 50,
    epochs: int = 10,
    steps: int = 1,
    sharpness: float = 40.0,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    prototype_rate: float = 1e-3,
    generator: torch.Generator | None = None,
    progress: Callable[[float], None] | None = None,
) -> DeepClAMReport:
    """Train in place: the autoencoder alone, k-means on its latents, then encoder, decoder and prototypes by one loss.

    Args:
        model: its `clam.beta` and `clam.steps` are set here.
        data: `(n, ...)` floating point, as the encoder takes it.
        pretraining: epochs of the autoencoder alone; without any the latents collapse into one.
        epochs: of the joint training.
        steps: down the energy in the end; they rise from 1 in equal parts of the epochs.
        sharpness: beta times the variance of the latents, all features together.
        batch_size: samples in a step of Adam.
        learning_rate: of encoder and decoder.
        prototype_rate: of the prototypes.
        generator: of the mini-batches and the start of k-means, on the CPU.
        progress: told of the fraction that is done.

    Raises:
        TypeError: an argument of another kind.
        ValueError: one out of its range, fewer samples than prototypes, or a loss that is not finite.
    """
    check_floating("data", data)
    check_finite("data", data.flatten(1))
    check_count("pretraining", pretraining, 0)
    for name, value in (("epochs", epochs), ("steps", steps), ("batch_size", batch_size)):
        check_count(name, value)
    for name, rate in (("sharpness", sharpness), ("learning_rate", learning_rate), ("prototype_rate", prototype_rate)):
        check_positive(name, rate)
    clusters = len(model.clam.prototypes)
    if len(data) < clusters:
        raise ValueError(f"data must have at least as many rows as there are prototypes, {clusters}, got {len(data)}")
    generator = generator or torch.Generator().manual_seed(0)
    layers = [*model.encoder.parameters(), *model.decoder.parameters()]
    whole, losses = pretraining + epochs, []
    tell = progress or (lambda done: None)
    model.train()
    optimiser = torch.optim.Adam(layers, learning_rate)
    for epoch in range(pretraining):
        _epoch(optimiser, model.autoencoder_loss, data, batch_size, generator)
        tell((epoch + 1) / whole)
    _place_prototypes(model, data, sharpness, generator)
    optimiser = torch.optim.Adam(
        [{"params": layers, "lr": learning_rate}, {"params": model.clam.parameters(), "lr": prototype_rate}]
    )
    for epoch in range(epochs):
        model.clam.steps = 1 + epoch * steps // epochs
        losses.append(_epoch(optimiser, model.loss, data, batch_size, generator))
        tell((pretraining + epoch + 1) / whole)
    return deep_clam_report(model, data, losses)


@torch.no_grad()
def deep_clam_report(model: DeepClAM, data: Tensor, losses: list[float] | None = None) -> DeepClAMReport:
    """What a model makes of `data (n, ...)`."""
    model.eval()
    output = model(data)
    labels = output.assignments.argmax(-1)
    before, after = (float(silhouettes(one[:JUDGED], labels[None, :JUDGED])[0]) for one in (output.latents, output.states))
    error = float((output.decoded - data).square().mean())
    used = len(labels.unique())
    return DeepClAMReport(
        labels, output.latents, output.states, before, after, float(model.autoencoder_loss(data)), error, used, tuple(losses or ())
    )


def _epoch(
    optimiser: torch.optim.Optimizer, loss: Callable[[Tensor], Tensor], data: Tensor, batch_size: int, generator: torch.Generator
) -> float:
    total = 0.0
    for rows in _batches(len(data), batch_size, generator):
        optimiser.zero_grad()
        value = loss(data[rows.to(data.device)])
        if not bool(value.isfinite()):
            raise ValueError("learning_rate must be smaller: the loss is not finite any more")
        value.backward()
        optimiser.step()
        total += value.item() * len(rows)
    return total / len(data)


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.randperm(count, generator=generator).split(size)


@torch.no_grad()
def _place_prototypes(model: DeepClAM, data: Tensor, sharpness: float, generator: torch.Generator) -> None:
    """The prototypes at the tightest of some runs of k-means on the latents, and `beta` to the scale of these."""
    model.eval()
    latents = model.encoder(data)
    model.train()
    centres = start(latents, len(model.clam.prototypes), STARTS, "k-means", generator)
    scores = 2 * (latents @ centres.mT) - centres.square().sum(-1)[:, None]
    model.clam.prototypes.copy_(centres[scores.amax(-1).sum(-1).argmax()])
    model.clam.beta = sharpness / float(latents.var(0).sum())
