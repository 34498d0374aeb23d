"""`attractor papers` and `attractor reproduce`: the table of published claims, and the runs that make its rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from attractor.app.console import err, out, progress, write_json
from attractor.app.report import agreement, circumstances, command, duration, interval, number, pictures_of, published
from attractor.app.report_page import NOT_RUN, STALE, Entry, page, status
from attractor.app.reproduction import Order, pictures_in, read_report, reports, write_whole
from attractor.papers import Claim, Paper, Report, Row, last_report, module_names, paper_module
from attractor.papers.plain import one_of
from attractor.papers.registry import REPORTS, described, enter
from attractor.papers.report import SCALES

TITLE = "Published claims, measured"
NO_PICTURES = "no pictures: they need matplotlib, pip install 'attractor[demo]'"
STYLES = {"yes": "green", "no": "bold red"}


def papers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one page with all rows and figures in place of tables.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--reports", metavar="DIR", help="Show the reports that `attractor reproduce` wrote there. Default: the committed."
        ),
    ] = None,
) -> None:
    """Published claims beside what was measured here.

    Every row was written by `attractor reproduce`, none by hand. "not run": there is no report yet; "stale": the code that the
    row depends on has changed since.
    """
    if as_json and html is not None:
        raise ValueError("give --json or --html, one of the two")
    if folder is not None and not folder.is_dir():
        raise ValueError(f"--reports must be a folder, got {str(folder)!r}")
    if html is not None and not html.absolute().parent.is_dir():
        raise ValueError(f"--html must lie in a folder that exists, got {str(html)!r}")
    reports_there = {one: last_report(one) if folder is None else read_report(folder, one) for one in module_names()}
    entries = [(paper_of(one, report), report) for one, report in reports_there.items()]
    if as_json:
        write_json({"papers": [as_plain(paper, report) for paper, report in entries]})
    elif html is not None:
        with progress("papers") as bar:
            drawn = [Entry(paper, report, pictures_of(report)) for paper, report in bar.track(entries, description="drawing")]
        write_whole(html, page(TITLE, drawn))
        tell_of([html])
        if not any(entry.pictures for entry in drawn):
            err().print(NO_PICTURES, markup=False)
    else:
        for paper, report in entries:
            show(paper, report)


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
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Processes: for several papers side by side, or the sweeps of one. Default: one for each processor.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            envvar="ATTRACTOR_CLUSTER",
            help="Of a Ray cluster that carries out the sweeps, or auto. Default: this machine.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--save", help="Also put the report into the package, as the row that `attractor papers` prints.")
    ] = False,
) -> None:
    """Measure the claims of papers again.

    Writes a report as JSON and HTML, with its figures, and prints the table; of several papers also one page, `report.html`. A run
    that was interrupted goes on where it stopped: papers that were finished are not run again. Neither the number of workers nor
    the cluster changes a figure but times, and rounding.
    """
    chosen, size = chosen_ids(ids or [], everything), one_of("scale", scale, SCALES)
    order = Order(chosen, size, seed, output, workers or os.cpu_count() or 1, address or None)
    if order.ledger.exists():
        err().print(f"going on with the run that was interrupted; to start anew, remove {order.ledger}", markup=False)
    entries: dict[str, Entry] = {}
    try:
        for report in watched(order):
            paper = described(report)
            entries[report.paper] = Entry(paper, report, pictures_in(output, report))
            pages = [output / f"{report.paper}.html"]
            if keep:
                REPORTS.mkdir(exist_ok=True)
                pages.append(REPORTS / f"{report.paper}.json")
                pages[-1].write_text(report.to_json(), encoding="utf-8")
                enter(paper_module(report.paper).PAPER)
            show(paper, report)
            tell_of(pages)
    finally:  # what was measured is shown, whatever ended the run
        if len(order.ids) > 1 and entries:
            write_whole(output / "report.html", page(TITLE, [entries[one] for one in order.ids if one in entries]))
            tell_of([output / "report.html"])
    if any(entry.report and entry.report.figures and not entry.pictures for entry in entries.values()):
        err().print(NO_PICTURES, markup=False)


def watched(order: Order) -> Iterator[Report]:
    """The reports as they come, with a bar between them where stderr is a terminal."""
    console, finished = err(), 0
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=False)
    task = bar.add_task(f"measuring, {len(order.ids)} papers" if len(order.ids) > 1 else "measuring", total=len(order.ids))
    coming = reports(order, lambda what, done: bar.update(task, completed=finished + done, description=what))
    while True:
        with bar:  # gone while a table is printed
            report = next(coming, None)
        if report is None:
            return
        finished += 1
        bar.update(task, completed=finished)
        yield report


def tell_of(files: Sequence[Path]) -> None:
    for file in files:
        out().print(str(file.resolve()), soft_wrap=True, markup=False)


def chosen_ids(ids: Sequence[str], everything: bool) -> tuple[str, ...]:
    """The papers to run, each once, all checked before the first one starts.

    Raises:
        ValueError: none is named, names and `--all` are both given, or a name is unknown.
    """
    if everything == bool(ids):
        raise ValueError(f"name papers ({', '.join(module_names())}) or give --all, one of the two")
    chosen = tuple(module_names()) if everything else tuple(dict.fromkeys(one.zfill(2) for one in ids))
    for one in chosen:
        if one not in module_names():  # the modules themselves are imported where they are run
            paper_module(one)
    return chosen


def paper_of(paper_id: str, report: Report | None) -> Paper:
    """What is known of a paper; its module is imported only where there is no report."""
    return paper_module(paper_id).PAPER if report is None else described(report)


def show(paper: Paper, report: Report | None) -> None:
    """One table a paper."""
    console, state = out(), status(report)
    authors = " and ".join(paper.authors) if len(paper.authors) < 3 else f"{paper.authors[0]} and others"
    table = Table(title=escape(f"{paper.id}  {authors}: {paper.title}. {paper.venue}"), box=box.SIMPLE_HEAD, pad_edge=False)
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("claim", ratio=1)
    table.add_column("published")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    table.add_column("nearest\nneighbour", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for row in paper.claims if report is None else report.rows:
        table.add_row(*cells(row, state))
    console.print(table)
    if report is None:
        console.print(f"{NOT_RUN}; run: attractor reproduce {paper.id}", markup=False)
    else:
        mark = f"{STALE.upper()}: the code has changed since. " if state == STALE else ""
        console.print(f"{mark}{circumstances(report)}", markup=False, style="yellow" if state == STALE else "dim")
        console.print(f"again: {command(report)}", markup=False, style="dim")
    console.print()


def cells(row: Row | Claim, state: str) -> tuple[str, ...]:
    if isinstance(row, Claim):
        return escape(row.text), escape(published(row)), NOT_RUN, "", "", "", ""
    verdict = agreement(row)
    shown = f"[{STYLES.get(verdict, 'dim')}]{verdict}[/]" + (f" [yellow]{STALE}[/]" if state == STALE else "")
    aside = f"{row.data}, n = {row.n:,}" if row.measured is not None else row.note
    text = f"{escape(row.claim.text)} [dim]({escape(aside)})[/]"
    return text, escape(published(row)), number(row.measured), interval(row), number(row.baseline), duration(row.seconds), shown


def as_plain(paper: Paper, report: Report | None) -> dict[str, Any]:
    """A paper with its rows, as JSON values."""
    head: dict[str, Any] = {name: getattr(paper, name) for name in ("id", "title", "authors", "year", "venue", "url")}
    if report is None:
        rows = [{**claim.to_plain(), "measured": None, "ok": None, "status": NOT_RUN} for claim in paper.claims]
        return {**head, "status": NOT_RUN, "rows": rows, "command": f"attractor reproduce {paper.id}"}
    state = status(report)
    rows = []
    for row in report.rows:
        plain = row.to_plain()
        rows.append({**plain.pop("claim"), **plain, "status": state})
    run: dict[str, Any] = {name: getattr(report, name) for name in ("scale", "seed", "seconds")}
    run["provenance"] = None if report.provenance is None else vars(report.provenance)
    return {**head, **run, "status": state, "rows": rows, "command": command(report)}
