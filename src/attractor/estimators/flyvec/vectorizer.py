"""Texts as bits, for scikit-learn's pipelines."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from attractor.estimators.flyvec.model import FlyVec

try:
    from sklearn.base import BaseEstimator, TransformerMixin, clone
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError("FlyVecVectorizer needs scikit-learn: pip install 'attractor[sklearn]'") from error


class FlyVecVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Learns word codes from texts, and makes of each text a code of bits: the cells that its words drive most.

    Args:
        model: a `FlyVec` with the settings to learn with. Default: `FlyVec()`.
        hash_length: bits that are on.
        packed: give eight bits in a byte, as `numpy.packbits` does.

    Attributes:
        model_: the fitted `FlyVec`.

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

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from texts: strings, lists of words, or the path of a file with one in each line.

        Raises:
            TypeError, ValueError: as `FlyVec.fit`.
        """
        self.model_ = clone(FlyVec() if self.model is None else self.model).fit(X)
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
