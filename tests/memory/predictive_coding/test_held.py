"""Senses that stand still are asked once in a descent, and give what asking them in each step gives."""

import pytest
import torch
from memory.predictive_coding.test_inference import evidence_of
from memory.predictive_coding.test_network import random_network, random_state

from attractor.memory.predictive_coding import Convolution, Curvature, Inference, inference
from attractor.memory.predictive_coding.held import hold
from attractor.memory.predictive_coding.inference import Evidence, descend

LONG = 1000


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("precision", [1.5, torch.linspace(0.5, 2, 12)], ids=["number", "vector"])
def test_held_senses_give_the_gradients_of_the_senses(precision, masked, bias):
    network = random_network((7, 5), "tanh", dim=12, precisions=[precision, 0.7, 0.3], bias=bias)
    senses, latents = random_state(network)
    mask = (torch.arange(12) % 3 > 0) * network.sensory_precision if masked else None
    wanted = network.latent_gradients(latents, network.errors(senses, latents, mask))
    for given in (mask, None if mask is None else mask.expand(len(senses), 12)):
        found = network.gradients_above(latents, hold(network, senses, given, LONG).seen)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("way", ["plain", "accelerated"])
@pytest.mark.parametrize("layers", [(4,), (6, 5)])
def test_a_descent_ends_where_it_ends_without(way, layers, monkeypatch):
    network = random_network(layers, "tanh", dim=12)
    evidence, latents = evidence_of(network, "clamped"), random_state(network, 6, seed=9)[1]
    (_, found), (_, before) = descend(network, Curvature(network), evidence, latents, Inference(200, way=way))
    monkeypatch.setattr(inference, "hold", lambda *_: None)
    (_, wanted), (_, earlier) = descend(network, Curvature(network), evidence, latents, Inference(200, way=way))
    for one, other in zip([*found, *before], [*wanted, *earlier], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_senses_are_held_only_where_that_is_less_work_and_all_rows_count_them_alike():
    network, senses = random_network((4,), "tanh", dim=12), torch.zeros(6, 12)
    assert hold(network, senses, None, 1) is None and hold(network, senses, None, 2) is not None
    assert hold(random_network((30,), "tanh", dim=12), senses, None, LONG) is None  # more above than twice those below
    assert hold(network, senses, torch.eye(12)[:6], LONG) is None
    maps = Convolution((2, 7, 6), (3, 3, 2), kernel=3, stride=2, padding=0)
    assert hold(random_network((maps,), "tanh", dim=84), torch.zeros(6, 84), None, LONG) is None


@pytest.mark.parametrize("how", [Inference(50, way="monotone"), Inference(50)], ids=["energy", "moving"])
def test_senses_are_asked_in_each_step_where_the_energy_or_the_senses_move(how, monkeypatch):
    def never(*_):
        raise AssertionError("held")

    monkeypatch.setattr(inference, "hold", never)
    network = random_network((4,), "tanh", dim=12)
    senses, latents = random_state(network)
    moves = None if how.way == "monotone" else torch.ones_like(senses)
    descend(network, Curvature(network), Evidence(senses, None, moves), latents, how)
