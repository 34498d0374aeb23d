import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.papers import Claim, Provenance, Report, Row
from attractor.papers.figures import Chart, ImageGrid, Series

BOTH = Claim("an exponent", 2, "a source", least=1.8, most=2.2)
PROVENANCE = Provenance("2026-01-01T00:00:00+00:00", "0.1.0", "2.13.0", "3.11.0", "2 x a processor", 2, None, "0123456789abcdef")


def row(claim=BOTH, measured=2.0, interval=(1.9, 2.1)):
    return Row(claim, measured, interval, 5, 1.5, "random patterns", baseline=0.5, note="a note")


def report(**changes):
    chart = Chart(
        "capacity", "a title", "x", "y", (Series("a", (1.0, 2.0), (3.0, 4.0), (2.0, 3.0), (4.0, 5.0), "line"),), "log", "linear",
        bands=(("here", 0.1, 0.2),),
    )  # fmt: skip
    grid = ImageGrid("digits", "a title", ("stored", "cue"), ("",), ((((0, 255), (1, 2)), ((3, 4), (5, 6))),))
    rows = (row(), row(replace(BOTH, published="of the order of N²")), row(measured=None, interval=None))
    return replace(Report("20", "smoke", 3, rows, (chart, grid), 12.5, PROVENANCE), **changes)


@pytest.mark.parametrize(
    ("least", "most", "measured", "ok"),
    [
        (1.8, 2.2, 1.8, True),
        (1.8, 2.2, 2.2, True),
        (1.8, 2.2, 1.79, False),
        (1.8, 2.2, 2.21, False),
        (0.99, None, 1.0, True),
        (0.99, None, 0.98, False),
        (None, 1e-10, 0.0, True),
        (None, 1e-10, 1e-9, False),
        (None, None, 1.0, None),
        (1.8, 2.2, None, None),
    ],
)
def test_verdict_follows_from_the_bounds(least, most, measured, ok):
    claim = Claim("text", "published", "source", least=least, most=most)
    assert claim.judge(measured) is ok
    assert Row(claim, measured, None, 1, 0.0, "data").ok is ok


def test_zero_is_a_bound():
    assert Claim("text", 0, "source", most=0.0).rule == "at most 0"
    assert Claim("text", 0, "source", least=0.0).judge(-1.0) is False


@pytest.mark.parametrize("bounds", [{"least": 2, "most": 1}, {"least": math.nan}, {"most": math.inf}])
def test_useless_bounds_are_refused(bounds):
    with pytest.raises(ValueError, match=r"least|most"):
        Claim("text", 1, "source", **bounds)


@pytest.mark.parametrize("changes", [{"measured": math.nan}, {"interval": (math.inf, math.inf)}, {"interval": (2.0, 1.0)}])
def test_row_holds_finite_numbers_in_order(changes):
    with pytest.raises(ValueError):
        row(**changes)


def test_report_comes_back_from_json():
    assert Report.from_json(report().to_json()) == report()


@settings(max_examples=30)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8))
def test_any_finite_number_and_any_text_come_back(number, text):
    original = Report("20", "full", 0, (Row(Claim(text, text, text), number, (number, number), 1, 0.0, text),), (), 0.0)
    assert Report.from_json(original.to_json()) == original


def test_json_is_strict_and_carries_the_verdict():
    plain = json.loads(report().to_json(), parse_constant=pytest.fail)
    assert [one["ok"] for one in plain["rows"]] == [True, True, None]


def edited(change):
    plain = json.loads(report().to_json())
    change(plain)
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda plain: plain.update(format=99), "format"),
        (lambda plain: plain.update(scale="huge"), "scale"),
        (lambda plain: plain.pop("seed"), "seed"),
        (lambda plain: plain.update(extra=1), "extra"),
        (lambda plain: plain["rows"][0].update(ok=False), "ok must follow"),
        (lambda plain: plain["rows"][0].update(ok=None), "ok must follow"),
        (lambda plain: plain["rows"][0].update(measured="2.0"), "measured"),
        (lambda plain: plain["rows"][0].update(measured=math.nan), "measured"),
        (lambda plain: plain["rows"][0].update(n=True), "n must be"),
        (lambda plain: plain["rows"][0].update(interval=[1.0]), "interval"),
        (lambda plain: plain["figures"][0].update(kind="film"), "kind"),
        (lambda plain: plain["figures"][0].update(x_scale="cubic"), "x_scale"),
        (lambda plain: plain["figures"][0]["series"][0].update(x=[1.0]), "as many"),
        (lambda plain: plain["figures"][0].update(bands=[["a", 1]]), "band"),
        (lambda plain: plain["figures"][1].update(images=[[1]]), "images"),
        (lambda plain: plain["figures"][1]["images"][0][0][0].append(256), "bytes"),
        (lambda plain: plain["provenance"].pop("hash"), "hash"),
    ],
)
def test_damaged_report_is_refused_by_name(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Report.from_json(edited(change))


def test_report_that_is_no_json_is_refused():
    with pytest.raises(ValueError):
        Report.from_json("not json")
    with pytest.raises(ValueError, match="object"):
        Report.from_json("[]")
