"""Ways to learn the feature map of a kernel from the stored memories.

`UHopPlus` (Hu et al. 2024) lowers the temperature of the separation loss while it descends, which finds the map whose code is the
best: centre the memories, divide by their mean length, Adam with a linearly falling rate, best of some restarts. `UHop` (Wu et al.
2024) descends at one temperature. `NoiseAware` teaches the map to recognise damaged memories: separation is not robustness, and a
map that only separates what is stored may tell damaged copies apart worse than the raw patterns do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.memory.kernel.losses import recognition_loss, separation_loss
from attractor.validation import check_count, check_positive

Features = Callable[[Tensor], Tensor]
"""From patterns `(n, d)` to unit features `(n, D)`."""
Damaging = Callable[[Tensor, torch.Generator], Tensor]
"""From patterns `(n, d)` to damaged copies of them."""


def half_hidden(patterns: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the entries of each row, drawn anew, become 0."""
    order = torch.rand(patterns.shape, generator=generator).argsort(-1).to(patterns.device)
    return patterns.masked_fill(order < patterns.shape[-1] // 2, 0)


@dataclass(frozen=True, kw_only=True)
class KernelLearning(ABC):
    """A way to learn a kernel by gradient descent.

    Args:
        steps: of the descent.
        learning_rate: of the first step.
        restarts: how many fresh maps to try, the one of the lowest last loss is kept. 0: go on from the map as it is, after
            memories were added, say.
        batch: how many memories to draw for each step. Default: all of them.
        whiten: learn on whitened memories, `(X X^T)^(-1/2) X`, whose code is free where there are no more memories than entries;
            the whitening becomes a part of the map. The best code, but one that magnifies noise. Linear and affine maps only.
        wanted: the separation that the code should reach; a `CapacityWarning` says where it does not. Default: none.

    Raises:
        ValueError: a number is out of range.
    """

    steps: int = 600
    learning_rate: float = 0.05
    restarts: int = 3
    batch: int | None = None
    whiten: bool = False
    wanted: float | None = None

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("learning_rate", self.learning_rate)
        check_count("restarts", self.restarts, 0)
        if self.batch is not None:
            check_count("batch", self.batch, 2)
        if self.whiten and self.restarts == 0:
            raise ValueError("restarts must be at least 1 to whiten: a map as it stands has its own coordinates")
        if self.wanted is not None:
            check_positive("wanted", self.wanted)

    def optimiser(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        """What makes the steps."""
        return torch.optim.Adam(parameters, lr=self.learning_rate)

    def rate(self, step: int) -> float:
        """The learning rate at `step`, counted from 0."""
        return self.learning_rate * (1 - step / self.steps)

    @abstractmethod
    def loss(self, features: Features, patterns: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """What is to fall, one number, for `patterns (n, d)`."""


@dataclass(frozen=True, kw_only=True)
class UHopPlus(KernelLearning):
    """The separation loss under a temperature that falls geometrically from `tau[0]` to `tau[1]`.

    A rate of 0.05 suits some dozen entries, 0.003 to 0.01 pictures of some hundred.

    Example:
        >>> UHopPlus(steps=100, restarts=1).tau
        (0.5, 0.01)
    """

    tau: tuple[float, float] = (0.5, 0.01)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.tau, tuple | list) or len(self.tau) != 2:
            raise ValueError(f"tau must be two temperatures, the first and the last, got {self.tau!r}")
        for end in self.tau:
            check_positive("tau", end)

    def temperature(self, step: int) -> float:
        """The temperature at `step`; at the last one it is `tau[1]`."""
        first, last = self.tau
        return first * (last / first) ** (step / max(self.steps - 1, 1))

    def loss(self, features: Features, patterns: Tensor, step: int, generator: torch.Generator) -> Tensor:
        return separation_loss(features(patterns), self.temperature(step))


@dataclass(frozen=True, kw_only=True)
class UHop(KernelLearning):
    """`log mean exp(-t |z_mu - z_nu|^2)` over the pairs of unit features, by plain gradient descent at a constant rate.

    Up to constants that is the separation loss at the fixed temperature `1 / (2 t)`.

    Args:
        t: sharpness, > 0.

    Example:
        >>> UHop(t=2.0).steps
        100
    """

    steps: int = 100
    learning_rate: float = 1.0
    restarts: int = 1
    t: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("t", self.t)

    def optimiser(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.learning_rate)

    def rate(self, step: int) -> float:
        return self.learning_rate

    def loss(self, features: Features, patterns: Tensor, step: int, generator: torch.Generator) -> Tensor:
        count = len(patterns)
        pairs = patterns.new_tensor(count * (count - 1))
        return 2 * self.t * (separation_loss(features(patterns), 1 / (2 * self.t)) - 1) - pairs.log()


@dataclass(frozen=True, kw_only=True)
class NoiseAware(KernelLearning):
    """Cross-entropy of damaged memories against all memories: each damaged copy should be nearest to its own original.

    Args:
        damage: `damage(patterns, generator)`, a damaged copy of `patterns (n, d)`. Default: half of the entries of each become 0.
        tau: temperature of the soft-max over cosines, > 0.

    Example:
        >>> NoiseAware().damage(torch.ones(1, 4), torch.Generator().manual_seed(0)).sum().item()
        2.0
    """

    steps: int = 60
    learning_rate: float = 0.01
    restarts: int = 1
    damage: Damaging = half_hidden
    tau: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("tau", self.tau)
        if self.whiten:
            raise ValueError("whiten must be False: whitened memories have no entries to damage")

    def loss(self, features: Features, patterns: Tensor, step: int, generator: torch.Generator) -> Tensor:
        damaged = self.damage(patterns, generator)
        return recognition_loss(features(damaged), features(patterns), self.tau)


METHODS: dict[str, type[KernelLearning]] = {"uhop+": UHopPlus, "uhop": UHop, "noise-aware": NoiseAware}


def method_from(method: KernelLearning | str) -> KernelLearning:
    """A method by its name, with its defaults, or as it is given.

    Raises:
        ValueError: the name is not known.
        TypeError: it is neither a name nor a method.
    """
    if isinstance(method, KernelLearning):
        return method
    if not isinstance(method, str):
        raise TypeError(f"method must be a KernelLearning or one of {sorted(METHODS)}, got {type(method).__name__}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}, got {method!r}")
    return METHODS[method]()
