"""Dead neurons after training on real images: a relu network that classifies digits."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from attractor.data import DataUnavailableError, load
from attractor.dynamics import Euler, relax
from attractor.energy import Connection, EnergyNetwork, Neurons
from attractor.energy.flatness import dead_units, energy_gradient, is_spurious
from attractor.energy.lagrangians import ReLU, Softmax, Tanh
from attractor.energy.network import State
from attractor.energy.synapses import Bias, Dense
from attractor.energy.vectors import forces
from attractor.papers.claim import Row, unmeasured
from attractor.papers.p05_dead_neurons.claims import DEAD, TRAINED
from attractor.papers.p05_dead_neurons.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson

DATA = "digits of scikit-learn"
HIDDEN = 100
BATCH, RATE = 64, 0.01
STEP, DESCENT, STATIONARY = 0.2, 1000, 1e-4


def measure_trained(size: Size, seed: int, tell: Tell) -> Measured:
    """Train with the image clamped; count dead neurons at rest, and where descent of the energy ends."""
    try:
        digits = load("digits")
    except (DataUnavailableError, ImportError) as error:
        return Measured(unmeasured((DEAD, TRAINED), DATA, f"needs scikit-learn: {error}"))
    start = time.perf_counter()
    assert digits.labels is not None
    images, labels = digits.patterns.flatten(1), digits.labels
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    training, test = order[len(order) // 4 :], order[: len(order) // 4][: size.starts]
    network = trained(images[training], labels[training], size, seed, tell)
    network, images = network.double().requires_grad_(False), images[test].double()
    found = relax(network, network.initial(image=images), Euler(0.2), clamp={"image"}, max_steps=2000)
    dead = dead_units(network, found.state)["hidden"][found.converged]
    right = network.activations(found.state)["label"].argmax(-1) == labels[test]
    note = (
        f"{int(dead.all(0).sum())} of {HIDDEN} dead for every image; {len(dead)} of {len(test)} at rest; "
        f"{float(right.double().mean()):.1%} classified right"
    )
    share, interval = mean_interval(dead.double().mean(-1).tolist())
    rows = [Row(DEAD, share, interval, len(dead), time.perf_counter() - start, DATA, note=note)]
    generator = torch.Generator().manual_seed(seed)
    hidden = 2 * torch.randn(len(test), HIDDEN, generator=generator, dtype=torch.float64)
    ended = descend(network, network.initial(image=images, hidden=hidden), DESCENT)
    spurious = int(is_spurious(network, ended, tol=STATIONARY, clamp={"image"}).sum())
    resting = int(is_spurious(network, found.state, tol=STATIONARY, clamp={"image"}).sum())
    pull, dead = forces(network, ended)["hidden"], dead_units(network, ended)["hidden"]
    wrong = float((dead & (ended["hidden"] + pull > STATIONARY)).double().sum(-1).mean())
    note = (
        f"{wrong:.1f} of {HIDDEN} neurons dead against their drive there, in the mean; the motion itself: {resting} of {len(test)}"
    )
    seconds = time.perf_counter() - start
    rows.append(Row(TRAINED, spurious / len(test), wilson(spurious, len(test)), len(test), seconds, DATA, note=note))
    return Measured(rows)


def trained(images: Tensor, labels: Tensor, size: Size, seed: int, tell: Tell) -> EnergyNetwork:
    """Image - relu - label, unrolled over 8 steps of 0.5."""
    generator = torch.Generator().manual_seed(seed)
    network = EnergyNetwork(
        {"image": Neurons(Tanh(), images.shape[1]), "hidden": Neurons(ReLU(), HIDDEN), "label": Neurons(Softmax(), 10)},
        [
            Connection(Dense(images.shape[1], HIDDEN, generator=generator), ("image", "hidden")),
            Connection(Bias(HIDDEN), ("hidden",)),
            Connection(Dense(HIDDEN, 10, generator=generator), ("hidden", "label")),
        ],
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    for epoch in range(size.epochs):
        tell(0.5 * epoch / size.epochs)
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            begin = network.initial(image=images[rows])
            found = relax(network, begin, Euler(0.5), clamp={"image"}, tol=0, max_steps=8, differentiable=True)
            loss = nll_loss(network.activations(found.state)["label"].log(), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network


def descend(network: EnergyNetwork, state: State, steps: int) -> State:
    """Down the gradient of the energy in the hidden states, the image fixed and the label at its drive."""
    for _ in range(steps):
        label = network.drives(network.activations(state), only=("label",))["label"]
        slope = energy_gradient(network, {**state, "label": label})["hidden"]
        state = {**state, "label": label, "hidden": state["hidden"] - STEP * slope}
    return state
