"""What the page sends to its server, and how it shows answers that are made up here."""

import base64
import json

import numpy as np
import pytest

expect = pytest.importorskip("playwright.sync_api", reason="driving a browser needs playwright (extra browser)").expect
pytestmark = pytest.mark.slow

HOSTILE = "<i>hostile</i> & more"


@pytest.fixture
def stored(open_page):
    """A page with stored digits, 8×8."""
    page = open_page()
    page.select_option("#source", "digits")
    page.fill("#count", "40")
    page.click("#store button[type=submit]")
    expect(page.locator("#verdict")).to_be_visible()
    return page


def sent(page, do):
    """The cue that goes to the server after `do()`, and where it is known."""
    with page.expect_request("**/api/recall") as request:
        do()
    body = json.loads(request.value.post_data)
    cue = np.frombuffer(base64.b64decode(body["cue"]), np.float32).reshape(8, 8)
    known = body["known"] and np.frombuffer(base64.b64decode(body["known"]), np.uint8).reshape(8, 8)
    return cue, known


def packed(*values):
    return base64.b64encode(np.uint8(values).tobytes()).decode()


def bright(page, selector):
    """The first pixel of a canvas, red, green and blue."""
    return page.locator(selector).first.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data.slice(0, 3)]")


def answer_with(page, path, answer):
    page.route(f"**{path}", lambda route: route.fulfill(json=answer))


def test_what_is_sent_is_what_the_damage_says(stored):
    page = stored
    with page.expect_response("**/api/items/7") as response:
        whole, known = sent(page, lambda: page.click('#gallery [data-row="7"]'))
    pattern = np.frombuffer(base64.b64decode(response.value.json()["pattern"]), np.float32).reshape(8, 8)
    assert (whole == pattern).all() and known is None
    hidden, _ = sent(page, lambda: page.select_option("#hidden", "lower"))
    assert (hidden[4:] == 0).all() and (hidden[:4] == pattern[:4]).all()
    page.check('[name="paint"][value="white"]')
    page.locator("#brush").fill("1")
    painted, _ = sent(page, lambda: page.click("#canvas", position={"x": 3, "y": 3}))
    assert painted[0, 0] == 1 and (painted.flat[1:] == hidden.flat[1:]).all()
    _, known = sent(page, lambda: page.check("#told"))
    assert known[0, 0] == 0 and known[:4].sum() == 31 and known[4:].sum() == 0
    page.check('[name="paint"][value="heal"]')
    healed, known = sent(page, lambda: page.click("#canvas", position={"x": 3, "y": 3}))
    assert (healed == hidden).all() and known[0, 0] == 1
    sent(page, lambda: page.select_option("#hidden", "none"))
    noisy, _ = sent(page, lambda: page.locator("#noise").fill("0.5"))
    assert 0.35 < (noisy - pattern).std() < 0.65 and abs((noisy - pattern).mean()) < 0.25


def test_what_the_memory_is_told_to_be_missing_is_tinted(stored):
    page = stored
    page.select_option("#hidden", "upper")
    assert bright(page, "#canvas") == [0] * 3
    page.check("#told")
    red, _, blue = bright(page, "#canvas")
    assert blue > red + 30
    page.select_option("#hidden", "lower")
    red, green, blue = bright(page, "#canvas")
    assert red == green == blue


def test_an_answer_is_shown_as_it_came(stored):
    page = stored
    frames = packed(*[level for level in (10, 60, 110, 160) for _ in range(64)])
    winner = {"row": 5, "caption": HOSTILE, "image": packed(*[200] * 64), "right": False}
    answer = {
        "memory": "dense", "title": "a memory", "milliseconds": 2.5, "image": packed(*[160] * 64), "winner": winner,
        "counted": True, "margin": 0.25, "accepted": True, "distance": 2.4e-5, "steps": 3, "converged": False, "notes": [HOSTILE],
        "frames": frames, "frame_steps": [0, 1, 2, 3], "energies": [None, 4.0, 2.0, 1.0],
    }  # fmt: skip
    refused = answer | {"memory": "cosine", "accepted": False, "energies": None, "winner": winner | {"right": True}}
    answers = [answer, refused, {"memory": "hebbian", "title": "another", "error": HOSTILE}]
    answer_with(page, "/api/recall", {"answers": answers, "milliseconds": 1})
    nearest = {"recognised": True, "resemblance": 0.9, "threshold": 0.4, "nearest": winner}
    answer_with(page, "/api/verdict", nearest)
    page.click("#go")
    expect(page.locator("#verdict")).to_have_text("Recognised: the cue speaks for image #5 (resemblance 0.90, 0.40 is asked).")
    one, two, three = page.locator(".answer").all()
    assert one.locator("dd").all_inner_texts() == ["0.25", "2.4e-5", "3, not at rest", "1", "2.5 ms"]
    assert f"#5, {HOSTILE}" in one.inner_text() and "another one" in one.inner_text()
    assert "refused" in two.inner_text() and "the right one" not in two.inner_text() and HOSTILE in three.inner_text()
    assert bright(page, ".answer > canvas") == [160] * 3 and bright(page, ".answer .winner canvas") == [200] * 3
    page.locator("#frame").fill("1")
    assert bright(page, ".answer > canvas") == [60] * 3
    expect(page.locator("#energy .main-svg").first).to_be_visible()
    (curve,) = page.evaluate("document.querySelector('#energy').data.map(({x, y}) => [x, y])")
    assert curve == [[1, 2, 3], [1, pytest.approx(1 / 3), 0]]
    assert page.locator("#energy").get_attribute("aria-label").endswith("a memory: from 4 to 1.")


def test_a_paper_is_shown_with_its_bounds_intervals_and_staleness(open_page):
    row = {
        "text": HOSTILE, "published": 2.5, "rule": "at least 3", "measured": 2.25, "unit": "bits", "interval": [2.0, 2.5],
        "ok": False, "baseline": 0.125, "n": 1234, "data": "digits", "note": "a note", "source": "table 3",
    }  # fmt: skip
    blank = {**dict.fromkeys(row), "text": "unmeasured", "published": "words", "source": "a page"}
    paper = {
        "id": "20", "title": "A title", "authors": ["An Author"], "year": 2020, "venue": "a venue", "url": "https://example.org",
        "status": "stale", "command": "attractor reproduce 20", "seconds": 61.4, "date": "2026-01-02",
        "rows": [row, blank], "figures": [],
    }  # fmt: skip
    page = open_page()
    answer_with(page, "/api/papers", {"ids": ["20", "19"]})
    answer_with(page, "/api/papers/20", paper)
    answer_with(page, "/api/papers/19", paper | {"id": "19", "status": "current", "rows": [row, row | {"ok": True}, blank]})
    page.click("#tab-papers")
    expect(page.locator(".badge")).to_have_text(["stale", "1 of 2 agree"])
    page.click("#paper-20 summary")
    expect(page.locator("#paper-20 tbody tr")).to_have_count(2)
    first, second = [line.locator("td").all_inner_texts() for line in page.locator("#paper-20 tbody tr").all()]
    assert [cell.replace("\n", "|") for cell in first] == [
        f"{HOSTILE}|digits; n = 1,234; a note; source: table 3", "2.5|agrees: at least 3", "2.25|bits", "2 to 2.5", "0.125", "no",
    ]  # fmt: skip
    assert second[1:] == ["words", "not measured", "–", "–", "–"]
    expect(page.locator("#paper-20 > div > p")).to_contain_text("Stale: the code has changed since. Measured 2026-01-02 in 61 s.")


def test_measured_rates_are_shown_with_their_intervals(open_page):
    page = open_page()
    page.click("#tab-capacity")
    page.fill("#sweep-strength", "0.35")
    score = {"exact": {"rate": 0.25, "low": 0.125, "high": 0.5}, "identified": {"rate": 0.75, "low": 0.5, "high": 0.875}}
    head = {"axis": "images stored", "logarithmic": True, "positions": [10, 20], "total": 3, "set": "digits"}
    place = {"memory": "dense", "title": "a memory", "load": 10, "cues": 5}
    points = [place | {"position": 10} | score, {**place, "memory": "hebbian", "title": "another", "position": 10, "note": HOSTILE}]
    lines = "".join(json.dumps(line) + "\n" for line in (head, *points))
    page.route("**/api/capacity", lambda route: route.fulfill(body=lines, content_type="application/x-ndjson"))
    with page.expect_request("**/api/capacity") as request:
        page.click("#sweep-start")
    assert json.loads(request.value.post_data)["strength"] == 0.35
    expect(page.locator("#sweep-doing")).to_have_text("Measured 2 of 3 points.")
    for name, shown in (("identified", ["0.75", "0.50 to 0.88"]), ("exact", ["0.25", "0.13 to 0.50"])):
        page.select_option("#sweep-score", name)
        rows = [line.locator("td").all_inner_texts() for line in page.locator("#sweep-table tbody tr").all()]
        assert [rows[0][1].split("\n"), rows[0][2], rows[1][1]] == [shown, "…", "–"]
    expect(page.locator("#sweep-table .hint")).to_have_text(f"another: {HOSTILE}")
    expect(page.locator("#sweep-chart .main-svg").first).to_be_visible()
    curve = page.evaluate(
        "(({y, error_y}) => [y, error_y.array, error_y.arrayminus])(document.querySelector('#sweep-chart').data[0])"
    )
    assert curve == [[0.25], [0.25], [0.125]]
    page.select_option("#sweep-along", "damage")
    expect(page.locator("#sweep-strength")).to_be_hidden()


def test_basins_lie_where_their_memories_are(open_page):
    page = open_page()
    page.click("#tab-landscape")
    expect(page.locator("#plane-summary")).to_contain_text("5 of 5 memories are fixed points")
    at = "([x, y]) => [...document.querySelector('#board canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    red, _, blue, _ = page.evaluate(at, [40, 12])  # of 80×80 cells, near the memory above all others
    assert blue > red + 50
    red, _, blue, _ = page.evaluate(at, [12, 40])  # and near the one on the left
    assert red > blue + 50
    shares = [float(line.split("\t")[-1].removesuffix(" %")) for line in page.locator("#fixed tbody tr").all_inner_texts()]
    assert len(shares) == 5 and sum(shares) == pytest.approx(100, abs=0.5)
    path = page.evaluate("import('/static/contours.js').then(({contours}) => contours([0, 0, 1, 1], 2, 0.25, 1))")
    assert path == "M0.5000 0.2500L-0.5000 0.2500"  # a quarter of the way up, which in a drawing is down
