"""Feed-forward stacks as energy networks."""

import pytest
import torch
from torch import nn

from attractor.dynamics import relax
from attractor.energy import from_sequential, lagrangians


def test_first_sweep_is_the_feed_forward_pass(generator):
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh())
    network = from_sequential(model, 6)
    x = torch.randn(5, 6, generator=generator)
    found = relax(network, network.initial(input=x), clamp={"input"})
    torch.testing.assert_close(network.activations(found.state)["layer1"], model(x))


def test_drives_of_a_convolutional_stack_are_its_layers(generator):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.Softmax(dim=-1)
    )
    network = from_sequential(model, (1, 8, 8), visible=lagrangians.Tanh())
    assert [layer.shape for layer in network.layers.values()] == [(1, 8, 8), (4, 4, 4), (4, 2, 2), (3,)]
    assert repr(network.layer("layer1").lagrangian) == repr(lagrangians.ReLU())
    x = torch.randn(2, 1, 8, 8, generator=generator)
    activations = network.activations(network.initial(input=x))
    # with silent upper layers a layer hears what is below it, and no more
    for place, name in enumerate(["layer1", "layer2", "layer3"]):
        activations |= {upper: torch.zeros_like(activations[upper]) for upper in ["layer1", "layer2", "layer3"][place:]}
        activations[name] = network.layer(name).activation(network.drives(activations)[name])
    expected = model(x.tanh())
    torch.testing.assert_close(activations["layer3"], expected)


def test_weights_are_copies(generator):
    model = nn.Sequential(nn.Linear(3, 2))
    network = from_sequential(model, 3)
    before = [one.detach().clone() for one in model.parameters()]
    for parameter in network.parameters():
        parameter.data.add_(1)
    assert all(torch.equal(one, kept) for one, kept in zip(model.parameters(), before, strict=True))


def test_energy_falls_with_feedback(generator):
    network = from_sequential(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Sigmoid()), 6)
    found = relax(network, network.initial(input=torch.randn(3, 6, generator=generator)), trace=True)
    assert float(found.trace.energy.diff(dim=0).max()) <= 1e-5


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (nn.Sequential(nn.Linear(3, 2), nn.Dropout()), TypeError, r"model\[1\].*Dropout"),
        (nn.Sequential(nn.Linear(4, 2)), ValueError, r"model\[0\].*\(3,\)"),
        (nn.Sequential(nn.Tanh()), ValueError, r"model\[0\].*must follow"),
        (nn.Sequential(nn.Flatten()), ValueError, "at least one layer"),
    ],
)
def test_stacks_that_cannot_be_converted_are_refused_by_place(model, error, words):
    with pytest.raises(error, match=words):
        from_sequential(model, 3)


def test_soft_max_over_channels_stays_over_channels(generator):
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.Softmax(dim=1))
    network = from_sequential(model, (1, 4, 4))
    x = torch.randn(2, 1, 4, 4, generator=generator)
    found = relax(network, network.initial(input=x), clamp={"input"})
    torch.testing.assert_close(network.activations(found.state)["layer1"], model(x))


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Softmax(dim=-1)), (1, 4, 4), "must follow"),
        (nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=0)), (4,), "not the batch"),
        (nn.Sequential(nn.AvgPool2d(2, divisor_override=1)), (1, 4, 4), "divisor_override"),
        (nn.Sequential(nn.AvgPool1d(3, stride=3, padding=1)), (1, 3), "padding"),
        (nn.Sequential(nn.Linear(5, 3)), (4, 5), "Flatten"),
    ],
)
def test_stacks_that_would_become_another_network_are_refused(model, shape, words):
    with pytest.raises(ValueError, match=words):
        from_sequential(model, shape)


def test_conversion_draws_nothing():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    before = torch.get_rng_state()
    from_sequential(model, (1, 4, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_bias_of_a_convolution_stays_one_number_a_channel(generator):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh())
    network = from_sequential(model, (1, 28, 28))
    assert sum(one.numel() for one in network.parameters()) == sum(one.numel() for one in model.parameters()) == 40
    x = torch.randn(2, 1, 28, 28, generator=generator)
    found = relax(network, network.initial(input=x), clamp={"input"})
    torch.testing.assert_close(network.activations(found.state)["layer1"], model(x))


def test_module_used_twice_stays_one():
    shared = nn.Linear(3, 3)
    network = from_sequential(nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(3, 3)), 3)
    assert sum(one.numel() for one in network.parameters()) == 2 * 12
    assert network.connections[0].synapse.weight is network.connections[2].synapse.weight


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(2, 4, 3, groups=2, dilation=2), nn.Tanh()),
        nn.Sequential(nn.Conv2d(2, 4, 3, stride=(2, 3), padding=(1, 2)), nn.Tanh()),
        nn.Sequential(nn.AvgPool2d(3, stride=2), nn.Tanh()),
        nn.Sequential(nn.AvgPool2d((2, 3)), nn.Tanh()),
    ],
)
def test_first_sweep_is_the_pass_of_every_window(model, generator):
    network = from_sequential(model, (2, 9, 9))
    x = torch.randn(3, 2, 9, 9, generator=generator)
    found = relax(network, network.initial(input=x), clamp={"input"})
    torch.testing.assert_close(network.activations(found.state)["layer1"], model(x), rtol=1e-4, atol=1e-5)


class Squared(nn.Linear):
    def forward(self, x):
        return super().forward(x) ** 2


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (nn.Sequential(Squared(3, 2)), 3, r"model\[0\] must be one of Linear.*got Squared"),
        (nn.Linear(3, 2), 3, "model must be a Sequential, got Linear"),
    ],
)
def test_what_is_no_plain_stack_is_refused(model, shape, words):
    with pytest.raises(TypeError, match=words):
        from_sequential(model, shape)


def test_empty_shapes_are_refused():
    with pytest.raises(ValueError, match="input_shape"):
        from_sequential(nn.Sequential(nn.Linear(3, 2)), 0)
