"""What may close the gap to other methods: more steps, and a beta that rises while prototypes learn (annealing)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

SHARPNESS = (2.0, 5.0, 10.0, 20.0, 50.0)
MASK_FRACTION = 0.2
RESTARTS = 3
STEPS = 60
LONGER = 4
STAGES = (0.1, 0.18, 0.32, 0.56, 1.0)
"""Parts of beta; the last one takes half of the steps, the others as many as each other."""


def variations(X: np.ndarray, clusters: int, seed: int) -> dict[str, float]:
    """Silhouette of the best of as many runs of each kind, from k-means++ seeds and with hidden features, on scaled data `X`."""
    kinds = {"plain": (1, False), "longer": (LONGER, False), "annealed": (1, True), "annealed longer": (LONGER, True)}
    return {kind: best_silhouette(X, clusters, seed, STEPS * times, annealed) for kind, (times, annealed) in kinds.items()}


def best_silhouette(X: np.ndarray, clusters: int, seed: int, steps: int, annealed: bool) -> float:
    from attractor.estimators.clam import ClAM
    from attractor.estimators.clam.fitting import Fitting
    from attractor.estimators.clam.points import Points
    from attractor.estimators.clam.training import cosine

    settings = ClAM(clusters, mask_fraction=MASK_FRACTION)
    fitting = Fitting(Points(torch.from_numpy(X).float()), settings, torch.Generator().manual_seed(seed))
    restarts = fitting.begun("k-means++", [value / X.shape[1] for value in SHARPNESS for _ in range(RESTARTS)])
    beta, rates = restarts.beta, cosine(steps)
    short = steps // 2 // (len(STAGES) - 1)
    for stage, part in enumerate(STAGES if annealed else (1.0,)):
        some = rates if not annealed else rates[short * stage : short * (stage + 1) if part < 1 else None]
        restarts = fitting.training.train(fitting.points, replace(restarts, beta=beta * part), some, fitting.generator)
    return float(fitting.silhouettes(restarts)[0].max())
