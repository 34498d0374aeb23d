"""What a benchmark gives back, and how it is shown: a table on the terminal, Markdown, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.table import Table as RichTable

NOT_INSTALLED = "not installed"
NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """Cells as text; the first `labels` columns say what a row is about, the others hold figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    labels: int = 1

    def markdown(self) -> str:
        rule = ["---" if place < self.labels else "---:" for place in range(len(self.columns))]
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, rule, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, caption=self.note or None, box=box.SIMPLE_HEAD, title_justify="left")
        table.caption_justify = "left"
        for place, column in enumerate(self.columns):
            table.add_column(column, justify="left" if place < self.labels else "right")
        for row in self.rows:
            table.add_row(*row)
        return table


@dataclass(frozen=True)
class Target:
    """What is wanted of the library and what was reached; `met` is None where the target does not apply to this run."""

    claim: str
    wanted: str
    reached: str
    met: bool | None

    def cells(self) -> tuple[str, str, str, str]:
        return self.claim, self.wanted, self.reached, {True: "yes", False: "no", None: NOTHING}[self.met]


@dataclass(frozen=True)
class Section:
    """One subject: its tables, its targets, and the figures behind them as plain data."""

    title: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """One run: `facts` about the machine, the versions and the command, and the sections."""

    facts: dict[str, str]
    sections: Sequence[Section]
    quick: bool

    @property
    def summary(self) -> Table:
        return summary(self.sections, "A quick run: its sizes are too small for the targets." if self.quick else "")

    def plain(self) -> dict[str, Any]:
        return {"quick": self.quick, "facts": self.facts, "sections": [asdict(section) for section in self.sections]}


def summary(sections: Sequence[Section], note: str = "") -> Table:
    rows = [target.cells() for section in sections for target in section.targets]
    return Table("Targets", ("claim", "target", "reached", "met"), rows, note, labels=3)


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:,.0f}"


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f}"
