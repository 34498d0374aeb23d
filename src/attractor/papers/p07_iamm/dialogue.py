"""Models that learn to tell emotions and to answer from real dialogue: IAMM, one without its memory, and a linear one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from attractor.data.dialogues import EMOTIONS, Split, exchanges, load_chitchat, load_empathetic_dialogues, split_of, tokenise
from attractor.data.weak_emotions import WEAK_EMOTIONS, LabelledExchange, load_emotion_lexicon, weakly_labelled
from attractor.language.iamm import IAMM, Dialogue, IAMMConfig, Vocabulary, associated_words, collate, greedy
from attractor.language.iamm.metrics import Scores, bootstrap, distinct, score
from attractor.language.iamm.protocols import Writer
from attractor.language.iamm.training import fit_iamm
from attractor.papers.p07_iamm.plain import PlainDialogue

Data = Literal["chitchat", "empathetic"]
CLASSES: dict[str, Sequence[str]] = {"chitchat": WEAK_EMOTIONS, "empathetic": EMOTIONS}
PREVIOUS, LONGEST = 3, 30
"""Turns before the response, and words of a text, of the weakly labelled task."""
ORDER_SEED = 2024
"""Of which dialogues of a part are taken, the same for all models and seeds."""
MOST_SAID = 30
LAST = "last:"
"""In front of a word of the last turn, where the linear model counts them once more."""


class Setting(NamedTuple):
    """A training and its tests: sizes of the model as in `IAMMConfig`, of the training as in `fit_iamm`.

    Attributes:
        words: in the vocabulary.
        validation: dialogues of which the loss is measured, `checks` times.
        tests: dialogues that are scored, `said` of which are answered and `hinted` of which are searched for associated words.
    """

    words: int
    dim: int
    filters: int
    partners: int
    keep: int
    steps: int
    batch_size: int
    warm_up: int
    factor: float
    validation: int
    checks: int
    tests: int
    said: int
    hinted: int


def learn(data: Data, kind: str, situation: bool, setting: Setting, seed: int) -> dict[str, Any]:
    """Train a model and test it.

    Args:
        data: `"chitchat"`, weakly labelled, or `"empathetic"`, EmpatheticDialogues.
        kind: `"iamm"` or `"plain"`.
        situation: whether the model reads it.
        setting: a `Setting`, or its numbers in order.
        seed: of the weights and the order of the training.

    Returns:
        `accuracy` in percent, `perplexity` over words, `paper_perplexity`, `dist_1`, `dist_2`; `intervals` of the first three, by
        conversations; `parameters`, how many exchanges were `learned` from, the same ones counted again, `best_step`, `seconds` of
        this process, and for IAMM the associated `pairs` of dialogues.
    """
    start = time.process_time()
    size = Setting(*setting)
    vocabulary = vocabulary_of(data, size.words)
    trained, checked = (dialogues_of(data, part, vocabulary, situation) for part in ("train", "valid"))
    tested = dialogues_of(data, "test", vocabulary, situation)[: size.tests]
    config = IAMMConfig(
        len(vocabulary),
        classes=len(CLASSES[data]),
        dim=size.dim,
        filters=size.filters,
        partners=size.partners,
        keep=size.keep,
        relations=0,
    )
    generator = torch.Generator().manual_seed(seed)
    model = IAMM(config, generator=generator) if kind == "iamm" else PlainDialogue(config, generator)
    told = fit_iamm(
        model,
        trained,
        len(vocabulary),
        validation=checked[: size.validation],
        steps=size.steps,
        batch_size=size.batch_size,
        dim=size.dim,
        warm_up=size.warm_up,
        factor=size.factor,
        every=max(1, size.steps // size.checks),
        seed=seed,
    )
    scores = score(model, tested, len(vocabulary))
    answers = answers_of(model, tested[: size.said], vocabulary)
    hinted = associated_words(model, tested[: size.hinted], vocabulary) if isinstance(model, IAMM) and size.hinted else []
    return {
        "accuracy": 100 * scores.accuracy,
        "perplexity": scores.perplexity,
        "paper_perplexity": scores.paper_perplexity,
        "dist_1": distinct(answers, 1),
        "dist_2": distinct(answers, 2),
        "intervals": intervals_of(scores, [one.conversation for one in examples(data)["test"][: size.tests]]),
        "parameters": model.num_parameters()["total"],
        "learned": size.steps * size.batch_size,
        "best_step": told.best_step,
        "seconds": time.process_time() - start,
        "pairs": [[list(pair) for pair in pairs] for pairs in hinted],
    }


def baselines(data: Data, situation: bool, learned: int, tests: int) -> dict[str, Any]:
    """Accuracies in percent without a neural network, on the dialogues that `learn` tests.

    Args:
        data: as in `learn`.
        situation: whether it is read.
        learned: exchanges to learn from at most.
        tests: to score.

    Returns:
        `majority`: of the most frequent emotion of training; `linear`: logistic regression on TF-IDF of words, those of the last
        turn counted once more on their own, or None without scikit-learn; `intervals` of both, by conversations; `learned`;
        `seconds`.
    """
    start = time.process_time()
    parts = examples(data)
    trained, tested = parts["train"][:learned], parts["test"][:tests]
    labels = [one.label for one in tested]
    common = Counter(one.label for one in trained).most_common(1)[0][0]
    predicted: dict[str, list[int] | None] = {"majority": [common] * len(labels), "linear": None}
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError:
        pass
    else:
        vectors = TfidfVectorizer(analyzer=list, min_df=2, sublinear_tf=True)
        model = make_pipeline(vectors, LogisticRegression(max_iter=400))
        model.fit([inputs(one, situation) for one in trained], [one.label for one in trained])
        predicted["linear"] = model.predict([inputs(one, situation) for one in tested]).tolist()
    found: dict[str, Any] = {"learned": len(trained), "intervals": {}}
    for kind, told in predicted.items():
        if told is None:
            found[kind] = None
            continue
        right = 100 * (torch.tensor(told) == torch.tensor(labels)).double()
        found[kind] = float(right.mean())
        found["intervals"][kind] = bootstrap(partial(mean_of, right), [one.conversation for one in tested])
    return found | {"seconds": time.process_time() - start}


def mean_of(values: Tensor, places: Tensor) -> float:
    return float(values[places].mean())


@lru_cache(maxsize=1)
def examples(data: Data) -> dict[Split, list[LabelledExchange]]:
    """Labelled exchanges of each part, in an order by chance.

    Raises:
        DataUnavailableError: the data are not on this machine.
    """
    parts: dict[Split, list[LabelledExchange]] = {part: [] for part in get_args(Split)}
    if data == "chitchat":
        lexicon = load_emotion_lexicon()
        for one in weakly_labelled(exchanges(load_chitchat(), previous=PREVIOUS, responder="both"), lexicon, longest=LONGEST):
            parts[split_of(one.conversation)].append(one)
    else:
        for part, found in parts.items():
            found.extend(map(empathetic, exchanges(load_empathetic_dialogues(part))))
    for found in parts.values():
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(ORDER_SEED)).tolist()
        found[:] = [found[place] for place in order]
    return parts


def empathetic(one: Any) -> LabelledExchange:
    """An exchange of EmpatheticDialogues in words, nothing hidden."""
    context = tuple(tuple(tokenise(text)) for text in one.context)
    label = EMOTIONS.index(one.emotion)
    return LabelledExchange(one.conversation, context, tuple(tokenise(one.response)), tuple(tokenise(one.situation)), label, one)


@lru_cache(maxsize=1)
def vocabulary_of(data: Data, words: int) -> Vocabulary:
    """The most frequent words of training."""
    texts = (text for one in examples(data)["train"] for text in (*one.context, one.response, one.situation))
    return Vocabulary.build(texts, most=words)


def dialogues_of(data: Data, part: Split, vocabulary: Vocabulary, situation: bool) -> list[Dialogue]:
    return [
        vocabulary.dialogue(one.context, one.situation if situation else (), response=one.response, label=one.label)
        for one in examples(data)[part]
    ]


def answers_of(model: Writer, dialogues: Sequence[Dialogue], vocabulary: Vocabulary) -> list[list[str]]:
    """What the model says, as words."""
    said = []
    for start in range(0, len(dialogues), 50):
        some = dialogues[start : start + 50]
        ids = greedy(model, collate(some, len(vocabulary)), most=MOST_SAID).ids
        said += [vocabulary.text(words, one.unknown) for words, one in zip(ids, some, strict=True)]
    return said


def intervals_of(scores: Scores, conversations: Sequence[str]) -> dict[str, tuple[float, float]]:
    """95% intervals of what is scored, conversations drawn again."""
    return {
        "accuracy": bootstrap(lambda places: 100 * scores.at(places).accuracy, conversations),
        "perplexity": bootstrap(lambda places: scores.at(places).perplexity, conversations),
        "paper_perplexity": bootstrap(lambda places: scores.at(places).paper_perplexity, conversations),
    }


def inputs(one: LabelledExchange, situation: bool) -> list[str]:
    """The words that the linear model reads."""
    texts = [*([one.situation] if situation else []), *one.context]
    return [*(word for text in texts for word in text), *(LAST + word for word in one.context[-1])]
