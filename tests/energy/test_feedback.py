import pytest
import torch

from attractor.energy import lagrangians
from attractor.energy.feedback import Feedback
from attractor.errors import EnergyUnboundedWarning


def cosines(hidden):
    """A Lagrangian that is not convex."""
    return 3 * hidden.cos().sum(-1)


KINDS = {"cosines": lambda: cosines, "softmax": lambda: lagrangians.Softmax(beta=3.0), "relu": lagrangians.ReLU}


def system_of(kind, *, scale=0.3, seed=0):
    """Eight hidden and twelve visible neurons, with feedback far from the transpose of the feedforward weights."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    factor = torch.eye(12) + 0.3 * normal(12, 12)
    return Feedback(scale * normal(8, 12) / 12**0.5, KINDS[kind](), R=factor @ factor.T + 0.2 * torch.eye(12), c=normal(8) / 2)


def starts(count, seed=0):
    return 2 * torch.randn(count, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_energy_is_the_velocity_times_minus_the_metric(kind):
    system = system_of(kind)
    u = starts(6).requires_grad_()
    (slope,) = torch.autograd.grad(system.energy(u).sum(), u)
    torch.testing.assert_close(slope, -system.velocity(u.detach()) @ system.metric, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_energy_falls_and_the_motion_rests_from_every_start(kind):
    system = system_of(kind)
    apart = torch.linalg.matrix_norm(system.feedback - system.A.T) / torch.linalg.matrix_norm(system.A)
    assert float(apart) > 0.3
    u, worst = starts(100), float("-inf")
    values = system.energy(u)
    for _ in range(600):
        u = u + 0.1 * system.velocity(u)
        before, values = values, system.energy(u)
        worst = max(worst, float((values - before).max()))
    assert worst < 1e-9 and float(system.velocity(u).abs().max()) < 1e-8
    assert bool(system.relax(starts(100), dt=0.2, tol=1e-10, max_steps=3000).converged.all())


@torch.no_grad()
def test_whole_steps_never_raise_the_energy_of_a_convex_lagrangian():
    system, u = system_of("softmax", scale=4.0), starts(50)
    for _ in range(50):
        before, u = system.energy(u), u + system.velocity(u)
        assert bool((system.energy(u) <= before + 1e-9).all())


@torch.no_grad()
def test_gain_decides_whether_the_energy_has_a_bound():
    with pytest.warns(EnergyUnboundedWarning, match="gain"):
        unbounded = system_of("relu", scale=6.0)
    assert unbounded.gain() > 1 > system_of("relu").gain()
    found = unbounded.relax(starts(5).abs(), tol=1e-9, max_steps=60)
    assert float(unbounded.energy(found.u).min()) < -1e6 and not bool(found.converged.all())


@torch.no_grad()
def test_positive_weights_give_the_altered_form_of_a_dense_network():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64) / 3
    W = root @ root.T + 0.1 * torch.eye(5)
    b = torch.randn(5, generator=generator, dtype=torch.float64)
    system, u = Feedback(W, lagrangians.Tanh(beta=2.0), R=W, c=b), torch.randn(7, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(system.feedback, torch.eye(5).double())
    torch.testing.assert_close(system.velocity(u), torch.tanh(2 * (u @ W + b)) - u)


def test_dead_neurons_leave_a_strictly_convex_parabola():
    system = system_of("relu")
    system.c.data.fill_(-100.0)
    u = starts(1)[0]
    hessian = torch.autograd.functional.hessian(lambda u: system.energy(u[None])[0], u)
    torch.testing.assert_close(hessian, system.metric.detach())
    assert float(torch.linalg.eigvalsh(hessian)[0]) > 0


def test_learning_keeps_the_guarantee():
    system = system_of("softmax", scale=2.0)
    optimiser = torch.optim.SGD(system.parameters(), lr=0.5)
    cues, targets = starts(6, seed=1), starts(6, seed=2)
    before = None
    for _ in range(15):
        loss = (system.relax(cues, max_steps=20).u - targets).square().mean()
        before = loss.item() if before is None else before
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in system.parameters())
        optimiser.step()
    assert loss.item() < before
    slope = torch.autograd.functional.jacobian(lambda u: system.energy(u), cues)[range(6), range(6)]
    torch.testing.assert_close(slope, -(system.velocity(cues) @ system.metric).detach(), rtol=0, atol=1e-10)
    assert float(torch.linalg.eigvalsh(system.metric.detach())[0]) > 0


A = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"R": torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])}, "R must be symmetric"),
        ({"R": -torch.eye(3)}, "R must be positive definite"),
        ({"R": torch.ones(3, 3)}, "R must be positive definite"),
        ({"R": torch.eye(2)}, "R"),
        ({"R": torch.full((3, 3), torch.nan)}, "R must be finite"),
        ({"c": torch.zeros(3)}, r"c must have shape \(2,\)"),
        ({"c": torch.tensor([0.0, torch.inf])}, "c must be finite"),
        ({"A": torch.full((2, 3), torch.nan)}, "A must be finite"),
    ],
)
def test_bad_matrices_are_refused_by_name(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Feedback(**{"A": A, "lagrangian": lagrangians.Tanh(), **arguments})


@pytest.mark.parametrize("u", [torch.ones(1, 4), torch.full((1, 3), torch.nan), torch.ones(3)])
def test_bad_states_are_refused_by_name(u):
    system = Feedback(A, lagrangians.Tanh())
    for function in (system.energy, system.velocity, system.relax):
        with pytest.raises(ValueError, match=r"^u "):
            function(u)


@pytest.mark.parametrize(
    ("lagrangian", "error", "words"),
    [
        (lambda h: 3 * h.cos().sum(), ValueError, r"lagrangian must give one number.*\(4,\).*\(\)"),
        (lambda h: 3 * h.cos(), ValueError, r"lagrangian must give one number.*\(4,\).*\(4, 2\)"),
        (lambda h: 3.0, ValueError, "lagrangian must give one number.*float"),
        ("tanh", TypeError, "lagrangian must be a Lagrangian or a function, got str"),
    ],
)
def test_lagrangians_that_are_no_function_of_each_sample_are_refused(lagrangian, error, words):
    for call in ("energy", "velocity", "relax"):
        with pytest.raises(error, match=words):
            getattr(Feedback(A, lagrangian), call)(torch.ones(4, 3))


def test_states_of_another_precision_are_refused_by_name():
    for call in ("energy", "velocity", "relax"):
        with pytest.raises(ValueError, match=r"u must be torch\.float32 like A, got torch\.float64"):
            getattr(Feedback(A, lagrangians.Tanh()), call)(torch.ones(1, 3).double())


def test_half_precision_has_feedback_too():
    R = torch.diag(torch.tensor([1.0, 2.0, 4.0]))
    low, high = (Feedback(A.to(dtype), lagrangians.ReLU(), R=R.to(dtype)) for dtype in (torch.bfloat16, torch.float32))
    torch.testing.assert_close(low.feedback.float(), high.feedback, rtol=1e-2, atol=1e-2)
    assert low.gain() == pytest.approx(high.gain(), rel=1e-2)
    u = torch.ones(1, 3)
    torch.testing.assert_close(low.velocity(u.bfloat16()).float(), high.velocity(u), rtol=2e-2, atol=2e-2)


def test_function_moves_the_same_under_inference_mode():
    system, u = system_of("cosines"), starts(3)
    expected = system.velocity(u).detach()
    with torch.inference_mode():
        torch.testing.assert_close(system.velocity(starts(3)), expected)
