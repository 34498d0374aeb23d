"""A fitted `ClAM` as one file, and back, with everything checked that the file says."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.clam.points import Moments as Adam
from attractor.estimators.clam.scaling import Moments, location_and_scale
from attractor.estimators.clam.settings import check_settings
from attractor.estimators.saving import load_estimator, number, require, restoring, save_estimator

ADAM = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps, by the names it gives."""


def save_clam(clusterer: Any, path: str | os.PathLike[str]) -> None:
    """See `ClAM.save`."""
    state = {"centers": torch.from_numpy(clusterer.cluster_centers_), "weights": torch.from_numpy(clusterer.weights_)}
    state |= {name: torch.from_numpy(array) for name, array in clusterer._moments._asdict().items()}
    names = ["labels_", "losses_", *(["silhouettes_"] if hasattr(clusterer, "silhouettes_") else [])]
    state |= {name: torch.from_numpy(getattr(clusterer, name)) for name in names}
    for place, kept in enumerate(clusterer._adam):
        state |= {f"adam.{place}.{name}": kept[name] for name in ADAM}
    settings = clusterer.get_params(deep=False)
    if not isinstance(settings["init"], str):
        state["init"], settings["init"] = torch.from_numpy(np.asarray(settings["init"], np.float64)), "k-means"
    extra = {
        "loss": clusterer.loss_,
        "steps": clusterer.n_iter_,
        "seed": clusterer._seed,
        "asked": clusterer._asked,
        "beta": clusterer.beta_,
        "names": getattr(clusterer, "feature_names_in_", np.array([])).tolist(),
    }
    save_estimator(type(clusterer)(**settings), path, state, extra)


def load_clam(kind: type[Any], path: str | os.PathLike[str]) -> Any:
    """See `ClAM.load`."""
    settings, state, extra = load_estimator(path, kind)
    with restoring(kind, path):
        return restored(kind(**settings), state, extra)


def restored(clusterer: Any, state: Mapping[str, Tensor], extra: Mapping[str, Any]) -> Any:
    centers = state["centers"]
    require("centers", centers.dim() == 2 and 0 < len(centers) <= whole("asked", extra["asked"], 1))
    clusters, features = centers.shape
    if "init" in state:
        clusterer.init = array(state, "init", (clusterer.n_clusters, features)).copy()
    check_settings(clusterer)
    moments = Moments(*(array(state, name, (features,)) for name in Moments._fields))
    require("deviation", bool((moments.counts >= 0).all() and (moments.deviation >= 0).all()))
    weights = array(state, "weights", (clusters,))
    require("weights", bool((weights > 0).all()) and math.isclose(weights.sum(), 1.0, abs_tol=1e-6))
    labels = state["labels_"].numpy()
    require("labels_", labels.ndim == 1 and labels.dtype == np.int64 and 0 <= labels.min() <= labels.max() < clusters)
    losses = state["losses_"].numpy()
    require("losses_", losses.ndim == 1 and losses.dtype == np.float64 and bool((losses >= 0).all()))
    clusterer._moments, clusterer.n_features_in_ = moments, features
    clusterer.mean_, clusterer.scale_ = location_and_scale(moments, clusterer.standardise, clusterer.spherical)
    clusterer.cluster_centers_ = array(state, "centers", (clusters, features))
    clusterer.weights_, clusterer.n_clusters_ = weights, clusters
    clusterer.labels_, clusterer.losses_ = labels, losses
    if "silhouettes_" in state:
        clusterer.silhouettes_ = array(state, "silhouettes_", losses.shape)
    clusterer.loss_, clusterer.beta_ = number("loss", extra["loss"], 0.0), number("beta", extra["beta"], 1e-300)
    clusterer.n_iter_, clusterer._seed = whole("steps", extra["steps"], 0), whole("seed", extra["seed"], 0)
    clusterer._asked = whole("asked", extra["asked"], 1)
    clusterer._adam = adam_of(state, [(1, clusters, features), (1, clusters)])
    names = extra["names"]
    require("names", isinstance(names, list) and len(names) in (0, features) and all(isinstance(one, str) for one in names))
    if names:
        clusterer.feature_names_in_ = np.array(names, dtype=object)
    return clusterer


def adam_of(state: Mapping[str, Tensor], shapes: list[tuple[int, ...]]) -> Adam:
    """What Adam kept of the prototypes and, where these are learned, of the weights."""
    kept = []
    for place, shape in enumerate(shapes):
        if f"adam.{place}.step" in state:
            one = {name: state[f"adam.{place}.{name}"] for name in ADAM}
            for name, tensor in one.items():
                right = tensor.shape == (() if name == "step" else shape) and tensor.dtype == torch.float32
                require(f"adam.{place}.{name}", right and bool(tensor.isfinite().all()))
            require(f"adam.{place}", bool((one["step"] >= 0) & (one["exp_avg_sq"] >= 0).all()))
            kept.append(one)
    return tuple(kept)


def array(state: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> np.ndarray:
    found = state[name].numpy()
    require(name, found.shape == shape and found.dtype == np.float64 and bool(np.isfinite(found).all()))
    return found


def whole(name: str, value: Any, least: int) -> int:
    require(name, isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**62)
    return int(value)
