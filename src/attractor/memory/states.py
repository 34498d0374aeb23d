"""States: where the state of a dense memory lives, and how a read moves it.

* `Continuous`: the state goes to its read-out, one step of the concave-convex procedure.
* `Spherical`: only the direction of the state counts; it goes to the direction of its read-out.
* `Binary`: entries are -1 or 1, flipped one after the other where that lowers the energy (Krotov and Hopfield 2016).

Entries that a mask trusts stay as they are. With some entries fixed at `x_K`, the best direction is reached at
`x_U = |x_K|^2 / (w_K . x_K) w_U` for the read-out `w`, which maximises `w.x / |x|` and so keeps the descent law.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

Update = Literal["asynchronous", "synchronous", "energy-difference"]


class State(ABC):
    """Where the state lives."""

    name: ClassVar[str]

    def view(self, states: Tensor) -> Tensor:
        """The state as the similarity sees it."""
        return states

    def fill(self, cues: Tensor, known: Tensor, read_out: Tensor) -> Tensor:
        """The cue with its unknown entries filled from the first read-out."""
        return self.move(torch.where(known, cues, 0), read_out, known)

    @abstractmethod
    def move(self, states: Tensor, read_out: Tensor, known: Tensor | None) -> Tensor:
        """The next state."""

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items() if key != "name")
        return f"{type(self).__name__}({inside})"


class Continuous(State):
    """Any real vector."""

    name = "continuous"

    def move(self, states: Tensor, read_out: Tensor, known: Tensor | None) -> Tensor:
        return read_out.to(states.dtype) if known is None else torch.where(known, states, read_out.to(states.dtype))


class Direction(State):
    """Any vector, of which only the direction counts: the state of a cosine similarity."""

    name = "direction"

    def move(self, states: Tensor, read_out: Tensor, known: Tensor | None) -> Tensor:
        # without a read-out there is nowhere to go
        direction = unit(torch.where((read_out != 0).any(-1, keepdim=True), read_out, states))
        if known is None:
            return direction.to(states.dtype)
        fixed = torch.where(known, states, 0)
        along = (fixed * direction).sum(-1, keepdim=True)
        scale = torch.where(along > 0, fixed.square().sum(-1, keepdim=True) / torch.where(along > 0, along, 1), 0)
        # a read-out that points away from what is known has no best length: the state then stays
        filled = torch.where(scale > 0, scale * direction, states)
        return torch.where(known, states, filled.to(states.dtype))


class Spherical(Direction):
    """A unit vector: the cue is normalised, and recalled patterns come back in the caller's units."""

    name = "spherical"

    def view(self, states: Tensor) -> Tensor:
        return unit(states)


def unit(vectors: Tensor) -> Tensor:
    """Vectors `(b, d)` at length one, however short: high powers of small scores make tiny read-outs."""
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    return normalize(vectors / torch.where(largest > 0, largest, 1), dim=-1)


class Binary(State):
    """Entries -1 and 1.

    Args:
        update: `"asynchronous"` flips one unit after the other, in random order, where that lowers the energy, which so never
            rises. `"synchronous"` sets all units to the sign of the read-out, a descent step for convex separations.
            `"energy-difference"` flips all units at once that would each lower the energy alone: no descent law.

    Raises:
        ValueError: `update` is none of these.
    """

    name = "binary"

    def __init__(self, update: Update = "asynchronous"):
        if update not in ("asynchronous", "synchronous", "energy-difference"):
            raise ValueError(f"update must be 'asynchronous', 'synchronous' or 'energy-difference', got {update!r}")
        self.update: Update = update

    def fill(self, cues: Tensor, known: Tensor, read_out: Tensor) -> Tensor:
        return self.move(torch.where(known, cues, 1), read_out, known)

    def move(self, states: Tensor, read_out: Tensor, known: Tensor | None) -> Tensor:
        signs = torch.where(read_out == 0, states, read_out.sign().to(states.dtype))
        return signs if known is None else torch.where(known, states, signs)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "update": self.update}


STATES: dict[str, type[State]] = {kind.name: kind for kind in (Continuous, Spherical, Binary)}


def state_from(settings: str | dict[str, Any]) -> State:
    """Rebuild a state from its name or its `settings()`.

    Raises:
        ValueError: the name is not known, or settings came that it does not take.
    """
    settings = {"name": settings} if isinstance(settings, str) else settings
    name = settings.get("name")
    if not isinstance(name, str) or name not in STATES:
        raise ValueError(f"state must be one of {sorted(STATES)}, got {name!r}")
    try:
        return STATES[name](**{key: value for key, value in settings.items() if key != "name"})
    except TypeError as error:
        raise ValueError(f"state {name!r} does not take these settings: {sorted(set(settings) - {'name'})}") from error
