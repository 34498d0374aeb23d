"""Learned denoisers: preconditioning, conservativity, training, adapters."""

import pytest
import torch
from torch import nn

from attractor.dynamics.diffusion import (
    EmpiricalDenoiser,
    EnergyDenoiser,
    NetDenoiser,
    PotentialMLP,
    ResidualMLP,
    as_energy,
    as_score,
    conservativity,
    converted,
    descend,
    divergence,
    sample,
    train_denoiser,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(kind, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if kind is EnergyDenoiser:
        return EnergyDenoiser(PotentialMLP((6,), width=24, blocks=2, generator=generator), (6,)).double()
    return NetDenoiser(ResidualMLP((6,), width=24, blocks=2, generator=generator), (6,)).double()


def test_preconditioning_keeps_the_data_and_trusts_the_network_where_noise_is_large():
    class Constant(nn.Module):
        def forward(self, x, noise):
            return torch.full_like(x, 2.0)

    model = NetDenoiser(Constant(), (3,), sigma_data=0.5)
    x = normal(2, 3)
    torch.testing.assert_close(model.denoise(x, 1e-6), x, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.denoise(x, 1e4), torch.full_like(x, 1.0), rtol=0, atol=1e-3)
    sigma = torch.tensor([0.5, 2.0], dtype=torch.float64)
    expected = 0.25 / (sigma**2 + 0.25) * x.T + sigma * 0.5 / (sigma**2 + 0.25).sqrt() * 2
    torch.testing.assert_close(model.denoise(x, sigma), expected.T)


def test_network_sees_scaled_input_and_a_quarter_of_the_logarithm():
    seen = {}

    class Spy(nn.Module):
        def forward(self, x, noise):
            seen.update(x=x, noise=noise)
            return x

    x = normal(2, 3)
    NetDenoiser(Spy(), (3,), sigma_data=0.5).denoise(x, 2.0)
    torch.testing.assert_close(seen["x"], x / 4.25**0.5)
    torch.testing.assert_close(seen["noise"], torch.full((2,), 2.0, dtype=torch.float64).log() / 4)


@pytest.mark.parametrize("kind", ["clean", "noise", "velocity", "score"])
def test_raw_predictions_of_every_kind_become_clean_data(kind):
    exact = EmpiricalDenoiser(normal(9, 3))

    class Raw(nn.Module):
        def forward(self, x, sigma):
            return converted(exact.denoise(x, sigma), x, sigma[:, None], given="clean", wanted=kind)

    model = NetDenoiser(Raw(), (3,), precondition="none", prediction=kind)
    x, sigma = normal(4, 3, seed=1), torch.tensor([0.2, 0.5, 1.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(model.denoise(x, sigma), exact.denoise(x, sigma), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(model.score(x, sigma), exact.score(x, sigma), rtol=1e-7, atol=1e-7)


def test_energy_denoiser_descends_its_own_energy():
    model = small(EnergyDenoiser)
    x, sigma = normal(4, 6), torch.tensor([0.1, 0.5, 1.0, 5.0], dtype=torch.float64)
    state = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.energy(state, sigma).sum(), state)
    torch.testing.assert_close(model.denoise(x, sigma), x - gradient)
    torch.testing.assert_close(model.score(x, sigma), -gradient / sigma[:, None] ** 2)
    alone = torch.cat([model.energy(x[i : i + 1], sigma[i].item()) for i in range(4)])
    torch.testing.assert_close(model.energy(x, sigma), alone)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_energies_are_conservative_and_a_plain_network_is_not(sigma):
    x = normal(5, 6)
    assert conservativity(small(EnergyDenoiser), x, sigma) < 1e-6
    assert conservativity(EmpiricalDenoiser(normal(9, 6)), x, sigma) < 1e-6
    assert conservativity(as_score(lambda y: (y**4).sum(-1), (6,)), x, sigma) < 1e-6


def test_trained_plain_network_has_a_rotation_that_probes_find_too():
    data = normal(16, 6)
    model = small(NetDenoiser)
    train_denoiser(model, data, seed=0, steps=150, batch=32)
    x = data + 0.5 * normal(16, 6, seed=1)
    exact = conservativity(model, x, 0.5)
    probed = conservativity(model, x, 0.5, probes=40, generator=torch.Generator().manual_seed(0))
    assert exact > 0.05
    assert probed == pytest.approx(exact, rel=0.25)


def test_divergence_of_a_network_is_the_trace_of_its_jacobian():
    for model in (small(NetDenoiser), small(EnergyDenoiser)):
        x = normal(2, 6)
        traces = [torch.func.jacrev(lambda y, model=model: model.score(y[None], 0.7)[0])(one).trace() for one in x]
        torch.testing.assert_close(divergence(model, x, 0.7), torch.stack(traces))


@pytest.mark.parametrize("kind", [NetDenoiser, EnergyDenoiser])
def test_training_lowers_the_loss_towards_that_of_the_exact_denoiser(kind):
    data = normal(4, 6)
    model = small(kind)
    training = train_denoiser(model, data, seed=0, steps=300, batch=64, rate=3e-3)
    assert training.last(30) < 0.5 * sum(training.losses[:10]) / 10
    again = small(kind)
    assert train_denoiser(again, data, seed=0, steps=20).losses == train_denoiser(small(kind), data, seed=0, steps=20).losses


def test_a_memory_learns_its_patterns_by_the_same_call():
    data = torch.tensor([[-2.0, 0.0], [2.0, 0.0]])
    memory = EmpiricalDenoiser(nn.Parameter(torch.tensor([[-0.5, 0.3], [0.5, -0.3]])))
    train_denoiser(memory, data, seed=0, steps=400, rate=0.03, ema=0.95)
    torch.testing.assert_close(memory.patterns.detach(), data, rtol=0, atol=0.15)


def test_parameters_are_moving_averages_after_training():
    data = normal(4, 6)
    last, averaged = small(NetDenoiser), small(NetDenoiser)
    train_denoiser(last, data, seed=0, steps=30, ema=0.0)
    train_denoiser(averaged, data, seed=0, steps=30, ema=0.999)
    start = small(NetDenoiser)
    moved = [
        sum((one - two).square().sum().item() for one, two in zip(model.parameters(), start.parameters(), strict=True))
        for model in (averaged, last)
    ]
    assert 0 < moved[0] < moved[1]


def test_log_density_of_a_learned_model_is_refused_with_the_way_to_it():
    for kind in (NetDenoiser, EnergyDenoiser):
        with pytest.raises(ValueError, match="ode_log_prob"):
            small(kind).log_prob(normal(1, 6), 1.0)


def test_line_integral_of_the_score_is_the_energy_difference():
    model = EmpiricalDenoiser(normal(20, 6))
    x, reference = normal(4, 6, seed=1), normal(4, 6, seed=2)
    expected = model.energy(x, 0.8) - model.energy(reference, 0.8)
    torch.testing.assert_close(as_energy(model, x, reference, 0.8), expected, rtol=1e-6, atol=1e-6)
    shared = as_energy(model, x, reference[0], 0.8)
    torch.testing.assert_close(shared, model.energy(x, 0.8) - model.energy(reference[0], 0.8), rtol=1e-6, atol=1e-6)


def test_a_memory_runs_in_every_sampler_and_descends():
    stored = normal(5, 6)
    exact = EmpiricalDenoiser(stored)
    memory = as_score(lambda x: exact.energy(x, 0.3), (6,))
    recalled = descend(memory, stored + 0.1, 0.3).x
    torch.testing.assert_close(recalled, stored, rtol=0, atol=1e-3)
    assert sample(memory, stored + 0.1, steps=5).x.isfinite().all()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: NetDenoiser(nn.Identity(), (3,), precondition="karras"), "precondition"),
        (lambda: NetDenoiser(nn.Identity(), (3,), precondition="none", prediction="x0"), "prediction"),
        (lambda: NetDenoiser(nn.Identity(), (3,), prediction="noise"), "prediction"),
        (lambda: NetDenoiser(nn.Identity(), (0,)), "event"),
        (lambda: NetDenoiser(nn.Identity(), (3,), sigma_data=0.0), "sigma_data"),
        (lambda: small(NetDenoiser).denoise(torch.zeros(1, 5), 1.0), "shape"),
        (lambda: small(NetDenoiser).denoise(normal(1, 6), -1.0), "sigma"),
        (lambda: train_denoiser(small(NetDenoiser), torch.zeros(4, 6, dtype=torch.uint8), seed=0), "floating point"),
        (lambda: train_denoiser(small(NetDenoiser), torch.zeros(0, 6), seed=0), "empty"),
        (lambda: train_denoiser(small(NetDenoiser), normal(4, 5), seed=0), "shape"),
        (lambda: train_denoiser(EmpiricalDenoiser(normal(4, 6)), normal(4, 6), seed=0), "parameters"),
        (lambda: train_denoiser(small(NetDenoiser), normal(4, 6), seed=0, ema=1.0), "ema"),
        (lambda: as_energy(small(NetDenoiser), normal(2, 6), normal(3, 6), 1.0), "reference"),
    ],
)
def test_bad_models_and_data_are_refused(make, error):
    with pytest.raises(ValueError, match=error):
        make()
