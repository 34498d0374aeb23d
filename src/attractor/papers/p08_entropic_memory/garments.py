"""Fashion-MNIST: the level that is reached, damaged cues, pure noise, and chains of associations."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, GaussianNoise, Occlude
from attractor.memory import association_chain
from attractor.memory.encoders import Encoded
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Figure, ImageGrid, Series, grey_image
from attractor.papers.p08_entropic_memory.claims import (
    ACCEPTED,
    CHAIN_SIGMAS,
    CUE,
    DEPTH,
    HIDDEN,
    NARROW,
    NOISE,
    NOISE_SIGMAS,
    NOISY,
    PRECISION,
    RECALL,
    SECONDS,
    SIGMA,
    WIDER,
    WIDEST,
    M,
)
from attractor.papers.p08_entropic_memory.protocol import Outcome, Protocol, prepare
from attractor.papers.p08_entropic_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

DATA = "fashion-mnist"
LEVEL = (RECALL, PRECISION, SECONDS, CUE, NOISY, HIDDEN, ACCEPTED)
CHAINS = (NARROW, WIDER, WIDEST)
MOST_CHAINS = 500
PICTURES, CHAINS_SHOWN = 4, 2


def measure_level(size: Size, seed: int, tell: Tell, data: str = DATA) -> Measured:
    """The rows on whole and damaged cues, and a grid of pictures; rows that say so where the images are not here."""
    start, used = time.perf_counter(), time.process_time()
    prepare.cache_clear()
    try:
        protocol = prepare(data, size.most, size.width, size.cues, size.epochs, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(LEVEL, data, error))
    tell(0.6)
    memory, quantiser = protocol.memory(M, sigma=SIGMA)
    codes = protocol.cue_codes
    whole = protocol.outcome(memory, quantiser, codes, seed)
    used = time.process_time() - used
    itself = protocol.accuracy(quantiser.decode(quantiser.encode(codes)))
    tell(0.8)
    generator = torch.Generator().manual_seed(seed)
    images, shape = protocol.cues.patterns, protocol.cues.shape
    noisy = GaussianNoise(NOISE)(images, shape=shape, generator=generator).cue.clamp(0, 1)
    hidden = Occlude.side("lower", 0.5)(images, shape=shape, generator=generator).cue
    damaged = [protocol.encoder.encode(cues) for cues in (noisy, hidden)]
    of_noise, of_hidden = (protocol.outcome(memory, quantiser, cues, seed) for cues in damaged)
    static = protocol.encoder.encode(torch.rand(images.shape, generator=generator))
    fooled = int(memory.recall(quantiser.encode(static)).accepted.sum())
    seconds = time.perf_counter() - start
    about = f"{data}, {len(protocol.remembered):,} registered, n = {size.width}"

    def scored(claim: Claim, outcome: Outcome, cues: Tensor, *, precise: bool = False) -> Row:
        among = outcome.accepted if precise else outcome.cues
        value, ends = (None, None) if among == 0 else (outcome.correct / among, wilson(outcome.correct, among))
        note = f"{outcome.answered:.3f} of the cues accepted; the cue itself is classified right in {protocol.accuracy(cues):.3f}"
        return Row(claim, value, ends, among, seconds, about, protocol.nearest(cues), note)

    rows = [
        scored(RECALL, whole, codes),
        scored(PRECISION, whole, codes, precise=True),
        Row(SECONDS, used, None, 1, seconds, about),
        Row(CUE, whole.recall - itself, None, whole.cues, seconds, about, note=f"the quantised cue: {itself:.3f}"),
        scored(NOISY, of_noise, damaged[0]),
        scored(HIDDEN, of_hidden, damaged[1], precise=True),
        Row(ACCEPTED, fooled / len(static), wilson(fooled, len(static)), len(static), seconds, about),
    ]
    system = Encoded(Encoded(memory, quantiser), protocol.encoder)
    columns = [("cue", images), ("retrieved", recalled(system, images)), ("noisy cue", noisy)]
    columns += [("retrieved", recalled(system, noisy)), ("half hidden", hidden), ("retrieved", recalled(system, hidden))]
    chart = by_sigma(protocol, {"whole": codes, f"noise {NOISE:g}": damaged[0], "lower half black": damaged[1]}, seed)
    return Measured(rows, [grid("retrieved", "Retrieved from whole and from damaged cues, m = 16", columns, shape), chart])


def by_sigma(protocol: Protocol, cues: dict[str, Tensor], seed: int) -> Chart:
    """Recall of whole and of damaged cues by the width of retrieval."""
    found: dict[str, list[float]] = {name: [] for name in cues}
    for sigma in NOISE_SIGMAS:
        memory, quantiser = protocol.memory(M, sigma=sigma)
        for name, codes in cues.items():
            found[name].append(protocol.outcome(memory, quantiser, codes, seed).recall)
    series = tuple(Series(name, NOISE_SIGMAS, tuple(each), style="line") for name, each in found.items())
    return Chart("damaged", f"Damaged cues, m = {M}", "sigma", "recall", series, x_scale="log")


def measure_chains(size: Size, seed: int, tell: Tell, data: str = DATA) -> Measured:
    """The rows on chains of associations, a chart and a grid of pictures."""
    start = time.perf_counter()
    try:
        protocol = prepare(data, size.most, size.width, size.cues, size.epochs, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(CHAINS, data, error))
    cues = protocol.cues.patterns[:MOST_CHAINS]
    shares: dict[float, list[float]] = {}
    pictures: list[Figure] = []
    for done, sigma in enumerate(CHAIN_SIGMAS):
        memory, quantiser = protocol.memory(M, sigma=sigma)
        system = Encoded(Encoded(memory, quantiser), protocol.encoder)
        chain = association_chain(system, cues, DEPTH, generator=torch.Generator().manual_seed(seed))
        shares[sigma] = [in_class(protocol, chain.patterns[:, depth], chain.accepted[:, depth]) for depth in range(DEPTH)]
        steps = [("cue", cues), *((f"depth {depth + 1}", chain.patterns[:, depth]) for depth in range(DEPTH))]
        title = f"A chain of associations, sigma = {sigma:g}"
        pictures.append(grid(f"chain-{done}", title, steps, protocol.cues.shape, CHAINS_SHOWN))
        tell((done + 1) / len(CHAIN_SIGMAS))
    seconds, about = time.perf_counter() - start, f"{data}, n = {size.width}, m = {M}"
    last = {sigma: share[-1] for sigma, share in shares.items()}
    values = (shares[0.01][0] - last[0.01], last[0.01] - last[0.05], last[0.05] - last[0.1])
    note = "; ".join(f"sigma {sigma:g}: {' '.join(f'{one:.3f}' for one in share)}" for sigma, share in shares.items())
    rows = [Row(claim, value, None, len(cues), seconds, about, note=note) for claim, value in zip(CHAINS, values, strict=True)]
    depths = tuple(float(depth + 1) for depth in range(DEPTH))
    series = tuple(Series(f"sigma = {sigma:g}", depths, tuple(share), style="line") for sigma, share in shares.items())
    chart = Chart("chains", "Chains of associations", "depth", "share still in the class of the cue", series)
    return Measured(rows, [chart, *pictures])


def in_class(protocol: Protocol, patterns: Tensor, accepted: Tensor) -> float:
    """The share of all chains that are accepted and in the class of their cue."""
    found = protocol.classes(protocol.encoder.encode(patterns))
    return float(((found == protocol.cue_labels[: len(found)]) & accepted).double().mean())


def recalled(system: Encoded, cues: Tensor) -> Tensor:
    return system.recall(cues[:PICTURES]).patterns


def grid(
    name: str, title: str, columns: Sequence[tuple[str, Tensor]], shape: tuple[int, int, int], shown: int = PICTURES
) -> ImageGrid:
    """The first few of each column as pictures."""
    rows = tuple(tuple(grey_image(images[row].view(shape)[0]) for _, images in columns) for row in range(shown))
    return ImageGrid(name, title, tuple(each for each, _ in columns), tuple(str(row + 1) for row in range(shown)), rows)
