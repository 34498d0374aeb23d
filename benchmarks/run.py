"""Speed, memory, quality and exactness beside peers, in one run: `python benchmarks/run.py`.

A whole run writes `benchmarks/results.json`, `results.md` and the overview of the README; one of a single subject does so with
`--save`, a quick one never.
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
import results
import sequence
import serve
import sparse_recovery
import speed
import torch
from report import Report, Section
from rich.console import Console

FIGURES = Path(__file__).with_name("results.json")
PAGE = FIGURES.with_suffix(".md")
README = Path(__file__).parents[1] / "README.md"
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
    if given.save and (given.quick or given.only is None):
        parser().error("--save goes with --only and without --quick: a whole run is saved, a quick one is not")
    torch.set_num_threads(given.threads)
    console, progress = Console(width=None if sys.stdout.isatty() else WIDTH), Console(stderr=True)
    sections = {}
    with progress.status("starting") as status, torch.no_grad():
        say = status.update if progress.is_terminal else progress.print
        for name in SUBJECTS:
            if given.only in (None, name):
                sections[name] = measure(name, given.quick, say)
                show(sections[name], console)
    words = sys.argv[1:] if arguments is None else arguments
    facts = machine.facts(" ".join(["python benchmarks/run.py", *words]))
    report = Report(facts, list(sections.values()), given.quick)
    console.print(report.summary.rich())
    for name, fact in report.facts.items():
        console.print(f"[dim]{name}:[/dim] {fact}", highlight=False)
    write(report, given, console)
    if (given.only is None and not given.quick) or given.save:
        keep({name: results.Result(section, facts) for name, section in sections.items()})
        console.print(f"Written: {FIGURES}, {PAGE}, {README}")


def show(section: Section, console: Console) -> None:
    for table in section.tables:
        console.print(table.rich())


def write(report: Report, given: argparse.Namespace, console: Console) -> None:
    if given.json:
        given.json.write_text(json.dumps(report.plain(), indent=1) + "\n", encoding="utf-8")
        console.print(f"Written: {given.json}")


def keep(new: dict[str, results.Result]) -> None:
    """Put the last results of these subjects into the repository's pages."""
    found = results.load(FIGURES) | new
    ordered = {name: found[name] for name in SUBJECTS if name in found}
    results.save(ordered, FIGURES)
    PAGE.write_text(results.page(ordered), encoding="utf-8")
    README.write_text(results.with_overview(README.read_text(encoding="utf-8"), ordered), encoding="utf-8")


def measure(subject: str, quick: bool, say: Callable[[str], None]) -> Section:
    """Run one subject; the targets are for its full sizes."""
    module = SUBJECTS[subject]
    section = module.measure(module.QUICK if quick else module.Sizes(), say)
    return replace(section, targets=[replace(target, met=None) for target in section.targets]) if quick else section


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="benchmarks/run.py", description="Speed, memory, quality and exactness beside peers.")
    words.add_argument("--quick", action="store_true", help="small sizes: does the harness work?")
    words.add_argument("--only", choices=list(SUBJECTS), help="one subject")
    words.add_argument("--save", action="store_true", help="with --only: put the subject's figures in place of its last ones")
    words.add_argument("--threads", type=int, default=THREADS, help=f"threads of every contender (default: {THREADS})")
    words.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    return words


if __name__ == "__main__":
    main()
