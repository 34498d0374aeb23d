import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from read.naive import NORMALISED, SEPARATIONS, potential_of, weights_of
from torch.testing import assert_close

from attractor.read import (
    Block,
    Dot,
    Entmax,
    Exponential,
    Polynomial,
    Read,
    RectifiedPolynomial,
    SoftMax,
    Sparsemax,
    Tempered,
    TopK,
    separation_from,
    similarity_from,
)
from attractor.read.best import two_best


def folded(separation, scores):
    """Weights and potential `(b, n), (b,)` of scores: identity rows read the weights out."""
    ids = torch.arange(scores.shape[-1])
    rows = torch.eye(scores.shape[-1], dtype=scores.dtype)
    return separation.finish(separation.partial(scores, ids, rows, two_best(scores, ids)))


def random_scores(seed, rows=4, columns=7):
    return 2 * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", SEPARATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_gradient_of_the_potential(name, seed):
    separation, scores = SEPARATIONS[name](1.7), random_scores(seed).requires_grad_()
    for potential in (separation.potential(scores), folded(separation, scores)[1]):
        (gradient,) = torch.autograd.grad(potential.sum(), scores, retain_graph=True)
        weights = folded(separation, scores)[0]
        if isinstance(separation, Exponential):  # given as a weighted mean: the direction only
            gradient = gradient / gradient.sum(-1, keepdim=True)
        assert_close(weights, gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SEPARATIONS)
def test_weights_and_potential_are_the_closed_forms(name):
    separation, scores = SEPARATIONS[name](0.9), random_scores(7)
    weights, potential = folded(separation, scores)
    expected = weights_of(separation, scores)
    assert_close(weights, expected, rtol=1e-11, atol=1e-11)
    assert_close(potential, potential_of(separation, scores), rtol=1e-11, atol=1e-11)
    assert_close(separation.potential(scores), potential_of(separation, scores), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", NORMALISED)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), shift=st.floats(-50, 50), beta=st.floats(0.01, 50))
def test_normalised_weights_sum_to_one_and_ignore_a_shift(name, seed, shift, beta):
    separation, scores = SEPARATIONS[name](beta), random_scores(seed)
    weights, potential = folded(separation, scores)
    assert (weights >= 0).all()
    assert_close(weights.sum(-1), torch.ones(4).double(), rtol=1e-10, atol=1e-10)
    shifted_weights, shifted = folded(separation, scores + shift)
    assert_close(shifted_weights, weights, rtol=1e-8, atol=1e-8)
    assert_close(shifted, potential + shift, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SEPARATIONS)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), mix=st.floats(0, 1))
def test_potential_is_convex_where_it_says_so(name, seed, mix):
    separation = SEPARATIONS[name](1.3)
    left, right = random_scores(seed), random_scores(seed + 1)
    chord = mix * separation.potential(left) + (1 - mix) * separation.potential(right)
    between = separation.potential(mix * left + (1 - mix) * right)
    if separation.convex:
        assert (between <= chord + 1e-9 * (1 + chord.abs())).all()


def test_only_odd_polynomials_are_not_convex():
    assert [Polynomial(n).convex for n in (2, 3, 4, 5)] == [True, False, True, False]
    assert all(RectifiedPolynomial(n).convex for n in (2, 3, 4, 5))
    cubic = Polynomial(3)
    middle, ends = cubic.potential(torch.tensor([[-1.0]])), cubic.potential(torch.tensor([[-2.0], [0.0]]))
    assert middle > ends.mean()


@pytest.mark.parametrize("name", SEPARATIONS)
def test_weights_have_the_gradients_of_finite_differences(name):
    separation = SEPARATIONS[name](1.7)
    scores = random_scores(3, rows=2, columns=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: folded(separation, given), (scores,))


@pytest.mark.parametrize("kind", [SoftMax, Sparsemax, lambda beta: Entmax(1.5, beta), lambda beta: TopK(3, beta), Exponential])
def test_beta_has_the_gradient_of_finite_differences(kind):
    scores = random_scores(5, rows=2, columns=5)
    beta = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: folded(kind(given), scores), (beta,))


def test_sparse_weights_have_exact_zeros():
    scores = torch.tensor([[3.0, 2.9, 0.0, -5.0]])
    for separation in (Sparsemax(1.0), Entmax(1.5, 1.0)):
        weights, _ = folded(separation, scores)
        assert weights[0, 3] == 0 and (weights[0, :2] > 0).all()
    assert folded(TopK(2, 1.0), scores)[0][0, 2:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0, 3.0])
def test_leader_by_the_promised_gap_takes_all_the_weight(alpha):
    beta = 0.7
    gap = 1 / ((alpha - 1) * beta)
    separation = Entmax(alpha, beta)
    assert folded(separation, torch.tensor([[gap * 1.001, 0.0]]).double())[0].tolist() == [[1.0, 0.0]]
    assert folded(separation, torch.tensor([[gap * 0.9, 0.0]]).double())[0][0, 1] > 0


def test_polynomials_neither_overflow_nor_vanish_on_the_way():
    scores = torch.tensor([[1e30, -5e29, 0.0]])
    weights, potential = folded(Polynomial(4), scores)
    assert_close(weights, torch.tensor([[1e90, -1.25e89, 0.0]], dtype=torch.float64), rtol=1e-6, atol=0, check_dtype=False)
    assert_close(potential, torch.tensor([(1e120 + 6.25e118) / 4], dtype=torch.float64), rtol=1e-6, atol=0, check_dtype=False)
    weights, potential = folded(RectifiedPolynomial(3), torch.tensor([[-1.0, -2.0]]))
    assert weights.tolist() == [[0.0, 0.0]] and potential.tolist() == [0.0]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan, True, "cold", None, torch.tensor([1.0, 2.0]), torch.tensor(1)])
@pytest.mark.parametrize("kind", [SoftMax, Exponential, Sparsemax, Entmax, TopK])
def test_useless_temperature_is_refused_by_name(kind, bad):
    with pytest.raises(ValueError, match="beta"):
        kind(beta=bad)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Polynomial(1), "n must"),
        (lambda: Polynomial(2.5), "n must"),
        (lambda: RectifiedPolynomial(0), "n must"),
        (lambda: TopK(0), "k must"),
        (lambda: TopK(True), "k must"),
        (lambda: Entmax(1.0), "alpha"),
        (lambda: Entmax(math.nan), "alpha"),
        (lambda: separation_from("hard"), "separation"),
        (lambda: separation_from({"name": "softmax", "n": 2}), "separation"),
        (lambda: similarity_from({"name": "hard"}), "similarity"),
        (lambda: similarity_from({"name": "dot", "p": 2}), "similarity"),
    ],
)
def test_bad_setting_is_refused_by_name(make, named):
    with pytest.raises((ValueError, TypeError), match=named):
        make()


@pytest.mark.parametrize("name", SEPARATIONS)
def test_settings_rebuild_the_separation(name):
    separation = SEPARATIONS[name](1.25)
    rebuilt = separation_from(separation.settings())
    assert type(rebuilt) is type(separation) and rebuilt.settings() == separation.settings()
    if isinstance(separation, Tempered):
        warmer = separation.at(0.5)
        assert warmer.beta == 0.5 and separation.settings() == rebuilt.settings()
        assert {**warmer.settings(), "beta": 0} == {**separation.settings(), "beta": 0}


def test_unresolved_temperature_says_who_chooses_it():
    with pytest.raises(ValueError, match="beta is 'auto'"):
        SoftMax().potential(torch.zeros(1, 2))


def test_squares_have_a_second_derivative_where_all_scores_are_zero(generator):
    patterns = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    block = Block(torch.arange(5), patterns)

    def drive(cue):
        read = Read(Dot(), Polynomial(2), cue[None])
        return read.finish(read.fold([block.rows(slice(2)), block.rows(slice(2, 5))])).values[0]

    slope = torch.autograd.functional.jacobian(drive, torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(slope, patterns.T @ patterns)
