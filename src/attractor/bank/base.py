"""The contract of a bank: where patterns live, and how a read goes over them.

A bank appends, forgets, and answers a `Read` by folding it over its blocks. Whether the blocks lie in memory, on disk or on
other machines changes nothing in the answer beyond rounding. Checks stand here, once: a call that raises changes nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attractor.bank.presence import rows_present
from attractor.read import Block, Partial, Read
from attractor.validation import check_count, check_ids, check_like, check_matrix, shorten

Metadata = Mapping[str, Any]


class Bank(ABC):
    """Stored patterns `(n, dim)` with ids that are never reused.

    Attributes:
        dim: width of a pattern.
    """

    dim: int

    @property
    @abstractmethod
    def value_dim(self) -> int | None:
        """Width of the values, None while patterns are read out themselves."""

    @property
    @abstractmethod
    def version(self) -> int:
        """Counts the changes; equal versions hold equal patterns."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype | None:
        """Of the patterns; None until the first append, which decides it."""

    @property
    @abstractmethod
    def device(self) -> torch.device | None:
        """Where the patterns are read; None until the first append."""

    def append(self, patterns: Tensor, values: Tensor | None = None, metadata: Sequence[Metadata | None] | None = None) -> Tensor:
        """Store rows and return their ids `(n,)`, ascending.

        Args:
            patterns: `(n, dim)`, finite.
            values: `(n, e)`, what a read gives back for each pattern. Default: the pattern itself. All rows of a bank have
                values, or none has.
            metadata: one mapping of JSON values, or None, for each row.

        Raises:
            TypeError, ValueError: wrong shape, type, dtype, NaN or infinity; nothing is stored then.
        """
        check_matrix("patterns", patterns, self.dim)
        check_like("patterns", patterns, self.dtype, self.device)
        if values is not None:
            check_matrix("values", values, self.value_dim)
            check_like("values", values, self.dtype, self.device)
            if len(values) != len(patterns):
                raise ValueError(f"values must have one row for each of the {len(patterns)} patterns, got {len(values)}")
        if self._ever_stored() and (values is None) != (self.value_dim is None):
            kept, came = ("has no values", "values came") if values is not None else ("keeps values", "none came")
            raise ValueError(f"values must be given for all patterns of a bank or for none: this bank {kept}, {came}")
        if metadata is not None and len(metadata) != len(patterns):
            raise ValueError(f"metadata must have one entry for each of the {len(patterns)} patterns, got {len(metadata)}")
        for row, entry in enumerate(metadata or ()):
            if entry is not None and not isinstance(entry, Mapping):
                raise TypeError(f"metadata[{row}] must be a mapping or None, got {type(entry).__name__}")
        return self._append(patterns.detach(), None if values is None else values.detach(), metadata)

    def forget(self, ids: Tensor) -> None:
        """Remove the rows with these `ids`. Their space is given back by `compact()`.

        Raises:
            ValueError: an id is not stored, or comes twice; nothing is removed then.
        """
        ids = check_ids("ids", ids)
        unique = ids.unique()
        if len(unique) != len(ids):
            raise ValueError("ids must not repeat")
        self.positions(ids)
        if len(ids):
            self._forget(unique)

    def positions(self, ids: Tensor) -> Tensor:
        """Where `ids` stand among the live rows.

        Raises:
            ValueError: an id is not stored.
        """
        live = self.ids()
        ids = check_ids("ids", ids).to(live.device).contiguous()
        place = torch.searchsorted(live, ids).clamp_max(max(len(live) - 1, 0))
        unknown = ids if len(live) == 0 else ids[live[place] != ids]
        if len(unknown):
            raise ValueError(f"ids must be stored, unknown: {shorten(unknown.tolist())}")
        return place

    def fold(self, read: Read) -> Partial:
        """Answer a read.

        Raises:
            ValueError: the bank is empty.
        """
        return read.fold(self.blocks(read.rows_per_block))

    def sample(self, count: int, seed: int = 0) -> Block:
        """`count` rows drawn without replacement, all of them where there are fewer; same seed, same rows."""
        check_count("count", count)
        live = self.ids()
        if count >= len(live):
            return self.get(live)
        drawn = torch.randperm(len(live), generator=torch.Generator().manual_seed(seed))[:count]
        return self.get(live[drawn.sort().values.to(live.device)])

    def contains(self, patterns: Tensor) -> Tensor:
        """Which of `patterns (n, dim)` equal a stored row, `(n,)` Boolean."""
        return rows_present(self.blocks(2**14), patterns)

    @abstractmethod
    def blocks(self, rows: int) -> Iterator[Block]:
        """The live rows in ascending order of id, in blocks of at most `rows`."""

    @abstractmethod
    def get(self, ids: Tensor) -> Block:
        """The rows with these ids, in this order.

        Raises:
            ValueError: an id is not stored.
        """

    @abstractmethod
    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        """What was stored beside the patterns with these ids."""

    @abstractmethod
    def ids(self) -> Tensor:
        """The live ids `(n,)`, ascending."""

    @abstractmethod
    def compact(self) -> None:
        """Give back the space of forgotten rows. Ids stay."""

    @abstractmethod
    def __len__(self) -> int:
        """Rows stored minus rows forgotten."""

    @abstractmethod
    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> Tensor: ...

    @abstractmethod
    def _forget(self, ids: Tensor) -> None: ...

    @abstractmethod
    def _ever_stored(self) -> bool: ...

    def __repr__(self) -> str:
        values = "" if self.value_dim is None else f", value_dim={self.value_dim}"
        return f"{type(self).__name__}({len(self)} patterns, dim={self.dim}{values}, dtype={self.dtype})"
