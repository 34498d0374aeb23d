"""The papers that are reproduced here, their last reports, and whether those still belong to the code.

A module or folder `pNN_name` of this room has `PAPER`, a `Paper`, and `run(scale, seed, progress=None) -> Report`.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import Any, Protocol, cast

from attractor.papers.claim import Paper
from attractor.papers.dependencies import source_hash
from attractor.papers.report import Progress, Report, Scale

REPORTS = Path(__file__).parent / "reports"
CATALOGUE = Path(__file__).parent / "catalogue.json"
HEAD = ("title", "authors", "year", "venue", "url")


class PaperModule(Protocol):
    """What a module of a paper offers."""

    __name__: str
    PAPER: Paper

    def run(self, scale: Scale, seed: int, progress: Progress | None = None) -> Report: ...


def module_names() -> dict[str, str]:
    """Full names of the modules by the id of their paper, in rising order.

    Example:
        >>> module_names()["20"]
        'attractor.papers.p20_large_associative_memory'
    """
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return {name[1:3]: f"attractor.papers.{name}" for name in names if re.match(r"p\d\d_", name)}


def paper_module(paper_id: str) -> PaperModule:
    """The module of a paper; ids of one digit are understood.

    Raises:
        ValueError: there is none with this id.

    Example:
        >>> paper_module("20").PAPER.year
        2021
    """
    names = module_names()
    if paper_id.zfill(2) not in names:
        raise ValueError(f"paper must be one of {', '.join(names)}, got {paper_id!r}")
    return cast(PaperModule, importlib.import_module(names[paper_id.zfill(2)]))


def last_report(paper_id: str) -> Report | None:
    """The committed report of a paper, or None.

    Raises:
        ValueError: the file is damaged.
    """
    path = REPORTS / f"{paper_id}.json"
    return Report.from_json(path.read_text(encoding="utf-8")) if path.exists() else None


def described(report: Report) -> Paper:
    """The paper of a report, from the catalogue and the report's claims; from its module where the catalogue does not have it.

    The module of a paper may need packages that are not installed, to measure; to show what was measured needs none of them.

    Example:
        >>> described(last_report("20")).title
        'Large Associative Memory Problem in Neurobiology and Machine Learning'
    """
    head = catalogue().get(report.paper)
    if head is None:
        return paper_module(report.paper).PAPER
    claims = tuple(row.claim for row in report.rows)
    return Paper(report.paper, head["title"], tuple(head["authors"]), head["year"], head["venue"], head["url"], claims)


def enter(paper: Paper) -> None:
    """Write what its module says of a paper into the catalogue."""
    heads = catalogue()
    heads[paper.id] = {name: getattr(paper, name) for name in HEAD}
    CATALOGUE.write_text(json.dumps(dict(sorted(heads.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def catalogue() -> dict[str, dict[str, Any]]:
    return json.loads(CATALOGUE.read_text(encoding="utf-8")) if CATALOGUE.exists() else {}


def is_stale(report: Report) -> bool:
    """Whether the code that `report` depends on has changed since it was made."""
    return report.provenance is None or report.provenance.hash != source_hash(module_names()[report.paper])
