"""What users hand in, arrays, lists and pandas frames, as a `Table`, and completed tables in the same form."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from sklearn.utils import check_array

from attractor.estimators.imputer.columns import Table, in_order, unknown

PRECISIONS = (np.float64, np.float32)


def is_frame(X: Any) -> bool:
    return hasattr(X, "iloc") and hasattr(X, "dtypes") and len(X.shape) == 2


def nominal_features(X: Any, setting: Any) -> np.ndarray:
    """Which features hold categories, `(features,)` Boolean; empty where none does.

    Raises:
        ValueError: `setting` names a feature that is not there, or is a mask of another length.
        TypeError: it is neither a mask nor indices nor names.
    """
    if setting is None or (isinstance(setting, str) and setting == "from_dtype" and not is_frame(X)):
        return np.zeros(0, dtype=bool)
    shape = np.shape(X)
    features = shape[1] if len(shape) == 2 else 0
    if isinstance(setting, str):
        if setting != "from_dtype":
            raise ValueError(f"categorical_features must be 'from_dtype', None, a mask, indices or names, got {setting!r}")
        return np.array([getattr(kind, "kind", "O") in "OUS" for kind in X.dtypes])
    given = np.asarray(setting)
    if given.ndim != 1 or (len(given) and given.dtype.kind not in "biuUSO"):
        raise TypeError(f"categorical_features must be 'from_dtype', None, a mask, indices or names, got {setting!r}")
    if given.dtype.kind == "b":
        if len(given) != features:
            raise ValueError(f"categorical_features must have one entry for each of {features} features, got {len(given)}")
        return given
    nominal, names = np.zeros(features, dtype=bool), list(X.columns) if is_frame(X) else []
    for one in given.tolist():
        place = names.index(one) if one in names and not isinstance(one, int) else one
        if not isinstance(place, int) or not -features <= place < features:
            raise ValueError(f"categorical_features must name features of X, got {one!r}")
        nominal[place] = True
    return nominal


def table_of(X: Any, nominal: np.ndarray, estimator: Any) -> Table:
    """`X (n, features)` apart: numbers, categories, holes.

    Raises:
        TypeError, ValueError: wrong shape, infinite numbers, or text in a column of numbers.
    """
    frame = is_frame(X)
    if not frame:
        X = check_array(X, dtype=None if isinstance(X, np.ndarray) else object, ensure_all_finite=False, estimator=estimator)
    elif not len(X):
        raise ValueError(f"X must have at least one row, got shape {X.shape}")
    some = np.flatnonzero(~nominal)
    numbers = np.full(X.shape, np.nan)
    if len(some):
        part = X.iloc[:, some] if frame else X[:, some]
        checked = check_array(part, dtype=PRECISIONS, ensure_all_finite="allow-nan", estimator=estimator, input_name="X")
        numbers = numbers.astype(checked.dtype)
        numbers[:, some] = checked
    missing, objects = np.isnan(numbers), {}
    for feature in np.flatnonzero(nominal).tolist():
        objects[feature] = X.iloc[:, feature].astype(object).to_numpy() if frame else X[:, feature].astype(object)
        for value in objects[feature].tolist():
            if not isinstance(value, Hashable):
                raise TypeError(f"X must hold hashable categories, got {type(value).__name__} in feature {feature}")
        missing[:, feature] = unknown(objects[feature])
    all_numbers = not frame and X.dtype.kind in "biuf"
    return Table(numbers, objects, missing, numbers.dtype if all_numbers else np.dtype(object))


def check_kinds(X: Any, nominal: np.ndarray) -> None:
    """Raises TypeError where a column that is no category holds dates or durations."""
    kinds = X.dtypes if is_frame(X) else [getattr(X, "dtype", None)]
    for feature, kind in enumerate(kinds):
        if getattr(kind, "kind", "O") in "mM" and not (len(nominal) and nominal[feature]):
            name = repr(X.columns[feature]) if is_frame(X) else "of X"
            raise TypeError(f"X must hold numbers and categories, got {kind} in column {name}; turn it into numbers first")


def completed_frame(X: Any, table: Table) -> Any:
    """A copy of the frame `X` with the holes filled from `table`; a category column keeps its kind and may gain categories.

    Columns of whole numbers and Booleans that have holes become fractions, those without stay.
    """
    frame = X.copy()
    for feature in range(X.shape[1]):
        column, values, known = X.iloc[:, feature], table.column(feature), ~table.missing[:, feature]
        if known.all():
            continue
        kind = getattr(column.dtype, "kind", "O")
        if feature in table.objects:
            if hasattr(column, "cat"):
                lacking = set(values[~known].tolist()) - set(column.cat.categories)
                column = column.cat.add_categories(in_order(list(lacking)))
            column = column.where(known, values)
        elif kind == "O":
            column = values
        else:
            nullable = column.astype("Float64") if kind in "biu" else column
            column = nullable.where(known, values.astype(np.float64)).astype(nullable.dtype)
        frame.isetitem(feature, column)
    return frame
