"""In-context learning: colours of nouns that were told far back, and reviews of films after many of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from attractor.data import DataUnavailableError
from attractor.data.texts import load_reviews
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.p11_camelot.claims import NOUNS, NOUNS_FULL, NOUNS_NONE, NOUNS_RULE, REVIEWS, REVIEWS_FULL, SLOTS, WINDOW
from attractor.papers.p11_camelot.sizes import Size
from attractor.papers.p11_camelot.ways import FULL, MODEL, NONE, NOT_HERE, PAPER, RECOMMENDED, smollm2, way
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.sweep import sweep

OF_NOUNS = {NOUNS_NONE: NONE, NOUNS: RECOMMENDED, NOUNS_RULE: PAPER, NOUNS_FULL: FULL}
OF_REVIEWS = {REVIEWS: RECOMMENDED, REVIEWS_FULL: FULL}
CLAIMS: tuple[Claim, ...] = (*OF_NOUNS, *OF_REVIEWS)
SHORT_WINDOW = 64
LABELS = ("negative", "positive")


def measure_learning(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of both tasks; where model or reviews are not on this machine, rows that say so."""
    if not size.real:
        return Measured(unmeasured(CLAIMS, "none", NOT_HERE))
    try:
        smollm2()
    except DataUnavailableError as error:
        return Measured(unmeasured(CLAIMS, "none", error))
    lists = [size.lists * seed + number for number in range(size.lists)]
    points = [(name, one) for name in OF_NOUNS.values() for one in lists]
    found = iter(sweep(nouns, points, lambda done: tell(0.3 * done)))
    runs = {name: [next(found) for _ in lists] for name in OF_NOUNS.values()}
    rows = [nouns_row(claim, runs[name]) for claim, name in OF_NOUNS.items()]
    try:
        load_reviews()
    except DataUnavailableError as error:
        return Measured([*rows, *unmeasured(OF_REVIEWS, "none", error)])
    asked = [(name, seed, size.reviews, size.demonstrations) for name in (NONE, *OF_REVIEWS.values())]
    base, *others = sweep(reviews, asked, lambda done: tell(0.3 + 0.7 * done))
    rows += [reviews_row(claim, one, base, size) for claim, one in zip(OF_REVIEWS, others, strict=True)]
    return Measured(rows)


def nouns(name: str, seed: int) -> dict[str, Any]:
    """Of one list of nouns, how many colours are told rightly, of how many."""
    from attractor.language.in_context import colours_of_nouns, right

    start = time.perf_counter()
    loaded = smollm2()
    asked = colours_of_nouns(loaded.tokenizer, seed=seed)
    told, count = right(loaded.model, asked, way(name, SLOTS, SHORT_WINDOW), window=SHORT_WINDOW)
    return {"right": told, "asked": count, "tokens": len(asked.ids), "seconds": time.perf_counter() - start}


def reviews(name: str, seed: int, count: int, demonstrations: int) -> dict[str, Any]:
    """Of the reviews that are asked, which are judged rightly."""
    from attractor.language.in_context import labelled_texts, predictions

    start = time.perf_counter()
    loaded = smollm2()
    examples = balanced(load_reviews(), count)
    asked = labelled_texts(loaded.tokenizer, examples, LABELS, seed=seed, demonstrations=demonstrations)
    told = predictions(loaded.model, asked, way(name, SLOTS, WINDOW), window=WINDOW)
    judged = (told == asked.answers)[asked.asked]
    return {"right": judged.int().tolist(), "tokens": len(asked.ids), "seconds": time.perf_counter() - start}


def balanced(examples: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """As many of each label, `count` in all."""
    groups = [[each for each in examples if each[1] == label][: count // len(LABELS)] for label in LABELS]
    return [each for group in groups for each in group]


def nouns_row(claim: Claim, runs: Sequence[dict[str, Any]]) -> Row:
    told, asked = sum(run["right"] for run in runs), sum(run["asked"] for run in runs)
    data = f"{len(runs)} lists of coloured nouns, {runs[0]['tokens']} tokens, windows of {SHORT_WINDOW}"
    return Row(claim, told / asked, wilson(told, asked), asked, sum(run["seconds"] for run in runs), data, note=MODEL)


def reviews_row(claim: Claim, run: dict[str, Any], base: dict[str, Any], size: Size) -> Row:
    """The difference of the rates, paired by review."""
    differences = [float(one - other) for one, other in zip(run["right"], base["right"], strict=True)]
    mean, interval = mean_interval(differences)
    rates = [sum(each["right"]) / len(each["right"]) for each in (run, base)]
    data = f"reviews of films (Pang and Lee 2005), {size.demonstrations} told before, {run['tokens']:,} tokens"
    note = f"{MODEL}: {rates[0]:.3f} against {rates[1]:.3f}, chance 0.5"
    return Row(claim, mean, interval, len(differences), run["seconds"] + base["seconds"], data, note=note)
