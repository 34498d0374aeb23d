"""How much a client may send, and how long it may take: a body is read whole, within both limits, before anything else happens."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DIGITS = 18
"""Of a length: of more, Python may refuse to read the number."""
DROPPED = 4
"""So many times the largest body is read and dropped before a refusal: most clients send all of a body before they listen."""


@dataclass(frozen=True)
class Limits:
    """Of one request.

    Attributes:
        body: bytes.
        rows: patterns, cues or ids; a batch joins no more cues either.
        seconds: from the first byte of a body to its last.
    """

    body: int = 2**24
    rows: int = 1024
    seconds: float = 30.0


class TooLargeError(Exception):
    """A body of more bytes than allowed; `rest` of it may still come."""

    def __init__(self, rest: bool):
        self.rest = rest


class BodyLimit:
    """Answers 413 to a body that is too large and 408 to one that does not come, and hands on the others."""

    def __init__(self, app: ASGIApp, limits: Limits):
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await self._read(scope, receive)
        except TooLargeError as error:
            if error.rest:
                await self._drop(scope, receive)
            await refusal(413, f"a body may have {self.limits.body} bytes")(scope, receive, send)
        except TimeoutError:
            await refusal(408, f"a body must come within {self.limits.seconds:g} s")(scope, receive, send)
        else:
            if body is not None:
                await self.app(scope, replayed(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, or None where the client has gone.

        Raises:
            TooLargeError: it says so itself, or it is.
        """
        if declared_length(scope) > self.limits.body:
            raise TooLargeError(rest=True)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            rest = message.get("more_body", False)
            if len(body) > self.limits.body:
                raise TooLargeError(rest)
            if not rest:
                return bytes(body)

    async def _drop(self, scope: Scope, receive: Receive) -> None:
        left = DROPPED * self.limits.body
        if declared_length(scope) > left or b"expect" in dict(scope["headers"]):  # such a client listens first
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.seconds):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


def declared_length(scope: Scope) -> float:
    """Bytes that a body is said to have; 0 where nothing is said."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    if not declared.isdigit():
        return 0
    return int(declared) if len(declared) <= DIGITS else math.inf


def refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    # what is left of the body is not read, so that the connection cannot go on
    return JSONResponse({"detail": why}, status, headers={"connection": "close", **(headers or {})})


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then what comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message
