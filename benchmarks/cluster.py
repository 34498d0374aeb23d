"""A bank over a cluster beside one process, and the cost model of a read: bytes, operations, network, the engine's own share.

A read over `n` rows on `w` workers is modelled as `n / w * row + w * shard + call`: the seconds of a row on one worker, of asking
a shard and merging, and of a call as such.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target, milliseconds
from timing import Contender, Spread, race

from attractor import Euclidean, RamBank, SoftMax
from attractor.bank import ClusterBank
from attractor.read import Read

ALLOWED = 0.25
BETA = 0.01
"""Diffuse: every row has weight, so that no bank may leave any out."""
ROWS_PER_APPEND = 2**16
PLANNED = ((1e6, 2), (1e8, 16), (1e8, 64), (1e10, 512), (1e10, 2_048))
"""Patterns and workers of the plan."""
GIBI = 2**30


@dataclass(frozen=True)
class Sizes:
    """`count` patterns of width `dim` on `workers`; `few` of them, on one to `most` workers, show what the engine itself takes.

    `spread` of them lie on as many `nodes` as one machine can simulate, one of which is lost.
    """

    count: int = 1_000_000
    dim: int = 256
    workers: int = 2
    batches: Sequence[int] = (1, 16)
    few: int = 64
    most: int = 4
    nodes: int = 4
    spread: int = 100_000
    seconds: float = 20.0


QUICK = Sizes(count=20_000, dim=32, few=16, most=2, nodes=2, spread=2_000, seconds=1.0)


@dataclass(frozen=True)
class Cost:
    """Of one read for `batch` cues.

    Attributes:
        row: seconds of a row on one worker.
        shard, call: seconds of each shard asked, and of a call whatever the shards.
        sent, received: bytes on the way to a shard and back.
    """

    batch: int
    row: float
    shard: float
    call: float
    sent: int
    received: int

    def best(self, count: float) -> float:
        """The number of workers that answers soonest; more of them take longer to ask than they save."""
        return math.sqrt(count * self.row / self.shard) if self.shard else math.inf

    def seconds(self, count: float, workers: int) -> float:
        return count / workers * self.row + workers * self.shard + self.call


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    ray = optional("ray")
    if ray is None:
        return Section("Cluster", [Table("A bank over a cluster", ("", "needs"), [[NOT_INSTALLED, "ray"]])])
    started = not ray.is_initialized()
    try:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            say("cluster: storing")
            alone, bank = RamBank(sizes.dim, screen=False), ClusterBank(Path(folder, "bank"), sizes.dim, workers=sizes.workers)
            with bank:
                fill((alone, bank), sizes.count, sizes.dim)
                races = []
                for batch in sizes.batches:
                    say(f"cluster: {batch} cues")
                    races.append(beside_one_process(alone, bank, question(batch, sizes.dim), sizes.seconds))
                say("cluster: a worker is killed")
                loss = killed(bank, alone, question(sizes.batches[-1], sizes.dim))
            say("cluster: the engine's own share")
            shares = [engine_share(Path(folder), sizes, batch) for batch in sizes.batches]
    finally:
        if started:
            ray.shutdown()
    say("cluster: simulated nodes")
    nodes = None if ray.is_initialized() else simulated(sizes)
    costs = [cost(one, share, sizes) for one, share in zip(races, shares, strict=True)]
    worst = max(one["overhead"].median for one in races)
    told = max((one["overhead"] for one in races), key=lambda spread: spread.median)
    off = max(one["off"] for one in races)
    targets = [
        Target("cluster: time beyond that of one process, worst batch", f"< {ALLOWED}", str(told), worst < ALLOWED),
        Target("cluster: read-out off that of one process", "<= 1e-05", f"{off:.1e}", off <= 1e-5),
        Target("cluster: a query during which a worker is killed is answered", "yes", answer(loss), loss["off"] <= 1e-5),
    ]
    tables = [speed_table(races, sizes), model_table(costs), plan_table(costs, sizes)]
    if nodes is not None:
        worst_off = max(nodes["off"], nodes["off after"])
        met = worst_off <= 1e-5 and nodes["used"] > 1
        claim = "cluster: a query during which a node is lost is answered"
        targets.append(Target(claim, "yes", f"after {nodes['lost']:.1f} s, off {worst_off:.1e}", met))
        tables.append(nodes_table(nodes, sizes))
    figures = {"reads": [plain(one) for one in races], "loss": loss, "nodes": nodes, "costs": list(map(asdict, costs))}
    return Section("Cluster", tables, targets, figures)


def fill(banks: Sequence[RamBank | ClusterBank], count: int, dim: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for start in range(0, count, ROWS_PER_APPEND):
        rows = torch.randn(min(ROWS_PER_APPEND, count - start), dim, generator=generator)
        for bank in banks:
            bank.append(rows)


def question(batch: int, dim: int) -> Read:
    return Read(Euclidean(), SoftMax(BETA), torch.randn(batch, dim, generator=torch.Generator().manual_seed(1)))


def beside_one_process(alone: RamBank, bank: ClusterBank, read: Read, seconds: float) -> dict[str, Any]:
    found, expected = read.finish(bank.fold(read)).values, read.finish(alone.fold(read)).values
    timed = race([Contender("cluster", lambda: bank.fold(read)), Contender("alone", lambda: alone.fold(read))], seconds)
    ratio = timed.ratio("cluster", "alone")
    return {
        "batch": len(read.cues),
        "alone": timed.time("alone"),
        "cluster": timed.time("cluster"),
        "overhead": Spread(ratio.median - 1, ratio.low - 1, ratio.high - 1),
        "off": float((found - expected).abs().max()),
    }


def killed(bank: ClusterBank, alone: RamBank, read: Read) -> dict[str, float]:
    """Kill a worker while it answers; how long the answer takes, and how far it is off."""
    import ray

    victim = ray.get(bank._workers[0].__ray_call__.remote(lambda _: os.getpid()))
    threading.Timer(0.01, os.kill, (victim, signal.SIGKILL)).start()
    began = time.perf_counter()
    found = read.finish(bank.fold(read)).values
    # where the answer came first, the next one meets the loss
    again = read.finish(bank.fold(read)).values
    seconds = time.perf_counter() - began
    expected = read.finish(alone.fold(read)).values
    return {"seconds": seconds, "off": float(max((one - expected).abs().max() for one in (found, again)))}


def simulated(sizes: Sizes) -> dict[str, float]:
    """A read over nodes that share this machine, and one during which one with a worker is lost."""
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        others = [cluster.add_node(**node) for _ in range(sizes.nodes - 1)]
        cluster.wait_for_nodes()
        alone, read = RamBank(sizes.dim, screen=False), question(sizes.batches[-1], sizes.dim)
        with (
            tempfile.TemporaryDirectory() as folder,
            torch.no_grad(),
            ClusterBank(Path(folder, "bank"), sizes.dim, workers=sizes.nodes, address=cluster.address) as bank,
        ):
            fill((alone, bank), sizes.spread, sizes.dim)
            used = {ray.get(worker.__ray_call__.remote(node_of)) for worker in bank._workers}
            expected = read.finish(alone.fold(read)).values
            seconds = race([Contender("nodes", lambda: bank.fold(read))], sizes.seconds / 4).time("nodes")
            found = [read.finish(bank.fold(read)).values]
            victim = next((one for one in others if one.node_id in used), others[-1])
            loss = threading.Timer(0.01, cluster.remove_node, (victim,), {"allow_graceful": False})
            loss.start()
            began = time.perf_counter()
            found.append(read.finish(bank.fold(read)).values)
            loss.join()
            # where the answer came first, the next one meets the loss
            found.append(read.finish(bank.fold(read)).values)
            lost = time.perf_counter() - began
    finally:
        ray.shutdown()
        cluster.shutdown()
    before, *after = [float((one - expected).abs().max()) for one in found]
    return {"nodes": sizes.nodes, "used": len(used), "seconds": seconds, "off": before, "lost": lost, "off after": max(after)}


def node_of(_shard: object) -> str:
    import ray

    return ray.get_runtime_context().get_node_id()


def engine_share(folder: Path, sizes: Sizes, batch: int) -> dict[int, float]:
    """Seconds of a read over hardly any rows, by the number of workers."""
    taken, read = {}, question(batch, sizes.dim)
    for workers in (1, sizes.most):
        with ClusterBank(folder / f"few-{batch}-{workers}", sizes.dim, workers=workers) as bank:
            bank.append(torch.randn(sizes.few, sizes.dim, generator=torch.Generator().manual_seed(2)))
            taken[workers] = race([Contender("few", lambda bank=bank: bank.fold(read))], sizes.seconds / 4).time("few")
    return taken


def cost(measured: dict[str, Any], share: dict[int, float], sizes: Sizes) -> Cost:
    least, most = min(share), max(share)
    shard = max(0.0, (share[most] - share[least]) / (most - least))
    call = share[least] - shard * least
    row = max(0.0, measured["cluster"] - call - shard * sizes.workers) * sizes.workers / sizes.count
    read = question(measured["batch"], sizes.dim)
    one = RamBank(sizes.dim)
    one.append(torch.zeros(2, sizes.dim))
    return Cost(measured["batch"], row, shard, call, weight(read.to_plain()), weight(one.fold(read)))


def weight(message: object) -> int:
    """Bytes of a message to or from a shard."""
    return len(pickle.dumps(message, protocol=5))


def speed_table(races: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    rows = [
        [str(one["batch"]), milliseconds(one["alone"]), milliseconds(one["cluster"]), str(one["overhead"]), f"{one['off']:.1e}"]
        for one in races
    ]
    title = f"One read of {sizes.count:,} x {sizes.dim} float32, diffuse: one process, and {sizes.workers} workers of one thread"
    return Table(title, ("cues", "one process, ms", "cluster, ms", "time beyond", "off"), rows)


def model_table(costs: Sequence[Cost]) -> Table:
    rows = [
        [
            str(one.batch),
            f"{1e9 * one.row:.3g}",
            milliseconds(one.shard),
            milliseconds(one.call),
            f"{one.sent:,}",
            f"{one.received:,}",
        ]
        for one in costs
    ]
    columns = ("cues", "a row, ns", "a shard, ms", "a call, ms", "to a shard, bytes", "from a shard, bytes")
    return Table(
        "Cost of a read, measured", columns, rows, "A row costs one worker, with one thread; the shards work at the same time."
    )


def plan_table(costs: Sequence[Cost], sizes: Sizes) -> Table:
    rows = []
    for count, workers in PLANNED:
        memory = 4 * count * sizes.dim
        times = [f"{one.seconds(count, workers):.3g}" for one in costs]
        network = [f"{workers * (one.sent + one.received) / 1e6:.3g}" for one in costs]
        operations = f"{4 * count * sizes.dim / 1e9:,.3g}"
        rows.append(
            [
                f"{count:.0e}",
                f"{workers:,}",
                f"{memory / GIBI:,.0f}",
                f"{memory / GIBI / workers:,.2f}",
                operations,
                *times,
                *network,
            ]
        )
    columns = (
        "patterns",
        "workers",
        "GiB of patterns",
        "GiB a worker",
        "Gflop a cue",
        *(f"s, {one.batch} cues" for one in costs),
        *(f"MB on the network, {one.batch} cues" for one in costs),
    )
    note = (
        f"Width {sizes.dim}, float32; by the costs above. A worker keeps its rows on disk and in memory, "
        "where they take up to twice as much room while they grow. "
        "A cue takes 2 n d operations to score and as many to read out. Soonest answered for "
        + "; ".join(f"{one.batch} cues by {one.best(1e8):,.0f} workers (1e8), {one.best(1e10):,.0f} (1e10)" for one in costs)
        + "."
    )
    return Table("What more patterns take, by calculation", columns, rows, note, labels=2)


def nodes_table(nodes: dict[str, float], sizes: Sizes) -> Table:
    columns = ("nodes", "with workers", "read, ms", "off", "answered after a node is lost, s", "off then")
    row = [str(nodes["nodes"]), str(nodes["used"]), milliseconds(nodes["seconds"])]
    row += [f"{nodes['off']:.1e}", f"{nodes['lost']:.1f}", f"{nodes['off after']:.1e}"]
    note = "The nodes share the processors of this machine: what they show is that merging and coming back work, not speed."
    return Table(f"{sizes.spread:,} x {sizes.dim} on nodes simulated on one machine", columns, [row], note)


def plain(measured: dict[str, Any]) -> dict[str, Any]:
    return measured | {"overhead": asdict(measured["overhead"])}


def answer(loss: dict[str, float]) -> str:
    return f"after {loss['seconds']:.1f} s, off {loss['off']:.1e}"
