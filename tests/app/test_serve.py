"""The service in this process: its verbs, its limits, its batches, and its own OpenAPI document as a fuzzer reads it."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from attractor.bank import DiskBank, RamBank
from attractor.bank.segments import SegmentError
from attractor.memory import DenseMemory

pytest.importorskip("fastapi", reason="the service needs FastAPI (extra serve)")
try:
    from starlette.testclient import TestClient
except RuntimeError as error:  # it needs httpx or httpx2, by its version
    if "CI" in os.environ:  # where everything is installed, a skip would hide all of this file
        raise
    pytest.skip(str(error), allow_module_level=True)

from attractor.app.serve import batching
from attractor.app.serve.limits import Limits
from attractor.app.serve.service import service

DIM = 6
REFUSED = 77.0


class Slow(DenseMemory):
    """Recalls when it may."""

    def __init__(self, **given):
        super().__init__(**given)
        self.may, self.begun, self.sizes = threading.Event(), threading.Event(), []

    def recall(self, cues, *given, **more):
        self.begun.set()
        assert self.may.wait(20)
        if (cues == REFUSED).any():
            raise ValueError("one of the cues is refused")
        self.sizes.append(len(cues))
        return super().recall(cues, *given, **more)


def patterns(count=5, seed=0):
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def memory(tmp_path):
    with DiskBank(tmp_path / "bank", DIM) as bank:
        yield DenseMemory(bank=bank)


@pytest.fixture
def client(memory):
    with TestClient(service(memory, limits=Limits(body=10_000, rows=8))) as client:
        yield client


def test_what_is_stored_is_recalled_with_its_metadata_and_forgotten(client, memory):
    stored = patterns()
    answer = client.post("/store", json={"patterns": stored.tolist(), "metadata": [{"name": f"n{row}"} for row in range(5)]})
    assert answer.json() == {"ids": [0, 1, 2, 3, 4]}
    found = client.post("/recall", json={"cues": stored[[3, 1]].tolist()}).json()
    expected = memory.recall(stored[[3, 1]])
    assert found["index"] == [3, 1] and found["metadata"] == [{"name": "n3"}, {"name": "n1"}]
    for name in ("patterns", "score", "margin", "energy"):
        torch.testing.assert_close(torch.tensor(found[name]), getattr(expected, name))
    for name in ("accepted", "steps", "converged"):
        assert found[name] == getattr(expected, name).tolist()
    assert client.post("/forget", json={"ids": [1, 4]}).json() == {"forgotten": 2}
    stats = client.get("/stats").json()
    assert stats == {"patterns": 3, "dim": DIM, "value_dim": None, "dtype": "float32", "version": 2, "cues": 2, "batches": 1}
    assert client.get("/health").json() == {"status": "ok"}


def test_unknown_entries_are_filled_and_a_cue_below_the_threshold_is_refused(client):
    stored = patterns()
    client.post("/store", json={"patterns": stored.tolist()})
    cue, known = stored[[2]].clone(), [[True, True, True, False, True, False]]
    cue[0, [3, 5]] = 9.0
    found = client.post("/recall", json={"cues": cue.tolist(), "known": known}).json()
    torch.testing.assert_close(torch.tensor(found["patterns"]), stored[[2]], rtol=1e-3, atol=1e-3)
    refused = client.post("/recall", json={"cues": cue.tolist(), "reject": 0.0}).json()
    assert refused["accepted"] == [False] and refused["patterns"] == cue.tolist()


def test_values_are_recalled_in_place_of_patterns(client):
    client.post("/store", json={"patterns": patterns().tolist(), "values": torch.eye(5).tolist()})
    found = client.post("/recall", json={"cues": patterns()[[4]].tolist()}).json()
    torch.testing.assert_close(torch.tensor(found["patterns"]), torch.eye(5)[[4]], rtol=1e-3, atol=1e-3)
    assert client.post("/store", json={"patterns": patterns().tolist()}).status_code == 409


def test_a_single_item_has_no_margin(client):
    client.post("/store", json={"patterns": patterns(1).tolist()})
    assert client.post("/recall", json={"cues": patterns(1).tolist()}).json()["margin"] == [None]


ROW = [0.0] * DIM


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/store", b"{", 422),
        ("/store", b"\xff\xfe", 422),
        ("/store", b"[" * 5_000, 400),
        ("/store", {"patterns": [ROW[1:]]}, 422),
        ("/store", {"patterns": [["1"] * DIM]}, 422),
        ("/store", {"patterns": [[True] * DIM]}, 422),
        ("/store", {"patterns": [[1e16] * DIM]}, 422),
        ("/store", {"patterns": []}, 422),
        ("/store", {"patterns": [ROW], "colour": 1}, 422),
        ("/store", {"patterns": [ROW] * 9}, 422),
        ("/store", {"patterns": [ROW, ROW], "values": [[1.0], [1.0, 2.0]]}, 409),
        ("/store", {"patterns": [ROW], "metadata": [{}, {}]}, 409),
        ("/recall", {"cues": [ROW[1:]]}, 422),
        ("/recall", {"cues": [ROW], "known": [[False] * DIM]}, 422),
        ("/recall", {"cues": [ROW], "known": [[True] * DIM] * 2}, 409),
        ("/recall", {"cues": [ROW] * 9}, 422),
        ("/recall", b'{"cues": [[NaN, 0, 0, 0, 0, 0]]}', 422),
        ("/forget", {"ids": [77]}, 409),
        ("/forget", {"ids": [0, 0]}, 409),
        ("/forget", {"ids": [2**63]}, 422),
        ("/forget", {"ids": [-1]}, 422),
        ("/forget", {"ids": list(range(9))}, 422),
        ("/elsewhere", {}, 404),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason_and_changes_nothing(client, memory, path, body, status):
    client.post("/store", json={"patterns": patterns(2).tolist()})
    version = memory.bank.version
    sent = {"content": body, "headers": {"Content-Type": "application/json"}} if isinstance(body, bytes) else {"json": body}
    answer = client.post(path, **sent)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str) and len(answer.text) < 500
    assert memory.bank.version == version and len(memory) == 2


def test_an_empty_memory_says_so(client):
    answer = client.post("/recall", json={"cues": [ROW]})
    assert answer.status_code == 409 and "empty" in answer.json()["detail"]


def test_a_body_over_the_limit_is_refused_declared_or_not(client):
    large = b" " * 10_001
    assert client.post("/store", content=large).status_code == 413
    began = time.monotonic()
    assert client.post("/store", content=(large[:3_000] for _ in range(4))).status_code == 413
    assert time.monotonic() - began < 10  # after the last byte there is nothing to wait for
    assert client.post("/store", content=b" " * 10_000).status_code == 422


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("/secret/bank.db: the disk is full"), "the bank cannot work now"),
        (SegmentError("/secret/segment is damaged"), "the bank cannot work now"),
        (TimeoutError("/secret/bank.db is being written"), "another process writes to the bank: try again"),
    ],
)
def test_what_the_bank_cannot_do_is_no_mistake_of_the_client_and_names_no_file(client, memory, monkeypatch, caplog, error, told):
    def failing(*_):
        raise error

    monkeypatch.setattr(memory.bank, "append", failing)
    answer = client.post("/store", json={"patterns": [ROW]})
    assert (answer.status_code, answer.json()) == (503, {"detail": told})
    assert str(error) in caplog.text


def test_metadata_that_could_not_be_answered_is_not_stored(client, memory):
    for entry in (b'{"a": "\\ud800"}', b'{"a": 1e999}', b'{"a": {"b": ["\\udc00"]}}'):
        body = b'{"patterns": [[0,0,0,0,0,0]], "metadata": [' + entry + b"]}"
        assert client.post("/store", content=body, headers={"Content-Type": "application/json"}).status_code == 422
    assert len(memory) == 0


def test_cues_that_wait_are_recalled_together_and_each_gets_its_own():
    memory, stored = Slow(bank=RamBank(DIM)), patterns(12)
    memory.store(stored)
    mask = [[True] * (DIM - 1) + [False]]
    bodies = [{"cues": stored[[row]].tolist()} for row in range(8)]
    bodies += [{"cues": stored[[row]].tolist(), "known": mask} for row in range(8, 10)]
    bodies += [{"cues": stored[[row]].tolist(), "reject": 1e9} for row in range(10, 12)]
    app = service(memory, limits=Limits(rows=5))
    with TestClient(app) as client, ThreadPoolExecutor(16) as pool:
        first = pool.submit(client.post, "/recall", json=bodies[0])
        assert memory.begun.wait(20)
        others = [pool.submit(client.post, "/recall", json=body) for body in bodies[1:]]
        # all have arrived when the loop has answered something that came after them
        for _ in range(50):
            client.get("/health")
        memory.may.set()
        found = [one.result().json() for one in [first, *others]]
        stats = client.get("/stats").json()
    assert [one["index"] for one in found] == [[row] for row in range(12)]
    assert [one["accepted"] for one in found[10:]] == [[False], [False]]
    assert max(memory.sizes) <= 5 and sum(memory.sizes) == 12 == stats["cues"]
    assert len(memory.sizes) == stats["batches"] <= 8


def test_the_mistake_of_one_waiting_cue_is_not_that_of_others():
    memory = Slow(bank=RamBank(DIM))
    memory.store(patterns(3))
    refused = torch.full((1, DIM), REFUSED)
    with TestClient(service(memory)) as client, ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.post, "/recall", json={"cues": patterns(1).tolist()})
        assert memory.begun.wait(20)
        others = [pool.submit(client.post, "/recall", json={"cues": cues.tolist()}) for cues in (patterns(1), refused, patterns(1))]
        for _ in range(50):
            client.get("/health")
        memory.may.set()
        found = [one.result() for one in [first, *others]]
    assert [one.json().get("index") for one in (found[0], found[1], found[3])] == [[0]] * 3
    assert (found[2].status_code, found[2].json()) == (409, {"detail": "one of the cues is refused"})
    assert len(memory.sizes) == 3


@pytest.mark.parametrize("where", ["recall", "metadata"])
def test_a_defect_is_told_to_each_that_waits_and_the_next_is_answered(where, monkeypatch):
    memory = DenseMemory(bank=RamBank(DIM))
    memory.store(patterns(3))
    with TestClient(service(memory), raise_server_exceptions=False) as client:
        with monkeypatch.context() as broken:
            broken.setattr(memory if where == "recall" else memory.bank, where, lambda *_, **__: 1 // 0)
            answer = client.post("/recall", json={"cues": patterns(1).tolist()})
        assert (answer.status_code, answer.json()) == (500, {"detail": "the service failed to answer this request"})
        assert client.post("/recall", json={"cues": patterns(1).tolist()}).json()["index"] == [0]


def test_the_token_comes_before_the_body(memory):
    bearer = {"Authorization": "Bearer secret"}
    with TestClient(service(memory, token="secret", limits=Limits(body=200))) as client:
        for body in (b"{", b" " * 201, b'{"patterns": [[0, 0, 0, 0, 0, 0]]}'):
            assert client.post("/store", content=body).status_code == 401
        assert client.get("/openapi.json").status_code == client.get("/stats").status_code == 401
        assert client.get("/health").status_code == 200
        assert client.get("/stats", headers=bearer).json()["patterns"] == 0
        schemes = client.get("/openapi.json", headers=bearer).json()["components"]["securitySchemes"]
        assert [one["scheme"] for one in schemes.values()] == ["bearer"]
    with pytest.raises(ValueError, match="token must not be empty"):
        service(memory, token="")


def test_what_breaks_a_batch_as_such_leaves_nobody_waiting(monkeypatch):
    memory = DenseMemory(bank=RamBank(DIM))
    memory.store(patterns(3))
    with TestClient(service(memory), raise_server_exceptions=False) as client:
        with monkeypatch.context() as broken:
            broken.setattr(batching, "split", lambda *_: 1 // 0)
            assert client.post("/recall", json={"cues": patterns(1).tolist()}).status_code == 500
        assert client.post("/recall", json={"cues": patterns(1).tolist()}).status_code == 200


def test_a_batch_gives_each_client_the_metadata_of_its_own_and_asks_the_bank_once(monkeypatch):
    memory, asked = Slow(bank=RamBank(DIM)), []
    memory.store(patterns(4), metadata=[{"row": row} for row in range(4)])
    metadata = memory.bank.metadata
    monkeypatch.setattr(memory.bank, "metadata", lambda ids: asked.append(len(ids)) or metadata(ids))
    bodies = [{"cues": patterns(4)[some].tolist()} for some in ([0], [1, 2], [3])]
    with TestClient(service(memory)) as client, ThreadPoolExecutor(4) as pool:
        first = pool.submit(client.post, "/recall", json=bodies[0])
        assert memory.begun.wait(20)
        others = [pool.submit(client.post, "/recall", json=body) for body in bodies[1:]]
        for _ in range(50):
            client.get("/health")
        memory.may.set()
        found = [one.result().json()["metadata"] for one in [first, *others]]
    assert found == [[{"row": 0}], [{"row": 1}, {"row": 2}], [{"row": 3}]]
    assert sum(asked) == 4 and len(asked) <= 3


def test_cues_of_any_size_do_not_change_what_stands_beside_them():
    memory = DenseMemory(bank=RamBank(DIM))
    memory.store(patterns(5))
    cues = torch.cat([patterns(5)[[2]], torch.full((1, DIM), 1e15), torch.zeros(1, DIM)])
    together, alone = memory.recall(cues), memory.recall(cues[:1])
    for name in ("patterns", "index", "score", "margin", "energy", "converged"):
        torch.testing.assert_close(getattr(together, name)[:1], getattr(alone, name))


def test_a_bank_that_is_busy_does_not_hold_up_the_loop(memory, monkeypatch):
    threads = set()
    kind = type(memory.bank)
    dtype = kind.dtype.fget
    monkeypatch.setattr(kind, "dtype", property(lambda bank: threads.add(threading.current_thread().name) or dtype(bank)))
    with TestClient(service(memory)) as client:
        client.post("/store", json={"patterns": patterns().tolist()})
        client.post("/recall", json={"cues": patterns(1).tolist()})
        client.get("/stats")
    assert threads and all(name.startswith("memory") for name in threads)


def test_recall_does_not_hold_up_what_needs_no_memory():
    memory = Slow(bank=RamBank(DIM))
    memory.store(patterns(3))
    with TestClient(service(memory)) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/recall", json={"cues": patterns(1).tolist()})
        assert memory.begun.wait(20)
        assert client.get("/health").status_code == 200 and not waiting.done()
        memory.may.set()
        assert waiting.result().status_code == 200


def test_the_document_tells_widths_and_limits(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    array = schemas["Patterns"]["properties"]["patterns"]
    assert (array["maxItems"], array["items"]["minItems"], array["items"]["maxItems"]) == (8, DIM, DIM)
    assert client.get("/docs").status_code == 404
