"""`attractor serve`: a memory over HTTP, on this machine unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attractor.app.console import out
from attractor.app.recall import SimilarityName
from attractor.bank import DiskBank
from attractor.bank.cluster import ClusterBank
from attractor.bank.cluster_manifest import FILE as CLUSTER_FILE
from attractor.memory import DenseMemory

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAMES = ("127.0.0.1", "localhost", "[::1]")
SECONDS_TO_FINISH = 10
MEGABYTE = 2**20


def serve(
    bank: Annotated[Path, typer.Argument(metavar="BANK", help="Folder of the bank.", show_default=False)],
    dim: Annotated[int | None, typer.Option(min=1, help="Width of a pattern: makes a new bank where there is none.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's own need --token.")] = LOOPBACK[0],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="ATTRACTOR_TOKEN", help="Clients must send it as 'Authorization: Bearer'.", show_default=False),
    ] = None,
    similarity: Annotated[SimilarityName, typer.Option(help="How to compare.")] = SimilarityName.EUCLIDEAN,
    body_limit: Annotated[int, typer.Option(metavar="MB", min=1, help="Largest body of a request.")] = 16,
    batch_limit: Annotated[int, typer.Option(min=1, help="Most patterns, cues or ids of a request.")] = 1024,
) -> None:
    """Serve a bank over HTTP: store, recall, forget, stats, health.

    Bodies and answers are JSON; [bold]/openapi.json[/bold] describes them. Ctrl-C answers what was asked and ends.

    [bold]attractor serve memory --port 8000[/bold]
    """
    token = token or None
    if host not in LOOPBACK and token is None:
        raise ValueError(f"--token must be given with --host {host}: without one only this machine itself may ask")
    try:
        from attractor.app.serve.limits import Limits
        from attractor.app.serve.running import run
        from attractor.app.serve.service import service
    except ImportError as error:
        raise ValueError("the service needs FastAPI and uvicorn: pip install 'attractor[serve]'") from error
    opened = open_bank(bank, dim)
    app = service(
        DenseMemory(bank=opened, similarity=similarity.value),
        token=token,
        hosts=NAMES if token is None else None,
        limits=Limits(body=body_limit * MEGABYTE, rows=batch_limit),
        closing=opened.close,
    )
    name = f"[{host}]" if ":" in host else host

    def tell(port: int) -> None:
        out().print(f"serving {bank} at http://{name}:{port}", soft_wrap=True, markup=False)

    run(app, host, port, SECONDS_TO_FINISH, tell)


def open_bank(path: Path, dim: int | None) -> DiskBank | ClusterBank:
    """The bank at `path`, on disk or over a cluster; where there is none, a new one on disk."""
    return ClusterBank(path, dim) if (path / CLUSTER_FILE).exists() else DiskBank(path, dim)
