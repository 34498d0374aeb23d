"""Speed, memory, quality and exactness beside peers, in one run: `python benchmarks/run.py`.

A whole run writes `benchmarks/results.md`; a quick or partial one only what it is asked to.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import banks
import clam
import cluster
import constraint
import energy_step
import energy_transformer
import entropic
import exactness
import flyvec
import graph_embedding
import import_time
import imputer
import language_memory
import machine
import palimpsest
import peak_memory
import predictive_coding
import quality
import random_features
import sequence
import serve
import sparse_recovery
import speed
import torch
from report import Report, Section
from rich.console import Console

RESULTS = Path(__file__).with_name("results.md")
README = Path(__file__).parents[1] / "README.md"
MARKS = "<!-- benchmarks -->", "<!-- /benchmarks -->"
SUBJECTS = {
    "speed": speed,
    "memory": peak_memory,
    "quality": quality,
    "energy": energy_step,
    "energy transformer": energy_transformer,
    "sequence": sequence,
    "entropic memory": entropic,
    "constraint memory": constraint,
    "sparse recovery": sparse_recovery,
    "random features": random_features,
    "palimpsest memory": palimpsest,
    "predictive coding": predictive_coding,
    "clustering": clam,
    "words": flyvec,
    "graph embedding": graph_embedding,
    "imputer": imputer,
    "language": language_memory,
    "banks": banks,
    "cluster": cluster,
    "service": serve,
    "exactness": exactness,
    "import": import_time,
}
THREADS = 2
WIDTH = 160


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    torch.set_num_threads(given.threads)
    console, progress = Console(width=None if sys.stdout.isatty() else WIDTH), Console(stderr=True)
    sections = []
    with progress.status("starting") as status, torch.no_grad():
        say = status.update if progress.is_terminal else progress.print
        for name in SUBJECTS:
            if given.only in (None, name):
                sections.append(measure(name, given.quick, say))
                show(sections[-1], console)
    words = sys.argv[1:] if arguments is None else arguments
    report = Report(machine.facts(" ".join(["python benchmarks/run.py", *words])), sections, given.quick)
    console.print(report.summary.rich())
    for name, fact in report.facts.items():
        console.print(f"[dim]{name}:[/dim] {fact}", highlight=False)
    write(report, given, console)


def show(section: Section, console: Console) -> None:
    for table in section.tables:
        console.print(table.rich())


def write(report: Report, given: argparse.Namespace, console: Console) -> None:
    whole = not given.quick and given.only is None
    if markdown := given.markdown or (RESULTS if whole else None):
        markdown.write_text(report.markdown(), encoding="utf-8")
        if markdown == RESULTS:
            README.write_text(with_summary(README.read_text(encoding="utf-8"), report), encoding="utf-8")
        console.print(f"Written: {markdown}")
    if given.json:
        given.json.write_text(json.dumps(report.plain(), indent=1) + "\n", encoding="utf-8")
        console.print(f"Written: {given.json}")


def with_summary(readme: str, report: Report) -> str:
    """The README with the table of targets of this run between its two marks."""
    before, rest = readme.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    facts = report.facts
    told = f"{facts['date']}, {facts['threads']} threads, {facts['processor']}; {facts['versions']}."
    return f"{before}{MARKS[0]}\n{report.summary.markdown()}\n\n{told}\n{MARKS[1]}{after}"


def measure(subject: str, quick: bool, say: Callable[[str], None]) -> Section:
    """Run one subject; the targets are for its full sizes."""
    module = SUBJECTS[subject]
    section = module.measure(module.QUICK if quick else module.Sizes(), say)
    return replace(section, targets=[replace(target, met=None) for target in section.targets]) if quick else section


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="benchmarks/run.py", description="Speed, memory, quality and exactness beside peers.")
    words.add_argument("--quick", action="store_true", help="small sizes: does the harness work?")
    words.add_argument("--only", choices=list(SUBJECTS), help="one subject")
    words.add_argument("--threads", type=int, default=THREADS, help=f"threads of every contender (default: {THREADS})")
    words.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    words.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables (a whole run: benchmarks/results.md)")
    return words


if __name__ == "__main__":
    main()
