"""A feed-forward stack as an energy network with feedback."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attractor.energy.collective import Softmax
from attractor.energy.elementwise import Identity, ReLU, Sigmoid, Tanh
from attractor.energy.lagrangian import Lagrangian
from attractor.energy.network import Connection, EnergyNetwork
from attractor.energy.neurons import Neurons
from attractor.energy.synapses import Bias, Conv, Dense, Pool, Synapse
from attractor.energy.synapses.shapes import as_shape

LAGRANGIANS: dict[type[nn.Module], Callable[[Any], Lagrangian]] = {
    nn.Identity: lambda _: Identity(),
    nn.ReLU: lambda _: ReLU(),
    nn.Sigmoid: lambda _: Sigmoid(),
    nn.Softmax: lambda module: Softmax(dim=module.dim),
    nn.Tanh: lambda _: Tanh(),
}
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.AvgPool1d, nn.AvgPool2d)


def from_sequential(
    model: nn.Sequential, input_shape: int | tuple[int, ...], *, visible: Lagrangian | None = None
) -> EnergyNetwork:
    """The energy network of the same weights, a copy of them: what feeds forward in `model` also feeds back through the transpose.

    What `model` uses twice, or in every place of a layer, stays one parameter.

    Layers are named `input`, `layer1`, `layer2`, ...; a first sweep of the block solver from zeros gives the activations of a model
    with one hidden layer, later ones let the layers agree.

    Args:
        model: `Linear`, `Conv1d`, `Conv2d`, `AvgPool1d`, `AvgPool2d`, each followed by at most one of `ReLU`, `Tanh`, `Sigmoid`,
            `Softmax`, `Identity`, and `Flatten` before a `Linear`.
        input_shape: of one sample.
        visible: Lagrangian of the input layer. Default: the identity.

    Raises:
        TypeError, ValueError: a module of another kind, or sizes that do not fit.

    Example:
        >>> print(from_sequential(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), 4))
        EnergyNetwork(
          input: Neurons(4, Identity(), tau=1)
          layer1: Neurons(3, Tanh(beta=1.0), tau=1)
          input - layer1: Dense((4,) -> (3,))
          layer1: Bias((3,))
        )
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}")
    shape = as_shape("input_shape", input_shape)
    copies: dict[Tensor, nn.Parameter] = {}
    lagrangians: dict[str, Lagrangian] = {"input": Identity() if visible is None else visible}
    shapes, connections = {"input": shape}, []
    probe, bare = torch.zeros(1, *shape), False
    for place, module in enumerate(model):
        lower = next(reversed(shapes))
        probe = forward(module, probe, f"model[{place}]")
        if type(module) is nn.Flatten:
            bare = False
            continue
        if type(module) in LAGRANGIANS:
            if not bare:
                raise ValueError(f"model[{place}] ({type(module).__name__}) must follow a layer with weights or a pool")
            if isinstance(module, nn.Softmax) and module.dim in (None, 0):
                raise ValueError(f"model[{place}] (Softmax) must have a dim that is not the batch, got {module.dim}")
            lagrangians[lower], bare = LAGRANGIANS[type(module)](module), False
            continue
        name, bare = f"layer{len(shapes)}", True
        shapes[name], lagrangians[name] = tuple(probe.shape[1:]), Identity()
        synapse = synapse_of(module, shapes[lower], shapes[name], f"model[{place}]")
        weight = getattr(module, "weight", None)
        if weight is not None:
            synapse.weight = copies.setdefault(weight, copy_of(weight))
        connections.append(Connection(synapse, (lower, name)))
        bias = getattr(module, "bias", None)
        if bias is not None:
            # a convolution has one bias for each channel
            wide = bias.view(-1, *[1] * (len(shapes[name]) - 1))
            connections.append(Connection(Bias(copies.setdefault(bias, copy_of(wide))), (name,)))
    if not connections:
        raise ValueError("model must hold at least one layer with weights")
    return EnergyNetwork({name: Neurons(lagrangians[name], shapes[name]) for name in shapes}, connections)


def forward(module: nn.Module, probe: Tensor, what: str) -> Tensor:
    try:
        with torch.no_grad():
            return module(probe.to(next(module.parameters(), probe)))
    except RuntimeError as error:
        raise ValueError(
            f"{what} ({type(module).__name__}) does not take inputs of shape {tuple(probe.shape[1:])}: {error}"
        ) from error


def synapse_of(module: nn.Module, lower: tuple[int, ...], upper: tuple[int, ...], what: str) -> Synapse:
    """The synapse that does what `module` does between layers of these shapes, without its weights."""
    if type(module) not in LINEAR:  # a subclass may do something else
        known = ", ".join(kind.__name__ for kind in (*LINEAR, nn.Flatten, *LAGRANGIANS))
        raise TypeError(f"{what} must be one of {known}, got {type(module).__name__}")
    if isinstance(module, nn.Linear):
        if math.prod(lower) != module.in_features or len(upper) > 1:
            raise ValueError(
                f"{what} (Linear) must follow a Flatten where a layer of shape {lower} has {module.in_features} features"
            )
        with torch.device("meta"):  # where nothing is drawn
            return Dense(lower, upper)
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise ValueError(f"{what} must pad with zeros by a number, got {module.padding!r}, {module.padding_mode!r}")
        with torch.device("meta"):
            return Conv(
                module.in_channels,
                module.out_channels,
                module.kernel_size,
                stride=module.stride,
                padding=module.padding,
                dilation=module.dilation,
                groups=module.groups,
            )
    assert isinstance(module, nn.AvgPool1d | nn.AvgPool2d)
    odd = [name for name in ("padding", "ceil_mode", "divisor_override") if set(as_tuple(getattr(module, name, 0))) - {0, None}]
    if odd:
        raise ValueError(f"{what} must pool whole windows, got {module} with {', '.join(odd)}")
    return Pool(module.kernel_size, stride=module.stride)


def copy_of(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.detach().clone())


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
