"""Synapses that predict one layer from the one above, with their transpose and the gradient of their weights.

A layer is kept as rows `(N, n)` whatever its shape. `feedback` is the exact transpose of `predict`, which is what makes inference
and learning local: an error goes up through the synapses that the prediction came down by.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d
from torch.nn.grad import conv2d_weight

from attractor.products import linear, subtract_linear
from attractor.validation import check_count


class Connection(ABC):
    """Linear synapses from a layer of width `above` down to one of width `below`; the weights are handed in.

    Attributes:
        below, above: widths of the two layers.
        shape: of the weights.
        fan_in: how many units of the layer above predict a unit below.
    """

    below: int
    above: int
    shape: tuple[int, ...]
    fan_in: float

    @abstractmethod
    def predict(self, weight: Tensor, activity: Tensor) -> Tensor:
        """The layer below `(N, below)` from `activity (N, above)`."""

    def subtract(self, given: Tensor, weight: Tensor, activity: Tensor, bias: Tensor | None) -> Tensor:
        """`given (N, below)` less the prediction, and less `bias (below,)`."""
        rest = given - self.predict(weight, activity)
        return rest if bias is None else rest.sub_(bias)

    @abstractmethod
    def feedback(self, weight: Tensor, errors: Tensor) -> Tensor:
        """`errors (N, below)` seen from above, `(N, above)`: the transpose of `predict`."""

    @abstractmethod
    def gradient(self, errors: Tensor, activity: Tensor) -> Tensor:
        """`sum_rows e f^T` in the shape of the weights: the Hebbian product of errors below and activity above."""

    @abstractmethod
    def settings(self) -> int | dict[str, Any]:
        """What rebuilds it, as a JSON value."""


class Dense(Connection):
    """Every unit above predicts every unit below: `mu = f W^T`, `W (below, above)`."""

    def __init__(self, below: int, above: int):
        self.below, self.above = check_count("below", below), check_count("above", above)
        self.shape, self.fan_in = (below, above), above

    def predict(self, weight: Tensor, activity: Tensor) -> Tensor:
        return linear(activity, weight)

    def subtract(self, given: Tensor, weight: Tensor, activity: Tensor, bias: Tensor | None) -> Tensor:
        return subtract_linear(given, activity, weight, bias)

    def feedback(self, weight: Tensor, errors: Tensor) -> Tensor:
        return linear(errors, weight.T)

    def gradient(self, errors: Tensor, activity: Tensor) -> Tensor:
        return linear(errors.T, activity.T)

    def settings(self) -> int:
        return self.above

    def __repr__(self) -> str:
        return str(self.above)


class Convolution(Connection):
    """A transposed convolution down from maps `above` to larger maps `below`, as in the generator of images.

    Args:
        below, above: `(channels, height, width)` of the two layers.
        kernel: edge of the filters.
        stride: how many units below lie between neighbours above.
        padding: how many units the filters reach over the edges.

    Raises:
        ValueError: the sizes do not fit: `height_above = (height_below + 2 padding - kernel) // stride + 1`, and so for widths.

    Example:
        >>> Convolution((3, 32, 32), (16, 16, 16), kernel=4, stride=2, padding=1).shape
        (16, 3, 4, 4)
    """

    def __init__(self, below: Sequence[int], above: Sequence[int], *, kernel: int = 4, stride: int = 2, padding: int = 1):
        self.maps_below, self.maps_above = self._maps("below", below), self._maps("above", above)
        self.kernel, self.stride = check_count("kernel", kernel), check_count("stride", stride)
        self.padding = check_count("padding", padding, 0)
        fits = [(size + 2 * padding - kernel) // stride + 1 for size in self.maps_below[1:]]
        if fits != list(self.maps_above[1:]):
            raise ValueError(f"above must have maps of {fits[0]} x {fits[1]} over {tuple(below)}, got {tuple(above)}")
        self.below, self.above = math.prod(self.maps_below), math.prod(self.maps_above)
        self.shape = (self.maps_above[0], self.maps_below[0], kernel, kernel)
        self.fan_in = self.maps_above[0] * kernel**2 / stride**2
        self._left = [
            size - ((fit - 1) * stride - 2 * padding + kernel) for size, fit in zip(self.maps_below[1:], fits, strict=True)
        ]

    def predict(self, weight: Tensor, activity: Tensor) -> Tensor:
        maps = activity.unflatten(1, self.maps_above)
        return conv_transpose2d(maps, weight, stride=self.stride, padding=self.padding, output_padding=self._left).flatten(1)

    def feedback(self, weight: Tensor, errors: Tensor) -> Tensor:
        return conv2d(errors.unflatten(1, self.maps_below), weight, stride=self.stride, padding=self.padding).flatten(1)

    def gradient(self, errors: Tensor, activity: Tensor) -> Tensor:
        maps = errors.unflatten(1, self.maps_below), activity.unflatten(1, self.maps_above)
        return conv2d_weight(maps[0], self.shape, maps[1], stride=self.stride, padding=self.padding)

    def settings(self) -> dict[str, Any]:
        places = {"below": list(self.maps_below), "above": list(self.maps_above)}
        return {**places, "kernel": self.kernel, "stride": self.stride, "padding": self.padding}

    def __repr__(self) -> str:
        return f"Convolution({self.maps_below}, {self.maps_above}, kernel={self.kernel}, stride={self.stride})"

    @staticmethod
    def _maps(name: str, given: Sequence[int]) -> tuple[int, ...]:
        if len(given) != 3:
            raise ValueError(f"{name} must be (channels, height, width), got {tuple(given)}")
        return tuple(check_count(name, size) for size in given)


def connected(dim: int, layers: Sequence[int | Connection]) -> list[Connection]:
    """The connections of a network over `dim` senses, from the senses up; a number is a dense layer of that width.

    Raises:
        ValueError: there is none, or two layers do not fit.
    """
    connections: list[Connection] = []
    for layer in layers:
        below = connections[-1].above if connections else dim
        connection = layer if isinstance(layer, Connection) else Dense(below, check_count("layers", layer))
        if connection.below != below:
            raise ValueError(
                f"layers must fit each other: {connection!r} predicts {connection.below} units, those below are {below}"
            )
        connections.append(connection)
    if not connections:
        raise ValueError("layers must hold at least one layer above the senses, got none")
    return connections


def connection_from(settings: Any) -> int | Connection:
    """Rebuild what `settings()` gave."""
    return Convolution(**settings) if isinstance(settings, dict) else check_count("layers", settings)
