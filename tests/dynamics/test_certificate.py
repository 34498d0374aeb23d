import pytest
import torch
from energy.dense import network_of, states, two_layers, weights

from attractor.dynamics import relax
from attractor.dynamics.certificate import certify
from attractor.dynamics.euler import Euler
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, lyapunov, synapses
from attractor.energy.lanczos import lanczos
from attractor.read import SoftMax


def test_rest_is_certified_sample_by_sample():
    network, start = two_layers(0)
    found = relax(network, start, Euler(0.05), tol=1e-9, max_steps=2000, trace=True)
    certificate = certify(network, found)
    assert bool(certificate.steady.all()) and bool(certificate.stable.all()) and bool(certificate.rate_held.all())
    assert certificate.function == "E_gamma" and certificate.ratio == pytest.approx(0.5)
    assert float(certificate.rise.max()) < 1e-9 and float(certificate.energy_rise.max()) < 1e-9
    assert not bool(certificate.spurious.any()) and 0 < float(certificate.dead.mean()) < 1
    torch.testing.assert_close(certificate.residual, found.residual)
    for values in (certificate.rise, certificate.rate_held, certificate.eigenvalue, certificate.dead):
        assert values.shape == (30,)


def test_unfinished_relaxation_is_not_certified():
    network, start = two_layers(0)
    certificate = certify(network, relax(network, start, Euler(0.05), max_steps=3, trace=True))
    assert not bool(certificate.steady.any()) and not bool(certificate.stable.any()) and bool(certificate.rate_held.all())


def test_spurious_end_is_called_so():
    network = network_of(lagrangians.ReLU(), torch.tensor([[0.5]]).double(), torch.tensor([1.0]).double())
    start = {"x": torch.tensor([[-3.0], [2.0]]).double()}
    certificate = certify(network, relax(network, start, max_steps=0))
    assert certificate.spurious.tolist() == [True, False] and certificate.stable.tolist() == [False, True]
    assert certificate.dead.tolist() == [1.0, 0.0] and certificate.rise is None and "not traced" in repr(certificate)


def test_unstable_rest_is_told():
    network = network_of(lagrangians.Tanh(beta=1.0), torch.tensor([[2.0]]).double(), torch.zeros(1).double())
    certificate = certify(network, relax(network, {"x": torch.zeros(1, 1).double()}, max_steps=0))
    assert bool(certificate.steady) and not bool(certificate.stable) and certificate.eigenvalue.tolist() == pytest.approx([1.0])


def test_rise_of_long_steps_is_seen():
    W, b = weights(8, 0)
    network = network_of(lagrangians.Tanh(beta=4.0), W * 3, b)
    certificate = certify(network, relax(network, states(10, 8, 0), Euler(1.0), max_steps=20, trace=True))
    assert float(certificate.energy_rise.max()) > 1e-3 and float(certificate.rise.max()) > 1e-3
    assert bool(certificate.rate_held.all())  # of the continuous motion, at every state


def test_clamped_layer_counts_for_nothing():
    network, start = two_layers(1)
    found = relax(network, start, Euler(0.1), clamp={"image"}, tol=1e-9, max_steps=2000, trace=True)
    certificate = certify(network, found, clamp={"image"})
    assert bool(certificate.stable.all()) and bool(certificate.rate_held.all())
    torch.testing.assert_close(certificate.eigenvalue, -torch.ones(30).double())  # soft-max driven by what is fixed
    assert not bool(certify(network, found).steady.any())


def test_clamped_units_differ_between_samples():
    network, start = network_of(lagrangians.Tanh(), *weights(6, 0, gain=0.8)), states(5, 6, 0)
    mask = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) < 0.3
    found = relax(network, start, Euler(0.1), clamp={"x": mask}, tol=1e-9, max_steps=2000, trace=True)
    certificate = certify(network, found, clamp={"x": mask})
    assert bool(certificate.stable.all()) and bool(certificate.rate_held.all()) and float(certificate.rise.max()) < 1e-9


def test_without_bounded_curvature_the_energy_stands_in():
    network = network_of(lagrangians.LayerNorm(eps=0.0), *weights(6, 0))
    found = relax(network, states(4, 6, 0), Euler(0.02), tol=1e-9, max_steps=5000, trace=True)
    certificate = certify(network, found)
    assert certificate.function == "E" and certificate.gamma == 0 and bool(certificate.rate_held.all())
    with pytest.raises(ValueError, match="bounded curvature"):
        certify(network, found, gamma=0.1)


def test_certificate_reads_as_a_summary():
    network, start = two_layers(0)
    text = repr(certify(network, relax(network, start, tol=1e-9, max_steps=500, trace=True)))
    for words in ("E_gamma, gamma = ", "steady: 30 of 30", "stable: 30 of 30", "spurious: 0 of 30", "rate held for 30 of 30"):
        assert words in text


def test_units_on_a_kink_are_not_certified():
    network = network_of(lagrangians.ReLU(), torch.tensor([[0.0, 2.0], [2.0, 0.0]]).double(), torch.zeros(2).double())
    certificate = relax(network, {"x": torch.zeros(1, 2).double()}, "euler", certify=True).certificate
    assert bool(certificate.steady) and not bool(certificate.stable) and certificate.eigenvalue.tolist() == pytest.approx([1.0])
    assert "stable: 0 of 1" in repr(certificate)


def test_curvature_that_changes_is_measured_along_the_way():
    patterns = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    memory = synapses.MemorySynapse(patterns, separation=SoftMax(4.0))
    network = EnergyNetwork({"x": Neurons(lagrangians.Tanh(), 6)}, [Connection(memory, ("x",))])
    certificate = relax(network, states(5, 6, 0), Euler(0.05), tol=1e-8, max_steps=2000, certify=True).certificate
    assert bool(certificate.rate_held.all()) and certificate.ratio == pytest.approx(0.5) and float(certificate.rise.max()) < 1e-9


def test_certificate_of_quadratic_synapses_measures_the_curvature_once(monkeypatch):
    network, start = two_layers(0)
    seen = []
    monkeypatch.setattr(lyapunov, "lanczos", lambda *given, **more: seen.append(len(given[1])) or lanczos(*given, **more))
    relax(network, start, Euler(0.05), tol=1e-9, max_steps=300, certify=True)
    assert seen == [1]
