"""SDMLP: a network of one wide hidden layer that follows Kanerva's memory, and so learns one task after the other.

`y = V h(x)` with the activations `h` of an `SDMLayer`: addresses `A`, values `V`, no biases, no negative weights (Bricken et al.
2023). An item moves the addresses and values of its k winners only, so that what other items have taught other neurons stays.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from torch.optim import Optimizer

from attractor.nn.sdm.inhibition import Inhibition
from attractor.nn.sdm.layer import SDMLayer, uniform
from attractor.validation import check_count

NEURONS_PER_WINNER = 500
"""From so many neurons for each winner on (measured on a CPU) gathering the winners is faster than products with all neurons."""


class SDMLP(nn.Module):
    """A classifier, or any map to `outputs` numbers, with sparse neurons.

    Start with `init_addresses(data)` where unlabelled data are at hand (and `inhibition="subtract"`), or pre-train with the GABA
    switch. After each step of an optimizer the weights must be projected back: `project_after(optimizer)`. Momentum goes on moving
    neurons that are silent: use `torch.optim.SGD` without it, or the optimizers of `attractor.nn.sparse_optimizers`.

    Args:
        dim: width of the input.
        outputs: width of the output; with as many as inputs, it takes the place of a feed-forward layer.
        neurons, k, inhibition, gaba_switch, anneal, nonnegative: of the `SDMLayer`.
        generator: of the random start. Default: one with the seed 0.

    Attributes:
        hidden: the `SDMLayer`.
        values: `(neurons, outputs)`, a row for each neuron: `V` transposed.

    Raises:
        TypeError, ValueError: as `SDMLayer`, or `outputs` below 1.

    Example:
        >>> data = torch.rand(200, 8, generator=torch.Generator().manual_seed(0))
        >>> model = SDMLP(8, 2, neurons=100, k=5, inhibition="subtract")
        >>> model.init_addresses(data)
        >>> optimizer = model.project_after(torch.optim.SGD(model.parameters(), lr=0.1))
        >>> torch.nn.functional.cross_entropy(model(data), (data[:, 0] > 0.5).long()).backward()
        >>> optimizer.step()
        >>> bool((model.values >= 0).all())
        True
    """

    def __init__(
        self,
        dim: int,
        outputs: int,
        *,
        neurons: int = 1000,
        k: int = 10,
        inhibition: Inhibition = "gaba",
        gaba_switch: int = 500_000,
        anneal: int = 0,
        nonnegative: Literal["clip", "error"] = "clip",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.outputs = check_count("outputs", outputs)
        generator = generator or torch.Generator().manual_seed(0)
        self.hidden = SDMLayer(
            dim,
            neurons,
            k=k,
            inhibition=inhibition,
            gaba_switch=gaba_switch,
            anneal=anneal,
            nonnegative=nonnegative,
            generator=generator,
        )
        self.values = nn.Parameter(uniform(neurons, outputs, neurons, generator))
        self.project()

    def forward(self, x: Tensor) -> Tensor:
        """The outputs `(..., outputs)` for `x (..., dim)`.

        Raises:
            TypeError, ValueError: as `SDMLayer`.
        """
        inhibit = self.hidden.inhibit
        if inhibit.neurons < NEURONS_PER_WINNER * inhibit.k or not inhibit.settled or x.dim() == 0:
            return self.hidden(x) @ self.values
        neurons, activations = self.hidden.winners(x.reshape(-1, x.shape[-1]))
        return (activations[:, None] @ embedding(neurons, self.values)).reshape(*x.shape[:-1], self.outputs)

    def init_addresses(self, data: Tensor, *, generator: torch.Generator | None = None) -> None:
        """See `SDMLayer.init_addresses`."""
        self.hidden.init_addresses(data, generator=generator)

    @torch.no_grad()
    def project(self) -> None:
        """Set negative weights to 0, then addresses to length 1."""
        self.hidden.project()
        self.values.clamp_(min=0)

    def project_after(self, optimizer: Optimizer) -> Optimizer:
        """Let `optimizer` call `project` after each of its steps; gives back the optimizer."""
        optimizer.register_step_post_hook(lambda *_: self.project())
        return optimizer

    @torch.no_grad()
    def dead_share(self, items: Tensor) -> float:
        """The share of the neurons that none of `items (n, dim)` activates."""
        training = self.training
        self.eval()
        alive = torch.zeros(self.hidden.neurons, dtype=torch.bool, device=items.device)
        for some in items.split(1024):
            alive |= (self.hidden(some) > 0).any(0)
        self.train(training)
        return float((~alive).double().mean())
