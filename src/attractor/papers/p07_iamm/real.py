"""Rows of real dialogue: emotions, answers and hints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attractor.data import DataUnavailableError
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.p07_iamm.claims import (
    ABOVE_RANDOM,
    DIALOGUE,
    GAIN,
    HELP,
    HINTED,
    LEARNED,
    LINEAR,
    MAJORITY,
    PUBLISHED,
    RANDOM_HELP,
    RATIO,
    SURPRISE,
    UNREAD,
)
from attractor.papers.p07_iamm.dialogue import baselines, examples, learn
from attractor.papers.p07_iamm.hints import CHOSEN, NO_HINT, RANDOM, surprises
from attractor.papers.p07_iamm.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval, mean_interval
from attractor.papers.sweep import sweep

CHITCHAT = "chitchat-dataset, weak labels of nrclex"
EMPATHETIC = "EmpatheticDialogues"
HINTED_AT_ONCE = 12
TOLD = 0.9
"""Part of the progress after which only hints are left."""
NOT_HERE = "not at this scale; at scale full where the files of EmpatheticDialogues are in the data folder"
NO_PEER = "scikit-learn is not installed: pip install 'attractor[sklearn]'"
Run = dict[str, Any]


def measure_dialogue(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of the weakly labelled dialogues, and of the hints that IAMM gives there."""
    try:
        tests = min(size.dialogue.tests, len(examples("chitchat")["test"]))
    except DataUnavailableError as error:
        return Measured(unmeasured((*DIALOGUE, *HINTED), CHITCHAT, error))
    data = f"{CHITCHAT}, {tests:,} tests"
    plain = dict(
        zip((True, False), sweep(baselines, [("chitchat", given, size.learned, tests) for given in (True, False)]), strict=True)
    )
    asked = [
        (kind, given, seed + one)
        for given, seeds in ((True, size.dialogue_seeds), (False, size.bare_seeds))
        for one in range(seeds)
        for kind in ("iamm", "plain")
    ]
    points = [("chitchat", kind, given, size.dialogue, which) for kind, given, which in asked]
    found = sweep(learn, points, lambda done: tell(TOLD * done))
    runs = {
        (kind, given): [run for (other, had, _), run in zip(asked, found, strict=True) if (other, had) == (kind, given)]
        for kind in ("iamm", "plain")
        for given in (True, False)
    }
    majority = plain[True]["majority"]
    rows = [baseline_row(MAJORITY, "majority", plain[True], data)]
    rows += [baseline_row(claim, "linear", plain[given], data) for given, claim in LINEAR.items()]
    rows += [learned_row(claim, runs[kind, given], measure, data) for (kind, given, measure), claim in LEARNED.items()]
    gains = [run["accuracy"] - majority for run in runs["iamm", True]]
    rows.append(Row(GAIN, *mean_interval(gains), len(gains), seconds_of(runs["iamm", True]), data, note=f"seeds: {listed(gains)}"))
    ratios = [one["perplexity"] / other["perplexity"] for one, other in zip(runs["iamm", True], runs["plain", True], strict=True)]
    both = [*runs["iamm", True], *runs["plain", True]]
    rows.append(
        Row(RATIO, *geometric_interval(ratios), len(ratios), seconds_of(both), data, note=f"paired by seed: {listed(ratios)}")
    )
    tell(TOLD)
    return Measured([*rows, *hint_rows(runs["iamm", True][0]["pairs"], seed)])


def hint_rows(pairs: Sequence[Any], seed: int) -> list[Row]:
    """Rows of the hints that the first IAMM gives."""
    if not pairs:
        return unmeasured(HINTED, "chitchat-dataset", "not at this scale")
    starts = range(0, len(pairs), HINTED_AT_ONCE)
    points = [("chitchat", start, list(pairs[start : start + HINTED_AT_ONCE]), seed + start) for start in starts]
    try:
        found = sweep(surprises, points)
    except DataUnavailableError as error:
        return unmeasured(HINTED, "chitchat-dataset", error)
    none, chosen, random = ([value for run in found for value in run[hint]] for hint in (NO_HINT, CHOSEN, RANDOM))
    seconds = seconds_of(found)

    def row(claim: Claim, first: Sequence[float], second: Sequence[float] | None = None, note: str = "") -> Row:
        values = first if second is None else [one - other for one, other in zip(first, second, strict=True)]
        return Row(claim, *mean_interval(values), len(values), seconds, "chitchat-dataset, tests", note=note)

    return [
        row(SURPRISE, none),
        row(HELP, none, chosen, "paired by dialogue"),
        row(RANDOM_HELP, none, random, "paired by dialogue"),
        row(ABOVE_RANDOM, random, chosen, "paired by dialogue"),
    ]


def measure_published(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of the paper's own table, with its situation and without; neither COMET nor GloVe."""
    claims = (*PUBLISHED.values(), UNREAD)
    if size.published is None:
        return Measured(unmeasured(claims, EMPATHETIC, NOT_HERE))
    try:
        examples("empathetic")
    except DataUnavailableError as error:
        return Measured(unmeasured(claims, EMPATHETIC, error))
    points = [("empathetic", "iamm", given, size.published, seed) for given in (True, False)]
    read, unread = sweep(learn, points, tell)
    rows = [learned_row(claim, [read], measure, EMPATHETIC) for measure, claim in PUBLISHED.items()]
    return Measured([*rows, learned_row(UNREAD, [unread], "accuracy", EMPATHETIC)])


def learned_row(claim: Claim, runs: Sequence[Run], measure: str, data: str) -> Row:
    """The mean over seeds; of one run the interval is that of its tests, where there is one."""
    values = [run[measure] for run in runs]
    mean, interval = mean_interval(values)
    if len(runs) == 1 and measure in runs[0]["intervals"]:
        low, high = runs[0]["intervals"][measure]
        interval = (min(low, mean), max(high, mean))
    steps = ", ".join(f"{run['best_step']:,}" for run in runs)
    trained = f"{runs[0]['parameters']:,} numbers, learned from {runs[0]['learned']:,} exchanges, best after {steps} steps"
    of = f"seeds: {listed(values)}" if len(runs) > 1 else "one training" + (", the interval is of its tests" if interval else "")
    return Row(claim, mean, interval, len(runs), seconds_of(runs), data, note=f"{of}; {trained}")


def baseline_row(claim: Claim, kind: str, run: Run, data: str) -> Row:
    """An accuracy of `baselines`."""
    if run[kind] is None:
        return Row.unmeasured(claim, data, NO_PEER)
    low, high = run["intervals"][kind]
    ends = (min(low, run[kind]), max(high, run[kind]))
    return Row(claim, run[kind], ends, 1, run["seconds"], data, note=f"learned from {run['learned']:,} exchanges")


def listed(values: Sequence[float]) -> str:
    """The values of the seeds."""
    return ", ".join(f"{value:.4g}" for value in values)


def seconds_of(runs: Sequence[Run]) -> float:
    """Of the processes that measured them."""
    return float(sum(run["seconds"] for run in runs))
