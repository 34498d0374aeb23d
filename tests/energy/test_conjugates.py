import math

import pytest
import torch
from energy.lagrangian_cases import ALL, SAFE, SHAPES, name, states
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import grad

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
entries = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def pairing(x, g):
    return (x * g).flatten(1).sum(1)


def agrees(lagrangian, x):
    g = lagrangian.activation(x)
    L = lagrangian.value(x)
    slack = 1e-9 + 1e-13 * (pairing(x, g).abs() + L.abs())
    assert ((lagrangian.conjugate(g) - (pairing(x, g) - L)).abs() <= slack).all()


@every
def test_conjugate_at_an_activation_is_what_the_layer_adds_to_the_energy(lagrangian):
    for shape in SHAPES:
        for scale in (0.0, 1e-3, 1.0, 6.0):
            agrees(lagrangian, states(shape, scale))


@pytest.mark.parametrize("lagrangian", SAFE, ids=name)
def test_the_same_far_out(lagrangian):
    for scale in (1e2, 1e3):
        agrees(lagrangian, states((2, 3), scale))
        agrees(lagrangian, states((2, 3)).sign() * scale)


@every
@settings(max_examples=10)
@given(at=entries, elsewhere=entries)
def test_fenchel(lagrangian, at, elsewhere):
    x, y = torch.tensor([at], dtype=torch.float64), torch.tensor([elsewhere], dtype=torch.float64)
    agrees(lagrangian, x)
    g = lagrangian.activation(x)
    left, right = lagrangian.conjugate(g) + lagrangian.value(y), pairing(y, g)
    assert left >= right - 1e-9 - 1e-12 * (right.abs() + lagrangian.value(y).abs())


@pytest.mark.parametrize(
    "lagrangian", [Identity(), LeakyReLU(0.2), Power(4), Exp(2.0), Tanh(2.0), Sigmoid(2.0), Ghostmax(2.0), Spherical(0.5)], ids=name
)
def test_gradient_of_the_conjugate_is_the_state(lagrangian):
    x = states((2, 3))
    g = lagrangian.activation(x).requires_grad_()
    torch.testing.assert_close(grad(lagrangian.conjugate(g).sum(), g)[0], x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("lagrangian", "g", "value"),
    [
        (Sigmoid(2.0), [0.5, 1.0], -math.log(2) / 2),
        (Softmax(2.0), [0.5, 0.5], -math.log(2) / 2),
        (Softmax(2.0), [0.0, 1.0], 0.0),
        (Ghostmax(), [0.25, 0.25], -1.5 * math.log(2)),
        (Tanh(2.0), [0.0, -1.0], math.log(2) / 2),
        (ReLU(), [0.0, 2.0], 2.0),
        (RePU(3), [0.0, 4.0], 16 / 3),
        (Power(4), [-8.0, 0.0], 12.0),
        (Exp(2.0), [1.0, 0.0], -0.5),
        (RectifiedExp(2.0), [0.0, 0.0], -1.0),
        (Spherical(4.0), [0.6, 0.0], -1.6),
        (LayerNorm(2.0, eps=4.0), [-1.2, 1.2], -4 * 2 * 0.8),
    ],
    ids=name,
)
def test_known_values(lagrangian, g, value):
    found = lagrangian.conjugate(torch.tensor([g], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([value], dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("lagrangian", "g"),
    [
        (ReLU(), [-0.001, 1.0]),
        (RePU(3), [-0.001, 1.0]),
        (Exp(), [-0.001, 1.0]),
        (RectifiedExp(), [-0.001, 1.0]),
        (Tanh(), [0.0, 1.001]),
        (Tanh(), [0.0, -1.001]),
        (Sigmoid(), [0.5, -0.001]),
        (Sigmoid(), [0.5, 1.001]),
        (Softmax(), [0.5, 0.501]),
        (Softmax(), [0.5, 0.499]),
        (Softmax(), [-0.001, 1.001]),
        (Ghostmax(), [0.5, 0.501]),
        (Ghostmax(), [-0.001, 0.5]),
        (Spherical(), [0.8, 0.601]),
        (Spherical(0.0), [0.8, 0.601]),
        (LayerNorm(), [-1.001, 1.001]),
        (LayerNorm(), [-0.5, 0.501]),
        (LayerNorm(delta=0.5), [-0.5, 0.5]),
        *[(lagrangian, [0.5, math.nan]) for lagrangian in ALL if repr(lagrangian).count("tensor") == 0],
        (Identity(), [0.5, math.inf]),
    ],
    ids=name,
)
def test_what_no_state_can_give_is_refused(lagrangian, g, dtype):
    with pytest.raises(ValueError, match="g must"):
        lagrangian.conjugate(torch.tensor([g], dtype=dtype))


def test_rounding_beyond_the_domain_is_cut_off():
    assert ReLU().conjugate(torch.tensor([[-1e-12, 2.0]], dtype=torch.float64)).item() == 2.0
    assert Softmax().conjugate(torch.tensor([[-1e-12, 1.0 + 1e-12]], dtype=torch.float64)).item() == pytest.approx(0.0, abs=1e-9)
    assert Spherical(0.25).conjugate(torch.tensor([[1.0 + 1e-12]], dtype=torch.float64)).item() == 0.0
