import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, nnls
from torch import nn

from attractor.estimators.sequential import GEM, AveragedGEM, SequentialLearner, Strategy, Task, permuted, project
from attractor.estimators.sequential.projection import non_negative_least_squares
from attractor.estimators.sequential.strategy import flatten


@st.composite
def problems(draw, most=5):
    dim, count = draw(st.integers(1, 12)), draw(st.integers(1, most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    gradient = torch.randn(dim, generator=generator, dtype=torch.float64)
    constraints = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        constraints[-1] = constraints[0] * draw(st.sampled_from([1.0, 3.0, -1.0, 0.0]))
    return gradient, constraints


def by_general_solver(gradient, constraints):
    """The primal problem, as it is written down, by sequential quadratic programming."""
    target, rows = gradient.numpy(), constraints.numpy()
    found = minimize(
        lambda g: 0.5 * ((g - target) ** 2).sum(),
        target,
        jac=lambda g: g - target,
        constraints=[{"type": "ineq", "fun": lambda g: rows @ g, "jac": lambda g: rows}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return torch.from_numpy(found.x)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_projected_gradient_violates_no_constraint(problem):
    gradient, constraints = problem
    assert float((constraints @ project(gradient, constraints)).min()) >= -1e-6


@settings(max_examples=100, deadline=None)
@given(problems())
def test_projected_gradient_in_single_precision_violates_none_beyond_rounding(problem):
    gradient, constraints = (one.float() for one in problem)
    found = project(gradient, constraints)
    assert found.dtype == torch.float32
    assert float((constraints @ found).min()) >= -1e-6 * float(gradient.norm() * constraints.norm(dim=1).max())


@settings(max_examples=100, deadline=None)
@given(problems())
def test_gradient_that_violates_nothing_stays_as_it_is(problem):
    gradient, constraints = problem
    constraints = constraints * (constraints @ gradient).sign()[:, None]
    assert project(gradient, constraints) is gradient


@settings(max_examples=60, deadline=None)
@given(problems(most=4))
def test_projection_is_that_of_a_general_solver(problem):
    gradient, constraints = problem
    torch.testing.assert_close(project(gradient, constraints), by_general_solver(gradient, constraints), rtol=0, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(problems(), st.floats(0, 2))
def test_weights_are_those_of_the_dual_with_a_margin(problem, margin):
    gradient, constraints = problem
    shift = constraints.T @ torch.full((len(constraints),), margin, dtype=torch.float64)
    weights, _ = nnls(constraints.T.numpy(), -(gradient + shift).numpy())
    expected = gradient + shift + constraints.T @ torch.from_numpy(weights)
    torch.testing.assert_close(project(gradient, constraints, margin=margin), expected, rtol=0, atol=1e-8)


def test_margin_above_zero_also_changes_a_gradient_that_violates_nothing():
    gradient, constraints = torch.tensor([1.0, 1.0]), torch.tensor([[1.0, 0.0]])
    assert project(gradient, constraints, margin=0.5).tolist() == [1.5, 1.0]


@settings(max_examples=100, deadline=None)
@given(problems(most=1))
def test_one_constraint_is_the_closed_form_of_averaged_gem(problem):
    gradient, ((reference,)) = problem[0], problem[1][:1]
    product, length = float(gradient @ reference), float(reference @ reference)
    expected = gradient if product >= 0 or length == 0 else gradient - product / length * reference
    torch.testing.assert_close(project(gradient, reference[None]), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1e6, 1e20])
def test_scale_of_gradients_does_not_matter(scale):
    generator = torch.Generator().manual_seed(0)
    gradient, constraints = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((8,), (3, 8)))
    plain = project(gradient, constraints)
    assert not torch.equal(plain, gradient)
    torch.testing.assert_close(project(gradient * scale, constraints), plain * scale, rtol=1e-9, atol=0)
    torch.testing.assert_close(project(gradient, constraints * scale), plain, rtol=1e-9, atol=1e-12)


def test_constraints_that_are_zero_or_opposed_leave_what_is_left():
    gradient = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    assert project(gradient, torch.zeros(2, 3, dtype=torch.float64)) is gradient
    axis = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(project(gradient, axis), torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 2**31))
def test_least_squares_agree_with_those_of_scipy(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    target = torch.randn(rows, generator=generator, dtype=torch.float64)
    weights = non_negative_least_squares(matrix, target)
    assert float(weights.min()) >= 0
    _, length = nnls(matrix.numpy(), target.numpy())
    assert float((matrix @ weights - target).norm()) == pytest.approx(length, abs=1e-8)


def toy_tasks(count=3):
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(60, 6, generator=generator, dtype=torch.float64)
    labels = (items[:, 0] > 0).long()
    return permuted(Task(items[:40], labels[:40], items[40:], labels[40:]), count)


class Recorder(Strategy):
    """Keeps the gradients that reach it; after a projection, those that it gave."""

    def __init__(self, method=None):
        self.method, self.seen = method, []

    def project(self, gradients, training):
        made = None
        if self.method is not None and self.method.sizes:
            made = torch.stack([flatten(training.gradients(*group)) for group in self.method.groups()])
        self.seen.append((flatten(gradients), made))
        return gradients


def learn(tasks, *strategies, epochs=3):
    torch.manual_seed(0)
    learner = SequentialLearner(
        nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)).double(),
        strategies=strategies,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.3, momentum=0.9),
        loss=nn.functional.cross_entropy,
        epochs=epochs,
        batch_size=10,
    )
    return learner, learner.run(tasks)


@pytest.mark.parametrize("kind", [GEM, AveragedGEM])
def test_gradients_followed_in_a_training_violate_no_constraint(kind):
    method = kind(0.5)
    before, after = Recorder(), Recorder(method)
    learn(toy_tasks(), before, method, after)
    changed = 0
    for (raw, _), (followed, constraints) in zip(before.seen, after.seen, strict=True):
        if constraints is None:
            assert torch.equal(raw, followed)
        else:
            assert len(constraints) in ((1, 2) if kind is GEM else (1,))
            assert float((constraints @ followed).min()) >= -1e-6
            changed += not torch.equal(raw, followed)
    assert changed > 5


def test_averaged_gem_is_gem_while_there_is_one_earlier_task():
    one, other = (learn(toy_tasks(2), kind(0.5))[0].model.state_dict() for kind in (GEM, AveragedGEM))
    for name in one:
        torch.testing.assert_close(one[name], other[name])
    assert not torch.equal(one["0.weight"], learn(toy_tasks(2))[0].model.state_dict()["0.weight"])


def test_gem_has_one_constraint_for_each_task_and_averaged_gem_their_mean():
    learner, _ = learn(toy_tasks(3), GEM(0.5), AveragedGEM(0.5))
    gem, averaged = learner.strategies
    assert [len(items) for items, _ in gem.groups()] == [20, 20, 20]
    ((items, labels),) = averaged.groups()
    assert len(items) == len(labels) == 60


def test_sample_limits_the_items_of_a_gradient():
    learner, _ = learn(toy_tasks(2), GEM(0.5, sample=4))
    method, training = learner.strategies[0], learner._training
    items, labels = method.sampled(*method.groups()[0], training)
    assert len(items) == len(labels) == 4
    again, _ = method.sampled(*method.groups()[0], training)
    assert not torch.equal(items, again)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1, float("nan")])
def test_fraction_outside_of_its_range_is_refused(fraction):
    for kind in (GEM, AveragedGEM):
        with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
            kind(fraction)


def test_bad_margins_and_samples_are_refused():
    for margin in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="margin"):
            GEM(0.1, margin=margin)
    with pytest.raises(TypeError, match="margin"):
        GEM(0.1, margin="1")
    with pytest.raises(TypeError, match="fraction"):
        GEM("0.1")
    with pytest.raises(ValueError, match="sample"):
        GEM(0.1, sample=0)


@pytest.mark.parametrize(
    ("gradient", "constraints", "settings", "word"),
    [
        (torch.tensor([1.0, torch.nan]), torch.ones(1, 2), {}, "gradient"),
        (torch.ones(1, 2), torch.ones(1, 2), {}, "gradient"),
        (torch.ones(2), torch.tensor([[1.0, torch.inf]]), {}, "constraints"),
        (torch.ones(2), torch.ones(1, 3), {}, "constraints"),
        (torch.ones(2), torch.ones(2), {}, "constraints"),
        (torch.ones(2), torch.ones(1, 2), {"margin": -1.0}, "margin"),
        (torch.ones(2), torch.ones(1, 2), {"margin": torch.nan}, "margin"),
    ],
)
def test_bad_arguments_of_the_projection_are_named(gradient, constraints, settings, word):
    with pytest.raises(ValueError, match=word):
        project(gradient, constraints, **settings)
