"""The exact denoiser: density, score, Hopfield update, attention and Hessian are one formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from attractor.dynamics.diffusion import EmpiricalDenoiser, Karras, as_score, descend, divergence, ode_log_prob, sample
from attractor.dynamics.diffusion.empirical import NoisyDistance
from attractor.read import Block, Euclidean


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def mixture(patterns, sigma, alpha=1.0):
    weights = torch.ones(len(patterns), dtype=patterns.dtype)
    return MixtureSameFamily(Categorical(weights), Independent(Normal(alpha * patterns, sigma), 1))


@st.composite
def questions(draw):
    count, dim, batch = draw(st.integers(1, 40)), draw(st.integers(1, 8)), draw(st.integers(1, 5))
    seed = draw(st.integers(0, 2**31))
    sigma, alpha = 10 ** draw(st.floats(-2, 2)), draw(st.floats(0.05, 1.0))
    patterns = normal(count, dim, seed=seed)
    x = alpha * patterns[torch.arange(batch) % count] + sigma * normal(batch, dim, seed=seed + 1)
    return patterns, x, sigma, alpha, draw(st.integers(1, 50))


@settings(max_examples=60, deadline=None)
@given(questions())
def test_log_density_is_that_of_the_mixture(question):
    patterns, x, sigma, alpha, block = question
    denoiser = EmpiricalDenoiser(patterns, block_size=block)
    expected = mixture(patterns, sigma, alpha).log_prob(x)
    torch.testing.assert_close(denoiser.log_prob(x, sigma, alpha=alpha), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(denoiser.energy(x, sigma, alpha=alpha), -(sigma**2) * expected, rtol=1e-10, atol=1e-10 * sigma**2)


@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0, 100.0])
def test_log_density_keeps_four_digits_in_single_precision(sigma):
    patterns = normal(500, 64, dtype=torch.float32)
    x = patterns[:50] + sigma * normal(50, 64, seed=1, dtype=torch.float32)
    found = EmpiricalDenoiser(patterns).log_prob(x, sigma)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), mixture(patterns.double(), sigma).log_prob(x.double()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_hundred_thousand_patterns_stay_finite_at_every_noise(dtype):
    patterns = normal(100_000, 8, dtype=dtype)
    denoiser = EmpiricalDenoiser(patterns)
    for sigma in (0.01, 1.0, 100.0):
        x = torch.cat([patterns[-2:] + sigma, patterns[:1] + 1e3])
        assert denoiser.log_prob(x, sigma).isfinite().all() and denoiser.score(x, sigma).isfinite().all()
        wide = patterns.double()
        exponents = -(x.double()[:, None] - wide).square().sum(-1) / (2 * sigma**2)
        expected = exponents.logsumexp(-1) - math.log(len(patterns)) - 4 * math.log(2 * math.pi * sigma**2)
        torch.testing.assert_close(
            denoiser.log_prob(x, sigma).double(), expected, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=0
        )


def test_one_hopfield_update_is_one_denoising_is_one_attention_read():
    patterns, sigma, alpha = normal(50, 12), 0.7, 0.6
    x = alpha * patterns[:9] + sigma * normal(9, 12, seed=1)
    denoiser = EmpiricalDenoiser(patterns)
    memories = alpha * patterns
    bias = -memories.square().sum(-1) / 2
    beta = sigma**-2
    hopfield = torch.softmax(beta * (x @ memories.T + bias), -1) @ memories
    attended = torch.nn.functional.scaled_dot_product_attention(
        x[None], memories[None], memories[None], attn_mask=(beta * bias).expand(1, 9, 50), scale=beta
    )[0]
    stepped = EmpiricalDenoiser(memories)
    for update in (hopfield, attended, descend(stepped, x, sigma, eta=1.0, max_steps=1).x):
        torch.testing.assert_close(alpha * denoiser.denoise(x, sigma, alpha=alpha), update, rtol=0, atol=1e-10)
    torch.testing.assert_close(denoiser.score(x, sigma, alpha=alpha), (hopfield - x) / sigma**2, rtol=0, atol=1e-10)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_score_hessian_and_divergence_are_derivatives_of_the_density(sigma, alpha):
    patterns = normal(30, 6)
    x = alpha * patterns[:3] + sigma * normal(3, 6, seed=1)
    denoiser = EmpiricalDenoiser(patterns)
    state = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mixture(patterns, sigma, alpha).log_prob(state).sum(), state)
    torch.testing.assert_close(denoiser.score(x, sigma, alpha=alpha), gradient, rtol=1e-10, atol=1e-10)
    own = torch.autograd.grad(denoiser.log_prob(state, sigma, alpha=alpha).sum(), state)[0]
    torch.testing.assert_close(own, gradient, rtol=1e-10, atol=1e-10)
    covariance = denoiser.covariance(x, sigma, alpha=alpha)
    found = denoiser.divergence(x, sigma, alpha=alpha)
    for row in range(3):
        hessian = torch.autograd.functional.hessian(lambda one: mixture(patterns, sigma, alpha).log_prob(one[None])[0], x[row])
        torch.testing.assert_close(torch.eye(6).double() - covariance[row] / sigma**2, -(sigma**2) * hessian, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(found[row], hessian.trace(), rtol=1e-8, atol=1e-8)
    z = normal(3, 6, seed=2)
    torch.testing.assert_close(
        denoiser.hessian_product(x, sigma, z, alpha=alpha), z - (covariance @ z[..., None])[..., 0] / sigma**2, rtol=1e-9, atol=1e-9
    )


def test_divergence_of_a_model_without_its_own_is_taken_along_directions():
    denoiser = EmpiricalDenoiser(normal(30, 6))
    x = normal(3, 6, seed=1)

    class Plain:
        event = (6,)
        score = staticmethod(denoiser.score)

    torch.testing.assert_close(divergence(Plain, x, 0.8), denoiser.divergence(x, 0.8), rtol=1e-9, atol=1e-9)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 6)
    every_sign = corners[:, None].expand(64, 3, 6)
    torch.testing.assert_close(divergence(Plain, x, 0.8, every_sign), denoiser.divergence(x, 0.8), rtol=1e-9, atol=1e-9)


def test_block_size_changes_nothing():
    patterns, x = normal(101, 5), normal(7, 5, seed=1)
    whole = EmpiricalDenoiser(patterns)
    for size in (1, 2, 64, 100):
        parts = EmpiricalDenoiser(patterns, block_size=size)
        for ask in ("denoise", "score", "energy", "divergence"):
            torch.testing.assert_close(getattr(parts, ask)(x, 0.5), getattr(whole, ask)(x, 0.5), rtol=1e-11, atol=1e-11)


def test_each_sample_has_its_own_noise_and_any_leading_shape():
    denoiser = EmpiricalDenoiser(normal(20, 2, 3))
    x = normal(2, 4, 2, 3, seed=1)
    sigma = torch.tensor([[0.1, 1.0, 0.1, 3.0], [2.0, 0.5, 1.0, 0.1]], dtype=torch.float64)
    for ask, shape in (("denoise", (2, 4, 2, 3)), ("score", (2, 4, 2, 3)), ("log_prob", (2, 4)), ("divergence", (2, 4))):
        together = getattr(denoiser, ask)(x, sigma)
        assert together.shape == shape
        for i in range(2):
            for j in range(4):
                alone = getattr(denoiser, ask)(x[i, j], sigma[i, j].item())
                torch.testing.assert_close(together[i, j], alone, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("block", [1, 7, None])
def test_leaving_one_out_is_a_denoiser_of_the_others(block):
    patterns = normal(20, 4)
    x = patterns[:3] + 0.05
    exclude = torch.tensor([0, 1, -1])
    denoiser = EmpiricalDenoiser(patterns, block_size=block)
    for row, left in enumerate(exclude.tolist()):
        others = EmpiricalDenoiser(patterns[torch.arange(20) != left])
        for ask in ("denoise", "log_prob", "energy"):
            found = getattr(denoiser, ask)(x, 0.2, exclude=exclude)[row]
            torch.testing.assert_close(found, getattr(others, ask)(x[row], 0.2), rtol=1e-10, atol=1e-10)


def test_a_left_out_row_alone_in_its_block_weighs_nothing():
    similarity = NoisyDistance(torch.ones(1, 1), torch.tensor([0]))
    block = Block(torch.arange(1), torch.ones(1, 2))
    assert similarity.relative(similarity.prepare(torch.ones(1, 2)), block).isfinite().all()
    assert similarity.relative(similarity.prepare(torch.ones(1, 2)), block) < Euclidean().scores(torch.ones(1, 2), block) - 1e20


def test_temperature_widens_the_weights_and_keeps_score_the_gradient_of_energy():
    patterns, x = normal(10, 3), normal(4, 3, seed=1)
    warm = EmpiricalDenoiser(patterns, temperature=4.0)
    torch.testing.assert_close(warm.denoise(x, 0.5), EmpiricalDenoiser(patterns).denoise(x, 1.0))
    state = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(warm.energy(state, 0.5).sum(), state)
    torch.testing.assert_close(-gradient / 0.25, warm.score(x, 0.5))
    z = normal(4, 3, seed=2)
    moved = torch.func.jvp(lambda y: y - warm.denoise(y, 0.5), (x,), (z,))[1]
    torch.testing.assert_close(warm.hessian_product(x, 0.5, z), moved)
    with pytest.raises(ValueError, match="temperature"):
        warm.log_prob(x, 0.5)


@pytest.mark.parametrize("eta", [0.1, 0.5, 1.0, 1.5, 2.0])
def test_energy_never_rises_for_steps_up_to_two(eta):
    denoiser = EmpiricalDenoiser(normal(40, 16))
    for sigma in (0.2, 0.5, 2.0):
        start = 3 * normal(30, 16, seed=1)
        energies = descend(denoiser, start, sigma, eta=eta, max_steps=60).energies
        assert (energies.diff(dim=0) <= 1e-10 * (1 + energies[:-1].abs())).all()


def test_steps_above_two_are_refused_unless_forced_and_then_may_explode():
    denoiser = EmpiricalDenoiser(normal(40, 16))
    start = normal(5, 16, seed=1)
    with pytest.raises(ValueError, match=r"eta.*2\.5"):
        descend(denoiser, start, 0.5, eta=2.5)
    energies = descend(denoiser, start, 0.5, eta=2.5, max_steps=40, force=True).energies
    assert (energies[-1] > energies[0] + 1e3).all()


def test_learned_patterns_get_gradients():
    patterns = torch.nn.Parameter(normal(5, 3))
    denoiser = EmpiricalDenoiser(patterns)
    denoiser.denoise(normal(2, 3, seed=1), 0.5).sum().backward()
    assert [name for name, _ in denoiser.named_parameters()] == ["patterns"]
    assert patterns.grad is not None and patterns.grad.abs().sum() > 0


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("ask", ["denoise", "score", "energy", "log_prob", "divergence"])
def test_useless_noise_is_refused_by_name(sigma, ask):
    with pytest.raises(ValueError, match="sigma"):
        getattr(EmpiricalDenoiser(normal(3, 2)), ask)(normal(1, 2), sigma)


@pytest.mark.parametrize(
    ("patterns", "error"),
    [
        (torch.zeros(3, 2, dtype=torch.uint8), "floating point"),
        (torch.zeros(0, 2), "empty"),
        (torch.zeros(3), "shape"),
        (torch.full((2, 2), torch.nan), "finite"),
    ],
)
def test_useless_data_are_refused(patterns, error):
    with pytest.raises(ValueError, match=error):
        EmpiricalDenoiser(patterns)


@pytest.mark.parametrize(
    ("x", "options", "error"),
    [
        (torch.zeros(1, 3), {}, "shape"),
        (torch.zeros(1, 2, dtype=torch.float64), {}, "float32"),
        (torch.zeros(1, 2, dtype=torch.int64), {}, "floating point"),
        (torch.zeros(2, 2), {"sigma": torch.ones(3)}, "sigma"),
        (torch.zeros(1, 2), {"alpha": 0.0}, "alpha"),
        (torch.zeros(1, 2), {"exclude": torch.tensor([3])}, "exclude"),
        (torch.zeros(1, 2), {"exclude": torch.tensor([1.0])}, "exclude"),
    ],
)
def test_bad_questions_are_refused_by_name(x, options, error):
    sigma = options.pop("sigma", 1.0)
    with pytest.raises(ValueError, match=error):
        EmpiricalDenoiser(torch.eye(2)[[0, 1, 0]]).denoise(x, sigma, **options)


@pytest.mark.parametrize("shift", [0.0, 1.0, 100.0, -3e3])
@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.1])
def test_data_far_from_the_origin_keep_their_weights_in_single_precision(shift, sigma):
    patterns = (normal(200, 16, dtype=torch.float32) + shift).double()
    # half way between two patterns the weights turn over
    x = torch.cat([(patterns[:1] + patterns[1:2]) / 2, patterns[:3] + sigma * normal(3, 16, seed=1)]).float()
    single, double = EmpiricalDenoiser(patterns.float()), EmpiricalDenoiser(patterns)
    error = (single.denoise(x[1:], sigma).double() - double.denoise(x[1:].double(), sigma)).abs().max()
    assert error <= 1e-6 * (1 + abs(shift))
    torch.testing.assert_close(single.log_prob(x, sigma).double(), double.log_prob(x.double(), sigma), rtol=1e-6, atol=1e-4)


def test_close_patterns_far_from_the_origin_are_told_apart_in_single_precision():
    patterns = 100 + 0.02 * normal(50, 8)
    patterns = patterns.float().double()
    x = patterns[:5] + 0.01 * normal(5, 8, seed=1)
    found = EmpiricalDenoiser(patterns.float()).denoise(x.float(), 0.01)
    torch.testing.assert_close(found.double(), EmpiricalDenoiser(patterns).denoise(x.float().double(), 0.01), rtol=0, atol=2e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_the_question_and_the_answer_alone(dtype):
    patterns, x = normal(20, 4).to(dtype), normal(3, 4, seed=1).to(dtype)
    half, single = EmpiricalDenoiser(patterns), EmpiricalDenoiser(patterns.float())
    # noise that half precision would round
    for sigma in (0.3003, torch.tensor([0.3003, 0.5, 1.7])):
        for ask in ("denoise", "score", "energy", "log_prob", "divergence"):
            found = getattr(half, ask)(x, sigma)
            assert found.dtype == dtype
            torch.testing.assert_close(
                found, getattr(single, ask)(x.float(), sigma).to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-4
            )
        z = normal(3, 4, seed=2).to(dtype)
        for ask in ("covariance_product", "hessian_product"):
            found = getattr(half, ask)(x, sigma, z)
            assert found.dtype == dtype
            torch.testing.assert_close(found.float(), getattr(single, ask)(x.float(), sigma, z.float()), rtol=0.02, atol=0.02)
    assert descend(half, x, 0.5).x.dtype == dtype
    ends = sample(half, 10 * x, schedule=Karras(sigma_max=10.0)).x
    assert ends.dtype == dtype and torch.cdist(ends.float(), patterns.float()).amin(-1).max() < 0.1
    assert ode_log_prob(half, x, sigma=0.5, steps=5).dtype == dtype


def test_patterns_are_copied_and_no_part_of_the_state():
    patterns = normal(4, 2)
    denoiser = EmpiricalDenoiser(patterns)
    before = denoiser.denoise(normal(1, 2), 0.1)
    patterns.zero_()
    assert torch.equal(denoiser.denoise(normal(1, 2), 0.1), before)
    assert list(denoiser.state_dict()) == []
    learned = torch.nn.Parameter(normal(4, 2))
    assert list(EmpiricalDenoiser(learned).state_dict()) == ["patterns"] and EmpiricalDenoiser(learned).patterns is learned


def test_divergence_is_the_trace_of_the_score_at_any_temperature():
    warm, x = EmpiricalDenoiser(normal(10, 3), temperature=4.0), normal(2, 3, seed=1)
    traces = [torch.func.jacrev(lambda y: warm.score(y[None], 0.5)[0])(one).trace() for one in x]
    torch.testing.assert_close(warm.divergence(x, 0.5), torch.stack(traces))


@pytest.mark.parametrize("sigma", [1e-25, 1e30])
@pytest.mark.parametrize("ask", ["denoise", "score", "energy", "log_prob", "divergence"])
def test_noise_whose_powers_leave_the_precision_is_refused(sigma, ask):
    with pytest.raises(ValueError, match=r"sigma must lie within .* in torch\.float32"):
        getattr(EmpiricalDenoiser(normal(3, 2, dtype=torch.float32)), ask)(torch.zeros(1, 2), sigma)
    single = EmpiricalDenoiser(normal(3, 2, dtype=torch.float32))
    for used in (1e-9, 1e9):
        assert getattr(single, ask)(torch.zeros(1, 2), used).isfinite().all()


def test_a_refusal_names_the_bad_noise_alone():
    sigma = torch.ones(1000)
    sigma[7] = -2.0
    with pytest.raises(ValueError, match=r"sigma must be positive and finite, got \[-2\.0\]"):
        EmpiricalDenoiser(normal(3, 2)).denoise(normal(1000, 2), sigma)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_states_that_are_not_finite_are_refused(bad):
    denoiser, x = EmpiricalDenoiser(normal(5, 2)), torch.tensor([[0.0, bad]], dtype=torch.float64)
    for ask in (
        lambda: denoiser.denoise(x, 1.0),
        lambda: denoiser.score(x, 1.0),
        lambda: denoiser.log_prob(x, 1.0),
        lambda: denoiser.divergence(x, 1.0),
        lambda: descend(denoiser, x, 1.0),
        lambda: sample(denoiser, x),
        lambda: ode_log_prob(denoiser, x, sigma=0.5, steps=5),
    ):
        with pytest.raises(ValueError, match="finite"):
            ask()


def test_a_descent_says_which_samples_rest():
    model = EmpiricalDenoiser(torch.tensor([[-1.0], [1.0]], dtype=torch.float64))
    x = torch.tensor([[0.999], [1e-7]], dtype=torch.float64)
    assert descend(model, x, 0.8, max_steps=2, tol=1e-3).converged.tolist() == [False, True]
    rested = descend(model, x, 0.3, tol=1e-6)
    assert rested.converged.all() and rested.steps < 1000
    single = EmpiricalDenoiser(100 * normal(20, 8, dtype=torch.float32))
    assert descend(single, 100 * normal(5, 8, seed=1, dtype=torch.float32), 20.0).converged.all()


@pytest.mark.parametrize("tol", [math.nan, -1.0, math.inf])
def test_useless_tolerances_of_a_descent_are_refused(tol):
    with pytest.raises(ValueError, match="tol"):
        descend(EmpiricalDenoiser(normal(3, 2)), normal(1, 2), 0.5, tol=tol)


def test_the_bound_on_steps_is_that_of_an_exact_energy():
    """A steeper energy rises at step size 1; the text says of which it is true."""
    steep = as_score(lambda x: 5 * x.square().sum(-1), (3,))
    energies = descend(steep, normal(2, 3), 0.5, max_steps=5).energies
    assert (energies[-1] > energies[0]).all()
    assert "learned energy nothing is known" in " ".join(descend.__doc__.split())
    with pytest.raises(ValueError, match="where an exact energy cannot rise"):
        descend(steep, normal(2, 3), 0.5, eta=3.0)
