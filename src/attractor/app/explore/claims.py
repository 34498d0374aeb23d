"""The papers tab: each paper with its rows and the data of its figures, read once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from attractor.app.papers import as_plain, paper_of
from attractor.papers import last_report, module_names

CELLS = ("text", "published", "measured", "interval", "baseline", "ok", "n", "data", "note", "source", "unit")


def ids() -> list[str]:
    """The papers, in their order."""
    return list(module_names())


@lru_cache(maxsize=64)
def paper(paper_id: str) -> dict[str, Any]:
    """A paper, its rows and figures, as JSON values.

    Raises:
        ValueError: there is none with this id.
    """
    if paper_id not in module_names():
        raise ValueError(f"paper must be one of {', '.join(module_names())}, got {paper_id!r}")
    report = last_report(paper_id)
    known = paper_of(paper_id, report)
    plain = as_plain(known, report)
    provenance = plain.get("provenance") or {}
    cells = [{name: row.get(name) for name in CELLS} for row in plain["rows"]]
    rows = [row | {"rule": claim.rule} for row, claim in zip(cells, known.claims, strict=True)]
    head = {name: plain.get(name) for name in ("id", "title", "authors", "year", "venue", "url", "status", "command", "seconds")}
    figures = [] if report is None else [figure.to_plain() for figure in report.figures]
    return {**head, "date": str(provenance.get("date", ""))[:10], "rows": rows, "figures": figures}
