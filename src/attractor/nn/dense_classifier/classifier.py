"""The dense associative memory with learned memories, read as a classifier."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from attractor.errors import AttractorWarning
from attractor.nn.dense_classifier.checks import check_labels, check_states
from attractor.nn.dense_classifier.interaction import INTERACTIONS, LEAK, InteractionName
from attractor.nn.dense_classifier.learning import signs_of
from attractor.validation import check_count, check_positive

Normalize = Literal["inside", "outside"]
Initialise = Literal["krotov", "normal", "data"]
STARTS: dict[str, tuple[float, float]] = {"krotov": (-0.3, 0.3), "normal": (0.0, 0.1), "data": (0.0, 0.1)}
"""Mean and deviation of the entries at the start; to those of `data`, half an item is added."""

PULLS_AT_A_TIME = 2**22


class DenseClassifier(nn.Module):
    """A dense associative memory over `N = inputs + classes` neurons whose memories are learned (Krotov and Hopfield 2016).

    Energy `E(s) = -sum_mu F(xi_mu . s / (N T))`. A class is read with the inputs clamped and the class neurons at -1:
    `z_c = sum_mu F(on) - F(off)`, where neuron c alone is turned on. The class with the largest `z` wins.

    Args:
        inputs: number of input neurons.
        classes: number of class neurons.
        memories: how many memories to start with; 0 for those that `store` brings alone.
        n: interaction vertex. Low ones learn features, high ones prototypes.
        interaction: `F`: `"rectified"` `max(x, 0)^n`, `"polynomial"` `x^n`, or `"leaky"`, `x^n` above zero and `0.01 x` below.
        temperature: `T`. For pixels about 0.2 (n = 2), 0.33 (5), 0.5 (10), 0.55 (20).
        normalize: `"inside"` as above; `"outside"` is the original spelling `E = -T^(-n) sum_mu F(xi_mu . s)`, where `T` is about
            `N` times larger. They agree for all but the leaky interaction. Neither computes a power that overflows on the way.
        initialise: the memories at the start: `"krotov"` normal with mean -0.3 and deviation 0.3, for pictures on a ground of -1;
            `"normal"` with mean 0 and deviation 0.1; `"data"` half of a random item with its class, plus noise of deviation 0.1, by
            which high vertices learn large pictures.
        data: `(items (m, inputs), labels (m,))`, for `initialise="data"`.
        seed: of the memories at the start.

    Attributes:
        memories: the parameter `(K, inputs + classes)`, within [-1, 1].

    Raises:
        TypeError, ValueError: a setting out of its range, an unknown name, or `data` that does not fit.

    Example:
        >>> model = DenseClassifier(4, 2, memories=0, n=3)
        >>> items = torch.tensor([[1.0, 1, -1, -1], [-1, -1, 1, 1]])
        >>> model.store(items, torch.tensor([0, 1]))
        >>> model.predict(torch.tensor([[1.0, 1, -1, 1]])).tolist()
        [0]
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        memories: int = 64,
        n: int = 5,
        interaction: InteractionName = "rectified",
        temperature: float = 0.3,
        normalize: Normalize = "inside",
        initialise: Initialise = "krotov",
        data: tuple[Tensor, Tensor] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.inputs, self.classes = check_count("inputs", inputs), check_count("classes", classes, 2)
        self.n = check_count("n", n, 2)
        if interaction not in INTERACTIONS:
            raise ValueError(f"interaction must be one of {sorted(INTERACTIONS)}, got {interaction!r}")
        if normalize not in ("inside", "outside"):
            raise ValueError(f"normalize must be 'inside' or 'outside', got {normalize!r}")
        self.interaction: InteractionName = interaction
        self.temperature = check_positive("temperature", temperature)
        self.normalize: Normalize = normalize
        self.memories = nn.Parameter(self._initial(check_count("memories", memories, 0), initialise, data, seed))

    def _initial(self, count: int, initialise: str, data: tuple[Tensor, Tensor] | None, seed: int) -> Tensor:
        if initialise not in STARTS:
            raise ValueError(f"initialise must be one of {sorted(STARTS)}, got {initialise!r}")
        if (data is None) == (initialise == "data"):
            raise ValueError(f"data must be given for initialise='data' and for no other, got initialise={initialise!r}")
        generator = torch.Generator().manual_seed(seed)
        mean, deviation = STARTS[initialise]
        start = mean + deviation * torch.randn(count, self.neurons, generator=generator)
        if data is not None:
            states = self._labelled(*data)
            rows = torch.randint(len(states), (count,), generator=generator)
            start = start.to(states) + states[rows.to(states.device)] / 2
        return start.clamp(-1, 1)

    @property
    def neurons(self) -> int:
        return self.inputs + self.classes

    def extra_repr(self) -> str:
        return (
            f"inputs={self.inputs}, classes={self.classes}, memories={len(self.memories)}, n={self.n}, "
            f"interaction={self.interaction!r}, temperature={self.temperature:g}, normalize={self.normalize!r}"
        )

    def forward(self, items: Tensor) -> Tensor:
        """Scores `z (b, classes)` of `items (b, inputs)`, before the `tanh` of the output.

        Raises:
            TypeError, ValueError: wrong shape or dtype, or entries outside of [-1, 1].
        """
        return torch.cat([on.sum(-1) - off.sum(-1, keepdim=True) for on, off in self._class_pulls(items)])

    @torch.no_grad()
    def predict(self, items: Tensor) -> Tensor:
        """The class `(b,)` of each of `items (b, inputs)`. Warns where no memory answers, so that the class is arbitrary."""
        best, answered = [], 0
        for on, off in self._class_pulls(items):
            answered += int(((on != 0).any(-1).any(-1) | (off != 0).any(-1)).sum())
            best.append((on.sum(-1) - off.sum(-1, keepdim=True)).argmax(-1))
        silent = (len(items) - answered) / max(len(items), 1)
        if silent > 0:
            warnings.warn(
                f"no memory answers to {silent:.1%} of the items, their class is arbitrary: lower the temperature "
                f"{self.temperature:g}, or initialise='data'",
                AttractorWarning,
                stacklevel=2,
            )
        return torch.cat(best)

    @torch.no_grad()
    def dead_share(self, items: Tensor) -> float:
        """The share of the memories that answer to none of `items (b, inputs)`: `F(on) = 0` for each class.

        Nothing moves such a memory, as its gradient is zero as well.
        """
        alive = torch.zeros(len(self.memories), dtype=torch.bool, device=self.memories.device)
        for on, _ in self._class_pulls(items):
            alive |= (on != 0).any(0).any(0)
        return float((~alive).double().mean())

    @torch.no_grad()
    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, inputs + classes)` with entries from -1 to 1."""
        check_states("states", states, self.neurons)
        scale, leak = self._scale()
        return -self._pull(states @ self.memories.T / scale, leak).sum(-1)

    @torch.no_grad()
    def update(
        self,
        states: Tensor,
        neurons: Tensor | None = None,
        *,
        synchronous: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Set neurons to the sign that lowers the energy, inputs and classes alike; where both signs are equal they stay.

        One after the other the energy of binary states never rises. At once there is no such law.

        Args:
            states: `(b, inputs + classes)`, entries from -1 to 1.
            neurons: which ones, in this order. Default: every one once, in random order.
            synchronous: decide on all of them at the states given.
            generator: of the order.

        Returns:
            the new states.
        """
        check_states("states", states, self.neurons)
        if neurons is None:
            neurons = torch.randperm(self.neurons, generator=generator)
        scale, leak = self._scale()
        states = states.clone()
        memories = self.memories / scale
        overlaps = states @ memories.T
        before = states.clone()
        for neuron in neurons.tolist():
            column = memories[:, neuron]
            looked_at = before if synchronous else states
            rest = overlaps - looked_at[:, neuron, None] * column
            on, off = self._pull(rest + column, leak), self._pull(rest - column, leak)
            field = on.sum(-1) - off.sum(-1)
            # a difference within rounding is none
            tie = field.abs() <= 4 * torch.finfo(field.dtype).eps * (on.abs() + off.abs()).sum(-1)
            states[:, neuron] = torch.where(tie, states[:, neuron], field.sign())
            if not synchronous:
                overlaps = rest + states[:, neuron, None] * column
        return states

    @torch.no_grad()
    def store(self, items: Tensor, labels: Tensor) -> None:
        """Add one memory for each of `items (b, inputs)` with its class, without any learning.

        `memories` is a new parameter afterwards: build the optimizer later.
        """
        states = self._labelled(items, labels).to(self.memories)
        self.memories = nn.Parameter(torch.cat([self.memories, states]))

    def _labelled(self, items: Tensor, labels: Tensor) -> Tensor:
        """Items with their class neurons set, `(b, inputs + classes)`."""
        check_states("items", items, self.inputs)
        check_labels("labels", labels, len(items), self.classes)
        if len(items) == 0:
            raise ValueError("items must not be empty")
        return torch.cat([items, signs_of(labels, self.classes, items.dtype)], 1)

    def _class_pulls(self, items: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """`F(on) (b, classes, K)` with one class neuron on, and `F(off) (b, K)` with none, of some items after the other."""
        check_states("items", items, self.inputs)
        scale, leak = self._scale()
        pixels, classes = self.memories.split([self.inputs, self.classes], dim=1)
        for part in items.split(max(1, PULLS_AT_A_TIME // max(1, classes.numel()))):
            off = (part @ pixels.T - classes.sum(1)) / scale
            on = off[:, None] + classes.T * (2 / scale)
            yield self._pull(on, leak), self._pull(off, leak)

    def _pull(self, overlaps: Tensor, leak: float) -> Tensor:
        return INTERACTIONS[self.interaction](overlaps, self.n, leak)

    def _scale(self) -> tuple[float, float]:
        """What overlaps are divided by, and the slope below zero of the leaky interaction.

        Outside, `T^(-n) F(x)` is `F(x / T)` above zero, and `leak x T^(-n)` below.
        """
        inside = self.normalize == "inside"
        scale = self.neurons * self.temperature if inside else self.temperature
        leak = LEAK if inside else LEAK * self.temperature ** (1 - self.n)
        # |xi . s| is at most N, and a gradient n / T times its power at most
        bound = self.neurons / scale
        largest = self.n * math.log(bound) + math.log(max(len(self.memories), 1) * self.n * max(bound, 1))
        if largest > math.log(torch.finfo(self.memories.dtype).max):
            raise ValueError(
                f"temperature {self.temperature:g} is too low for n = {self.n} in {self.memories.dtype}: powers overflow; "
                "raise it, or use .double()"
            )
        return scale, leak
