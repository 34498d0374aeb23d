"""The service: store, recall, forget, stats and health of one memory, with an OpenAPI document at `/openapi.json`.

Status 422 says that a body is wrong by itself, 409 that the memory refuses it (unknown ids, nothing stored), 503 that the bank
cannot work now: why stands in the log of the service, as it names files. All work on the memory is done by one thread, one call
after another; recalls that wait are joined.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import torch
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from torch import Tensor

import attractor
from attractor.app.serve.batching import Batcher
from attractor.app.serve.bodies import Cues, Forgotten, Health, Ids, Patterns, Problem, Recalled, Stats, Stored, with_sizes
from attractor.app.serve.gate import Gate
from attractor.app.serve.limits import BodyLimit, Limits
from attractor.bank.segments import SegmentError
from attractor.memory import DenseMemory

REFUSALS = (400, 401, 403, 408, 409, 413, 422, 500, 503)
BEARER = Depends(HTTPBearer(auto_error=False))
"""For the document: the token is checked at the gate, before a body is read."""
LOG = logging.getLogger(__name__)
Result = TypeVar("Result")


def service(
    memory: DenseMemory,
    *,
    token: str | None = None,
    hosts: Sequence[str] | None = None,
    limits: Limits | None = None,
    closing: Callable[[], None] = lambda: None,
) -> FastAPI:
    """A web application over `memory`.

    Args:
        token: what clients must send as `Authorization: Bearer`, except for `/health`. Default: nothing.
        hosts: names that clients may call it by, so that no web page can lead a browser here. Default: any.
        limits: of one request.
        closing: called when the service has answered its last request.

    Raises:
        ValueError: `token` is empty.
    """
    if token == "":
        raise ValueError("token must not be empty; None asks for none")
    limits = limits or Limits()
    desk = Desk(memory, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.run(closing)

    # the pages of documentation would load scripts from elsewhere
    app = FastAPI(title="attractor", version=attractor.__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    refusals: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in REFUSALS}
    guarded: dict[str, Any] = {"responses": refusals, "dependencies": [] if token is None else [BEARER]}
    app.post("/store", **guarded)(desk.store)
    app.post("/recall", **guarded)(desk.recall)
    app.post("/forget", **guarded)(desk.forget)
    app.get("/stats", **guarded)(desk.stats)
    app.get("/health", responses={status: {"model": Problem} for status in (400, 403, 408, 413, 500)})(desk.health)
    app.add_exception_handler(RequestValidationError, explain)
    app.add_exception_handler(Exception, confess)
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(Gate, hosts=hosts, token=token)
    made = app.openapi
    app.openapi = lambda: app.openapi_schema or with_sizes(made(), memory.dim, limits.rows)  # type: ignore[method-assign]  # as FastAPI says
    return app


class Desk:
    """Where requests become calls of the memory."""

    def __init__(self, memory: DenseMemory, limits: Limits):
        self.memory, self.limits = memory, limits
        self.thread = ThreadPoolExecutor(1, "memory")
        self.batcher = Batcher(memory, self.run, limits.rows)

    async def store(self, body: Patterns) -> Stored:
        """Store patterns and return their ids; once they are returned, the patterns survive the service."""
        self._check("patterns", body.patterns)

        def call() -> list[int]:
            values = None if body.values is None else self._tensor(body.values)
            return self.memory.store(self._tensor(body.patterns), values, body.metadata).tolist()

        return Stored(ids=await self._ask(call))

    async def recall(self, body: Cues) -> Recalled:
        """Recall stored items from damaged or partial cues."""
        self._check("cues", body.cues)
        known = None
        if body.known is not None:
            self._check("known", body.known)
            if not all(map(any, body.known)):
                raise HTTPException(422, "known must trust at least one entry of each cue")
            known = torch.tensor(body.known)
        if known is not None and len(known) != len(body.cues):
            raise HTTPException(409, f"known must have one row for each of the {len(body.cues)} cues, got {len(known)}")
        try:
            found, metadata = await self.batcher.recall(torch.tensor(body.cues, dtype=torch.float64), known, body.reject)
        except (ValueError, TypeError, OSError) as error:
            raise refused(error) from error
        assert found.index is not None and found.score is not None and found.margin is not None
        return Recalled(
            patterns=numbers(found.patterns),
            index=found.index.tolist(),
            score=numbers(found.score),
            margin=[margin if math.isfinite(margin) else None for margin in found.margin.tolist()],
            accepted=found.accepted.tolist(),
            energy=None if found.energy is None else numbers(found.energy),
            steps=found.steps.tolist(),
            converged=found.converged.tolist(),
            metadata=metadata,
        )

    async def forget(self, body: Ids) -> Forgotten:
        """Remove patterns by their ids, all or none."""
        if len(body.ids) > self.limits.rows:
            raise HTTPException(422, f"ids may have {self.limits.rows} entries, got {len(body.ids)}")
        await self._ask(lambda: self.memory.forget(torch.tensor(body.ids)))
        return Forgotten(forgotten=len(body.ids))

    async def stats(self) -> Stats:
        """What is stored, and what was asked."""
        bank = self.memory.bank

        def call() -> Stats:
            dtype = None if bank.dtype is None else str(bank.dtype).removeprefix("torch.")
            return Stats(
                patterns=len(bank),
                dim=bank.dim,
                value_dim=bank.value_dim,
                dtype=dtype,
                version=bank.version,
                cues=self.batcher.cues,
                batches=self.batcher.batches,
            )

        return await self._ask(call)

    async def health(self) -> Health:
        """Whether the service answers."""
        return Health()

    async def run(self, call: Callable[[], Result]) -> Result:
        """`call` in the thread of the memory."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, call)

    async def _ask(self, call: Callable[[], Result]) -> Result:
        try:
            return await self.run(call)
        except (ValueError, TypeError, OSError) as error:
            raise refused(error) from error

    def _check(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        if len(rows) > self.limits.rows:
            raise HTTPException(422, f"{name} may have {self.limits.rows} rows, got {len(rows)}")
        wrong = next((len(row) for row in rows if len(row) != self.memory.dim), None)
        if wrong is not None:
            raise HTTPException(422, f"{name} must have rows of {self.memory.dim} entries, got one of {wrong}")

    def _tensor(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """In the precision of the bank, which only the thread of the memory may ask. Raises `ValueError`: rows differ in length."""
        return torch.tensor(rows, dtype=self.memory.bank.dtype or torch.float32)


def refused(error: Exception) -> HTTPException:
    """The answer to what the memory refuses (409), or cannot do now: its disk is full, another process writes (503)."""
    if isinstance(error, OSError | SegmentError):
        LOG.error("the bank cannot work: %s", error)
        busy = isinstance(error, TimeoutError)
        return HTTPException(503, "another process writes to the bank: try again" if busy else "the bank cannot work now")
    return HTTPException(409, str(error))


def numbers(values: Tensor) -> Any:
    """As lists, for JSON, which has no infinity.

    Raises:
        HTTPException: there is one.
    """
    if not bool(values.isfinite().all()):
        raise HTTPException(409, f"the recall overflows {values.dtype}: the cues are too large for what is stored")
    return values.tolist()


async def explain(_: Request, error: Exception) -> JSONResponse:
    """Where a body is wrong, without its content."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return JSONResponse({"detail": f"{place}: {first['msg']}"}, 422)


async def confess(_: Request, error: Exception) -> JSONResponse:
    """A mistake of the service itself, which goes on; the server logs it."""
    return JSONResponse({"detail": "the service failed to answer this request"}, 500)
