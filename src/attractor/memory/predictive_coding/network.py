"""The generative network of predictive coding, its energy and the gradients of it, written by hand.

Layers are numbered from the senses up, `l = 0..L`. Each predicts the one below, `mu^l = f(x^{l+1}) W_l^T + c_l`, the top one is
predicted by the memory vector, `mu^L = b`, and the energy is that of the prediction errors `e^l = x^l - mu^l` with precisions
`pi_l` (Salvatori et al. 2021, after Rao and Ballard 1999):

`E = 1/2 sum_l pi_l |e^l|^2`,   `-dE/dx^l = -pi_l e^l + f'(x^l) (pi_{l-1} e^{l-1} W_{l-1})`,   `-dE/dW_l = (pi_l e^l)^T f(x^{l+1})`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attractor.memory.predictive_coding.activations import ACTIVATIONS
from attractor.memory.predictive_coding.checks import check_activation
from attractor.memory.predictive_coding.connections import Connection
from attractor.validation import check_not_negative

MOST_ITERATIONS = 1000


class Errors(NamedTuple):
    """Prediction errors of a batch of `N` states.

    Attributes:
        plain: `e^l (N, n_l)`, from the senses up.
        weighted: `pi_l e^l`.
        activities: `f(x^l)` of the layers above the senses.
    """

    plain: list[Tensor]
    weighted: list[Tensor]
    activities: list[Tensor]

    def energy(self) -> Tensor:
        """`E (N,)`, the surprise of each row."""
        parts = [(weighted * plain).sum(-1) for weighted, plain in zip(self.weighted, self.plain, strict=True)]
        return torch.stack(parts).sum(0) / 2

    def mean_energy(self) -> Tensor:
        """The mean of `energy()`, by fewer passes over the errors."""
        parts = [torch.dot(weighted.flatten(), plain.flatten()) for weighted, plain in zip(self.weighted, self.plain, strict=True)]
        return torch.stack(parts).sum() / (2 * len(self.plain[0]))


class PredictiveNetwork(nn.Module):
    """A hierarchy of layers that predict the one below.

    Args:
        connections: from the senses up.
        activation: `"relu"`, `"tanh"` or `"identity"`.
        precisions: one of each layer, from the senses up: a positive number, for the senses also a vector of their width, for the
            top layer also 0, which leaves it free.
        bias: whether the predictions of layers below the top have a constant part.

    Raises:
        ValueError: an unknown activation.

    Example:
        >>> from attractor.memory.predictive_coding.connections import connected
        >>> network = PredictiveNetwork(connected(8, (4, 2)), "tanh", [1.0, 1.0, 1.0])
        >>> network.reset(torch.Generator().manual_seed(0))
        >>> senses, latents = torch.zeros(3, 8), network.prior_state(3)
        >>> [layer.shape[1] for layer in latents], network.errors(senses, latents).energy().shape
        ([4, 2], torch.Size([3]))
    """

    sensory_precision: Tensor

    def __init__(self, connections: Sequence[Connection], activation: str, precisions: Sequence[float | Tensor], bias: bool = True):
        super().__init__()
        self.connections = tuple(connections)
        self.activation = ACTIVATIONS[check_activation(activation)]
        self.bias = bias
        self.register_buffer("sensory_precision", torch.as_tensor(precisions[0], dtype=torch.get_default_dtype()).clone())
        self.precisions = tuple(float(one) for one in precisions[1:])
        self.weights = nn.ParameterList(torch.zeros(one.shape) for one in self.connections)
        self.biases = nn.ParameterList(torch.zeros(one.below) for one in self.connections) if bias else nn.ParameterList()
        self.memory_vector = nn.Parameter(torch.zeros(self.connections[-1].above))
        self.requires_grad_(False)

    @property
    def depth(self) -> int:
        """L, the number of layers above the senses."""
        return len(self.connections)

    def reset(self, generator: torch.Generator, mean: Tensor | None = None) -> None:
        """Draw the weights anew; the senses are then predicted around `mean (n_0,)`, as far as there is a bias."""
        for connection, weight in zip(self.connections, self.weights, strict=True):
            drawn = torch.rand(connection.shape, generator=generator, dtype=torch.float64)
            weight.copy_((2 * drawn - 1) / connection.fan_in**0.5)
        for bias in self.biases:
            bias.zero_()
        if self.bias and mean is not None:
            self.biases[0].copy_(mean)
        low, high = self.activation.first
        drawn = torch.rand(self.memory_vector.shape, generator=generator, dtype=torch.float64)
        self.memory_vector.copy_(low + (high - low) * drawn)

    def prediction(self, level: int, activity: Tensor) -> Tensor:
        """`mu^level (N, n_level)` from the activity of the layer above."""
        predicted = self.connections[level].predict(self.weights[level], activity)
        return predicted + self.biases[level] if self.bias else predicted

    def tops(self, count: int, noise: float, generator: torch.Generator) -> Tensor:
        """The memory vector, `count` times, with Gaussian noise of this standard deviation."""
        shape = count, len(self.memory_vector)
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64).to(self.memory_vector)
        return self.memory_vector + check_not_negative("noise", noise) * drawn

    def generated(self, top: Tensor) -> list[Tensor]:
        """All layers `x^0..x^L` as the top one `(N, n_L)` predicts them."""
        layers = [top]
        for level in reversed(range(self.depth)):
            layers.insert(0, self.prediction(level, self.activation(layers[0])))
        return layers

    def prior_state(self, rows: int) -> list[Tensor]:
        """The layers above the senses, `x^1..x^L`, as the memory vector predicts them."""
        alike = self.generated(self.memory_vector.detach()[None])[1:]
        return [layer.repeat(rows, 1) for layer in alike]

    def predicted_senses(self, latents: Sequence[Tensor]) -> Tensor:
        """`mu^0 (N, n_0)`."""
        return self.prediction(0, self.activation(latents[0]))

    def errors(self, senses: Tensor, latents: Sequence[Tensor], precision: Tensor | None = None) -> Errors:
        """Errors of a state.

        Args:
            senses: `x^0 (N, n_0)`.
            latents: `x^1..x^L`.
            precision: of the senses, anything that broadcasts to `(N, n_0)`: 0 where a sense is missing. Default: the network's.
        """
        activities = [self.activation(layer) for layer in latents]
        plain = [self._error(0, senses, activities[0]), *self.hidden_errors(latents, activities)]
        weighted = [(self.sensory_precision if precision is None else precision) * plain[0], *self._weighted(plain[1:])]
        return Errors(plain, weighted, activities)

    def hidden_errors(self, latents: Sequence[Tensor], activities: Sequence[Tensor]) -> list[Tensor]:
        """`e^1..e^L`, which need no senses."""
        below = [self._error(level, latents[level - 1], activities[level]) for level in range(1, self.depth)]
        return [*below, latents[-1] - self.memory_vector]

    def latent_gradients(self, latents: Sequence[Tensor], errors: Errors) -> list[Tensor]:
        """`dE/dx^l` for `l = 1..L`; for the senses it is `errors.weighted[0]`."""
        seen = self.connections[0].feedback(self.weights[0], errors.weighted[0])
        return self._latent_gradients(latents, errors.activities, errors.weighted[1:], seen)

    def gradients_above(self, latents: Sequence[Tensor], seen: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """The same, where `seen` gives the weighted errors of the senses from above, of `f(x^1)`."""
        activities = [self.activation(layer) for layer in latents]
        weighted = self._weighted(self.hidden_errors(latents, activities))
        return self._latent_gradients(latents, activities, weighted, seen(activities[0]))

    def _error(self, level: int, given: Tensor, activity: Tensor) -> Tensor:
        bias = self.biases[level] if self.bias else None
        return self.connections[level].subtract(given, self.weights[level], activity, bias)

    def _weighted(self, hidden: Sequence[Tensor]) -> list[Tensor]:
        return [one if pi == 1 else pi * one for one, pi in zip(hidden, self.precisions, strict=True)]

    def _latent_gradients(
        self, latents: Sequence[Tensor], activities: Sequence[Tensor], weighted: Sequence[Tensor], seen: Tensor
    ) -> list[Tensor]:
        """From the weighted errors of the hidden layers, and what the first of them has `seen` of those of the senses."""
        gradients = []
        for level, error in enumerate(weighted):
            if level:
                seen = self.connections[level].feedback(self.weights[level], weighted[level - 1])
            gradients.append(error - self.activation.pulled(seen, latents[level], activities[level]))
        return gradients

    def assign_gradients(self, errors: Errors) -> None:
        """Put the gradients of the mean energy of the rows where optimisers look for them: each from what its synapse touches."""
        rows = len(errors.plain[0])
        for level, connection in enumerate(self.connections):
            self.weights[level].grad = connection.gradient(errors.weighted[level], errors.activities[level]).div_(-rows)
            if self.bias:
                self.biases[level].grad = errors.weighted[level].mean(0).neg_()
        self.memory_vector.grad = errors.weighted[-1].mean(0).neg_()


class Curvature:
    """An upper bound of the curvature of the energy in the states, exact for slopes `f'` of 1, from the norms of the weights.

    `max_l [pi_l + pi_{l-1} s_{l-1}^2 + pi_l s_l + pi_{l-1} s_{l-1}]` with `s_l = |W_l|_2`, where the last term counts only if layer
    `l-1` moves, and `pi_l s_l` not at the top. It leaves out `-pi f''(x) (e W)`: where an activation bends, a step of one over this
    bound can raise the energy, and only backtracking cannot.
    """

    def __init__(self, network: PredictiveNetwork):
        self.network = network
        generator = torch.Generator().manual_seed(0)
        self._directions = [
            torch.rand(1, one.above, generator=generator, dtype=torch.float64).to(network.memory_vector) + 0.5
            for one in network.connections
        ]
        self._norms = [weight.new_zeros(()) for weight in network.weights]
        self.converge()

    def refine(self, iterations: int = 2) -> None:
        """Some power iterations from where the last ones ended: enough after a small change of the weights."""
        for level, connection in enumerate(self.network.connections):
            weight, direction = self.network.weights[level], self._directions[level]
            for _ in range(iterations):
                direction = connection.feedback(weight, connection.predict(weight, direction / direction.norm().clamp_min(1e-30)))
            self._directions[level] = direction
            self._norms[level] = direction.norm().sqrt()

    def converge(self) -> None:
        """Power iterations until the norms no longer change: from a cold start a few give far too little."""
        for _ in range(MOST_ITERATIONS // 10):
            before = torch.stack(self._norms)
            self.refine(10)
            if bool(((torch.stack(self._norms) - before) <= 1e-6 * before).all()):
                break

    def bound(self, senses_move: bool = False, precision: Tensor | None = None) -> Tensor:
        """`Lc`, a number; with a precision of each sense of each row, `(N, n_0)`, one of each row, `(N, 1)`."""
        network, norms = self.network, self._norms
        senses = network.sensory_precision if precision is None else precision
        largest = senses.amax(-1, keepdim=True) if senses.dim() == 2 else senses.max()
        precisions = [largest, *network.precisions]
        bound = largest * (1 + norms[0]) if senses_move else torch.zeros_like(largest)
        for level in range(1, network.depth + 1):
            one = precisions[level] + precisions[level - 1] * norms[level - 1] ** 2
            if level < network.depth:
                one = one + precisions[level] * norms[level]
            if level > 1 or senses_move:
                one = one + precisions[level - 1] * norms[level - 1]
            bound = torch.maximum(bound, one)
        return bound
