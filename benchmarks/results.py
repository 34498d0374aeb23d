"""The last run of each subject: kept in `results.json`, shown in `results.md` and, in short, in the README."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from report import Section, Table, Target, summary

MARKS = "<!-- benchmarks -->", "<!-- /benchmarks -->"
HEAD = "# Benchmarks\n\nWritten by `python benchmarks/run.py`, or of one subject by `--only SUBJECT --save`; do not edit."


@dataclass(frozen=True)
class Result:
    """What a subject gave, without the figures behind its tables, and the facts of the run that it comes from."""

    section: Section
    facts: dict[str, str]

    @property
    def told(self) -> str:
        facts = self.facts
        return f"{facts['command']}, {facts['date']}, {facts['threads']} threads, {facts['processor']}; {facts['versions']}."


def load(path: Path) -> dict[str, Result]:
    """By subject; nothing where there is no file."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {subject: Result(section_of(one["section"]), one["facts"]) for subject, one in found.items()}


def save(results: Mapping[str, Result], path: Path) -> None:
    bare = {subject: replace(one, section=replace(one.section, figures={})) for subject, one in results.items()}
    path.write_text(json.dumps({subject: asdict(one) for subject, one in bare.items()}, indent=1) + "\n", encoding="utf-8")


def section_of(plain: dict[str, Any]) -> Section:
    tables, targets = [Table(**table) for table in plain["tables"]], [Target(**target) for target in plain["targets"]]
    return Section(plain["title"], tables, targets)


def page(results: Mapping[str, Result]) -> str:
    """Everything, as Markdown."""
    parts = [HEAD, overview(results)]
    for one in results.values():
        targets = [summary([one.section])] if one.section.targets else []
        parts += [f"## {one.section.title}", *(table.markdown() for table in (*targets, *one.section.tables)), one.told]
    return "\n\n".join(parts) + "\n"


def overview(results: Mapping[str, Result]) -> str:
    """How many targets each subject has and meets, and those that are missed."""
    judged = {one.section.title: [target for target in one.section.targets if target.met is not None] for one in results.values()}
    rows = [
        [title, str(len(targets)), str(sum(bool(target.met) for target in targets))] for title, targets in judged.items() if targets
    ]
    missed = [
        f"- {title}: {target.claim}: {target.reached}, wanted {target.wanted}"
        for title, targets in judged.items()
        for target in targets
        if not target.met
    ]
    return "\n".join(
        [Table("Targets", ("subject", "targets", "met"), rows).markdown(), *(["", "Missed:", "", *missed] if missed else [])]
    )


def with_overview(readme: str, results: Mapping[str, Result]) -> str:
    """The README with the overview between its two marks."""
    before, rest = readme.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    return f"{before}{MARKS[0]}\n{overview(results)}\n{MARKS[1]}{after}"
