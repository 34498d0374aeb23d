import math

import pytest
import torch
from energy.lagrangian_cases import ALL, OVERFLOWING, SAFE, SHAPES, hessian, name, states
from torch import nn
from torch.autograd import grad, gradcheck, gradgradcheck

from attractor.energy.lagrangians import (
    Exp,
    Ghostmax,
    Identity,
    LayerNorm,
    LeakyReLU,
    Power,
    RectifiedExp,
    ReLU,
    RePU,
    Sigmoid,
    Softmax,
    Spherical,
    Tanh,
)

every = pytest.mark.parametrize("lagrangian", ALL, ids=name)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=name)
FLAT = [case for case in ALL if repr(case) not in {"RePU(n=20)", "Power(n=20)"}]


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def autograd_agrees(lagrangian, x):
    x = x.requires_grad_()
    z = states(x.shape[1:], batch=len(x), seed=1)
    value, activation = lagrangian.value(x), lagrangian.activation(x)
    assert value.shape == (len(x),)
    assert activation.shape == x.shape
    assert value.isfinite().all() and activation.isfinite().all()
    close(activation, grad(value.sum(), x)[0])
    if activation.requires_grad:
        close(lagrangian.hvp(x, z), grad((activation * z).sum(), x)[0])


@every
def test_activation_and_hessian_are_derivatives(lagrangian):
    for shape in SHAPES:
        for scale in (0.0, 1e-3, 1.0, 5.0):
            autograd_agrees(lagrangian, states(shape, scale))


@pytest.mark.parametrize("lagrangian", SAFE, ids=name)
def test_nothing_overflows_at_a_thousand(lagrangian):
    for shape in SHAPES:
        for x in (1e3, -1e3):
            autograd_agrees(lagrangian, torch.full((2, *shape), x, dtype=torch.float64))
            autograd_agrees(lagrangian, x * states(shape).sign())
            one = torch.zeros(2, *shape, dtype=torch.float64)
            one[..., 0] = x
            autograd_agrees(lagrangian, one)


@pytest.mark.parametrize("lagrangian", OVERFLOWING, ids=name)
def test_far_below_zero_rectified_and_exponential_ones_stay_finite(lagrangian):
    if not isinstance(lagrangian, Power):
        autograd_agrees(lagrangian, torch.full((2, 3), -1e3, dtype=torch.float64))


@every
def test_values_and_activations_of_samples_are_independent(lagrangian):
    x = states((2, 3))
    close(lagrangian.value(x)[1:2], lagrangian.value(x[1:2]))
    close(lagrangian.activation(x)[1:2], lagrangian.activation(x[1:2]))


@pytest.mark.parametrize(
    ("lagrangian", "value", "activation"),
    [
        (Identity(), 2.5, [-1.0, 2.0]),
        (ReLU(), 2.0, [0.0, 2.0]),
        (LeakyReLU(0.5), 2.25, [-0.5, 2.0]),
        (RePU(4), 4.0, [0.0, 8.0]),
        (Power(4), 4.25, [-1.0, 8.0]),
        (Exp(2.0), (math.exp(-2) + math.exp(4)) / 2, [math.exp(-2), math.exp(4)]),
        (RectifiedExp(2.0), (1 + math.exp(4)) / 2 - 2, [0.0, math.exp(4) - 1]),
        (Tanh(2.0), (math.log(math.cosh(2)) + math.log(math.cosh(4))) / 2, [-math.tanh(2), math.tanh(4)]),
        (Sigmoid(2.0), (math.log1p(math.exp(-2)) + math.log1p(math.exp(4))) / 2, [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-4))]),
        (Softmax(2.0), math.log(math.exp(-2) + math.exp(4)) / 2, [1 / (1 + math.exp(6)), 1 / (1 + math.exp(-6))]),
        (
            Ghostmax(),
            math.log(1 + math.exp(-1) + math.exp(2)),
            [x / (1 + math.exp(-1) + math.exp(2)) for x in (math.exp(-1), math.exp(2))],
        ),
        (Spherical(4.0), 3.0, [-1 / 3, 2 / 3]),
        (LayerNorm(2.0, delta=0.5, eps=4.0), 4 * 2.5 + 0.5, [0.5 - 2 * 0.6, 0.5 + 2 * 0.6]),
    ],
    ids=name,
)
def test_table(lagrangian, value, activation):
    x = torch.tensor([[-1.0, 2.0]], dtype=torch.float64)
    close(lagrangian.value(x), torch.tensor([value], dtype=torch.float64))
    close(lagrangian.activation(x), torch.tensor([activation], dtype=torch.float64))


def test_layer_norm_is_the_one_of_torch():
    x = states((2, 3))
    torch_norm = nn.LayerNorm(3, dtype=torch.float64)
    close(LayerNorm(dims=1).activation(x), torch_norm(x))
    close(LayerNorm().activation(x), nn.LayerNorm((2, 3), dtype=torch.float64)(x))


def test_collective_dimensions():
    x = states((2, 4, 3))
    ones = torch.ones(4, dtype=torch.float64)
    close(Softmax(dim=1).activation(x).sum(1), ones[:, None, None].expand(4, 4, 3))
    close(Softmax().activation(x).sum(-1), ones[:, None, None].expand(4, 2, 4))
    close(Spherical(0.0).activation(x).flatten(1).norm(dim=1), ones)
    close(Spherical(0.0, dims=2).activation(x).flatten(2).norm(dim=2), ones[:, None].expand(4, 2))


@pytest.mark.parametrize("lagrangian", [Tanh(2.0), Sigmoid(2.0), Softmax(2.0), Spherical(0.1), LayerNorm(eps=0.1)], ids=name)
def test_value_can_be_differentiated_twice_at_zero(lagrangian):
    x, z = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True), states((3,), batch=1)
    (first,) = grad(lagrangian.value(x).sum(), x, create_graph=True)
    close(grad((first * z).sum(), x)[0], lagrangian.hvp(x, z))
    assert lagrangian.hvp(x, z).abs().max() > 0.01


@every
def test_gradients_pass_twice_through_activations(lagrangian):
    x = states((3,), batch=1).requires_grad_()
    assert gradcheck(lagrangian.activation, x)
    assert gradgradcheck(lagrangian.activation, x)
    assert gradcheck(lagrangian.hvp, (x, states((3,), batch=1, seed=1).requires_grad_()))


@pytest.mark.parametrize("kind", [Exp, RectifiedExp, Tanh, Sigmoid, Softmax, Ghostmax])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_beta_learns(kind, shape):
    beta = nn.Parameter(torch.full(shape, 1.5, dtype=torch.float64))
    lagrangian, fixed = kind(beta), kind(1.5)
    x, z = states((3,)), states((3,), seed=1)
    assert list(lagrangian.parameters()) == [beta]
    assert repr(lagrangian) == repr(fixed)
    assert lagrangian.curvature_bound == fixed.curvature_bound
    close(lagrangian.value(x), fixed.value(x))
    close(lagrangian.hvp(x, z), fixed.hvp(x, z))

    def of_beta(beta):
        again = kind(beta)
        return again.value(x), again.activation(x), again.hvp(x, z)

    assert gradcheck(of_beta, (beta,))


def test_tensors_move_and_are_saved_with_their_lagrangian():
    softmax = Softmax(torch.tensor(2.0))
    assert softmax.double().beta.dtype == torch.float64
    norm = LayerNorm(nn.Parameter(torch.tensor(2.0)), delta=nn.Parameter(torch.zeros(3)))
    assert set(norm.state_dict()) == {"gamma", "delta"}
    norm.value(torch.randn(2, 3)).sum().backward()
    assert norm.gamma.grad is not None and norm.delta.grad is not None


@every
def test_curvature_stays_within_its_bound(lagrangian):
    for scale in (0.0, 0.3, 3.0):
        x, z = states((2, 3), scale, batch=50), states((2, 3), batch=50, seed=1)
        quotient = (z * lagrangian.hvp(x, z)).flatten(1).sum(1) / z.square().flatten(1).sum(1)
        assert quotient.max() <= lagrangian.curvature_bound * (1 + 1e-12)
        assert quotient.min() >= -1e-12


@every
def test_curvature_bound_is_reached_or_there_is_none(lagrangian):
    tries = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [20.0, 20.0, -20.0], [1e-5, 1e-5, 1e-6], [40.0, 30.0, 20.0], [1e7, -1e7, 0.0]]
    largest = max(
        float(torch.linalg.eigvalsh(hessian(lagrangian, torch.tensor([x], dtype=torch.float64))).max())
        for x in tries
        if lagrangian not in OVERFLOWING or max(x) < 100
    )
    if math.isinf(lagrangian.curvature_bound):
        assert largest > 1e4
    else:
        assert 0.999 * lagrangian.curvature_bound <= largest <= lagrangian.curvature_bound * (1 + 1e-12)


@pytest.mark.parametrize("lagrangian", FLAT, ids=name)
@every_shape
def test_flat_directions_are_all_of_the_kernel(lagrangian, shape):
    x = states(shape, batch=3)
    basis = lagrangian.flat_basis(x)
    assert basis.shape[0] == 3 and basis.shape[2:] == shape
    for one, rows in zip(x, basis.flatten(2), strict=True):
        rows = rows[rows.norm(dim=1) > 0]
        H = hessian(lagrangian, one[None])
        close(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64))
        close(H @ rows.T, torch.zeros(one.numel(), len(rows), dtype=torch.float64))
        assert int(torch.linalg.matrix_rank(H, atol=1e-9)) + len(rows) == one.numel()


@pytest.mark.parametrize("lagrangian", FLAT, ids=name)
def test_activations_and_energy_stay_along_flat_directions(lagrangian):
    x = states((2, 3), batch=2)
    g = lagrangian.activation(x)
    energy = (x * g).flatten(1).sum(1) - lagrangian.value(x)
    for row in lagrangian.flat_basis(x).unbind(1):
        for t in (0.1, 1.0, 1e3):
            # dead neurons may only sink, and norms may only grow
            y = x - t * row if lagrangian.elementwise else x + t * row
            close(lagrangian.activation(y), g)
            moved = (y * lagrangian.activation(y)).flatten(1).sum(1) - lagrangian.value(y)
            torch.testing.assert_close(moved, energy, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("lagrangian", "count"),
    [
        (Identity(), 0),
        (LeakyReLU(), 0),
        (Softmax(), 2),
        (Softmax(dim=1), 3),
        (Ghostmax(), 0),
        (Spherical(), 0),
        (Spherical(0.0), 1),
        (Spherical(0.0, dims=1), 2),
        (LayerNorm(), 1),
        (LayerNorm(eps=0.0), 2),
        (LayerNorm(eps=0.0, dims=1), 4),
    ],
    ids=name,
)
def test_number_of_flat_directions(lagrangian, count):
    basis = lagrangian.flat_basis(states((2, 3)))
    assert (basis.flatten(2).norm(dim=2) > 0).sum(1).tolist() == [count] * 4


def test_rectified_neurons_are_dead_at_and_below_zero():
    x = torch.tensor([[-1.0, 0.0, 1.0]])
    for lagrangian in (ReLU(), RePU(3), RectifiedExp()):
        assert lagrangian.dead(x).tolist() == [[True, True, False]]
        assert lagrangian.slope(x)[0, :2].tolist() == [0.0, 0.0]
    assert not LeakyReLU().dead(x).any()
    assert not Power().dead(x).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lagrangian", [Tanh(2.0), Sigmoid(4.0)], ids=name)
def test_saturated_neurons_are_dead(lagrangian, dtype):
    # both have the slope h_max / cosh^2(2x): 1.5e-12 and 0.9e-12 of it at 7.16 and 7.28
    x = torch.tensor([[0.0, 7.15, -7.15, 7.3, -7.3, 1e3, -1e3]], dtype=dtype)
    assert lagrangian.dead(x).tolist() == [[False, False, False, True, True, True, True]]


def test_at_the_origin_norms_without_eps_stay_finite():
    x = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    for lagrangian in (Spherical(0.0), LayerNorm(eps=0.0)):
        assert lagrangian.activation(x).abs().max() == 0
        assert lagrangian.hvp(x, torch.ones_like(x)).abs().max() == 0
        assert grad(lagrangian.value(x).sum(), x)[0].abs().max() == 0
        assert lagrangian.flat_basis(x).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@every
def test_half_precision_sums_in_single_precision(lagrangian, dtype):
    x = states((4, 3), batch=2).clamp(-1.5, 1.5).to(dtype)
    g = lagrangian.activation(x)
    assert g.dtype == dtype
    assert lagrangian.hvp(x, x).dtype == dtype
    tolerance = 20 * torch.finfo(dtype).eps
    torch.testing.assert_close(lagrangian.value(x).double(), lagrangian.value(x.double()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(g.double(), lagrangian.activation(x.double()), rtol=tolerance, atol=tolerance)


def test_soft_max_of_many_stays_exact_under_autocast():
    x = torch.zeros(1, 5000, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Softmax().value(x).item() == pytest.approx(math.log(5000), rel=1e-6)
        assert Softmax().value(x.float()).dtype == torch.float32


def test_flags():
    for lagrangian in ALL:
        assert lagrangian.convex
        assert lagrangian.elementwise == (not isinstance(lagrangian, (Softmax, Spherical, LayerNorm)))
        far = lagrangian.activation(torch.full((1, 3), 1e3, dtype=torch.float64) * torch.tensor([1.0, -1.0, 0.5]))
        assert lagrangian.bounded == bool(far.abs().max() < 10)


@pytest.mark.parametrize(
    ("lagrangian", "shown"),
    [
        (Identity(), "Identity()"),
        (ReLU(), "ReLU()"),
        (LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
        (RePU(3), "RePU(n=3)"),
        (Tanh(2), "Tanh(beta=2.0)"),
        (Softmax(beta=4.0), "Softmax(beta=4.0)"),
        (Softmax(nn.Parameter(torch.tensor(0.3)), dim=1), "Softmax(beta=0.3, dim=1)"),
        (Ghostmax(), "Ghostmax(beta=1.0)"),
        (Spherical(dims=1), "Spherical(eps=1e-05, dims=1)"),
        (LayerNorm(delta=torch.zeros(3)), "LayerNorm(gamma=1.0, delta=tensor(3,), eps=1e-05)"),
    ],
)
def test_repr_shows_parameters(lagrangian, shown):
    assert repr(lagrangian) == shown


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Power(3), "n must be even, got 3.*RePU"),
        (lambda: RePU(1), "n must be at least 2"),
        (lambda: Tanh(0.0), "beta must be a positive"),
        (lambda: Softmax(-1.0), "beta must be a positive"),
        (lambda: Softmax(math.nan), "beta must be a positive"),
        (lambda: Softmax(torch.tensor(-1.0)), "beta must be a positive"),
        (lambda: Softmax(torch.ones(2)), "beta must be one"),
        (lambda: Softmax(torch.tensor(1)), "beta must be one"),
        (lambda: Softmax(dim=0), "dim must not be 0"),
        (lambda: LeakyReLU(0.0), "negative_slope must be"),
        (lambda: Spherical(-1.0), "eps must be"),
        (lambda: Spherical(dims=0), "dims must be at least 1"),
        (lambda: LayerNorm(0.0), "gamma must be"),
        (lambda: LayerNorm(delta=math.inf), "delta must be finite"),
        (lambda: LayerNorm(delta=torch.tensor([math.nan])), "delta must be"),
        (lambda: Softmax(dim=2).activation(torch.zeros(2, 3)), r"dim 2 .*\(2, 3\)"),
        (lambda: Softmax(dim=-2).activation(torch.zeros(2, 3)), r"dim -2 .*\(2, 3\)"),
        (lambda: Spherical(dims=2).activation(torch.zeros(2, 3)), r"dims 2 .*\(2, 3\)"),
        (lambda: LayerNorm(dims=2).value(torch.zeros(2, 3)), r"dims 2 .*\(2, 3\)"),
    ],
)
def test_wrong_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: RePU(2.5),
        lambda: Tanh("big"),
        lambda: Tanh(True),
        lambda: Softmax(dim="channels"),
        lambda: LayerNorm(delta="zero"),
        lambda: Spherical(False),
    ],
)
def test_wrong_types_are_refused(make):
    with pytest.raises(TypeError):
        make()
