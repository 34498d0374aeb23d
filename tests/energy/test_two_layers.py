"""Every pair of Lagrangians as a network of two layers: the energy falls at the rate of the theory, and never rises on the way."""

import warnings

import pytest
import torch

from attractor.dynamics import Euler, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.errors import EnergyUnboundedWarning

TABLE = {
    "identity": lagrangians.Identity(),
    "relu": lagrangians.ReLU(),
    "leaky relu": lagrangians.LeakyReLU(),
    "repu": lagrangians.RePU(3),
    "power": lagrangians.Power(4),
    "exp": lagrangians.Exp(beta=0.5),
    "rexp": lagrangians.RectifiedExp(beta=0.5),
    "tanh": lagrangians.Tanh(beta=2.0),
    "sigmoid": lagrangians.Sigmoid(beta=2.0),
    "softmax": lagrangians.Softmax(beta=2.0),
    "ghostmax": lagrangians.Ghostmax(beta=2.0),
    "spherical": lagrangians.Spherical(eps=0.1),
    "layer norm": lagrangians.LayerNorm(eps=0.1),
}
BOUNDED = [name for name, lagrangian in TABLE.items() if lagrangian.bounded]
SEEDS = 50


def network_of(visible, hidden, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    neurons = {"visible": Neurons(TABLE[visible], 7), "hidden": Neurons(TABLE[hidden], 5, tau=0.2)}
    weight = scale * torch.randn(5, 7, generator=generator, dtype=torch.float64) / 7**0.5
    joined = [
        Connection(synapses.Dense.from_matrix(weight), ("visible", "hidden")),
        Connection(synapses.Bias(torch.randn(7, generator=generator, dtype=torch.float64)), ("visible",)),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EnergyUnboundedWarning)
        return EnergyNetwork(neurons, joined)


def states(count, seed=0):
    generator = torch.Generator().manual_seed(100 + seed)
    return {
        name: torch.randn(count, width, generator=generator, dtype=torch.float64) for name, width in (("visible", 7), ("hidden", 5))
    }


@pytest.mark.parametrize("hidden", TABLE)
@pytest.mark.parametrize("visible", TABLE)
def test_energy_falls_at_the_rate_of_the_theory(visible, hidden):
    network, state = network_of(visible, hidden), states(SEEDS)
    velocity = network.velocity(state)
    rate = sum(
        -layer.tau * (velocity[name] * layer.lagrangian.hvp(state[name], velocity[name])).sum(-1)
        for name, layer in network.layers.items()
    )
    step = 1e-5
    ahead, behind = ({name: x + sign * step * velocity[name] for name, x in state.items()} for sign in (1, -1))
    slope = (network.energy(ahead) - network.energy(behind)) / (2 * step)
    # a rectified Lagrangian bends within the step where an entry is nearly zero
    smooth = torch.stack([(x.abs() > 2 * step * velocity[name].abs()).all(-1) for name, x in state.items()]).all(0)
    assert int(smooth.sum()) >= SEEDS - 5
    torch.testing.assert_close(slope[smooth], rate[smooth], rtol=1e-6, atol=1e-7)
    assert (rate <= 1e-12).all()


@pytest.mark.parametrize("hidden", BOUNDED)
@pytest.mark.parametrize("visible", ["identity", "relu", *BOUNDED])
def test_energy_never_rises_with_any_solver(visible, hidden):
    network, state = network_of(visible, hidden), states(20)
    for solver in ("block", Euler(0.1), "heun", "rk4", "adaptive", Euler(1.0, backtrack=True)):
        found = relax(network, state, solver, max_steps=5, trace=True)
        assert float(found.trace.energy.diff(dim=0).max()) <= 1e-9


@pytest.mark.parametrize("hidden", TABLE)
def test_hidden_layer_at_its_drive_gives_the_reduced_energy(hidden):
    network = network_of("tanh", hidden)
    x = states(SEEDS)["visible"]
    g = TABLE["tanh"].activation(x)
    weight, bias = network.synapses[0].weight, network.synapses[1].bias
    reduced = ((x - bias) * g).sum(-1) - TABLE["tanh"].value(x) - TABLE[hidden].value(g @ weight.T)
    torch.testing.assert_close(network.energy({"visible": x, "hidden": g @ weight.T}), reduced, rtol=1e-12, atol=1e-12)
