"""The report of papers as one page of HTML that stands alone: styles and pictures inside, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from attractor.app.report import agreement, circumstances, command, duration, interval, number, published
from attractor.papers import Claim, Paper, Report, Row, is_stale
from attractor.papers.figures import Chart
from attractor.papers.figures import Figure as FigureData

PAGES = Path(__file__).parent / "pages"
NOT_RUN, STALE, CURRENT = "not run", "stale", "current"
VERDICTS = {"yes": "agree", "no": "do not agree", "-": "only reported", NOT_RUN: "not measured"}


class Entry(NamedTuple):
    """A paper, its last report, and pictures of that report's figures by their names."""

    paper: Paper
    report: Report | None
    pictures: Mapping[str, bytes] = {}


def page(title: str, entries: Sequence[Entry]) -> str:
    """The page: an overview where there are several papers, then each with its claims and figures.

    Args:
        title: of the page.
        entries: what to show, in this order.
    """
    environment = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    papers = [section(entry) for entry in entries]
    totals = {label: sum(paper["counts"][label] for paper in papers) for label in counts(())}
    return environment.get_template("papers.html.jinja").render(title=title, papers=papers, totals=totals)


def status(report: Report | None) -> str:
    """Whether there is a report, and whether the code is still the one that it measured."""
    if report is None:
        return NOT_RUN
    return STALE if is_stale(report) else CURRENT


def section(entry: Entry) -> dict[str, Any]:
    """What the page says of one paper."""
    paper, report, pictures = entry
    rows = [unmeasured(claim) for claim in paper.claims] if report is None else list(map(measured, report.rows))
    day = "" if report is None or report.provenance is None else report.provenance.date[:10]
    return {
        **{name: getattr(paper, name) for name in ("id", "title", "year", "venue", "url")},
        "authors": ", ".join(paper.authors),
        "status": status(report),
        "counts": counts(row["verdict"] for row in rows),
        "measured": "" if report is None else f"{day} {report.scale}, {duration(report.seconds)}",
        "circumstances": NOT_RUN if report is None else circumstances(report),
        "command": f"attractor reproduce {paper.id}" if report is None else command(report),
        "rows": rows,
        "pictures": [] if report is None else [picture(one, pictures[one.name]) for one in report.figures if one.name in pictures],
    }


def counts(verdicts: Iterable[str]) -> dict[str, int]:
    """How many claims there are, and how many of each verdict."""
    found = Counter(verdicts)
    return {"claims": found.total(), **{label: found[verdict] for verdict, label in VERDICTS.items()}}


def measured(row: Row) -> dict[str, Any]:
    return {
        "claim": row.claim.text,
        "aside": "; ".join(filter(None, (row.data, row.note, f"source: {row.claim.source}"))),
        "published": published(row.claim),
        "rule": row.claim.rule,
        "unit": row.claim.unit if row.measured is not None else "",
        "measured": number(row.measured),
        "interval": interval(row),
        "baseline": number(row.baseline),
        "n": f"{row.n:,}",
        "time": duration(row.seconds),
        "verdict": agreement(row) if row.measured is not None else NOT_RUN,
    }


def unmeasured(claim: Claim) -> dict[str, Any]:
    blank = dict.fromkeys(("unit", "measured", "interval", "baseline", "n", "time"), "")
    aside = f"source: {claim.source}"
    return {**blank, "claim": claim.text, "aside": aside, "published": published(claim), "rule": claim.rule, "verdict": NOT_RUN}


def picture(figure: FigureData, data: bytes) -> dict[str, str]:
    chart = isinstance(figure, Chart)
    text = f"{figure.title}: {figure.y_label} against {figure.x_label}" if isinstance(figure, Chart) else figure.title
    return {"kind": "chart" if chart else "grid", "alt": text, "base64": base64.b64encode(data).decode()}
