"""Three ways to the gradients of a network at rest: unrolled, implicit, by equilibrium propagation.

Image (12), clamped - hidden soft-max (20) with a learned inverse temperature - label tanh (5) with a bias; float64. The loss is the
squared distance of the label's activations from random targets.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attractor.dynamics import Euler, equilibrium, equilibrium_propagation, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, State
from attractor.energy.lagrangians import Identity, Softmax, Tanh
from attractor.energy.synapses import Bias, Dense
from attractor.papers.claim import Row
from attractor.papers.p18_hierarchical_associative_memory.claims import COSINE, IMPLICIT, NUDGES, ORDER
from attractor.papers.p18_hierarchical_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import log_log_slope, mean_interval

DATA = "random weights, images and targets"
BATCH = 6
STEPS = 300
CLAMPED = {"image"}


@dataclass(frozen=True)
class Agreement:
    """Of the implicit gradients, the largest relative difference of a parameter; of the others, by nudge, cosine and error."""

    implicit: float
    cosines: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def order(self) -> float:
        """The exponent by which the error follows the nudge."""
        return log_log_slope(NUDGES, self.errors)[0]


def measure_gradients(size: Size, seed: int, tell: Tell) -> Measured:
    """How far the gradients agree, on random networks."""
    start = time.perf_counter()
    seeds = range(seed * size.networks, (seed + 1) * size.networks)
    seen = []
    for done, one in enumerate(seeds):
        tell(done / len(seeds))
        seen.append(agreement(one))
    seconds, n = time.perf_counter() - start, len(seeds)
    shown = []
    for place, nudge in enumerate(NUDGES):
        cosine, error = min(one.cosines[place] for one in seen), max(one.errors[place] for one in seen)
        shown.append(f"{nudge:g}: cosine 1 - {1 - cosine:.0e}, error {error:.1e}")
    order, interval = mean_interval([one.order for one in seen])
    return Measured(
        [
            Row(IMPLICIT, max(one.implicit for one in seen), None, n, seconds, DATA),
            Row(
                COSINE, max(1 - one.cosines[1] for one in seen), None, n, seconds, DATA, note=f"worst by nudge, {'; '.join(shown)}"
            ),
            Row(ORDER, order, interval, n, seconds, DATA, note=f"nudges {', '.join(f'{nudge:g}' for nudge in NUDGES)}"),
        ]
    )


def agreement(seed: int) -> Agreement:
    network, state, target = clamped_network(seed)
    wanted = unrolled(network, state, target)
    implicit = at_rest(network, state, target)
    differences = [relative(ours, theirs) for ours, theirs in zip(implicit, wanted, strict=True)]
    whole = flat(wanted)
    nudged = [flat(propagated(network, state, target, nudge)) for nudge in NUDGES]
    cosines = tuple(float(torch.cosine_similarity(one, whole, dim=0)) for one in nudged)
    return Agreement(max(differences), cosines, tuple(relative(one, whole) for one in nudged))


def clamped_network(seed: int) -> tuple[EnergyNetwork, State, Tensor]:
    """The network, a batch of images, and targets."""
    generator = torch.Generator().manual_seed(seed)
    neurons = {
        "image": Neurons(Identity(), 12),
        "hidden": Neurons(Softmax(beta=nn.Parameter(torch.tensor(2.0))), 20),
        "label": Neurons(Tanh(), 5),
    }
    lower, upper = Dense(12, 20, generator=generator), Dense(20, 5, generator=generator)
    joined = [Connection(lower, ("image", "hidden")), Connection(upper, ("hidden", "label")), Connection(Bias(5), ("label",))]
    network = EnergyNetwork(neurons, joined).double()
    image = torch.randn(BATCH, 12, generator=generator, dtype=torch.float64)
    target = torch.randn(BATCH, 5, generator=generator, dtype=torch.float64).tanh()
    return network, network.initial(image=image), target


def squared(label: Tensor, target: Tensor) -> Tensor:
    return (label - target).square().sum(-1)


def unrolled(network: EnergyNetwork, state: State, target: Tensor) -> list[Tensor]:
    """Gradients through all steps."""
    found = relax(network, state, clamp=CLAMPED, tol=0, max_steps=STEPS, differentiable=True)
    return gradients(network, squared(network.activations(found.state)["label"], target).sum())


def at_rest(network: EnergyNetwork, state: State, target: Tensor) -> list[Tensor]:
    """Gradients by the implicit function theorem."""
    found = equilibrium(network, state, clamp=CLAMPED, tol=1e-14, max_steps=500)
    return gradients(network, squared(network.activations(found)["label"], target).sum())


def gradients(network: EnergyNetwork, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


def propagated(network: EnergyNetwork, state: State, target: Tensor, nudge: float) -> list[Tensor]:
    """Gradients from two nudged relaxations."""
    network.zero_grad()
    equilibrium_propagation(
        network, state, squared, ["label"], target, clamp=CLAMPED, nudge=nudge, solver=Euler(0.5), tol=1e-13, max_steps=3000
    )
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([one.flatten() for one in parts])
