"""Lyapunov functions of an energy network: numbers that fall along its motion until it comes to rest.

With `f = drive(g(x)) - x`, `tau x' = f`, `D = -d^2 E_syn/dg^2` and `H = d^2 L/dx^2`:

    E(x)                                  E' = -f.H T^-1 f                          zero too where all that moves is dead
    E_gamma(x) = E(x) + gamma |f|^2 / 2   E_gamma' <= -gamma |f|^2 (1 - c/4) / tau_max,   c = gamma |D H_max D| tau_max / tau_min
    V_conj(u)  = L*(u) + E_syn(u)         along `tau u' = g(drive(u)) - u`; V_conj(g(x)) = E(x)

`E_gamma` grows along flat directions and is at rest with the motion only. `H_max` holds each layer's largest curvature; with one
layer and `E_syn = -g.Wg/2` the size is `|W|^2 h_max`. `E` is that of Krotov and Hopfield 2021; the other two answer the question of
Fanaskov and Oseledets 2024 (arXiv 2410.13866) and are derived here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from attractor.energy.clamp import Clamp, held_by
from attractor.energy.lanczos import lanczos
from attractor.energy.network import EnergyNetwork
from attractor.energy.vectors import dot, forces, hessian_product, joined, parted
from attractor.errors import AttractorWarning
from attractor.validation import check_positive

SAFE, WARNED, REFUSED = 0.5, 2.0, 4.0
PRODUCTS = 40
ROWS_AT_A_TIME = 256


class KrotovHopfield:
    """The network's energy `E` with its rate of change along the motion.

    Args:
        network: the energy network.
        clamp: what is held fixed, as in `attractor.dynamics.relax`.

    Raises:
        ValueError: a Lagrangian is not convex, so that the energy may rise. All methods: a bad state or clamp.

    Example:
        >>> from attractor.energy import Connection, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 1)}, [Connection(synapses.Bias(torch.ones(1)), ("x",))])
        >>> KrotovHopfield(network).rate({"x": torch.tensor([[-1.0], [3.0]])}).tolist()
        [-0.0, -4.0]
    """

    gamma = ratio = 0.0

    def __init__(self, network: EnergyNetwork, *, clamp: Clamp = None):
        for name, layer in network.layers.items():
            if not layer.lagrangian.convex:
                raise ValueError(
                    f"layer {name!r} must have a convex Lagrangian for the energy to fall, got {layer.lagrangian!r}; "
                    "attractor.energy.feedback has systems that allow any Lagrangian"
                )
        self.network = network
        self.clamp = clamp

    def value(self, state: Mapping[str, Tensor]) -> Tensor:
        """`E`, `(b,)`."""
        return self.network.energy(self.network.check_state(state))

    def rate(self, state: Mapping[str, Tensor]) -> Tensor:
        """`E'` along the motion, `(b,)`."""
        state = self.network.check_state(state)
        pull = forces(self.network, state)
        moving = held_by(self.clamp, self.network, state).free(pull)
        velocity = {name: one / self.network.layer(name).tau for name, one in moving.items()}
        return -dot(pull, hessian_product(self.network, state, velocity))

    def bound(self, state: Mapping[str, Tensor]) -> Tensor:
        """What `rate` cannot exceed, `(b,)`."""
        return torch.zeros_like(self.value(state))


class Regularised(KrotovHopfield):
    """`E_gamma = E + gamma |f|^2 / 2`: falls strictly until the motion rests, dead neurons or not.

    Args:
        network: the energy network.
        gamma: weight of the second term. Default: 0.5 over the size of `D H_max D`, times the smallest over the largest time
            constant.
        states: where that size is measured: all states that are met. Not needed where every synapse is quadratic,
            `E = -g.Wg/2`: the size is then the same everywhere.
        clamp: what is held fixed, as in `attractor.dynamics.relax`; `f` is zero there.

    Attributes:
        gain: the size of `D H_max D`, at the most over `states`.
        ratio: `c`, below 4: `E_gamma` falls at least at the rate `-gamma |f|^2 (1 - c/4) / tau_max`.

    Raises:
        ValueError: a curvature without bound, a Lagrangian that is not convex, `gamma` not positive or so large that `c >= 4`, or
            no `states` where they are needed.

    Warns:
        AttractorWarning: `c > 2`, where little is left of the rate.

    Example:
        >>> from attractor.energy import Connection, Neurons, lagrangians, synapses
        >>> W = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 2)}, [Connection(synapses.Lateral.from_matrix(W), ("x",))])
        >>> function = Regularised(network)
        >>> round(function.gamma, 4), round(function.ratio, 4)
        (2.0, 0.5)
        >>> function.value({"x": torch.tensor([[-1.0, -1.0], [-3.0, -1.0]])}).tolist()  # both units dead
        [2.0, 10.0]
    """

    def __init__(
        self,
        network: EnergyNetwork,
        gamma: float | None = None,
        *,
        states: Mapping[str, Tensor] | None = None,
        clamp: Clamp = None,
    ):
        super().__init__(network, clamp=clamp)
        if gamma is not None:
            check_positive("gamma", gamma)
        for name, layer in network.layers.items():
            if math.isinf(layer.lagrangian.curvature_bound):
                raise ValueError(
                    f"layer {name!r} must have a bounded curvature for any gamma to be small enough, got {layer.lagrangian!r}"
                )
        taus = [layer.tau for layer in network.layers.values()]
        self.slowest = max(taus)
        spread = self.slowest / min(taus)
        self.gain = largest_gain(network, states)
        if gamma is None:
            gamma = SAFE / (self.gain * spread) if self.gain > 0 else 1.0
        self.gamma = float(gamma)
        self.ratio = self.gamma * self.gain * spread
        if self.ratio >= REFUSED * (1 - 1e-6):
            raise ValueError(f"gamma must be below {REFUSED / (self.gain * spread):.6g} for E_gamma to fall, got {self.gamma:.6g}")
        if self.ratio > WARNED:
            warnings.warn(
                f"gamma = {self.gamma:.6g} leaves E_gamma {1 - self.ratio / REFUSED:.0%} of its rate; "
                f"below {WARNED / (self.gain * spread):.6g} it keeps half",
                AttractorWarning,
                stacklevel=2,
            )

    def value(self, state: Mapping[str, Tensor]) -> Tensor:
        """`E_gamma`, `(b,)`."""
        return super().value(state) + self.gamma / 2 * self.square(state)

    def square(self, state: Mapping[str, Tensor]) -> Tensor:
        """`|f|^2`, `(b,)`."""
        state = self.network.check_state(state)
        return joined(forces(self.network, state, held_by(self.clamp, self.network, state))).square().sum(-1)

    def rate(self, state: Mapping[str, Tensor]) -> Tensor:
        """`E_gamma'` along the motion, `(b,)`."""
        state = self.network.check_state(state)
        pull = forces(self.network, state, held_by(self.clamp, self.network, state))
        velocity = {name: one / self.network.layer(name).tau for name, one in pull.items()}
        changes = hessian_product(self.network, state, velocity)
        turned = self.network.curvature(self.network.activations(state), changes)
        return super().rate(state) + self.gamma * dot(pull, {name: turned[name] - one for name, one in velocity.items()})

    def bound(self, state: Mapping[str, Tensor]) -> Tensor:
        """What `rate` cannot exceed, `(b,)`: `-gamma |f|^2 (1 - c/4) / tau_max`."""
        return -self.gamma / self.slowest * (1 - self.ratio / 4) * self.square(state)


class Conjugate:
    """`V_conj(u) = L*(u) + E_syn(u)`, on activations: the Lyapunov function of the altered system, without flat regions.

    Args:
        network: the energy network.

    Example:
        >>> from attractor.energy import Connection, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 1)}, [Connection(synapses.Bias(torch.ones(1)), ("x",))])
        >>> Conjugate(network).value({"x": torch.tensor([[0.0], [1.0], [2.0]])}).tolist()
        [0.0, -0.5, 0.0]
    """

    def __init__(self, network: EnergyNetwork):
        self.network = network

    def value(self, activations: Mapping[str, Tensor]) -> Tensor:
        """`V_conj`, `(b,)`.

        Raises:
            TypeError, ValueError: a bad shape, or what no state has as its activations.
        """
        u = self.network.check_state(activations, "u")
        own = [self.network.layer(name).lagrangian.conjugate(one) for name, one in u.items()]
        return torch.stack(own).sum(0) + self.network.synapse_energy(u)


def largest_gain(network: EnergyNetwork, states: Mapping[str, Tensor] | None) -> float:
    """The largest `gain` over states; of one state, where it is the same for all."""
    changing = [one.name for one in network.connections if not one.synapse.quadratic]
    if not changing:
        states = network.initial(1)
    if states is None:
        raise ValueError(f"states must be given, those that are met: the curvature of {', '.join(changing)} differs between them")
    vectors = joined(network.check_state(states, "states"))
    return max(float(gain(network, parted(network, rows)).amax()) for rows in vectors.split(ROWS_AT_A_TIME))


@torch.no_grad()
def gain(network: EnergyNetwork, state: Mapping[str, Tensor]) -> Tensor:
    """The largest eigenvalue of `D H_max D` at a state, `(b,)`; `|W|^2 h_max` for one layer with weights `W`."""
    state = network.check_state(state)
    activations = network.activations(state)
    bounds = {name: layer.lagrangian.curvature_bound for name, layer in network.layers.items()}

    def turned(vectors: Tensor) -> Tensor:
        once = network.curvature(activations, parted(network, vectors))
        return joined(network.curvature(activations, {name: bounds[name] * one for name, one in once.items()}))

    like = joined(state)
    start = torch.randn(like.shape, generator=torch.Generator().manual_seed(0)).to(like)
    return lanczos(turned, start, steps=PRODUCTS).clamp_min(0)
