"""The thresholds of recognition, chosen by held-out examples for a share of strangers that may be taken for known."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from attractor.memory.base import Memory
from attractor.memory.encoders import Encoded
from attractor.memory.entropic.codes import codes_of
from attractor.memory.entropic.memory import EntropicMemory
from attractor.memory.entropic.recognition import Recogniser
from attractor.validation import check_matrix, check_share

IOTAS = tuple(step / 10 for step in range(11))


class Calibration(NamedTuple):
    """Thresholds, and what they do with the examples they were chosen by.

    Attributes:
        iota, kappa, xi: as for `EntropicMemory`.
        accepted: share of the examples that are accepted.
        mistaken: share of the strangers that are.
    """

    iota: float
    kappa: float
    xi: int
    accepted: float
    mistaken: float


def calibrate(memory: EntropicMemory | Encoded, patterns: Tensor, strangers: Tensor, *, most: float = 0.05) -> Calibration:
    """Set `iota`, `kappa` and `xi` of a memory so that it accepts most of `patterns` and few of `strangers`.

    All combinations are weighed, of `iota` in tenths up to 1. Of those that accept equally many patterns, the first has the least
    `iota`, then the least `xi`. To choose `m` as well, calibrate memories of several and compare `accepted`.

    Args:
        memory: holds its patterns already; an `EntropicMemory`, or one behind encoders.
        patterns: `(k, d)`, like those that are stored, but not stored.
        strangers: `(l, d)`, to be refused: noise, or patterns of another kind.
        most: share of the strangers that may be accepted.

    Raises:
        TypeError, ValueError: no entropic memory, an empty one, wrong shape or entries, or `most` not from 0 to below 1; the memory
            stays as it is then.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> known, strange = torch.randint(4, (90, 30), generator=generator), torch.randint(8, (50, 30), generator=generator)
        >>> memory = EntropicMemory(30, 8)
        >>> ids = memory.store(known[:60].float())
        >>> found = calibrate(memory, known[60:].float(), strange.float())
        >>> found.accepted, found.mistaken
        (1.0, 0.0)
    """
    check_share("most", most)
    inner: Memory = memory
    while isinstance(inner, Encoded):
        patterns, strangers = (inner.encoder.encode(check_matrix("patterns", each, inner.dim)) for each in (patterns, strangers))
        inner = inner.memory
    if not isinstance(inner, EntropicMemory):
        raise TypeError(f"memory must be an EntropicMemory, or one behind encoders, got {type(inner).__name__}")
    if len(inner) == 0:
        raise ValueError("the memory is empty: store patterns first")
    known, strange = (
        codes_of(name, each, inner.domain, inner.dim, None) for name, each in (("patterns", patterns), ("strangers", strangers))
    )
    best = None
    for iota in IOTAS:
        found = best_of(inner, known, strange, iota, most)
        if best is None or found.accepted > best.accepted:
            best = found
    assert best is not None
    inner.registers.iota, inner.registers.kappa, inner.registers.xi = best[:3]
    return best


def best_of(memory: EntropicMemory, known: Tensor, strange: Tensor, iota: float, most: float) -> Calibration:
    """The best thresholds with this `iota`."""
    recogniser = Recogniser(memory.registers.weights, iota, 0.0, memory.dim, memory.registers.undefined)
    (misses, heights), (their_misses, their_heights) = (strengths(recogniser, codes) for codes in (known, strange))
    allowed = int(most * len(strange))
    tried = []
    # between two of these numbers a larger xi accepts more strangers only
    for xi in misses.unique().tolist():
        rivals = their_heights[their_misses <= xi].sort(descending=True).values
        # just above the first stranger that is too many
        kappa = 0.0 if len(rivals) <= allowed else float(rivals[allowed]) * (1 + 1e-9)
        accepted = float(((misses <= xi) & (heights >= kappa)).double().mean())
        mistaken = int((rivals >= kappa).sum()) / len(strange)
        tried.append(Calibration(iota, kappa, xi, accepted, mistaken))
    return max(tried, key=lambda each: each.accepted)


def strengths(recogniser: Recogniser, codes: Tensor) -> tuple[Tensor, Tensor]:
    """How many columns of each object miss, and its weight as a multiple of what is expected."""
    found = recogniser(codes)
    return found.misses[:, 0], (found.weight / found.expected)[:, 0]
