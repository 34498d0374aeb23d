"""One `fit`: restarts begin, learn and are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.clam.descent import Descent
from attractor.estimators.clam.points import Points, Restarts
from attractor.estimators.clam.settings import descent_of, training_of
from attractor.estimators.clam.silhouette import JUDGED, silhouettes
from attractor.estimators.clam.start import Start, start
from attractor.estimators.clam.training import Training, cosine


@dataclass(frozen=True)
class Fitting:
    """The data of a fit, its settings and its random numbers.

    Args:
        points: scaled samples, in the precision and on the device of training.
        settings: an estimator, of which only settings are read.
        generator: of the start, the mini-batches and the masks.
    """

    points: Points
    settings: Any
    generator: torch.Generator

    @property
    def training(self) -> Training:
        return training_of(self.settings, self.points.values.shape[1])

    @property
    def descent(self) -> Descent:
        return descent_of(self.settings, self.points.values.shape[1])

    def begun(self, init: Start | Tensor, betas: Sequence[float]) -> Restarts:
        """The restarts as they begin, one for each of `betas`; missing values stand at the mean for that."""
        values = self.points.values
        if isinstance(init, Tensor):
            prototypes = init.to(values).expand(len(betas), -1, -1)
        else:
            prototypes = start(values, self.settings.n_clusters, len(betas), init, self.generator)
        weights = prototypes.new_zeros(prototypes.shape[:2]) if self.settings.weighted else None
        return Restarts(prototypes, weights, prototypes.new_tensor(betas)[:, None, None], self.settings.spherical)

    def trained(self, init: Start | Tensor, betas: Sequence[float], tell: Callable[[float], None]) -> Restarts:
        """All of the training of `fit`."""
        rates = cosine(self.settings.max_iter)
        return self.training.train(self.points, self.begun(init, betas), rates, self.generator, tell)

    def judged(self, restarts: Restarts) -> np.ndarray:
        """The losses `(restarts,)`, infinite for those that diverged.

        Raises:
            ValueError: all did.
        """
        losses = self.training.judged(self.points, restarts, self.generator).double().cpu().numpy()
        # the loss by overlaps may round to below zero
        losses = np.nan_to_num(losses, nan=math.inf, posinf=math.inf).clip(min=0.0)
        if not np.isfinite(losses).any():
            rate = self.settings.learning_rate
            raise ValueError(f"learning_rate must be smaller, no restart came to a finite loss with {rate}")
        return losses

    def silhouettes(self, restarts: Restarts) -> tuple[np.ndarray, np.ndarray]:
        """Silhouette Coefficients `(restarts,)` on scaled samples, missing values at the mean, and clusters in use."""
        judged = self.points.take(torch.randperm(len(self.points), generator=self.generator)[:JUDGED].sort().values)
        labels = self.descent.labels(restarts.landscape, judged)
        clusters = [len(one.unique()) for one in labels]
        return silhouettes(judged.values, labels).double().cpu().numpy(), np.array(clusters)
