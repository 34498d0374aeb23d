"""The networks that are compared: the SDMLP with some of its ingredients left out, down to a plain network.

With `inhibition=None` and nothing else it is a plain ReLU network; with everything it computes what `attractor.nn.SDMLP` does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from attractor.nn.sdm import GabaTopK, Inhibition
from attractor.nn.sdm.layer import uniform, unit_length


class Ingredients(NamedTuple):
    """What a network has of an SDMLP.

    Attributes:
        inhibition: of the hidden neurons; None for a plain ReLU.
        unit: whether inputs and addresses have length 1.
        nonnegative: whether weights are kept from being negative.
        biased: whether neurons have biases, which an SDMLP has not.
        from_data: whether the addresses start at items.
    """

    inhibition: Inhibition | None = None
    unit: bool = False
    nonnegative: bool = False
    biased: bool = True
    from_data: bool = False


NETWORKS = {
    "SDMLP": Ingredients("subtract", unit=True, nonnegative=True, biased=False, from_data=True),
    "SDMLP, random addresses, GABA switch": Ingredients("gaba", unit=True, nonnegative=True, biased=False),
    "SDMLP, random addresses, subtract": Ingredients("subtract", unit=True, nonnegative=True, biased=False),
    "SDMLP, random addresses, mask": Ingredients("mask", unit=True, nonnegative=True, biased=False),
    "SDMLP without unit length": Ingredients("subtract", nonnegative=True, biased=False, from_data=True),
    "SDMLP with biases": Ingredients("subtract", unit=True, nonnegative=True, from_data=True),
    "SDMLP with signed weights": Ingredients("subtract", unit=True, biased=False, from_data=True),
    "Top-K alone": Ingredients("mask", from_data=True),
    "ReLU network": Ingredients(),
    "ReLU network, addresses from data": Ingredients(from_data=True),
}


class Network(nn.Module):
    """One hidden layer with some ingredients of the SDMLP.

    Args:
        dim, classes, neurons: widths.
        ingredients: what it has.
        k, switch: of the inhibition.
        pool: `(n, dim)` items to take addresses from.
        seed: of the start.
    """

    def __init__(
        self, dim: int, classes: int, neurons: int, ingredients: Ingredients, *, k: int, switch: int, pool: Tensor, seed: int
    ):
        super().__init__()
        self.ingredients = ingredients
        generator = torch.Generator().manual_seed(seed)
        self.inhibit = (
            None if ingredients.inhibition is None else GabaTopK(neurons, k, inhibition=ingredients.inhibition, gaba_switch=switch)
        )
        addresses, values = uniform(neurons, dim, dim, generator), uniform(neurons, classes, neurons, generator)
        biases = uniform(1, neurons, dim, generator)[0], uniform(1, classes, neurons, generator)[0]
        if ingredients.from_data:
            addresses = unit_length(pool[torch.randperm(len(pool), generator=generator)[:neurons]])
        self.addresses, self.values = nn.Parameter(addresses), nn.Parameter(values)
        self.bias = nn.Parameter(biases[0]) if ingredients.biased else None
        self.output_bias = nn.Parameter(biases[1]) if ingredients.biased else None
        self.project()

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(self.hidden(x))

    def hidden(self, x: Tensor) -> Tensor:
        """The activations `(b, neurons)` for `x (b, dim)`."""
        return self.activations(self.drive(self.directions(x)))

    def directions(self, x: Tensor) -> Tensor:
        """What the hidden neurons see of `x (b, dim)`."""
        return unit_length(relu(x)) if self.ingredients.unit else x

    def drive(self, directions: Tensor) -> Tensor:
        return linear(directions, self.addresses, self.bias)

    def activations(self, drive: Tensor) -> Tensor:
        return relu(drive) if self.inhibit is None else self.inhibit(drive)

    def outputs(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.values.T, self.output_bias)

    @torch.no_grad()
    def project(self) -> None:
        """Bring the weights back to what the ingredients ask for."""
        if self.ingredients.nonnegative:
            for parameter in self.parameters():
                parameter.clamp_(min=0)
        if self.ingredients.unit:
            # in place: addresses are near length 1 already, and most of the time of a step goes by in memory
            self.addresses.div_(self.addresses.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(self.addresses.dtype).tiny))
