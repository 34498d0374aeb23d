"""The run of all measurements."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from attractor.papers.p16_energy_transformer import anomaly, classification, completion, law
from attractor.papers.p16_energy_transformer.claims import PAPER
from attractor.papers.parts import Part, reproduction
from attractor.papers.report import Scale


class Size(NamedTuple):
    """How much of each part is measured."""

    law: law.LawSize
    completion: completion.Size
    anomaly: anomaly.Size
    classification: classification.ClassificationSize


SIZES: dict[Scale, Size] = {
    "smoke": Size(law.SMOKE, completion.SMOKE, anomaly.SMOKE, classification.SMOKE),
    "laptop": Size(law.LAPTOP, completion.LAPTOP, anomaly.LAPTOP, classification.LAPTOP),
    "full": Size(law.FULL, completion.FULL, anomaly.FULL, classification.FULL),
}


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("descent", 0.05, partial(law.measure_law, size.law)),
        Part("completion of images", 0.35, partial(completion.measure_completion, size.completion)),
        Part("fraud in a graph", 0.35, partial(anomaly.measure_anomaly, size.anomaly)),
        Part("classification of molecules", 0.25, partial(classification.measure_classification, size.classification)),
    ]


run = reproduction(PAPER, SIZES, parts)
