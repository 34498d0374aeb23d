"""The server of the explorer in this process: what it stores, recalls, measures and refuses, and what keeps it to itself."""

import base64
import io
import json
import re
from ipaddress import ip_address

import numpy as np
import pytest
import torch
from PIL import Image

from attractor.app.cli import main
from attractor.data import ImageSet, load
from attractor.memory import DenseMemory
from attractor.papers import last_report

pytest.importorskip("fastapi", reason="the explorer needs FastAPI (extra web)")
pytest.importorskip("plotly", reason="the explorer needs plotly (extra web)")
pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
pytest.importorskip("starlette.testclient", reason="asking the server needs an HTTP client")

from starlette.testclient import TestClient

from attractor.app.explore import claims, shelf, stock, sweep, visits
from attractor.app.explore.shelf import Upload
from attractor.app.explore.site import BODY, PAGE_OF_ITEMS, STATIC, site
from attractor.app.explore.stock import TITLES
from attractor.app.explore.visits import MOST_VISITS, ForgottenError, Visits
from attractor.app.explore.wire import COARSE

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
    return png(Image.new("RGB", size, colour))


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_every_memory_recalls_a_cue_whose_missing_part_it_is_told(stored):
    rows = torch.stack([pattern(stored, row) for row in range(40)])
    cue, known = rows[3].clone(), np.ones(64, dtype=np.uint8)
    cue[32:], known[32:] = 1.7, 0  # what is unknown may be anything
    cue[20] += 0.1
    body = {"cue": packed(cue.numpy()), "known": packed(known), "memories": ALL, "item": 3}
    answers = {answer["memory"]: answer for answer in stored("/api/recall", body).json()["answers"]}
    assert list(answers) == ALL and not any("error" in answer for answer in answers.values())
    for name in ("dense", "cosine", "manhattan", "sparsemax", "nearest"):
        assert answers[name]["winner"]["row"] == 3 and answers[name]["winner"]["right"] is True
    expected = DenseMemory(64)
    expected.store(rows)
    recalled = expected.recall(cue[None], torch.from_numpy(known).bool()[None])
    dense, nearest = answers["dense"], answers["nearest"]
    assert dense["margin"] == pytest.approx(float(recalled.margin), rel=1e-4) == nearest["margin"]
    assert dense["energies"][0] is None and dense["energies"][-1] == pytest.approx(float(recalled.energy), abs=1e-4)
    assert unpacked(dense["image"], np.uint8).tolist() == as_drawn(recalled.patterns[0])
    assert unpacked(nearest["image"], np.uint8).tolist() == as_drawn(torch.cat([cue[:32], rows[3, 32:]]))
    for name, answer in answers.items():
        frames = unpacked(answer["frames"], np.uint8).view(-1, 64)
        assert len(frames) == len(answer["frame_steps"]) and frames[0].tolist() == as_drawn(cue)
        assert frames[-1].tolist() == unpacked(answer["image"], np.uint8).tolist()
        assert answer["energies"] is None or len(answer["energies"]) == answer["frame_steps"][-1] + 1
        assert answer["frame_steps"][-1] == (1 if name == "nearest" else answer["steps"])
        off = (frames[-1] / 255 - rows).square().mean(1).sqrt()
        assert answer["distance"] == pytest.approx(float(off.min()), abs=0.005)
        assert answer["counted"] or answer["winner"]["row"] == int(off.argmin())
    assert answers["hebbian"]["notes"] and not dense["notes"]  # 40 images in 64 neurons


def as_drawn(values):
    return (values.clamp(0, 1) * 255).round().tolist()


def test_a_memory_that_recalls_another_image_is_told_so(stored):
    body = {"cue": packed(pattern(stored, 3).numpy()), "memories": ["dense", "nearest"], "item": 5}
    assert [answer["winner"]["right"] for answer in stored("/api/recall", body).json()["answers"]] == [False, False]
    body["item"] = -37  # no row, though Python would take it for the fourth
    assert [answer["winner"]["right"] for answer in stored("/api/recall", body).json()["answers"]] == [None, None]


def test_directions_are_drawn_as_bright_as_what_comes_back(stored):
    blank = pattern(stored, 3)
    blank[32:] = 0
    (answer,) = stored("/api/recall", {"cue": packed(blank.numpy()), "memories": ["cosine"]}).json()["answers"]
    norms = unpacked(answer["frames"], np.uint8).view(-1, 64).float().norm(dim=1)
    assert len(norms) > 1 and (norms / norms[-1] - 1).abs().max() < 0.4  # what is over 1 is cut off


def test_a_register_refuses_what_it_does_not_know(stored):
    noise = np.random.default_rng(0).random(64, dtype=np.float32)
    (answer,) = stored("/api/recall", {"cue": packed(noise), "memories": ["entropic"]}).json()["answers"]
    assert not answer["accepted"] and unpacked(answer["image"], np.uint8).tolist() == as_drawn(torch.from_numpy(noise))


def test_the_winner_is_the_memorys_own():
    dim, bright = [0.2, 0.0], [0.6, 0.6]  # the cue points to the first, and lies nearer to the second
    images = ImageSet(torch.tensor([dim, bright]), (1, 1, 2), "two pixels", levels=256)
    answer = stock.Stock(images, images).recall("cosine", torch.tensor([[1.0, 0.1]]), None, None)
    assert answer["counted"] and answer["winner"]["row"] == 0


def test_a_stored_cue_is_recognised_and_noise_is_refused(stored):
    yes = stored("/api/verdict", {"cue": packed(pattern(stored, 5).numpy())}).json()
    assert yes["recognised"] and yes["nearest"]["row"] == 5 and yes["resemblance"] == pytest.approx(1, abs=1e-3)
    noise = np.random.default_rng(0).random(64, dtype=np.float32)
    assert not stored("/api/verdict", {"cue": packed(noise)}).json()["recognised"]
    few = packed((np.arange(64) < 8).astype(np.uint8))
    told = stored("/api/verdict", {"cue": packed(noise), "known": few}).json()
    whole = stored("/api/verdict", {"cue": packed(noise)}).json()
    assert not told["recognised"] and told["threshold"] > whole["threshold"]  # a little evidence is alike by chance


def test_what_is_stored_is_paged_and_what_is_not_is_at_hand(stored):
    stock = load("digits").take(1797)
    first = stored("/api/items?start=0&count=24").json()
    rest = stored("/api/items?start=24&count=24").json()
    assert (len(first["images"]), len(rest["images"]), rest["total"]) == (24, 16, 40)
    rows = {tuple(row.tolist()) for row in stock.patterns}
    unseen = unpacked(stored("/api/unseen?row=2").json()["pattern"], np.float32)
    mine = {tuple(pattern(stored, row).tolist()) for row in range(40)}
    assert tuple(unseen.tolist()) in rows and tuple(unseen.tolist()) not in mine
    assert stored("/api/unseen?row=100000").status_code == 200 and stored("/api/items/40").status_code == 409
    others = stored("/api/store", {"source": "digits", "count": 130, "seed": 1}).json()
    assert others["count"] == 130 and tuple(pattern(stored, 0).tolist()) not in mine
    assert len(stored("/api/items?count=130").json()["images"]) == PAGE_OF_ITEMS == 120


def test_what_a_page_brings_and_stores_is_limited(monkeypatch):
    visit = visits.Visit()
    monkeypatch.setattr(visits, "MOST_UPLOADS", 2)
    for _ in range(2):
        visit.add(None)
    with pytest.raises(ValueError, match="a page may bring 2 pictures"):
        visit.add(None)
    wide = shelf.most_items(2**20)
    assert wide == 8 and shelf.most_items(64) == 10_000


def test_the_last_sets_are_kept(monkeypatch):
    read = []
    monkeypatch.setattr(shelf, "read_set", read.append)
    kept = shelf.Shelf()
    for name in ("digits", "faces", "digits", "mnist", "digits", "faces"):
        kept.read(name)
    assert read == ["digits", "faces", "mnist", "faces"]


def test_wide_images_have_no_couplings(stored, monkeypatch):
    for module in (stock, sweep):
        monkeypatch.setattr(module, "WIDEST_COUPLED", 63)
    (answer,) = stored("/api/recall", cue_of() | {"memories": ["pseudo-inverse"]}).json()["answers"]
    assert "couplings of 64 entries" in answer["error"]
    points = measured(stored, memories=["hebbian", "nearest"], most=10)
    assert "couplings of 64 entries" in points["hebbian", 10]["note"] and "note" not in points["nearest", 10]


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
    wide = Image.new("RGB", (60, 20), "red")
    wide.paste("blue", (16, 0, 44, 20))  # what is left of it when it is cropped to a square
    assert Upload.of(png(wide), "wide.png").pixels.amax((1, 2)).tolist() == [0, 0, 255]
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
    assert (found["beta"], found["cells"]) == (20, COARSE)
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
            assert point[score]["high"] - point[score]["low"] > 0.4  # 5 cues say little
    gentle = [point["identified"]["rate"] for point in points if point["position"] in (0.1, 10)]
    assert gentle == [1, 1]


def measured(page, **body):
    """The points of a measurement by memory and position."""
    answer = page("/api/capacity", {"source": "digits", "memories": ["nearest"], **body})
    points = [json.loads(line) for line in answer.text.splitlines()[1:]]
    return {(point["memory"], point["position"]): point for point in points}


def test_capacity_tells_loads_strengths_and_masks_apart(stored):
    few, many = (measured(stored, most=most, strength=0.3) for most in (10, 1280))
    assert few["nearest", 10] == many["nearest", 10] and few["nearest", 10]["cues"] == 10
    assert many["nearest", 1280]["identified"]["rate"] < many["nearest", 10]["identified"]["rate"]
    undamaged = measured(stored, memories=["hebbian"], most=20, strength=0)["hebbian", 20]
    assert undamaged["exact"]["rate"] < undamaged["identified"]["rate"]
    assert measured(stored, most=20, strength=0)["nearest", 20]["exact"]["rate"] == 1
    told, blank = (measured(stored, along="damage", damage=damage, most=400) for damage in ("hidden", "blank"))
    assert told["nearest", 0.5]["identified"]["rate"] > blank["nearest", 0.5]["identified"]["rate"] + 0.1
    assert blank["nearest", 0.1]["identified"]["rate"] > blank["nearest", 0.9]["identified"]["rate"]


def test_a_new_measurement_ends_the_one_before(stored, monkeypatch):
    from attractor.app.explore import site as module

    found, numbers = [], []
    find = Visits.find
    monkeypatch.setattr(Visits, "find", lambda self, key: found.append(find(self, key)) or found[-1])

    def endless(*_):
        yield {"total": 0}
        for number in range(10_000):
            numbers.append(number)
            if number == 3:
                found[-1].sweep = object()
            yield {"number": number}

    monkeypatch.setattr(module, "measure", endless)
    lines = stored("/api/capacity", {"source": "digits", "memories": ["dense"]}).text.splitlines()
    assert len(lines) == 4 and len(numbers) == 4


def test_a_paper_comes_with_rows_command_and_figures(client):
    assert client.get("/api/papers").json()["ids"] == claims.ids()
    assert len(claims.ids()) == 20
    paper = client.get("/api/papers/20").json()
    assert paper["command"].startswith("attractor reproduce 20") and paper["rows"] and paper["figures"]
    report = last_report("20")
    for shown, row in zip(paper["rows"], report.rows, strict=True):
        whole = row.to_plain() | row.claim.to_plain() | {"rule": row.claim.rule}
        assert shown == {name: whole[name] for name in shown}
        assert set(shown) == set(whole) - {"claim", "seconds", "least", "most"}
    assert client.get("/api/papers/99").status_code == 409


def test_papers_are_told_without_importing_what_measures_them(monkeypatch):
    monkeypatch.setattr("attractor.papers.registry.importlib.import_module", pytest.fail)
    claims.paper.cache_clear()
    assert len({claims.paper(one)["title"] for one in claims.ids()}) == 20


def test_a_stale_paper_is_marked(monkeypatch):
    monkeypatch.setattr("attractor.app.report_page.is_stale", lambda report: report.paper == "20")
    monkeypatch.setattr(claims, "paper", claims.paper.__wrapped__)
    assert [claims.paper(one)["status"] for one in ("19", "20")] == ["current", "stale"]


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


def test_no_other_machine_is_answered(monkeypatch):
    asked = []
    monkeypatch.setattr("attractor.app.serve.running.run", lambda app, host, *_: asked.append(ip_address(host)))
    assert main(["explore"]) == 0
    assert [address.is_loopback for address in asked] == [True]


def test_a_bank_of_pictures_is_offered_and_another_is_refused(tmp_path, capsys, monkeypatch):
    from attractor.bank import DiskBank

    for number in range(3):
        (tmp_path / f"p{number}.png").write_bytes(picture(colour=(80 * number, 0, 0)))
    assert main(["store", str(tmp_path / "p0.png"), str(tmp_path / "p1.png"), "--bank", str(tmp_path / "bank")]) == 0
    found = shelf.Shelf(tmp_path / "bank")
    assert found.offered()[0]["name"] == "bank" and found.read("bank").shape == (3, 12, 20)
    assert found.read("bank").names == ("p0.png", "p1.png")
    monkeypatch.setattr(shelf, "MOST_ITEMS", 1)
    assert len(shelf.read_bank(tmp_path / "bank")) == 1
    with DiskBank(tmp_path / "vectors", 4) as bank:
        bank.append(torch.eye(4))
    capsys.readouterr()
    assert main(["explore", "--bank", str(tmp_path / "vectors")]) == 2
    assert "must hold pictures" in capsys.readouterr().err
