"""Recalls over HTTP beside the same calls in this process, in turns: `attractor serve` on loopback, many connections at once."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target
from timing import Spread

from attractor import DenseMemory, DiskBank
from attractor.data import DataUnavailableError, load

NEEDED = ("fastapi", "uvicorn")
LEAST = 0.5
NOISE = 0.1


@dataclass(frozen=True)
class Sizes:
    """`stored` images, asked for one at a time over `connections`, for `seconds` in all, in `rounds` that take turns."""

    stored: int = 1_000
    connections: int = 16
    seconds: float = 60.0
    rounds: int = 6


QUICK = Sizes(stored=50, connections=4, seconds=1.0, rounds=2)


@dataclass
class Load:
    """What the clients of one round met."""

    answers: int = 0
    errors: int = 0


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    missing = [name for name in NEEDED if optional(name) is None]
    if missing:
        return Section("Service", [Table("Recalls over HTTP", ("", "needs"), [[NOT_INSTALLED, ", ".join(missing)]])])
    images, name = patterns(sizes.stored)
    cues = images + NOISE * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    span = sizes.seconds / sizes.rounds
    inside, outside, errors = [], [], 0
    with tempfile.TemporaryDirectory() as folder, DiskBank(Path(folder, "bank"), images.shape[1]) as bank:
        bank.append(images)
        memory = DenseMemory(bank=bank)
        with served(bank.path) as port:
            in_process(memory, cues, span / 4)
            over_http(port, cues, sizes.connections, span / 4)
            for turn in range(sizes.rounds):
                say(f"service: round {turn + 1} of {sizes.rounds}")
                inside.append(in_process(memory, cues, span))
                load = over_http(port, cues, sizes.connections, span)
                outside.append(load.answers / span)
                errors += load.errors
            stats = asked(port, "GET", "/stats")
    ratio = Spread.of([there / here for here, there in zip(inside, outside, strict=True)])
    joined = stats["cues"] / stats["batches"]
    rows = [
        ["in this process, one call after another", f"{Spread.of(inside).median:,.0f}", "1", ""],
        [f"over HTTP, {sizes.connections} connections", f"{Spread.of(outside).median:,.0f}", f"{joined:.1f}", str(errors)],
    ]
    title = f"{len(images):,} stored images ({name}, {images.shape[1]} entries) on disk, one cue a call, {sizes.seconds:g} s each"
    table = Table(title, ("recalls", "a second", "cues a batch", "errors"), rows)
    targets = [
        Target("recalls a second over HTTP, of those in process", f">= {LEAST}", str(ratio), ratio.median >= LEAST),
        Target(f"errors in {sizes.seconds:g} s of load over HTTP", "0", str(errors), errors == 0),
    ]
    return Section("Service", [table], targets, {"inside": inside, "outside": outside, "errors": errors, "stats": stats})


def patterns(count: int) -> tuple[torch.Tensor, str]:
    try:
        images = load("mnist-5k", limit=count)
    except DataUnavailableError:
        return torch.rand(count, 784, generator=torch.Generator().manual_seed(1)), "random"
    return images.patterns, images.name


@contextmanager
def served(bank: Path) -> Iterator[int]:
    """The port of a service of `bank` in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "attractor.app.cli", "serve", str(bank), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.communicate()


def in_process(memory: DenseMemory, cues: torch.Tensor, seconds: float) -> float:
    """Recalls a second."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        place = calls % len(cues)
        memory.recall(cues[place : place + 1])
        calls += 1
    return calls / (time.perf_counter() - began)


def over_http(port: int, cues: torch.Tensor, connections: int, seconds: float) -> Load:
    """What so many clients meet, each with a connection of its own."""
    bodies = [json.dumps({"cues": [cue]}).encode() for cue in cues.tolist()]
    load, lock, until = Load(), threading.Lock(), time.perf_counter() + seconds

    def client(first: int) -> None:
        own, place, connection = Load(), first, http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.perf_counter() < until:
            try:
                connection.request("POST", "/recall", bodies[place], {"Content-Type": "application/json"})
                answer = connection.getresponse()
                right = answer.status == 200 and f'"index":[{place}]'.encode() in answer.read()
            except (OSError, http.client.HTTPException):
                right = False
                connection.close()
            own.answers += right
            own.errors += not right
            place = (place + connections) % len(bodies)
        connection.close()
        with lock:
            load.answers += own.answers
            load.errors += own.errors

    threads = [threading.Thread(target=client, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def asked(port: int, method: str, path: str) -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path)
    return json.load(connection.getresponse())
