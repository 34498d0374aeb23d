"""Deep clustering with associative memories (Saha, Krotov, Zaki and Ram, arXiv 2601.00963): prototypes inside an autoencoder."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from attractor.nn.clam.layer import ClAMLayer


class DeepClAMOutput(NamedTuple):
    """What was `decoded`, `latents (b, d)` before and `states (b, d)` after the descent, and soft `assignments (b, k)`."""

    decoded: Tensor
    latents: Tensor
    states: Tensor
    assignments: Tensor


class DeepClAM(nn.Module):
    """An autoencoder whose latents run down the energy of prototypes before they are decoded: `d(A(e(x)))`.

    One loss trains all three, the squared error of what was decoded: it is small only where a sample's prototype tells what the
    sample looks like. Give `clam` steps of size 1. With smaller ones `(1 - step_size)^steps` of a latent passes by the prototypes,
    and an encoder that makes its latents long sends everything through there.

    Args:
        encoder: `(b, ...)` to `(b, d)`.
        decoder: back.
        clam: prototypes of the latents, without leading dimensions.

    Raises:
        TypeError: `clam` is no `ClAMLayer`.
        ValueError: its prototypes have leading dimensions.

    Example:
        >>> import torch
        >>> model = DeepClAM(nn.Linear(6, 2), nn.Linear(2, 6), ClAMLayer(2, 3, steps=1, step_size=1.0))
        >>> output = model(torch.ones(4, 6))
        >>> output.decoded.shape, output.assignments.shape
        (torch.Size([4, 6]), torch.Size([4, 3]))
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, clam: ClAMLayer):
        super().__init__()
        if not isinstance(clam, ClAMLayer):
            raise TypeError(f"clam must be a ClAMLayer, got {type(clam).__name__}")
        if clam.prototypes.dim() != 2:
            raise ValueError(f"clam must have prototypes (k, d), got {tuple(clam.prototypes.shape)}")
        self.encoder = encoder
        self.decoder = decoder
        self.clam = clam

    def forward(self, x: Tensor) -> DeepClAMOutput:
        """Encode, run down the energy, decode `x (b, ...)`."""
        latents = self.encoder(x)
        states, assignments = self.clam(latents)
        return DeepClAMOutput(self.decoder(states), latents, states, assignments)

    def loss(self, x: Tensor) -> Tensor:
        """Mean squared error of what was decoded."""
        return (self(x).decoded - x).square().mean()

    def autoencoder_loss(self, x: Tensor) -> Tensor:
        """The same without the descent, for the training before."""
        return (self.decoder(self.encoder(x)) - x).square().mean()
