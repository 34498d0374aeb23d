"""Training: by unrolling, by implicit differentiation, by equilibrium propagation."""

import pytest
import torch

from attractor.dynamics import Euler, equilibrium, equilibrium_propagation, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.errors import NotConvergedWarning


def clamped_network():
    """12 - 20 - 5 with a learnable beta, an image to clamp and targets."""
    generator = torch.Generator().manual_seed(0)
    beta = torch.nn.Parameter(torch.tensor(2.0))
    network = EnergyNetwork(
        {
            "image": Neurons(lagrangians.Identity(), 12),
            "hidden": Neurons(lagrangians.Softmax(beta=beta), 20),
            "label": Neurons(lagrangians.Tanh(), 5),
        },
        [
            Connection(synapses.Dense(12, 20, generator=generator), ("image", "hidden")),
            Connection(synapses.Dense(20, 5, generator=generator), ("hidden", "label")),
            Connection(synapses.Bias(5), ("label",)),
        ],
    ).double()
    image = torch.randn(6, 12, generator=generator, dtype=torch.float64)
    target = torch.randn(6, 5, generator=generator, dtype=torch.float64).tanh()
    return network, network.initial(image=image), target


def squared(label, target):
    return (label - target).square().mean(-1) / 2


def gradients(network, loss):
    network.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in network.parameters()]


def unrolled(network, state, target, steps=300):
    found = relax(network, state, "block", clamp={"image"}, tol=0, max_steps=steps, differentiable=True)
    return gradients(network, squared(network.activations(found.state)["label"], target).sum())


def test_implicit_gradients_equal_those_of_300_unrolled_steps():
    network, state, target = clamped_network()
    wanted = unrolled(network, state, target)
    found = equilibrium(network, state, clamp={"image"}, tol=1e-14, max_steps=500)
    implicit = gradients(network, squared(network.activations(found)["label"], target).sum())
    assert all(float(one.abs().max()) > 1e-5 for one in wanted)
    for ours, theirs in zip(implicit, wanted, strict=True):
        assert float((ours - theirs).norm()) <= 1e-8 * float(theirs.norm())


def test_implicit_gradients_reach_what_is_clamped():
    network, state, target = clamped_network()
    steps = {}
    for name, run in {
        "unrolled": lambda given: relax(network, given, clamp={"image"}, tol=0, max_steps=200, differentiable=True).state,
        "implicit": lambda given: equilibrium(network, given, clamp={"image"}, tol=1e-14, max_steps=500),
    }.items():
        image = state["image"].clone().requires_grad_()
        found = run({**state, "image": image})
        squared(network.activations(found)["label"], target).sum().backward()
        steps[name] = image.grad
    torch.testing.assert_close(steps["implicit"], steps["unrolled"], rtol=1e-8, atol=1e-12)


def test_implicit_gradients_of_partly_clamped_layers():
    network, state, target = clamped_network()
    mask = torch.arange(12) < 8
    found = relax(network, state, clamp={"image": mask}, tol=0, max_steps=200, differentiable=True)
    wanted = gradients(network, squared(network.activations(found.state)["label"], target).sum())
    rest = equilibrium(network, state, clamp={"image": mask}, tol=1e-14, max_steps=2000)
    implicit = gradients(network, squared(network.activations(rest)["label"], target).sum())
    for ours, theirs in zip(implicit, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-10)


def test_implicit_gradients_away_from_rest_are_warned_about():
    network, state, _ = clamped_network()
    with pytest.warns(NotConvergedWarning, match="6 of 6"):
        equilibrium(network, state, clamp={"image"}, tol=1e-14, max_steps=1)


def propagate(network, state, target, nudge):
    return equilibrium_propagation(
        network, state, squared, ["label"], target, clamp={"image"}, nudge=nudge, solver=Euler(0.5), tol=1e-13, max_steps=3000
    )


def propagated(network, state, target, nudge):
    network.zero_grad()
    propagate(network, state, target, nudge)
    return [parameter.grad.clone() for parameter in network.parameters()]


def test_equilibrium_propagation_points_the_same_way():
    network, state, target = clamped_network()
    wanted = torch.cat([one.flatten() for one in unrolled(network, state, target)])
    errors = []
    for nudge in (0.1, 0.05, 0.025):
        found = torch.cat([one.flatten() for one in propagated(network, state, target, nudge)])
        assert float(torch.cosine_similarity(found, wanted, dim=0)) >= 0.99999
        errors.append(float((found - wanted).norm() / wanted.norm()))
    # the error falls as the square of the nudge
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_equilibrium_propagation_adds_to_the_gradients_and_moves_nothing():
    network, state, target = clamped_network()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    once = propagated(network, state, target, 0.05)
    free = propagate(network, state, target, 0.05)
    for parameter, one in zip(network.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * one)
    assert all(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters())
    torch.testing.assert_close(free.state["label"], relax(network, state, clamp={"image"}, tol=1e-12).state["label"])


def test_unrolled_gradients_pass_gradcheck():
    neurons = {"image": Neurons(lagrangians.Identity(), 3), "hidden": Neurons(lagrangians.Softmax(beta=2.0), 2)}
    joined = [Connection(synapses.Dense(3, 2, generator=torch.Generator().manual_seed(0)), ("image", "hidden"))]
    network = EnergyNetwork(neurons, joined).double()

    def ends_at(weight, image):
        state = network.initial(image=image)
        found = torch.func.functional_call(Descent(network), {"network.synapses.0.weight": weight}, (state,))
        return found.energy, found.state["image"]

    image = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ends_at, (network.synapses[0].weight.detach().clone().requires_grad_(), image))


class Descent(torch.nn.Module):
    """Three sweeps."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, state):
        return relax(self.network, state, tol=0, max_steps=3, differentiable=True)


def test_second_derivatives_at_the_fixed_point_are_refused():
    network, state, target = clamped_network()
    image = state["image"].clone().requires_grad_()
    found = equilibrium(network, {**state, "image": image}, clamp={"image"}, tol=1e-12)
    (slope,) = torch.autograd.grad(squared(network.activations(found)["label"], target).sum(), image, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.square().sum().backward()


def test_unrested_phases_of_equilibrium_propagation_are_warned_about():
    network, state, target = clamped_network()
    with pytest.warns(NotConvergedWarning, match="6 of 6"):
        equilibrium_propagation(network, state, squared, ["label"], target, clamp={"image"}, max_steps=1)


@pytest.mark.filterwarnings("ignore::attractor.errors.AttractorWarning")
def test_a_diverging_nudge_changes_no_gradient():
    neurons = {name: Neurons(lagrangians.Identity(), 2) for name in "xh"}
    network = EnergyNetwork(neurons, [Connection(synapses.Dense.from_matrix(0.5 * torch.eye(2)), ("x", "h"))])
    with pytest.raises(ValueError, match="nudge"):
        equilibrium_propagation(
            network, network.initial(x=torch.ones(1, 2)), strong, ["h"], torch.ones(1, 2), clamp={"x"}, nudge=0.6
        )
    assert all(parameter.grad is None for parameter in network.parameters())


def strong(output, target):
    return (output - target).square().sum(-1)


def test_equilibrium_propagation_refuses_what_it_cannot_learn_from():
    network, state, target = clamped_network()
    with pytest.raises(ValueError, match=r"target.*\(6,\)"):
        equilibrium_propagation(network, state, squared, ["label"], target[:, 0], clamp={"image"})
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="parameters that require gradients"):
        equilibrium_propagation(network, state, squared, ["label"], target, clamp={"image"})


def test_a_loss_that_fails_in_the_second_nudge_changes_no_gradient():
    network, state, target = clamped_network()
    weights = []

    def failing(label, target):
        weights.append(label)
        if len(weights) > 3:
            raise RuntimeError("no loss today")
        return squared(label, target)

    with pytest.raises(RuntimeError, match="no loss today"):
        equilibrium_propagation(network, state, failing, ["label"], target, clamp={"image"}, max_steps=1)
    assert all(parameter.grad is None for parameter in network.parameters())
