"""Senses that stand still, as the layer above them sees them.

What the first layer receives, `(pi e^0) W_0` with `e^0 = x^0 - c_0 - f(x^1) W_0^T`, is `drive - f(x^1) G`, where
`drive = pi (x^0 - c_0) W_0` and `G = W_0^T pi W_0` need the senses once in a descent, not twice in each of its steps.
"""

from __future__ import annotations

from torch import Tensor

from attractor.memory.predictive_coding.connections import Dense
from attractor.memory.predictive_coding.network import PredictiveNetwork
from attractor.products import linear, subtract_linear


class HeldSenses:
    """The senses of a batch through dense synapses.

    Args:
        network: whose lowest connection is `Dense`.
        senses: `x^0 (N, n_0)`.
        precision: of each sense, what broadcasts to `(n_0,)`: the same for all rows.
    """

    def __init__(self, network: PredictiveNetwork, senses: Tensor, precision: Tensor):
        weight = network.weights[0]
        weighted = weight.T * precision
        self.drive = linear(senses - network.biases[0] if network.bias else senses, weighted)
        self.gram = linear(weighted, weight.T)

    def seen(self, activity: Tensor) -> Tensor:
        """Their weighted errors `(N, n_1)` from above, for `activity = f(x^1)`."""
        return subtract_linear(self.drive, activity, self.gram)


def hold(network: PredictiveNetwork, senses: Tensor, precision: Tensor | None, steps: int) -> HeldSenses | None:
    """The senses as seen from above, where this takes fewer operations than to ask them in each of `steps`; None where not.

    Args:
        precision: what broadcasts to `(N, n_0)`; None for the network's.
    """
    lowest, rows = network.connections[0], len(senses)
    if not isinstance(lowest, Dense):
        return None
    in_each_step, at_first = rows * (2 * lowest.below - lowest.above), (lowest.above + rows) * lowest.below
    if steps * in_each_step <= at_first:
        return None
    shared = network.sensory_precision if precision is None else precision
    if shared.dim() == 2:
        if not bool((shared == shared[:1]).all()):
            return None
        shared = shared[0]
    return HeldSenses(network, senses, shared)
