"""The command `attractor serve`: a process of its own, which ends cleanly and which no slow client holds up."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import torch

from attractor.app.cli import main
from attractor.bank import DiskBank

pytest.importorskip("fastapi", reason="the service needs FastAPI (extra serve)")
pytest.importorskip("uvicorn", reason="the service needs uvicorn (extra serve)")

DIM = 4


@pytest.fixture
def served(tmp_path):
    """The process and its port."""
    command = [sys.executable, "-m", "attractor.app.cli", "serve", str(tmp_path / "bank"), "--dim", str(DIM), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    line = process.stdout.readline()
    assert "serving" in line and "http://127.0.0.1:" in line, process.stderr.read()
    yield process, int(line.rsplit(":", 1)[1])
    process.kill()
    process.communicate()


def ask(port, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def half_sent(port, body):
    """A connection that owes the second half of a body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"POST /store HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[: len(body) // 2])
    return connection


def test_slow_clients_stop_nobody_and_a_signal_ends_the_service_after_its_last_answer(served, tmp_path):
    process, port = served
    stored = torch.eye(DIM)
    assert ask(port, "/store", {"patterns": stored.tolist()}) == {"ids": [0, 1, 2, 3]}
    body = json.dumps({"patterns": [[9.0] * DIM]}).encode()
    slow = [half_sent(port, body) for _ in range(20)]
    assert ask(port, "/recall", {"cues": stored[[2]].tolist()})["index"] == [2]
    assert ask(port, "/health") == {"status": "ok"}
    for connection in slow[1:]:
        connection.close()
    with pytest.raises(urllib.error.HTTPError, match="413"):  # told to a client that sends all before it listens
        urllib.request.urlopen(f"http://127.0.0.1:{port}/store", b" " * 20_000_000, timeout=60)
    process.send_signal(signal.SIGTERM)
    slow[0].sendall(body[len(body) // 2 :])
    answer = slow[0].makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"ids":[4]}')
    slow[0].close()
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in complaints, complaints
    with DiskBank(tmp_path / "bank") as bank:
        assert len(bank) == 5


def test_another_host_needs_a_token(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "bank"), "--dim", "4", "--host", "0.0.0.0"]) == 2
    assert "--token must be given" in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()


def test_a_folder_without_a_bank_is_named(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "bank")]) == 2
    assert "path must hold a bank" in capsys.readouterr().err


def test_a_body_that_does_not_come_in_time_is_refused():
    from attractor.app.serve.limits import BodyLimit, Limits

    sent, reached = [], []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    async def app(*_):
        reached.append(True)

    limited = BodyLimit(app, Limits(seconds=0.05))
    asyncio.run(limited({"type": "http", "headers": []}, receive, send))
    assert sent[0]["status"] == 408 and not reached
