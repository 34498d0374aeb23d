"""`attractor explore`: serves the page to browsers on this machine, and to no other."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from attractor.app.console import out

HOST = "127.0.0.1"
SECONDS_TO_FINISH = 2
NEEDED = ("fastapi", "uvicorn", "plotly")


def explore(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8100,
    bank: Annotated[
        Path | None,
        typer.Option("--bank", "-b", help="Also offer the pictures of a bank that [bold]attractor store[/bold] made."),
    ] = None,
) -> None:
    """Open a local web page: damage images and watch memories recall them.

    Tabs for recall, the landscape of the plane, capacity, and published claims. Only browsers on this machine reach it, and the \
page loads nothing from elsewhere. Ctrl-C ends it.

    [bold]attractor explore[/bold]
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ValueError(f"the page needs {', '.join(missing)}: pip install 'attractor[web]'")
    from attractor.app.explore.shelf import Shelf
    from attractor.app.explore.site import site
    from attractor.app.serve.running import run

    def tell(port: int) -> None:
        out().print(f"open http://{HOST}:{port} in a browser; Ctrl-C ends", soft_wrap=True, markup=False)

    run(site(Shelf(bank)), HOST, port, SECONDS_TO_FINISH, tell)
