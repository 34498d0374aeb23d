"""The benchmark of the service in its quick form: a second of load from another process."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs FastAPI (extra serve)")
pytest.importorskip("uvicorn", reason="the service needs uvicorn (extra serve)")

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = [path.stem for path in FOLDER.glob("*.py")]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield __import__("serve")
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_many_connections_meet_no_error_and_their_cues_are_joined(bench):
    section = bench.measure(bench.QUICK, lambda line: None)
    ratio, errors = section.targets
    assert "of those in process" in ratio.claim and ratio.wanted == ">= 0.5"
    assert errors.met, errors.reached
    figures = section.figures
    assert min(figures["inside"]) > 0 and min(figures["outside"]) > 0
    assert figures["stats"]["batches"] < figures["stats"]["cues"]
