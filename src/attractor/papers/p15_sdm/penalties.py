"""EWC and MAS for a network of one hidden layer, whose importances take one pass over a batch instead of one for each item.

For one item the gradient of a weight is a product, `d_i x_j`: what comes back to the neuron times what came in. So are its square
and its absolute value, and their means over items are products of matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from attractor.estimators.sequential import EWC, L2, MAS, SI, Strategy, Training
from attractor.estimators.sequential.strategy import Gradients, evaluating
from attractor.papers.p15_sdm.models import Network

TEMPERATURE = 0.08
"""That logits are multiplied by for EWC, as in the paper's code for Split CIFAR10."""

ESTIMATED_ON = 2560
"""Items of a task, at most, on which importances are estimated."""


class OwnLabelEWC(EWC):
    """EWC with the information about the model's own answers, of a soft-max whose logits are multiplied by `temperature`."""

    def __init__(self, strength: float, temperature: float = TEMPERATURE):
        super().__init__(strength)
        self.temperature = temperature

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        def surprise(outputs: Tensor) -> Tensor:
            return cross_entropy(self.temperature * outputs, outputs.argmax(-1), reduction="sum")

        return mean_size_of_gradients(surprise, torch.square, items, training)


class BatchedMAS(MAS):
    """The same MAS, its importances from products of matrices."""

    def measure(self, items: Tensor, labels: Tensor, training: Training) -> Gradients:
        return mean_size_of_gradients(lambda outputs: outputs.square().sum(), torch.abs, items, training)


PENALTIES: dict[str, Callable[[float], Strategy]] = {"EWC": OwnLabelEWC, "MAS": BatchedMAS, "SI": SI, "L2": L2}


def mean_size_of_gradients(
    value: Callable[[Tensor], Tensor], size: Callable[[Tensor], Tensor], items: Tensor, training: Training
) -> Gradients:
    """The mean over `items (n, dim)` of the `size`, square or absolute value, of each item's gradient.

    `value(outputs (n, classes))` is the sum over items of what the gradient is taken of.
    """
    network = training.model
    assert isinstance(network, Network)
    with evaluating(network):
        directions = network.directions(items[:ESTIMATED_ON])
        drive = network.drive(directions)
        hidden = network.activations(drive)
        outputs = network.outputs(hidden)
        slopes = torch.autograd.grad(value(outputs), (drive, outputs))
    to_drive, to_outputs, directions, hidden = (size(one.detach()) for one in (*slopes, directions, hidden))
    sums = {
        "addresses": to_drive.T @ directions,
        "values": hidden.T @ to_outputs,
        "bias": to_drive.sum(0),
        "output_bias": to_outputs.sum(0),
    }
    return {name: sums[name] / len(directions) for name in training.parameters}
