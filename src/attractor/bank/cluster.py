"""Patterns over many workers: each keeps a shard in memory and on disk, and a read is merged from what the shards answer.

The engine is Ray (extra `ray`): started on this machine, or joined by its address. A read goes to every shard as it is; each
folds it over its rows, and the partials are merged here as those of blocks are. Row `i` of all that was ever stored lies on shard
`i mod workers`, so that an id says where its row is.

A worker that is lost is started again, reads its shard from disk, and answers what it was asked; the caller only waits. What the
workers and the process that asks send each other is trusted: let nobody else reach the engine's ports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from attractor.bank.base import Bank, Metadata
from attractor.bank.cluster_manifest import FILE, ClusterManifest
from attractor.bank.cluster_shard import Shard
from attractor.bank.serial import path_from, savable
from attractor.bank.store import to_entries
from attractor.read import Block, Partial, Read
from attractor.read.separation import Tempered
from attractor.validation import check_count, check_ids, shorten


@savable("cluster")
class ClusterBank(Bank):
    """A bank whose rows are shared out to the workers of a Ray cluster.

    Args:
        path: a folder that holds such a bank, or a new or empty one where `dim` is given. Every machine must see it, under this
            path; on one machine any folder will do.
        dim: width of a pattern. Default: that of the bank at `path`.
        workers: shards of a new bank, which stay as many. Default: the processors of the cluster.
        address: of a running cluster (`"auto"`, `"host:port"`, `"ray://host:port"`). Default: the engine that this process uses
            already, or else one on this machine that ends with the process.

    Raises:
        ImportError: Ray is not installed.
        ValueError: no bank there, another `dim` or number of workers, or a folder with something else.
        TimeoutError: another process or object has the bank open.

    An append counts on all shards or on none, also where this process dies; so does its answer. A `forget` that is interrupted
    may have removed some of its rows.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with ClusterBank(f"{folder.name}/faces", 3, workers=2) as bank:
        ...     bank.append(torch.eye(3)).tolist(), len(bank)
        ([0, 1, 2], 3)
        >>> folder.cleanup()
    """

    def __init__(self, path: str | Path, dim: int | None = None, *, workers: int | None = None, address: str | None = None):
        self.path = Path(path).absolute()
        dim, workers = (None if one is None else check_count(name, one) for name, one in (("dim", dim), ("workers", workers)))
        self._ray = engine(address)
        if workers is None and not (self.path / FILE).exists():
            workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._manifest = ClusterManifest(self.path, dim, workers)
        self.dim = self._manifest.state.dim
        self._count: int | None = None
        actor = self._ray.remote(max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD")(Shard)
        self._workers = [actor.remote(self.path / f"shard-{shard:04d}", self.dim) for shard in range(self.workers)]

    @property
    def workers(self) -> int:
        """How many shards there are."""
        return len(self._ends)

    @property
    def version(self) -> int:
        return self._manifest.state.version

    @property
    def value_dim(self) -> int | None:
        return self._manifest.state.value_dim

    @property
    def dtype(self) -> torch.dtype | None:
        return self._manifest.state.dtype

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def fold(self, read: Read) -> Partial:
        learned = read.similarity.tensors().values()
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (read.cues, *learned)):
            raise ValueError("a read over a cluster has no gradients: use torch.no_grad(), or a bank in this process")
        question = self._ray.put(in_memory_of_all(read))
        answers = self._ask_all("fold", lambda shard: (question, self._ends[shard], shard, self.workers))
        partials = [answer for answer in answers if answer is not None]
        return reduce(read.merge, partials) if partials else read.fold(())

    def positions(self, ids: Tensor) -> Tensor:
        ids = check_ids("ids", ids)
        bounds = torch.cat([ids, ids + 1])
        below = self._ask_all("below", lambda shard: (first_at(bounds, shard, self.workers), self._ends[shard]))
        place, after = sum(below, torch.zeros_like(bounds)).chunk(2) if len(ids) else (ids, ids)
        unknown = ids[after <= place]
        if len(unknown):
            raise ValueError(f"ids must be stored, unknown: {shorten(unknown.tolist())}")
        return place

    def contains(self, patterns: Tensor) -> Tensor:
        found = self._ask_all("contains", lambda shard: (patterns, self._ends[shard]))
        return torch.stack(found).any(0)

    def blocks(self, rows: int) -> Iterator[Block]:
        ids = self.ids()
        return (self._gather(part) for part in ids.split(rows) if len(ids))

    def get(self, ids: Tensor) -> Block:
        self.positions(ids)
        return self._gather(check_ids("ids", ids))

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        self.positions(ids)
        ids = check_ids("ids", ids)
        entries: list[dict[str, Any] | None] = [None] * len(ids)
        for places, found in self._ask_owners("metadata", ids):
            for place, entry in zip(places.tolist(), found, strict=True):
                entries[place] = entry
        return entries

    def ids(self) -> Tensor:
        return self._all_ids("ids")

    def lost(self) -> Tensor:
        """The live ids `(n,)` whose rows are missing from the files of their shard. `forget` them to go on with the rest."""
        return self._all_ids("lost")

    def compact(self) -> None:
        self._ask_all("compact", lambda shard: ())

    def close(self) -> None:
        """Let the workers go. The engine stays for other banks of this process."""
        for worker in self._workers:
            self._ray.kill(worker)
        self._workers = []
        self._manifest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"path": path_from(folder, self.path)}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], dim: int, folder: Path) -> Self:
        return cls(folder / settings["path"])

    def __len__(self) -> int:
        if self._count is None:
            self._count = sum(self._ask_all("count", lambda shard: (self._ends[shard],)))
        return self._count

    @property
    def _ends(self) -> tuple[int, ...]:
        return self._manifest.state.ends

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> Tensor:
        to_entries(metadata)  # a shard would name its own row where an entry is no JSON

        def part(shard: int, places: Tensor) -> tuple[int, Tensor, Tensor | None, list[Metadata | None] | None]:
            entries = None if metadata is None else [metadata[place] for place in places.tolist()]
            return self._ends[shard], patterns[places], None if values is None else values[places], entries

        wanted = self._ends
        while True:
            ids = lowest_free(wanted, len(patterns))
            owners = [(shard, (ids % self.workers == shard).nonzero().flatten()) for shard in range(self.workers)]
            owners = [(shard, places) for shard, places in owners if len(places)]
            parts = dict(owners)
            firsts = dict(zip(parts, self._ask("append", {shard: part(shard, parts[shard]) for shard in parts}), strict=True))
            reached = tuple(firsts[one] + len(parts[one]) if one in parts else end for one, end in enumerate(wanted))
            if all(firsts[shard] == wanted[shard] for shard in parts):
                break
            # a shard has given ids to an append that was not finished: these rows go in again, behind those
            wanted = reached
        kept = tuple(reached[shard] if shard in parts else end for shard, end in enumerate(self._ends))
        value_dim = None if values is None else values.shape[1]
        state = self._manifest.state
        self._manifest.commit(replace(state, ends=kept, version=state.version + 1, dtype=patterns.dtype, value_dim=value_dim))
        self._count = None
        return ids

    def _forget(self, ids: Tensor) -> None:
        state = self._manifest.state
        self._manifest.commit(replace(state, version=state.version + 1))
        self._count = None
        self._ask_owners("forget", ids)

    def _ever_stored(self) -> bool:
        return self.dtype is not None

    def _all_ids(self, method: str) -> Tensor:
        found = self._ask_all(method, lambda shard: (self._ends[shard],))
        return torch.cat([self._naming(shard)(ids) for shard, ids in enumerate(found)]).sort().values

    def _gather(self, ids: Tensor) -> Block:
        patterns = torch.empty(len(ids), self.dim, dtype=self.dtype)
        values = None if self.value_dim is None else torch.empty(len(ids), self.value_dim, dtype=self.dtype)
        for places, block in self._ask_owners("get", ids):
            patterns[places] = block.patterns
            if values is not None:
                values[places] = block.values
        return Block(ids, patterns, values)

    def _naming(self, shard: int) -> Callable[[Tensor], Tensor]:
        return lambda ids: ids * self.workers + shard

    def _ask_owners(self, method: str, ids: Tensor) -> list[tuple[Tensor, Any]]:
        """What the owners of `ids` answer about theirs, each with the places of these among `ids`."""
        places = {shard: (ids % self.workers == shard).nonzero().flatten() for shard in range(self.workers)}
        places = {shard: some for shard, some in places.items() if len(some)}
        answers = self._ask(method, {shard: (ids[some] // self.workers,) for shard, some in places.items()})
        return list(zip(places.values(), answers, strict=True))

    def _ask_all(self, method: str, arguments: Callable[[int], tuple[Any, ...]]) -> list[Any]:
        return self._ask(method, {shard: arguments(shard) for shard in range(self.workers)})

    def _ask(self, method: str, arguments: dict[int, tuple[Any, ...]]) -> list[Any]:
        """What the shards answer, in the order of `arguments`."""
        if not self._workers:
            raise ValueError(f"the bank at {self.path} is closed")
        asked = [getattr(self._workers[shard], method).remote(*given) for shard, given in arguments.items()]
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error


def engine(address: str | None) -> Any:
    """Ray, connected.

    Raises:
        ImportError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError("a bank over a cluster needs Ray: pip install 'attractor[ray]'") from error
    if not ray.is_initialized():
        # Ray would run its workers at niceness 15, behind everything else that the machine does
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(address=address or "local", include_dashboard=None if address else False, log_to_driver=False)
    return ray


def lowest_free(ends: Sequence[int], count: int) -> Tensor:
    """The `count` lowest ids that no shard has given, where shard `s` of `w` has given its ids below `ends[s]`: `i w + s` here."""
    shards = len(ends)
    limit = max(ends) * shards + count  # from there on all are free
    firsts = [end * shards + shard for shard, end in enumerate(ends)]
    free = torch.cat([torch.arange(first, max(first, limit), shards) for first in firsts])
    return free.sort().values[:count]


def in_memory_of_all(read: Read) -> Read:
    """The same question away from gradients and accelerators, to go to workers that may have none.

    It goes as an object, not in its plain form: that one knows only the similarities of this library.
    """
    similarity, separation = read.similarity, read.separation
    if isinstance(similarity, nn.Module):
        similarity = deepcopy(similarity).cpu().requires_grad_(False)
    if isinstance(separation, Tempered) and isinstance(separation.beta, Tensor):
        separation = separation.at(separation.beta.detach().cpu())
    known = None if read.known is None else read.known.cpu()
    return replace(read, similarity=similarity, separation=separation, cues=read.cues.detach().cpu(), known=known)


def first_at(bounds: Tensor, shard: int, shards: int) -> Tensor:
    """The shard's own id of its first row that has an id of at least `bounds`."""
    return (bounds - shard + shards - 1) // shards
