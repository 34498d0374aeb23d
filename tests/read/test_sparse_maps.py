"""Sparsemax and alpha-entmax against a bisection in float64 that shares no code with the library."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from attractor.read import Entmax, SoftMax, Sparsemax, TopK


def weights(separation, scores):
    return separation.weights(scores, torch.arange(scores.shape[-1]))


def by_bisection(scores, alpha):
    """`argmax_p p.z + H_alpha(p)` by bisection on the multiplier."""
    scaled = (alpha - 1) * scores.double()
    low, high = scaled.amax(-1, keepdim=True) - 1, scaled.amax(-1, keepdim=True)
    for _ in range(200):
        tau = (low + high) / 2
        heavy = ((scaled - tau).clamp_min(0) ** (1 / (alpha - 1))).sum(-1, keepdim=True) > 1
        low, high = torch.where(heavy, tau, low), torch.where(heavy, high, tau)
    return (scaled - low).clamp_min(0) ** (1 / (alpha - 1))


def pulled_back(weight, alpha, upstream):
    """The product of the Jacobian `diag(s) - s s^T / sum s`, `s = p^(2 - alpha)` on the support, with `upstream`."""
    s = torch.where(weight > 0, weight.clamp_min(1e-300) ** (2 - alpha), 0)
    return s * (upstream - (s * upstream).sum(-1, keepdim=True) / s.sum(-1, keepdim=True))


MAPS = [(Sparsemax(1.0), 2.0), (Entmax(1.5, 1.0), 1.5), (Entmax(1.2, 1.0), 1.2), (Entmax(3.0, 1.0), 3.0)]


@pytest.mark.parametrize(("separation", "alpha"), MAPS)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), columns=st.integers(1, 40), spread=st.floats(0.01, 2))
def test_weights_are_those_of_a_bisection(separation, alpha, seed, columns, spread):
    scores = spread * torch.randn(3, columns, generator=torch.Generator().manual_seed(seed))
    found = weights(separation, scores)
    assert found.dtype == torch.float32
    # a hair above the threshold is a power 1 / (alpha - 1) above zero: alpha = 3 magnifies the rounding of the scores
    assert_close(found.double(), by_bisection(scores, alpha), rtol=0, atol=1e-6 if alpha <= 2 else 2e-3)


@pytest.mark.parametrize(("separation", "alpha"), MAPS[:3])
def test_gradients_are_those_of_the_closed_form(separation, alpha):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(6, 9, generator=generator).requires_grad_()
    upstream = torch.randn(6, 9, generator=generator)
    (found,) = torch.autograd.grad(weights(separation, scores), scores, upstream)
    expected = pulled_back(by_bisection(scores.detach(), alpha), alpha, upstream.double())
    assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_alpha_near_one_is_the_soft_max():
    scores = torch.randn(5, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    errors = [float((weights(Entmax(alpha, 1.0), scores) - scores.softmax(-1)).abs().max()) for alpha in (1.1, 1.01, 1.001)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2] and errors[2] < 1e-3


@pytest.mark.parametrize("alpha", [1 + 1e-7, 1.0001, 1.001, 1.5, 2.0, 3.0, 5.0, 10.0])
@pytest.mark.parametrize("spread", [0.0, 0.01, 3.0])
def test_weights_sum_to_one_at_any_alpha(alpha, spread):
    scores = spread * torch.randn(8, 1000, generator=torch.Generator().manual_seed(4))
    found = weights(Entmax(alpha, 1.0), scores)
    assert found.dtype == torch.float32
    assert_close(found.sum(-1), torch.ones(8), rtol=0, atol=1e-5)
    if spread == 0:
        assert_close(found, torch.full_like(found, 1e-3), rtol=1e-4, atol=0)


@pytest.mark.parametrize("alpha", [4.0, 10.0, 30.0])
def test_steep_alpha_ties_are_shared_and_a_clear_winner_takes_all(alpha):
    scores = torch.tensor([[2.0, 2.0, -5.0, -6.0], [9.0, 0.0, 1.0, 2.0]])
    assert_close(weights(Entmax(alpha, 1.0), scores), torch.tensor([[0.5, 0.5, 0, 0], [1.0, 0, 0, 0]]), rtol=0, atol=1e-6)


def test_weights_and_potential_tend_to_those_of_the_soft_max_in_single_precision():
    scores = torch.randn(5, 12, generator=torch.Generator().manual_seed(2))
    soft = scores.softmax(-1)
    for alpha, bound in ((1.001, 1e-3), (1.0001, 1e-4), (1.00001, 1e-5), (1 + 1e-7, 2e-6)):
        found = weights(Entmax(alpha, 1.0), scores)
        assert_close(found, soft, rtol=0, atol=bound)
        assert_close(Entmax(alpha, 1.0).value(scores, found), scores.logsumexp(-1), rtol=0, atol=20 * bound)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("separation", [Sparsemax(3.0), Entmax(1.5, 3.0), TopK(2, 3.0)])
def test_half_precision_and_masked_rows_stay_finite(separation, dtype):
    scores = torch.tensor([[300.0, 299.0, -math.inf, 2.0], [-math.inf, 5.0, -math.inf, -math.inf]], dtype=dtype)
    found = weights(separation, scores)
    assert found.isfinite().all() and (found[scores == -math.inf] == 0).all()
    assert_close(found.sum(-1), torch.ones(2))
    wide = scores.float()
    assert separation.value(wide, found).isfinite().all()


@pytest.mark.parametrize("separation", [Sparsemax(1.0), Entmax(1.5, 1.0)])
def test_gradients_stay_finite_beside_masked_entries(separation):
    scores = torch.tensor([[1.0, 0.8, -math.inf]], requires_grad=True)
    found = weights(separation, scores)
    (gradient,) = torch.autograd.grad(found[0, 0] + separation.value(scores, found).sum(), scores)
    assert gradient.isfinite().all() and gradient[0, 2] == 0


@pytest.mark.parametrize("separation", [Sparsemax(1.0), Entmax(1.5, 1.0)])
def test_row_that_is_masked_throughout_gets_no_weight(separation):
    scores = torch.full((2, 3), -math.inf)
    scores[1, 0] = 1.0
    found = weights(separation, scores)
    assert found.tolist() == [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert separation.value(scores, found).tolist()[0] == -math.inf


def test_sparse_weights_have_zeros_where_the_soft_max_has_none():
    scores = torch.randn(4, 30, generator=torch.Generator().manual_seed(3)) * 3
    partial = [float((weights(one, scores) == 0).float().mean()) for one in (Sparsemax(1.0), Entmax(1.5, 1.0))]
    assert partial[0] > partial[1] > 0.3
    assert (SoftMax(1.0).logits(scores).softmax(-1) > 0).all()
