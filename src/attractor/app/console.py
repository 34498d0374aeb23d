"""What the commands share of the terminal: where they print, how they show progress, how they hand out JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

WIDTH_WITHOUT_TERMINAL = 120


def out() -> Console:
    """The console of results, stdout; made when it is needed, as tests and pipes exchange the stream."""
    return console_on(sys.stdout)


def err() -> Console:
    """The console of messages and progress, stderr."""
    return console_on(sys.stderr)


def console_on(stream: TextIO) -> Console:
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def progress(unit: str) -> Progress:
    """A bar on stderr for long work, which leaves nothing behind; silent where stderr is not a terminal."""
    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def counted(title: str, total: int, unit: str) -> Iterator[Callable[[str], None]]:
    """A bar for `total` pieces of work, as a function that is told of each before it begins."""
    with progress(unit) as bar:
        task = bar.add_task(title, total=total)
        done = iter(range(total))
        yield lambda work: bar.update(task, completed=next(done), description=work)


def write_json(report: Mapping[str, Any]) -> None:
    """The report on stdout, as JSON without NaN or infinity."""
    sys.stdout.write(json.dumps(report, indent=1, allow_nan=False) + "\n")


def complain(kind: str, message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"attractor: {kind}: {' '.join(message.split())}\n")


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """In place of `warnings.showwarning`: a user of the command line has no use for the line of code that warned."""
    complain("warning", str(message))


def speak_plainly() -> None:
    """Show warnings as one line each for the rest of the process."""
    warnings.showwarning = show_warning
