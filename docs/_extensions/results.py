"""`benchmarks/results.md` by its tables: what pages take from it, by title, row and column."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results.md"


@cache
def tables() -> dict[str, str]:
    """The tables with the lines of text below each, as Markdown by title; titles that several sections have are left out."""
    text = re.sub(r"^## .*$", "", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = re.split(r"^\*\*(.+)\*\*$", text, flags=re.MULTILINE)
    titles = parts[1::2]
    return {title: body.strip() for title, body in zip(titles, parts[2::2], strict=True) if titles.count(title) == 1}


def table(title: str) -> str:
    """A table with the lines below it.

    Raises:
        ValueError: there is none of this title.
    """
    if title not in tables():
        raise ValueError(f"title must be one of {', '.join(tables())}, got {title!r}")
    return tables()[title]


def cell(title: str, row: str, column: str) -> str:
    """One figure: `row` is the first cell of a line, `column` a heading.

    Raises:
        ValueError: no such table, row or column.
    """
    lines = [[part.strip() for part in line.strip("|").split("|")] for line in table(title).splitlines() if line.startswith("|")]
    head, rows = lines[0], {line[0]: line for line in lines[2:]}
    if row not in rows or column not in head:
        raise ValueError(f"row and column must be of the table {title!r}, got {row!r} and {column!r}")
    return rows[row][head.index(column)]
