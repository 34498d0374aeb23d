"""Processes are killed while they write. Run as a script, this file is the parent that forks them: it imports torch once."""

import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch

from attractor.bank import segments
from attractor.bank.disk import DiskBank

DIM, VALUE_DIM = 6, 2

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")


def row_of(ids, width):
    """What is stored under an id: whole numbers that float32 holds exactly."""
    return ((ids[:, None] * 1_000_003 + torch.arange(width) * 7_919) % 16_777_213).float()


def entry_of(one):
    return {"name": f"row {one}"} if one % 3 == 0 else None


def write_for_ever(path, report, seed):
    """Append, forget, compact, and report each step when it is acknowledged; forgetting also before."""
    random.seed(seed)
    with DiskBank(path, DIM) as bank:
        while True:
            first = bank._manifest.snapshot().next_id
            wanted = torch.arange(first, first + random.randint(1, 40))
            ids = bank.append(row_of(wanted, DIM), row_of(wanted, VALUE_DIM), [entry_of(one) for one in wanted.tolist()])
            os.write(report, f"stored {int(ids[0])} {int(ids[-1])}\n".encode())
            if random.random() < 0.15:
                live = bank.ids()
                chosen = live[torch.randperm(len(live))[: len(live) // 4]].sort().values
                line = " ".join(map(str, chosen.tolist())).encode()
                os.write(report, b"forgetting " + line + b"\n")
                bank.forget(chosen)
                os.write(report, b"forgot " + line + b"\n")
            if random.random() < 0.2:
                bank.compact()


def run_and_kill(path, milliseconds, seed):
    """Fork a writer, kill it, and return the lines that it reported."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            write_for_ever(path, report, seed)
        finally:
            os._exit(1)
    os.close(report)
    chunks, deadline = [], time.monotonic() + milliseconds / 1000
    os.set_blocking(reading, False)
    while time.monotonic() < deadline:
        chunks.append(available(reading))
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself with {status}"
    chunks.append(available(reading))
    os.close(reading)
    return b"".join(chunks).decode().splitlines()


def available(handle):
    found = b""
    while True:
        try:
            chunk = os.read(handle, 2**16)
        except BlockingIOError:
            return found
        if not chunk:
            return found
        found += chunk


def check(path, stored, may_be_gone, gone):
    """What was acknowledged is there bit for bit, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bank = DiskBank(path, DIM)
    with bank:
        live = bank.ids()
        missing = stored - may_be_gone - set(live.tolist())
        assert not missing, f"acknowledged rows are missing: {sorted(missing)[:10]}"
        assert not gone & set(live.tolist()), "forgotten rows came back"
        block = bank.get(live)
        assert torch.equal(block.patterns, row_of(live, DIM))
        assert torch.equal(block.values, row_of(live, VALUE_DIM)) if len(live) else True
        assert bank.metadata(live) == [entry_of(one) for one in live.tolist()]
        streamed = [block.ids for block in bank.blocks(7)]
        assert torch.equal(torch.cat(streamed) if streamed else live[:0], live)
        assert bank._manifest.snapshot().next_id > max(stored, default=-1)


def main(path, kills, seed):
    torch.set_num_threads(1)
    segments.SEGMENT_BYTES = 2048
    random.seed(seed)
    stored, may_be_gone, gone = set(), set(), set()
    for kill in range(kills):
        # the first few die while they create the bank
        milliseconds = random.uniform(0, 12) if kill % 4 == 0 else random.uniform(0, 120)
        for line in run_and_kill(path, milliseconds, random.random()):
            word, *numbers = line.split()
            numbers = [int(number) for number in numbers]
            if word == "stored":
                stored |= set(range(numbers[0], numbers[1] + 1))
            elif word == "forgetting":
                may_be_gone |= set(numbers)
            else:
                gone |= set(numbers)
        check(path, stored, may_be_gone, gone)
    sys.stdout.write(f"{kills} kills, {len(stored)} rows acknowledged, {len(gone)} forgotten")


def kill_writers(path, kills, seed):
    done = subprocess.run(
        [sys.executable, __file__, str(path), str(kills), str(seed)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert int(done.stdout.split("kills, ")[1].split()[0]) > 0, f"seed {seed}: no writer lived long enough to store"


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    kill_writers(tmp_path / "bank", 8, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_survives_many_kills(tmp_path, seed):
    kill_writers(tmp_path / "bank", 50, seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
