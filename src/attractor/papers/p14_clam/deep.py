"""The deep form on scikit-learn's digits: Silhouette before and after the descent, and the agreement with the classes."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attractor.data import DataUnavailableError, load
from attractor.nn.clam import ClAMLayer, DeepClAM
from attractor.papers.claim import Row, unmeasured
from attractor.papers.p14_clam.claims import DEEP_AFTER, DEEP_ARI, DEEP_BEFORE, DEEP_CLAIMS, DEEP_GAIN, DEEP_LONGER, DEEP_NMI
from attractor.papers.p14_clam.sizes import Size
from attractor.papers.parts import Measured, Tell

if TYPE_CHECKING:
    from attractor.estimators.clam import DeepClAMReport

DATA = "digits"
WIDTHS = (64, 256, 128, 10)
STEPS = 4


def measure_deep(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of a training with one step and of one with several."""
    try:
        digits = load("digits")
    except DataUnavailableError as error:
        return Measured(unmeasured(DEEP_CLAIMS, DATA, error))
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    from attractor.estimators.clam import fit_deep_clam

    assert digits.labels is not None
    start = time.perf_counter()
    y = digits.labels.numpy()

    def trained(steps: int, offset: float) -> DeepClAMReport:
        generator = torch.Generator().manual_seed(seed)
        model = DeepClAM(layers(WIDTHS, generator), layers(WIDTHS[::-1], generator), ClAMLayer(10, 10, steps=1, step_size=1.0))
        pretraining, epochs = size.epochs
        return fit_deep_clam(
            model,
            digits.patterns,
            pretraining=pretraining,
            epochs=epochs,
            steps=steps,
            generator=generator,
            progress=lambda done: tell(offset + done / 2),
        )

    report, longer = trained(1, 0.0), trained(STEPS, 0.5)
    k_means = KMeans(10, n_init=size.means, random_state=seed).fit(digits.patterns.numpy()).labels_
    pixels = float(normalized_mutual_info_score(y, k_means))
    agreement, longer_agreement = (float(normalized_mutual_info_score(y, one.labels.numpy())) for one in (report, longer))
    seconds = time.perf_counter() - start
    figures = {
        DEEP_AFTER: report.silhouette_after,
        DEEP_BEFORE: report.silhouette_before,
        DEEP_NMI: agreement,
        DEEP_ARI: float(adjusted_rand_score(y, report.labels.numpy())),
        DEEP_GAIN: agreement - pixels,
    }
    longer_figures = {
        DEEP_LONGER["after"]: longer.silhouette_after,
        DEEP_LONGER["before"]: longer.silhouette_before,
        DEEP_LONGER["agreement"]: longer_agreement,
    }
    return Measured(
        [
            Row(claim, value, None, 1, seconds, DATA, note=told(one))
            for one, some in ((report, figures), (longer, longer_figures))
            for claim, value in some.items()
        ]
    )


def told(report: DeepClAMReport) -> str:
    errors = f"error decoded {report.error:.3f}, without descent {report.autoencoder_error:.3f}"
    return f"{report.clusters} of 10 labels; {errors}"


def layers(widths: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """Linear layers with rectifiers between them."""
    stack: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        stack += [linear(wide, narrow, generator), nn.ReLU()]
    return nn.Sequential(*stack[:-1])


def linear(wide: int, narrow: int, generator: torch.Generator) -> nn.Linear:
    """As torch starts it, but from the generator."""
    layer = nn.utils.skip_init(nn.Linear, wide, narrow)
    bound = wide**-0.5

    def draw(like: Tensor) -> Tensor:
        return (torch.rand(like.shape, generator=generator) * 2 - 1) * bound

    with torch.no_grad():
        layer.weight.copy_(draw(layer.weight))
        layer.bias.copy_(draw(layer.bias))
    return layer
