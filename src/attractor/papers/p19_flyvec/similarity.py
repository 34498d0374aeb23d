"""Word codes judged by pairs of words that people gave a similarity, beside word2vec on the same text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attractor.data import DataUnavailableError
from attractor.data.corpora import load_corpus
from attractor.data.word_similarity import load_word_pairs
from attractor.estimators.flyvec import Codes, FlyVec, tokenise
from attractor.estimators.flyvec.codes import encode
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p19_flyvec.claims import (
    BINARY,
    BY_NEIGHBOURS,
    DENSE,
    DIVISION,
    FALL,
    LENGTHS,
    LITTLE,
    MIDDLE,
    OTHER_SETS,
    PEAK,
    PUBLISHED,
    SECONDS,
    SETS,
    STATIC,
)
from attractor.papers.p19_flyvec.ranks import spearman
from attractor.papers.p19_flyvec.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

CLAIMS: tuple[Claim, ...] = (
    *(STATIC[k] for k in LENGTHS),
    *OTHER_SETS.values(),
    PEAK,
    FALL,
    BINARY,
    BY_NEIGHBOURS,
    *DENSE.values(),
    SECONDS,
    DIVISION,
    *LITTLE.values(),
)
SKIP_GRAM, CBOW, FLY, UNDIVIDED = "skip-gram", "CBOW", "fly", "fly, no division"
NO_PEER = "gensim is not installed: pip install gensim==4.4.0"
DIM, CELLS = 100, 400
PEAKS = (16, 32, 50)
Run = Mapping[str, Any]
Score = Callable[[Run], float]


def measure_similarity(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for all claims on similarity; where text or pairs are not on this machine, rows that say so."""
    try:
        lines = len(text(size.corpora, size.every))
        for name in SETS:
            load_word_pairs(name)
    except DataUnavailableError as error:
        return Measured(unmeasured(CLAIMS, " + ".join(size.corpora), error))
    seeds = range(seed * size.seeds, (seed + 1) * size.seeds)
    plan = {
        "fly": (FLY, size.corpora, size.words, size.epochs),
        "divided": (FLY, size.corpora, size.words, size.short_epochs),
        "undivided": (UNDIVIDED, size.corpora, size.words, size.short_epochs),
        SKIP_GRAM: (SKIP_GRAM, size.corpora, size.words, size.epochs),
        CBOW: (CBOW, size.corpora, size.words, size.epochs),
        "little": (FLY, size.little, size.little_words, size.epochs),
        "little skip-gram": (SKIP_GRAM, size.little, size.little_words, size.epochs),
    }
    points = [(*what, size.every, each) for what in plan.values() for each in seeds]
    found = iter(sweep(learned, points, tell))
    runs = {name: [next(found) for _ in seeds] for name in plan}
    return Measured(rows(runs, f"{' + '.join(size.corpora)}, {lines:,} sentences", size), [chart(runs)])


def rows(runs: Mapping[str, Sequence[Run | None]], data: str, size: Size) -> list[Row]:
    """What is measured for each claim."""
    fly = runs["fly"]
    made = [row(STATIC[k], data, at("target", k), fly, note=known(fly) if k == MIDDLE else "") for k in LENGTHS]
    made += [row(claim, data, at("target", MIDDLE, name), fly) for name, claim in OTHER_SETS.items()]
    made += [
        row(
            PEAK,
            data,
            lambda run: float(best(run) in PEAKS),
            fly,
            note=f"best lengths: {', '.join(str(best(run)) for run in there(fly))}",
        ),
        row(FALL, data, lambda run: at("target", best(run))(run) - at("target", LENGTHS[-1])(run), fly),
        gap(BINARY, data, at("target", MIDDLE), fly, at("bits", MIDDLE), runs[SKIP_GRAM], f"{size.epochs} epochs each"),
        row(BY_NEIGHBOURS, data, at("context", MIDDLE), fly, note=f"both halves: {average(at('both', MIDDLE), fly)}"),
        *(
            row(claim, data, at("dense"), runs[name], note=f"{size.epochs} epochs; {told(runs[name])}")
            for name, claim in DENSE.items()
        ),
        row(
            SECONDS,
            data,
            lambda run: float(run["cpu"]),
            fly,
            note=f"{size.epochs} epochs each, one thread; skip-gram {cpu(runs[SKIP_GRAM])}, CBOW {cpu(runs[CBOW])}",
        ),
        gap(
            DIVISION,
            data,
            at("target", MIDDLE),
            runs["divided"],
            at("target", MIDDLE),
            runs["undivided"],
            f"{size.short_epochs} epochs each",
        ),
    ]
    little = " + ".join(size.little)
    for name, claim in LITTLE.items():
        some, score = (runs["little skip-gram"], at("dense")) if name == SKIP_GRAM else (runs["little"], at(name, 16))
        made.append(row(claim, little, score, some, note=f"{size.epochs} epochs"))
    return made


def learned(kind: str, corpora: Sequence[str], words: int, epochs: int, every: int, seed: int) -> dict[str, Any] | None:
    """Spearman x 100 by half of the synapses (or `bits`, `dense`), hash length and set; None without the peer."""
    sentences = text(tuple(corpora), every)
    start, cpu_start = time.perf_counter(), time.process_time()
    if kind in (FLY, UNDIVIDED):
        model = FlyVec(max_words=words, min_count=1, epochs=epochs, divide_by_counts=kind == FLY, random_state=seed).fit(sentences)
        taken = time.process_time() - cpu_start
        scores: dict[str, Any] = {block: by_length(partial(model.codes, block=block)) for block in ("target", "context", "both")}
    else:
        vectors = word_vectors(kind, sentences, words, epochs, seed)
        if vectors is None:
            return None
        taken = time.process_time() - cpu_start
        projection = np.random.default_rng(seed).standard_normal((DIM, CELLS))
        scores = {"bits": by_length(lambda w, k: projected(vectors, w, k, projection)), "dense": dense(vectors)}
    return {"scores": scores, "pairs": counted(sentences, words), "cpu": taken, "seconds": time.perf_counter() - start}


@lru_cache(maxsize=2)
def text(corpora: tuple[str, ...], every: int) -> list[list[str]]:
    """The sentences of some corpora, as words."""
    return [tokenise(one) for name in corpora for one in load_corpus(name).sentences[::every]]


def word_vectors(kind: str, sentences: list[list[str]], words: int, epochs: int, seed: int) -> Any:
    """Vectors of gensim's word2vec; None where it is not installed."""
    try:
        word2vec = import_module("gensim.models").Word2Vec
    except ImportError:
        return None
    settings = {"vector_size": DIM, "window": 5, "negative": 5, "min_count": 1, "max_final_vocab": words}
    return word2vec(sentences, sg=int(kind == SKIP_GRAM), epochs=epochs, workers=1, seed=seed + 1, **settings).wv


def projected(vectors: Any, words: Sequence[str], hash_length: int, projection: npt.NDArray[Any]) -> Codes:
    """Vectors made binary: projected at random to as many numbers as there are cells, the largest are on."""
    known = np.array([word in vectors for word in words])
    rows = np.stack([vectors[word] if word in vectors else np.zeros(DIM, np.float32) for word in words])
    bits = encode(torch.from_numpy(rows @ projection), hash_length)
    return Codes(words, bits, CELLS, known)


def by_length(codes: Callable[[Sequence[str], int], Codes]) -> dict[str, dict[str, float]]:
    """Spearman's correlation of the overlap of codes, by hash length and set."""
    found: dict[str, dict[str, float]] = {}
    for k in LENGTHS:
        for name in SETS:
            pairs = load_word_pairs(name)
            first, second = (codes([pair[side] for pair in pairs.pairs], k) for side in (0, 1))
            both = first.known & second.known
            shared = (first.unpack() & second.unpack()).sum(1)
            found.setdefault(str(k), {})[name] = spearman(shared[both], np.array(pairs.scores)[both])
    return found


def dense(vectors: Any) -> dict[str, float]:
    """The same of the cosine of vectors, by set."""
    found = {}
    for name in SETS:
        pairs = load_word_pairs(name)
        both = [place for place, (one, two) in enumerate(pairs.pairs) if one in vectors and two in vectors]
        alike = [float(vectors.similarity(*pairs.pairs[place])) for place in both]
        found[name] = spearman(np.array(alike), np.array(pairs.scores)[both])
    return found


def counted(sentences: list[list[str]], words: int) -> dict[str, int]:
    """How many pairs of each set are among the most frequent words."""
    met: dict[str, int] = {}
    for sentence in sentences:
        for word in sentence:
            met[word] = met.get(word, 0) + 1
    frequent = set(sorted(met, key=lambda word: -met[word])[:words])
    return {name: sum(frequent.issuperset(pair) for pair in load_word_pairs(name).pairs) for name in SETS}


def at(block: str, k: int | None = None, name: str = SETS[0]) -> Score:
    """A score of a run."""
    return lambda run: float(run["scores"][block][name] if k is None else run["scores"][block][str(k)][name])


def best(run: Run) -> int:
    """The hash length of the best static codes on WS353."""
    return max(LENGTHS, key=lambda k: at("target", k)(run))


def there(runs: Sequence[Run | None]) -> list[Run]:
    """Those that were made."""
    return [run for run in runs if run is not None]


def row(claim: Claim, data: str, score: Score, runs: Sequence[Run | None], note: str = "") -> Row:
    made = there(runs)
    if not made:
        return Row.unmeasured(claim, data, NO_PEER)
    value, interval = mean_interval([score(run) for run in made])
    return Row(claim, value, interval, len(made), sum(run["seconds"] for run in made), data, note=note)


def gap(
    claim: Claim, data: str, mine: Score, ours: Sequence[Run | None], their: Score, theirs: Sequence[Run | None], note: str
) -> Row:
    """How much one is above the other, seed by seed."""
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=True) if one is not None and other is not None]
    if not pairs:
        return Row.unmeasured(claim, data, NO_PEER)
    value, interval = mean_interval([mine(one) - their(other) for one, other in pairs])
    note = f"{average(mine, ours)} against {average(their, theirs)}, {note}"
    return Row(claim, value, interval, len(pairs), sum(one["seconds"] + other["seconds"] for one, other in pairs), data, note=note)


def average(score: Score, runs: Sequence[Run | None]) -> str:
    scores = [score(run) for run in there(runs)]
    return f"{sum(scores) / len(scores):.1f}" if scores else "not measured"


def told(runs: Sequence[Run | None]) -> str:
    """Of word2vec: the other sets, and the binary codes."""
    others = ", ".join(f"{name} {average(at('dense', None, name), runs)}" for name in SETS[1:])
    binary = ", ".join(f"{k} on {average(at('bits', k), runs)}" for k in LENGTHS)
    return f"{others}; binary on WS353: {binary}"


def cpu(runs: Sequence[Run | None]) -> str:
    return f"{average(lambda run: float(run['cpu']), runs)} s"


def known(runs: Sequence[Run | None]) -> str:
    pairs = next(run["pairs"] for run in runs if run is not None)
    return "pairs of words in the vocabulary: " + ", ".join(f"{name} {count}" for name, count in pairs.items())


def chart(runs: Mapping[str, Sequence[Run | None]]) -> Chart:
    """Spearman's correlation by hash length."""
    lines = [
        ("fly, static", "fly", "target"),
        ("fly, both halves", "fly", "both"),
        ("fly, no division by counts", "undivided", "target"),
    ]
    lines += [(f"{name}, binary", name, "bits") for name in (SKIP_GRAM, CBOW)]
    x = tuple(map(float, LENGTHS))
    series = []
    for label, name, block in lines:
        if made := there(runs[name]):
            values = [[at(block, k)(run) for run in made] for k in LENGTHS]
            series.append(
                Series(
                    label, x, tuple(float(np.mean(one)) for one in values), tuple(map(min, values)), tuple(map(max, values)), "line"
                )
            )
    for name in (SKIP_GRAM, CBOW):
        if made := there(runs[name]):
            level = float(np.mean([at("dense")(run) for run in made]))
            series.append(Series(f"{name}, {DIM} numbers", (x[0], x[-1]), (level, level), style="guide"))
    series.append(
        Series("published (recalled)", tuple(map(float, PUBLISHED)), tuple(map(float, PUBLISHED.values())), style="guide")
    )
    title = "Word similarity (WS353) by hash length; bars from the least to the greatest of the seeds"
    return Chart("similarity", title, "cells on, of 400", "Spearman x 100", tuple(series), x_scale="log")
