"""Who may ask the service: decided before a body is read, with the limits of what is read after."""

import asyncio
import json

import pytest

pytest.importorskip("starlette", reason="the service needs FastAPI (extra serve)")

from attractor.app.serve.gate import Gate, without_port
from attractor.app.serve.limits import BodyLimit, Limits

ACCEPTED = {"type": "http.response.start", "status": 204}


async def accept(scope, receive, send):
    await receive()
    await send(ACCEPTED)


def ask(app, headers=(), *, path="/store", chunks=(b"",)):
    """Status, answer and how many chunks of the body were read."""
    sent, left = [], list(chunks)

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": "POST", "headers": [(a.encode(), b.encode()) for a, b in headers]}
    asyncio.run(app(scope, receive, send))
    return sent[0], b"".join(message.get("body", b"") for message in sent[1:]), len(chunks) - len(left)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer secret", 204),
        ("bearer secret", 204),
        ("Bearer secrets", 401),
        ("Bearer secre", 401),
        ("Bearer ", 401),
        ("Basic secret", 401),
        ("secret", 401),
        (None, 401),
    ],
)
def test_the_token_is_checked_before_anything_is_read(authorization, status):
    headers = [] if authorization is None else [("authorization", authorization)]
    start, body, read = ask(Gate(BodyLimit(accept, Limits()), None, "secret"), headers)
    assert (start["status"], read) == (status, int(status == 204))
    if status == 401:
        assert (b"www-authenticate", b"Bearer") in start["headers"] and (b"connection", b"close") in start["headers"]
        assert "token" in json.loads(body)["detail"]


def test_health_needs_no_token_and_the_document_does():
    gate = Gate(accept, None, "secret")
    assert ask(gate, path="/health")[0]["status"] == 204
    assert ask(gate, path="/openapi.json")[0]["status"] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("host", "127.0.0.1:8000")], 204),
        ([("host", "LOCALHOST")], 204),
        ([("host", "[::1]:8000")], 204),
        ([("host", "attacker.example:8000")], 400),
        ([("host", "127.0.0.1.attacker.example")], 400),
        ([("host", "127.0.0.1:8000@attacker.example")], 400),
        ([("host", "")], 400),
        ([], 400),
        ([("host", "localhost:8000"), ("origin", "http://localhost:8000")], 204),
        ([("host", "localhost:8000"), ("origin", "http://localhost:3000")], 403),
        ([("host", "localhost:8000"), ("origin", "https://attacker.example")], 403),
        ([("host", "localhost:8000"), ("origin", "null")], 403),
    ],
)
def test_only_by_its_own_names_and_from_no_page_of_another(headers, status):
    start, _, read = ask(Gate(accept, ("127.0.0.1", "localhost", "[::1]"), None), headers)
    assert (start["status"], read) == (status, int(status == 204))
    assert ask(Gate(accept, None, None), headers)[0]["status"] == 204


@pytest.mark.parametrize(("host", "name"), [("a:80", "a"), ("a", "a"), ("a:", "a"), ("[::1]", "[::1]"), ("a:b", "a:b")])
def test_the_name_of_a_host(host, name):
    assert without_port(host) == name


@pytest.mark.parametrize(
    ("declared", "chunks", "status", "read"),
    [
        ("11", [b"x" * 11], 413, 1),
        ("41", [b"x" * 41], 413, 0),
        ("9" * 5_000, [b""], 413, 0),
        (None, [b"x" * 4] * 9, 413, 9),
        (None, [b"x" * 4] * 99, 413, 3 + 10),
        ("10", [b"x" * 4] * 99, 413, 3 + 10),
        ("nonsense", [b"x"], 204, 1),
        ("-1", [b"x"], 204, 1),
        ("10", [b"x" * 10], 204, 1),
    ],
)
def test_what_is_too_large_is_dropped_so_far_and_then_left(declared, chunks, status, read):
    headers = [] if declared is None else [("content-length", declared)]
    start, _, taken = ask(BodyLimit(accept, Limits(body=10)), headers, chunks=chunks)
    assert (start["status"], taken) == (status, read)


def test_a_client_that_waits_to_be_told_is_told_at_once():
    start, _, taken = ask(BodyLimit(accept, Limits(body=10)), [("content-length", "11"), ("expect", "100-continue")], chunks=[b"x"])
    assert (start["status"], taken) == (413, 0)


def test_dropping_ends_when_the_time_is_up():
    sent = []

    async def stall():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/store", "headers": [(b"content-length", b"11")]}
    asyncio.run(BodyLimit(accept, Limits(body=10, seconds=0.05))(scope, stall, send))
    assert sent[0]["status"] == 413
