"""A sequence memory as two layers of neurons with synapses between two neurons each.

`h_mu(t) = f(sum_j W_{mu j} v_j(t))`, `v_j(t + 1) = sgn(sum_mu M_{j mu} h_mu(t))`, with `W_{mu j} = xi_j^mu / N` and
`M_{j mu} = xi_j^{mu+1}`, or `xi_j^mu + lambda xi_j^{mu+1}` where patterns are held (Chaudhry et al. 2023, section 6). A hidden
neuron stands for one pattern; silencing it is the gate that the paper likens to the basal ganglia.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.memory.sequence.interaction import Interaction, relative
from attractor.memory.sequence.network import signs


@dataclass(frozen=True, eq=False)
class TwoLayerSequence:
    """The network of visible and hidden neurons; `SequenceMemory.two_layers` builds it.

    Args:
        to_hidden: `N W (P, N)`: the patterns, undivided, so that their products with a state are exact.
        to_visible: `M (N, P)`.
        interaction: `f`.

    Example:
        >>> import torch
        >>> patterns = torch.tensor([[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]])
        >>> from attractor.memory.sequence import PolynomialInteraction
        >>> network = TwoLayerSequence(patterns, patterns.roll(-1, 0).T, PolynomialInteraction(2))
        >>> network.step(patterns[:1]).tolist()
        [[-1.0, 1.0, 1.0]]
    """

    to_hidden: Tensor
    to_visible: Tensor
    interaction: Interaction

    def hidden(self, visible: Tensor) -> Tensor:
        """Activities `(b, P)` for `visible (b, N)`, each row up to a positive factor."""
        return self._hidden(visible, torch.ones_like(self.to_hidden[:, 0], dtype=torch.bool))

    def step(self, visible: Tensor, gains: Tensor | None = None) -> Tensor:
        """The next visible states `(b, N)`.

        Args:
            visible: `(b, N)` of -1 and 1.
            gains: `(P,)` or `(b, P)` factors of the hidden activities; 0 silences a hidden neuron. Default: ones.
        """
        # neurons that nobody hears must not set the scale: what the others say would be lost beside them
        heard = self.to_visible.any(0)
        activities = self._hidden(visible, heard if gains is None else heard & (gains > 0))
        return signs((activities if gains is None else activities * gains) @ self.to_visible.T)

    def _hidden(self, visible: Tensor, heard: Tensor) -> Tensor:
        """Activities of the neurons that are `heard (P,)` or `(b, P)`, zero for the others."""
        dim = self.to_hidden.shape[1]
        overlaps = (self.to_hidden @ visible.T).double()
        values = self.interaction.scaled(overlaps, dim, dim)
        (activities,) = relative([values.only(torch.atleast_2d(heard).T)], visible.dtype)
        return activities.T
