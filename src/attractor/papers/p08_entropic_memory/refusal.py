"""Thresholds that are calibrated to refuse strangers: pure noise, and images of another kind."""

from __future__ import annotations

import time

import torch

from attractor.data import DataUnavailableError, load
from attractor.memory import calibrate
from attractor.memory.encoders import Encoded
from attractor.papers.claim import Row, unmeasured
from attractor.papers.p08_entropic_memory.claims import (
    CUES_LEFT,
    DIGITS_LEFT,
    GARMENTS_LEFT,
    MOST_MISTAKEN,
    NOISE_LEFT,
    SIGMA,
    M,
)
from attractor.papers.p08_entropic_memory.garments import DATA
from attractor.papers.p08_entropic_memory.protocol import prepare
from attractor.papers.p08_entropic_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

STRANGERS = {"noise": (NOISE_LEFT, CUES_LEFT), "mnist-5k": (DIGITS_LEFT, GARMENTS_LEFT)}


def measure_refusal(size: Size, seed: int, tell: Tell, data: str = DATA) -> Measured:
    """The rows on strangers: one half of them, and of the cues, decides the thresholds, the other half is asked."""
    rows: list[Row] = []
    for done, (name, claims) in enumerate(STRANGERS.items()):
        start = time.perf_counter()
        try:
            protocol = prepare(data, size.most, size.width, size.cues, size.epochs, seed)
            cues = protocol.cues.patterns
            if name == "noise":
                strangers = torch.rand(cues.shape, generator=torch.Generator().manual_seed(seed))
            else:
                strangers = load(name).split(len(cues), seed=seed)[0].patterns
        except DataUnavailableError as error:
            return Measured(unmeasured([claim for pair in STRANGERS.values() for claim in pair], data, error))
        memory, quantiser = protocol.memory(M, sigma=SIGMA)
        system = Encoded(Encoded(memory, quantiser), protocol.encoder)
        half = len(cues) // 2
        chosen = calibrate(system, cues[:half], strangers[:half], most=MOST_MISTAKEN)
        note = f"iota = {chosen.iota:g}, kappa = {chosen.kappa:.3f}, xi = {chosen.xi}"
        for claim, asked in zip(claims, (strangers[half:], cues[half:]), strict=True):
            accepted = int(system.recall(asked).accepted.sum())
            seconds, about = time.perf_counter() - start, f"{data} and {name}, n = {size.width}, m = {M}"
            rows.append(Row(claim, accepted / len(asked), wilson(accepted, len(asked)), len(asked), seconds, about, note=note))
        tell((done + 1) / len(STRANGERS))
    return Measured(rows)
