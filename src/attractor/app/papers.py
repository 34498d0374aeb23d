"""`attractor papers` and `attractor reproduce`: the table of published claims, and the runs that make its rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from attractor.app.console import err, out, write_json
from attractor.app.report import agreement, circumstances, command, interval, number, published, with_provenance, write_report
from attractor.papers import Claim, Paper, Report, Row, is_stale, last_report, module_names, paper_module, source_hash
from attractor.papers.plain import one_of
from attractor.papers.registry import REPORTS, PaperModule
from attractor.papers.report import SCALES, Scale
from attractor.papers.sweep import sweeping

NOT_RUN, STALE, CURRENT = "not run", "stale", "current"
STYLES = {"yes": "green", "no": "bold red"}


def papers(as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False) -> None:
    """Published claims beside what was measured here.

    Every row was written by `attractor reproduce`, none by hand. "not run": there is no report yet; "stale": the code that the
    row depends on has changed since.
    """
    entries = [(paper_module(one).PAPER, last_report(one)) for one in module_names()]
    if as_json:
        write_json({"papers": [as_plain(paper, report) for paper, report in entries]})
        return
    for paper, report in entries:
        show(paper, report, None if report is None else is_stale(report))


def reproduce(
    ids: Annotated[list[str] | None, typer.Argument(metavar="NN...", help="Papers to run, by the numbers of the table.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run all papers.")] = False,
    scale: Annotated[
        str, typer.Option(metavar="|".join(SCALES), help="Seconds, minutes, or as long as the most precise takes.")
    ] = "laptop",
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is random.")] = 0,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write reports and pictures.")] = Path(
        "out/papers"
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes for sweeps. Default: one for each processor.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--save", help="Also put the report into the package, as the row that `attractor papers` prints.")
    ] = False,
) -> None:
    """Measure the claims of papers again.

    Writes a report as JSON and HTML, with its figures, and prints the table. A run that was interrupted goes on where its sweeps
    stopped; the number of workers changes no figure.
    """
    size = one_of("scale", scale, SCALES)
    for chosen in chosen_ids(ids or [], everything):
        module = paper_module(chosen)
        code = source_hash(module.__name__)  # before the run: the source may change in its course
        journal = output / f".{chosen}-{size}-{seed}-{code}.jsonl"
        with sweeping(workers or os.cpu_count() or 1, journal):
            report = with_provenance(run_with_bar(module, size, seed), code)
        files, drawn = write_report(module.PAPER, report, output)
        journal.unlink(missing_ok=True)
        if keep:
            REPORTS.mkdir(exist_ok=True)
            files.append(REPORTS / f"{report.paper}.json")
            files[-1].write_text(report.to_json(), encoding="utf-8")
        show(module.PAPER, report, stale=False)
        if not drawn:
            err().print("no pictures: they need matplotlib, pip install 'attractor[demo]'", markup=False)
        for file in files:
            out().print(str(file.resolve()), soft_wrap=True, markup=False)


def chosen_ids(ids: Sequence[str], everything: bool) -> list[str]:
    """The papers to run, each once, all checked before the first one starts.

    Raises:
        ValueError: none is named, names and `--all` are both given, or a name is unknown.
    """
    if everything == bool(ids):
        raise ValueError(f"name papers ({', '.join(module_names())}) or give --all, one of the two")
    chosen = list(module_names()) if everything else list(dict.fromkeys(one.zfill(2) for one in ids))
    for one in chosen:
        paper_module(one)
    return chosen


def run_with_bar(module: PaperModule, scale: Scale, seed: int) -> Report:
    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(module.PAPER.title, total=1.0)
        return module.run(scale, seed, lambda what, done: bar.update(task, completed=done, description=what))


def show(paper: Paper, report: Report | None, stale: bool | None) -> None:
    """One table a paper."""
    console = out()
    authors = " and ".join(paper.authors) if len(paper.authors) < 3 else f"{paper.authors[0]} and others"
    table = Table(title=escape(f"{paper.id}  {authors}: {paper.title}. {paper.venue}"), box=box.SIMPLE_HEAD, pad_edge=False)
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("claim", ratio=1)
    table.add_column("published")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    table.add_column("nearest\nneighbour", justify="right", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for row in rows_of(paper, report):
        table.add_row(*cells(row, stale))
    console.print(table)
    if report is None:
        console.print(f"{NOT_RUN}; run: attractor reproduce {paper.id}", markup=False)
    else:
        mark = f"{STALE.upper()}: the code has changed since. " if stale else ""
        console.print(f"{mark}{circumstances(report)}", markup=False, style="yellow" if stale else "dim")
        console.print(f"again: {command(report)}", markup=False, style="dim")
    console.print()


def rows_of(paper: Paper, report: Report | None) -> list[Row | Claim]:
    """The measured rows, or the claims where nothing was measured yet."""
    return list(paper.claims) if report is None else list(report.rows)


def cells(row: Row | Claim, stale: bool | None) -> tuple[str, ...]:
    if isinstance(row, Claim):
        return escape(row.text), escape(str(row.published)), NOT_RUN, "", "", ""
    verdict = agreement(row)
    shown = f"[{STYLES.get(verdict, 'dim')}]{verdict}[/]" + (f" [yellow]{STALE}[/]" if stale else "")
    text = escape(row.claim.text) if row.measured is not None else f"{escape(row.claim.text)} [dim]({escape(row.note)})[/]"
    return text, escape(published(row)), number(row.measured), interval(row), number(row.baseline), shown


def as_plain(paper: Paper, report: Report | None) -> dict[str, Any]:
    """A paper with its rows, as JSON values."""
    head: dict[str, Any] = {name: getattr(paper, name) for name in ("id", "title", "authors", "year", "venue", "url")}
    if report is None:
        rows = [{**claim.to_plain(), "measured": None, "ok": None, "status": NOT_RUN} for claim in paper.claims]
        return {**head, "status": NOT_RUN, "rows": rows, "command": f"attractor reproduce {paper.id}"}
    status = STALE if is_stale(report) else CURRENT
    rows = []
    for row in report.rows:
        plain = row.to_plain()
        rows.append({**plain.pop("claim"), **plain, "status": status})
    run: dict[str, Any] = {name: getattr(report, name) for name in ("scale", "seed", "seconds")}
    run["provenance"] = None if report.provenance is None else vars(report.provenance)
    return {**head, **run, "status": status, "rows": rows, "command": command(report)}
