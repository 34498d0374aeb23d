"""Texts as bits, for scikit-learn's pipelines."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from attractor.estimators.flyvec.model import FlyVec
from attractor.estimators.saving import load_estimator, plain, restoring, save_estimator

try:
    from sklearn.base import BaseEstimator, TransformerMixin, clone
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError("FlyVecVectorizer needs scikit-learn: pip install 'attractor[sklearn]'") from error


class FlyVecVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Learns word codes from texts, and makes of each text a code of bits: the cells that its words drive most.

    Args:
        model: a `FlyVec` with the settings to learn with; default: `FlyVec()`. A copy of it learns from the texts of `fit`. To use
            one as it is, that has learned from other text or is published, put it into scikit-learn's `FrozenEstimator`.
        hash_length: bits that are on.
        packed: give eight bits in a byte, as `numpy.packbits` does.

    Attributes:
        model_: the fitted `FlyVec`, or the frozen one.

    Example:
        >>> texts = ["cats drink milk", "dogs chase cats", "stocks fell today", "banks sell stocks"] * 10
        >>> vectorizer = FlyVecVectorizer(FlyVec(cells=16, min_count=1, random_state=0), hash_length=4)
        >>> vectorizer.fit_transform(texts).sum(1).tolist() == [4] * 40
        True
    """

    def __init__(self, model: FlyVec | None = None, *, hash_length: int = 32, packed: bool = False):
        self.model = model
        self.hash_length = hash_length
        self.packed = packed

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of the model as `model__cells` and so on, also where it is the default."""
        if self.model is None and "model" not in params and any(name.startswith("model__") for name in params):
            self.model = FlyVec()
        super().set_params(**params)
        return self

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from texts: strings, lists of words, or the path of a file with one in each line.

        Raises:
            TypeError, ValueError: as `FlyVec.fit`.
        """
        self.model_ = clone(FlyVec() if self.model is None else self.model).fit(X, y)
        return self

    def transform(self, X: Any) -> npt.NDArray[np.uint8]:
        """Bits `(n, cells)`, 0 or 1, or bytes `(n, ceil(cells / 8))` where `packed`; zeros for a text without a known word.

        Raises:
            NotFittedError: before `fit`.
            TypeError: texts of another kind.
            ValueError: `hash_length` is not between 1 and the number of cells.
        """
        check_is_fitted(self)
        codes = self.model_.document_codes(X, self.hash_length)
        return codes.bits if self.packed else codes.unpack().view(np.uint8)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """`cell0`, `cell1` and so on; `byte0` and so on where `packed`."""
        check_is_fitted(self)
        cells = len(self.model_.synapses_)
        kind, count = ("byte", -(-cells // 8)) if self.packed else ("cell", cells)
        return np.array([f"{kind}{number}" for number in range(count)], object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted vectorizer to one safetensors file, without pickle.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a `random_state` of the model with a state of its own.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        # of a frozen model the one inside
        model = self.model_ if isinstance(self.model_, FlyVec) else self.model_.estimator
        state, extra = model._parts()
        settings = {name: plain(name, value) for name, value in model.get_params().items()}
        own = type(self)(hash_length=self.hash_length, packed=self.packed)
        save_estimator(own, path, state, {**extra, "model": settings, "frozen": model is not self.model_})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a vectorizer that `save` has written.

        Raises:
            FileNotFoundError, ValueError: no such file; a damaged one, one of another estimator or of a newer format.
        """
        settings, state, extra = load_estimator(path, cls)
        with restoring(cls, path):
            model = FlyVec._from_parts(extra["model"], state, extra)
            loaded = cls(**settings)
            loaded.model_ = frozen(model) if extra["frozen"] else model
            loaded.model = loaded.model_ if extra["frozen"] else clone(model)
            return loaded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def frozen(model: FlyVec) -> Any:
    from sklearn.frozen import FrozenEstimator  # from scikit-learn 1.6 on

    return FrozenEstimator(model)
