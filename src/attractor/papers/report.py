"""What a run of a paper gives, and where and when it was run, as one JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from attractor.papers.claim import Row
from attractor.papers.figures import Figure, figure_from_plain
from attractor.papers.plain import Fields, one_of

FORMAT = 1
Scale = Literal["smoke", "laptop", "full"]
SCALES: tuple[Scale, ...] = ("smoke", "laptop", "full")


class Progress(Protocol):
    """Called now and then during a run: what is being measured, and the fraction of the whole that is done."""

    def __call__(self, what: str, done: float, /) -> None: ...


class Run(Protocol):
    """Measures the claims of a paper."""

    def __call__(self, scale: Scale, seed: int, progress: Progress | None = None) -> Report: ...


@dataclass(frozen=True)
class Provenance:
    """Where a report comes from.

    Args:
        date: when it was made, ISO 8601, UTC.
        version: of `attractor`.
        torch: version of PyTorch.
        python: version of Python.
        processor: name and number of processors.
        threads: how many of them torch uses.
        memory: in gibibytes; None where the system does not say.
        hash: of the source that it depends on (`registry.source_hash`).
    """

    date: str
    version: str
    torch: str
    python: str
    processor: str
    threads: int
    memory: float | None
    hash: str


@dataclass(frozen=True)
class Report:
    """The rows and figures of one run.

    Args:
        paper: id of the paper.
        scale: how large the run was.
        seed: that it was started with.
        rows: one for each claim, in the order of the paper's claims.
        figures: as data.
        seconds: that the whole run took.
        provenance: added when the report is written; None before.

    Example:
        >>> Report.from_json(Report("20", "smoke", 0, (), (), 0.0).to_json()).scale
        'smoke'
    """

    paper: str
    scale: Scale
    seed: int
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    seconds: float
    provenance: Provenance | None = None

    def to_json(self) -> str:
        """One line for each row and figure, so that a new run reads well as a difference."""
        head: dict[str, Any] = {"format": FORMAT, "paper": self.paper, "scale": self.scale, "seed": self.seed}
        head["seconds"] = self.seconds
        head["provenance"] = None if self.provenance is None else vars(self.provenance)
        parts = [f" {_json(key)}: {_json(value)}" for key, value in head.items()]
        for name, items in (("rows", self.rows), ("figures", self.figures)):
            lines = ",\n".join(f"  {_json(item.to_plain())}" for item in items)
            parts.append(f" {_json(name)}: [\n{lines}\n ]" if lines else f" {_json(name)}: []")
        return "{\n" + ",\n".join(parts) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote.

        Raises:
            ValueError: no JSON, another format, missing, unknown or ill-typed entries.
        """
        fields = Fields("report", json.loads(text))
        found = fields.whole("format")
        if found != FORMAT:
            raise ValueError(f"report: format must be {FORMAT}, got {found}")
        report = cls(
            fields.text("paper"),
            one_of("scale", fields.text("scale"), SCALES),
            fields.whole("seed"),
            tuple(Row.from_plain(row) for row in fields.items("rows")),
            tuple(figure_from_plain(figure) for figure in fields.items("figures")),
            fields.number("seconds"),
            _provenance(fields.take("provenance")),
        )
        fields.done()
        return report


def _provenance(plain: object) -> Provenance | None:
    if plain is None:
        return None
    fields = Fields("provenance", plain)
    texts = {name: fields.text(name) for name in ("date", "version", "torch", "python", "processor", "hash")}
    provenance = Provenance(threads=fields.whole("threads"), memory=fields.optional_number("memory"), **texts)
    fields.done()
    return provenance


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
