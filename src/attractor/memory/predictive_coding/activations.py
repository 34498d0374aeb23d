"""Activations `f` of value nodes, with the product `f'(x) g` that inference pulls errors back by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Activation(ABC):
    """`f`, applied before the synapses.

    Attributes:
        name: by which users choose it.
        first: ends of the uniform distribution of the first memory vector. A ReLU starts above zero, where it is alive.
    """

    first: ClassVar[tuple[float, float]] = (-0.5, 0.5)
    name: ClassVar[str]

    @abstractmethod
    def __call__(self, values: Tensor) -> Tensor:
        """`f(x)`, of any shape."""

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def pulled(self, gradient: Tensor, values: Tensor, activity: Tensor) -> Tensor:
        """`f'(x) g` for `activity = f(x)`."""


class ReLU(Activation):
    """`max(0, x)`."""

    name = "relu"
    first = (0.0, 1.0)

    def __call__(self, values: Tensor) -> Tensor:
        return values.relu()

    def pulled(self, gradient: Tensor, values: Tensor, activity: Tensor) -> Tensor:
        return gradient * (values > 0)


class Tanh(Activation):
    """`tanh(x)`."""

    name = "tanh"

    def __call__(self, values: Tensor) -> Tensor:
        return values.tanh()

    def pulled(self, gradient: Tensor, values: Tensor, activity: Tensor) -> Tensor:
        return torch.addcmul(gradient, gradient * activity, activity, value=-1)


class Linear(Activation):
    """`x` itself: the network is then a linear Gaussian model, with one minimum in closed form."""

    name = "identity"

    def __call__(self, values: Tensor) -> Tensor:
        return values

    def pulled(self, gradient: Tensor, values: Tensor, activity: Tensor) -> Tensor:
        return gradient


ACTIVATIONS: dict[str, Activation] = {one.name: one for one in (ReLU(), Tanh(), Linear())}
