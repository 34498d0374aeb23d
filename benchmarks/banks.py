"""Banks beyond memory: reading from disk beside reading the file at all, and an index beside reading everything.

The bank on disk is measured in a fresh process, which this file is when it is run as a program: `banks.py PATH ROWS DIM THREADS`.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target, megabytes, milliseconds
from timing import Contender, Race, race, stopwatch
from torch import Tensor
from torch.nn.functional import normalize

from attractor import DiskBank, Euclidean, RamBank, SoftMax, TopK
from attractor.bank import IndexedBank
from attractor.read import Read

SHARE_OF_FILE = 0.6
LIMIT = 512 * 2**20
LARGEST_RATIO = 3.0
K, WANTED_RECALL, WANTED_SPEED = 32, 0.95, 10.0
BETA = 32.0
ROWS_PER_CLUSTER = 250
SPREAD = 0.5
"""Of a row around its cluster's centre, beside centres of length one."""
SLACK = 1e-4
"""What rounding of the two potentials in float32 can make of a share."""
PIECE = 2**20


@dataclass(frozen=True)
class Sizes:
    """`rows` of width `dim` on disk; `indexed` rows of width `index_dim` under an index, bounds checked with `cues` cues."""

    rows: int = 2**22
    dim: int = 256
    indexed: Sequence[int] = (10_000, 100_000, 1_000_000)
    index_dim: int = 128
    cues: int = 10_000
    seconds: float = 20.0


QUICK = Sizes(rows=2**15, indexed=(5_000, 10_000), cues=40, seconds=1.0)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    say("banks: disk")
    disk = in_fresh_process(sizes)
    tables, targets, figures = [disk_table(disk)], disk_targets(disk), {"disk": disk}
    if optional("faiss") is None:
        tables.append(Table("Index", ("",), [[f"faiss: {NOT_INSTALLED}"]]))
        return Section("Banks", tables, targets, figures)
    for kind in KINDS:
        rows = []
        for count in sizes.indexed:
            say(f"banks: index over {count:,} rows, {kind}")
            rows.append(index_row(KINDS[kind], count, sizes, count == max(sizes.indexed)))
        tables.append(index_table(kind, rows, sizes))
        targets += index_targets(kind, rows)
        figures[f"index, {kind}"] = rows
    return Section("Banks", tables, targets, figures)


def in_fresh_process(sizes: Sizes) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp())
    try:
        numbers = map(str, (sizes.rows, sizes.dim, torch.get_num_threads(), sizes.seconds))
        command = [sys.executable, __file__, str(folder / "bank"), *numbers]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the process that measures the bank on disk failed:\n{done.stderr}")
        return json.loads(done.stdout)
    finally:
        shutil.rmtree(folder)


@torch.no_grad()
def read_from_disk(path: Path, rows: int, dim: int, seconds: float) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    with DiskBank(path, dim) as bank:
        for start in range(0, rows, 2**16):
            bank.append(torch.randn(min(2**16, rows - start), dim, generator=generator))
    with DiskBank(path) as bank:
        reads = {size: Read(Euclidean(), SoftMax(0.01), torch.randn(size, dim, generator=generator)) for size in (1, 16)}
        first = stopwatch(lambda: bank.fold(reads[1]))
        reset_high_water()
        times = race(
            [
                Contender("file", lambda: read_files(path)),
                Contender("1", lambda: bank.fold(reads[1])),
                Contender("16", lambda: bank.fold(reads[16])),
            ],
            seconds,
        )
        most = resident()
        return {
            "bytes": 4 * rows * dim,
            "seconds": {name: times.time(name) for name in ("file", "1", "16")},
            "first": first,
            "speed": asdict(times.ratio("file", "1")),
            "batch": asdict(times.ratio("16", "1")),
            "resident": most,
            "index": None if optional("faiss") is None else index_on_disk(bank, seconds),
        }


@torch.no_grad()
def index_on_disk(bank: DiskBank, seconds: float) -> dict[str, float]:
    """An index over a bank that may be larger than memory: its build, and cues that lie near a row."""
    indexed = IndexedBank(bank)
    rows = bank.sample(64, seed=1).patterns
    reads = [best_of(cue[None]) for cue in rows + 0.3 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(1))]
    reset_high_water()
    build = stopwatch(lambda: indexed.fold(reads[0]))
    building = resident()
    reset_high_water()
    times = race([Contender("index", lambda: [indexed.fold(read) for read in reads])], seconds)
    looked = float(torch.cat([indexed.search(read).rows for read in reads]).double().mean())
    some = reads[:16]
    found = [best_ids(indexed.fold(read).body) & best_ids(bank.fold(read).body) for read in some]
    return {
        "recall": sum(map(len, found)) / (K * len(some)),
        "build": build,
        "building": building,
        "seconds": times.time("index") / len(reads),
        "resident": resident(),
        "rows": looked,
    }


def read_files(path: Path) -> None:
    piece = memoryview(bytearray(PIECE))
    for file in sorted(path.glob("segment-*")):
        with open(file, "rb", buffering=0) as handle:
            while handle.readinto(piece):
                pass


def reset_high_water() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def resident() -> int:
    """The most memory of this process since the last reset, mapped files included."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found.group(1))


def gaussian(count: int, dim: int, generator: torch.Generator) -> Tensor:
    return normalize(torch.randn(count, dim, generator=generator), dim=-1)


def clustered(count: int, dim: int, generator: torch.Generator) -> Tensor:
    centres = normalize(torch.randn(max(1, count // ROWS_PER_CLUSTER), dim, generator=generator), dim=-1)
    noise = torch.randn(count, dim, generator=generator) * SPREAD / dim**0.5
    return normalize(centres[torch.randint(len(centres), (count,), generator=generator)] + noise, dim=-1)


KINDS = {"in clusters": clustered, "without clusters": gaussian}


@torch.no_grad()
def index_row(draw: Callable[..., Tensor], count: int, sizes: Sizes, check: bool) -> dict[str, Any]:
    """One size of bank: build, recall of the best, time beside exact; bounds too where asked."""
    generator = torch.Generator().manual_seed(0)
    rows = draw(count, sizes.index_dim, generator)
    exact = RamBank(sizes.index_dim, screen=False)
    exact.append(rows)
    bank = IndexedBank(exact)
    near = rows[torch.randint(count, (sizes.cues,), generator=generator)]
    cues = normalize(near + 0.3 * torch.randn(near.shape, generator=generator) / sizes.index_dim**0.5, dim=-1)
    cues[1::2] = normalize(
        torch.randn(cues[1::2].shape, generator=generator), dim=-1
    )  # every second one has nothing to do with rows
    build = stopwatch(lambda: bank.fold(best_of(cues[:1])))
    several = [best_of(cue[None]) for cue in cues[:100:2]]
    found = [best_ids(bank.fold(read).body) & best_ids(exact.fold(read).body) for read in several]
    times: Race = race(
        [
            Contender("index", lambda: [bank.fold(read) for read in several[:10]]),
            Contender("exact", lambda: [exact.fold(read) for read in several[:10]]),
        ],
        sizes.seconds,
    )
    return {
        "count": count,
        "build": build,
        "recall": sum(map(len, found)) / (K * len(several)),
        "seconds": {name: times.time(name) / 10 for name in ("index", "exact")},
        "speed": asdict(times.ratio("exact", "index")),
        "looked": float(torch.cat([bank.search(read).rows for read in several]).double().mean()),
        "bounds": bounds(bank, cues) if check else None,
    }


def best_of(cues: Tensor) -> Read:
    return Read(Euclidean(), TopK(K, BETA), cues)


def best_ids(body: Any) -> set[int]:
    """Ids of the K best candidates of a single cue."""
    return set(body.ids[body.scores[0].topk(K).indices].tolist())


def bounds(bank: IndexedBank, cues: Tensor) -> dict[str, float]:
    """How often more weight was left out than the bound says, and how large the bounds are."""
    violated, tails, shares = 0, [], []
    for some in cues.split(64):
        read = Read(Euclidean(), SoftMax(BETA), some)
        found = bank.search(read)
        seen, whole = (read.finish(partial).potential.double() for partial in (found.partial, bank.bank.fold(read)))
        share = -torch.expm1(BETA * (seen - whole))
        violated += int((share > found.tail + SLACK).sum())
        tails.append(found.tail)
        shares.append(share)
    every = torch.cat(tails)
    return {"cues": len(every), "violated": violated, "median": float(every.median()), "share": float(torch.cat(shares).mean())}


def disk_table(disk: dict[str, Any]) -> Table:
    seconds, size = disk["seconds"], disk["bytes"]
    named = {"file": "the file, 1 MB at a time", "1": "recall of 1 cue", "16": "recall of 16 cues"}
    rows = [[named[name], milliseconds(seconds[name]), f"{size / seconds[name] / 1e9:.2f}"] for name in named]
    note = (
        f"The first read of a bank that was opened compares checksums: {milliseconds(disk['first'])} ms. "
        f"Resident at most {megabytes(disk['resident'])} MB, torch and mapped pages included. "
        "All from the system's cache where it fits."
    )
    index = disk["index"]
    if index is not None:
        note += (
            f" An index over it: built in {index['build']:.0f} s with at most {megabytes(index['building'])} MB resident; then "
            f"{milliseconds(index['seconds'])} ms a cue, which looks at {index['rows']:,.0f} rows, at most "
            f"{megabytes(index['resident'])} MB resident, most of them pages of the file. Rows are without clusters, where cells "
            f"alone find {index['recall']:.2f} of the best {K}."
        )
    return Table(f"A bank on disk, {size / 1e9:.1f} GB of patterns, Euclidean, diffuse soft-max", ("", "ms", "GB/s"), rows, note)


def disk_targets(disk: dict[str, Any]) -> list[Target]:
    speed, batch, most = disk["speed"]["median"], disk["batch"]["median"], disk["resident"]
    return [
        Target("recall from disk beside reading the file", f">= {SHARE_OF_FILE:.0%}", f"{speed:.0%}", speed >= SHARE_OF_FILE),
        Target("16 cues from disk beside 1", f"< {LARGEST_RATIO:g} times", f"{batch:.2f} times", batch < LARGEST_RATIO),
        Target(f"resident with {disk['bytes'] / 1e9:.1f} GB on disk", "< 512 MiB", f"{most / 2**20:.0f} MiB", most < LIMIT),
    ]


def index_table(kind: str, rows: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    cells = [
        [
            f"{row['count']:,}",
            f"{row['build']:.1f}",
            f"{row['recall']:.3f}",
            milliseconds(row["seconds"]["index"]),
            milliseconds(row["seconds"]["exact"]),
            f"{row['speed']['median']:.1f}",
            f"{row['looked']:,.0f}",
        ]
        for row in rows
    ]
    largest = rows[-1]["bounds"]
    sizes_of_clusters = f", about {ROWS_PER_CLUSTER} to a cluster" if KINDS[kind] is clustered else ""
    note = (
        f"Unit rows{sizes_of_clusters}. Of {largest['cues']:,} cues, half without relation to any row, the bound on unseen weight "
        f"failed {largest['violated']} times; median bound {largest['median']:.3f}, unseen weight {largest['share']:.4f} mean."
    )
    columns = ("rows", "build, s", f"recall@{K}", "index, ms", "exact, ms", "times faster", "rows looked at")
    return Table(f"An index over rows {kind}, width {sizes.index_dim}, one cue at a time", columns, cells, note)


def index_targets(kind: str, rows: Sequence[dict[str, Any]]) -> list[Target]:
    last, first = rows[-1], rows[0]
    recall, speed, bounds = last["recall"], last["speed"]["median"], last["bounds"]
    exponent = math.log(last["seconds"]["index"] / first["seconds"]["index"]) / math.log(last["count"] / first["count"])
    what = f"index over rows {kind}:"
    return [
        Target(f"{what} recall@{K} of {last['count']:,}", f">= {WANTED_RECALL}", f"{recall:.3f}", recall >= WANTED_RECALL),
        Target(f"{what} speed beside exact, 1 cue", f">= {WANTED_SPEED:g} times", f"{speed:.1f} times", speed >= WANTED_SPEED),
        Target(f"{what} bounds that fail in {bounds['cues']:,} cues", "0", str(bounds["violated"]), bounds["violated"] == 0),
        Target(f"{what} time grows with rows to the power", "< 1", f"{exponent:.2f}", exponent < 1),
    ]


if __name__ == "__main__":
    where, rows, dim, threads, seconds = sys.argv[1:]
    torch.set_num_threads(int(threads))
    print(json.dumps(read_from_disk(Path(where), int(rows), int(dim), float(seconds))))
