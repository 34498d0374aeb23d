"""Completion of tables by a dense associative memory, with scikit-learn's interface.

The rows of a table are the patterns, its unknown entries the part of a cue that recall fills: the soft-max read of Ramsauer et al.
2021 over a similarity of what is known on both sides, see `evidence.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch

from attractor.bank import Bank, RamBank, bank_from, bank_settings
from attractor.estimators.imputer.columns import Columns, Table
from attractor.estimators.imputer.reading import complete
from attractor.estimators.imputer.temperature import choose_beta
from attractor.estimators.saving import load_estimator, save_estimator
from attractor.validation import check_positive

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils._set_output import _get_output_config
    from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

    from attractor.estimators.imputer.tables import PRECISIONS, completed_frame, is_frame, nominal_features, table_of
except ImportError as error:
    raise ImportError("AssociativeImputer needs scikit-learn: pip install 'attractor[sklearn]'") from error

NO_CATEGORY = "missing_value"  # as SimpleImputer has it
ROWS_AT_ONCE = 2**16
ARRAYS = ("numeric", "mean", "scale", "varied", "nominal", "frequencies")
MASKS = ("empty_features_", "indicator_features_", "is_categorical_")


class AssociativeImputer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Completes unknown entries (NaN, None) from the stored rows that resemble a row in what is known.

    `fit` stores all rows, those with holes too. `transform` fills a hole with the mean of its column over the stored rows that know
    it, each weighted by `exp(s)`: how much likelier the row is as a noisy copy of the stored one than as an unrelated row. An entry
    that is unknown on either side is no evidence for either. A category is filled with the one of most weight. A row without any
    known entry gets the means and the most frequent categories. What is known never changes, and rows are completed one by one:
    which others come along makes no difference.

    Numbers are standardised for the comparison; columns that never vary take no part in it. It works in single precision.

    Args:
        beta: inverse temperature, the precision of that noise in standard deviations: large for the nearest row alone, small for
            the mean of all. `"auto"`: the one that completes 512 sampled rows best, each from all others, when entries are hidden
            from them like the holes of the table, or a fifth where it has none.
        categorical_features: features that hold categories: a mask, indices, names, None for none, or `"from_dtype"` for the
            columns of a pandas frame with the dtype category, object or string. Only the 255 most frequent categories of a feature
            are compared and filled in. A category that `fit` did not see stays as it is, and is no evidence.
        bank: gives an empty bank for rows of the width it is called with, such as `partial(DiskBank, "folder")`. Default: in
            memory. Stored are 32-bit numbers: 3 for each number, 1 + categories for each category column.
        add_indicator: append a column of 0 and 1 for each feature with unknown entries in `fit`, 1 where unknown.
        keep_empty_features: keep features without any known entry in `fit`, filled with 0, or `"missing_value"` among text.
            Default: they are left out.
        random_state: of the sample for `beta="auto"`.

    Attributes:
        beta_: the inverse temperature in use.
        completion_error_: root mean square error of the sampled entries, in standard deviations, for categories half the squared
            distance of votes and truth. Rather too large: these rows lack their own unknown entries besides. Only with
            `beta="auto"`, where there was something to sample.
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
        if self.beta != "auto":
            check_positive("beta", self.beta)
        fresh = copy(self)
        table = fresh._table(X, reset=True)
        if bool(table.missing.all()):
            raise ValueError(f"X must have a known entry, all of {table.missing.shape} are unknown")
        fresh.columns_ = Columns.of(table)
        fresh.empty_features_ = np.flatnonzero(table.missing.all(0))
        fresh.indicator_features_ = np.flatnonzero(table.missing.any(0))
        layout = fresh.columns_.layout
        values, known = fresh.columns_.encode(table)
        fresh.bank_ = RamBank(layout.stored_width) if self.bank is None else self.bank(layout.stored_width)
        if fresh.bank_.dim != layout.stored_width or len(fresh.bank_):
            raise ValueError(f"bank must give an empty bank of width {layout.stored_width}, got {fresh.bank_!r}")
        parts = zip(values.split(ROWS_AT_ONCE), known.split(ROWS_AT_ONCE), strict=True)
        ids = torch.cat([fresh.bank_.append(layout.rows(*part)) for part in parts])
        fresh.__dict__.pop("completion_error_", None)
        if self.beta == "auto":
            random = check_random_state(self.random_state)
            choice = choose_beta(fresh.bank_, layout, values, known, ids, random, progress or silent)
            fresh.beta_ = 1.0 if choice is None else choice.beta
            if choice is not None:
                fresh.completion_error_ = choice.error
        else:
            fresh.beta_ = float(self.beta)
        self.__dict__ = fresh.__dict__
        return self

    def transform(self, X: Any, *, progress: Callable[[float], None] | None = None) -> Any:
        """Fill the holes of `X (n, features)`.

        Args:
            X: with the features of `fit`.
            progress: told of the fraction that is done.

        Returns:
            `(n, features)` in the precision of `X`, without empty features unless they are kept, and with indicators where wanted.
            Where text is among the categories an array of objects; with `set_output(transform="pandas")` frames keep the kinds of
            their columns.

        Raises:
            TypeError, ValueError: ill-shaped, infinite, or other features than in `fit`.
        """
        check_is_fitted(self)
        table = self._table(X, reset=False)
        completed, kept = self._completed(table, progress), self._kept()
        indicators = table.missing[:, self.indicator_features_ if self.add_indicator else []].astype(table.numbers.dtype)
        if table.objects and is_frame(X) and _get_output_config("transform", self)["dense"] == "pandas":
            names = self.get_feature_names_out()[len(kept) :]
            return completed_frame(X, completed).iloc[:, kept].assign(**dict(zip(names, indicators.T, strict=True)))
        return np.concatenate([completed.array()[:, kept], indicators.astype(table.dtype)], 1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of what `transform` gives: of the features, and `missingindicator_NAME`."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if not self.add_indicator:
            return names[self._kept()]
        indicators = [f"missingindicator_{name}" for name in names[self.indicator_features_]]
        return np.concatenate([names[self._kept()], np.array(indicators, dtype=object)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all to the file `path`; of a bank on disk only where it is, seen from there.

        Raises:
            TypeError: a random state that is no number, or categories that JSON cannot hold.
            ValueError: a bank that is neither in memory nor on disk, or `path` is a folder.
        """
        check_is_fitted(self)
        plain = copy(self)
        plain.categorical_features = plain.bank = None
        columns = self.columns_
        extra = {
            "beta": self.beta_,
            "error": getattr(self, "completion_error_", None),
            "features": self.n_features_in_,
            "names": getattr(self, "feature_names_in_", np.array([])).tolist(),
            "categories": [list(some) for some in columns.categories],
            "bank": {**bank_settings(self.bank_, Path(path).parent), "dim": self.bank_.dim},
        }
        state = {name: torch.from_numpy(getattr(columns, name)) for name in ARRAYS}
        state |= {name: torch.from_numpy(getattr(self, name)) for name in MASKS}
        if isinstance(self.bank_, RamBank):
            state |= {f"bank.{name}": tensor for name, tensor in self.bank_.contents().items()}
        save_estimator(plain, path, state, extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another class or a newer format, or the bank on disk is not where it was.
        """
        settings, state, extra = load_estimator(path, cls)
        imputer = cls(**settings)
        imputer.categorical_features = state["is_categorical_"].tolist()
        arrays = {name: state[name].numpy() for name in ARRAYS}
        imputer.columns_ = Columns(**arrays, categories=extra["categories"])
        for name in MASKS:
            setattr(imputer, name, state[name].numpy())
        imputer.beta_, imputer.n_features_in_ = extra["beta"], extra["features"]
        if extra["error"] is not None:
            imputer.completion_error_ = extra["error"]
        if extra["names"]:
            imputer.feature_names_in_ = np.array(extra["names"], dtype=object)
        imputer.bank_ = bank_from(extra["bank"], extra["bank"]["dim"], Path(path).parent)
        if isinstance(imputer.bank_, RamBank):
            imputer.bank_.restore({name[5:]: tensor for name, tensor in state.items() if name.startswith("bank.")})
        return imputer

    def _table(self, X: Any, *, reset: bool) -> Table:
        if reset:
            self.is_categorical_ = nominal_features(X, self.categorical_features)
        if not self.is_categorical_.any():
            numbers = validate_data(self, X, dtype=PRECISIONS, ensure_all_finite="allow-nan", reset=reset)
            return Table(numbers, {}, np.isnan(numbers), numbers.dtype)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return table_of(X, self.is_categorical_, self)

    def _completed(self, table: Table, progress: Callable[[float], None] | None) -> Table:
        """A copy of `table` with its holes filled."""
        objects = {feature: column.copy() for feature, column in table.objects.items()}
        whole = replace(table, numbers=table.numbers.copy(), objects=objects)
        features = self.columns_.features
        rows = np.flatnonzero(table.missing[:, features].any(1))
        if len(rows):
            some = table.rows(rows)
            values, known = self.columns_.encode(some)
            wanted = torch.from_numpy(some.missing[:, features])
            filled = complete(self.bank_, self.columns_.layout, values, known, self.beta_, wanted=wanted, tell=progress or silent)
            for feature, found in self.columns_.decode(filled).items():
                holes = some.missing[:, feature]
                whole.column(feature)[rows[holes]] = found[holes]
        for feature in self.empty_features_.tolist():
            nothing = NO_CATEGORY if feature in objects and table.dtype == object else 0
            whole.column(feature)[table.missing[:, feature]] = nothing
        return whole

    def _kept(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self.n_features_in_), [] if self.keep_empty_features else self.empty_features_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def silent(done: float) -> None:
    """Progress that nobody asked for."""
