"""A claim of a paper, and the row of a table that a measurement of it makes.

Nothing in a table is typed: `Claim` says which measured values agree with the source, and `Row.ok` follows from the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from attractor.papers.plain import Fields


@dataclass(frozen=True)
class Claim:
    """One quantitative statement, and the bounds within which a measurement of it agrees.

    Args:
        text: what is claimed.
        published: the figure as its source gives it, a number or words.
        source: where that stands, and whether it was read there or is quoted from memory.
        unit: of the measured value; empty for a pure number.
        least: the smallest value that agrees; None for no lower bound.
        most: the largest value that agrees; None for no upper bound.

    Raises:
        ValueError: `least` exceeds `most`, or a bound is not finite.

    Example:
        >>> slope = Claim("capacity grows as N^(n-1), n = 3", 2, "Krotov and Hopfield 2016", least=1.8, most=2.2)
        >>> slope.judge(2.1), slope.judge(2.3), slope.judge(None)
        (True, False, None)
    """

    text: str
    published: float | str
    source: str
    unit: str = ""
    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        for name, bound in (("least", self.least), ("most", self.most)):
            if bound is not None and not math.isfinite(bound):
                raise ValueError(f"{name} must be finite or None, got {bound!r}")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least must not exceed most, got least={self.least}, most={self.most}")

    @property
    def rule(self) -> str:
        """The bounds in words; empty where the value is only reported."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"at least {self.least:g}"
        return "" if self.most is None else f"at most {self.most:g}"

    def judge(self, measured: float | None) -> bool | None:
        """Whether a measured value agrees; None where nothing was measured or the claim has no bounds."""
        if measured is None or not self.rule:
            return None
        return (self.least is None or measured >= self.least) and (self.most is None or measured <= self.most)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        return dict(vars(self))

    @classmethod
    def from_plain(cls, plain: object) -> Claim:
        """Rebuild from `to_plain`.

        Raises:
            ValueError: missing, unknown or ill-typed entries.
        """
        fields = Fields("claim", plain)
        published = fields.number("published") if fields.is_number("published") else fields.text("published")
        claim = cls(
            fields.text("text"),
            published,
            fields.text("source"),
            fields.text("unit"),
            fields.optional_number("least"),
            fields.optional_number("most"),
        )
        fields.done()
        return claim


@dataclass(frozen=True)
class Paper:
    """A paper, and the claims of it that are measured.

    Example:
        >>> Paper("07", "A title", ("A. Author",), 2020, "a venue", "https://example.org", ()).id
        '07'
    """

    id: str
    title: str
    authors: tuple[str, ...]
    year: int
    venue: str
    url: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Row:
    """What was measured for a claim.

    Args:
        claim: the claim.
        measured: the value, or None where it could not be measured; `note` then says why.
        interval: 95% confidence interval of the value, or None where it is exact or a worst case.
        n: how many independent trials the value rests on.
        seconds: how long they took.
        data: what was stored.
        baseline: nearest-neighbour search on the same cues with the same information, for a scored recall.
        note: what a reader has to know beside.

    Raises:
        ValueError: a number is not finite, or an interval does not rise.

    Example:
        >>> Row(Claim("never rises", 0, "theory", most=1e-10), 2e-16, None, 100, 0.5, "random").ok
        True
    """

    claim: Claim
    measured: float | None
    interval: tuple[float, float] | None
    n: int
    seconds: float
    data: str
    baseline: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        numbers = (self.measured, self.baseline, self.seconds, *(self.interval or ()))
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError(f"row {self.claim.text!r} must hold finite numbers, got {numbers}")
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(f"interval must rise, got {self.interval}")

    @classmethod
    def unmeasured(cls, claim: Claim, data: str, why: str | Exception) -> Row:
        """The row of a claim that could not be measured."""
        return cls(claim, None, None, 0, 0.0, data, note=str(why))

    @property
    def ok(self) -> bool | None:
        """What the claim's bounds say of the measured value; None where they say nothing."""
        return self.claim.judge(self.measured)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        interval = None if self.interval is None else list(self.interval)
        return {**vars(self), "claim": self.claim.to_plain(), "interval": interval, "ok": self.ok}

    @classmethod
    def from_plain(cls, plain: object) -> Row:
        """Rebuild from `to_plain`.

        Raises:
            ValueError: missing, unknown or ill-typed entries, or an `ok` that does not follow from the claim.
        """
        fields = Fields("row", plain)
        ends = fields.optional_numbers("interval")
        if ends is not None and len(ends) != 2:
            raise ValueError(f"row: interval must be two numbers or null, got {ends}")
        row = cls(
            Claim.from_plain(fields.take("claim")),
            fields.optional_number("measured"),
            None if ends is None else (ends[0], ends[1]),
            fields.whole("n"),
            fields.number("seconds"),
            fields.text("data"),
            fields.optional_number("baseline"),
            fields.text("note"),
        )
        said = fields.take("ok")
        if said is not row.ok:
            raise ValueError(f"row {row.claim.text!r}: ok must follow from the claim, which says {row.ok}, got {said!r}")
        fields.done()
        return row


def unmeasured(claims: Iterable[Claim], data: str, why: str | Exception) -> list[Row]:
    """Rows of claims none of which could be measured."""
    return [Row.unmeasured(claim, data, why) for claim in claims]
