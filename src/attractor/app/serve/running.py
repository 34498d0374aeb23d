"""Running a web application until it is told to end: the service and the web page alike."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI


def run(app: FastAPI, host: str, port: int, seconds: int, tell: Callable[[int], None]) -> None:
    """Answer at an address until Ctrl-C or SIGTERM.

    Args:
        app: what answers.
        host: of the address.
        port: 0 takes a free one.
        seconds: that questions under way have left at the end.
        tell: called with the port once others can come.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=seconds,
    )
    socket = config.bind_socket()
    socket.listen(config.backlog)
    tell(socket.getsockname()[1])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[socket])
