"""Convolutional weights between two layers: `E = -g2 . conv(g1)`; feedback is the transposed convolution (Krotov 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attractor.energy.synapses.bilinear import Bilinear
from attractor.energy.synapses.shapes import Shape, check_shapes
from attractor.validation import check_count

CONVOLVE = {1: F.conv1d, 2: F.conv2d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d}


class Conv(Bilinear):
    """`E = -g2 . conv(g1)` in one or two dimensions, zeros beyond the border, with a learnable `weight`.

    Ends: the lower layer `(in_channels, *size)`, then the upper one `(out_channels, *windows)`. Entries of the lower layer that
    no window reaches, where the stride does not divide its size, get no drive.

    Args:
        in_channels: channels of the lower layer.
        out_channels: channels of the upper layer.
        kernel_size: an integer for a square in two dimensions, `(height, width)`, or `(length,)` for one dimension.
        stride, padding, dilation: one integer, or one for each dimension.
        groups: how many parts the channels fall into, each connected to its own part only.
        generator: source of the first weights, normal with deviation `1/sqrt(inputs of a window)`.

    Raises:
        TypeError, ValueError: a size is no integer or too small, or `groups` does not divide both numbers of channels.

    Example:
        >>> synapse = Conv(1, 8, 3, stride=3)
        >>> image, hidden = torch.zeros(4, 1, 12, 12), torch.zeros(4, 8, 4, 4)
        >>> [tuple(drive.shape) for drive in synapse.drive(image, hidden)]
        [(4, 1, 12, 12), (4, 8, 4, 4)]
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Shape,
        *,
        stride: Shape = 1,
        padding: Shape = 0,
        dilation: Shape = 1,
        groups: int = 1,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.in_channels, self.out_channels = check_count("in_channels", in_channels), check_count("out_channels", out_channels)
        self.groups = check_count("groups", groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups must divide in_channels {in_channels} and out_channels {out_channels}, got {groups}")
        self.windows = windows_of(kernel_size, stride, padding, dilation)
        shape = (out_channels, in_channels // groups, *self.windows.kernel)
        self.weight = nn.Parameter(torch.randn(shape, generator=generator) / math.prod(shape[1:]) ** 0.5)

    def up(self, lower: Tensor) -> Tensor:
        windows = self.windows
        convolve = CONVOLVE[windows.axes]
        return convolve(lower, self.weight, None, windows.stride, windows.padding, windows.dilation, self.groups)

    def down(self, upper: Tensor, shape: tuple[int, ...]) -> Tensor:
        return self.windows.transposed(upper, self.weight, shape[1:], groups=self.groups)

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self.windows.check_ends("Conv", (self.in_channels, self.out_channels), shapes)

    def extra_repr(self) -> str:
        return f"{self.in_channels} -> {self.out_channels}, {self.windows}, groups={self.groups}"


@dataclass(frozen=True)
class Windows:
    """Windows that slide over the last dimensions of a layer; one number for each of these."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def axes(self) -> int:
        return len(self.kernel)

    def room(self, size: Sequence[int]) -> list[int]:
        """How far the first window can slide; negative where it does not fit."""
        sides = zip(size, self.padding, self.dilation, self.kernel, strict=True)
        return [length + 2 * pad - spread * (width - 1) - 1 for length, pad, spread, width in sides]

    def count(self, size: Sequence[int]) -> tuple[int, ...]:
        """How many windows there are along each dimension."""
        return tuple(room // step + 1 for room, step in zip(self.room(size), self.stride, strict=True))

    def transposed(self, upper: Tensor, weight: Tensor, size: Sequence[int], *, groups: int) -> Tensor:
        """The transposed convolution onto a layer of just this `size`."""
        left_over = [room % step for room, step in zip(self.room(size), self.stride, strict=True)]
        convolve = TRANSPOSED[self.axes]
        return convolve(upper, weight, None, self.stride, self.padding, left_over, groups, self.dilation)

    def check_ends(self, name: str, channels: tuple[int | str, int | str], shapes: Sequence[tuple[int, ...]]) -> None:
        """Check a lower and an upper layer; a channel that is a word is any number, the same at both ends.

        Raises:
            ValueError: a shape does not fit.
        """
        size = tuple("length" if self.axes == 1 else side for side in ("height", "width")[: self.axes])
        check_shapes(name, ((channels[0], *size), (channels[1], "windows")), shapes, fits=True)
        lower = tuple(shapes[0])
        if len(lower) != self.axes + 1 or (isinstance(channels[0], int) and lower[0] != channels[0]):
            raise ValueError(f"{name} expects a lower layer of shape ({', '.join(map(str, (channels[0], *size)))}), got {lower}")
        if min(self.room(lower[1:])) < 0:
            raise ValueError(f"{name} has windows {self}, too large for a lower layer of shape {lower}")
        wanted = (channels[1] if isinstance(channels[1], int) else lower[0], *self.count(lower[1:]))
        check_shapes(name, (lower, wanted), shapes)

    def __str__(self) -> str:
        return f"kernel_size={self.kernel}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"


def windows_of(kernel_size: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Windows:
    """Windows as `torch.nn` describes them; `kernel_size` as one integer is a square.

    Raises:
        TypeError, ValueError: a size is no integer or too small, or the numbers of dimensions differ.
    """
    axes = len(kernel_size) if isinstance(kernel_size, tuple) else 2
    if axes not in CONVOLVE:
        raise ValueError(f"kernel_size must have one or two dimensions, got {kernel_size}")
    return Windows(
        per_axis("kernel_size", kernel_size, axes, 1),
        per_axis("stride", stride, axes, 1),
        per_axis("padding", padding, axes, 0),
        per_axis("dilation", dilation, axes, 1),
    )


def per_axis(name: str, value: Shape, axes: int, least: int) -> tuple[int, ...]:
    sizes = value if isinstance(value, tuple) else (value,) * axes
    if len(sizes) != axes:
        raise ValueError(f"{name} must be one integer or {axes}, like kernel_size, got {value}")
    return tuple(check_count(name, size, least) for size in sizes)
