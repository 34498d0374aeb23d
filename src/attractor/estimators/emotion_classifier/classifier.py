"""Emotions of dialogues with scikit-learn's interface: IAMM's reader with its memory of associated words (Yang et al. 2024).

Scores of its heads, each trained by its own loss, are summed, which makes the sum far too sure. Probabilities are
`softmax(z / T)`, with the temperature `T` that explains best what was held out from training (Guo et al. 2017).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.emotion_classifier.calibration import parted, temperature_of
from attractor.estimators.emotion_classifier.talks import Talk, talks_of
from attractor.estimators.saving import labels_from, load_on_device, plain_labels, restoring, save_estimator
from attractor.language.iamm import (
    Dialogue,
    DialogueBatch,
    DialogueReader,
    IAMMConfig,
    Losses,
    Vocabulary,
    collate,
    fit_iamm,
)
from attractor.language.iamm.interaction import Selection
from attractor.validation import check_count, check_device, check_positive, check_share

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, column_or_1d
except ImportError as error:
    raise ImportError("AssociativeEmotionClassifier needs scikit-learn: pip install 'attractor[sklearn]'") from error

WARM_UP = 0.1
"""Share of training over which the learning rate rises."""
HEADS = 3
"""Scores of so many are summed: without anything held out, their mean is taken."""


class AssociativeEmotionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Tells the emotion, or any other class, of dialogues.

    A dialogue is a sequence of utterances of two people in turn, the one who feels first; or an object with such a `context` and
    with a `situation`, such as `attractor.data.Exchange`. Each text is a string, or its words. Of scikit-learn's contract all holds
    that does not ask for arrays: parameters, `clone`, cross-validation and searches over lists of dialogues, scoring, errors.

    With a few thousand dialogues logistic regression on TF-IDF is quicker and often right more often: compare the two.

    Args:
        dim: width of a word.
        partners, keep, selection: of the associations, see `attractor.language.iamm.AssociativeInteraction`.
        words: of the vocabulary at most, the most frequent ones of training.
        epochs: over the dialogues.
        batch_size: dialogues in a step of Adam.
        learning_rate: the highest; it rises over the first tenth of training and falls with the root of the step.
        class_weight: how much dialogues of a class count in training and calibration: a dict by label, `"balanced"`, or None, all
            the same. Probabilities are those among dialogues that are as frequent as they count.
        held_out: share of the dialogues of each class, 0 up to 1 (excluded), that nothing is learned from. Training ends with the
            weights that are best for them, and they set the temperature. Where none is held out it is that of the heads' mean.
        device: that the network works on.
        random_state: of the start, the order and what is held out.

    Attributes:
        classes_: labels, sorted.
        vocabulary_: the words that are known.
        model_: the trained `attractor.language.iamm.DialogueReader`; `associated_words` takes it.
        temperature_: what scores are divided by.
        losses_: of each step.

    Example:
        >>> talks = [["My dog died.", "Oh no!"], ["I won a prize.", "Great!"], ["He died."], ["We won!"]] * 4
        >>> classifier = AssociativeEmotionClassifier(dim=16, epochs=10, batch_size=4, learning_rate=0.01, random_state=0)
        >>> classifier.fit(talks, ["sad", "glad"] * 8).predict([["My dog died."], ["We won a prize."]])
        array(['sad', 'glad'], dtype='<U4')
    """

    def __init__(
        self,
        *,
        dim: int = 64,
        partners: int = 5,
        keep: int = 5,
        selection: Selection = "hard",
        words: int = 5000,
        epochs: int = 10,
        batch_size: int = 16,
        learning_rate: float = 3e-3,
        class_weight: Any = None,
        held_out: float = 0.1,
        device: str | torch.device = "cpu",
        random_state: Any = None,
    ):
        self.dim = dim
        self.partners = partners
        self.keep = keep
        self.selection = selection
        self.words = words
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.held_out = held_out
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags

    def fit(self, X: Any, y: Any, *, progress: Callable[[float], None] | None = None) -> Self:
        """Learn from dialogues and their labels `(n,)`, from the start.

        Args:
            X: a list of dialogues.
            y: labels.
            progress: told of the fraction that is done.

        Raises:
            TypeError: not dialogues, or a setting of the wrong type.
            ValueError: another number of labels than of dialogues, one class only, labels of a regression, a dialogue without
                utterances, no words at all, a setting out of its range, or a learning rate with which training diverges; nothing
                has changed then.
        """
        self._check_settings()
        talks = talks_of(X)
        y = column_or_1d(y)
        if len(y) != len(talks):
            raise ValueError(f"y must have {len(talks)} labels, one for each dialogue, got {len(y)}")
        check_classification_targets(y)
        fresh = copy(self)
        fresh.classes_ = unique_labels(y)
        if len(fresh.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {fresh.classes_.tolist()}")
        weights = torch.from_numpy(compute_class_weight(self.class_weight, classes=fresh.classes_, y=y)).float()
        random = check_random_state(self.random_state)
        labels = np.searchsorted(fresh.classes_, y)
        learned, held = parted(labels, self.held_out, random)
        texts = (text for place in learned for text in (*talks[place].utterances, talks[place].situation))
        fresh.vocabulary_ = Vocabulary.build(texts, most=self.words)
        seed = int(random.randint(2**31))
        fresh.model_ = fresh._model(torch.Generator().manual_seed(seed)).to(self.device)
        fresh.model_.weights = weights.to(self.device)
        dialogues = fresh._dialogues(talks, labels)
        fresh.losses_ = fresh._learn([dialogues[place] for place in learned], [dialogues[place] for place in held], seed, progress)
        fresh.temperature_ = float(HEADS)
        if held:
            scores = fresh._scores([dialogues[place] for place in held])
            fresh.temperature_ = temperature_of(scores, torch.from_numpy(labels[held]), weights.double())
        self.__dict__ = fresh.__dict__
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The label `(n,)` of each dialogue, the one with the highest probability. Errors are those of `predict_proba`."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities `(n, classes)` of each dialogue, in the order of `classes_`.

        Raises:
            NotFittedError: before `fit`.
            TypeError: not dialogues.
            ValueError: none, or one without utterances.
        """
        check_is_fitted(self)
        scores = self._scores(self._dialogues(talks_of(X)))
        return (scores / self.temperature_).softmax(-1).numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to one safetensors file, without pickle. Its labels are numbers, strings or Booleans.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a setting that is no number, string or None, such as a `class_weight` by label.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        extra = {"classes": plain_labels(self.classes_), "words": self.vocabulary_.own}
        extra |= {"temperature": self.temperature_, "losses": self.losses_}
        save_estimator(self, path, self.model_.state_dict(), extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read a classifier that `save` has written; `device` in the place of the one that it was trained on.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format, or an unknown device.
        """
        settings, state, extra = load_on_device(path, cls, device)
        with restoring(cls, path):
            loaded = cls(**settings)
            loaded._check_settings()
            loaded.classes_ = labels_from(extra["classes"])
            loaded.vocabulary_ = Vocabulary(extra["words"])
            loaded.temperature_ = check_positive("temperature", extra["temperature"])
            loaded.losses_ = extra["losses"]
            # before anything of the size that the file claims is built
            parts = loaded._config().parameters
            if sum(one.numel() for one in state.values()) != parts["total"] - parts["decoder"]:
                raise ValueError("its settings ask for another number of weights than it holds")
            loaded.model_ = loaded._model(torch.Generator())
            loaded.model_.load_state_dict(state)
            loaded.model_.to(loaded.device).eval()
        return loaded

    def _config(self) -> IAMMConfig:
        return IAMMConfig(
            len(self.vocabulary_),
            classes=len(self.classes_),
            dim=self.dim,
            partners=self.partners,
            keep=self.keep,
            selection=self.selection,
            relations=0,
        )

    def _model(self, generator: torch.Generator) -> EmotionReader:
        return EmotionReader(self._config(), vocabulary=self.vocabulary_, generator=generator)

    def _dialogues(self, talks: Sequence[Talk], labels: np.ndarray | None = None) -> list[Dialogue]:
        known = [None] * len(talks) if labels is None else labels.tolist()
        return [self.vocabulary_.dialogue(*talk, label=label) for talk, label in zip(talks, known, strict=True)]

    def _learn(
        self, learned: list[Dialogue], held: list[Dialogue], seed: int, progress: Callable[[float], None] | None
    ) -> list[float]:
        """The losses of the steps; the model is left in evaluation."""
        batch_size = min(self.batch_size, len(learned))
        every = len(learned) // batch_size
        steps = self.epochs * every
        warm_up = math.ceil(WARM_UP * steps)
        try:
            told = fit_iamm(
                self.model_,
                learned,
                len(self.vocabulary_),
                validation=held or None,
                steps=steps,
                batch_size=batch_size,
                dim=self.dim,
                warm_up=warm_up,
                factor=self.learning_rate * (self.dim * warm_up) ** 0.5,
                every=every,
                seed=seed,
                progress=progress,
            )
        except (FloatingPointError, ValueError) as error:
            # dialogues and settings have been checked: it is the weights that have grown
            raise ValueError(f"learning_rate must be smaller, training diverged with {self.learning_rate}: {error}") from error
        self.model_.eval()
        return told.losses

    @torch.no_grad()
    def _scores(self, dialogues: Sequence[Dialogue]) -> Tensor:
        """`(n, classes)`, in float64 on the CPU."""
        starts = range(0, len(dialogues), self.batch_size)
        batches = (collate(dialogues[start : start + self.batch_size], len(self.vocabulary_)) for start in starts)
        return torch.cat([self.model_(batch.to(self.device)).double().cpu() for batch in batches])

    def _check_settings(self) -> None:
        for name in ("dim", "partners", "keep", "words", "epochs", "batch_size"):
            check_count(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        check_share("held_out", self.held_out)
        check_device(self.device)


class EmotionReader(DialogueReader):
    """One that learns emotions alone, whose classes count as `weights (classes,)` say."""

    weights: Tensor | None = None

    def losses(self, batch: DialogueBatch) -> Losses:
        """The cross-entropies of its heads."""
        assert batch.labels is not None
        return Losses(None, *self.read(batch).emotions.losses(batch.labels, self.weights))
