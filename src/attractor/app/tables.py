"""Tables of measured recalls for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich import box
from rich.table import Table
from rich.text import Text

from attractor.app.measure import ROUNDING, Row

NONE = "-"
NARROW = 100
"""Columns of a terminal below which tables are set tight."""


def recall_table(rows: Sequence[Row], title: str, *, narrow: bool = False) -> Table:
    """One line a memory, grouped by damage; baselines are dim. A `narrow` one fits 80 columns."""
    table = new_table(title, narrow=narrow)
    table.add_column("damage", min_width=9)
    table.add_column("mask\ngiven", justify="center")
    table.add_column("memory", no_wrap=True)
    for head in ("exact", "identi-\nfied", "mean sq\nerror", "steps", "ms per\ncue", "energy\nrose"):
        table.add_column(head, justify="right", no_wrap=True)
    for (damage, mask_given), group in groupby(rows, lambda row: (row.damage, row.mask_given)):
        for number, row in enumerate(group):
            first = (damage, "yes" if mask_given else "no") if number == 0 else ("", "")
            table.add_row(*first, *cells(row), style="dim" if row.baseline else None)
        table.add_section()
    return table


def new_table(title: str, *, narrow: bool) -> Table:
    return Table(
        title=Text(title),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 0 if narrow else 1),
    )


def cells(row: Row) -> tuple[str, ...]:
    steps = NONE if row.steps_median is None else f"{row.steps_median:g}/{row.steps_max}"
    return (
        row.memory,
        fixed(row.exact),
        fixed(row.identified),
        fixed(row.mean_squared_error, 4),
        steps,
        fixed(row.ms_per_cue, 2),
        energy(row),
    )


def energy(row: Row) -> str:
    """By how much of itself the energy rose on the way down."""
    if row.energy_rise is None:
        return NONE
    if row.energy_rise <= ROUNDING:
        return "never"
    return f"{row.energy_rise:.0e}" if row.energy_law else "no law"


def fixed(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def sweep_table(columns: Mapping[str, Sequence[Row]], title: str, *, narrow: bool = False) -> Table:
    """One line a memory, one column for each head of `columns`, `exact / identified` in each cell."""
    table = new_table(title, narrow=narrow)
    table.add_column("memory", no_wrap=True)
    for head in columns:
        table.add_column(head, justify="right", no_wrap=True)
    found = {(head, row.memory): row for head, rows in columns.items() for row in rows}
    for memory, baseline in dict.fromkeys((row.memory, row.baseline) for row in found.values()):
        table.add_row(memory, *(pair(found.get((head, memory))) for head in columns), style="dim" if baseline else None)
    return table


def pair(row: Row | None) -> str:
    return NONE if row is None or row.exact is None else f"{fixed(row.exact, 2)} / {fixed(row.identified, 2)}"
