"""Digits and the garments that were registered under them, in a hetero-associative memory."""

from __future__ import annotations

import time

import torch

from attractor.data import DataUnavailableError
from attractor.memory import ColumnQuantiser, EntropicRelation
from attractor.memory.entropic.projection import METHODS
from attractor.papers.claim import Row, unmeasured
from attractor.papers.p08_entropic_memory.claims import RANDOM, RECOGNISED, SEARCHED, TESTED
from attractor.papers.p08_entropic_memory.garments import DATA
from attractor.papers.p08_entropic_memory.protocol import labels_of, prepare
from attractor.papers.p08_entropic_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

WIDTH, LEVELS = 32, 16
DIGITS = "mnist-5k"
CLAIMS = (TESTED, RANDOM, SEARCHED, RECOGNISED)


def measure_pairs(size: Size, seed: int, tell: Tell, data: str = DATA) -> Measured:
    """The rows on pairs: a digit is registered with a garment whose class has its number."""
    start = time.perf_counter()
    try:
        garments = prepare(data, size.most, WIDTH, size.cues, size.epochs, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(CLAIMS, data, error))
    digits = prepare(DIGITS, 5000, WIDTH, size.cues, 1, seed)
    # the classes of the digits decide which garment each gets; one garment may serve several digits
    numbers = labels_of(digits.remembered)[: size.pairs]
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.empty_like(numbers)
    for label in numbers.unique():
        there, here = (labels_of(garments.remembered) == label).nonzero().flatten(), numbers == label
        chosen[here] = there[torch.randint(len(there), (int(here.sum()),), generator=generator)]
    left, right = digits.codes[: size.pairs], garments.codes[chosen]
    quantisers = ColumnQuantiser.fit(left, LEVELS), ColumnQuantiser.fit(right, LEVELS)
    memory = EntropicRelation(WIDTH, WIDTH, LEVELS, LEVELS)
    patterns = quantisers[0].encode(left)
    memory.store(patterns, quantisers[1].encode(right))
    cues, wanted = quantisers[0].encode(digits.cue_codes)[: size.pair_cues], digits.cue_labels[: size.pair_cues]
    correct, accepted = {}, 0
    for done, method in enumerate(METHODS):
        found = memory.recall(cues, method=method, samples=LEVELS, generator=torch.Generator().manual_seed(seed))
        right_class = garments.classes(quantisers[1].decode(found.patterns)) == wanted
        correct[method], accepted = int((right_class & found.accepted).sum()), int(found.accepted.sum())
        tell((done + 1) / len(METHODS))
    own = memory.recall(patterns, method="random").accepted
    seconds = time.perf_counter() - start
    about = f"{DIGITS} and {data}, {len(patterns):,} pairs"
    share = {method: count / max(1, accepted) for method, count in correct.items()}
    note = f"{accepted} of {len(cues)} cues accepted; in class: " + ", ".join(f"{name} {one:.3f}" for name, one in share.items())
    by_chance = share["random"]
    values = share["sample-and-test"] - by_chance, by_chance - 1 / 10, share["search-and-test"] - by_chance
    rows = [Row(claim, value, None, accepted, seconds, about, note=note) for claim, value in zip(CLAIMS, values, strict=False)]
    hits = int(own.sum())
    return Measured([*rows, Row(RECOGNISED, hits / len(own), wilson(hits, len(own)), len(own), seconds, about)])
