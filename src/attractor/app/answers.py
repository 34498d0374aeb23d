"""What surrounds a recall from a bank: the cues that are read, the items that are written, the answers that are printed."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from attractor.app.collection import Layout, joined
from attractor.app.console import out, write_json
from attractor.app.lookup import Answer, Lookup
from attractor.data import ImageSet


def read_cues(paths: list[Path], layout: Layout, size: tuple[int, int] | None, bank: Path) -> ImageSet:
    parts = [layout.read(path, size) for path in paths]
    for part in parts:
        layout.check(part, bank)
    return parts[0] if len(parts) == 1 else joined(parts)


def output_paths(output: Path | None, cues: ImageSet, layout: Layout) -> list[Path] | None:
    """Where each recalled item goes.

    Raises:
        ValueError: one file for several cues, or a suffix that nothing writes.
    """
    if output is None:
        return None
    if len(cues) == 1 and not output.is_dir():
        layout.check_suffix(output)
        return [output]
    if output.suffix and not output.is_dir():
        raise ValueError(f"--output must be a folder for {len(cues)} cues, got {str(output)!r}")
    output.mkdir(parents=True, exist_ok=True)
    stems = [Path(name).stem for name in cues.names or ()]
    unique = len(set(stems)) == len(stems)
    return [output / f"{stem if unique else f'{row}-{stem}'}{layout.suffix}" for row, stem in enumerate(stems)]


def report(found: Lookup, layout: Layout, targets: list[Path] | None, bank: str, as_json: bool) -> None:
    """Write the recalled items of recognised cues and print the answers."""
    written = {
        row: str(layout.write(found.patterns[row], targets[row]))
        for row, answer in enumerate(found.answers)
        if targets is not None and answer.recognised
    }
    if as_json:
        answers = [answer.as_json() | {"output": written.get(row)} for row, answer in enumerate(found.answers)]
        write_json({"bank": bank, "memory": found.memory, "beta": found.beta, "reject": found.threshold, "answers": answers})
        return
    console = out()
    for row, answer in enumerate(found.answers):
        console.print(answer.sentence(found.threshold), soft_wrap=True, markup=False)
        if row in written:
            console.print(f"  recalled: {written[row]}", soft_wrap=True, markup=False)
    if not found.masked and not all(answer.recognised for answer in found.answers):
        console.print("Where a part is missing, say what to trust: --known or --known-box.", markup=False)
    console.print(answers_table(found.answers))
    console.print(
        f"bank: {bank}; memory: {found.memory}, beta {found.beta:.4g}; refused below a resemblance of {found.threshold:.2f}",
        soft_wrap=True,
        markup=False,
    )


def answers_table(answers: list[Answer]) -> Table:
    """One line a cue."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cue")
    table.add_column("stored item")
    for head in ("id", "resemblance", "score", "margin", "steps", "energy"):
        table.add_column(head, justify="right", no_wrap=True)
    for answer in answers:
        numbers = (answer.score, answer.margin, answer.energy)
        score, margin, energy = ("only one" if number is None else f"{number + 0.0:.4g}" for number in numbers)
        item = answer.name if answer.recognised else f"none (nearest: {answer.name})"
        resembles = f"{answer.resemblance:.2f}"
        # names are of the user and may hold brackets, which are markup in plain strings
        table.add_row(Text(answer.cue), Text(item), str(answer.id), resembles, score, margin, str(answer.steps), energy)
    return table
