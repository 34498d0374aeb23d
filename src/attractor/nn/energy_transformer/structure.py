"""The Energy Transformer's block for graphs: attention weighted by structure (Hoover et al. 2023, arXiv 2302.07253).

With weights `A_h[C,B]` of a graph (`StructureWeights`), `s_j = beta_j (Wq_j g_C).(Wk_j g_B)` and a learned mixing `M` of heads,

    E = -sum_h 1/beta_h sum_C log sum_(B in N(C)) exp(A_h[C,B] sum_j M[j,h] s_j[C,B])  +  E_memory(g)        g = LN(x)
    x <- x - alpha dE/dg

The layer norm, the memory term and the descent are those of `EnergyTransformer`. Every graph of a batch has its own energy, in
which padding has no part. With random weights the energy falls at the default step; there are weights with which it does not (of
tokens that repel what they attend to): `descend` can halve the step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attractor.energy.settle import tolerance
from attractor.energy.synapses.allowed import Allowed
from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.descent import Descent, Landscape, descend, warn_diverged
from attractor.nn.energy_transformer.norm import refuse_gains
from attractor.nn.energy_transformer.settings import check_name
from attractor.nn.energy_transformer.structure_attention import (
    Structure,
    checked_structure,
    structure_log_partitions,
    structure_pulls,
)
from attractor.products import linear
from attractor.read import SoftMax
from attractor.validation import check_count, check_not_negative, check_positive, finite


class StructuredEnergyTransformer(nn.Module):
    """Tokens of graphs that descend one energy together; the structure of each graph weighs who attends to whom.

    Args:
        dim: entries of a token, `D`.
        heads: `H`.
        key_dim: entries of a query or key of a head, `Y`.
        memories: rows of the memory term, at least 1. Default: `4 D`.
        activation: of the memory term, as in `EnergyTransformer`.
        beta: inverse temperature at first, > 0; it is learned, one for each head, as its logarithm. Default: `1/sqrt(Y)`.
        step_size: `alpha`, > 0.
        steps: of a call.
        noise: a step adds `sqrt(alpha) noise` times standard normal numbers. In training a call must then be given a generator; in
            evaluation there is noise only if it is.
        init: `"paper"`: queries, keys and the mixing of heads of deviation 0.002, memories of 0.02; `"scaled"`: weights of
            `1/sqrt(D)` and heads that are not mixed at first, with which a narrow block learns from the start.
        generator: of the first weights.

    Attributes:
        query, key: parameters `(H, Y, D)`.
        mixing: parameter `(H, H)`, `M[j, h]` from the products of head j to the logits of head h.
        tokens: the `EnergyTransformer` without attention that has the layer norm and the memories.

    Raises:
        TypeError, ValueError: a size below 1, an unknown name, or a number out of its range.

    Example:
        >>> block = StructuredEnergyTransformer(8, heads=2, key_dim=4, init="scaled", generator=torch.Generator().manual_seed(0))
        >>> path = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]]).bool()[None]
        >>> structure = Structure(torch.ones(1, 2, 3, 3), path, torch.ones(1, 3).bool())
        >>> tokens = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(1))
        >>> before, after = (block.energy(block.normalize(x), structure) for x in (tokens, block(tokens, structure)))
        >>> bool(after < before)
        True
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 12,
        key_dim: int = 64,
        memories: int | None = None,
        activation: str | SoftMax = "relu",
        beta: float | None = None,
        step_size: float = 0.1,
        steps: int = 1,
        noise: float = 0.0,
        init: str = "paper",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.register_load_state_dict_pre_hook(refuse_gains)
        self.tokens = EnergyTransformer(
            dim, memories=memories, activation=activation, attention=False, init=init, generator=generator
        )
        self.dim, self.heads, self.key_dim = self.tokens.dim, check_count("heads", heads), check_count("key_dim", key_dim)
        self.step_size, self.steps = check_positive("step_size", step_size), check_count("steps", steps)
        self.noise = check_not_negative("noise", noise)
        spread = 0.002 if init == "paper" else dim**-0.5
        self.query = nn.Parameter(spread * torch.randn(heads, key_dim, dim, generator=generator))
        self.key = nn.Parameter(spread * torch.randn(heads, key_dim, dim, generator=generator))
        mixing = 0.002 * torch.randn(heads, heads, generator=generator) if init == "paper" else torch.eye(heads)
        self.mixing = nn.Parameter(mixing)
        start = key_dim**-0.5 if beta is None else check_positive("beta", beta)
        self.log_beta = nn.Parameter(torch.full((heads,), math.log(start)))

    @property
    def beta(self) -> Tensor:
        """Inverse temperatures of the heads, `(heads,)`."""
        return self.log_beta.exp()

    def forward(self, x: Tensor, structure: Structure, *, generator: torch.Generator | None = None) -> Tensor:
        """Take the steps; gradients pass through all of them.

        Args:
            x: tokens `(b, N, D)`; those that are not `present` stay as they are.
            structure: of the graphs.
            generator: of the noise.

        Returns:
            `(b, N, D)`, not normalised.

        Raises:
            TypeError, ValueError: tokens of another shape or not finite, a structure that does not fit them, or noise in training
                without a generator.

        Warns:
            EnergyUnboundedWarning: states left the range of numbers.
        """
        structure = self._checked(x, structure)
        if self.noise and self.training and generator is None:
            raise ValueError("generator must be given for the noise in training, got None")
        spread = 0.0 if generator is None else math.sqrt(self.step_size) * self.noise
        for _ in range(self.steps):
            x = torch.add(x, self._force(self.tokens.norm(x), structure), alpha=self.step_size)
            if spread:
                kicks = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
                x = x + spread * kicks * structure.present[..., None]
        if not finite(x):
            warn_diverged(~x.isfinite().flatten(1).all(-1), x.dtype, self.step_size, stacklevel=4)
        return x

    def normalize(self, x: Tensor) -> Tensor:
        """The activated tokens `g = LN(x)`, of which the energy is a function."""
        return self.tokens.normalize(x)

    def energy(self, g: Tensor, structure: Structure) -> Tensor:
        """The energy `(b,)` of the graphs, for activated tokens `(b, N, D)`."""
        return self._energy(g, self._checked(g, structure, "g"))

    def force(self, g: Tensor, structure: Structure) -> Tensor:
        """`-dE/dg (b, N, D)` in closed form; zero for padding."""
        return self._force(g, self._checked(g, structure, "g"))

    def descend(
        self,
        x: Tensor,
        structure: Structure,
        *,
        max_steps: int = 1000,
        tol: float = 1e-4,
        step_size: float | str | None = None,
        trace: bool = False,
    ) -> Descent:
        """Descend until the graphs rest; without gradients and without noise.

        Args:
            x: tokens `(b, N, D)`.
            structure: of the graphs.
            max_steps: the most steps.
            tol: a graph rests once a step changes no entry of `g` by more; 0 takes all steps.
            step_size: a number in place of the block's, or `"backtrack"`: from the block's, halved for each graph and step until
                its energy does not rise.
            trace: keep the states and energies on the way.

        Raises:
            TypeError, ValueError: a bad argument.
        """
        ready = self._checked(x, structure)
        size = self.step_size
        if isinstance(step_size, str):
            check_name("step_size", step_size, ("backtrack",))
        elif step_size is not None:
            size = check_positive("step_size", step_size)
        landscape = Landscape(
            self.tokens.norm,
            lambda g, graphs: self._force(g, structure_of(graphs, ready)),
            lambda g, graphs: self._energy(g, structure_of(graphs, ready)),
        )
        return descend(
            landscape,
            x,
            torch.arange(len(x), device=x.device).view(-1, 1, 1, 1),
            max_steps=check_count("max_steps", max_steps, 0),
            tol=tolerance(tol, x.dtype),
            step_size=size,
            backtrack=isinstance(step_size, str),
            trace=trace,
        )

    def extra_repr(self) -> str:
        return f"dim={self.dim}, heads={self.heads}, key_dim={self.key_dim}, steps={self.steps}, step_size={self.step_size:g}"

    def _energy(self, g: Tensor, structure: Structure) -> Tensor:
        queries, keys = self._queries_and_keys(g)
        partitions = structure_log_partitions(queries, keys, self.mixing, structure)
        attention = -(partitions / self.beta.to(partitions)[:, None]).sum((1, 2))
        return attention + (self.tokens._token_energies(g, None) * structure.present).sum(1)

    def _force(self, g: Tensor, structure: Structure) -> Tensor:
        queries, keys = self._queries_and_keys(g)
        drawn, pulled = structure_pulls(queries, keys, self.mixing, structure, self.beta.to(keys))
        both = torch.stack([drawn.transpose(1, 2), pulled.transpose(1, 2)], 2).flatten(2)
        force = linear(both, torch.cat([self.query, self.key]).flatten(0, 1).T) + self.tokens._force(g, None)
        return force * structure.present[..., None]

    def _queries_and_keys(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Queries times beta and keys, `(b, heads, tokens, key_dim)`."""
        both = linear(g, torch.cat([self.query, self.key]).flatten(0, 1))
        queries, keys = both.unflatten(-1, (2, self.heads, self.key_dim)).permute(2, 0, 3, 1, 4)
        return queries * self.beta.to(keys)[:, None, None], keys

    def _checked(self, x: Tensor, structure: Structure, name: str = "x") -> Structure:
        self.tokens.check_tokens(x, name)
        return checked_structure(structure, x, self.heads)


def structure_of(graphs: Allowed, structure: Structure) -> Structure:
    """Of some graphs of the batch: in the place of masks, the descent hands on the numbers of those that still move."""
    assert isinstance(graphs, Tensor)
    return Structure(*(part[graphs.flatten()] for part in structure))
