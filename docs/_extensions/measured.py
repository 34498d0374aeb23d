"""What pages say of the committed reports of the papers: rows found by the words of their claims, and tables of them as HTML.

No figure of a page is typed. A page names a claim by how it begins; a name that fits no row, or several, is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape

from attractor.app.report import agreement, circumstances, command, interval, number, published
from attractor.papers import Paper, Report, Row, last_report

PLAIN = ("", "rate", "share", "ratio", "times", "difference of rates")
"""Units that the words around a figure say already."""
HEAD = "<tr><th>claim</th><th>published</th><th>measured</th><th>95% interval</th><th>nearest neighbour</th><th>agrees</th></tr>"


@cache
def report_of(paper: str) -> Report:
    """The committed report of a paper.

    Raises:
        ValueError: there is none.
    """
    report = last_report(paper)
    if report is None:
        raise ValueError(f"paper must have a committed report, got {paper!r}")
    return report


def row_of(paper: str, claim: str) -> Row:
    """The row of a paper whose claim is `claim`, or the only one that begins with it.

    Raises:
        ValueError: no row, or more than one.
    """
    rows = report_of(paper).rows
    found = [row for row in rows if row.claim.text == claim] or [row for row in rows if row.claim.text.startswith(claim)]
    if len(found) != 1:
        raise ValueError(f"claim must be the beginning of one claim of paper {paper}, got {claim!r}, of {len(found)}")
    return found[0]


def value(paper: str, claim: str, what: str) -> str:
    """One figure of a row, `what`: `"measured"`, `"interval"`, `"published"` or `"baseline"`, with its unit where it has one.

    Raises:
        ValueError: no such row, or another word.
    """
    row = row_of(paper, claim)
    texts = {
        "measured": number(row.measured),
        "interval": interval(row),
        "published": published(row),
        "baseline": number(row.baseline),
    }
    if what not in texts:
        raise ValueError(f"what must be one of {', '.join(texts)}, got {what!r}")
    unit = "" if what != "measured" or row.claim.unit in PLAIN else f" {row.claim.unit}"
    return texts[what] + unit


def shown(report: Report, claims: Sequence[str]) -> list[Row]:
    """The rows that a page asks for and, whether it asks or not, all that do not agree, in the order of the report."""
    asked = [row_of(report.paper, claim) for claim in claims]
    return [row for row in report.rows if row in asked or row.ok is False]


def verdict(report: Report) -> str:
    """How many rows agree, in a sentence."""
    judged = [row.ok for row in report.rows if row.ok is not None]
    missing = sum(row.measured is None for row in report.rows)
    reported = len(report.rows) - len(judged) - missing
    parts = [f"{judged.count(True)} of {len(judged)} claims with a bound agree"]
    parts += [f"{reported} more figure{' is' if reported == 1 else 's are'} reported without one"] * bool(reported)
    parts += [f"{missing} could not be measured here"] * bool(missing)
    return "; ".join(parts) + "."


def table(rows: Sequence[Row]) -> str:
    """Rows as a table of HTML."""
    body = "\n".join(map(html_row, rows))
    return f'<div class="rows"><table class="docutils rows">\n<thead>{HEAD}</thead>\n<tbody>\n{body}\n</tbody></table></div>'


def html_row(row: Row) -> str:
    aside = "; ".join(part for part in (f"{row.data}, n = {row.n}", row.note, f"source: {row.claim.source}") if part)
    bounds = f"<br><small>agrees: {escape(row.claim.rule)}</small>" if row.claim.rule else ""
    verdict = agreement(row)
    figures = ((number(row.measured), "number"), (interval(row), "number"), (number(row.baseline), "number"), (verdict, verdict))
    cells = "".join(f'<td class="{"nothing" if text == "-" else kind}">{escape(text)}</td>' for text, kind in figures)
    claim = f"<td>{escape(row.claim.text)}<br><small>{escape(aside)}</small></td>"
    return f"<tr>{claim}<td>{escape(published(row))}{bounds}</td>{cells}</tr>"


def venue_of(paper: Paper) -> str:
    """Where and when it came out, as HTML."""
    return escape(paper.venue if str(paper.year) in paper.venue else f"{paper.venue}, {paper.year}")


def section(paper: Paper, report: Report, claims: Sequence[str], stale: bool) -> str:
    """The paper, the rows that a page asks for, all others behind a click, and how to measure them again."""
    front = shown(report, claims) if claims else list(report.rows)
    mark = '<p class="stale">The code has changed since these rows were measured.</p>' if stale else ""
    rest = ""
    if len(front) < len(report.rows):
        rest = f"<details><summary>All {len(report.rows)} rows</summary>\n{table(report.rows)}\n</details>"
    authors = escape(", ".join(paper.authors))
    return f"""<p class="paper">{authors}. <em>{escape(paper.title)}</em>. {venue_of(paper)}.
<a href="{escape(paper.url)}">{escape(paper.url)}</a></p>
<p>{verdict(report)}</p>
{mark}{table(front)}
{rest}
<p class="aside">{escape(circumstances(report))}. Again: <code class="literal">{escape(command(report))}</code></p>"""


def summary(papers: Sequence[tuple[Paper, Report, bool, str]]) -> str:
    """One line a paper: `(paper, report, stale, address of its page)`."""
    head = "<tr><th></th><th>paper</th><th>agree</th><th>do not</th><th>no bound</th><th>not measured</th><th>time</th></tr>"
    lines = []
    for paper, report, stale, page in papers:
        verdicts = [row.ok for row in report.rows if row.measured is not None]
        counts = (verdicts.count(True), verdicts.count(False), verdicts.count(None), len(report.rows) - len(verdicts))
        cells = "".join(f'<td class="number">{count}</td>' for count in counts)
        venue = venue_of(paper) + (" (stale)" if stale else "")
        lines.append(
            f'<tr><td>{paper.id}</td><td><a href="{escape(page)}">{escape(paper.title)}</a><br><small>{venue}</small></td>{cells}'
            f'<td class="number">{report.seconds:.0f} s</td></tr>'
        )
    body = "\n".join(lines)
    return f'<div class="rows"><table class="docutils papers">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table></div>'
