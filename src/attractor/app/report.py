"""Writing the report of a paper: JSON, pictures, and one page of HTML that stands alone."""

from __future__ import annotations

import base64
import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from io import BytesIO
from pathlib import Path

import torch

import attractor
from attractor.app.paper_figures import draw
from attractor.papers import Paper, Provenance, Report, Row
from attractor.papers.figures import Figure as FigureData

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.6rem; border-bottom: 1px solid #ddd; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
small, .aside { color: #666; }
.yes { color: #00724f; } .no { color: #b33c00; font-weight: bold; }
img { max-width: 100%; }
"""


def with_provenance(report: Report, code: str) -> Report:
    """The report with date, versions, hardware and `code`, the hash of the source that made it."""
    provenance = Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        version=attractor.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        processor=f"{os.cpu_count()} x {processor_name()}",
        threads=torch.get_num_threads(),
        memory=memory_in_gib(),
        hash=code,
    )
    return replace(report, provenance=provenance)


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory_in_gib() -> float | None:
    """Memory of the machine, or None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def write_report(paper: Paper, report: Report, folder: Path) -> tuple[list[Path], bool]:
    """Write `NN.json`, `NN.html` and one picture for each figure.

    Returns:
        the files, and whether pictures were drawn: without matplotlib there are none.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{report.paper}.json"
    data.write_text(report.to_json(), encoding="utf-8")
    try:
        pictures = {figure.name: picture_of(figure) for figure in report.figures}
        drawn = True
    except ImportError:
        pictures, drawn = {}, False
    files = [data]
    for name, picture in pictures.items():
        files.append(folder / f"{report.paper}-{name}.png")
        files[-1].write_bytes(picture)
    page = folder / f"{report.paper}.html"
    page.write_text(html(paper, report, pictures), encoding="utf-8")
    return [*files, page], drawn


def picture_of(figure: FigureData) -> bytes:
    """A figure as PNG."""
    stream = BytesIO()
    draw(figure).savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def html(paper: Paper, report: Report, pictures: dict[str, bytes]) -> str:
    """The page, with its pictures inside."""
    title = escape(f"[{paper.id}] {paper.title}")
    rows = "\n".join(map(html_row, report.rows))
    images = "\n".join(
        f'<p><img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(picture).decode()}"></p>'
        for name, picture in pictures.items()
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
<h1>{title}</h1>
<p>{escape(", ".join(paper.authors))}. {escape(paper.venue)}. <a href="{escape(paper.url)}">{escape(paper.url)}</a></p>
<p class="aside">{escape(circumstances(report))}</p>
<table>
<tr><th>claim</th><th>published</th><th>measured</th><th>95% interval</th><th>nearest neighbour</th><th>agrees</th></tr>
{rows}
</table>
{images}
<p>Again: <code>{escape(command(report))}</code></p>
</html>
"""


def html_row(row: Row) -> str:
    verdict = agreement(row)
    aside = "; ".join(part for part in (f"{row.data}, n = {row.n}", row.note, f"source: {row.claim.source}") if part)
    numbers = (number(row.measured), interval(row), number(row.baseline))
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
    bounds = f"<br><small>agrees: {escape(row.claim.rule)}</small>" if row.claim.rule else ""
    return (
        f"<tr><td>{escape(row.claim.text)}<br><small>{escape(aside)}</small></td><td>{escape(published(row))}{bounds}</td>"
        f'{cells}<td class="{verdict}">{verdict}</td></tr>'
    )


def circumstances(report: Report) -> str:
    """When, where and how a report was made, in one line."""
    made = report.provenance
    run = f"scale {report.scale}, seed {report.seed}, {duration(report.seconds)}"
    if made is None:
        return run
    memory = "" if made.memory is None else f", {made.memory:g} GiB"
    machine = f"{made.processor}{memory}, {made.threads} threads"
    return f"{made.date[:10]}, {run}; attractor {made.version}, torch {made.torch}, Python {made.python}; {machine}"


def command(report: Report) -> str:
    """What makes the report again."""
    seed = f" --seed {report.seed}" if report.seed else ""
    return f"attractor reproduce {report.paper} --scale {report.scale}{seed}"


def agreement(row: Row) -> str:
    return {True: "yes", False: "no", None: "-"}[row.ok]


def published(row: Row) -> str:
    return row.claim.published if isinstance(row.claim.published, str) else f"{row.claim.published:g}"


def number(value: float | None) -> str:
    """Three digits after the point, or a power of ten where those would not show it."""
    if value is None:
        return "-"
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


def interval(row: Row) -> str:
    return "-" if row.interval is None else f"{number(row.interval[0])} to {number(row.interval[1])}"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
