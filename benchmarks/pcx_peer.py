"""A step of storing by pcx, where it and JAX are installed: the network of its decoder, compiled as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from peers import optional
from torch import Tensor


def storing_step(patterns: Tensor, first: Sequence[Tensor], steps: int, gamma: float, rate: float) -> Callable[[], float] | None:
    """One step of the weights by Adam after `steps` of inference from zero, without a prior; None where pcx is not installed.

    The step gives the mean energy of a pattern between the two.

    Args:
        patterns: `(n, d)`.
        first: weights `(below, above)` to start from, those of the memory layer first; constant parts start at zero.
        gamma: length of a step of inference.
        rate: of the weights.
    """
    jax, optax, energies, functional, layers, utils = (
        optional(name) for name in ("jax", "optax", "pcx.predictive_coding", "pcx.functional", "pcx.nn", "pcx.utils")
    )
    if any(module is None for module in (jax, optax, energies, functional, layers, utils)):
        return None
    rows, values = jax.numpy.asarray(patterns.numpy()), energies.VodeParam
    widths = [*(len(weight.T) for weight in first), patterns.shape[1]]

    class Decoder(energies.EnergyModule):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = [layers.Linear(above, below) for above, below in pairwise(widths)]
            for layer, weight in zip(self.layers, first, strict=True):
                layer.nn.weight.set(jax.numpy.asarray(weight.numpy()))
                layer.nn.bias.set(jax.numpy.zeros(len(weight)))
            zero = {"ruleset": {energies.STATUS.INIT: ("h, u <- u:zero",)}, "tforms": {"zero": lambda n, k, v, r: 0 * v}}
            self.vodes = [energies.Vode(energy_fn=energies.zero_energy, **zero)]
            self.vodes += [energies.Vode(**zero) for _ in widths[1:-1]] + [energies.Vode()]
            self.vodes[-1].h.frozen = True

        def __call__(self, senses: Any) -> Any:
            state = self.vodes[0](jax.numpy.zeros(widths[0]))
            for layer, vode in zip(self.layers, self.vodes[1:], strict=True):
                state = vode(layer(jax.nn.tanh(state)))
            if senses is not None:
                self.vodes[-1].set("h", senses)
            return self.vodes[-1].get("u")

    batched = {"model": utils.M(values | values.Cache).to((None, 0))}

    @functional.vmap(batched, in_axes=(0,), out_axes=0)
    def forward(senses: Any, *, model: Any) -> Any:
        return model(senses)

    @functional.vmap(batched, out_axes=(None, 0), axis_name="batch")
    def energy(*, model: Any) -> Any:
        predicted = model(None)
        return jax.lax.psum(model.energy(), "batch"), predicted

    @functional.jit()
    def stored(senses: Any, *, model: Any, states: Any, weights: Any) -> Any:
        infer = functional.value_and_grad(utils.M_hasnot(values, frozen=True).to([False, True]), has_aux=True)(energy)
        learn = functional.value_and_grad(utils.M(layers.LayerParam).to([False, True]), has_aux=True)(energy)
        model.train()
        with utils.step(model, energies.STATUS.INIT, clear_params=values.Cache):
            forward(senses, model=model)
        for _ in range(steps):
            with utils.step(model, clear_params=values.Cache):
                _, gradients = infer(model=model)
            states.step(model, gradients["model"])
        with utils.step(model, clear_params=values.Cache):
            (total, _), gradients = learn(model=model)
        weights.step(model, gradients["model"], scale_by=1 / len(patterns))
        return total

    model = Decoder()
    with utils.step(model, energies.STATUS.INIT, clear_params=values.Cache):
        forward(rows, model=model)
    states = utils.Optim(lambda: optax.sgd(gamma), utils.M_hasnot(values, frozen=True)(model))
    weights = utils.Optim(lambda: optax.adam(rate), utils.M(layers.LayerParam)(model))

    def step() -> float:
        total = stored(rows, model=model, states=states, weights=weights)
        # JAX returns before it is done
        jax.block_until_ready([layer.nn.weight.get() for layer in model.layers])
        return float(total) / len(patterns)

    return step
