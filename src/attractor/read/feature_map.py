"""Feature maps: where a learned kernel compares patterns.

A map standardises its input, `x' = (x - centre) / scale`, and sends it from width `d` to width `D`: `W x'` (linear), `W x' + b`
(affine), or `W2 gelu(W1 x' + b1) + b2` (a perceptron of one hidden layer). A new linear or affine map of equal widths is the
identity, so that an untrained kernel compares the patterns themselves; learning sets `centre` and `scale` from the memories.

A linear map of `d` entries can place `M` points freely only while `M <= d`; an affine one gains one point, a perceptron many.

Source: Wu et al. 2024, "Uniform Memory Retrieval with Larger Capacity for Modern Hopfield Models" (the linear map).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from attractor.validation import check_count


class FeatureMap(nn.Module, ABC):
    """A map from patterns `(..., dim)` to features `(..., features)`, in the precision of the patterns.

    Args:
        dim: width of a pattern.
        features: width of its features. Default: `dim`.
        seed: of the first weights, where they are random.

    Attributes:
        centre: `(dim,)`, what stands for an unknown entry; zeros before learning.
        scale: one number, 1 before learning.

    Raises:
        ValueError: `dim` or `features` is below 1.
    """

    kind: ClassVar[str]
    centre: Tensor
    scale: Tensor

    def __init__(self, dim: int, features: int | None = None, *, seed: int = 0):
        super().__init__()
        self.dim = check_count("dim", dim)
        self.features = self.dim if features is None else check_count("features", features)
        # wherever it is made, a map counts its changes and can be learned
        with torch.inference_mode(False):
            self.register_buffer("centre", torch.zeros(self.dim))
            self.register_buffer("scale", torch.ones(()))
            self.build()
            self.reset(torch.Generator().manual_seed(seed))
            if isinstance(self, Linear) and self.features == self.dim:
                nn.init.eye_(self.weight)

    def forward(self, patterns: Tensor) -> Tensor:
        return self.transform((patterns - self.centre.to(patterns.dtype)) / self.scale.to(patterns.dtype))

    @abstractmethod
    def build(self) -> None:
        """Make the parameters."""

    @abstractmethod
    def transform(self, standardised: Tensor) -> Tensor:
        """The map itself."""

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights anew from `N(0, 1 / inputs)`; biases become zero."""
        for parameter in self.parameters():
            drawn = torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5
            parameter.copy_(drawn if parameter.dim() == 2 else torch.zeros(parameter.shape))

    def settings(self) -> dict[str, Any]:
        """What rebuilds this map without its tensors, as JSON values."""
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        return {"kind": self.kind, "dim": self.dim, "features": self.features, "dtype": dtype}

    def extra_repr(self) -> str:
        return f"{self.dim}, {self.features}"


class Linear(FeatureMap):
    """`Phi(x) = W x'`, `weight (features, dim)`.

    Example:
        >>> Linear(3)(torch.ones(1, 3)).tolist()
        [[1.0, 1.0, 1.0]]
    """

    kind = "linear"

    def build(self) -> None:
        self.weight = nn.Parameter(torch.empty(self.features, self.dim))

    def transform(self, standardised: Tensor) -> Tensor:
        return linear(standardised, self.weight.to(standardised.dtype))

    def pulled_back(self, features: Tensor) -> Tensor:
        """`(d Phi / dx)^T f`, `(..., dim)`: with it `f . Phi(x)` is an affine function of `x`."""
        return features @ (self.weight / self.scale).to(features.dtype)


class Affine(Linear):
    """`Phi(x) = W x' + b`, `bias (features,)`.

    Example:
        >>> Affine(3, 2)(torch.zeros(1, 3)).tolist()
        [[0.0, 0.0]]
    """

    kind = "affine"

    def build(self) -> None:
        super().build()
        self.bias = nn.Parameter(torch.empty(self.features))

    def transform(self, standardised: Tensor) -> Tensor:
        return super().transform(standardised) + self.bias.to(standardised.dtype)


class Perceptron(FeatureMap):
    """`Phi(x) = W2 gelu(W1 x' + b1) + b2` with four times as many hidden units as the wider of its ends.

    Example:
        >>> Perceptron(3, 2)(torch.zeros(1, 3)).tolist()
        [[0.0, 0.0]]
    """

    kind = "mlp"

    def build(self) -> None:
        hidden = 4 * max(self.dim, self.features)
        self.hidden_weight = nn.Parameter(torch.empty(hidden, self.dim))
        self.hidden_bias = nn.Parameter(torch.empty(hidden))
        self.weight = nn.Parameter(torch.empty(self.features, hidden))
        self.bias = nn.Parameter(torch.empty(self.features))

    def transform(self, standardised: Tensor) -> Tensor:
        dtype = standardised.dtype
        hidden = gelu(linear(standardised, self.hidden_weight.to(dtype), self.hidden_bias.to(dtype)))
        return linear(hidden, self.weight.to(dtype), self.bias.to(dtype))


FEATURE_MAPS: dict[str, type[FeatureMap]] = {kind.kind: kind for kind in (Linear, Affine, Perceptron)}
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


def feature_map_from(settings: object, tensors: dict[str, Tensor] | None = None) -> FeatureMap:
    """Rebuild a map from its `settings()`, with the `tensors` of its `state_dict`, or as new where there are None.

    Raises:
        ValueError: unknown or missing settings, or tensors that do not fit them.

    Example:
        >>> feature_map_from(Affine(3, 2).settings())
        Affine(3, 2)
    """
    if not isinstance(settings, dict) or set(settings) != {"kind", "dim", "features", "dtype"}:
        raise ValueError(f"feature_map must have the settings kind, dim, features and dtype, got {settings!r}")
    kind, dtype = settings["kind"], settings["dtype"]
    if not isinstance(kind, str) or kind not in FEATURE_MAPS:
        raise ValueError(f"feature_map must be one of {sorted(FEATURE_MAPS)}, got {kind!r}")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype of a feature_map must be one of {sorted(DTYPES)}, got {dtype!r}")
    for name in ("dim", "features"):
        if type(settings[name]) is not int:
            raise ValueError(f"{name} of a feature_map must be an integer, got {settings[name]!r}")
    rebuilt = FEATURE_MAPS[kind](settings["dim"], settings["features"]).to(DTYPES[dtype])
    if tensors is not None:
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError("the tensors of a feature_map must be finite")
        try:
            rebuilt.load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(f"the tensors of a feature_map must fit its settings: {error}") from error
    return rebuilt
