"""FlyVec: sparse binary codes of words from raw text (Liang et al. 2021, "Can a Fruit Fly Learn Word Embeddings?").

Kenyon cells compete for windows of text, and the winner learns. The energy depends on the directions of the rows of `W` alone:

    E = - sum over windows x of <W_mu*, x/p> / ||W_mu*||,    mu* = argmax_mu <W_mu, x>

with `p` the counts of the words: divided by them, each word pulls equally, be it rare or frequent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.flyvec.corpus import Ids, Spool, windows
from attractor.estimators.flyvec.learning import Learner
from attractor.estimators.flyvec.published import read_published
from attractor.estimators.flyvec.reading import WordCodes
from attractor.estimators.flyvec.words import Word
from attractor.estimators.saving import load_estimator, restoring, save_estimator
from attractor.validation import check_count, check_positive

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError("FlyVec needs scikit-learn: pip install 'attractor[sklearn]'") from error

FIRST_DEVIATION = 0.02
"""Of the weights at the start."""
SAVED_AFTER = 64
"""Blocks of a million words between two savings within an epoch."""


class FlyVec(WordCodes, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Learns a sparse binary code for each word from raw text: the fruit fly's mushroom body as a word embedding.

    Sentences are strings (lower case, no punctuation, each word with a digit is `"0"`), lists of words, or lists of integer ids of
    any tokeniser. They may come from an iterator that runs once, or from a file that is larger than the memory: they are read once
    and kept as numbers, 4 bytes a word, in a temporary file (the environment variable `TMPDIR` names its folder). In memory are the
    different words: of more than four million the rarest are forgotten while the text is read, each of which leaves 12 bytes.
    It uses as many threads as torch; the result is the same for any number of them.

    Args:
        cells: Kenyon cells, the bits of a code.
        window: words in a window, odd.
        max_words: the most frequent words are learned, at most so many.
        min_count: of a word that is learned.
        epochs: over the text in `fit`; the step falls to 0 in them, linearly by epoch.
        batch_size: windows a step.
        learning_rate: the largest change of a weight in a step. The published 0.0002 is for billions of words; for millions it must
            be as large as the default.
        max_normalised: divide each step by its largest entry. False: the plain rule, `learning_rate` times the sum over the batch.
        divide_by_counts: False leaves the division by word counts out, as a control: then frequent words take all cells.
        random_state: of the first weights and the order of sentences.

    Attributes:
        words_: the words, most frequent first.
        counts_: `(V,)` how often each was met.
        synapses_: `W (cells, 2 V)`: from neighbours, then from the word itself.
        epochs_: passes over text that were learned from.
        seed_: of all that is random.

    Example:
        >>> text = ["the cat drinks milk", "a dog drinks water", "the dog sees a cat"] * 20
        >>> model = FlyVec(cells=16, window=5, min_count=1, epochs=3, random_state=0).fit(text)
        >>> codes = model.codes(["cat", "dog", "unicorn"], hash_length=4)
        >>> codes.unpack().sum(1).tolist(), codes.unknown
        ([4, 4, 0], ['unicorn'])
    """

    def __init__(
        self,
        *,
        cells: int = 400,
        window: int = 11,
        max_words: int = 20_000,
        min_count: int = 5,
        epochs: int = 15,
        batch_size: int = 3000,
        learning_rate: float = 0.3,
        max_normalised: bool = True,
        divide_by_counts: bool = True,
        random_state: Any = None,
    ):
        self.cells = cells
        self.window = window
        self.max_words = max_words
        self.min_count = min_count
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_normalised = max_normalised
        self.divide_by_counts = divide_by_counts
        self.random_state = random_state

    def fit(
        self,
        sentences: Any,
        y: Any = None,
        *,
        vocabulary: Sequence[Word] | int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Learn from text, from the start.

        Args:
            sentences: an iterable of sentences, or the `pathlib.Path` of a text file with one in each line.
            vocabulary: the words to learn, or `n` for the ids 0 to n - 1. Those that the text does not hold are dropped, with a
                warning. Default: the most frequent words.
            checkpoint: file that is written before and in the course of training. Where it is there, training goes on from it, and
                comes to the same result as without interruption.
            progress: told of the fraction of the training that is done.

        Raises:
            TypeError: sentences of another kind; with a checkpoint, a `random_state` that cannot be saved.
            ValueError: a setting out of its range, no words, fewer than two to learn, an id beyond the vocabulary, a checkpoint of
                other settings or sentences, or weights that grow without bounds; nothing has changed then.
        """
        self._check_settings()
        fresh = copy(self)
        with Spool(sentences, vocabulary) as spool:
            fresh.words_, fresh.counts_ = spool.choose(self.max_words, self.min_count) if vocabulary is None else spool.keep_met()
            fresh._start()
            course = {"blocks": len(spool), "text": spool.checksum}
            first, done = fresh._resume(checkpoint, course)
            if checkpoint is not None:
                fresh._save(checkpoint, {"epoch": first, "done": done, **course})  # what cannot be saved is said before training
            for epoch in range(first, self.epochs):
                rate = self.learning_rate * (1 - epoch / self.epochs)
                for done in fresh._learn(spool, epoch, rate, done if epoch == first else 0):  # noqa: B020  # the blocks already done
                    if checkpoint is not None:
                        fresh._save(checkpoint, {"epoch": epoch, "done": done, **course})
                    if progress is not None:
                        progress((epoch + done / len(spool)) / self.epochs)
        self.__dict__ = fresh.__dict__
        return self

    def partial_fit(self, sentences: Any, y: Any = None) -> Self:
        """Go on learning: one pass over the text, at the full step. The first call chooses the words; later ones keep them.

        Args:
            sentences: as in `fit`; what they hold of other words is unknown.

        Raises:
            TypeError, ValueError: as `fit`; nothing has changed then.
        """
        self._check_settings()
        fresh, first = copy(self), not hasattr(self, "synapses_")
        with Spool(sentences, None if first else self.words_) as spool:
            if first:
                fresh.words_, fresh.counts_ = spool.choose(self.max_words, self.min_count)
                fresh._start()
            else:
                spool.check_met()
                fresh.counts_ = self.counts_ + spool.counts
            list(fresh._learn(spool, fresh.epochs_, self.learning_rate, 0))
        self.__dict__ = fresh.__dict__
        return self

    def energy(self, sentences: Any) -> float:
        """The energy of all windows of some text, with the counts that were learned; lower is better.

        Raises:
            NotFittedError, TypeError, ValueError: before `fit`; as `fit`.
        """
        check_is_fitted(self)
        with Spool(sentences, self.words_) as spool, self._learner() as learner:
            spool.check_met()
            return sum(learner.energy(rows) for ids in spool.blocks() for rows in self._windows(ids, None))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one safetensors file, without pickle.

        Raises:
            NotFittedError, TypeError, ValueError: before `fit`; a `random_state` with a state of its own; `path` is a folder.
        """
        check_is_fitted(self)
        self._save(path, None)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` has written.

        Raises:
            FileNotFoundError, ValueError: no such file; a damaged one, one of another estimator or of a newer format.
        """
        return cls._load(path)[0]

    @classmethod
    def from_published(
        cls, path: str | os.PathLike[str], words: str | os.PathLike[str] | Sequence[Word] | None = None, *, normalise: bool = True
    ) -> Self:
        """The model that the authors publish, or one trained by their program. Nothing is unpickled.

        Among its words `<UNK>` is left out, so it is unknown here as all words without a place are; and `<NUM>` is `"0"`, as
        `tokenise` writes words with a digit. Otherwise their texts are cut into words in another way: punctuation goes without a
        gap (`wellknown`, where `tokenise` gives `well` and `known`), and so do all characters beyond ASCII.

        Args:
            path: of the synapses, a `.npy` file `(cells, 2 V)`.
            words: of the ids 0 to V - 1; the path of a text that gensim's `Dictionary.save_as_text` has written; or None: the words
                are the ids, all of them known, though in the published model 0 is `<UNK>` and 1 is `<NUM>`.
            normalise: give every cell a unit norm, as the published package does.

        Raises:
            FileNotFoundError, TypeError, ValueError: no such file; words that are no strings or ids; a damaged file, or words that
                do not fit it.
        """
        synapses, listed = read_published(path, words, normalise=normalise)
        model = cls(cells=len(synapses))
        model.words_, model.counts_, model.synapses_ = listed, np.zeros(len(listed), np.int64), synapses
        model.epochs_ = model.seed_ = 0
        return model

    def _start(self) -> None:
        self.seed_ = int(check_random_state(self.random_state).randint(2**31))
        self.epochs_ = 0
        chance = np.random.default_rng(self.seed_)
        self.synapses_ = (np.float32(FIRST_DEVIATION) * chance.standard_normal((2 * len(self.words_), self.cells), np.float32)).T

    def _learn(self, spool: Spool, epoch: int, rate: float, done: int) -> Iterator[int]:
        """One pass; gives the number of blocks that are done, when a part of the pass is."""
        order = np.random.default_rng([self.seed_, epoch])
        with self._learner() as learner:
            for number, ids in enumerate(spool.blocks(order, done), done + 1):
                for rows in self._windows(ids, np.random.default_rng([self.seed_, epoch, number])):
                    learner.step(rows, rate, max_normalised=self.max_normalised)
                if not learner.finite:
                    raise ValueError(f"learning_rate must be lower, the weights grow without bounds at {self.learning_rate}")
                if number % SAVED_AFTER == 0 or number == len(spool):
                    self.synapses_, self.epochs_ = learner.synapses, epoch + (number == len(spool))
                    yield number

    def _windows(self, ids: Ids, order: np.random.Generator | None) -> Iterator[Ids]:
        return windows(ids, self.window, len(self.words_), order, self.batch_size)

    def _learner(self) -> Learner:
        # a word of a published model, whose counts are not known, counts from its first meeting on
        counts = np.maximum(self.counts_, 1) if self.divide_by_counts else np.ones(len(self.words_))
        return Learner(self.synapses_, counts)

    def _save(self, path: str | os.PathLike[str], course: dict[str, int] | None) -> None:
        state, extra = self._parts()
        save_estimator(self, path, state, {**extra, "course": course})

    @classmethod
    def _load(cls, path: str | os.PathLike[str]) -> tuple[Any, dict[str, int] | None]:
        settings, state, extra = load_estimator(path, cls)
        with restoring(cls, path):
            course = extra["course"] and {name: int(extra["course"][name]) for name in ("epoch", "done", "blocks", "text")}
            return cls._from_parts(settings, state, extra), course

    def _parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        state = {"weights": torch.from_numpy(self.synapses_.T), "counts": torch.from_numpy(self.counts_)}
        return state, {"words": self.words_, "epochs": self.epochs_, "seed": self.seed_}

    @classmethod
    def _from_parts(cls, settings: dict[str, Any], state: Mapping[str, Tensor], extra: dict[str, Any]) -> Any:
        model = cls(**settings)
        model._check_settings()
        model.words_, model.epochs_, model.seed_ = list(extra["words"]), int(extra["epochs"]), int(extra["seed"])
        model.counts_, model.synapses_ = state["counts"].numpy(), state["weights"].numpy().T
        # the number of cells is that of the synapses: the setting may have been changed since
        if model.synapses_.shape[1:] != (2 * len(model.words_),) or model.counts_.shape != (len(model.words_),):
            raise ValueError(f"{len(model.words_)} words have synapses {model.synapses_.shape}")
        return model

    def _resume(self, checkpoint: str | os.PathLike[str] | None, course: dict[str, int]) -> tuple[int, int]:
        """The epoch and the blocks of it that are done already, and their weights taken over."""
        if checkpoint is None or not Path(checkpoint).exists():
            return 0, 0
        saved, done = type(self)._load(checkpoint)
        same = saved.words_ == self.words_ and np.array_equal(saved.counts_, self.counts_)
        same = same and saved.get_params() == self.get_params() and saved.synapses_.shape == self.synapses_.shape
        if not same or done is None or any(done.get(name) != value for name, value in course.items()):
            raise ValueError(f"checkpoint must be of the same settings and sentences, {os.fspath(checkpoint)} is not")
        self.synapses_, self.epochs_, self.seed_ = saved.synapses_, saved.epochs_, saved.seed_
        return (done["epoch"] + 1, 0) if done["done"] == done["blocks"] else (done["epoch"], done["done"])

    def _check_settings(self) -> None:
        for name, least in {"cells": 1, "min_count": 1, "epochs": 1, "batch_size": 1, "max_words": 2, "window": 3}.items():
            check_count(name, getattr(self, name), least)
        if self.window % 2 == 0:
            raise ValueError(f"window must be odd, got {self.window}")
        check_positive("learning_rate", self.learning_rate)
