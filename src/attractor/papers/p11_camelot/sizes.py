"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure. Tokens are whole windows.

    Attributes:
        real: whether SmolLM2 takes part, which needs seconds for each thousand tokens.
        flat: tokens that the tiny model reads, for the memory of the process.
        documents, tokens: speeches, and of each the first tokens.
        long_documents, long_tokens: the same, of the longer texts.
        steps: speeches, of the first length, for the way from the paper's settings to the recommended ones.
        lists: independent lists of coloured nouns.
        reviews: how many; the first `demonstrations` are told and not asked.
        demonstrations: of them.
        near, far: tokens after which the cost of a window is taken.
        rounds: windows that are timed there.
    """

    real: bool
    flat: int
    documents: int = 20
    tokens: int = 768
    long_documents: int = 4
    long_tokens: int = 2048
    steps: int = 3
    lists: int = 4
    reviews: int = 100
    demonstrations: int = 40
    near: int = 2048
    far: int = 16_384
    rounds: int = 12


SIZES: dict[Scale, Size] = {
    "smoke": Size(real=False, flat=25_600),
    "laptop": Size(real=True, flat=102_400),
    "full": Size(
        real=True,
        flat=102_400,
        documents=80,
        tokens=4096,
        long_documents=20,
        long_tokens=8192,
        steps=20,
        lists=20,
        reviews=200,
        demonstrations=100,
        rounds=30,
    ),
}
