"""Learned denoisers: preconditioning, conservativity, training, adapters."""

import math

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
from attractor.dynamics.diffusion.training import denoising_loss


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
            return converted(exact.denoise(x, sigma), x, sigma, given="clean", wanted=kind)

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


def test_a_network_is_told_the_noise():
    net = ResidualMLP((6,), width=24, blocks=2, generator=torch.Generator().manual_seed(0)).double()
    x = normal(2, 6)
    assert (net(x, torch.zeros(2, dtype=torch.float64)) - net(x, torch.ones(2, dtype=torch.float64))).abs().max() > 1e-3


class Shrunk(nn.Module):
    """`scale x` for every noise; keeps what it was asked."""

    event = (2,)

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))
        self.asked = []

    def denoise(self, x, sigma):
        self.asked.append(sigma)
        return self.scale * x


def test_loss_has_the_weights_of_karras():
    clean, generator = torch.zeros(1, 2, dtype=torch.float64), torch.Generator().manual_seed(0)
    # at data zero the error is sigma^2: weighted, (sigma^2 + s^2) / s^2
    loss = denoising_loss(Shrunk(1.0), clean, 0.5, 40_000, (math.log(2.0), 1e-9), generator)
    assert loss.item() == pytest.approx((4 + 0.25) / 0.25, rel=0.02)


def test_training_draws_the_noise_it_is_told():
    model = Shrunk(0.5)
    train_denoiser(model, normal(8, 2), seed=0, steps=20, batch=200, log_sigma=(1.5, 0.2))
    logarithms = torch.cat(model.asked).log()
    assert logarithms.mean().item() == pytest.approx(1.5, abs=0.02) and logarithms.std().item() == pytest.approx(0.2, abs=0.02)


def test_early_averages_forget_the_start():
    model = EmpiricalDenoiser(nn.Parameter(torch.zeros(1, 2)))
    train_denoiser(model, torch.ones(4, 2), seed=0, steps=200, rate=0.05)
    torch.testing.assert_close(model.patterns.detach(), torch.ones(1, 2), rtol=0, atol=0.3)


@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (torch.cat([normal(4, 6), torch.full((1, 6), torch.nan)]), {}, "finite"),
        (normal(4, 6).float(), {}, "float64"),
        (normal(4, 6), {"log_sigma": (math.nan, 1.0)}, "log_sigma"),
    ],
)
def test_a_refused_training_changes_nothing(data, options, error):
    model = small(NetDenoiser)
    with pytest.raises(ValueError, match=error):
        train_denoiser(model, data, seed=0, steps=3, **options)
    for one, other in zip(model.parameters(), small(NetDenoiser).parameters(), strict=True):
        assert torch.equal(one, other)


def test_samples_of_another_precision_than_the_network_are_refused_by_name():
    for kind in (NetDenoiser, EnergyDenoiser):
        with pytest.raises(ValueError, match=r"x must be torch\.float64"):
            small(kind).denoise(torch.zeros(1, 6), 1.0)


class Turned(nn.Module):
    def forward(self, x, noise):
        return x.T.contiguous()


class Column(nn.Module):
    def forward(self, x, noise):
        return x.square().sum(-1, keepdim=True)


@pytest.mark.parametrize("precondition", ["edm", "none"])
def test_a_network_that_returns_another_shape_is_refused(precondition):
    with pytest.raises(ValueError, match=r"net must return .*\(2, 3\), got \(3, 2\)"):
        NetDenoiser(Turned(), (3,), precondition=precondition).denoise(torch.ones(2, 3), 1.0)
    with pytest.raises(ValueError, match="potential must return"):
        EnergyDenoiser(Column(), (3,)).energy(torch.ones(2, 3), 1.0)


@pytest.mark.parametrize("kind", [NetDenoiser, EnergyDenoiser])
def test_half_precision_stays_in_a_network(kind):
    model, x = small(kind).bfloat16(), normal(2, 6).bfloat16()
    for sigma in (0.5, torch.tensor([0.5, 1.0])):
        assert model.denoise(x, sigma).dtype == model.score(x, sigma).dtype == torch.bfloat16
    assert sample(model, x).x.dtype == torch.bfloat16
