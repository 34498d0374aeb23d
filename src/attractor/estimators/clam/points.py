"""What training works on: scaled samples, and the prototypes of many restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from attractor.nn.clam.dynamics import Landscape


@dataclass(frozen=True)
class Points:
    """Scaled samples `(n, d)`, zero where a value is missing, and where one is `known (n, d)`; None: all of them are."""

    values: Tensor
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def trained_on(self, device: str | torch.device) -> Points:
        """In float32 on the device."""
        return Points(self.values.float().to(device), None if self.known is None else self.known.to(device))

    def take(self, rows: Tensor) -> Points:
        rows = rows.to(self.values.device)
        return Points(self.values[rows], None if self.known is None else self.known[rows])

    def parts(self, rows: int) -> Iterator[Points]:
        """So many rows after the other."""
        return (self.take(part) for part in torch.arange(len(self)).split(rows))

    def count(self, features: Tensor | None) -> int:
        """Values that are known, of all features or of some."""
        if self.known is None:
            return len(self) * (self.values.shape[1] if features is None else len(features))
        return int((self.known if features is None else self.known[:, features]).sum())


Moments = tuple[dict[str, Tensor], ...]
"""What Adam keeps of each learned tensor."""


@dataclass(frozen=True)
class Restarts:
    """Prototypes `(restarts, k, d)` and logarithms of the weights of clusters `(restarts, k)` or None; `beta (restarts, 1, 1)`.

    `moments` are those of the steps of Adam so far; without any they begin anew.
    """

    prototypes: Tensor
    weight_logits: Tensor | None
    beta: Tensor
    spherical: bool
    moments: Moments = ()

    @property
    def learned(self) -> list[Tensor]:
        return [one for one in (self.prototypes, self.weight_logits) if one is not None]

    def with_learned(self, learned: list[Tensor], moments: Moments = ()) -> Restarts:
        return replace(self, prototypes=learned[0], weight_logits=learned[1] if len(learned) > 1 else None, moments=moments)

    @property
    def landscape(self) -> Landscape:
        weights = None if self.weight_logits is None else self.weight_logits.log_softmax(-1)
        prototypes = normalize(self.prototypes, dim=-1) if self.spherical else self.prototypes
        return Landscape(prototypes, self.beta, weights, self.spherical)

    def one(self, number: int) -> Restarts:
        """One of them, still with a leading dimension."""
        at = slice(number, number + 1)
        return replace(self.each(lambda tensor: tensor[at]), beta=self.beta[at])

    def only(self, clusters: Tensor) -> Restarts:
        """Without other prototypes than these."""
        return self.each(lambda tensor: tensor[:, clusters.to(tensor.device)])

    def to(self, device: str | torch.device) -> Restarts:
        moments = tuple({name: value.to(device) for name, value in state.items()} for state in self.moments)
        return replace(self.with_learned([one.to(device) for one in self.learned], moments), beta=self.beta.to(device))

    def each(self, change: Callable[[Tensor], Tensor]) -> Restarts:
        """With all that is learned, and what Adam keeps of it, changed alike."""
        # it counts its steps in a tensor without dimensions
        moments = tuple({name: change(value) if value.dim() else value for name, value in state.items()} for state in self.moments)
        return self.with_learned([change(one) for one in self.learned], moments)
