"""Processes are killed at random moments while they append to a bank on disk: `kill_appenders.py FOLDER KILLS SEED`.

The parent, from which all are forked, imports no torch. It prints its seed, how many rows were acknowledged, and the seconds.
"""

import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from attractor.bank import RowStore, segments

DIM, VALUE_DIM = 6, 2


def row_of(ids, width):
    """What is stored under an id: whole numbers that float32 holds exactly."""
    return ((ids[:, None] * 1_000_003 + np.arange(width) * 7_919) % 16_777_213 + 1).astype(np.float32)


def entry_of(one):
    return {"name": f"row {one}"} if one % 3 == 0 else None


def append_for_ever(path, report, seed):
    """Append, and report the last id of each append once it is acknowledged."""
    draw = random.Random(seed)
    with RowStore(path, DIM) as store:
        while True:
            first = store.manifest.snapshot().head.next_id
            wanted = np.arange(first, first + draw.randint(1, 40))
            ids = store.append(row_of(wanted, DIM), row_of(wanted, VALUE_DIM), [entry_of(one) for one in wanted.tolist()])
            assert ids.tolist() == wanted.tolist()
            os.write(report, int(ids[-1]).to_bytes(8, "little"))


def run_and_kill(path, draw):
    """Kill an appender some time after it was forked, or after its first acknowledgement; the last id that it acknowledged."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(reading)
            append_for_ever(path, report, draw.random())
        os._exit(1)
    os.close(report)
    told = os.read(reading, 8) if draw.random() < 0.75 else b""
    time.sleep(draw.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while more := os.read(reading, 2**16):
        told += more
    os.close(reading)
    assert os.WIFSIGNALED(status), f"the appender ended by itself with {status}"
    return int.from_bytes(told[-8:], "little") if told else -1


def check(path, last, checked):
    """What was acknowledged up to the id `last` is there, whole, and nothing else; rows before `checked` were looked at before."""
    with RowStore(path, DIM) as store:  # makes it where the first appender died before it did
        snapshot = store.manifest.snapshot()
        count = len(store)
        assert snapshot.head.next_id == count > last, f"{last + 1} rows were acknowledged, {count} are there"
        assert len(store.lost(snapshot, thorough=False)) == 0
        for segment in snapshot.segments:
            if segment.last_id >= checked:
                rows = store.sound(snapshot, segment)
                for name, width in (("patterns", DIM), ("values", VALUE_DIM)):
                    assert np.array_equal(rows[name], row_of(segment.all_ids(), width).view(np.uint8)), f"{name} differ"
        named = [one for one in range(checked, count) if one % 3 == 0]
        assert [store.manifest.named(f"row {one}").tolist() for one in named] == [[one] for one in named]
        return count


def main(path, kills, seed):
    assert "torch" not in sys.modules
    segments.SEGMENT_BYTES = 2048
    draw, start = random.Random(seed), time.perf_counter()
    last, count, appenders = -1, 0, 0
    for _ in range(kills):
        told = run_and_kill(path, draw)
        appenders += told >= 0
        last = max(last, told)
        count = check(path, last, count)
    assert check(path, last, 0) == count
    seconds = time.perf_counter() - start
    sys.stdout.write(
        f"seed {seed}: {kills} kills, {appenders} appenders lived to store, {last + 1} rows, 0 lost, {seconds:.1f} s\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
