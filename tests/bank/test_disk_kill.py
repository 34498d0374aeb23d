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
    """What is stored under an id, until an update turns its signs: whole numbers that float32 holds exactly."""
    return ((ids[:, None] * 1_000_003 + torch.arange(width) * 7_919) % 16_777_213 + 1).float()


def entry_of(one):
    return {"name": f"row {one}"} if one % 3 == 0 else None


def write_for_ever(path, report, seed):
    """Append, update, forget, compact, and report each step when it is acknowledged; what takes something away also before."""
    random.seed(seed)
    with DiskBank(path, DIM) as bank:
        while True:
            first = bank._manifest.snapshot().head.next_id
            wanted = torch.arange(first, first + random.randint(1, 40))
            ids = bank.append(row_of(wanted, DIM), row_of(wanted, VALUE_DIM), [entry_of(one) for one in wanted.tolist()])
            os.write(report, f"stored {int(ids[0])} {int(ids[-1])}\n".encode())
            if random.random() < 0.2:
                live = bank.ids()
                chosen = live[torch.randperm(len(live))[: random.randint(1, 30)]]
                line, old = " ".join(map(str, chosen.tolist())).encode(), bank.get(chosen)
                os.write(report, b"turning " + line + b"\n")
                bank.update(chosen, -old.patterns, -old.values)
                os.write(report, b"turned " + line + b"\n")
            if random.random() < 0.15:
                live = bank.ids()
                chosen = live[torch.randperm(len(live))[: len(live) // 4]].sort().values
                line = " ".join(map(str, chosen.tolist())).encode()
                os.write(report, b"forgetting " + line + b"\n")
                bank.forget(chosen)
                os.write(report, b"forgot " + line + b"\n")
            if random.random() < 0.2:
                bank.compact()


def run_and_kill(path, lines, milliseconds, seed):
    """Fork a writer, kill it some time after it has reported so many lines, and return all that it reported."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            write_for_ever(path, report, seed)
        finally:
            os._exit(1)
    os.close(report)
    os.set_blocking(reading, False)
    told, deadline = b"", time.monotonic() + 60
    while told.count(b"\n") < lines and time.monotonic() < deadline:
        time.sleep(0.0005)
        told += available(reading)
    time.sleep(milliseconds / 1000)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself with {status}"
    told += available(reading)
    os.close(reading)
    return told.decode().splitlines()


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


def check(path, kill, stored, may_be_gone, gone, turned, turning):
    """What was acknowledged is there bit for bit, and nothing else; of an update that was cut short all or nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bank = DiskBank(path, DIM)
    with bank:
        live = bank.ids()
        missing = stored - may_be_gone - set(live.tolist())
        assert not missing, f"acknowledged rows are missing: {sorted(missing)[:10]}"
        assert not gone & set(live.tolist()), "forgotten rows came back"
        block = bank.get(live)
        signs = block.patterns[:, :1].sign()
        negative = set(live[signs[:, 0] < 0].tolist())
        assert negative in (turned & set(live.tolist()), (turned ^ turning) & set(live.tolist())), "an update is torn"
        assert torch.equal(block.patterns, row_of(live, DIM) * signs)
        assert torch.equal(block.values, row_of(live, VALUE_DIM) * signs) if len(live) else True
        assert bank.metadata(live) == [entry_of(one) for one in live.tolist()]
        streamed = [block.ids for block in bank.blocks(7)]
        assert torch.equal(torch.cat(streamed) if streamed else live[:0], live)
        assert bank._manifest.snapshot().head.next_id > max(stored, default=-1)
        if kill % 10 == 9:
            assert len(bank.lost()) == 0
    return negative


def main(path, kills, seed):
    torch.set_num_threads(1)
    segments.SEGMENT_BYTES = 2048
    random.seed(seed)
    stored, may_be_gone, gone, turned = set(), set(), set(), set()
    for kill in range(kills):
        # some die while they open the bank, the first while it creates it
        lines, milliseconds = random.randint(0, 6) if kill % 4 else 0, random.uniform(0, 12)
        turning = set()
        for line in run_and_kill(path, lines, milliseconds, random.random()):
            word, *numbers = line.split()
            numbers = [int(number) for number in numbers]
            if word == "stored":
                stored |= set(range(numbers[0], numbers[1] + 1))
            elif word == "forgetting":
                may_be_gone |= set(numbers)
            elif word == "forgot":
                gone |= set(numbers)
            elif word == "turning":
                turning = set(numbers)
            else:
                turned, turning = turned ^ turning, set()
        turned = check(path, kill, stored, may_be_gone, gone, turned, turning)
    sys.stdout.write(f"seed {seed}: {kills} kills, {len(stored)} rows acknowledged, {len(gone)} forgotten")


def kill_writers(path, kills, seed):
    done = subprocess.run(
        [sys.executable, __file__, str(path), str(kills), str(seed)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    sys.stdout.write(done.stdout)
    assert int(done.stdout.split("kills, ")[1].split()[0]) > 0, f"seed {seed}: no writer lived long enough to store"


def kill_appenders(path, kills, seed):
    program = Path(__file__).with_name("kill_appenders.py")
    done = subprocess.run([sys.executable, program, path, str(kills), str(seed)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    sys.stdout.write(done.stdout)
    assert int(done.stdout.split("kills, ")[1].split()[0]) > kills / 4, f"too few appenders lived long enough: {done.stdout}"


def test_what_was_appended_survives_a_kill(tmp_path):
    kill_appenders(tmp_path / "bank", 50, seed=0)


@pytest.mark.slow
def test_what_was_appended_survives_a_thousand_kills(tmp_path):
    kill_appenders(tmp_path / "bank", 1000, seed=1)


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    kill_writers(tmp_path / "bank", 20, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_what_was_acknowledged_survives_a_thousand_kills(tmp_path, seed):
    kill_writers(tmp_path / "bank", 100, seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
