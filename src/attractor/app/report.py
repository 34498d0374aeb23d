"""What the report of a paper says beside its rows: where it comes from, its numbers in words, its figures as pictures."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import torch

import attractor
from attractor.app.paper_figures import draw
from attractor.papers import Claim, Provenance, Report, Row
from attractor.papers.figures import Figure as FigureData


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


def picture_of(figure: FigureData) -> bytes:
    """A figure as PNG."""
    stream = BytesIO()
    draw(figure).savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def pictures_of(report: Report | None) -> dict[str, bytes]:
    """The figures of a report as PNG, by their names; none without matplotlib."""
    try:
        return {} if report is None else {figure.name: picture_of(figure) for figure in report.figures}
    except ImportError:
        return {}


def circumstances(report: Report) -> str:
    """When, where and how a report was made, in one line."""
    made = report.provenance
    run = f"scale {report.scale}, seed {report.seed}, {duration(report.seconds)}"
    if made is None:
        return run
    memory = "" if made.memory is None else f", {made.memory:g} GiB"
    machine = f"{made.processor}{memory}, {made.threads} thread{'s' * (made.threads > 1)}"
    return f"{made.date[:10]}, {run}; attractor {made.version}, torch {made.torch}, Python {made.python}; {machine}"


def command(report: Report) -> str:
    """What makes the report again."""
    seed = f" --seed {report.seed}" if report.seed else ""
    return f"attractor reproduce {report.paper} --scale {report.scale}{seed}"


def agreement(row: Row) -> str:
    return {True: "yes", False: "no", None: "-"}[row.ok]


def published(row: Row | Claim) -> str:
    claim = row.claim if isinstance(row, Row) else row
    return claim.published if isinstance(claim.published, str) else f"{claim.published:g}"


def number(value: float | None) -> str:
    """Three digits after the point, or a power of ten where those would not show it."""
    if value is None:
        return "-"
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


def interval(row: Row) -> str:
    return "-" if row.interval is None else f"{number(row.interval[0])} to {number(row.interval[1])}"


def duration(seconds: float) -> str:
    """Whole seconds; below ten, tenths.

    Example:
        >>> duration(3725), duration(0.84), duration(0.01)
        ('62 min 5 s', '0.8 s', '< 0.1 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes or seconds >= 9.95:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return "< 0.1 s" if seconds < 0.05 else f"{seconds:.1f} s"
