"""A learned kernel as similarity: `K(x, xi) = <Phi(x), Phi(xi)>` with a feature map `Phi`.

On the unit sphere (`normalize=True`, the setting of Hu et al. 2024, "Provably Optimal Memory Capacity for Modern Hopfield Models")
it is the cosine between features; without normalisation a linear map gives `x^T W^T W xi`. The features of the patterns are
computed block by block at each read: no copy of the bank is kept.

With a mask both sides are masked before `Phi`: an unknown entry stands at the centre of the map, where nothing speaks for or
against a pattern. A map of another kind sees zeros there.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from attractor.products import linear
from attractor.read.block import Block
from attractor.read.feature_map import FeatureMap, Linear, feature_map_from
from attractor.read.similarity import Cues, Similarity, inverse_length, mask_of, widened

UNCOUNTED = count(2**40)
"""Versions of tensors that count none."""


class Kernel(Similarity, nn.Module):
    """The similarity `<Phi(x), Phi(xi)>`; gradients reach the parameters of the map.

    Args:
        feature_map: `Linear`, `Affine`, `Perceptron`, or any module from `(n, d)` to `(n, D)` that treats each row alone.
            Only the first three can be saved or sent.
        normalize: compare the directions of the features only. A pattern whose features are all zero then scores zero.

    Raises:
        TypeError: `feature_map` is no module.

    Example:
        >>> block = Block(torch.arange(2), torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
        >>> Kernel(Linear(2)).scores(torch.tensor([[0.0, 5.0]]), block).tolist()
        [[0.0, 1.0]]
    """

    name = "kernel"

    def __init__(self, feature_map: nn.Module, normalize: bool = True):
        super().__init__()
        if not isinstance(feature_map, nn.Module):
            raise TypeError(f"feature_map must be a torch.nn.Module, got {type(feature_map).__name__}")
        self.feature_map = feature_map
        self.normalize = bool(normalize)

    @property
    def affine(self) -> Linear | None:
        """The map where features are an affine function of the pattern, else None."""
        return self.feature_map if isinstance(self.feature_map, Linear) and not self.normalize else None

    @property
    def version(self) -> int:
        """Counts the changes of the map's tensors; equal versions mean equal kernels."""
        tensors = self.tensors().values()
        # tensors made under torch.inference_mode() count no changes: any look at them may find another kernel
        return next(UNCOUNTED) if any(tensor.is_inference() for tensor in tensors) else sum(each._version for each in tensors)

    def check_width(self, dim: int) -> None:
        """The map must take patterns of width `dim`.

        Raises:
            ValueError: it takes others, or gives no matrix of features.
        """
        if isinstance(self.feature_map, FeatureMap):
            if self.feature_map.dim != dim:
                raise ValueError(f"feature_map must take patterns of width {dim}, got {self.feature_map!r}")
            return
        device = next((parameter.device for parameter in self.feature_map.parameters()), None)
        # a map that draws at random must leave the global generator where it was
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                shape = tuple(self.mapped(torch.zeros(2, dim, device=device)).shape)
            except (RuntimeError, ValueError, IndexError) as error:
                raise ValueError(f"feature_map must take patterns of width {dim}: {error}") from error
        if len(shape) != 2 or shape[0] != 2:
            raise ValueError(f"feature_map must give features (n, D) for patterns (n, {dim}), got {shape} for 2 of them")

    def features(self, patterns: Tensor) -> Tensor:
        """`Phi (..., D)` of `patterns (..., d)`, of unit length where this kernel normalises."""
        mapped = self.mapped(patterns)
        return unit(mapped) if self.normalize else mapped

    def mapped(self, patterns: Tensor) -> Tensor:
        """What the map gives, before any normalisation."""
        if isinstance(self.feature_map, FeatureMap):
            return self.feature_map(patterns)
        dtype = next((parameter.dtype for parameter in self.feature_map.parameters()), patterns.dtype)
        return self.feature_map(patterns.flatten(0, -2).to(dtype)).to(patterns.dtype).unflatten(0, patterns.shape[:-1])

    def masked(self, patterns: Tensor, known: Tensor | None) -> Tensor:
        """`patterns` with nothing to say where they are not known."""
        if known is None:
            return patterns
        centre = self.feature_map.centre if isinstance(self.feature_map, FeatureMap) else patterns.new_zeros(())
        return torch.where(known, patterns, centre.to(patterns.dtype))

    def prepare(self, cues: Tensor, known: Tensor | None = None) -> Cues:
        mask = None if known is None else mask_of(known, cues.dtype)
        return Cues(self.features(self.masked(cues, known)), mask, cues.new_zeros(len(cues), 1))

    def relative(self, cues: Cues, block: Block) -> Tensor:
        if self.affine is not None:
            drive = self.affine.pulled_back(cues.vectors)
            drive = drive if cues.mask is None else drive * cues.mask
            centre = self.affine.centre.to(drive.dtype)
            own = (cues.vectors * self.affine(centre)).sum(-1) - drive @ centre
            return torch.addmm(own[:, None], drive, block.patterns.T)
        if cues.mask is None:
            return linear(cues.vectors, self.features(block.patterns))
        masks, group = cues.mask.unique(dim=0, return_inverse=True)
        parts = [
            (cues.vectors if len(masks) == 1 else cues.vectors[group == index])
            @ self.features(self.masked(block.patterns, mask.bool())).T
            for index, mask in enumerate(masks)
        ]
        return parts[0] if len(masks) == 1 else torch.cat(parts)[group.argsort(stable=True).argsort()]

    def paired(self, cues: Tensor, patterns: Tensor, known: Tensor | None = None) -> Tensor:
        return self._paired(self.masked(widened(cues), known), self.masked(widened(patterns), known))

    def _paired(self, cues: Tensor, patterns: Tensor) -> Tensor:
        return (self.features(cues) * self.features(patterns)).sum(-1)

    def settings(self) -> dict[str, Any]:
        if not isinstance(self.feature_map, FeatureMap):
            kind = type(self.feature_map).__name__
            raise ValueError(f"feature_map must be linear, affine or mlp to be saved or sent, got a {kind}")
        return {"name": self.name, "normalize": self.normalize, "feature_map": self.feature_map.settings()}

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.feature_map.state_dict())

    @classmethod
    def from_plain(cls, settings: dict[str, Any], tensors: dict[str, Tensor] | None = None) -> Kernel:
        """Rebuild from `settings()` and `tensors()`; without tensors, with a new map of that kind.

        Raises:
            ValueError: unknown or missing settings, or tensors that do not fit them.
        """
        if set(settings) != {"name", "normalize", "feature_map"} or not isinstance(settings["normalize"], bool):
            raise ValueError(f"similarity 'kernel' takes the settings normalize and feature_map, got {settings}")
        return cls(feature_map_from(settings["feature_map"], tensors), settings["normalize"])

    def __repr__(self) -> str:
        return f"Kernel({self.feature_map!r}, normalize={self.normalize})"


def unit(features: Tensor) -> Tensor:
    """Features `(..., D)` at length one; zeros stay zeros."""
    # squares of what is very small or large would be nothing or infinite
    largest = features.detach().abs().amax(-1, keepdim=True)
    scaled = features / largest.where(largest > 0, 1)
    return scaled * inverse_length(scaled.square().sum(-1, keepdim=True))
