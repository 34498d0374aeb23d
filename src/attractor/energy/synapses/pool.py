"""Average pooling between two layers: `E = -g2 . avgpool(g1)`.

The average is linear, so that both drives have a closed form. The maximum is not: give it to `FunctionSynapse`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from attractor.energy.synapses.bilinear import Bilinear
from attractor.energy.synapses.conv import windows_of
from attractor.energy.synapses.shapes import Shape

AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d}


class Pool(Bilinear):
    """`E = -g2 . avgpool(g1)` in one or two dimensions, nothing to learn.

    Ends: the lower layer `(channels, *size)`, then the upper one `(channels, *windows)`.

    Args:
        kernel_size: an integer for a square in two dimensions, `(height, width)`, or `(length,)` for one dimension.
        stride: one integer, or one for each dimension; by default that of windows side by side.

    Raises:
        TypeError, ValueError: a size is no integer or below 1, or the numbers of dimensions differ.

    Example:
        >>> import torch
        >>> lower, upper = torch.tensor([[[1.0, 3.0, 5.0]]]), torch.tensor([[[2.0]]])
        >>> [drive.tolist() for drive in Pool((2,)).drive(lower, upper)]
        [[[[1.0, 1.0, 0.0]]], [[[2.0]]]]
    """

    def __init__(self, kernel_size: Shape, *, stride: Shape | None = None):
        super().__init__()
        self.windows = windows_of(kernel_size, kernel_size if stride is None else stride, 0, 1)

    def up(self, lower: Tensor) -> Tensor:
        average = AVERAGE[self.windows.axes]
        return average(lower, self.windows.kernel, self.windows.stride)

    def down(self, upper: Tensor, shape: tuple[int, ...]) -> Tensor:
        kernel = self.windows.kernel
        weight = upper.new_full((1, 1, *kernel), 1 / math.prod(kernel))
        # each channel by itself, as a batch
        return self.windows.transposed(upper.flatten(0, 1)[:, None], weight, shape[1:], groups=1).view(-1, *shape)

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self.windows.check_ends("Pool", ("channels", "channels"), shapes)

    def extra_repr(self) -> str:
        return f"kernel_size={self.windows.kernel}, stride={self.windows.stride}"
