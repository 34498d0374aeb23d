"""Patterns over many workers: each keeps a shard in memory and on disk, and a read is merged from what the shards answer.

The engine is Ray (extra `ray`): started on this machine, or joined by its address. A read goes to every shard as it is; each
folds it over its rows, and the partials are merged here as those of blocks are. Row `i` of all that was ever stored lies on shard
`i mod workers`, so that an id says where its row is.

A worker that is lost is started again, reads its shard from disk, and answers what it was asked; the caller only waits. What the
workers and the process that asks send each other is trusted: let nobody else reach the engine's ports.

The engine may carry out a call twice, and a second time after calls that came later. So no append is asked for before every shard
has answered the last one, or has been given up; a shard has one worker at a time; and reads go only forward.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from attractor.bank.base import Bank, Metadata
from attractor.bank.cluster_engine import Places, engine, in_memory_of_all
from attractor.bank.cluster_manifest import ClusterManifest
from attractor.bank.cluster_shard import Shard
from attractor.bank.serial import path_from, savable
from attractor.bank.store import to_entries
from attractor.read import Block, Partial, Read
from attractor.validation import check_count, check_ids, shorten

LARGEST_LISTED = 2**24
"""Rows of which a sample is drawn from the list of all ids, as in other banks; of more, it is drawn by id."""


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
        ValueError: no bank there, another `dim` or number of workers, a folder with something else, or another address than that of
            the engine that this process uses already.
        TimeoutError: another process or object has the bank open.

    An append counts on all shards or on none, also where this process dies; so does its answer. A `forget` that is interrupted
    may have removed some of its rows. Threads may share a bank; their calls take turns. A memory that was saved finds its bank by
    the path and takes the engine that the process uses.

    Example (`tests/bank/test_cluster_ray.py` runs it; the first bank of a process starts the engine)::

        with ClusterBank("faces", 3, workers=2) as bank:
            ids = bank.append(torch.eye(3))
            memory = DenseMemory(bank=bank)
            recalled = memory.recall(torch.tensor([[0.9, 0.1, 0.0]]))
    """

    def __init__(self, path: str | Path, dim: int | None = None, *, workers: int | None = None, address: str | None = None):
        self.path = Path(path).absolute()
        dim, workers = (None if one is None else check_count(name, one) for name, one in (("dim", dim), ("workers", workers)))
        self._ray = engine(address)
        processors = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._manifest = ClusterManifest(self.path, dim, workers, processors)
        self.dim = self._manifest.state.dim
        self._count: int | None = None
        self._turn = threading.RLock()
        self._places = Places(self._ray, self.workers)
        self._workers = self._started()

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

    def append(self, patterns: Tensor, values: Tensor | None = None, metadata: Sequence[Metadata | None] | None = None) -> Tensor:
        """Store rows and return their ids `(n,)`; once they are returned, the rows are on disk. See `Bank.append`."""
        with self._turn:  # two that count from the same ends would each drop the rows of the other
            return super().append(patterns, values, metadata)

    def forget(self, ids: Tensor) -> None:
        """Remove the rows with these `ids`; the files keep them until `compact()` erases them. See `Bank.forget`."""
        with self._turn:
            super().forget(ids)

    def fold(self, read: Read) -> Partial:
        learned = read.similarity.tensors().values()
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (read.cues, *learned)):
            raise ValueError("a read over a cluster has no gradients: use torch.no_grad(), or a bank in this process")
        question = self._ray.put(in_memory_of_all(read))
        answers = self._ask_all("fold", lambda shard, end: (question, end, shard, self.workers))
        partials = [answer for answer in answers if answer is not None]
        return reduce(read.merge, partials) if partials else read.fold(())

    def positions(self, ids: Tensor) -> Tensor:
        ids = check_ids("ids", ids)
        bounds = torch.cat([ids, ids + 1])
        below = self._ask_all("below", lambda shard, end: (first_at(bounds, shard, self.workers), end))
        place, after = sum(below, torch.zeros_like(bounds)).chunk(2) if len(ids) else (ids, ids)
        unknown = ids[after <= place]
        if len(unknown):
            raise ValueError(f"ids must be stored, unknown: {shorten(unknown.tolist())}")
        return place

    def contains(self, patterns: Tensor) -> Tensor:
        wanted = patterns.detach().cpu()
        found = self._ask_all("contains", lambda _, end: (wanted, end))
        return torch.stack(found).any(0).to(patterns.device)

    def sample(self, count: int, seed: int = 0) -> Block:
        if len(self) <= max(LARGEST_LISTED, 2 * check_count("count", count)):
            return super().sample(count, seed)
        generator, limit = torch.Generator().manual_seed(seed), max(self._ends) * self.workers
        drawn: dict[int, None] = {}
        while len(drawn) < count:
            some = torch.randint(limit, (2 * count,), generator=generator)
            for places, held in self._ask_owners("holds", some):
                some[places[~held]] = -1
            drawn |= dict.fromkeys(some[some >= 0].tolist())
        return self.get(torch.tensor(list(drawn)[:count]).sort().values)

    def blocks(self, rows: int) -> Iterator[Block]:
        ids = self.ids()
        return (self.get(part) for part in ids.split(rows) if len(ids))

    def get(self, ids: Tensor) -> Block:
        ids = check_ids("ids", ids)
        patterns = torch.empty(len(ids), self.dim, dtype=self.dtype)
        values = None if self.value_dim is None else torch.empty(len(ids), self.value_dim, dtype=self.dtype)
        for places, block in self._about("get", ids):
            patterns[places] = block.patterns
            if values is not None:
                values[places] = block.values
        return Block(ids, patterns, values)

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        ids = check_ids("ids", ids)
        entries: list[dict[str, Any] | None] = [None] * len(ids)
        for places, found in self._about("metadata", ids):
            for place, entry in zip(places.tolist(), found, strict=True):
                entries[place] = entry
        return entries

    def ids(self) -> Tensor:
        return self._all_ids("ids")

    def lost(self) -> Tensor:
        """The live ids `(n,)` whose rows are missing from the files of their shard. `forget` them to go on with the rest."""
        return self._all_ids("lost")

    def compact(self) -> None:
        with self._turn:
            self._ask_all("compact", lambda *_: ())

    def close(self) -> None:
        """Let the workers go, after what they are at. The engine stays for other banks of this process."""
        with self._turn:
            workers, self._workers = self._workers, []
            self._manifest.close()
            if workers and self._ray.is_initialized():
                for worker in workers:
                    self._ray.kill(worker)
                self._places.close()

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
        with self._turn:
            if self._count is None:
                self._count = sum(self._ask_all("count", lambda _, end: (end,)))
            return self._count

    @property
    def _ends(self) -> tuple[int, ...]:
        return self._manifest.state.ends

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> Tensor:
        to_entries(metadata)  # a shard would name its own row where an entry is no JSON
        entries = None if metadata is None else [None if entry is None else dict(entry) for entry in metadata]
        ends = wanted = self._ends

        def part(shard: int, places: Tensor) -> tuple[Any, ...]:
            some = None if entries is None else [entries[place] for place in places.tolist()]
            return ends[shard], wanted[shard], patterns[places], None if values is None else values[places], some

        while True:
            ids = lowest_free(wanted, len(patterns))
            owners = [(shard, (ids % self.workers == shard).nonzero().flatten()) for shard in range(self.workers)]
            parts = {shard: places for shard, places in owners if len(places)}
            asked = {shard: part(shard, places) for shard, places in parts.items()}
            firsts = dict(zip(parts, self._ask("append", asked, to_the_end=True), strict=True))
            reached = tuple(firsts[one] + len(parts[one]) if one in parts else end for one, end in enumerate(wanted))
            if all(firsts[shard] == wanted[shard] for shard in parts):
                break
            # a shard has given ids to an append that was not finished: these rows go in again, behind those
            wanted = reached
        kept = tuple(reached[shard] if shard in parts else end for shard, end in enumerate(ends))
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
        found = self._ask_all(method, lambda _, end: (end,))
        return torch.cat([ids * self.workers + shard for shard, ids in enumerate(found)]).sort().values

    def _about(self, method: str, ids: Tensor) -> list[tuple[Tensor, Any]]:
        """What the owners of stored `ids` answer about theirs, each with the places of these among `ids`.

        Raises:
            ValueError: an id is not stored.
        """
        answers = self._ask_owners(method, ids)
        unknown = [ids[places[~held]] for places, (held, _) in answers if not bool(held.all())]
        if unknown:
            raise ValueError(f"ids must be stored, unknown: {shorten(torch.cat(unknown).tolist())}")
        return [(places, answer) for places, (_, answer) in answers]

    def _ask_owners(self, method: str, ids: Tensor) -> list[tuple[Tensor, Any]]:
        """What the owners of `ids` answer about theirs, each with the places of these among `ids`."""
        owners = [(ids % self.workers == shard).nonzero().flatten() for shard in range(self.workers)]
        places = {shard: some for shard, some in enumerate(owners) if len(some)}
        with self._turn:
            asked = {shard: (ids[some] // self.workers, self._ends[shard]) for shard, some in places.items()}
            return list(zip(places.values(), self._ask(method, asked), strict=True))

    def _ask_all(self, method: str, arguments: Callable[[int, int], tuple[Any, ...]]) -> list[Any]:
        """What each shard answers, given the arguments for its number and its end."""
        with self._turn:  # the ends of all are of one moment
            return self._ask(method, {shard: arguments(shard, end) for shard, end in enumerate(self._ends)})

    def _ask(self, method: str, arguments: dict[int, tuple[Any, ...]], *, to_the_end: bool = False) -> list[Any]:
        """What the shards answer, in the order of `arguments`; where `to_the_end`, nothing is still going on after a failure."""
        if not self._workers:
            raise ValueError(f"the bank at {self.path} is closed")
        asked = [getattr(self._workers[shard], method).remote(*given) for shard, given in arguments.items()]
        if to_the_end:
            try:
                self._ray.wait(asked, num_returns=len(asked))
            except BaseException:
                # what was asked could still be carried out, after what is asked next
                for worker in self._workers:
                    self._ray.kill(worker)
                self._workers = self._started()
                raise
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error

    def _started(self) -> list[Any]:
        """A worker for each shard."""
        folders = [self.path / f"shard-{shard:04d}" for shard in range(self.workers)]
        return [self._places.start(shard, Shard, folder, self.dim) for shard, folder in enumerate(folders)]


def lowest_free(ends: Sequence[int], count: int) -> Tensor:
    """The `count` lowest ids that no shard has given, where shard `s` of `w` has given its ids below `ends[s]`: `i w + s` here."""
    shards = len(ends)
    limit = max(ends) * shards + count  # from there on all are free
    firsts = [end * shards + shard for shard, end in enumerate(ends)]
    free = torch.cat([torch.arange(first, max(first, limit), shards) for first in firsts])
    return free.sort().values[:count]


def first_at(bounds: Tensor, shard: int, shards: int) -> Tensor:
    """The shard's own id of its first row that has an id of at least `bounds`."""
    return (bounds - shard + shards - 1) // shards
