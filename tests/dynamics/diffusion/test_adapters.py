"""Memories as score models, score models as energies."""

import warnings

import pytest
import torch

from attractor.dynamics.diffusion import (
    EmpiricalDenoiser,
    as_energy,
    as_score,
    conservativity,
    descend,
    divergence,
)
from attractor.errors import NotConvergedWarning
from attractor.memory.dense import DenseMemory
from attractor.memory.hopfield import HopfieldMemory
from attractor.read import SoftMax


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def memory():
    memory = DenseMemory(6, separation=SoftMax(4.0))
    memory.store(normal(5, 6))
    return memory


def test_a_stored_memory_denoises_by_its_own_recall(memory):
    model, x = as_score(memory.energy, (6,)), normal(5, 6) + 0.5 * normal(5, 6, seed=1)
    step = memory.recall(x, max_steps=1).patterns
    assert (step - x).abs().max() > 0.5
    torch.testing.assert_close(model.denoise(x, 0.5), step)
    torch.testing.assert_close(model.score(x, 0.5), (step - x) / 0.25)
    exact = EmpiricalDenoiser(normal(5, 6))
    torch.testing.assert_close(model.score(x, 0.5), exact.score(x, 0.5))


def test_a_stored_memory_descends_to_where_it_recalls(memory):
    model, x = as_score(memory.energy, (6,)), normal(5, 6) + 0.5 * normal(5, 6, seed=1)
    found = descend(model, x, 0.5)
    assert found.converged.all() and found.steps > 1 and (found.energies[-1] < found.energies[0] - 0.1).all()
    torch.testing.assert_close(found.x, memory.recall(x, tol=1e-12).patterns, rtol=0, atol=1e-6)
    torch.testing.assert_close(as_energy(model, x, found.x, 0.5), memory.energy(x) - memory.energy(found.x), rtol=1e-6, atol=1e-8)


def test_a_stored_memory_is_conservative_and_has_a_divergence(memory):
    model, x = as_score(memory.energy, (6,)), normal(3, 6)
    assert conservativity(model, x, 0.5) < 1e-10
    torch.testing.assert_close(divergence(model, x, 0.5), EmpiricalDenoiser(normal(5, 6)).divergence(x, 0.5))


def test_energies_of_memories_have_a_slope_and_no_graph_unless_asked(memory):
    x = normal(3, 6)
    assert not memory.energy(x).requires_grad
    slope = torch.autograd.grad(memory.energy(x.requires_grad_()).sum(), x)[0]
    torch.testing.assert_close(slope, x.detach() - memory.recall(x.detach(), max_steps=1).patterns)
    network = HopfieldMemory(8)
    network.store(normal(2, 8).sign())
    states = normal(3, 8, seed=1).sign()
    assert not network.energy(states).requires_grad
    slope = torch.autograd.grad(network.energy(states.requires_grad_()).sum(), states)[0]
    flipped = states.detach().clone()
    flipped[:, 0] *= -1
    # the energy has no square of a single unit: a flip is a straight line
    torch.testing.assert_close(network.energy(flipped) - network.energy(states).detach(), -2 * states.detach()[:, 0] * slope[:, 0])


@pytest.mark.parametrize(
    ("energy", "error"),
    [
        (lambda x: x.detach().square().sum(-1), "differentiable"),
        (torch.no_grad()(lambda x: x.square().sum(-1)), "differentiable"),
        (lambda x: x.square().sum(), "shape"),
        (lambda x: x.square().sum(-1, keepdim=True), "shape"),
    ],
)
def test_an_energy_without_a_slope_or_of_another_shape_is_refused(energy, error):
    model = as_score(energy, (3,))
    for ask in (model.denoise, model.score):
        with pytest.raises(ValueError, match=error):
            ask(normal(2, 3), 0.5)
    with pytest.raises(ValueError, match=error):
        descend(model, normal(2, 3), 0.5)


def test_a_point_of_rest_is_no_missing_slope():
    assert as_score(lambda x: x.square().sum(-1), (3,)).score(torch.zeros(2, 3), 0.5).tolist() == [[0.0] * 3] * 2


def test_log_density_of_an_energy_is_refused_with_the_way_to_it():
    with pytest.raises(ValueError, match="ode_log_prob"):
        as_score(lambda x: x.square().sum(-1), (3,)).log_prob(normal(1, 3), 1.0)


@pytest.mark.parametrize("sigma", [0.8, 0.3, 0.1, 0.03, 0.002])
def test_line_integral_meets_its_tolerance_where_the_energy_has_folds(sigma):
    model = EmpiricalDenoiser(normal(20, 6))
    x, reference = normal(4, 6, seed=1), normal(4, 6, seed=2)
    expected = model.energy(x, sigma) - model.energy(reference, sigma)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(as_energy(model, x, reference, sigma), expected, rtol=1e-6, atol=1e-6)
        single = EmpiricalDenoiser(model.patterns.float())
        found = as_energy(single, x.float(), reference.float(), sigma)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


def test_each_sample_has_its_own_noise_along_the_line():
    model = EmpiricalDenoiser(normal(20, 6))
    x, reference, sigma = normal(3, 6, seed=1), normal(6, seed=2), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    found = as_energy(model, x, reference, sigma)
    alone = [as_energy(model, one, reference, level.item()) for one, level in zip(x, sigma, strict=True)]
    torch.testing.assert_close(found, torch.stack(alone))


def test_a_line_integral_that_does_not_converge_says_so():
    class Rough:
        event = (1,)

        def score(self, x, sigma):
            return (1e9 * x).sin()

    with pytest.warns(NotConvergedWarning, match="line integral"):
        as_energy(Rough(), normal(1, 1), torch.zeros(1, dtype=torch.float64), 1.0)
