"""Storing: weights follow the gradients of the energy at the states that inference has found, each synapse from what it touches.

`dW_l = alpha (pi_l e^l)^T f(x^{l+1})`, and so for the constant parts and the memory vector (Salvatori et al. 2021). The latents of
each pattern start anew before every step of the weights (`"reset"`, the paper) or are kept between them (`"persistent"`: with one
step of inference this is incremental predictive coding, Salvatori et al. 2024), which is several times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.memory.predictive_coding.inference import Evidence, Inference, descend
from attractor.memory.predictive_coding.network import Curvature, PredictiveNetwork
from attractor.validation import check_count, check_not_negative, check_positive, check_share

Progress = Callable[[float], None]
"""Called with the fraction that is done."""

STAGES = ((0.5, 1.0), (0.75, 0.3), (0.9, 0.1), (1.0, 0.02))
"""Until which part of the steps the rate is multiplied by what."""
WINDOWS = 40
MOST_GROWTH = 10


@dataclass(frozen=True)
class PredictiveLearning:
    """How a network is trained on the patterns to store.

    Args:
        steps: of the weights, at most.
        rate: alpha, of the first steps; it falls in stages to 2% of that.
        optimiser: `"adam"`, or `"sgd"` as in the paper.
        schedule: `"persistent"` or `"reset"`.
        inference: between two steps of the weights. Default: one plain step, or 32 accelerated ones with `"reset"`.
        batch: patterns for each step of the weights. Default: all of them.
        tolerance: a stage of the rate ends early when the energy falls by less than this part in a fortieth of the steps, or in a
            round through the patterns where that is longer.

    Raises:
        ValueError: a number is out of range, or a word is none of these.
    """

    steps: int = 2400
    rate: float = 1e-3
    optimiser: Literal["adam", "sgd"] = "adam"
    schedule: Literal["persistent", "reset"] = "persistent"
    inference: Inference | None = None
    batch: int | None = None
    tolerance: float = 0.005

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("rate", self.rate)
        if self.optimiser not in ("adam", "sgd"):
            raise ValueError(f"optimiser must be 'adam' or 'sgd', got {self.optimiser!r}")
        if self.schedule not in ("persistent", "reset"):
            raise ValueError(f"schedule must be 'persistent' or 'reset', got {self.schedule!r}")
        if self.batch is not None:
            check_count("batch", self.batch)
        check_share("tolerance", check_not_negative("tolerance", self.tolerance))

    @property
    def between(self) -> Inference:
        """Inference between two steps of the weights."""
        if self.inference is not None:
            return self.inference
        return Inference(1, way="plain") if self.schedule == "persistent" else Inference(32)


@dataclass(frozen=True)
class Fit:
    """How a network was trained.

    Attributes:
        energies: mean energy of a pattern, in each fortieth of the steps or round through the patterns.
        steps: of the weights.
    """

    energies: tuple[float, ...]
    steps: int

    def __repr__(self) -> str:
        return f"Fit(energy {self.energies[0]:.4g} -> {self.energies[-1]:.4g} in {self.steps} steps)"


def fit(
    network: PredictiveNetwork, patterns: Tensor, how: PredictiveLearning, *, seed: int = 0, progress: Progress | None = None
) -> Fit:
    """Train `network`, in place, on `patterns (n, n_0)`.

    Args:
        seed: of the order of the batches.
        progress: told of the fraction that is done.

    Raises:
        ValueError: the energy grew, or is not finite.
    """
    training = Training(network, patterns, how, seed)
    # whole rounds through the patterns: batches differ
    window = -(-max(1, how.steps // WINDOWS) // training.batches) * training.batches
    energies: list[float] = []
    taken = 0
    for part, (end, factor) in enumerate(STAGES):
        first = int(STAGES[part - 1][0] * how.steps) if part else 0
        training.set_rate(how.rate * factor)
        last = int(end * how.steps)
        for start in range(first, last, window):
            seen = [training.step() for _ in range(start, min(start + window, last))]
            taken += len(seen)
            energies.append(float(torch.stack(seen).mean()))
            if not energies[-1] <= MOST_GROWTH * energies[0]:
                raise ValueError(f"rate must be smaller than {how.rate:g}, or gamma: the energy grew to {energies[-1]:.3g}")
            if progress is not None:
                progress(min(start + window, last) / how.steps)
            if len(energies) > 1 and energies[-1] > (1 - how.tolerance) * energies[-2]:
                break
    if progress is not None:
        progress(1.0)
    for parameter in network.parameters():
        parameter.grad = None
    return Fit(tuple(energies), taken)


class Training:
    """A network in training: what is kept from one step of the weights to the next."""

    def __init__(self, network: PredictiveNetwork, patterns: Tensor, how: PredictiveLearning, seed: int):
        self.network, self.patterns, self.how = network, patterns, how
        self.curvature = Curvature(network)
        self.latents = network.prior_state(len(patterns))
        self.batch = min(how.batch or len(patterns), len(patterns))
        parameters = list(network.parameters())
        adam = how.optimiser == "adam"
        self.optimiser = torch.optim.Adam(parameters, fused=True) if adam else torch.optim.SGD(parameters)
        self._generator = torch.Generator().manual_seed(seed)
        self._batches: list[Tensor] = []

    @property
    def batches(self) -> int:
        """How many steps a round through all patterns takes."""
        return -(-len(self.patterns) // self.batch)

    def set_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def step(self) -> Tensor:
        """Infer, then move the weights; gives the mean energy of the patterns between the two."""
        rows = self._rows()
        some = self.patterns[rows]
        kept = self.how.schedule == "persistent"
        latents = [layer[rows] for layer in self.latents] if kept else self.network.prior_state(len(some))
        (_, latents), _ = descend(self.network, self.curvature, Evidence(some), latents, self.how.between)
        errors = self.network.errors(some, latents)
        self.network.assign_gradients(errors)
        self.optimiser.step()
        if self.how.between.gamma == "auto":
            self.curvature.refine()
        if kept:
            for layer, new in zip(self.latents, latents, strict=True):
                layer[rows] = new
        return errors.mean_energy()

    def _rows(self) -> Tensor | slice:
        """The patterns of the next step: each comes once before one comes again."""
        if self.batch == len(self.patterns):
            return slice(None)
        if not self._batches:
            order = torch.randperm(len(self.patterns), generator=self._generator).to(self.patterns.device)
            self._batches = list(order.split(self.batch))
        return self._batches.pop()
