"""What goes over the wire: bodies of requests, and numbers as base64."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from attractor.app.landscape import SeparationName, SimilarityName

MOST_POINTS = 20
REACH = 1.5
"""The window of the plane goes from `-REACH` to `REACH`."""
COARSE, FINE = 24, 80
"""Cells along a side, while something is dragged and when it rests."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Coordinate = Annotated[float, Field(ge=-REACH, le=REACH)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Packed = Annotated[str, Field(max_length=2**18, description="base64")]


class Body(BaseModel):
    """Takes no unknown names."""

    model_config = ConfigDict(extra="forbid")


class Store(Body):
    """Which images to store, and the memories that will be asked first."""

    source: str
    count: Annotated[int, Field(ge=1)]
    seed: Seed = 0
    memories: Annotated[list[str], Field(max_length=16)] = []
    edge: Literal[16, 28, 32, 64] = 32
    colour: bool = False


class Cue(Body):
    """A cue: numbers in float32, and where to trust them, one byte each."""

    cue: Packed
    known: Packed | None = None


class Question(Cue):
    """A cue, for several memories; `item` is the stored row that it was made from."""

    memories: Annotated[list[str], Field(min_length=1, max_length=16)]
    item: int | None = None


class Plane(Body):
    """Memories of the plane."""

    points: Annotated[list[Point], Field(min_length=1, max_length=MOST_POINTS)]
    beta: Annotated[float, Field(ge=0.01, le=10_000)] | None = None
    similarity: SimilarityName = SimilarityName.EUCLIDEAN
    separation: SeparationName = SeparationName.SOFTMAX
    fine: bool = True


class Start(Plane):
    """A cue on the plane."""

    start: Point


class Sweep(Body):
    """What to measure for the capacity tab."""

    source: str
    memories: Annotated[list[str], Field(min_length=1, max_length=16)]
    along: Literal["load", "damage"] = "load"
    damage: Literal["flips", "noise", "hidden", "blank"] = "flips"
    strength: Annotated[float, Field(ge=0, le=2)] = 0.2
    most: Annotated[int, Field(ge=2)] = 1000
    cues: Annotated[int, Field(ge=1, le=200)] = 50
    seed: Seed = 0
    edge: Literal[16, 28, 32, 64] = 32
    colour: bool = False


def as_bytes(images: Tensor) -> str:
    """Entries in [0, 1], others cut off, as one byte each."""
    return packed((images.detach().clamp(0, 1) * 255).round().to(torch.uint8))


def packed(numbers: Tensor) -> str:
    """The bytes of a tensor, little-endian, as base64."""
    return base64.b64encode(numbers.detach().contiguous().numpy().tobytes()).decode()


def unpacked(name: str, text: str, dtype: torch.dtype, width: int) -> Tensor:
    """A row `(1, width)`.

    Raises:
        ValueError: no base64, another width, NaN or infinity.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{name} must be base64: {error}") from error
    if len(content) != width * dtype.itemsize:
        raise ValueError(f"{name} must hold {width} numbers of {dtype}, got {len(content)} bytes")
    row = torch.frombuffer(bytearray(content), dtype=dtype)[None]
    if not bool(row.isfinite().all()):
        raise ValueError(f"{name} must be finite")
    return row
