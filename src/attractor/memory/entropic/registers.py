"""Associative memory registers: tables of weights that overlap all that was registered (Pineda, Hernandez and Morales).

A register has `n` columns, one for each feature, and `m` rows, one for each value. An object is one value `v_i` for each column, or
none where it is undefined.

    register    R[i, v_i] <- min(cap, R[i, v_i] + 1)
    recognise   at most xi columns miss, those with R[i, v_i] = 0 or R[i, v_i] < iota omega_i,
                and mean_i R[i, v_i] >= kappa mean_i omega_i, where omega_i is the mean of the non-zero weights of column i
    retrieve    a row k of each column, in proportion to R[i, k] exp(-(k - v_i)^2 / (2 (sigma m)^2))
    entropy     mean_i H_i, of the weights of each column as probabilities, in bits
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self, TypedDict

import torch
from torch import Tensor, nn

from attractor.memory.entropic.codes import check_codes
from attractor.memory.entropic.drawing import draw
from attractor.memory.entropic.recognition import Recogniser, Recognition, Undefined, cells
from attractor.validation import check_count, check_not_negative, check_positive

LARGEST_CAP = 2**30 - 1
NUMBERS_AT_ONCE = 2**18
"""Cells that are looked at together: what is made of them stays in the cache."""


class Thresholds(TypedDict, total=False):
    """What registers may be told beside their shape; `EntropicMemory` says what each means."""

    iota: float
    kappa: float
    xi: int
    cap: int
    undefined: Undefined


class Settings(Thresholds, total=False):
    """The same, of registers that are retrieved from."""

    sigma: float | None


class Retrieval(NamedTuple):
    """Objects that were retrieved: `codes (b, n)`, -1 where undefined and throughout where the cue was not `accepted (b,)`."""

    codes: Tensor
    accepted: Tensor


class EntropicRegisters(nn.Module):
    """Several registers of one shape side by side, one for each class: designated registers.

    Args:
        count: r, how many registers.
        n: columns.
        m: rows.
        iota, kappa, xi, sigma, cap, undefined: as for `EntropicMemory`.

    Attributes:
        weights: `(r, n, m)`, int32.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Example:
        >>> registers = EntropicRegisters(2, 3, 4)
        >>> registers.register(torch.tensor([[0, 1, 2], [3, 3, 3]]), torch.tensor([0, 1]))
        >>> registers.classify(torch.tensor([[3, 3, 3], [0, 1, 2], [0, 3, 2]])).tolist()
        [1, 0, -1]
    """

    weights: Tensor

    def __init__(
        self,
        count: int,
        n: int,
        m: int,
        *,
        iota: float = 0.0,
        kappa: float = 0.0,
        xi: int = 0,
        sigma: float | None = 0.025,
        cap: int = 1023,
        undefined: Undefined = "ignore",
    ):
        super().__init__()
        self.count, self.n, self.m = check_count("count", count), check_count("n", n), check_count("m", m)
        self.iota, self.kappa = check_not_negative("iota", iota), check_not_negative("kappa", kappa)
        self.xi, self.sigma = check_count("xi", xi, 0), None if sigma is None else check_positive("sigma", sigma)
        self.cap = check_count("cap", cap)
        if self.xi > self.n:
            raise ValueError(f"xi must be at most n = {n} columns, got {xi}")
        if self.cap > LARGEST_CAP:
            raise ValueError(f"cap must be at most {LARGEST_CAP}, got {cap}")
        if undefined not in ("ignore", "miss"):
            raise ValueError(f"undefined must be 'ignore' or 'miss', got {undefined!r}")
        self.undefined: Undefined = undefined
        self.register_buffer("weights", torch.zeros(count, n, m, dtype=torch.int32))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("n", "m", *Settings.__annotations__))
        return f"{type(self).__name__}({self.count} registers, {settings})"

    @torch.no_grad()
    def register(self, codes: Tensor, labels: Tensor | None = None) -> None:
        """Add objects; their order does not matter.

        Args:
            codes: `(b, n)`, an integer tensor of rows 0 to `m - 1`, -1 where undefined.
            labels: `(b,)`, the register that each goes to. Default: the only one.

        Raises:
            TypeError, ValueError: wrong shape, type or values; nothing is registered then.
        """
        codes, owners = self._check(codes, labels, "labels")
        held = self.weights.view(-1)
        for place, once in self._cells(codes, owners):
            held.scatter_add_(0, place, once)
        if codes.numel() > held.numel():
            held.clamp_(max=self.cap)
            return
        for place, _ in self._cells(codes, owners):
            held.index_copy_(0, place, held.index_select(0, place).clamp_(max=self.cap))

    @torch.no_grad()
    def unregister(self, codes: Tensor, labels: Tensor | None = None) -> None:
        """Take registered objects out again: exactly, as long as no weight has reached the cap.

        Raises:
            TypeError, ValueError: as `register`; objects that are not registered, or cells at the cap, of which nobody knows how
                often they were counted. Nothing is taken out then.
        """
        times = torch.zeros_like(self.weights).view(-1)
        for place, once in self._cells(*self._check(codes, labels, "labels")):
            times.scatter_add_(0, place, once)
        times = times.view_as(self.weights)
        full = (times > 0) & (self.weights >= self.cap)
        if bool(full.any()):
            raise ValueError(
                f"codes cannot be taken out of cells at their cap, {self.cap}, {int(full.sum())} of theirs are: "
                "what was cut off is not known"
            )
        short = times > self.weights
        if bool(short.any()):
            raise ValueError(f"codes must be registered, {int(short.sum())} of their cells hold less than is taken out")
        self.weights -= times

    def merge(self, other: Self) -> None:
        """Add what `other` has registered, as if it had been registered here; also above the cap.

        Raises:
            TypeError: `other` is something else.
            ValueError: its number of registers, its shape or its cap differ.
        """
        if not isinstance(other, EntropicRegisters):
            raise TypeError(f"other must be {type(self).__name__}, got {type(other).__name__}")
        mine, theirs = ((each.count, each.n, each.m, each.cap) for each in (self, other))
        if mine != theirs:
            raise ValueError(f"other must have as many registers, n, m and cap, {mine}, got {theirs}")
        self.weights = (self.weights + other.weights.to(self.weights.device)).clamp_(max=self.cap)

    @torch.no_grad()
    def recognise(self, codes: Tensor) -> Recognition:
        """Ask every register for each object: `(b, r)`. A register without any weight accepts nothing.

        Raises:
            TypeError, ValueError: wrong shape, type or values.
        """
        codes, _ = self._check(codes)
        share = max(1, NUMBERS_AT_ONCE // (self.n * self.count))
        recogniser = Recogniser(self.weights, self.iota, self.kappa, self.xi, self.undefined)
        parts = [recogniser(some) for some in codes.split(share)]
        return Recognition(*(torch.cat(each) for each in zip(*parts, strict=True)))

    @torch.no_grad()
    def retrieve(
        self,
        codes: Tensor,
        labels: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        deterministic: bool = False,
    ) -> Retrieval:
        """Objects like the cues, drawn column by column: in general none of those that were registered.

        Args:
            codes: `(b, n)`, -1 where undefined; such a column is drawn by its weights alone.
            labels: `(b,)`, the register to ask. Default: the only one.
            generator: of the draws. Default: a new one with seed 0, so that the same call gives the same objects.
            deterministic: take the most probable row of each column instead.

        Raises:
            TypeError, ValueError: wrong shape, type or values.
        """
        codes, owners = self._check(codes, labels, "labels")
        accepted = self.recognise(codes).accepted
        accepted = accepted[:, 0] if owners is None else accepted.gather(1, owners[:, None])[:, 0]
        spread = None if self.sigma is None else self.sigma * self.m
        drawn = draw(self.weights, owners, codes, spread, self._uniforms(codes, generator, deterministic))
        return Retrieval(drawn.masked_fill_(~accepted[:, None], -1), accepted)

    def entropy(self) -> Tensor:
        """The entropy of each register in bits, `(r,)` float64, from 0 to `log2 m`."""
        weights = self.weights.double()
        shares = weights / weights.sum(-1, keepdim=True).clamp_min(1)
        return torch.special.entr(shares).sum(-1).mean(-1) / torch.log(shares.new_tensor(2.0))

    @torch.no_grad()
    def classify(self, codes: Tensor) -> Tensor:
        """For each object the accepting register with the least entropy over weight, `(b,)`; -1 where none accepts.

        Raises:
            TypeError, ValueError: wrong shape, type or values.
        """
        found = self.recognise(codes)
        cost = (self.entropy() / found.weight).nan_to_num(nan=torch.inf, posinf=torch.inf)
        # an accepting register of no weight at these cells comes last, but before none
        cost = cost.clamp(max=torch.finfo(cost.dtype).max).masked_fill(~found.accepted, torch.inf)
        least, label = cost.min(-1)
        return torch.where(least.isinf(), -1, label)

    def _cells(self, codes: Tensor, owners: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """The cells of some objects after the others, as places in the flat table, with 1 for each that is defined and 0 else."""
        size = min(len(codes), max(1, NUMBERS_AT_ONCE // self.n))
        ones = codes.new_ones(size * self.n, dtype=torch.int32)
        labels = [None] * -(-len(codes) // size) if owners is None else owners.split(size)
        for some, label in zip(codes.split(size), labels, strict=True):
            place, defined = cells(some, self.m)
            if label is not None:
                place += (label * (self.n * self.m))[:, None]
            yield place.view(-1), ones[: place.numel()] if defined is None else defined.to(torch.int32).view(-1)

    def _uniforms(self, codes: Tensor, generator: torch.Generator | None, deterministic: bool) -> Tensor | None:
        if deterministic:
            return None
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        return torch.rand(codes.shape, generator=generator, device=generator.device).to(codes.device)

    def _check(self, codes: Tensor, labels: Tensor | None = None, needs: str = "") -> tuple[Tensor, Tensor | None]:
        """Codes as int64 and the register of each, None where there is only one."""
        codes = check_codes("codes", codes, self.n, self.m)
        if labels is None:
            if needs and self.count > 1:
                raise ValueError(f"{needs} must say which of the {self.count} registers each object is for, got None")
            return codes, None
        if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise TypeError("labels must be an integer tensor, one for each object")
        if labels.shape != codes.shape[:1]:
            raise ValueError(f"labels must have shape ({len(codes)},), got {tuple(labels.shape)}")
        if bool(((labels < 0) | (labels >= self.count)).any()):
            raise ValueError(
                f"labels must be from 0 to {self.count - 1}, got values from {int(labels.min())} to {int(labels.max())}"
            )
        return codes, labels.to(codes)
