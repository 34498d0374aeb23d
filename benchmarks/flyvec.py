"""Training of FlyVec beside word2vec of gensim: words of text learned in a second, with the same threads.

One text is generated: words drawn as Zipf has them, in lines of 20. The other, where gensim is installed, is the pages of Wikipedia
and the news that it ships. Each pass is timed without the reading of the text and the counting of its words, which both do once
before they learn. Settings of word2vec are its own, so it skips a part of the frequent words. A code of FlyVec has 400 bits: as
many as a vector of 400 numbers whose signs are taken; 100 numbers are the default of gensim. Seconds of CPU are those of all
threads together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target
from timing import Contender, Race, race

from attractor.data import DataUnavailableError, load_corpus
from attractor.estimators.flyvec import FlyVec, tokenise
from attractor.estimators.flyvec.corpus import Spool

OURS = "FlyVec, 400 bits"
PEERS = {
    f"word2vec, {name}, {numbers} numbers": {"sg": int(name == "skip-gram"), "vector_size": numbers}
    for name in ("skip-gram", "CBOW")
    for numbers in (100, 400)
}
RATE = 0.3
Text = list[list[str]]


@dataclass(frozen=True)
class Sizes:
    """`lines` of `length` words out of `words`, and every `every`-th sentence of Wikipedia; about `seconds` for each row."""

    lines: int = 20_000
    length: int = 20
    words: int = 10_000
    every: int = 1
    seconds: float = 30.0


QUICK = Sizes(lines=200, length=20, words=300, every=200, seconds=0.1)


@dataclass(frozen=True)
class Timed:
    """One text learned with so many threads: wall-clock time, and seconds of CPU of each contender in each round."""

    text: str
    words: int
    threads: int
    race: Race
    cpu: dict[str, list[float]]

    def cpu_ratio(self, name: str) -> float:
        """Median seconds of CPU over FlyVec's."""
        mine, theirs = (median(self.cpu[each][1:]) for each in (OURS, name))  # the first round is for warmth
        return theirs / mine


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    found = []
    for name, text in texts(sizes).items():
        for threads in sorted({1, torch.get_num_threads()}):
            say(f"flyvec: {name}, {threads} threads")
            found.append(one(name, text, sizes, threads))
    return Section("Word codes", [table(found, sizes)], targets(found), {"training": found})


def texts(sizes: Sizes) -> dict[str, Text]:
    """The texts that are there, by name."""
    there = {"generated": generated(sizes)}
    try:
        corpus = load_corpus("wikipedia") + load_corpus("lee")
    except DataUnavailableError:
        return there
    return {**there, "Wikipedia and news": [tokenise(sentence) for sentence in corpus.sentences[:: sizes.every]]}


def generated(sizes: Sizes) -> Text:
    chance = np.random.default_rng(0)
    shares = 1 / np.arange(1, sizes.words + 1)
    drawn = chance.choice(sizes.words, (sizes.lines, sizes.length), p=shares / shares.sum())
    return [[f"w{number}" for number in line] for line in drawn.tolist()]


def one(name: str, text: Text, sizes: Sizes, threads: int) -> Timed:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    cpu: dict[str, list[float]] = {}
    try:
        with Spool(text) as spool:
            contenders = [Contender(OURS, ours(spool, sizes)), *peers(text, sizes, threads)]
            timed = race(
                [Contender(each.name, on_cpu(each.call, cpu.setdefault(each.name, []))) for each in contenders], sizes.seconds
            )
    finally:
        torch.set_num_threads(before)
    return Timed(name, sum(map(len, text)), threads, timed, cpu)


def on_cpu(call: Callable[[], object], taken: list[float]) -> Callable[[], object]:
    """The same call, that notes the seconds of CPU it took."""

    def noted() -> object:
        start = time.process_time()
        found = call()
        taken.append(time.process_time() - start)
        return found

    return noted


def ours(spool: Spool, sizes: Sizes) -> Callable[[], object]:
    """One pass of training over text that is read already."""
    model = FlyVec(max_words=sizes.words, min_count=1, random_state=0)
    model.words_, model.counts_ = spool.choose(sizes.words, 1)
    model._start()
    return lambda: list(model._learn(spool, 0, RATE, 0))


def peers(text: Text, sizes: Sizes, threads: int) -> list[Contender]:
    models = optional("gensim.models")
    if models is None:
        return []
    found = []
    for name, kind in PEERS.items():
        settings = {"window": 5, "negative": 5, "min_count": 1, "max_final_vocab": sizes.words, **kind}
        model = models.Word2Vec(workers=threads, seed=0, **settings)
        model.build_vocab(text)
        found.append(Contender(name, lambda model=model: model.train(text, total_examples=len(text), epochs=1)))
    return found


def table(found: list[Timed], sizes: Sizes) -> Table:
    rows = []
    for one in found:
        for name in (OURS, *PEERS):
            cells = [NOT_INSTALLED] * 3
            if name in one.race:
                speed = f"{1e-3 * one.words / one.race.time(name):,.0f}"
                cells = [speed, str(one.race.ratio(name, OURS)), f"{one.cpu_ratio(name):.2f}"]
            rows.append([f"{one.text}, {one.words:,} words", str(one.threads), name, *cells])
    columns = ("text", "threads", "training by", "thousand words a second", "time over FlyVec's", "CPU seconds over FlyVec's")
    note = "Time: ratio in the same round, median (quartiles). CPU: ratio of the medians."
    return Table(f"One pass, at most {sizes.words:,} different words", columns, rows, note, labels=3)


def targets(found: list[Timed]) -> list[Target]:
    listed = []
    for one in found:
        for name in PEERS:
            if name in one.race:
                ratio = one.race.ratio(name, OURS)
                threads = f"{one.threads} threads" if one.threads > 1 else "1 thread"
                claim = f"words learned in a second over {name}, {one.text}, {threads}"
                reached = f"{ratio}; of CPU time {one.cpu_ratio(name):.2f}"
                listed.append(Target(claim, ">= 1", reached, ratio.median >= 1))
    return listed
