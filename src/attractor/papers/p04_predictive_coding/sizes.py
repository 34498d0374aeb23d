"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        steps: of the weights, for tiles of 16 x 16.
        trend_steps: the same for each point of the trends.
        tile: edge of the larger tiles.
        stored, unseen: how many of them are stored, and how many are only shown.
        width: of the two layers that store them.
        large_steps: of the weights that store them.
        autoencoder_steps: of the autoencoder beside.
        convolution_steps: of the weights of the network of convolutions.
        pair_steps: of the weights that store pictures with labels.
    """

    steps: int
    trend_steps: int
    tile: int
    stored: int
    unseen: int
    width: int
    large_steps: int
    autoencoder_steps: int
    convolution_steps: int
    pair_steps: int


SIZES: dict[Scale, Size] = {
    "smoke": Size(
        steps=800,
        trend_steps=150,
        tile=16,
        stored=30,
        unseen=60,
        width=128,
        large_steps=600,
        autoencoder_steps=200,
        convolution_steps=200,
        pair_steps=600,
    ),
    "laptop": Size(
        steps=2400,
        trend_steps=1200,
        tile=32,
        stored=50,
        unseen=100,
        width=512,
        large_steps=2400,
        autoencoder_steps=1500,
        convolution_steps=800,
        pair_steps=1800,
    ),
    "full": Size(
        steps=10_000,
        trend_steps=10_000,
        tile=32,
        stored=50,
        unseen=100,
        width=1024,
        large_steps=30_000,
        autoencoder_steps=30_000,
        convolution_steps=10_000,
        pair_steps=10_000,
    ),
}
