"""Completion of tables by a dense associative memory, with scikit-learn's interface.

The rows of a table are the patterns, its unknown entries the part of a cue that recall fills: the soft-max read of Ramsauer et al.
2021 over a similarity of what is known on both sides, see `evidence.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
import torch

from attractor.bank import Bank, DiskBank, RamBank
from attractor.estimators.imputer.choice import choose_neighbours
from attractor.estimators.imputer.columns import Columns, Table
from attractor.estimators.imputer.perplexity import Search
from attractor.estimators.imputer.reading import Cue, complete
from attractor.estimators.imputer.storing import load_imputer, save_imputer
from attractor.validation import check_positive

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils._set_output import _get_output_config
    from sklearn.utils.validation import check_is_fitted, validate_data

    from attractor.estimators.imputer.tables import PRECISIONS, check_kinds, completed_frame, is_frame, nominal_features, table_of
except ImportError as error:
    raise ImportError("AssociativeImputer needs scikit-learn 1.6 or newer: pip install 'attractor[sklearn]'") from error

NO_CATEGORY = "missing_value"  # as SimpleImputer has it
ROWS_AT_ONCE = 2**16
CUES_AT_ONCE = 1024
GREATEST_BETA = 1e10
"""Larger than it takes to tell 100,000 equal steps of a column apart; double precision ends soon beyond."""


class AssociativeImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Completes unknown entries (NaN, None) from the stored rows that resemble a row in what is known.

    `fit` stores all rows, those with holes too. `transform` fills a hole with the mean of its column over the stored rows that know
    it, each weighted by `exp(s)`: how much likelier the row is as a noisy copy of the stored one than as an unrelated row. An entry
    that is unknown on either side is no evidence for either. A category is filled with the one of most weight. A row without any
    known entry gets the means and the most frequent categories. What is known never changes, and rows are completed one by one:
    which others come along makes no difference.

    How sharply to weigh is chosen for each row: `beta` in `exp(s)`, the precision of the noise, is the one at which the weights of
    the rows that can help have the perplexity `neighbours_`, so that it follows how densely the stored rows lie (Hinton and Roweis
    2002). Exact copies of what a row knows cannot be told apart: where there are more of them than `neighbours_`, the row gets
    their mean.

    Numbers are standardised for the comparison; columns that never vary take no part in it. Rows are stored in single precision,
    and compared in double where the score needs it.

    Args:
        beta: `"auto"`, or one inverse temperature for all rows, per squared standard deviation, at most 10^10: large for the
            nearest row alone, small for the mean of all. `"auto"` chooses `neighbours_` among 2, 4, 8, ... and all rows: what
            completes 512 sampled rows best, each from all others, when entries are hidden from them like the holes of the table,
            or a fifth where it has none.
        categorical_features: features that hold categories: a mask, indices, names, None for none, or `"from_dtype"` for the
            columns of a pandas frame with the dtype category, object or string. Only the 255 most frequent categories of a feature
            are compared and filled in. A category that `fit` did not see stays as it is, and is no evidence.
        bank: gives an empty bank, in memory, on disk or over a cluster, for rows of the width it is called with; each fit needs a
            new one. Default: `RamBank`. For rows on disk: `lambda width: DiskBank(tempfile.mkdtemp(), width)`. Stored are 32-bit
            numbers: 3 for each number, 1 + categories for each category column.
        add_indicator: append a column of 0 and 1 for each feature with unknown entries in `fit`, 1 where unknown.
        keep_empty_features: keep features without any known entry in `fit`, filled with 0, or `"missing_value"` among text.
            Default: they are left out.
        random_state: of that sample.

    Attributes:
        neighbours_: the perplexity of the weights. Only with `beta="auto"`, where there was something to sample.
        beta_: the median inverse temperature of the sampled rows at this perplexity, or the one that was given.
        completion_error_: root mean square error of the sampled entries, in standard deviations, for categories half the squared
            distance of votes and truth; with `neighbours_`. No estimate of the error of `transform`: the least of some attempts,
            hence rather small, of rows that lack their own unknown entries besides, hence rather large.
        bank_: the stored rows.
        columns_: mean, scale and categories of the features.
        empty_features_: features without any known entry in `fit`.
        indicator_features_: features with unknown entries in `fit`.
        n_features_in_: number of features.
        feature_names_in_: their names, where `X` had names.

    Example:
        >>> X = np.array([[1.0, 10.0], [1.1, 11.0], [5.0, 50.0], [5.1, 51.0], [1.05, np.nan]])
        >>> AssociativeImputer(beta=100.0).fit_transform(X)[4].round(1)
        array([ 1. , 10.5])
    """

    def __init__(
        self,
        *,
        beta: float | Literal["auto"] = "auto",
        categorical_features: Any = "from_dtype",
        bank: Callable[[int], Bank] | None = None,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = 0,
    ):
        self.beta = beta
        self.categorical_features = categorical_features
        self.bank = bank
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, progress: Callable[[float], None] | None = None) -> Self:
        """Store the rows of `X (n, features)` and choose the inverse temperature.

        Args:
            X: numbers, or numbers and categories, with holes.
            y: ignored.
            progress: told of the fraction that is done.

        Raises:
            TypeError, ValueError: ill-shaped, infinite, nothing known at all, a setting out of its range, or a bank that is not
                empty or of another width; nothing has changed then.
        """
        automatic = isinstance(self.beta, str) and self.beta == "auto"
        if not automatic and check_positive("beta", cast(float, self.beta)) > GREATEST_BETA:
            raise ValueError(f"beta must be at most {GREATEST_BETA:g}, got {self.beta!r}")
        random, tell = check_random_state(self.random_state), progress or silent
        fresh = object.__new__(type(self))
        fresh.__dict__ = dict(self.__dict__)
        table = fresh._table(X, reset=True)
        if bool(table.missing.all()):
            raise ValueError(f"X must have a known entry, all of {table.missing.shape} are unknown")
        fresh.columns_ = Columns.of(table)
        fresh.empty_features_ = np.flatnonzero(table.missing.all(0))
        fresh.indicator_features_ = np.flatnonzero(table.missing.any(0))
        layout = fresh.columns_.layout
        values, known = fresh.columns_.encode(table)
        bank = (self.bank or RamBank)(layout.stored_width)
        if bank.dim != layout.stored_width or len(bank):
            raise ValueError(f"bank must give an empty bank of width {layout.stored_width} at each fit, got {bank!r}")
        stored: list[torch.Tensor] = []
        try:
            for part in zip(values.split(ROWS_AT_ONCE), known.split(ROWS_AT_ONCE), strict=True):
                stored.append(bank.append(layout.rows(*part)))
            choice = choose_neighbours(bank, layout, values, known, torch.cat(stored), random, tell) if automatic else None
        except BaseException:
            for ids in stored:
                bank.forget(ids)
            raise
        for name in ("neighbours_", "completion_error_"):
            fresh.__dict__.pop(name, None)
        fresh.bank_, fresh.beta_ = bank, 1.0 if automatic else float(self.beta)
        if choice is not None:
            fresh.neighbours_, fresh.beta_, fresh.completion_error_ = choice
        self.__dict__ = fresh.__dict__
        tell(1.0)
        return self

    def transform(self, X: Any, *, progress: Callable[[float], None] | None = None) -> Any:
        """Fill the holes of `X (n, features)`.

        Args:
            X: with the features of `fit`.
            progress: told of the fraction that is done.

        Returns:
            `(n, features)` in the precision of `X`, without empty features unless they are kept, and with indicators where wanted.
            Where text is among the categories an array of objects. With `set_output(transform="pandas")` columns of a frame without
            holes stay as they are, and the others keep their dtype, but for whole numbers and Booleans, which become fractions.

        Raises:
            TypeError, ValueError: ill-shaped, infinite, or other features than in `fit`.
        """
        check_is_fitted(self)
        table = self._table(X, reset=False)
        completed, kept = self._completed(table, progress or silent), self._kept()
        indicators = table.missing[:, self.indicator_features_ if self.add_indicator else []].astype(table.numbers.dtype)
        if is_frame(X) and _get_output_config("transform", self)["dense"] == "pandas":
            names = self.get_feature_names_out()[len(kept) :]
            return completed_frame(X, completed).iloc[:, kept].assign(**dict(zip(names, indicators.T, strict=True)))
        return np.concatenate([completed.array()[:, kept], indicators.astype(table.dtype)], 1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of what `transform` gives: of the features, and `missingindicator_NAME`."""
        names = super().get_feature_names_out(input_features)
        if not self.add_indicator:
            return names[self._kept()]
        indicators = [f"missingindicator_{name}" for name in names[self.indicator_features_]]
        return np.concatenate([names[self._kept()], np.array(indicators, dtype=object)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all to the file `path`, but for the setting `bank`; of a bank on disk only where it is, seen from there.

        Raises:
            TypeError: a random state that is no number, or categories that are neither text nor numbers.
            ValueError: a bank that is neither in memory nor on disk, or `path` is a folder.
        """
        check_is_fitted(self)
        save_imputer(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Fitted again, it stores rows in memory.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another class or a newer format, or the bank on disk is not where or as it was.
        """
        return load_imputer(cls, path)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        bank = state.get("bank_")
        # a bank on disk stays there
        return {**state, "bank_": bank.path.resolve()} if isinstance(bank, DiskBank) else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if isinstance(bank := state.get("bank_"), Path):
            self.bank_: Bank = DiskBank(bank)

    def _table(self, X: Any, *, reset: bool) -> Table:
        if reset:
            self.is_categorical_ = nominal_features(X, self.categorical_features)
        check_kinds(X, self.is_categorical_)
        if not self.is_categorical_.any():
            numbers = validate_data(self, X, dtype=PRECISIONS, ensure_all_finite="allow-nan", reset=reset)
            return Table(numbers, {}, np.isnan(numbers), numbers.dtype)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return table_of(X, self.is_categorical_, self)

    def _completed(self, table: Table, tell: Callable[[float], Any]) -> Table:
        """A copy of `table` with its holes filled."""
        objects = {feature: column.copy() for feature, column in table.objects.items()}
        whole = replace(table, numbers=table.numbers.copy(), objects=objects)
        features = self.columns_.features
        rows = np.flatnonzero(table.missing[:, features].any(1))
        if not len(rows):
            tell(1.0)
        else:
            some = table.rows(rows)
            values, known = self.columns_.encode(some)
            wanted = torch.from_numpy(some.missing[:, features])
            filled = self._recalled(Cue(values, known, wanted, torch.full((len(rows),), -1)), tell)
            for feature, found in self.columns_.decode(filled).items():
                holes = some.missing[:, feature]
                whole.column(feature)[rows[holes]] = found[holes]
        for feature in self.empty_features_.tolist():
            nothing = NO_CATEGORY if feature in objects and table.dtype == object else 0
            whole.column(feature)[table.missing[:, feature]] = nothing
        return whole

    def _recalled(self, cue: Cue, tell: Callable[[float], Any]) -> torch.Tensor:
        """What the stored rows say of the columns that each cue wants."""
        layout, parts = self.columns_.layout, []
        search = Search(self.bank_, layout, self.neighbours_) if hasattr(self, "neighbours_") else None
        for start in range(0, len(cue.values), CUES_AT_ONCE):
            some = cue.rows(slice(start, start + CUES_AT_ONCE))
            beta = layout.greatest_beta(some.values).clamp_max(self.beta_)
            if search is not None:
                beta = search.beta(some, beta)
            parts.append(complete(self.bank_, layout, some, beta))
            tell(min(1.0, (start + CUES_AT_ONCE) / len(cue.values)))
        return torch.cat(parts)

    def _kept(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self.n_features_in_), [] if self.keep_empty_features else self.empty_features_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def silent(done: float) -> None:
    """Progress that nobody asked for."""
