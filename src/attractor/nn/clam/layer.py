"""ClAM as a module: the last layer of any encoder (Saha, Krotov, Zaki and Ram 2023, arXiv 2306.03209)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from attractor.nn.clam.dynamics import Landscape
from attractor.nn.clam.settings import as_precise, check_mask, resolved_beta, resolved_step_size
from attractor.validation import check_count, check_finite


class ClAMOutput(NamedTuple):
    """`states (..., b, d)` after the descent, and soft `assignments (..., b, k)` of these."""

    states: Tensor
    assignments: Tensor


class ClAMLayer(nn.Module):
    """Runs states down the energy of learned prototypes, a few steps, differentiably.

    Gradients reach the prototypes and what the states were made of. Every step lowers `energy` or leaves it as it is. Under
    autocast it computes in the precision of the prototypes. `beta`, `steps` and `step_size` are part of the state dict.

    Args:
        dim: of a state.
        clusters: how many prototypes.
        beta: inverse temperature. `"scale"`: `5 / dim`, for features of unit variance (spherical: 10).
        steps: down the energy.
        step_size: of each, above 0 and below 2 (spherical: at most 1). Default: `1 / steps`.
        spherical: states and prototypes are taken at length one.
        weighted: each cluster has a weight, which is learned.
        leading: leading dimensions of the prototypes, such as `(100,)` for a hundred independent sets that run at once.
        generator: of the first prototypes, drawn as in the reference code, of mean 0.1 and deviation 0.1.

    Raises:
        TypeError: an argument of another kind.
        ValueError: an argument out of its range.

    Attributes:
        prototypes: `(*leading, clusters, dim)`; put better ones in with `prototypes.data.copy_(...)`.

    Example:
        >>> layer = ClAMLayer(2, 2, steps=20, step_size=0.5)
        >>> _ = layer.prototypes.data.copy_(torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
        >>> reached, assignments = layer(torch.tensor([[1.5, 0.3]]))
        >>> reached.round().tolist(), assignments.argmax(-1).tolist()
        ([[2.0, 0.0]], [0])
        >>> layer(torch.tensor([[1.5, 0.0]]), known=torch.tensor([[True, False]])).states[0, 0].item()
        1.5
    """

    def __init__(
        self,
        dim: int,
        clusters: int,
        *,
        beta: float | Literal["scale"] = "scale",
        steps: int = 10,
        step_size: float | None = None,
        spherical: bool = False,
        weighted: bool = False,
        leading: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("dim", dim)
        check_count("clusters", clusters)
        if not isinstance(leading, tuple | list):
            raise TypeError(f"leading must be a tuple of sizes, got {type(leading).__name__}")
        for size in leading:
            check_count("leading", size)
        self.beta = resolved_beta(beta, dim, spherical)
        self.steps = check_count("steps", steps)
        self.step_size = resolved_step_size(step_size, steps, spherical)
        self.spherical = spherical
        self.prototypes = nn.Parameter(0.1 + 0.1 * torch.randn(*leading, clusters, dim, generator=generator))
        self.weight_logits = nn.Parameter(torch.zeros(*leading, clusters)) if weighted else None

    @property
    def landscape(self) -> Landscape:
        """The prototypes as the energy has them."""
        prototypes = normalize(self.prototypes, dim=-1) if self.spherical else self.prototypes
        weights = None if self.weight_logits is None else self.weight_logits.log_softmax(-1)
        return Landscape(prototypes, self.beta, weights, self.spherical)

    def forward(self, x: Tensor, known: Tensor | None = None) -> ClAMOutput:
        """Run down the energy.

        Args:
            x: `(..., b, d)`; fewer leading dimensions than the prototypes' are repeated.
            known: `(..., b, d)`, True where an entry is to stay. What stands at the others, NaN included, is not read: they start
                at zero. None: every entry moves. A spherical layer takes none: a direction with unknown entries has no length.

        Raises:
            TypeError: `x` or `known` is no tensor.
            ValueError: another width, precision or shape, known values that are not finite, or `known` for a spherical layer.
        """
        states = self._states(x, known)
        hidden = None if known is None else ~known
        with torch.autocast(states.device.type, enabled=False):
            landscape = self.landscape
            for _ in range(self.steps):
                states = landscape.step(states, self.step_size, hidden)
            return ClAMOutput(states, landscape.assignments(states))

    def step(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """One step down the energy from `x (..., b, d)`."""
        states = self._states(x, known)
        with torch.autocast(states.device.type, enabled=False):
            return self.landscape.step(states, self.step_size, None if known is None else ~known)

    def energy(self, x: Tensor) -> Tensor:
        """`E (..., b)` of states `x (..., b, d)`."""
        states = self._states(x, None)
        with torch.autocast(states.device.type, enabled=False):
            return self.landscape.energy(states)

    def extra_repr(self) -> str:
        *_, clusters, dim = self.prototypes.shape
        return f"{dim}, {clusters}, beta={self.beta:g}, steps={self.steps}, step_size={self.step_size:g}"

    def get_extra_state(self) -> Tensor:
        # float64 whatever the module is converted to: it is no buffer
        return torch.tensor([self.beta, self.steps, self.step_size], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        beta, steps, step_size = state.tolist()
        if steps != int(steps):
            raise ValueError(f"steps must be an integer, got {steps}")
        resolved_beta(beta, 1, self.spherical)
        check_count("steps", int(steps))
        self.step_size = resolved_step_size(step_size, int(steps), self.spherical)
        self.beta, self.steps = beta, int(steps)

    def _states(self, x: Tensor, known: Tensor | None) -> Tensor:
        x = as_precise("x", x, self.prototypes)
        dim = self.prototypes.shape[-1]
        if x.dim() < 2 or x.shape[-1] != dim:
            raise ValueError(f"x must have shape (..., rows, {dim}), got {tuple(x.shape)}")
        if known is not None:
            if self.spherical:
                raise ValueError("known must be None for a spherical layer: a direction with unknown entries has no length")
            check_mask("known", known, x.shape)
            x = torch.where(known, x, 0)
        check_finite("x", x)
        return normalize(x, dim=-1) if self.spherical else x
