"""The system around an entropic memory: an encoder of images, a quantiser of its codes, the memory, and the way back.

A retrieved code is decoded to an image that nobody has seen before. Given that image as the next cue, and so on, memories drift
from what was seen through associations to what is imagined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from attractor.memory.base import REAL, Memory
from attractor.memory.encoders import Encoded, Encoder
from attractor.memory.entropic.memory import EntropicMemory
from attractor.memory.entropic.quantiser import ColumnQuantiser, OutOfRange
from attractor.memory.entropic.registers import Settings
from attractor.validation import check_count, check_matrix


class Autoencoder(Encoder):
    """Any way to codes and back: two `torch.nn` modules, or `transform` and `inverse_transform` of scikit-learn.

    A memory behind it cannot be saved by itself, as functions cannot; save `memory.memory` and the model.

    Args:
        encode: gives codes `(b, code_width)` for patterns `(b, width)`, as a tensor or an array.
        decode: the way back.
        width: of a pattern.
        code_width: of a code.

    Raises:
        TypeError, ValueError: `encode` or `decode` cannot be called, or a width is below 1.

    Example:
        >>> coder = Autoencoder(torch.nn.Linear(784, 16), torch.nn.Linear(16, 784), width=784, code_width=16)
        >>> coder.decode(coder.encode(torch.rand(3, 784))).shape
        torch.Size([3, 784])
    """

    name = "autoencoder"
    elementwise = False
    domain = REAL

    def __init__(self, encode: Callable[[Tensor], Any], decode: Callable[[Tensor], Any], *, width: int, code_width: int):
        for name, function in (("encode", encode), ("decode", decode)):
            if not callable(function):
                raise TypeError(f"{name} must be a function or a module, got {type(function).__name__}")
        self._encode, self._decode = encode, decode
        self.width, self.code_width = check_count("width", width), check_count("code_width", code_width)

    def encode(self, patterns: Tensor) -> Tensor:
        return self._applied(self._encode, patterns, self.code_width)

    def decode(self, codes: Tensor) -> Tensor:
        return self._applied(self._decode, codes, self.width)

    def settings(self) -> dict[str, Any]:
        """Refused.

        Raises:
            TypeError: always: functions cannot be written as settings.
        """
        raise TypeError(f"an {type(self).__name__} cannot be saved: save the memory behind it, and the model, by themselves")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(width={self.width}, code_width={self.code_width})"

    def _applied(self, function: Callable[[Tensor], Any], given: Tensor, width: int | None) -> Tensor:
        with torch.no_grad():
            made = torch.as_tensor(function(given.detach())).to(given)
        if made.shape != (*given.shape[:-1], width):
            raise ValueError(f"encode and decode must keep rows and give width {width}, got {tuple(made.shape)}")
        return made


def entropic_system(
    encoder: Encoder,
    patterns: Tensor,
    m: int,
    *,
    percentiles: tuple[float, float] = (0.0, 100.0),
    out_of_range: OutOfRange = "clip",
    **settings: Unpack[Settings],
) -> Encoded:
    """An empty entropic memory of `m` levels behind a quantiser, behind an encoder.

    Args:
        encoder: of real patterns to real codes: `PCA.fit(...)` or an `Autoencoder`.
        patterns: `(k, d)`, whose codes decide the range of each column; those that will be stored, as a rule.
        m: number of levels.
        percentiles, out_of_range: of the quantiser, `"clip"` or `"error"`.
        settings: of the `EntropicMemory`.

    Raises:
        TypeError, ValueError: not a finite matrix, or a setting out of range.

    Example:
        >>> from attractor import PCA
        >>> patterns = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
        >>> memory = entropic_system(PCA.fit(patterns, 4), patterns, 8)
        >>> ids = memory.store(patterns)
        >>> recalled = memory.recall(patterns[:3])
        >>> recalled.patterns.shape, recalled.accepted.tolist()
        (torch.Size([3, 20]), [True, True, True])
    """
    if not isinstance(encoder, Encoder):
        raise TypeError(f"encoder must be an Encoder, got {type(encoder).__name__}")
    codes = encoder.encode(check_matrix("patterns", patterns, encoder.width)).float()
    quantiser = ColumnQuantiser.fit(codes, m, percentiles=percentiles, out_of_range=out_of_range)
    return Encoded(Encoded(EntropicMemory(codes.shape[1], m, **settings), quantiser), encoder)


class Chain(NamedTuple):
    """A chain of retrievals from each of `b` cues.

    Attributes:
        patterns: `(b, depth, d)`; from where a retrieval is refused on, the last pattern stays.
        accepted: `(b, depth)`.
    """

    patterns: Tensor
    accepted: Tensor


def association_chain(memory: Memory, cues: Tensor, depth: int, *, generator: torch.Generator | None = None) -> Chain:
    """Retrieve, take what came as the next cue, and so on.

    Args:
        memory: an `EntropicMemory`, or an `Encoded` one.
        cues: `(b, d)`.
        depth: how many retrievals.
        generator: of all draws. Default: a new one with seed 0.

    Raises:
        TypeError, ValueError: as `recall`.

    Example:
        >>> memory = EntropicMemory(2, 16, sigma=0.1)
        >>> ids = memory.store(torch.arange(16.0)[:, None].repeat(1, 2))
        >>> association_chain(memory, torch.tensor([[8.0, 8.0]]), 6).patterns.shape
        torch.Size([1, 6, 2])
    """
    check_count("depth", depth)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    options: dict[str, Any] = {"generator": generator}
    patterns: list[Tensor] = []
    accepted: list[Tensor] = []
    for _ in range(depth):
        found = memory.recall(cues, **options)
        still = found.accepted if not accepted else found.accepted & accepted[-1]
        cues = torch.where(still[:, None], found.patterns, cues)
        patterns.append(cues)
        accepted.append(still)
    return Chain(torch.stack(patterns, 1), torch.stack(accepted, 1))
