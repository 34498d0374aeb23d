"""FlyVec: sparse binary codes of words from raw text (Liang et al. 2021, "Can a Fruit Fly Learn Word Embeddings?").

Kenyon cells compete for windows of text, and the winner learns. The energy depends on the directions of the rows of `W` alone:

    E = - sum over windows x of <W_mu*, x/p> / ||W_mu*||,    mu* = argmax_mu <W_mu, x>

with `p` the counts of the words: divided by them, each word pulls equally, be it rare or frequent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from attractor.estimators.flyvec.corpus import Ids, Spool, Word, windows
from attractor.estimators.flyvec.learning import Learner
from attractor.estimators.flyvec.published import read_synapses, read_words
from attractor.estimators.flyvec.reading import WordCodes
from attractor.estimators.saving import load_estimator, save_estimator
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
    and kept as numbers in a temporary file. It uses as many threads as torch; the result is the same for any number of them.

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
            y: not used.
            vocabulary: the words to learn, or `n` for the ids 0 to n - 1. Those that the text does not hold are dropped, with a
                warning. Default: the most frequent words.
            checkpoint: file that is written in the course of training. Where it is there, training goes on from it, and comes to
                the same result as without interruption.
            progress: told of the fraction of the training that is done.

        Raises:
            TypeError: sentences of another kind.
            ValueError: a setting out of its range, no words, fewer than two to learn, an id beyond the vocabulary, or a checkpoint
                of other settings or sentences; nothing has changed then.
        """
        self._check_settings()
        fresh = copy(self)
        with Spool(sentences, vocabulary) as spool:
            fresh.words_, fresh.counts_ = spool.choose(self.max_words, self.min_count) if vocabulary is None else spool.keep_met()
            fresh._start()
            first, done = fresh._resume(checkpoint)
            for epoch in range(first, self.epochs):
                rate = self.learning_rate * (1 - epoch / self.epochs)
                for done in fresh._learn(spool, epoch, rate, done if epoch == first else 0):  # noqa: B020  # the blocks already done
                    if checkpoint is not None:
                        fresh._save(checkpoint, {"epoch": epoch, "done": done, "blocks": len(spool)})
                    if progress is not None:
                        progress((epoch + done / len(spool)) / self.epochs)
        self.__dict__ = fresh.__dict__
        return self

    def partial_fit(self, sentences: Any, y: Any = None) -> Self:
        """Go on learning: one pass over the text, at the full step. The first call chooses the words; later ones keep them.

        Args:
            sentences: as in `fit`; what they hold of other words is unknown.
            y: not used.

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
            for _ in fresh._learn(spool, fresh.epochs_, self.learning_rate, 0):
                pass
        self.__dict__ = fresh.__dict__
        return self

    def energy(self, sentences: Any) -> float:
        """The energy of all windows of some text, with the counts that were learned; lower is better.

        Raises:
            NotFittedError: before `fit`.
            TypeError, ValueError: as `fit`.
        """
        self._check_fitted()
        with Spool(sentences, self.words_) as spool, self._learner() as learner:
            spool.check_met()
            return sum(learner.energy(rows) for ids in spool.blocks() for rows in self._windows(ids, None))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one safetensors file, without pickle.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a `random_state` with a state of its own, or words that are no strings or integers.
            ValueError: `path` is a folder.
        """
        self._check_fitted()
        self._save(path, None)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` has written.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format.
        """
        return cls._load(path)[0]

    @classmethod
    def from_published(
        cls, path: str | os.PathLike[str], words: str | os.PathLike[str] | Sequence[Word] | None = None, *, normalise: bool = True
    ) -> Self:
        """The model that the authors publish, or one trained by their program. Nothing is unpickled.

        Args:
            path: of the synapses, a `.npy` file `(cells, 2 V)`.
            words: of the ids 0 to V - 1; the path of a text that gensim's `Dictionary.save_as_text` has written; or None: the words
                are the ids.
            normalise: give every cell a unit norm, as the published package does.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, or words that do not fit it.
        """
        synapses = read_synapses(path, normalise=normalise)
        model = cls(cells=len(synapses))
        model.words_ = read_words(words, synapses.shape[1] // 2)
        model.counts_ = np.zeros(len(model.words_), np.int64)
        model.synapses_, model.epochs_, model.seed_ = synapses, 0, 0
        return model

    def _check_fitted(self) -> None:
        check_is_fitted(self)

    def _start(self) -> None:
        self.seed_ = int(check_random_state(self.random_state).randint(2**31))
        self.epochs_ = 0
        chance = np.random.default_rng(self.seed_)
        weights = chance.standard_normal((2 * len(self.words_), self.cells), np.float32)
        self.synapses_ = (weights * np.float32(FIRST_DEVIATION)).T

    def _learn(self, spool: Spool, epoch: int, rate: float, done: int) -> Iterator[int]:
        """One pass; gives the number of blocks that are done, when a part of the pass is."""
        order = np.random.default_rng([self.seed_, epoch])
        with self._learner() as learner:
            for number, ids in enumerate(spool.blocks(order, done), done + 1):
                chance = np.random.default_rng([self.seed_, epoch, number])
                for rows in self._windows(ids, chance):
                    learner.step(rows, rate, max_normalised=self.max_normalised)
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
        state = {"weights": torch.from_numpy(self.synapses_.T), "counts": torch.from_numpy(self.counts_)}
        words = [word if isinstance(word, str | int) else refuse(word) for word in self.words_]
        save_estimator(self, path, state, {"words": words, "epochs": self.epochs_, "seed": self.seed_, "course": course})

    @classmethod
    def _load(cls, path: str | os.PathLike[str]) -> tuple[Any, dict[str, int] | None]:
        settings, state, extra = load_estimator(path, cls)
        try:
            model = cls(**settings)
            model._check_settings()
            model.words_, model.epochs_, model.seed_ = list(extra["words"]), int(extra["epochs"]), int(extra["seed"])
            model.counts_, model.synapses_ = state["counts"].numpy(), state["weights"].numpy().T
            if model.synapses_.shape != (model.cells, 2 * len(model.words_)) or model.counts_.shape != (len(model.words_),):
                raise ValueError(f"{len(model.words_)} words and {model.cells} cells have synapses {model.synapses_.shape}")
            return model, extra["course"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)} must hold a whole {cls.__name__}: {error!r}") from error

    def _resume(self, checkpoint: str | os.PathLike[str] | None) -> tuple[int, int]:
        """The epoch and the blocks of it that are done already, and their weights taken over."""
        if checkpoint is None or not Path(checkpoint).exists():
            return 0, 0
        saved, course = type(self)._load(checkpoint)
        same = saved.words_ == self.words_ and np.array_equal(saved.counts_, self.counts_)
        if course is None or not same or saved.get_params() != self.get_params():
            raise ValueError(f"checkpoint must be of the same settings and sentences, {os.fspath(checkpoint)} is not")
        self.synapses_, self.epochs_, self.seed_ = saved.synapses_, saved.epochs_, saved.seed_
        whole = course["done"] == course["blocks"]
        return (course["epoch"] + 1, 0) if whole else (course["epoch"], course["done"])

    def _check_settings(self) -> None:
        for name in ("cells", "min_count", "epochs", "batch_size"):
            check_count(name, getattr(self, name))
        check_count("max_words", self.max_words, 2)
        if check_count("window", self.window) % 2 == 0 or self.window < 3:
            raise ValueError(f"window must be odd and at least 3, got {self.window}")
        check_positive("learning_rate", self.learning_rate)


def refuse(word: Word) -> str:
    raise TypeError(f"words must be strings or integers to be saved, got {word!r}")
