"""How good answers and emotions are: both perplexities in use, accuracy, the share of different words, and intervals of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attractor.language.iamm.batch import PAD, Dialogue, collate
from attractor.language.iamm.protocols import Scorable
from attractor.validation import check_count

Progress = Callable[[float], None]


class Scores(NamedTuple):
    """Of dialogues, each `(n,)`; what the dialogues do not have is None.

    Attributes:
        surprise: negative log-likelihood of the response, summed over its words and EOS, in float64.
        words: how many these are.
        predicted: the emotion with the best score.
        labels: the emotion that it is.
    """

    surprise: Tensor | None
    words: Tensor | None
    predicted: Tensor
    labels: Tensor | None

    @property
    def perplexity(self) -> float:
        """The exponential of the mean over all words."""
        surprise, words = self._responses()
        return math.exp(float(surprise.sum() / words.sum()))

    @property
    def paper_perplexity(self) -> float:
        """The exponential of the mean over dialogues of their means over words, which the paper reports."""
        surprise, words = self._responses()
        return math.exp(float((surprise / words).mean()))

    @property
    def accuracy(self) -> float:
        """The part of the dialogues whose emotion is told."""
        if self.labels is None:
            raise ValueError("labels must be given for an accuracy, the dialogues had none")
        return float((self.predicted == self.labels).double().mean())

    def at(self, places: Tensor) -> Scores:
        """Those of some dialogues."""
        surprise, words, labels = (None if part is None else part[places] for part in (self.surprise, self.words, self.labels))
        return Scores(surprise, words, self.predicted[places], labels)

    def _responses(self) -> tuple[Tensor, Tensor]:
        if self.surprise is None or self.words is None:
            raise ValueError("responses must be given for a perplexity, the dialogues had none")
        return self.surprise, self.words


@torch.no_grad()
def score(
    model: Scorable, dialogues: Sequence[Dialogue], vocabulary: int, *, batch_size: int = 64, progress: Progress | None = None
) -> Scores:
    """What a model makes of responses and emotions that it did not learn from.

    Args:
        model: an `IAMM`, or another module with its methods, on the device that is to compute.
        dialogues: with a response, a label, or both.
        vocabulary: number of words that the model knows.
        batch_size: dialogues at a time; it changes nothing beyond rounding.
        progress: called with the fraction that is done.

    Raises:
        TypeError, ValueError: as `collate` and the model.
    """
    check_count("batch_size", batch_size)
    device = next(iter(model.parameters())).device
    was_training = model.training
    model.train(False)
    surprise, words, predicted, labels = [], [], [], []
    try:
        for start in range(0, len(dialogues), batch_size):
            batch = collate(dialogues[start : start + batch_size], vocabulary).to(device)
            encoding = model.encode(batch)
            predicted.append(encoding.emotions.total.argmax(-1).cpu())
            if batch.response is not None:
                surprise.append(-model.token_log_probabilities(batch, encoding).double().sum(1).cpu())
                words.append((batch.response != PAD).sum(1).cpu())
            if batch.labels is not None:
                labels.append(batch.labels.cpu())
            if progress is not None:
                progress(min(1.0, (start + batch_size) / len(dialogues)))
    finally:
        model.train(was_training)
    if not predicted:
        raise ValueError("dialogues must hold at least one, got none")
    all_surprise, all_words, all_labels = (torch.cat(parts) if parts else None for parts in (surprise, words, labels))
    return Scores(all_surprise, all_words, torch.cat(predicted), all_labels)


def distinct(responses: Sequence[Sequence[Any]], n: int) -> float:
    """Dist-n: different n-grams among all of them, x 100; 0 where there is none. It falls with the number of responses.

    Raises:
        TypeError, ValueError: `n` below 1.

    Example:
        >>> distinct([["i", "am", "sorry"], ["i", "am", "glad"]], 1), distinct([["i", "am", "sorry"], ["i", "am", "glad"]], 2)
        (66.66666666666667, 75.0)
    """
    check_count("n", n)
    grams = [tuple(words[start : start + n]) for words in responses for start in range(len(words) - n + 1)]
    return 100 * len(set(grams)) / len(grams) if grams else 0.0


def bootstrap(
    statistic: Callable[[Tensor], float], groups: Sequence[Any], *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95% interval of a statistic of items, drawn again by groups, such as exchanges by their conversation.

    Args:
        statistic: of places `(m,)` of items, which may come more than once.
        groups: for each item the group that it belongs to; all different: items are drawn one by one.
        draws: how often.
        seed: of the draws.

    Raises:
        TypeError, ValueError: a number out of its range, or no items.

    Example:
        >>> values = torch.arange(100.0)
        >>> low, high = bootstrap(lambda places: float(values[places].mean()), range(100))
        >>> 40 < low < 49.5 < high < 59
        True
    """
    check_count("draws", draws, 40)
    members: dict[Any, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    if not members:
        raise ValueError("groups must hold at least one item, got none")
    each = [torch.tensor(places) for places in members.values()]
    generator = torch.Generator().manual_seed(seed)
    found = sorted(
        statistic(torch.cat([each[place] for place in torch.randint(len(each), (len(each),), generator=generator).tolist()]))
        for _ in range(draws)
    )
    outside = draws // 40
    return found[outside], found[-1 - outside]
