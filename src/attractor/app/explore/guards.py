"""What keeps the page to itself: it answers browsers of this machine, asked by its own page, and loads nothing from elsewhere.

The host check refuses names that another site may have pointed here. `Sec-Fetch-Site`, which scripts cannot forge, refuses
requests that a page of another site makes. The policy forbids the page itself to load, send or embed anything beyond its server.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
OWN = (b"same-origin", b"none")
"""Values of `Sec-Fetch-Site` for the page itself, and for an address that the user typed."""


class OwnPageOnly:
    """Answers 403 to what a page of another site asks, and puts the policy on every answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        asked_by = dict(scope["headers"]).get(b"sec-fetch-site")
        navigates = scope["method"] == "GET" and scope["path"] == "/"
        if asked_by is None or asked_by in OWN or navigates:
            await self.app(scope, receive, send_guarded)
        else:
            await JSONResponse({"detail": "pages of other sites may not ask"}, 403)(scope, receive, send_guarded)
