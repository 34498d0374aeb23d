"""Memories of binary or quantised patterns for real data: `Encoded` translates on the way in and on the way out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from attractor.memory.base import BIPOLAR, REAL, Domain, IfPresent, Memory, memory_class, register
from attractor.memory.hopfield import DTYPES
from attractor.memory.recall import Recall, Trace
from attractor.validation import check_count, check_finite, check_floating, check_known, check_matrix, check_shape


class Encoder(ABC):
    """Turns real patterns into what a memory stores, and back. Encoders do not change once they are made.

    Attributes:
        domain: what the encoded entries may be.
        elementwise: whether each entry is encoded by itself, so that a mask of known entries keeps its meaning.
        width, code_width: how many entries a pattern has, and its code; None for any number of them, encoded into as many.
    """

    name: ClassVar[str]
    elementwise: ClassVar[bool] = True
    domain: Domain
    width: int | None = None
    code_width: int | None = None

    @abstractmethod
    def encode(self, patterns: Tensor) -> Tensor:
        """Encode `patterns (..., d)`."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """What `codes` stand for."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What rebuilds the encoder, as JSON values with its name."""

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items() if key != "name")
        return f"{type(self).__name__}({inside})"


class Binarise(Encoder):
    """1 above the threshold and -1 elsewhere; decoded as `high` and `low`.

    Raises:
        ValueError: `threshold` is not finite, or not `low < high`.

    Example:
        >>> encoder = Binarise()
        >>> codes = encoder.encode(torch.tensor([[0.2, 0.5, 0.7]]))
        >>> codes.tolist(), encoder.decode(codes).tolist()
        ([[-1.0, -1.0, 1.0]], [[0.0, 0.0, 1.0]])
    """

    name = "binarise"
    domain = BIPOLAR

    def __init__(self, threshold: float = 0.5, low: float = 0.0, high: float = 1.0):
        if not math.isfinite(threshold):
            raise ValueError(f"threshold must be a finite number, got {threshold!r}")
        self.threshold = float(threshold)
        self.low, self.high = check_range(low, high)

    def encode(self, patterns: Tensor) -> Tensor:
        return torch.where(patterns > self.threshold, 1, -1).to(patterns.dtype)

    def decode(self, codes: Tensor) -> Tensor:
        return torch.where(codes > 0, self.high, self.low).to(codes.dtype)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "threshold": self.threshold, "low": self.low, "high": self.high}


class Quantise(Encoder):
    """The nearest of `levels` evenly spaced values from `low` to `high`, by its number from 0; values beyond go to the ends.

    Raises:
        ValueError: `levels` below 2, or not `low < high`.

    Example:
        >>> encoder = Quantise(3)
        >>> codes = encoder.encode(torch.tensor([[0.1, 0.4, 7.0]]))
        >>> codes.tolist(), encoder.decode(codes).tolist()
        ([[0.0, 1.0, 2.0]], [[0.0, 0.5, 1.0]])
    """

    name = "quantise"

    def __init__(self, levels: int, low: float = 0.0, high: float = 1.0):
        self.levels = check_count("levels", levels, 2)
        self.domain = Domain("levels", levels)
        self.low, self.high = check_range(low, high)

    def encode(self, patterns: Tensor) -> Tensor:
        share = (patterns - self.low) / (self.high - self.low)
        return (share * (self.levels - 1)).round().clamp(0, self.levels - 1)

    def decode(self, codes: Tensor) -> Tensor:
        share = codes / (self.levels - 1)
        return self.low * (1 - share) + self.high * share  # exact at both ends

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "levels": self.levels, "low": self.low, "high": self.high}


class PCA(nn.Module, Encoder):
    """The coordinates along the directions of largest variance, made by `PCA.fit`. It follows `.to()`.

    Example:
        >>> points = torch.tensor([[0.0, 0.0, 1.0], [1.0, 2.0, 1.0], [2.0, 4.0, 1.0]])
        >>> encoder = PCA.fit(points, 1)
        >>> encoder.encode(points).shape, torch.allclose(encoder.decode(encoder.encode(points)), points, atol=1e-5)
        (torch.Size([3, 1]), True)
    """

    name = "pca"
    elementwise = False
    domain = REAL
    mean: Tensor
    components: Tensor

    def __init__(self, width: int, count: int, dtype: str = "float32"):
        super().__init__()
        self.width: int = check_count("width", width)
        self.code_width: int = check_count("count", count)
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {sorted(DTYPES)}, got {dtype!r}")
        self.register_buffer("mean", torch.zeros(width, dtype=DTYPES[dtype]))
        self.register_buffer("components", torch.zeros(count, width, dtype=DTYPES[dtype]))

    @classmethod
    def fit(cls, patterns: Tensor, count: int) -> Self:
        """The `count` main directions of `patterns (n, d)`.

        Raises:
            TypeError, ValueError: not a finite matrix, or fewer patterns or entries than `count`.
        """
        check_matrix("patterns", patterns)
        if check_count("count", count) > min(patterns.shape):
            raise ValueError(f"count must be at most {min(patterns.shape)} for patterns {tuple(patterns.shape)}, got {count}")
        encoder = cls(patterns.shape[1], count)
        encoder.mean = patterns.detach().mean(0)
        encoder.components = torch.linalg.svd(patterns.detach() - encoder.mean, full_matrices=False).Vh[:count].contiguous()
        return encoder

    def encode(self, patterns: Tensor) -> Tensor:
        return (patterns - self.mean.to(patterns.dtype)) @ self.components.T.to(patterns.dtype)

    def decode(self, codes: Tensor) -> Tensor:
        return codes @ self.components.to(codes.dtype) + self.mean.to(codes.dtype)

    def settings(self) -> dict[str, Any]:
        dtype = str(self.mean.dtype).removeprefix("torch.")
        return {"name": self.name, "width": self.width, "count": self.code_width, "dtype": dtype}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(width={self.width}, count={self.code_width})"


ENCODERS: dict[str, type[Encoder]] = {kind.name: kind for kind in (Binarise, Quantise, PCA)}


def encoder_from(settings: dict[str, Any]) -> Encoder:
    """Rebuild an encoder from its `settings()`.

    Raises:
        ValueError: the name is not known, or settings came that it does not take.
    """
    name = settings.get("name")
    if not isinstance(name, str) or name not in ENCODERS:
        raise ValueError(f"encoder must be one of {sorted(ENCODERS)}, got {name!r}")
    try:
        return ENCODERS[name](**{key: value for key, value in settings.items() if key != "name"})
    except TypeError as error:
        raise ValueError(f"encoder {name!r} does not take these settings: {sorted(set(settings) - {'name'})}") from error


def check_range(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low must be below high, both finite, got low={low!r} and high={high!r}")
    return float(low), float(high)


@register("encoded")
class Encoded(Memory):
    """A memory behind an encoder: real patterns and cues go in, real patterns come out.

    Everything but the patterns is what the memory says: `index`, `score`, `margin`, `energy` and `steps` speak of the codes. A
    recall gives back known entries, and refused cues without a mask, as they came; what is unknown of a refused cue comes back as
    the memory leaves it, decoded.

    Args:
        memory: stores the codes.
        encoder: `Binarise(...)`, `Quantise(...)` or `PCA.fit(...)`.

    Raises:
        TypeError: `memory` is no memory, or `encoder` no encoder.
        ValueError: the codes are not in the domain, or not of the width, of the memory.

    Example:
        >>> from attractor.memory.hopfield import HopfieldMemory
        >>> memory = Encoded(HopfieldMemory(4), Binarise(threshold=0.5))
        >>> ids = memory.store(torch.tensor([[0.0, 1.0, 0.0, 1.0]]))
        >>> memory.recall(torch.tensor([[0.1, 0.8, 0.2, 0.3]])).patterns.tolist()
        [[0.0, 1.0, 0.0, 1.0]]
    """

    def __init__(self, memory: Memory, encoder: Encoder):
        super().__init__()
        if not isinstance(memory, Memory):
            raise TypeError(f"memory must be a Memory, got {type(memory).__name__}")
        if not isinstance(encoder, Encoder):
            raise TypeError(f"encoder must be an Encoder, got {type(encoder).__name__}")
        if memory.domain not in (REAL, encoder.domain):
            raise ValueError(
                f"encoder must give codes that are {memory.domain} for this memory, {encoder!r} gives {encoder.domain}"
            )
        if encoder.code_width not in (None, memory.dim):
            raise ValueError(f"encoder must give codes of the memory's width {memory.dim}, {encoder!r} gives {encoder.code_width}")
        self.memory = memory
        self.encoder = encoder
        self.dim = memory.dim if encoder.width is None else encoder.width

    def __len__(self) -> int:
        return len(self.memory)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.memory!r}, {self.encoder!r})"

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Store the codes of `patterns (n, dim)`; `metadata` and `if_present` as the memory takes them.

        Raises:
            TypeError: `values` came: what is read out is decoded.
            ValueError: wrong shape or dtype, NaN or infinity; nothing is stored then.
        """
        if values is not None:
            raise TypeError(f"values must be None: {type(self).__name__} decodes what is read out; store them in a DenseMemory")
        check_matrix("patterns", patterns, self.dim)
        return self.memory.store(self.encoder.encode(patterns), None, metadata, if_present)

    def forget(self, ids: Tensor) -> None:
        """Remove what was stored under `ids`, or the patterns themselves from a memory that keeps none."""
        if isinstance(ids, Tensor) and ids.is_floating_point():
            ids = self.encoder.encode(check_matrix("patterns", ids, self.dim))
        self.memory.forget(ids)

    def recall(self, cues: Tensor, known: Tensor | None = None, **options: Any) -> Recall:
        """Recall from the codes of `cues (b, dim)`.

        Args:
            known: `(b, dim)`, True where a cue is trusted.
            options: go to the memory's `recall`.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity where trusted, a row with nothing known, an empty memory,
                or a mask for an encoder that mixes entries.
        """
        check_floating("cues", cues)
        check_shape("cues", cues, self.dim)
        if known is not None and not self.encoder.elementwise:
            raise ValueError(f"known must be None: {self.encoder!r} mixes known and unknown entries")
        known = check_known(known, cues)
        trusted = cues if known is None else torch.where(known, cues, 0)
        check_finite("cues", trusted)
        with nullcontext() if options.get("differentiable") else torch.no_grad():
            recalled = self.memory.recall(self.encoder.encode(trusted), known, **options)
            patterns = self._decoded(recalled.patterns, cues, known)
            # a refused cue comes back as it came, but for its unknown entries: those may be NaN
            patterns = patterns if known is not None else torch.where(recalled.accepted[:, None], patterns, cues)
            trace = recalled.trace
            if trace is not None:
                trace = Trace(self._decoded(trace.states, cues, known), trace.energies)
        return replace(recalled, patterns=patterns, trace=trace)

    def energy(self, states: Tensor) -> Tensor:
        """The memory's energy `(b,)` of the codes of `states (b, dim)`."""
        return self.memory.energy(self.encoder.encode(check_matrix("states", states, self.dim)))

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {
            "encoder": self.encoder.settings(),
            "memory": self.memory.registered_name,
            "configuration": self.memory.configuration(folder),
        }

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        memory = memory_class(configuration["memory"]).from_configuration(configuration["configuration"], folder)
        return cls(memory, encoder_from(configuration["encoder"]))

    def contents(self) -> dict[str, Tensor]:
        return self.memory.contents()

    def restore(self, contents: dict[str, Tensor]) -> None:
        self.memory.restore(contents)

    def _decoded(self, codes: Tensor, cues: Tensor, known: Tensor | None) -> Tensor:
        """What codes stand for; known entries as they came, which an encoder may round."""
        decoded = self.encoder.decode(codes)
        return decoded if known is None else torch.where(known, cues, decoded)
