"""Top-K inhibition: of many neurons a few win (Bricken et al. 2023, section 3 and appendix on the GABA switch).

With activations `a = relu(drive)` and `I` the (k+1)-th largest of them, through which no gradient flows:

* `"mask"`: the k largest keep their activation, all others are 0;
* `"subtract"`: `h = relu(a - I)`;
* `"gaba"`: `h_n = relu(a_n - lambda_n I)` with `lambda_n = clip(-1 + 2 c_n / S, -1, 1)`, where `c_n` is how many training items
  have activated neuron n. A new neuron is excited by what inhibits the others, so that each of them learns; after S activations
  it is inhibited in full. GABA does the same in the developing brain, hence the name.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from attractor.nn.top_k import largest
from attractor.validation import check_count

Inhibition = Literal["mask", "subtract", "gaba"]


class GabaTopK(nn.Module):
    """Lets k of many neurons win.

    Args:
        neurons: N, width of the input.
        k: how many win, below N. Fewer do where fewer have a positive drive, or where the k-th and the next are equal
            (`"mask"` then takes the one of lower index).
        inhibition: `"mask"`, `"subtract"` or `"gaba"`.
        gaba_switch: S of `"gaba"`, the activations after which a neuron is inhibited in full.
        anneal: training items over which k falls linearly from N to `k`, for `"mask"` and `"subtract"`; 0 for none.

    Attributes:
        counts: `(neurons,)` int64, the activations of each neuron so far, up to `gaba_switch`: kept by `"gaba"`, in training only.
        seen: `()` int64, the items seen so far, up to `anneal`, in training only.

    Raises:
        TypeError: a number that is no integer.
        ValueError: k outside 1..N-1, `gaba_switch` below 1, `anneal` negative or given to `"gaba"`, or an unknown
            `inhibition`.

    Example:
        >>> inhibit = GabaTopK(4, 2, inhibition="subtract")
        >>> inhibit(torch.tensor([[0.5, -1.0, 0.75, 0.25]])).tolist()
        [[0.25, 0.0, 0.5, 0.0]]
    """

    counts: Tensor
    seen: Tensor

    def __init__(self, neurons: int, k: int, *, inhibition: Inhibition = "gaba", gaba_switch: int = 500_000, anneal: int = 0):
        super().__init__()
        self.neurons, self.k = check_count("neurons", neurons), check_count("k", k)
        if k >= neurons:
            raise ValueError(f"k must be below neurons = {neurons}, got {k}")
        if inhibition not in get_args(Inhibition):
            raise ValueError(f"inhibition must be one of {get_args(Inhibition)}, got {inhibition!r}")
        self.inhibition: Inhibition = inhibition
        self.gaba_switch, self.anneal = check_count("gaba_switch", gaba_switch), check_count("anneal", anneal, 0)
        if anneal and inhibition == "gaba":
            raise ValueError(f"anneal must be 0 for inhibition 'gaba', which has a switch of its own, got {anneal}")
        self.register_buffer("counts", torch.zeros(neurons, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @property
    def winners(self) -> int:
        """k as it is now: more than `k` while it is annealed."""
        if not self.anneal:
            return self.k
        return self.neurons - round((self.neurons - self.k) * int(self.seen) / self.anneal)

    @property
    def strength(self) -> Tensor:
        """`lambda (neurons,)` of `"gaba"`, from -1, which excites, to 1."""
        return (self.counts * 2 / self.gaba_switch - 1).clamp(-1, 1)

    @property
    def settled(self) -> bool:
        """Whether all neurons are inhibited in full and k has its final value."""
        return self.winners == self.k and (self.inhibition != "gaba" or bool((self.counts >= self.gaba_switch).all()))

    def forward(self, drive: Tensor) -> Tensor:
        """The activations `(..., neurons)` that are left of `drive (..., neurons)`.

        Raises:
            ValueError: another width.
        """
        if drive.dim() == 0 or drive.shape[-1] != self.neurons:
            raise ValueError(f"drive must have shape (..., {self.neurons}), got {tuple(drive.shape)}")
        activations = relu(drive)
        if self.inhibition == "mask":
            chosen = largest(activations, self.winners)
            left = torch.zeros_like(activations).scatter(-1, chosen, activations.gather(-1, chosen))
        elif self.inhibition == "subtract":
            left = relu(activations - threshold(activations, self.winners))
        else:
            left = relu(activations - self.strength.to(activations.dtype) * threshold(activations, self.k))
        if self.training:
            self._count(left)
        return left

    @torch.no_grad()
    def _count(self, left: Tensor) -> None:
        rows = left.reshape(-1, self.neurons)
        if self.inhibition == "gaba":
            self.counts.add_((rows > 0).sum(0)).clamp_(max=self.gaba_switch)
        elif self.anneal:
            self.seen.add_(len(rows)).clamp_(max=self.anneal)

    def extra_repr(self) -> str:
        more = (
            f", gaba_switch={self.gaba_switch}" if self.inhibition == "gaba" else f", anneal={self.anneal}" if self.anneal else ""
        )
        return f"{self.neurons}, k={self.k}, inhibition={self.inhibition!r}{more}"


def threshold(activations: Tensor, k: int) -> Tensor:
    """The (k+1)-th largest of `activations (..., n)`, `(..., 1)`; 0 where all may win."""
    if k >= activations.shape[-1]:
        return activations.new_zeros(*activations.shape[:-1], 1)
    return activations.detach().topk(k + 1, dim=-1).values[..., -1:]
