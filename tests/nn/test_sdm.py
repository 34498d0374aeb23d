"""Sparse distributed memory as layers: inhibition, addresses, projection."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from attractor.nn import SDMLP, GabaTopK, RowSparseAdam, RowSparseSGD, SDMLayer
from attractor.nn.sdm import network
from attractor.nn.sdm.layer import unit_length


def rand(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def randn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_response_to_inhibition_goes_from_minus_one_over_zero_to_one():
    inhibit = GabaTopK(3, 1, gaba_switch=10).eval()
    inhibit.counts = torch.tensor([0, 5, 10])
    assert inhibit.strength.tolist() == [-1, 0, 1]
    # the second largest, 2, excites the first neuron, leaves the second alone and inhibits the third
    assert inhibit(torch.tensor([[1.0, 2.0, 4.0]])).tolist() == [[3.0, 2.0, 2.0]]


def test_gaba_follows_its_equation_while_it_counts():
    inhibit, counts = GabaTopK(20, 3, gaba_switch=7), torch.zeros(20)
    for step in range(6):
        drive = randn(5, 20, seed=step)
        activations = drive.clamp(min=0)
        inhibition = activations.sort(descending=True).values[:, 3:4]
        expected = (activations - (-1 + 2 * counts / 7).clamp(-1, 1) * inhibition).clamp(min=0)
        torch.testing.assert_close(inhibit(drive), expected)
        counts = (counts + (expected > 0).sum(0)).clamp(max=7)
        assert torch.equal(inhibit.counts.float(), counts)


@pytest.mark.parametrize("mode", ["mask", "subtract", "gaba"])
def test_exactly_the_k_largest_of_the_positive_are_active(mode):
    inhibit = GabaTopK(30, 5, inhibition=mode, gaba_switch=1).eval()
    inhibit.counts.fill_(1)
    drive = randn(50, 30) - 1
    active = inhibit(drive) > 0
    assert torch.equal(active.sum(-1), (drive > 0).sum(-1).clamp(max=5))
    assert bool((active <= (drive > 0)).all()) and int(active.sum(-1).min()) < 5
    for row, chosen in zip(drive, active, strict=True):
        assert not chosen.any() or row[chosen].min() > row[~chosen].max()


def test_mask_keeps_activations_and_subtract_takes_the_next_one_off():
    drive = torch.tensor([[3.0, 1.0, 2.0, -1.0]])
    assert GabaTopK(4, 2, inhibition="mask")(drive).tolist() == [[3.0, 0.0, 2.0, 0.0]]
    assert GabaTopK(4, 2, inhibition="subtract")(drive).tolist() == [[2.0, 0.0, 1.0, 0.0]]


def test_no_gradient_flows_through_the_inhibition():
    drive = torch.tensor([[3.0, 1.0, 2.0, -1.0]], requires_grad=True)
    GabaTopK(4, 2, inhibition="subtract")(drive).sum().backward()
    assert drive.grad.tolist() == [[1, 0, 1, 0]]


@pytest.mark.parametrize(("mode", "more"), [("gaba", {}), ("subtract", {"anneal": 40})])
def test_counters_rest_in_evaluation_and_are_saved(mode, more):
    inhibit = GabaTopK(20, 3, inhibition=mode, gaba_switch=100, **more)
    inhibit(randn(8, 20))
    before = {name: value.clone() for name, value in inhibit.state_dict().items()}
    assert set(before) == {"counts", "seen"} and sum(int(value.sum()) for value in before.values()) > 0
    inhibit.eval()(randn(8, 20))
    assert all(torch.equal(before[name], value) for name, value in inhibit.state_dict().items())
    other = GabaTopK(20, 3, inhibition=mode, gaba_switch=100, **more)
    other.load_state_dict(before)
    assert torch.equal(other(randn(8, 20)), inhibit(randn(8, 20)))


@pytest.mark.parametrize("mode", ["mask", "subtract"])
def test_k_is_annealed_linearly_over_training_items(mode):
    inhibit, drive, active = GabaTopK(21, 1, inhibition=mode, anneal=40), rand(10, 21) + 0.1, []
    for _ in range(6):
        active.append(int((inhibit(drive) > 0).sum(-1).max()))
    assert active == [21, 16, 11, 6, 1, 1]
    assert inhibit.settled


@pytest.mark.parametrize("mode", ["mask", "subtract"])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, RowSparseSGD, RowSparseAdam])
def test_weights_stay_non_negative_and_addresses_of_length_one(mode, optimizer):
    model = SDMLP(12, 3, neurons=40, k=4, inhibition=mode)
    stepping = model.project_after(optimizer(model.parameters(), lr=0.5))
    items, labels = rand(30, 12), torch.arange(30) % 3
    model.init_addresses(items)
    before = cross_entropy(model(items), labels)
    for _ in range(20):
        stepping.zero_grad()
        cross_entropy(model(items), labels).backward()
        stepping.step()
        addresses = model.hidden.addresses.detach()
        assert all(bool((parameter >= 0).all()) for parameter in model.parameters())
        lengths = addresses.norm(dim=1)
        assert bool((((lengths - 1).abs() <= 1e-6) | (addresses == 0).all(1)).all())
    assert bool(cross_entropy(model(items), labels) < before)


def test_zero_input_and_zero_address_give_finite_output():
    model = SDMLP(6, 2, neurons=10, k=2, inhibition="subtract")
    with torch.no_grad():
        model.hidden.addresses[0] = 0
    model.project()
    out = model(torch.zeros(3, 6))
    out.sum().backward()
    assert bool(out.isfinite().all()) and all(bool(one.grad.isfinite().all()) for one in model.parameters())
    assert bool((model.hidden.addresses[0] == 0).all())


@pytest.mark.parametrize("mode", ["mask", "subtract", "gaba"])
def test_gathered_winners_equal_the_dense_product(mode, monkeypatch):
    results = []
    for neurons_per_winner in (0, 10**9):
        monkeypatch.setattr(network, "NEURONS_PER_WINNER", neurons_per_winner)
        model = SDMLP(9, 4, neurons=60, k=5, inhibition=mode, gaba_switch=1).double()
        model.hidden.inhibit.counts.fill_(1)
        model.init_addresses(rand(100, 9, dtype=torch.float64, seed=2))
        items = rand(2, 7, 9, dtype=torch.float64).requires_grad_()
        out = model(items)
        out.square().sum().backward()
        results.append([out.detach(), items.grad, *(one.grad for one in model.parameters())])
    for gathered, dense in zip(*results, strict=True):
        torch.testing.assert_close(gathered, dense, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["mask", "subtract"])
@pytest.mark.parametrize("neurons", [30, 60])
def test_gradients_of_each_item_come_from_torch_func(mode, neurons, monkeypatch):
    monkeypatch.setattr(network, "NEURONS_PER_WINNER", 10)
    model, items = SDMLP(8, 3, neurons=neurons, k=5, inhibition=mode).eval(), rand(6, 8)
    parameters = {name: one.detach() for name, one in model.named_parameters()}

    def loss(weights, item):
        return torch.func.functional_call(model, weights, item[None]).square().sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, items)
    for place, item in enumerate(items):
        model.zero_grad()
        model(item[None]).square().sum().backward()
        for name, one in model.named_parameters():
            torch.testing.assert_close(found[name][place], one.grad)


def test_winners_are_refused_while_others_may_be_active():
    layer = SDMLayer(8, 50, k=3, gaba_switch=10)
    with pytest.raises(ValueError, match="inhibition must be settled"):
        layer.winners(rand(5, 8))


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (torch.float32, 1e-40),
        (torch.float32, 1e-13),
        (torch.float32, 1e20),
        (torch.float32, 3e38),
        (torch.float16, 1e-6),
        (torch.float16, 6e4),
    ],
)
def test_directions_have_length_one_whatever_the_size_of_the_input(dtype, size):
    directions = SDMLayer(8, 50, k=3).directions((rand(5, 8).double() * size).to(dtype))
    assert directions.dtype == dtype
    tolerance = 1e-6 if dtype == torch.float32 else 2e-3
    torch.testing.assert_close(directions.double().norm(dim=1), torch.ones(5, dtype=torch.float64), rtol=0, atol=tolerance)
    unit = unit_length(rand(5, 8))
    torch.testing.assert_close(unit_length(unit_length(unit)), unit_length(unit), rtol=0, atol=1e-7)


def test_half_precision_stays_finite():
    model = SDMLP(8, 3, neurons=50, k=5, inhibition="subtract").half()
    with torch.no_grad():
        model.hidden.addresses[0] = 0
    model.project()
    assert bool((model.hidden.addresses[0] == 0).all())
    out = model(torch.zeros(2, 8, dtype=torch.float16))
    out.sum().backward()
    assert bool(out.isfinite().all()) and all(bool(one.grad.isfinite().all()) for one in model.parameters())


def test_length_of_the_input_passes_no_gradient():
    x = rand(4, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(unit_length, x)
    (gradient,) = torch.autograd.grad(unit_length(x)[:, 0].sum(), x)
    torch.testing.assert_close((gradient * x).sum(1), torch.zeros(4, dtype=torch.float64))


def test_autocast_lets_k_neurons_win():
    layer, items = SDMLayer(64, 2000, k=10, inhibition="subtract"), rand(20, 64)
    layer.init_addresses(rand(2000, 64, seed=1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ((layer(items) > 0).sum(-1) == 10).all()


def test_gathering_waits_until_all_neurons_are_inhibited_in_full(monkeypatch):
    monkeypatch.setattr(network, "NEURONS_PER_WINNER", 0)
    model = SDMLP(9, 4, neurons=60, k=5, gaba_switch=100).eval()
    assert int((model.hidden(rand(1, 9)) > 0).sum()) > 5
    torch.testing.assert_close(model(rand(3, 9)), model.hidden(rand(3, 9)) @ model.values)


def test_addresses_from_data_are_its_directions():
    layer = SDMLayer(5, 8, k=2, inhibition="subtract")
    before, data = layer.addresses.detach().clone(), randn(6, 5) + 0.5
    data[0] = -1
    layer.init_addresses(data)
    directions = torch.nn.functional.normalize(data[1:].clamp(min=0), dim=1)
    cosines = layer.addresses.detach()[:5] @ directions.T
    torch.testing.assert_close(cosines.amax(1), torch.ones(5))
    assert sorted(cosines.argmax(1).tolist()) == [0, 1, 2, 3, 4]
    assert torch.equal(layer.addresses[5:], before[5:])


def test_start_depends_on_the_generator_alone():
    one = SDMLP(5, 2, neurons=20, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(9)
    state = torch.get_rng_state()
    two = SDMLP(5, 2, neurons=20, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.hidden.addresses, two.hidden.addresses) and torch.equal(one.values, two.values)
    assert not torch.equal(one.values, SDMLP(5, 2, neurons=20, generator=torch.Generator().manual_seed(4)).values)


def test_half_of_the_first_values_are_cut_to_zero():
    assert 0.45 < float((SDMLP(50, 4, neurons=400).values == 0).float().mean()) < 0.55


def test_autocast_and_double_work_and_leading_axes_are_batch():
    model = SDMLP(16, 16, neurons=200, k=2, inhibition="subtract")
    tokens = randn(2, 3, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(tokens)
    out.float().sum().backward()
    assert bool(out.isfinite().all()) and bool(model.values.grad.isfinite().all())
    exact = model.double()(tokens.double())
    assert exact.dtype == torch.float64 and exact.shape == (2, 3, 16)
    torch.testing.assert_close(exact[1, 2], model(tokens[1, 2].double()))


def test_dead_neurons_are_those_that_no_item_activates():
    model = SDMLP(3, 2, neurons=3, k=1, inhibition="mask")
    with torch.no_grad():
        model.hidden.addresses.copy_(torch.eye(3))
    assert model.dead_share(torch.eye(3)[:2]) == pytest.approx(1 / 3)
    assert model.training


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neurons": 10, "k": 10}, "k must be below neurons = 10, got 10"),
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"gaba_switch": 0}, "gaba_switch must be at least 1, got 0"),
        ({"inhibition": "none"}, "inhibition must be one of"),
        ({"anneal": 5}, "anneal must be 0"),
        ({"anneal": -1, "inhibition": "mask"}, "anneal must be at least 0"),
        ({"nonnegative": "maybe"}, "nonnegative must be"),
    ],
)
def test_bad_settings_are_refused_with_what_came(settings, message):
    with pytest.raises(ValueError, match=message):
        SDMLP(4, 2, **settings)


def test_bad_input_is_refused_with_what_came():
    layer = SDMLayer(4, 8, k=2, nonnegative="error")
    with pytest.raises(ValueError, match=r"x must be floating point, got torch.int64"):
        layer(torch.ones(2, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\(\.\.\., 4\), got \(3, 5\)"):
        layer(torch.rand(3, 5))
    with pytest.raises(ValueError, match="must not be negative, got -2"):
        layer(torch.tensor([[1.0, -2.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"\(\.\.\., 8\), got \(2, 4\)"):
        layer.inhibit(torch.rand(2, 4))
    with pytest.raises(ValueError, match="width 4"):
        layer.init_addresses(torch.rand(3, 5))
    with pytest.raises(ValueError, match="positive entries"):
        SDMLayer(4, 8, k=2).init_addresses(-torch.rand(3, 4))
