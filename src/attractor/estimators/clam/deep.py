"""The trainer of deep clustering with associative memories (Saha, Krotov, Zaki and Ram, arXiv 2601.00963)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from attractor.estimators.clam.silhouette import JUDGED, silhouettes
from attractor.estimators.clam.start import start
from attractor.nn.clam import DeepClAM
from attractor.validation import check_count, check_finite, check_floating, check_positive

STARTS = 20
"""Restarts of k-means on the latents; the tightest is kept."""
ROUNDING = 100
"""Times the precision: latents that differ by less, beside their size, are the same ones computed in another order."""
READ = 1024
"""Rows that are encoded or decoded at once where nothing is learned."""


@dataclass(frozen=True, eq=False)
class DeepClAMReport:
    """What training came to, all of the data it was given.

    The descent draws latents together, so a coefficient after it says little: read both, and a score against known classes.

    Args:
        labels: `(n,)` int64, the prototype with the largest assignment.
        latents: `(n, d)` before the descent.
        states: `(n, d)` after it.
        silhouette_before: Silhouette Coefficient of the labels on the latents, by at most 4,096 rows.
        silhouette_after: the same on the states.
        autoencoder_error: mean squared error of decoded latents.
        error: of decoded states.
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

    That is the error of what was decoded after the descent. With more than one step the error without the descent is added, the
    other part of the bound that the paper derives: alone, the first lets latents collapse that steps bring together anyway.

    Args:
        model: not spherical; its `clam.beta` and `clam.steps` are set here.
        data: `(n, ...)` floating point, as the encoder takes it.
        pretraining: epochs of the autoencoder alone; without any the latents collapse into one.
        epochs: of the joint training.
        steps: down the energy in the last epoch; they rise to this in equal parts of the epochs.
        sharpness: beta times the variance of the latents, all features together.
        batch_size: samples in a step of Adam.
        learning_rate: of encoder and decoder.
        prototype_rate: of the prototypes.
        generator: of the mini-batches and the start of k-means, on the CPU.
        progress: told of the fraction that is done.

    Raises:
        TypeError: an argument of another kind.
        ValueError: one out of its range, fewer samples than prototypes, latents that are all alike, or a loss that is not finite;
            the model is then as it was.
    """
    check_floating("data", data)
    check_finite("data", data.flatten(1))
    check_count("pretraining", pretraining, 0)
    for name, value in (("epochs", epochs), ("steps", steps), ("batch_size", batch_size)):
        check_count(name, value)
    for name, rate in (("sharpness", sharpness), ("learning_rate", learning_rate), ("prototype_rate", prototype_rate)):
        check_positive(name, rate)
    if model.clam.spherical:
        raise ValueError("model must have prototypes that are not spherical: they start at the means of clusters of latents")
    clusters = len(model.clam.prototypes)
    if len(data) < clusters:
        raise ValueError(f"data must have at least as many rows as there are prototypes, {clusters}, got {len(data)}")
    generator = generator or torch.Generator().manual_seed(0)
    layers = [*model.encoder.parameters(), *model.decoder.parameters()]
    whole, losses = pretraining + epochs, []
    tell = progress or (lambda done: None)

    def joint(x: Tensor) -> Tensor:
        output = model(x)
        error = mse_loss(output.decoded, x)
        return error if steps == 1 else error + mse_loss(model.decoder(output.latents), x)

    before, mode = deepcopy(model.state_dict()), model.training
    try:
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
            model.clam.steps = -((epoch + 1) * steps // -epochs)
            losses.append(_epoch(optimiser, joint, data, batch_size, generator))
            tell((pretraining + epoch + 1) / whole)
        return deep_clam_report(model, data, losses)
    except BaseException:
        model.load_state_dict(before)
        raise
    finally:
        model.train(mode)


@torch.no_grad()
def deep_clam_report(model: DeepClAM, data: Tensor, losses: list[float] | None = None) -> DeepClAMReport:
    """What a model in evaluation makes of `data (n, ...)`."""
    mode = model.training
    model.eval()
    outputs = [(part, model(part)) for part in data.split(READ)]
    errors = [
        (float(mse_loss(output.decoded, x)) * len(x), float(mse_loss(model.decoder(output.latents), x)) * len(x))
        for x, output in outputs
    ]
    model.train(mode)
    error, autoencoder_error = (sum(column) / len(data) for column in zip(*errors, strict=True))
    latents, states, assignments = (
        torch.cat([getattr(output, name) for _, output in outputs]) for name in ("latents", "states", "assignments")
    )
    labels = assignments.argmax(-1)
    before, after = (float(silhouettes(one[:JUDGED], labels[None, :JUDGED])[0]) for one in (latents, states))
    used = len(labels.unique())
    return DeepClAMReport(labels, latents, states, before, after, autoencoder_error, error, used, tuple(losses or ()))


def _epoch(
    optimiser: torch.optim.Optimizer, loss: Callable[[Tensor], Tensor], data: Tensor, batch_size: int, generator: torch.Generator
) -> float:
    total = 0.0
    for rows in torch.randperm(len(data), generator=generator).split(batch_size):
        optimiser.zero_grad()
        value = loss(data[rows.to(data.device)])
        if not bool(value.isfinite()):
            raise ValueError("learning_rate must be smaller: the loss is not finite any more")
        value.backward()
        optimiser.step()
        total += value.item() * len(rows)
    return total / len(data)


@torch.no_grad()
def _place_prototypes(model: DeepClAM, data: Tensor, sharpness: float, generator: torch.Generator) -> None:
    """The prototypes at the tightest of some runs of k-means on the latents, and `beta` to the scale of these."""
    model.eval()
    latents = torch.cat([model.encoder(part) for part in data.split(READ)])
    model.train()
    spread = float(latents.var(0).sum())
    rounding = ROUNDING * torch.finfo(latents.dtype).eps
    if not spread > rounding**2 * float(latents.square().mean(0).sum()):
        raise ValueError(f"model must have latents that differ, got a variance of {spread} after pretraining")
    centres = start(latents, len(model.clam.prototypes), STARTS, "k-means", generator)
    inertia = torch.stack([torch.cdist(latents, one).amin(-1).square().sum() for one in centres])
    model.clam.prototypes.copy_(centres[inertia.argmin()])
    model.clam.beta = sharpness / spread
