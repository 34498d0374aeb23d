"""Penalties that hold each parameter where it was, the harder the more it mattered: L2, EWC, MAS, SI.

All are `strength / 2 sum_i Omega_i (theta_i - anchor_i)^2`, up to a constant; they differ in the importances `Omega`:

* L2: one everywhere.
* EWC: the mean squared gradient of each item's loss (Kirkpatrick et al. 2017): the empirical Fisher information where the loss is a
  negative log-likelihood, a stand-in for it where it is a squared error.
* MAS: the mean absolute gradient of `|z(x)|^2`, the squared length of the model's outputs (Aljundi et al. 2018).
* SI: what each parameter's way has contributed to the fall of the loss, `max(0, w_i / (Delta_i^2 + 0.1))` with
  `w_i = -sum_steps g_i dtheta_i` (Zenke et al. 2017).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from attractor.estimators.sequential.strategy import Gradients, Strategy, Training, check_stays_finite, evaluating, gradients_of
from attractor.validation import check_fraction, check_not_negative

DAMPING = 0.1
"""`xi` of SI: bounds the importance of a parameter that has hardly moved."""

TINY = 1e-30


class QuadraticPenalty(Strategy):
    """Pulls each parameter back to its anchor, in proportion to its importance.

    Args:
        strength: `lambda`, at least 0. 0 changes nothing, not by a bit.
        normalise: divide the importances of each task by their largest, so that one strength serves many models and losses.

    Attributes:
        importance: `Omega`, by the name of the parameter; empty before the first task is learned.
        anchor: where the penalty is zero.

    Raises:
        ValueError: `strength` is negative or not finite.
    """

    def __init__(self, strength: float, *, normalise: bool = True):
        self.strength = check_not_negative("strength", strength)
        self.normalise = normalise
        self.importance: Gradients = {}
        self.anchor: Gradients = {}

    @abstractmethod
    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        """How much each parameter matters for the task just learned."""

    def accumulate(self, measured: Gradients, learned: Gradients) -> None:
        """Take in the importances of a task, and the parameters `learned` with it. Here: they add up, and the anchor moves on."""
        if self.importance:
            measured = {name: self.importance[name] + value for name, value in measured.items()}
        self.importance, self.anchor = measured, learned

    def check(self, items: Tensor, labels: Tensor, training: Training) -> None:
        now, held = ({name: tuple(value.shape) for name, value in one.items()} for one in (training.parameters, self.importance))
        if held and held != now:
            raise ValueError(f"importance must be that of the parameters of the model, {now}, got {held}")

    def penalty(self, gradients: Gradients, training: Training) -> Gradients:
        parameters = training.parameters
        return {
            name: self.strength * importance * (parameters[name].detach() - self.anchor[name])
            for name, importance in self.importance.items()
        }

    def after_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        measured = self.measure(items, labels, training)
        check_stays_finite("importance", measured)
        if self.normalise:
            largest = max(float(value.max()) for value in measured.values())
            measured = {name: value / largest for name, value in measured.items()} if largest > 0 else measured
        self.accumulate(measured, copied(training))

    def state_dict(self) -> dict[str, Tensor]:
        named = (("importance", self.importance), ("anchor", self.anchor))
        return {f"{kind}.{name}": value for kind, values in named for name, value in values.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        parts = {kind: {name.removeprefix(kind): value.clone() for name, value in state.items() if name.startswith(kind)}
                 for kind in ("importance.", "anchor.")}  # fmt: skip
        importance, anchor = parts["importance."], parts["anchor."]
        shapes = [{name: value.shape for name, value in part.items()} for part in (importance, anchor)]
        if shapes[0] != shapes[1] or len(importance) + len(anchor) != len(state):
            raise ValueError(f"state must hold the importance and the anchor of each parameter, got {sorted(state)}")
        self.importance, self.anchor = importance, anchor

    def __repr__(self) -> str:
        return f"{type(self).__name__}(strength={self.strength:g})"


class L2(QuadraticPenalty):
    """Pulls all parameters alike to where the last task left them.

    Args:
        strength: `lambda`, at least 0.

    Raises:
        ValueError: `strength` is negative or not finite.

    Example:
        >>> L2(0.01)
        L2(strength=0.01)
    """

    def __init__(self, strength: float):
        super().__init__(strength, normalise=False)

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        return {name: torch.ones_like(value) for name, value in training.parameters.items()}

    def accumulate(self, measured: Gradients, learned: Gradients) -> None:
        self.importance, self.anchor = measured, learned


class EWC(QuadraticPenalty):
    """Elastic weight consolidation (Kirkpatrick et al. 2017).

    Args:
        strength: `lambda`, at least 0.
        decay: None: a penalty for each task, with its own anchor. A number in (0, 1]: one penalty, whose importances are multiplied
            by it before those of a task are added, and whose anchor is the last task's (online EWC, Schwarz et al. 2018).
        normalise: divide the importances of each task by their largest, so that one strength serves many models and losses.

    Raises:
        ValueError: `strength` is negative or not finite, or `decay` not in (0, 1].

    Example:
        >>> EWC(0.5, decay=0.9)
        EWC(strength=0.5, decay=0.9)
    """

    def __init__(self, strength: float, *, decay: float | None = None, normalise: bool = True):
        super().__init__(strength, normalise=normalise)
        self.decay = None if decay is None else check_fraction("decay", decay)

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        def loss(item: Tensor, label: Tensor) -> Tensor:
            return training.loss(training.model(item), label)

        return mean_over_items(loss, torch.square, items, labels, training)

    def accumulate(self, measured: Gradients, learned: Gradients) -> None:
        if self.decay is not None:
            self.importance = {name: self.decay * value for name, value in self.importance.items()}
        elif self.importance:
            # penalties of several anchors pull like one at their mean, weighted by importance
            shares = {name: old / (old + measured[name]).clamp_min(TINY) for name, old in self.importance.items()}
            learned = {name: value.lerp(self.anchor[name], shares[name]) for name, value in learned.items()}
        super().accumulate(measured, learned)

    def __repr__(self) -> str:
        return f"EWC(strength={self.strength:g}, decay={self.decay})"


class MAS(QuadraticPenalty):
    """Memory-aware synapses (Aljundi et al. 2018): needs no labels to measure what matters.

    Args:
        strength: `lambda`, at least 0.
        normalise: divide the importances of each task by their largest, so that one strength serves many models and losses.

    Raises:
        ValueError: `strength` is negative or not finite.

    Example:
        >>> MAS(0.1)
        MAS(strength=0.1)
    """

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        def squared_length(item: Tensor, label: Tensor) -> Tensor:
            return training.model(item).square().sum()

        return mean_over_items(squared_length, torch.abs, items, labels, training)


class SI(QuadraticPenalty):
    """Synaptic intelligence (Zenke et al. 2017): what matters is measured along the way, at no cost.

    The gradients along the way are those of the loss alone, without penalties.

    Args:
        strength: `c`, at least 0.
        normalise: divide the importances of each task by their largest, so that one strength serves many models and losses.

    Raises:
        ValueError: `strength` is negative or not finite.

    Example:
        >>> SI(0.5)
        SI(strength=0.5)
    """

    def before_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        self.start = copied(training)
        self.work = {name: torch.zeros_like(value) for name, value in self.start.items()}

    def penalty(self, gradients: Gradients, training: Training) -> Gradients:
        self.gradients, self.before = gradients, copied(training)
        return super().penalty(gradients, training)

    def after_step(self, training: Training) -> None:
        for name, value in training.parameters.items():
            self.work[name] -= self.gradients[name] * (value.detach() - self.before[name])

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        parameters = training.parameters
        moved = {name: parameters[name].detach() - start for name, start in self.start.items()}
        return {name: (work / (moved[name].square() + DAMPING)).clamp_min(0) for name, work in self.work.items()}


def mean_over_items(
    value: Callable[[Tensor, Tensor], Tensor],
    size: Callable[[Tensor], Tensor],
    items: Tensor,
    labels: Tensor,
    training: Training,
) -> Gradients:
    """The mean over items of the `size` of the gradient of `value(item (1, ...), label (1, ...))`.

    One item after the other, as any module allows: vectorised gradients would refuse modules that look at their input.
    """
    parameters = training.parameters
    sums = {name: torch.zeros_like(one) for name, one in parameters.items()}
    with evaluating(training.model):
        for item, label in zip(items.split(1), labels.split(1), strict=True):
            for name, gradient in gradients_of(value(item, label), parameters).items():
                sums[name] += size(gradient)
    return {name: one / len(items) for name, one in sums.items()}


def copied(training: Training) -> Gradients:
    """The parameters as they are now."""
    return {name: value.detach().clone() for name, value in training.parameters.items()}
