"""Neurons with addresses, of which those nearest to the input answer: the first layer of an SDM (Bricken et al. 2023).

`h = inhibit(A x / |x|)` with rows of `A` of length 1 and no entry below 0: a neuron's drive is the cosine of its address and the
input. Kanerva's memory activates the locations within a fixed distance; here the k nearest ones are active.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, relu
from torch.optim import Optimizer

from attractor.nn.sdm.inhibition import GabaTopK, Inhibition
from attractor.nn.top_k import largest
from attractor.validation import check_count, check_floating, check_matrix


class SDMLayer(nn.Module):
    """The activations of neurons by the cosine of their addresses with the input, after inhibition.

    After each step of an optimizer the addresses must be projected back: call `project`, or let `project_after(optimizer)` do it.

    Args:
        dim: width of the input.
        neurons: N.
        k: how many neurons win, below N.
        inhibition, gaba_switch, anneal: of `GabaTopK`.
        nonnegative: what becomes of negative inputs: `"clip"` sets them to 0, `"error"` refuses them.
        generator: of the random addresses. Default: one with the seed 0.

    Attributes:
        addresses: `(neurons, dim)`, each of length 1 and without entries below 0; a row that such a step has made zero stays so.
        inhibit: the `GabaTopK`.

    Raises:
        TypeError, ValueError: as `GabaTopK`; `dim` below 1, or `nonnegative` unknown.

    Example:
        >>> layer = SDMLayer(8, 100, k=5, inhibition="subtract")
        >>> active = layer(torch.rand(3, 8, generator=torch.Generator().manual_seed(0)))
        >>> active.shape, (active > 0).sum(-1).tolist()
        (torch.Size([3, 100]), [5, 5, 5])
    """

    def __init__(
        self,
        dim: int,
        neurons: int,
        *,
        k: int = 10,
        inhibition: Inhibition = "gaba",
        gaba_switch: int = 500_000,
        anneal: int = 0,
        nonnegative: Literal["clip", "error"] = "clip",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.dim = check_count("dim", dim)
        if nonnegative not in ("clip", "error"):
            raise ValueError(f"nonnegative must be 'clip' or 'error', got {nonnegative!r}")
        self.nonnegative = nonnegative
        self.inhibit = GabaTopK(neurons, k, inhibition=inhibition, gaba_switch=gaba_switch, anneal=anneal)
        self.addresses = nn.Parameter(uniform(neurons, dim, dim, generator or torch.Generator().manual_seed(0)))
        self.project()

    @property
    def neurons(self) -> int:
        return self.inhibit.neurons

    def forward(self, x: Tensor) -> Tensor:
        """The activations `(..., neurons)` for `x (..., dim)`.

        Raises:
            TypeError: `x` is no tensor.
            ValueError: another width, integers, or negative entries where `nonnegative="error"`.
        """
        return self.inhibit(self._drive(self.directions(x)))

    def winners(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives, as the k neurons `(b, k)` that may be active and their activations `(b, k)`, for `x (b, dim)`.

        Gradients reach the rows of the winners alone, so that a backward pass costs `b k dim` instead of `b neurons dim`.

        Raises:
            TypeError: as `forward`.
            ValueError: as `forward`, or inhibition that is not yet `settled`, as more neurons than k may then be active.
        """
        if not self.inhibit.settled:
            raise ValueError(
                "inhibition must be settled for k winners only, got neurons that are not inhibited in full; call the layer"
            )
        directions, k = self.directions(x), self.inhibit.k
        with torch.no_grad():
            drive = self._drive(directions)
            if self.inhibit.inhibition == "mask":
                neurons, inhibition = largest(relu(drive), k), drive.new_zeros(1)
            else:
                top, indices = drive.topk(k + 1, dim=-1)
                neurons, inhibition = indices[:, :k], relu(top[:, k:])
        return neurons, relu(relu(Cosines.apply(directions, self.addresses, drive, neurons)) - inhibition)

    def directions(self, x: Tensor) -> Tensor:
        """`x (..., dim)` without negative entries, at length 1; a zero input stays zero."""
        check_floating("x", x)
        if x.dim() == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"x must have shape (..., {self.dim}), got {tuple(x.shape)}")
        if self.nonnegative == "error" and bool((x < 0).any()):
            raise ValueError(f"x must not be negative, got {float(x.min()):g}; scale it, or take nonnegative='clip'")
        return unit_length(relu(x))

    @torch.no_grad()
    def init_addresses(self, data: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the addresses to rows of `data (n, dim)`, no labels needed: they then tile the data as after long pre-training.

        Rows are drawn without repetition, those without a positive entry left out. Where there are fewer than neurons, the
        other neurons keep their addresses.

        Raises:
            TypeError, ValueError: not a finite matrix of the layer's width, or no row with a positive entry.
        """
        check_matrix("data", data, self.dim)
        directions = self.directions(data.to(self.addresses))
        directions = directions[(directions > 0).any(-1)]
        if len(directions) == 0:
            raise ValueError("data must have rows with positive entries, got none")
        order = torch.randperm(len(directions), generator=generator or torch.Generator().manual_seed(0))[: self.neurons]
        self.addresses[: len(order)] = directions[order.to(directions.device)]

    @torch.no_grad()
    def project(self) -> None:
        """Set negative weights to 0, then addresses to length 1."""
        self.addresses.copy_(unit_length(self.addresses.clamp(min=0)))

    def project_after(self, optimizer: Optimizer) -> Optimizer:
        """Let `optimizer` call `project` after each of its steps; gives back the optimizer."""
        optimizer.register_step_post_hook(lambda *_: self.project())
        return optimizer

    def _drive(self, directions: Tensor) -> Tensor:
        """The cosines `(..., neurons)`, under autocast too in the precision of the addresses: rounded further they would tie."""
        device = directions.device.type
        if not torch.is_autocast_enabled(device):
            return linear(directions, self.addresses)
        with torch.autocast(device, enabled=False):
            return linear(directions.to(self.addresses.dtype), self.addresses)

    def extra_repr(self) -> str:
        return f"{self.dim}, {self.neurons}"


class Cosines(torch.autograd.Function):
    """Some entries of `drive (b, neurons)`, those of `neurons (b, k)`, with gradients that touch no other rows of the addresses."""

    generate_vmap_rule = True

    @staticmethod
    def forward(directions: Tensor, addresses: Tensor, drive: Tensor, neurons: Tensor) -> Tensor:
        return drive.gather(-1, neurons)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        directions, addresses, _, neurons = inputs
        ctx.save_for_backward(directions, addresses, neurons)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        directions, addresses, neurons = ctx.saved_tensors
        to_directions = to_addresses = None
        if ctx.needs_input_grad[0]:
            to_directions = (slope[:, None] @ embedding(neurons, addresses)).squeeze(1).to(directions.dtype)
        if ctx.needs_input_grad[1]:
            rows = (slope[:, :, None] * directions[:, None]).reshape(-1, directions.shape[-1]).to(addresses.dtype)
            to_addresses = torch.zeros_like(addresses).index_add(0, neurons.reshape(-1), rows)
        return to_directions, to_addresses, None, None


def unit_length(rows: Tensor) -> Tensor:
    """`rows (..., n)` at length 1 whatever their size; zero rows stay zero.

    Dividing by a power of two near the largest entry first keeps squares within the range of the numbers, and costs no rounding.
    """
    largest_entry = rows.detach().abs().amax(-1, keepdim=True)
    power = largest_entry / (2 * torch.frexp(largest_entry).mantissa)
    scaled = rows / torch.where(largest_entry > 0, power, 1)
    length = scaled.norm(dim=-1, keepdim=True)
    return scaled / torch.where(length > 0, length, 1)


def uniform(rows: int, columns: int, inputs: int, generator: torch.Generator) -> Tensor:
    """The start of `torch.nn.Linear` with so many inputs."""
    bound = 1 / sqrt(inputs)
    return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)
