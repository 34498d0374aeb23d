"""Patterns in memory: one growing matrix, read in place.

The matrix doubles when it is full, so that an append copies the new rows only. Forgotten rows are left where they are, and
skipped, until `compact()`.

On a GPU the same folds run. PyTorch's fused attention is no short cut there: it gives the read-out, but neither the potential nor
the two best rows, which every fold carries, and finding those takes the scores again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from attractor.bank.base import Bank, Metadata
from attractor.bank.parameter import ParameterBank
from attractor.bank.screen import Screen, fits_screen, multiplies_bfloat16
from attractor.bank.serial import savable
from attractor.read import Block, Partial, Read
from attractor.read.tiles import fits_tiles, fold_tiles
from attractor.validation import check_count, check_ids

LEAST_ENTRIES_PER_RANK = 2**20
"""Of a bank, for each row that a read must know exactly: below, scoring everything is as fast as a screen."""


@savable("ram")
class RamBank(Bank, nn.Module):
    """A bank in memory. It follows `.to()`; its patterns are not part of a `state_dict`.

    Args:
        dim: width of a pattern.
        screen: keep a bfloat16 shadow of the patterns (half the size of float32) that finds the few rows which matter to a
            peaked read; those are scored again exactly. None: on first use, where the processor multiplies bfloat16 natively.

    Raises:
        ValueError: `dim` is below 1.

    Example:
        >>> bank = RamBank(3)
        >>> bank.append(torch.eye(3)).tolist()
        [0, 1, 2]
        >>> bank.forget(torch.tensor([1]))
        >>> len(bank), bank.append(torch.ones(1, 3)).tolist()
        (2, [3])
    """

    def __init__(self, dim: int, *, screen: bool | None = None):
        super().__init__()
        self.dim = check_count("dim", dim)
        self._version = 0
        self.screen = multiplies_bfloat16() if screen is None else screen
        self._screen: Screen | None = None
        self._count = 0
        self._forgotten = 0
        self._next_id = 0
        self._metadata: dict[int, dict[str, Any]] = {}
        self.register_buffer("_patterns", torch.empty(0, dim), persistent=False)
        self.register_buffer("_values", torch.empty(0, 0), persistent=False)
        self.register_buffer("_norms", torch.empty(0), persistent=False)
        self.register_buffer("_ids", torch.empty(0, dtype=torch.int64), persistent=False)
        self.register_buffer("_live", torch.empty(0, dtype=torch.bool), persistent=False)

    _patterns: Tensor
    _values: Tensor
    _norms: Tensor
    _ids: Tensor
    _live: Tensor

    @staticmethod
    def from_parameter(patterns: Tensor) -> ParameterBank:
        """A bank over learned `patterns (n, dim)`; see `ParameterBank`."""
        return ParameterBank(patterns)

    @property
    def version(self) -> int:
        return self._version

    @property
    def value_dim(self) -> int | None:
        return self._values.shape[1] or None

    @property
    def dtype(self) -> torch.dtype | None:
        return self._patterns.dtype if self._ever_stored() else None

    @property
    def device(self) -> torch.device | None:
        return self._patterns.device if self._ever_stored() else None

    @property
    def nbytes(self) -> int:
        """Bytes held, the shadow included."""
        return sum(buffer.nbytes for _, buffer in self._rows()) + (0 if self._screen is None else self._screen.nbytes)

    def blocks(self, rows: int) -> Iterator[Block]:
        whole = self._whole()
        for start in range(0, self._count, rows):
            part: slice | Tensor = slice(start, min(start + rows, self._count))
            if self._forgotten and not bool(self._live[part].all()):
                part = self._live[part].nonzero().flatten() + start
            block = whole.rows(part)
            if len(block):
                yield block

    def fold(self, read: Read) -> Partial:
        candidates = self._candidates(read)
        if candidates is not None:
            return read.fold([candidates])
        if fits_tiles(read, self._whole()):
            return fold_each(read, self.blocks(read.rows_per_block if self._forgotten else max(1, self._count)))
        return super().fold(read)

    def get(self, ids: Tensor) -> Block:
        self.positions(ids)
        return self._whole().rows(self._places(check_ids("ids", ids)))

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        self.positions(ids)
        return [self._metadata.get(one) for one in check_ids("ids", ids).tolist()]

    def ids(self) -> Tensor:
        ids = self._ids[: self._count]
        return ids[self._live[: self._count]] if self._forgotten else ids

    def compact(self) -> None:
        live = self._live[: self._count].nonzero().flatten()
        for name, buffer in self._rows():
            setattr(self, name, buffer[live])
        self._count, self._forgotten = len(live), 0

    def contents(self) -> dict[str, Tensor]:
        """The live rows as tensors; metadata as the bytes of a JSON object by id."""
        if not self._ever_stored():
            return {}
        block = self.get(self.ids())
        text = json.dumps({str(one): entry for one, entry in self._metadata.items()}).encode()
        contents = {"patterns": block.patterns, "ids": block.ids, "next_id": torch.tensor(self._next_id)}
        contents["metadata"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        return contents if block.values is None else {**contents, "values": block.values}

    def restore(self, contents: dict[str, Tensor]) -> None:
        """Take over what `contents` gave; the bank must be empty.

        Raises:
            ValueError: the bank has been used, or tensors are missing or do not fit each other.
        """
        if self._ever_stored():
            raise ValueError(f"a bank must be new to restore into it, this one has {len(self)} patterns")
        if not contents:
            return
        if missing := {"patterns", "ids", "next_id", "metadata"} - set(contents):
            raise ValueError(f"contents must hold {sorted(missing)}")
        ids, metadata = check_ids("ids", contents["ids"]), json.loads(bytes(contents["metadata"].tolist()))
        if len(ids) != len(contents["patterns"]) or bool((ids.diff() <= 0).any()) or not isinstance(metadata, dict):
            raise ValueError("contents must hold one ascending id for each pattern, and metadata by id")
        next_id = int(contents["next_id"])
        if next_id <= (int(ids[-1]) if len(ids) else 0):
            raise ValueError(f"next_id must exceed the ids in use, got {next_id}")
        if len(ids):
            self.append(contents["patterns"], contents.get("values"))
            self._ids[: self._count] = ids
        else:
            self._adopt_layout(contents["patterns"], contents.get("values"))
        self._next_id = next_id
        self._metadata = {int(one): entry for one, entry in metadata.items()}

    def settings(self, folder: Path) -> dict[str, Any]:
        return {}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], dim: int, folder: Path) -> Self:
        return cls(dim)

    def __len__(self) -> int:
        return self._count - self._forgotten

    def _whole(self) -> Block:
        values = None if self.value_dim is None else self._values[: self._count]
        return Block(self._ids[: self._count], self._patterns[: self._count], values, self._norms[: self._count])

    def _places(self, ids: Tensor) -> Tensor:
        """Where the rows with these ids lie in the buffers."""
        return torch.searchsorted(self._ids[: self._count], ids.to(self._ids.device).contiguous())

    def _rows(self) -> list[tuple[str, Tensor]]:
        """The buffers that have one entry for each row."""
        names = ["_patterns", "_norms", "_ids", "_live"] + ([] if self.value_dim is None else ["_values"])
        return [(name, getattr(self, name)) for name in names]

    def _candidates(self, read: Read) -> Block | None:
        """The few rows that matter to a peaked read, or None where too many do."""
        if not self.screen or len(self) * self.dim < LEAST_ENTRIES_PER_RANK * read.separation.rank:
            return None
        if not fits_screen(read, self._patterns):
            return None
        if self._screen is None:
            self._screen = Screen(self._whole().rows(self._live[: self._count]) if self._forgotten else self._whole())
        places = self._screen.candidates(read)
        return None if places is None else self.get(self.ids()[places])

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> Tensor:
        if not self._ever_stored():
            self._adopt_layout(patterns, values)
        start, stop = self._count, self._count + len(patterns)
        if stop > len(self._patterns):
            self._grow(stop)
        ids = torch.arange(self._next_id, self._next_id + len(patterns), device=patterns.device)
        self._patterns[start:stop] = patterns
        self._norms[start:stop] = patterns.square().sum(-1)
        self._ids[start:stop] = ids
        self._live[start:stop] = True
        if values is not None:
            self._values[start:stop] = values
        for one, entry in zip(ids.tolist(), metadata or (), strict=False):
            if entry is not None:
                self._metadata[one] = dict(entry)
        self._count, self._next_id = stop, self._next_id + len(patterns)
        self._changed()
        return ids

    def _forget(self, ids: Tensor) -> None:
        self._live[self._places(ids)] = False
        self._forgotten += len(ids)
        for one in ids.tolist():
            self._metadata.pop(one, None)
        self._changed()

    def _ever_stored(self) -> bool:
        return self._next_id > 0

    def _adopt_layout(self, patterns: Tensor, values: Tensor | None) -> None:
        self._patterns = patterns.new_empty(0, self.dim)
        self._norms = patterns.new_empty(0)
        self._values = patterns.new_empty(0, 0 if values is None else values.shape[1])
        self._ids = self._ids.to(patterns.device)
        self._live = self._live.to(patterns.device)

    def _grow(self, least: int) -> None:
        capacity = max(least, 2 * len(self._patterns))
        for name, buffer in self._rows():
            grown = buffer.new_empty(capacity, *buffer.shape[1:])
            grown[: self._count] = buffer[: self._count]
            setattr(self, name, grown)

    def _changed(self) -> None:
        self._version += 1
        self._screen = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RamBank:
        super()._apply(fn, recurse)
        # squared lengths rounded in the old precision would spoil scores in the new one
        self._norms = self._patterns.square().sum(-1)
        self._changed()
        return self


def fold_each(read: Read, blocks: Iterator[Block]) -> Partial:
    """Fold blocks with the in-place soft-max."""
    partials = (fold_tiles(read, block) for block in blocks)
    running = next(partials, None)
    if running is None:
        return read.fold(())
    for partial in partials:
        running = read.merge(running, partial)
    return running
