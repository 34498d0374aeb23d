"""The paper and all claims that are measured; each stands with its measurement."""

from __future__ import annotations

from attractor.papers.claim import Paper
from attractor.papers.p16_energy_transformer import anomaly, classification, completion, law

PAPER = Paper(
    "16",
    "Energy Transformer",
    (
        "Benjamin Hoover",
        "Yuchen Liang",
        "Bao Pham",
        "Rameswar Panda",
        "Hendrik Strobelt",
        "Duen Horng Chau",
        "Mohammed J. Zaki",
        "Dmitry Krotov",
    ),
    2023,
    "NeurIPS 2023",
    "https://arxiv.org/abs/2302.07253",
    (*law.CLAIMS, *completion.CLAIMS, *anomaly.CLAIMS, *classification.CLAIMS),
)
