"""A fitted imputer as one file, and back, with everything checked that the file says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.bank import Bank, DiskBank, RamBank, bank_from, bank_settings
from attractor.estimators.imputer.columns import Columns
from attractor.estimators.imputer.evidence import Layout
from attractor.estimators.saving import load_estimator, number, require, restoring, save_estimator

ARRAYS = {"numeric": "i", "mean": "f", "scale": "f", "varied": "b", "nominal": "i", "frequencies": "f"}
FEATURES = {"empty_features_": "i", "indicator_features_": "i", "is_categorical_": "b"}
"""Arrays of the columns and of the imputer, with the kind of their dtype."""
PLAIN = (str, int, float, bool)


def save_imputer(imputer: Any, path: str | os.PathLike[str]) -> None:
    """See `AssociativeImputer.save`."""
    if not isinstance(imputer.bank_, RamBank | DiskBank):
        raise ValueError(f"bank must be a RamBank or a DiskBank to be saved, got {imputer.bank_!r}")
    columns, named = imputer.columns_, imputer.categorical_features
    extra = {
        # a mask comes back as it was understood
        "categorical": named is not None and not isinstance(named, str),
        "beta": imputer.beta_,
        "neighbours": getattr(imputer, "neighbours_", None),
        "error": getattr(imputer, "completion_error_", None),
        "features": imputer.n_features_in_,
        "names": getattr(imputer, "feature_names_in_", np.array([])).tolist(),
        "categories": [[plain_category(one) for one in some] for some in columns.categories],
        "output": getattr(imputer, "_sklearn_output_config", {}),
        "bank": {**bank_settings(imputer.bank_, Path(path).parent), "rows": len(imputer.bank_)},
    }
    state = {name: torch.from_numpy(getattr(columns, name)) for name in ARRAYS}
    state |= {name: torch.from_numpy(getattr(imputer, name)) for name in FEATURES}
    if isinstance(imputer.bank_, RamBank):
        state |= {f"bank.{name}": tensor for name, tensor in imputer.bank_.contents().items()}
    settings = imputer.get_params(deep=False) | {"bank": None}
    if extra["categorical"]:
        settings["categorical_features"] = None
    save_estimator(type(imputer)(**settings), path, state, extra)


def plain_category(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, PLAIN):
        raise TypeError(f"categorical_features must hold text or numbers to be saved, got {value!r} of type {type(value).__name__}")
    return value


def load_imputer(kind: type[Any], path: str | os.PathLike[str]) -> Any:
    """See `AssociativeImputer.load`."""
    settings, state, extra = load_estimator(path, kind)
    with restoring(kind, path):
        return restored(kind, settings, state, extra, Path(path).parent)


def restored(kind: type[Any], settings: dict[str, Any], state: Mapping[str, Tensor], extra: Any, folder: Path) -> Any:
    imputer = kind(**settings)
    features = extra["features"]
    require("features", isinstance(features, int) and features > 0)
    arrays = {name: array(state, name, sort) for name, sort in (ARRAYS | FEATURES).items()}
    columns = Columns(**{name: arrays[name] for name in ARRAYS}, categories=extra["categories"])
    check_columns(columns, arrays["empty_features_"], features)
    indicated, categorical = arrays["indicator_features_"], arrays["is_categorical_"]
    require("indicator_features_", ascending(indicated, features))
    require("is_categorical_", len(categorical) in (0, features) and set(columns.nominal) <= set(np.flatnonzero(categorical)))
    imputer.columns_, imputer.n_features_in_ = columns, features
    for name in FEATURES:
        setattr(imputer, name, arrays[name])
    if extra["categorical"]:
        imputer.categorical_features = categorical.tolist()
    if extra["output"]:
        imputer.set_output(transform=extra["output"]["transform"])
    imputer.beta_ = number("beta", extra["beta"], least=1e-300)
    if extra["neighbours"] is not None:
        imputer.neighbours_ = number("neighbours", extra["neighbours"], least=1.0)
        imputer.completion_error_ = number("error", extra["error"], least=0.0)
    names = extra["names"]
    require("names", isinstance(names, list) and len(names) in (0, features) and all(isinstance(one, str) for one in names))
    if names:
        imputer.feature_names_in_ = np.array(names, dtype=object)
    imputer.bank_ = bank_of(extra["bank"], columns.layout, state, folder)
    return imputer


def bank_of(settings: dict[str, Any], layout: Layout, state: Mapping[str, Tensor], folder: Path) -> Bank:
    require("kind of bank", settings["kind"] in ("ram", "disk"))
    bank = bank_from(settings, layout.stored_width, folder)
    if isinstance(bank, RamBank):
        knows = state["bank.patterns"][:, layout.width : layout.width + layout.columns]
        require("bank", bool(((knows == 0) | (knows == 1)).all()))
        bank.restore({name[5:]: tensor for name, tensor in state.items() if name.startswith("bank.")})
    if len(bank) != settings["rows"] or not len(bank) or bank.dtype != torch.float32:
        raise ValueError(f"bank must hold the {settings['rows']} float32 rows that were saved, got {bank!r}")
    return bank


def check_columns(columns: Columns, empty: np.ndarray, features: int) -> None:
    """Raises ValueError where arrays do not fit each other, or hold what no table gives."""
    everything = np.concatenate([columns.features, empty])
    parts = (columns.numeric, columns.nominal, empty)
    require("features", all(ascending(part, features) for part in parts) and sorted(everything) == list(range(features)))
    for name in ("mean", "scale", "varied"):
        one = getattr(columns, name)
        require(name, one.shape == columns.numeric.shape and bool(np.isfinite(one).all()))
    require("scale", bool((columns.scale > 0).all()))
    categories = columns.categories
    require("categories", isinstance(categories, list) and len(categories) == len(columns.nominal))
    for some in categories:
        require("categories", 0 < len(some) == len(set(some)) and all(isinstance(one, PLAIN) for one in some))
    shares = columns.frequencies
    require("frequencies", shares.shape == (sum(map(len, categories)),) and bool(((shares > 0) & (shares <= 1)).all()))


def array(state: Mapping[str, Tensor], name: str, sort: str) -> np.ndarray:
    found = state[name].numpy()
    require(name, found.ndim == 1 and found.dtype.kind == sort)
    return found


def ascending(places: np.ndarray, count: int) -> bool:
    return bool((np.diff(places) > 0).all()) and (not len(places) or 0 <= places[0] <= places[-1] < count)
