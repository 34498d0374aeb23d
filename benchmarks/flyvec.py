"""Training of FlyVec beside word2vec of gensim: words of text learned in a second, on generated text, with the same threads.

Words are drawn as Zipf has them, lines are of 20 words. Each pass is timed without the reading of the text and the counting of its
words, which both do once before they learn. Settings of word2vec are its own, so it skips a part of the frequent words. A code of
FlyVec has 400 bits, a vector of word2vec 100 numbers of 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target
from timing import Contender, Race, race

from attractor.estimators.flyvec import FlyVec
from attractor.estimators.flyvec.corpus import Spool

OURS = "FlyVec, 400 bits"
SKIP_GRAM, CBOW = "word2vec, skip-gram, 100 numbers", "word2vec, CBOW, 100 numbers"
RATE = 0.3


@dataclass(frozen=True)
class Sizes:
    """`lines` of `length` words out of `words`; about `seconds` for each row."""

    lines: int = 20_000
    length: int = 20
    words: int = 10_000
    seconds: float = 30.0


QUICK = Sizes(lines=200, length=20, words=300, seconds=0.1)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    text = generated(sizes)
    found = []
    for threads in sorted({1, torch.get_num_threads()}):
        say(f"flyvec: {threads} threads")
        found.append({"threads": threads, "race": one(text, sizes, threads)})
    return Section("Word codes", [table(found, sizes)], targets(found, sizes), {"training": found})


def generated(sizes: Sizes) -> list[list[str]]:
    chance = np.random.default_rng(0)
    shares = 1 / np.arange(1, sizes.words + 1)
    drawn = chance.choice(sizes.words, (sizes.lines, sizes.length), p=shares / shares.sum())
    return [[f"w{number}" for number in line] for line in drawn.tolist()]


def one(text: list[list[str]], sizes: Sizes, threads: int) -> Race:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with Spool(text) as spool:
            return race([Contender(OURS, ours(spool, sizes)), *peers(text, sizes, threads)], sizes.seconds)
    finally:
        torch.set_num_threads(before)


def ours(spool: Spool, sizes: Sizes) -> Callable[[], object]:
    """One pass of training over text that is read already."""
    model = FlyVec(max_words=sizes.words, min_count=1, random_state=0)
    model.words_, model.counts_ = spool.choose(sizes.words, 1)
    model._start()
    return lambda: list(model._learn(spool, 0, RATE, 0))


def peers(text: list[list[str]], sizes: Sizes, threads: int) -> list[Contender]:
    models = optional("gensim.models")
    if models is None:
        return []
    found = []
    for name, skip_gram in ((SKIP_GRAM, 1), (CBOW, 0)):
        settings = {"vector_size": 100, "window": 5, "negative": 5, "min_count": 1, "max_final_vocab": sizes.words}
        model = models.Word2Vec(sg=skip_gram, workers=threads, seed=0, **settings)
        model.build_vocab(text)
        found.append(Contender(name, lambda model=model: model.train(text, total_examples=len(text), epochs=1)))
    return found


def table(found: list[dict[str, Any]], sizes: Sizes) -> Table:
    rows = []
    for one in found:
        timed = one["race"]
        for name in (OURS, SKIP_GRAM, CBOW):
            there = name in timed
            cells = [f"{1e-3 * sizes.lines * sizes.length / timed.time(name):,.0f}", str(timed.ratio(name, OURS))] if there else []
            rows.append([str(one["threads"]), name, *(cells or [NOT_INSTALLED, NOT_INSTALLED])])
    columns = ("threads", "training by", "thousand words a second", "time over FlyVec's")
    title = f"One pass over {sizes.lines * sizes.length:,} words, {sizes.words:,} different ones"
    return Table(title, columns, rows, "Ratio in the same round, median (quartiles).", labels=2)


def targets(found: list[dict[str, Any]], sizes: Sizes) -> list[Target]:
    listed = []
    for one in found:
        for name in (SKIP_GRAM, CBOW):
            if name in one["race"]:
                ratio = one["race"].ratio(name, OURS)
                claim = f"words learned in a second over {name.removesuffix(', 100 numbers')}, {one['threads']} threads"
                listed.append(Target(claim, ">= 1", str(ratio), ratio.median >= 1))
    return listed
