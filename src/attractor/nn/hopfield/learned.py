"""Layers with learned sets: queries that pool a set into a vector, and stored patterns that any state looks up."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from attractor.nn.hopfield.attention import HopfieldAttention
from attractor.nn.hopfield.checks import check_sets
from attractor.validation import check_count, check_like, check_matrix


class HopfieldPooling(nn.Module):
    """Pools a set into one vector: learned states read the set (multiple-instance learning, Ramsauer et al. 2021).

    Args:
        dim: width of a learned state, and of the items unless `memory_dim` says otherwise.
        queries: how many learned states.
        generator: of the first weights.
        settings: as `HopfieldAttention` takes them.

    Attributes:
        queries: `(queries, dim)`, learned.
        attention: the association.

    Raises:
        TypeError, ValueError: as `HopfieldAttention`, or `queries` below 1.

    Example:
        >>> bags = torch.randn(3, 50, 16)
        >>> HopfieldPooling(16, queries=2)(bags).shape
        torch.Size([3, 32])
    """

    def __init__(self, dim: int, *, queries: int = 1, generator: torch.Generator | None = None, **settings: Any):
        super().__init__()
        self.attention = HopfieldAttention(dim, generator=generator, **settings)
        self.queries = small(check_count("queries", queries), self.attention.dim, generator)

    def forward(self, memories: Tensor, values: Tensor | None = None, *, mask: Tensor | None = None) -> Tensor:
        """Pool sets `memories (b, s, memory_dim)` into `(b, queries * out_dim)`.

        Sets of different sizes: fill up to `s` and pass `mask (b, s)`, Boolean, True where an item is real. `values` are as
        `HopfieldAttention` takes them.
        """
        return self.attention(self._states(memories), memories, values, mask=of_items(mask)).flatten(1)

    def weights(self, memories: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """How much each learned state reads of each item, `(b, heads, queries, s)`."""
        return self.attention.weights(self._states(memories), memories, mask=of_items(mask))

    def energy(self, memories: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The energy `(b, heads, queries)` of the learned states, as `HopfieldAttention` has it."""
        return self.attention.energy(self._states(memories), memories, mask=of_items(mask))

    def _states(self, memories: Tensor) -> Tensor:
        check_sets("memories", memories, self.attention.memory_dim)
        return self.queries.expand(len(memories), -1, -1)


class HopfieldLookup(nn.Module):
    """Looks states up in learned stored patterns: a memory that is trained with the network around it (Ramsauer et al. 2021).

    Args:
        dim: width of a state, and of the stored patterns unless `memory_dim` says otherwise.
        memories: how many stored patterns.
        separate_values: learn a value for each stored pattern; else the pattern itself is read out.
        generator: of the first weights.
        settings: as `HopfieldAttention` takes them.

    Attributes:
        memories: `(memories, memory_dim)`, learned.
        values: `(memories, value_dim)`, learned, or None.
        attention: the association.

    Raises:
        TypeError, ValueError: as `HopfieldAttention`, `memories` below 1, or a `value_dim` of its own without `separate_values`.

    Example:
        >>> HopfieldLookup(16, memories=100)(torch.randn(3, 5, 16)).shape
        torch.Size([3, 5, 16])
    """

    def __init__(
        self,
        dim: int,
        *,
        memories: int,
        separate_values: bool = False,
        generator: torch.Generator | None = None,
        **settings: Any,
    ):
        super().__init__()
        self.attention = HopfieldAttention(dim, generator=generator, **settings)
        count = check_count("memories", memories)
        if not separate_values and self.attention.value_dim != self.attention.memory_dim:
            raise ValueError(f"value_dim must come with separate_values=True, got {self.attention.value_dim} without")
        self.memories = small(count, self.attention.memory_dim, generator)
        self.values = small(count, self.attention.value_dim, generator) if separate_values else None

    @classmethod
    def from_patterns(cls, patterns: Tensor, values: Tensor | None = None, **settings: Any) -> Self:
        """A layer that recalls `patterns (n, d)`, or their `values (n, e)`, before any training.

        Nothing is projected or normalised; all of `beta`, `steps`, `tol`, `separation`, `heads`, `dropout` can be set. The patterns
        are the start of a parameter, and the layer has their precision.

        Raises:
            TypeError, ValueError: no finite matrices, or of different lengths or precisions.

        Example:
            >>> layer = HopfieldLookup.from_patterns(torch.eye(4), beta=20.0, steps=3)
            >>> layer(torch.tensor([[[0.9, 0.2, 0.0, 0.0]]])).round().tolist()
            [[[1.0, 0.0, 0.0, 0.0]]]
        """
        check_matrix("patterns", patterns)
        if values is not None:
            check_matrix("values", values)
            check_like("values", values, patterns.dtype, patterns.device)
            if len(values) != len(patterns):
                raise ValueError(f"values must have one row for each of the {len(patterns)} patterns, got {len(values)}")
        layer = cls(
            patterns.shape[1],
            memories=len(patterns),
            value_dim=None if values is None else values.shape[1],
            separate_values=values is not None,
            project=(),
            normalize=(),
            **settings,
        ).to(patterns)
        layer.memories = nn.Parameter(patterns.detach().clone())
        layer.values = None if values is None else nn.Parameter(values.detach().clone())
        return layer

    def forward(self, states: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Complete `states (b, l, dim)`, to `(b, l, out_dim)`; `mask` as `HopfieldAttention` takes it, with `s` stored patterns."""
        memories, values = self._stored(states)
        return self.attention(states, memories, values, mask=mask)

    def weights(self, states: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """How much each state reads of each stored pattern, `(b, heads, l, memories)`."""
        return self.attention.weights(states, self._stored(states)[0], mask=mask)

    def energy(self, states: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The energy `(b, heads, l)` of the states, as `HopfieldAttention` has it."""
        return self.attention.energy(states, self._stored(states)[0], mask=mask)

    def _stored(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        check_sets("states", states, self.attention.dim)
        batch = len(states)
        values = None if self.values is None else self.values.expand(batch, -1, -1)
        return self.memories.expand(batch, -1, -1), values


def of_items(mask: Tensor | None) -> Tensor | None:
    """A mask `(b, s)` of items, for all learned states."""
    return mask[:, None] if isinstance(mask, Tensor) and mask.dim() == 2 else mask


def small(count: int, width: int, generator: torch.Generator | None) -> nn.Parameter:
    """`(count, width)` of deviation 0.02."""
    return nn.Parameter(0.02 * torch.randn(count, width, generator=generator))
