"""Motions that follow their velocity: each sample by itself, until it rests or leaves the range of numbers."""

import warnings

import pytest
import torch
from energy.dense import network_of

from attractor.energy import AlteredSystem, Feedback, lagrangians
from attractor.energy.settle import settle, tolerance
from attractor.errors import EnergyUnboundedWarning

RATES = torch.tensor([[1.0], [0.01]]).double()


def decay(rates):
    return lambda u: -u * rates[: len(u)]


def test_default_tolerance_is_that_of_the_precision():
    assert tolerance(None, torch.float64) == 1e-6 and tolerance(None, torch.float32) == tolerance(None, torch.bfloat16) == 1e-4
    for dtype, rests in ((torch.float64, 1e-6), (torch.float32, 1e-4)):
        found = settle(lambda u: -u, torch.ones(1, 1, dtype=dtype), dt=0.5, tol=None, max_steps=100)
        assert bool(found.converged) and rests / 2 < float(found.residual) <= rests


@pytest.mark.parametrize("tol", [float("nan"), -1.0, float("inf")])
def test_useless_tolerance_is_refused(tol):
    with pytest.raises(ValueError, match="tol must be a finite number"):
        settle(decay(RATES), torch.ones(1, 1).double(), dt=0.5, tol=tol, max_steps=10)


def test_samples_do_not_depend_on_each_other():
    weights = torch.tensor([[1.4]]).double()
    system = Feedback(weights, lagrangians.Tanh(beta=0.52))
    with torch.no_grad():
        alone = system.relax(torch.tensor([[0.001]]).double(), tol=1e-6)
        both = system.relax(torch.tensor([[0.001], [50.0]]).double(), tol=1e-6)
    assert both.u[0].item() == pytest.approx(alone.u.item(), rel=1e-12)
    assert both.steps[0] == alone.steps[0] and both.steps[0] != both.steps[1]


def test_what_rests_takes_no_step():
    found = settle(lambda u: u * 0, torch.ones(3, 2).double(), dt=0.5, tol=None, max_steps=10)
    assert found.steps.tolist() == [0, 0, 0] and bool(found.converged.all())


def test_divergence_is_named_and_leaves_the_others_alone():
    def velocity(u):
        return torch.where(u > 1, u.square(), 0.5 - u)

    with pytest.warns(EnergyUnboundedWarning, match="1 of 2 samples diverged"):
        found = settle(velocity, torch.tensor([[2.0], [0.0]]).double(), dt=0.5, tol=None, max_steps=200)
    assert found.diverged.tolist() == [True, False] and found.converged.tolist() == [False, True]
    assert bool(found.u.isfinite().all()) and bool(found.residual.isfinite().all())
    assert found.u[1].item() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.filterwarnings("ignore:the energy may have no lower bound")
def test_systems_without_a_bound_tell_of_their_divergence():
    system = Feedback(3 * torch.eye(2), lagrangians.ReLU())
    with pytest.warns(EnergyUnboundedWarning, match="diverged"):
        found = system.relax(torch.ones(1, 2))
    assert bool(found.diverged) and bool(found.u.isfinite().all())
    network = network_of(lagrangians.ReLU(), torch.tensor([[3.0]]), torch.zeros(1))
    with pytest.warns(EnergyUnboundedWarning, match="diverged"):
        found = AlteredSystem(network).settle({"x": torch.ones(1, 1)}, max_steps=2000)
    assert bool(found.diverged) and not bool(found.converged)


def test_gradients_pass_through_all_steps_of_each_sample():
    start = torch.ones(2, 1).double().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = settle(decay(RATES), start, dt=0.5, tol=0.1, max_steps=1000)
    found.u.sum().backward()
    expected = (1 - 0.5 * RATES[:, 0]) ** found.steps
    torch.testing.assert_close(start.grad[:, 0], expected)
