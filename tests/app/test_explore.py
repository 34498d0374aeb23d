"""The server of the explorer in this process: what it stores, recalls, measures and refuses, and what keeps it to itself."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from attractor.app.cli import main
from attractor.data import load
from attractor.memory import DenseMemory

pytest.importorskip("fastapi", reason="the explorer needs FastAPI (extra web)")
pytest.importorskip("plotly", reason="the explorer needs plotly (extra web)")
pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
pytest.importorskip("starlette.testclient", reason="asking the server needs an HTTP client")

from starlette.testclient import TestClient

from attractor.app.explore import claims, shelf
from attractor.app.explore.site import BODY, STATIC, site
from attractor.app.explore.stock import TITLES
from attractor.app.explore.visits import MOST_VISITS, ForgottenError, Visits

ALL = list(TITLES)


@pytest.fixture(scope="module")
def client():
    with TestClient(site(shelf.Shelf()), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def page(client):
    """A page of its own: asks with its key."""
    key = client.post("/api/visit").json()["visit"]

    def ask(path, body=None, method=None, **given):
        if body is not None:
            given["json"] = body
        chosen = method or ("POST" if given else "GET")
        return client.request(chosen, path, headers={"X-Visit": key}, **given)

    return ask


@pytest.fixture
def stored(page):
    answer = page("/api/store", {"source": "digits", "count": 40})
    assert answer.status_code == 200, answer.text
    return page


def packed(numbers):
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def unpacked(text, dtype):
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=dtype).copy())


def pattern(page, row):
    return unpacked(page(f"/api/items/{row}").json()["pattern"], np.float32)


def picture(size=(20, 12), colour=(10, 200, 30)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def test_every_memory_recalls_a_cue_whose_missing_part_it_is_told(stored):
    item = pattern(stored, 3)
    cue, known = item.clone(), np.ones(64, dtype=np.uint8)
    cue[32:], known[32:] = 0, 0
    body = {"cue": packed(cue.numpy()), "known": packed(known), "memories": ALL, "item": 3}
    answers = {answer["memory"]: answer for answer in stored("/api/recall", body).json()["answers"]}
    assert list(answers) == ALL and not any("error" in answer for answer in answers.values())
    for name in ("dense", "cosine", "manhattan", "sparsemax", "nearest"):
        assert answers[name]["winner"]["row"] == 3 and answers[name]["winner"]["right"] is True
    expected = DenseMemory(64)
    expected.store(torch.stack([pattern(stored, row) for row in range(40)]))
    recalled = expected.recall(cue[None], torch.from_numpy(known).bool()[None])
    dense = answers["dense"]
    assert dense["margin"] == pytest.approx(float(recalled.margin), rel=1e-4)
    assert dense["energies"][-1] == pytest.approx(float(recalled.energy), abs=1e-4)
    assert unpacked(dense["image"], np.uint8).tolist() == (recalled.patterns[0].clamp(0, 1) * 255).round().tolist()
    for answer in answers.values():
        frames = unpacked(answer["frames"], np.uint8).view(-1, 64)
        assert len(frames) == len(answer["frame_steps"]) and frames[0].tolist() == (cue.clamp(0, 1) * 255).round().tolist()
        assert frames[-1].tolist() == unpacked(answer["image"], np.uint8).tolist()
        assert answer["energies"] is None or len(answer["energies"]) == answer["frame_steps"][-1] + 1


def test_a_stored_cue_is_recognised_and_noise_is_refused(stored):
    yes = stored("/api/verdict", {"cue": packed(pattern(stored, 5).numpy())}).json()
    assert yes["recognised"] and yes["nearest"]["row"] == 5 and yes["resemblance"] == pytest.approx(1, abs=1e-3)
    noise = np.random.default_rng(0).random(64, dtype=np.float32)
    assert not stored("/api/verdict", {"cue": packed(noise)}).json()["recognised"]


def test_what_is_stored_is_paged_and_what_is_not_is_at_hand(stored):
    stock = load("digits").take(1797)
    first = stored("/api/items?start=0&count=24").json()
    rest = stored("/api/items?start=24&count=24").json()
    assert (len(first["images"]), len(rest["images"]), rest["total"]) == (24, 16, 40)
    rows = {tuple(row.tolist()) for row in stock.patterns}
    unseen = unpacked(stored("/api/unseen?row=2").json()["pattern"], np.float32)
    mine = {tuple(pattern(stored, row).tolist()) for row in range(40)}
    assert tuple(unseen.tolist()) in rows and tuple(unseen.tolist()) not in mine


def test_ones_own_pictures_are_stored_and_a_bad_one_is_named(page):
    for number, colour in enumerate(((250, 0, 0), (0, 250, 0), (0, 0, 250))):
        assert page(f"/api/uploads?name=p{number}.png", content=picture(colour=colour)).json() == {"count": number + 1}
    bad = page("/api/uploads?name=notes.txt", content=b"no picture")
    assert bad.status_code == 409 and "notes.txt cannot be read as an image" in bad.json()["detail"]
    answer = page("/api/store", {"source": "own", "count": 9, "edge": 16, "colour": True}).json()
    assert answer["count"] == 3 and answer["shape"] == [3, 16, 16]
    captions = page("/api/items").json()["captions"]
    row = captions.index("p2.png")
    torch.testing.assert_close(pattern(page, row).view(3, 256).mean(1), torch.tensor([0, 0, 250 / 255]))
    cue = page("/api/cue?name=other.png", content=picture((50, 60)))
    assert len(unpacked(cue.json()["pattern"], np.float32)) == 768
    assert page("/api/uploads", method="DELETE").json() == {"count": 0}
    assert page("/api/store", {"source": "own", "count": 1}).status_code == 409


def cue_of(width=64, known=None, value=0.5):
    row = np.full(width, value, dtype=np.float32)
    return {
        "cue": packed(row),
        "known": None if known is None else packed(np.full(64, known, dtype=np.uint8)),
        "memories": ["dense"],
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/api/recall", cue_of(63), 409, "64 numbers"),
        ("/api/recall", cue_of(value=np.nan), 409, "finite"),
        ("/api/recall", cue_of(known=0), 409, "nothing of the cue is known"),
        ("/api/recall", cue_of() | {"cue": "???"}, 409, "base64"),
        ("/api/recall", cue_of() | {"colour": 1}, 422, "colour"),
        ("/api/store", {"source": "elsewhere", "count": 5}, 409, "digits"),
        ("/api/store", {"source": "digits", "count": 0}, 422, "count"),
        ("/api/landscape", {"points": [[0, 9]]}, 422, "points"),
        ("/api/landscape", {"points": []}, 422, "points"),
        ("/api/way", {"points": [[1, 0]], "similarity": "cosine", "start": [0, 0]}, 409, "direction"),
        ("/api/capacity", {"source": "digits", "memories": ["elsewhere"]}, 409, "elsewhere"),
        ("/api/capacity", {"source": "digits", "memories": ["dense"], "damage": "flips", "strength": 2}, 409, "fraction"),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(stored, path, body, status, reason):
    answer = stored(path, body)
    assert (answer.status_code, reason in answer.json()["detail"]) == (status, True), answer.text


def test_what_one_memory_refuses_stops_no_other(stored):
    body = cue_of(value=0.0) | {"memories": ["cosine", "dense", "elsewhere"]}
    cosine, dense, unknown = stored("/api/recall", body).json()["answers"]
    assert "direction" in cosine["error"] and "error" not in dense and "elsewhere" in unknown["error"]


def test_nothing_is_recalled_before_something_is_stored(page):
    for path, body in (("/api/recall", cue_of()), ("/api/verdict", {"cue": "AAAA"}), ("/api/items", None), ("/api/unseen", None)):
        answer = page(path, body)
        assert answer.status_code == 409 and "nothing is stored yet" in answer.json()["detail"]


def test_landscape_and_way_are_those_of_the_memory(client):
    body = {"points": [[-1, 0], [1, 0]], "beta": 20, "fine": False}
    found = client.post("/api/landscape", json=body).json()
    assert [point["nearest"] for point in found["fixed_points"]] == [0, 1]
    labels = unpacked(found["labels"], np.int8).view(found["cells"], -1)
    assert (labels[:, : found["cells"] // 2] == 0).all() and (labels[:, found["cells"] // 2 :] == 1).all()
    way = client.post("/api/way", json=body | {"start": [0.3, 1.0]}).json()
    assert way["states"][0] == [0.3, 1.0] and way["states"][-1] == pytest.approx([1, 0], abs=1e-3) and way["winner"] == 1
    assert all(after <= before + 1e-12 for before, after in zip(way["energies"], way["energies"][1:], strict=False))


@pytest.mark.parametrize("along", ["load", "damage"])
def test_capacity_is_measured_point_by_point(stored, along):
    body = {"source": "digits", "memories": ["dense", "nearest"], "along": along, "damage": "hidden", "strength": 0.5}
    lines = stored("/api/capacity", body | {"most": 25, "cues": 5}).text.splitlines()
    head, *points = map(json.loads, lines)
    assert head["total"] == len(points) and {point["memory"] for point in points} == {"dense", "nearest"}
    assert [point["position"] for point in points if point["memory"] == "dense"] == sorted(
        head["positions"] if along == "damage" else [10, 20, 25]
    )
    for point in points:
        for score in ("exact", "identified"):
            assert 0 <= point[score]["low"] <= point[score]["rate"] <= point[score]["high"] <= 1
    gentle = [point["identified"]["rate"] for point in points if point["position"] in (0.1, 10)]
    assert gentle == [1, 1]


def test_a_new_measurement_ends_the_one_before(stored, monkeypatch):
    from attractor.app.explore import site as module

    visits, measured = [], []
    find = Visits.find
    monkeypatch.setattr(Visits, "find", lambda self, key: visits.append(find(self, key)) or visits[-1])

    def endless(*_):
        yield {"total": 0}
        for number in range(10_000):
            measured.append(number)
            if number == 3:
                visits[-1].sweep = object()
            yield {"number": number}

    monkeypatch.setattr(module, "measure", endless)
    lines = stored("/api/capacity", {"source": "digits", "memories": ["dense"]}).text.splitlines()
    assert len(lines) == 4 and len(measured) == 4


def test_a_paper_comes_with_rows_command_and_figures(client):
    assert client.get("/api/papers").json()["ids"] == claims.ids()
    assert len(claims.ids()) == 20
    paper = client.get("/api/papers/20").json()
    assert paper["command"].startswith("attractor reproduce 20") and paper["rows"] and paper["figures"]
    assert {"text", "published", "measured", "interval", "ok"} <= set(paper["rows"][0])
    assert client.get("/api/papers/99").status_code == 409


def test_pages_are_forgotten_in_their_order():
    visits = Visits(2)
    first, second = visits.begin(), visits.begin()
    visits.find(first)
    visits.begin()
    assert len(visits) == 2 and visits.find(first)
    with pytest.raises(ForgottenError):
        visits.find(second)
    assert MOST_VISITS <= 8


def test_a_forgotten_page_is_told_so(client):
    answer = client.get("/api/items", headers={"X-Visit": "unknown"})
    assert answer.status_code == 410 and "store them again" in answer.json()["detail"]


def test_only_its_own_page_under_its_own_name_may_ask(client):
    assert client.post("/api/visit", headers={"Origin": "http://attacker.example"}).status_code == 403
    assert client.post("/api/visit", headers={"Origin": "http://127.0.0.1"}).status_code == 200
    assert client.get("/", headers={"Host": "attacker.example"}).status_code == 400
    assert all(client.get("/", headers={"Host": host}).status_code == 200 for host in ("127.0.0.1", "localhost:8100"))


def test_a_body_over_the_limit_is_refused(page):
    assert page("/api/uploads?name=large.png", content=b" " * (BODY + 1)).status_code == 413


def test_every_answer_forbids_what_comes_from_elsewhere(client):
    for path, host in (("/", "localhost"), ("/static/main.js", "localhost"), ("/nowhere", "localhost"), ("/", "attacker.example")):
        policy = client.get(path, headers={"Host": host}).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    plotly = client.get("/plotly.min.js", headers={"Accept-Encoding": "identity"})
    assert "immutable" in plotly.headers["cache-control"] and plotly.text.startswith("/**\n* plotly.js")


def test_the_pages_files_name_no_other_host():
    for path in STATIC.iterdir():
        addresses = re.findall(r"https?://[^\"'\s)]+", path.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


def test_every_module_and_style_that_the_page_names_is_there(client):
    seen, todo = set(), ["/"]
    while todo:
        path = todo.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        seen.add(path)
        found = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text) + [
            f"/static/{name}" for name in re.findall(r'"\./([\w.]+\.js)"', answer.text)
        ]
        todo += [one for one in found if one not in seen]
    assert {f"/static/{path.name}" for path in STATIC.iterdir()} - {"/static/index.html"} <= seen


def test_a_bank_of_pictures_is_offered_and_another_is_refused(tmp_path, capsys):
    from attractor.bank import DiskBank

    for number in range(3):
        (tmp_path / f"p{number}.png").write_bytes(picture(colour=(80 * number, 0, 0)))
    assert main(["store", str(tmp_path / "p0.png"), str(tmp_path / "p1.png"), "--bank", str(tmp_path / "bank")]) == 0
    found = shelf.Shelf(tmp_path / "bank")
    assert found.offered()[0]["name"] == "bank" and found.read("bank").shape == (3, 12, 20)
    assert found.read("bank").names == ("p0.png", "p1.png")
    with DiskBank(tmp_path / "vectors", 4) as bank:
        bank.append(torch.eye(4))
    capsys.readouterr()
    assert main(["explore", "--bank", str(tmp_path / "vectors")]) == 2
    assert "must hold pictures" in capsys.readouterr().err
