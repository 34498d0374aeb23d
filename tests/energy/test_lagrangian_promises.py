"""Every Lagrangian keeps every promise: in each precision, far out, saturated, and for odd shapes and layouts of states."""

import math
from copy import deepcopy

import pytest
import torch
from energy.lagrangian_cases import ALL, fits, hessian, name, states
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from attractor.energy import Neurons
from attractor.energy.lagrangian import DEAD
from attractor.energy.lagrangians import Exp, Ghostmax, Identity, LayerNorm, Power, RePU, Sigmoid, Softmax, Spherical, Tanh

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
HALF = [torch.bfloat16, torch.float16]
PLACES = {
    "near": lambda x: x,
    "at zero": lambda x: 0 * x,
    "a thousand": lambda x: 1e3 * x.sign(),
    "far": lambda x: 1e4 + x,
    "out of reach": lambda x: 3e20 * x,
    "tiny": lambda x: 5e-23 * x,
}
every = pytest.mark.parametrize("lagrangian", ALL, ids=name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def pairing(x, g):
    return (x.double() * g.double()).flatten(1).sum(1)


def numbers(lagrangian, x, z):
    """Everything that a Lagrangian says about states."""
    g = lagrangian.activation(x)
    return lagrangian.value(x), g, lagrangian.hvp(x, z), lagrangian.conjugate(g), lagrangian.flat_basis(x)


def cases():
    """Where a Lagrangian neither overflows nor has a derivative to lose."""
    for lagrangian in ALL:
        for dtype in DTYPES:
            for place in PLACES:
                held = place in {"near", "at zero"} or (lagrangian.bounded and (dtype not in HALF or place == "a thousand"))
                if held:
                    yield pytest.param(lagrangian, dtype, place, id=f"{lagrangian!r}-{dtype}-{place}")


@pytest.mark.parametrize(("lagrangian", "dtype", "place"), list(cases()))
def test_every_precision_gives_what_double_precision_gives(lagrangian, dtype, place):
    near, z = (states((32, 3), batch=3, seed=seed).clamp(-1.5, 1.5) for seed in (0, 1))
    x, z = PLACES[place](near).to(dtype), z.to(dtype)
    value, g, turned, conjugate, basis = numbers(lagrangian, x, z)
    assert g.dtype == turned.dtype == basis.dtype == dtype
    assert torch.finfo(value.dtype).bits >= 32 and torch.finfo(conjugate.dtype).bits >= 32
    exact, eps = x.double(), torch.finfo(dtype).eps
    torch.testing.assert_close(g.double(), lagrangian.activation(exact), rtol=20 * eps, atol=20 * eps)
    torch.testing.assert_close(value.double(), lagrangian.value(exact), rtol=1e-5, atol=1e-5)
    expected = lagrangian.hvp(exact, z.double())
    curved = float(torch.linalg.vector_norm(expected.flatten(1), dim=1).amax())
    torch.testing.assert_close(turned.double(), expected, rtol=50 * eps, atol=50 * eps * curved + torch.finfo(dtype).tiny)
    # an activation is rounded, and the conjugate changes by its state times that
    size = (x.double() * g.double()).abs().flatten(1).sum(1) + lagrangian.value(exact).abs()
    assert ((conjugate - (pairing(x, g) - lagrangian.value(exact))).abs() <= 20 * eps * (1 + size)).all()


@every_dtype
@every
def test_the_energy_of_a_layer_is_summed_in_single_precision(lagrangian, dtype):
    shape = (28, 3)
    x = states(shape, batch=3).clamp(-1.5, 1.5).to(dtype)
    layer, g = Neurons(lagrangian, shape), lagrangian.activation(x)
    expected = pairing(x, g) - lagrangian.value(x.double())
    size = (x.double() * g.double()).abs().flatten(1).sum(1) + lagrangian.value(x.double()).abs()
    assert ((layer.energy(x, g) - expected).abs() <= 1e-6 * (1 + size)).all()


def test_large_states_in_half_precision_have_an_energy():
    x = torch.full((1, 4), 300.0, dtype=torch.float16)
    assert Neurons(Identity(), 4).energy(x, x).item() == 180_000


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,), (5, 3)], ids=name)
@pytest.mark.parametrize("batch", [0, 1, 3])
@every
def test_odd_shapes_and_layouts_change_nothing(lagrangian, batch, shape):
    if not fits(lagrangian, shape):
        pytest.skip("a shift for layers of another width")
    x, z = states(shape, batch=batch), states(shape, batch=batch, seed=1)
    found = numbers(lagrangian, x, z)
    assert [tuple(one.shape) for one in found[:4]] == [(batch,), (batch, *shape), (batch, *shape), (batch,)]
    assert found[4].shape[0] == batch and found[4].shape[2:] == shape
    backwards = [torch.stack([one, one], dim=-1).movedim(0, -1)[..., 0, :].movedim(-1, 0) for one in (x, z)]
    assert batch < 2 or not backwards[0].is_contiguous()
    for one, other in zip(found, numbers(lagrangian, *backwards), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


@every
def test_shapes_are_known_without_data(lagrangian):
    lagrangian, x = deepcopy(lagrangian).to("meta"), torch.empty(2, 5, 3, device="meta")
    assert lagrangian.value(x).shape == (2,)
    assert lagrangian.activation(x).shape == lagrangian.hvp(x, x).shape == x.shape


@every
def test_hessians_are_symmetric(lagrangian):
    for scale in (0.3, 3.0):
        H = torch.stack([hessian(lagrangian, one[None]) for one in states((2, 3), scale, batch=5)])
        torch.testing.assert_close(H, H.mT, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "lagrangian",
    [Tanh(2.0), Sigmoid(3.0), Softmax(), Softmax(4.0), Softmax(dim=1), Ghostmax(), Ghostmax(3.0, dim=1)],
    ids=name,
)
@settings(max_examples=30, deadline=None)
@given(entries=st.lists(st.floats(-60, 60), min_size=6, max_size=6), scale=st.sampled_from([1.0, 20.0]))
def test_saturated_directions_are_flat_and_none_is_missed(lagrangian, entries, scale):
    x = scale * torch.tensor(entries, dtype=torch.float64).view(1, 2, 3)
    H, bound = hessian(lagrangian, x), lagrangian.curvature_bound
    rows = lagrangian.flat_basis(x)[0].flatten(1)
    rows = rows[rows.norm(dim=1) > 0]
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), rtol=0, atol=1e-12)
    assert bool(((H @ rows.T).abs() <= 1.01 * DEAD * bound).all())
    _, values, axes = torch.linalg.svd(rows, full_matrices=True)
    others = axes[len(values) :]
    # an entry of three lives from a third of the threshold on, and without the part of nothing a quarter of that curvature is left
    if len(others):
        assert float(torch.linalg.eigvalsh(others @ H @ others.T).min()) >= 0.9 * DEAD * bound / 12


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("lagrangian", "saturated"),
    [
        (Softmax(), [0.0, 400.0, 0.0]),
        (Softmax(4.0), [300.0, 0.0, 100.0]),
        (Ghostmax(), [0.0, 400.0, 0.0]),
        (Ghostmax(), [-400.0, -400.0, -400.0]),
        (Tanh(), [400.0, -400.0, 400.0]),
        (Sigmoid(), [400.0, -400.0, 400.0]),
    ],
    ids=name,
)
def test_all_of_a_saturated_layer_is_flat(lagrangian, saturated, dtype):
    x = torch.tensor([saturated], dtype=dtype)
    rows = lagrangian.flat_basis(x)[0]
    rows = rows[rows.norm(dim=1) > 0]
    torch.testing.assert_close(rows @ rows.T, torch.eye(3, dtype=dtype))
    assert hessian(lagrangian, x).abs().amax() <= DEAD


def test_two_choices_saturate_as_a_sigmoid_does():
    x = torch.linspace(-40, 40, 161, dtype=torch.float64)[:, None]
    both = Softmax(2.0).dead(torch.cat([x, torch.zeros_like(x)], dim=1)).any(1)
    assert 0 < int(both.sum()) < 161
    assert torch.equal(both, Sigmoid(2.0).dead(x)[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.1, -1 / 3, 1e-30, 1e30])
@pytest.mark.parametrize("units", [7, 100])
def test_a_constant_state_has_no_deviation(level, units, dtype):
    norm, z = LayerNorm(2.0, eps=0.0), states((units,), batch=2, seed=1).to(dtype)
    constant = torch.full((2, units), level, dtype=dtype)
    ripple = torch.finfo(dtype).eps * torch.tensor([[1.0], [0.5]], dtype=dtype) * torch.arange(units).remainder(2)
    for x in (constant, constant * (1 + ripple)):
        assert norm.activation(x).abs().amax() == norm.hvp(x, z).abs().amax() == norm.value(x).abs().amax() == 0
        rows = norm.flat_basis(x).flatten(2)
        torch.testing.assert_close(rows @ rows.mT, torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=dtype).expand(2, 2, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lagrangian", [Spherical(0.0), Spherical(1e-30), LayerNorm(eps=0.0), LayerNorm(eps=1e-30)], ids=name)
def test_norms_of_any_size_are_the_same(lagrangian, dtype):
    x = states((6,)).to(dtype)
    g = lagrangian.activation(x)
    largest = 1e37 if dtype == torch.float32 else 1e307
    sizes = [largest, 3e20, 1e-10] + [5e-23, 1e-35] * (lagrangian.eps == 0)
    assert lagrangian.activation(1e-320 * states((6,))).isfinite().all()
    for size in sizes:
        torch.testing.assert_close(lagrangian.activation(size * x), g)
        torch.testing.assert_close(lagrangian.value(size * x) / size, lagrangian.value(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_left_without_a_large_mean_is_normalised(dtype):
    x = (1e4 + states((64,))).to(dtype)
    for norm in (LayerNorm(), LayerNorm(3.0, delta=-1e3), LayerNorm(eps=0.0)):
        eps = torch.finfo(dtype).eps * (1 + 2e3 * (norm.delta != 0))
        torch.testing.assert_close(norm.activation(x).double(), norm.activation(x.double()), rtol=0, atol=10 * eps)
        assert norm.conjugate(norm.activation(x)).isfinite().all()


@every_dtype
def test_rounding_of_the_own_precision_is_no_offence(dtype):
    above, x = 1 + torch.finfo(dtype).eps, states((64,)).to(dtype)
    for lagrangian in (Tanh(), Sigmoid(), Softmax(), Ghostmax(), Spherical()):
        assert lagrangian.conjugate(torch.tensor([[above]], dtype=dtype)).isfinite().all()
    for shift in (10.0, -3e3):
        norm = LayerNorm(0.5, delta=shift, eps=0.1)
        assert norm.conjugate(norm.activation(x)).isfinite().all()


@every_dtype
def test_a_constant_direction_changes_no_normalised_state(dtype):
    x, z, norm = states((64,)).to(dtype), states((64,), seed=1) + 100, LayerNorm(eps=0.1)
    z = z.to(dtype)
    exact = norm.hvp(x.double(), z.double())
    torch.testing.assert_close(norm.hvp(x, z).double(), exact, rtol=2 * torch.finfo(dtype).eps, atol=1e-4)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_gamma_and_delta_learn(shape):
    gamma, delta = (nn.Parameter(torch.full(size, 1.5, dtype=torch.float64)) for size in (shape, (3,)))
    x, z = states((2, 3)), states((2, 3), seed=1)

    def of_both(gamma, delta):
        norm = LayerNorm(gamma, delta=delta)
        return norm.value(x), norm.activation(x), norm.hvp(x, z)

    assert gradcheck(of_both, (gamma, delta))


@pytest.mark.parametrize("make", [Tanh, Sigmoid, Exp, Softmax, Ghostmax, LayerNorm])
@pytest.mark.parametrize("kind", [torch.as_tensor, nn.Parameter])
def test_scales_that_would_enlarge_states_are_refused(make, kind):
    with pytest.raises(ValueError, match=r"(beta|gamma) must be one .* of shape \(1, 1, 1\)"):
        make(kind(torch.full((1, 1, 1), 2.0)))


@pytest.mark.parametrize(
    ("lagrangian", "message"),
    [
        (LayerNorm(delta=torch.tensor([[0.0], [10.0]])), r"delta must broadcast .* \(4,\), got shape \(2, 1\)"),
        (LayerNorm(delta=torch.zeros(1, 4)), r"delta .* \(4,\), got shape \(1, 4\)"),
        (LayerNorm(delta=torch.zeros(3)), r"delta .* \(4,\), got shape \(3,\)"),
        (Softmax(dim=2), "dim 2 must"),
        (Spherical(dims=2), "dims 2 must"),
        (LayerNorm(dims=2), "dims 2 must"),
    ],
    ids=name,
)
def test_a_layer_that_a_lagrangian_cannot_have_is_refused(lagrangian, message):
    with pytest.raises(ValueError, match=message):
        Neurons(lagrangian, 4)
    with pytest.raises(ValueError, match=message):
        lagrangian.activation(torch.ones(2, 4))


def test_a_shift_that_broadcasts_is_taken():
    for shape in ((), (1,), (4,), (3, 1), (3, 4)):
        norm = LayerNorm(delta=torch.ones(shape))
        assert Neurons(norm, (3, 4)).activation(torch.zeros(2, 3, 4)).shape == (2, 3, 4)


def test_where_the_hessian_vanishes_at_a_point_nothing_is_flat():
    x = torch.zeros(1, 3, dtype=torch.float64)
    for lagrangian, count in ((Power(4), 0), (Spherical(0.0), 0), (LayerNorm(eps=0.0), 1), (RePU(4), 3)):
        assert hessian(lagrangian, x).abs().amax() == 0
        assert int((lagrangian.flat_basis(x).flatten(2).norm(dim=2) > 0).sum()) == count
    assert math.isfinite(float(Power(4).activation(x + 1e-3).abs().amax())) and Power(4).activation(x + 1e-3).abs().amin() > 0
