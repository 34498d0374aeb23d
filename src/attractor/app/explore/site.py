"""The web application: the page's files, and the questions that the page asks.

Status 409 says that a question cannot be answered as it stands (nothing stored, nothing known, no picture), with the reason, 410
that the server no longer holds this page. One thread answers questions, one after the other; what takes longer has its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

import attractor
from attractor.app.explore import claims
from attractor.app.explore.plane import landscape_of, way_from
from attractor.app.explore.plotting import library, plotting
from attractor.app.explore.policy import Policy
from attractor.app.explore.shelf import OWN, Shelf, Upload, as_set, caption, decode, described, drawn, most_items
from attractor.app.explore.stock import CHOSEN, TITLES, Stock
from attractor.app.explore.sweep import measure
from attractor.app.explore.visits import ForgottenError, Visit, Visits
from attractor.app.explore.wire import Cue, Plane, Question, Start, Store, Sweep, as_bytes, packed, unpacked
from attractor.app.serve.command import LOOPBACK
from attractor.app.serve.gate import Gate
from attractor.app.serve.limits import BodyLimit, Limits
from attractor.app.serve.service import explain
from attractor.data import ImageSet

STATIC = Path(__file__).parent / "static"
BODY = 8 * 2**20
"""Bytes of a request, so of an uploaded file."""
PAGE_OF_ITEMS = 120
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
FRESH = {"Cache-Control": "no-cache"}
Key = Annotated[str | None, Header(alias="X-Visit")]
Result = TypeVar("Result")


def site(shelf: Shelf) -> FastAPI:
    """The application over the images that `shelf` offers."""
    app = FastAPI(title="attractor explore", version=attractor.__version__, docs_url=None, redoc_url=None, openapi_url=None)
    desk = Desk(shelf)
    app.get("/")(page)
    app.get("/plotly.min.js")(plotly)
    app.post("/api/visit")(desk.begin)
    app.post("/api/uploads")(desk.upload)
    app.delete("/api/uploads")(desk.clear)
    app.post("/api/store")(desk.store)
    app.get("/api/items")(desk.items)
    app.get("/api/items/{row}")(desk.item)
    app.get("/api/unseen")(desk.unseen)
    app.post("/api/cue")(desk.cue)
    app.post("/api/recall")(desk.recall)
    app.post("/api/verdict")(desk.verdict)
    app.post("/api/landscape")(desk.landscape)
    app.post("/api/way")(desk.way)
    app.post("/api/capacity")(desk.capacity)
    app.get("/api/papers")(desk.papers)
    app.get("/api/papers/{paper_id}")(desk.paper)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(RequestValidationError, explain)
    app.add_exception_handler(ForgottenError, forgotten)
    app.add_middleware(GZipMiddleware, minimum_size=2_000, compresslevel=5)
    app.add_middleware(BodyLimit, limits=Limits(body=BODY))
    app.add_middleware(Gate, hosts=LOOPBACK, token=None)
    app.add_middleware(Policy)
    return app


async def page() -> FileResponse:
    return FileResponse(STATIC / "index.html", headers=FRESH)


async def plotly() -> FileResponse:
    """The plotting library; the page asks for it by version, so that browsers may keep it."""
    return FileResponse(refusing(library), headers=FOREVER)


async def forgotten(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "the server no longer holds this page's images: store them again"}, 410)


class Desk:
    """Where questions become calls."""

    def __init__(self, shelf: Shelf):
        self.shelf, self.visits = shelf, Visits()
        self.front, self.aside, self.back = (ThreadPoolExecutor(1, name) for name in ("answers", "verdicts", "measurements"))

    async def begin(self) -> JSONResponse:
        memories = [{"name": name, "title": title, "chosen": name in CHOSEN} for name, title in TITLES.items()]
        return JSONResponse(
            {
                "visit": self.visits.begin(),
                "version": attractor.__version__,
                "plotly": await self._ask(plotting),
                "sets": await self._ask(self.shelf.offered),
                "memories": memories,
                "body": BODY,
            }
        )

    async def upload(self, request: Request, name: str = "picture", visit: Key = None) -> JSONResponse:
        found, content = self.visits.find(visit), await request.body()
        upload = await self._ask(lambda: Upload.of(content, name[:80]))
        return JSONResponse({"count": refusing(lambda: found.add(upload))})

    async def clear(self, visit: Key = None) -> JSONResponse:
        self.visits.find(visit).uploads.clear()
        return JSONResponse({"count": 0})

    async def store(self, body: Store, visit: Key = None) -> JSONResponse:
        found = self.visits.find(visit)

        def call() -> dict[str, Any]:
            images = self._images(found, body.source, body.edge, body.colour)
            stock = Stock(*drawn(images, min(body.count, most_of(images)), body.seed))
            stock.prepare(("dense", *body.memories))
            found.stock = stock
            return described(found.stock.images) | {"unseen": len(found.stock.rest)}

        return JSONResponse(await self._ask(call))

    async def items(self, start: int = 0, count: int = 60, visit: Key = None) -> JSONResponse:
        images = refusing(self.visits.find(visit).stored).images
        rows = range(len(images))[max(0, start) : max(0, start) + min(max(1, count), PAGE_OF_ITEMS)]
        return JSONResponse(
            {
                "start": rows.start,
                "images": [as_bytes(images.patterns[row]) for row in rows],
                "captions": [caption(images, row) for row in rows],
                "total": len(images),
            }
        )

    async def item(self, row: int, visit: Key = None) -> JSONResponse:
        images = refusing(self.visits.find(visit).stored).images
        if not 0 <= row < len(images):
            raise HTTPException(409, f"the image must be from 0 to {len(images) - 1}, got {row}")
        return JSONResponse({"pattern": packed(images.patterns[row]), "caption": caption(images, row)})

    async def unseen(self, row: int = 0, visit: Key = None) -> JSONResponse:
        rest = refusing(self.visits.find(visit).stored).rest
        if not len(rest):
            raise HTTPException(409, "every image of the set is stored: store fewer to have one that is not")
        return JSONResponse({"pattern": packed(rest.patterns[row % len(rest)]), "caption": caption(rest, row % len(rest))})

    async def cue(self, request: Request, name: str = "picture", visit: Key = None) -> JSONResponse:
        images, content = refusing(self.visits.find(visit).stored).images, await request.body()
        pattern = await self._ask(lambda: decode(content, name[:80], images.shape))
        return JSONResponse({"pattern": packed(pattern), "caption": name[:80]})

    async def recall(self, body: Question, visit: Key = None) -> JSONResponse:
        stock = refusing(self.visits.find(visit).stored)

        def call() -> dict[str, Any]:
            start = time.perf_counter()
            cue, known = cue_of(body, stock)
            item = body.item if body.item is not None and 0 <= body.item < len(stock.images) else None
            answers = [stock.recall(name, cue, known, item) for name in body.memories]
            return {"answers": answers, "milliseconds": 1e3 * (time.perf_counter() - start)}

        return JSONResponse(await self._ask(call))

    async def verdict(self, body: Cue, visit: Key = None) -> JSONResponse:
        stock = refusing(self.visits.find(visit).stored)
        return JSONResponse(await self._ask(lambda: stock.verdict(*cue_of(body, stock)), self.aside))

    async def landscape(self, body: Plane) -> JSONResponse:
        return JSONResponse(await self._ask(lambda: landscape_of(body)))

    async def way(self, body: Start) -> JSONResponse:
        return JSONResponse(await self._ask(lambda: way_from(body)))

    async def capacity(self, body: Sweep, visit: Key = None) -> StreamingResponse:
        """One line of JSON for each measured point; another measurement of the page, or its leaving, ends this one."""
        found, ticket = self.visits.find(visit), object()
        images = await self._ask(lambda: self._images(found, body.source, body.edge, body.colour))
        chosen = body.model_copy(update={"most": min(body.most, most_of(images))})
        points = measure(chosen, refusing(lambda: drawn(images, chosen.most, body.seed))[0])
        first = await self._ask(lambda: next(points))
        found.sweep = ticket

        async def lines() -> AsyncIterator[str]:
            point: dict[str, Any] | None = first
            while point is not None and found.sweep is ticket:
                yield json.dumps(point, allow_nan=False) + "\n"
                point = await asyncio.get_running_loop().run_in_executor(self.back, next, points, None)

        return StreamingResponse(lines(), media_type="application/x-ndjson", headers={"Content-Encoding": "identity"})

    async def papers(self) -> JSONResponse:
        return JSONResponse({"ids": claims.ids()})

    async def paper(self, paper_id: str) -> JSONResponse:
        return JSONResponse(await self._ask(lambda: claims.paper(paper_id), self.back))

    def _images(self, visit: Visit, source: str, edge: int, colour: bool) -> ImageSet:
        return as_set(visit.uploads, edge, colour=colour) if source == OWN else self.shelf.read(source)

    async def _ask(self, call: Callable[[], Result], thread: ThreadPoolExecutor | None = None) -> Result:
        return await asyncio.get_running_loop().run_in_executor(thread or self.front, lambda: refusing(call))


def refusing(call: Callable[[], Result]) -> Result:
    """The result of `call`; what it refuses becomes an answer with its reason."""
    try:
        return call()
    except (ValueError, TypeError, OSError) as error:
        raise HTTPException(409, str(error)) from error


def most_of(images: ImageSet) -> int:
    return min(len(images), most_items(images.dim))


def cue_of(body: Cue, stock: Stock) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The cue and where it is known.

    Raises:
        ValueError: another width than the stored images', NaN or infinity, or nothing is known.
    """
    cue = unpacked("cue", body.cue, torch.float32, stock.images.dim)
    if body.known is None:
        return cue, None
    known = unpacked("known", body.known, torch.uint8, stock.images.dim).bool()
    if not bool(known.any()):
        raise ValueError("nothing of the cue is known: leave a part of it undamaged, or do not tell what is missing")
    return cue, known
