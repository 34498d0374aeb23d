"""A dense associative memory as a synapse: its hidden layer is integrated out, only patterns and a separation remain.

`E = -Psi(s)`, `s_mu = xi_mu . g`: for the soft-max separation `-log sum_mu exp(beta xi_mu . g) / beta` (Krotov and Hopfield 2021,
model B; Ramsauer et al. 2021), for a polynomial `-sum_mu (xi_mu . g)^n / n` (model A; Krotov and Hopfield 2016). The drive
`dPsi/dg = sum_mu w_mu xi_mu` is the read-out of the library's memories, by the same fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.shapes import as_parameter, check_shapes
from attractor.energy.tempered import set_scale
from attractor.read.block import Block
from attractor.read.fold import Read
from attractor.read.polynomial import Polynomial
from attractor.read.separation import Exponential, Separation, SoftMax, Tempered
from attractor.read.similarity import Dot, Euclidean, Similarity


class MemorySynapse(Synapse):
    """`E = -Psi(s)` of one layer, with learnable `patterns (n, *shape)`.

    The layer has the shape of a pattern. Where it has dimensions before these, tokens say, the energies of all of them are added.

    Args:
        patterns: `(n, *shape)`, finite; a parameter is shared, another tensor copied.
        separation: `Psi`; `SoftMax(beta=1.0)` by default. A `beta` that is a parameter is learned. With an odd `Polynomial` the
            energy is not concave.
        similarity: `Dot()` by default, or `Euclidean()`, for separations whose weights sum to one: the scores are then
            `xi . g - |xi|^2 / 2`, those of the distance less the part `-|g|^2 / 2` that all patterns share.

    Raises:
        TypeError: an argument of another type.
        ValueError: `patterns` is not floating point, empty or not finite, `beta` is `"auto"`, another similarity, or `Euclidean`
            with a separation that is not normalised.

    Example:
        >>> synapse = MemorySynapse(torch.eye(2), separation=SoftMax(beta=50.0))
        >>> synapse.drive(torch.tensor([[0.9, 0.2]]))[0].round().tolist()
        [[1.0, 0.0]]
    """

    ends = 1

    def __init__(self, patterns: Tensor, *, separation: Separation | None = None, similarity: Similarity | None = None):
        super().__init__()
        separation = SoftMax(beta=1.0) if separation is None else separation
        similarity = Dot() if similarity is None else similarity
        if not isinstance(separation, Separation):
            raise TypeError(f"separation must be a Separation, got {type(separation).__name__}")
        if type(similarity) not in (Dot, Euclidean):
            raise ValueError(f"similarity must be Dot() or Euclidean(), whose scores are linear in the state, got {similarity!r}")
        learned = as_parameter("patterns", patterns)
        if learned.dim() < 2:
            raise ValueError(
                f"patterns must have shape (n, *shape), got {tuple(learned.shape)}; for one pattern pass patterns[None]"
            )
        Read(similarity, separation, learned.detach().flatten(1))  # refuses powers of distances
        self.patterns = learned
        self.beta: float | Tensor
        if isinstance(separation, Tempered):
            set_scale(self, "beta", separation.resolved)
        self.fixed_separation, self.similarity = separation, similarity
        self.quadratic = type(separation) is Polynomial and separation.n == 2

    @property
    def separation(self) -> Separation:
        """The separation, at the present `beta` where that is learned."""
        fixed = self.fixed_separation
        # a move to another device, or `torch.func.functional_call`, puts another tensor in the place of the first
        return fixed.at(self.beta) if isinstance(fixed, Tempered) and fixed.beta is not self.beta else fixed

    def read(self, g: Tensor) -> tuple[Read, Block]:
        """The question that the layer asks, one row for each token, and the patterns as a block."""
        patterns = self.patterns.flatten(1)
        block = Block(torch.arange(len(patterns), device=patterns.device), patterns)
        return Read(self.similarity, self.separation, g.reshape(-1, patterns.shape[1])), block

    def energy(self, *activations: Tensor) -> Tensor:
        (g,) = activations
        read, block = self.read(g)
        potential = read.separation.potential(self.similarity.relative(read.prepared, block))
        return -potential.to(read.prepared.vectors.dtype).view(len(g), -1).sum(-1)

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        """The read-out.

        Raises:
            ValueError: an `Exponential` separation leaves the range of numbers.
        """
        (g,) = activations
        read, block = self.read(g)
        values, potential = read.separation.finish(read.fold([block]).body)
        if isinstance(read.separation, Exponential):
            # its read-out is the mean, the drive the sum
            values = values * (potential * read.separation.resolved)[:, None]
            if not bool(values.isfinite().all()):
                raise ValueError(
                    f"activations must keep exp(beta s) finite, it overflows with {self!r}; lower beta, or take SoftMax"
                )
        return (values.to(g.dtype).view_as(g),)

    def degree(self, *ends: int) -> float | None:
        """1 for a soft-max, `n` for powers, infinite for an exponential."""
        if isinstance(self.fixed_separation, Polynomial):
            return self.fixed_separation.n
        return math.inf if isinstance(self.fixed_separation, Exponential) else 1

    def concave_in(self, *ends: int) -> bool:
        """Whether `Psi` is convex: then the drive is a step of the concave-convex procedure."""
        return not ends or self.fixed_separation.convex

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        shape = tuple(self.patterns.shape[1:])
        fits = len(shapes) == 1 and tuple(shapes[0][-len(shape) :]) == shape
        check_shapes("MemorySynapse", (shape,), shapes, fits=fits)

    def extra_repr(self) -> str:
        separation = self.separation
        plain = separation.at(separation.number) if isinstance(separation, Tempered) else separation
        return f"{len(self.patterns)} patterns {tuple(self.patterns.shape[1:])}, {self.similarity!r}, {plain!r}"
