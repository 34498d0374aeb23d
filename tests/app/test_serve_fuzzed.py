"""The service fuzzed against its own OpenAPI document: no answer outside it, no wrong body let through, no defect."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attractor.bank import DiskBank
from attractor.memory import DenseMemory

pytest.importorskip("fastapi", reason="the service needs FastAPI (extra serve)")
schemathesis = pytest.importorskip("schemathesis", reason="fuzzing needs schemathesis")


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    from attractor.app.serve.limits import Limits
    from attractor.app.serve.service import service

    with DiskBank(tmp_path_factory.mktemp("served") / "bank", 3) as bank:
        memory = DenseMemory(bank=bank)
        memory.store(torch.eye(3))
        yield schemathesis.openapi.from_asgi("/openapi.json", service(memory, limits=Limits(rows=4)))


@pytest.mark.parametrize("bodies", ["positive", "negative"])
@pytest.mark.parametrize("path", ["/store", "/recall", "/forget"])
@settings(max_examples=30, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(st.data())
def test_every_answer_is_as_the_document_says(document, path, bodies, data):
    case = data.draw(document[path]["POST"].as_strategy(generation_mode=schemathesis.GenerationMode(bodies)))
    case.call_and_validate()


@pytest.mark.parametrize("path", ["/stats", "/health"])
@settings(max_examples=5, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(st.data())
def test_what_is_asked_without_a_body_answers_as_the_document_says(document, path, data):
    data.draw(document[path]["GET"].as_strategy()).call_and_validate()
