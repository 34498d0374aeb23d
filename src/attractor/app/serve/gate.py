"""Who may ask: told from the head of a request, before anything of its body is read."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from attractor.app.serve.limits import refusal

OPEN_PATHS = ("/health",)


class Gate:
    """Answers 400, 401 and 403 to those who may not ask, and hands on the others.

    Args:
        hosts: names that the service may be called by, so that no other name can be led to its address; and then no page of a
            browser may ask that was not loaded from here. None: any name, any page.
        token: what must be sent as `Authorization: Bearer`, except for `OPEN_PATHS`. None: nothing.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, token: str | None):
        self.app, self.hosts, self.token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope) if scope["type"] == "http" else None
        await (refused or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = dict(scope["headers"])
        if self.hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            if without_port(host) not in self.hosts:
                return refusal(400, f"the service must be called by one of the names {', '.join(self.hosts)}")
            if headers.get(b"origin", b"http://" + host.encode("latin-1")).lower() != b"http://" + host.encode("latin-1"):
                return refusal(403, "pages from elsewhere may not ask this service")
        if self.token is not None and scope["path"] not in OPEN_PATHS:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(given, self.token.encode()) or scheme.lower() != b"bearer":
                return refusal(401, "a token is needed: Authorization: Bearer ...", {"www-authenticate": "Bearer"})
        return None


def without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and (port.isdigit() or not port) else host
