"""Checks that the synapses share: shapes of layers, and tensors that become parameters."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from attractor.validation import check_count, check_finite, check_floating

Shape = int | tuple[int, ...]


def as_shape(name: str, shape: Shape) -> tuple[int, ...]:
    """Return the shape of a layer as a tuple; a number is the shape of a vector.

    Raises:
        TypeError: an entry is no integer.
        ValueError: no entries, or one below 1.
    """
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not sizes:
        raise ValueError(f"{name} must have at least one dimension, got ()")
    return tuple(check_count(name, size) for size in sizes)


def as_parameter(name: str, value: Tensor) -> nn.Parameter:
    """A parameter itself, so that it can be shared; any other tensor as the start of a new one.

    Raises:
        TypeError: not a tensor.
        ValueError: not floating point, empty, NaN or infinite entries, or the result of a computation with gradients.
    """
    check_floating(name, value)
    if value.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(value.shape)}")
    check_finite(name, value if value.dim() else value[None])
    if isinstance(value, nn.Parameter):
        return value
    if value.grad_fn is not None:
        raise ValueError(f"{name} must be a parameter or data: gradients through {value.grad_fn.name()} would be lost")
    return nn.Parameter(value.detach().clone())


def check_shapes(synapse: str, expected: Sequence[object], shapes: Sequence[tuple[int, ...]], *, fits: bool | None = None) -> None:
    """Check the shapes of the layers at the ends; `fits` tells the verdict where `expected` is a description.

    Raises:
        ValueError: they differ.
    """
    came = [tuple(shape) for shape in shapes]
    if len(came) != len(expected):
        raise ValueError(f"{synapse} joins {len(expected)} layers, got {len(came)}: shapes {listed(came)}")
    if not (came == list(expected) if fits is None else fits):
        raise ValueError(f"{synapse} expects layers of shape {listed(expected)}, got {listed(came)}")


def check_numbers(name: str, value: object, batch: int) -> Tensor:
    """Return what a function gave, when it is one number for each sample.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, Tensor) or value.shape != (batch,):
        came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} must give one number for each sample, a tensor of shape ({batch},), got {came}")
    return value


def listed(shapes: Sequence[object]) -> str:
    return " and ".join(map(str, shapes))
