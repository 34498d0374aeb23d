"""The benchmark of the service in its quick form: a second of load from another process."""

import pytest

pytest.importorskip("fastapi", reason="the service needs FastAPI (extra serve)")
pytest.importorskip("uvicorn", reason="the service needs uvicorn (extra serve)")


@pytest.mark.slow
def test_many_connections_meet_no_error_and_their_cues_are_joined(bench):
    serve = bench("serve")
    section = serve.measure(serve.QUICK, lambda line: None)
    ratio, errors = section.targets
    assert "of those in process" in ratio.claim and ratio.wanted == ">= 0.5"
    assert errors.met, errors.reached
    figures = section.figures
    assert min(figures["inside"]) > 0 and min(figures["outside"]) > 0
    assert figures["stats"]["batches"] < figures["stats"]["cues"]
