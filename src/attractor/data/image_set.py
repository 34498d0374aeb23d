"""A set of images as an associative memory wants them: one flat row an item, with what is needed to judge a recall."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Images (or plain vectors) and their labels.

    Args:
        patterns: `(n, d)` floating point, one item a row; images in [0, 1], flattened from channel-first.
        shape: `(channels, height, width)` of one item; their product is `d`. Plain vectors have `(1, 1, d)`.
        name: what to call the set in a table.
        levels: size of the grid that the entries lie on, `k / (levels - 1)`: 256 for bytes, 17 for scikit-learn's
            digits; `None` for data without a grid. `attractor.data.exact` rounds to it.
        labels: `(n,)` int64 classes, or `None`.
        names: one name an item (a file name), or `None`.
        source: where the data came from and under which licence.

    Raises:
        ValueError: the lengths, the shape or the number of levels disagree with `patterns`.
        TypeError: `patterns` is not a floating-point tensor, `labels` not int64.

    Example:
        >>> pictures = ImageSet(torch.rand(10, 12), shape=(3, 2, 2), name="noise")
        >>> stored, probes = pictures.split(7, 3, seed=1)
        >>> len(stored), probes.images.shape
        (7, torch.Size([3, 3, 2, 2]))
    """

    patterns: Tensor
    shape: tuple[int, int, int]
    name: str
    _: KW_ONLY
    levels: int | None = None
    labels: Tensor | None = None
    names: tuple[str, ...] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.patterns, Tensor) or not self.patterns.is_floating_point():
            raise TypeError(f"patterns must be a floating-point tensor (n, d), got {_kind(self.patterns)}")
        if self.patterns.ndim != 2:
            raise ValueError(f"patterns must have shape (n, d), got {tuple(self.patterns.shape)}")
        n, d = self.patterns.shape
        if len(self.shape) != 3 or math.prod(self.shape) != d:
            raise ValueError(f"shape must be (channels, height, width) with product {d}, got {tuple(self.shape)}")
        if self.levels is not None and self.levels < 2:
            raise ValueError(f"levels must be at least 2 or None, got {self.levels}")
        if self.labels is not None:
            if self.labels.dtype != torch.int64:
                raise TypeError(f"labels must be an int64 tensor (n,), got {_kind(self.labels)}")
            if self.labels.shape != (n,):
                raise ValueError(f"labels must have shape ({n},), got {tuple(self.labels.shape)}")
        if self.names is not None and len(self.names) != n:
            raise ValueError(f"names must hold {n} names, got {len(self.names)}")

    @property
    def images(self) -> Tensor:
        """The same numbers as `(n, channels, height, width)`: a view."""
        return self.patterns.unflatten(1, self.shape)

    @property
    def dim(self) -> int:
        """Number of entries of one item."""
        return self.patterns.shape[1]

    def __len__(self) -> int:
        return len(self.patterns)

    def __getitem__(self, index: int | slice | list[int] | Tensor) -> ImageSet:
        """A smaller set in the order asked for; a single number gives a set of one item.

        Raises:
            IndexError: an index is outside of the set.
        """
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} is outside of a set of {len(self)} items")
            index = [index]
        rows = torch.arange(len(self))[index]
        return replace(
            self,
            patterns=self.patterns[rows.to(self.patterns.device)],
            labels=None if self.labels is None else self.labels[rows.to(self.labels.device)],
            names=None if self.names is None else tuple(self.names[row] for row in rows.tolist()),
        )

    def take(self, n: int, *, seed: int = 0) -> ImageSet:
        """The first `n` items of the seeded permutation of the set.

        Raises:
            ValueError: `n` is not between 1 and the size of the set.
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"n must be between 1 and {len(self)}, the size of {self.name!r}, got {n}")
        return self[permutation(len(self), seed)[:n]]

    def split(self, *sizes: int, seed: int = 0) -> tuple[ImageSet, ...]:
        """Disjoint parts of these sizes, cut one after the other from the seeded permutation; the rest is left out.

        `split(n)[0]` equals `take(n)`.

        Raises:
            ValueError: no size is given, one is not positive, or together they exceed the set.
        """
        if not sizes or min(sizes) < 1 or sum(sizes) > len(self):
            raise ValueError(f"sizes must be positive and sum to at most {len(self)}, got {sizes}")
        order = permutation(len(self), seed)[: sum(sizes)]
        return tuple(self[rows] for rows in order.split(list(sizes)))

    def __repr__(self) -> str:
        labels = "" if self.labels is None else f", {len(self.labels.unique())} classes"
        return f"ImageSet({self.name!r}, {len(self)} items of {self.shape}, levels={self.levels}{labels})"


def permutation(n: int, seed: int) -> Tensor:
    """The seeded order `(n,)` that `load`, `take` and `split` share.

    Raises:
        ValueError: `seed` is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed!r}")
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def _kind(value: object) -> str:
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
