"""Speed of one relaxation step of an energy network beside hamux-torch and autograd.

The network of the public demonstrations: 784 visible units, 900 with soft-max, 10 labels, joined by dense weights; a step is the
activations, the force on every layer, and the new state. Contenders take the same weights and give the same step:

- hamux-torch as it installs, and with its dense synapse written as matrix products: it contracts three operands at once, and does
  not ask for opt_einsum, by which torch would find a good order, and which JAX brings along here;
- one call of autograd on the batched energy, with closed-form activations;
- the same in JAX, compiled, with its own automatic activations;
- attractor, and attractor in a loop of 30 steps that `torch.compile` has fused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target, milliseconds
from timing import Contender, race
from torch import Tensor, nn

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses

State = dict[str, Tensor]
OURS, COMPILED, AUTOGRAD = "attractor", "attractor, 30 steps compiled", "autograd of the energy"
SHIPPED, REWRITTEN, JAX = "hamux-torch", "hamux-torch, synapse rewritten", "JAX, compiled"
DT = 0.5
STEPS = 30


@dataclass(frozen=True)
class Sizes:
    """Units of the three layers and the batch, for each row; about `seconds` for each."""

    nets: tuple[tuple[int, int, int, int], ...] = ((32, 64, 10, 1), (784, 900, 10, 100))
    seconds: float = 8.0
    compiles: bool = True


QUICK = Sizes(nets=((8, 12, 3, 2),), seconds=0.2, compiles=False)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    found = []
    for visible, hidden, labels, batch in sizes.nets:
        say(f"energy step: {visible}-{hidden}-{labels}, batch {batch}")
        found.append(one(visible, hidden, labels, batch, sizes))
    return Section("Energy networks", [table(found)], targets(found), {"steps": found})


def network_of(visible: int, hidden: int, labels: int) -> EnergyNetwork:
    generator = torch.Generator().manual_seed(0)
    return EnergyNetwork(
        {
            "image": Neurons(lagrangians.Identity(), visible),
            "hidden": Neurons(lagrangians.Softmax(beta=1.0), hidden),
            "label": Neurons(lagrangians.Softmax(beta=1.0), labels),
        },
        [
            Connection(synapses.Dense(visible, hidden, generator=generator), ("image", "hidden")),
            Connection(synapses.Dense(hidden, labels, generator=generator), ("hidden", "label")),
        ],
    )


def one(visible: int, hidden: int, labels: int, batch: int, sizes: Sizes) -> dict[str, Any]:
    network = network_of(visible, hidden, labels)
    generator = torch.Generator().manual_seed(1)
    state = network.initial(image=torch.randn(batch, visible, generator=generator))

    def ours(state: State) -> State:
        velocity = network.velocity(state)
        return {name: x.add(velocity[name], alpha=DT) for name, x in state.items()}

    steps: dict[str, Callable[[State], State]] = {OURS: ours, AUTOGRAD: lambda state: by_autograd(network, state)}
    if optional("hamux_torch") is not None:
        steps[SHIPPED], steps[REWRITTEN] = (hamux_step(network, rewritten) for rewritten in (False, True))
    if optional("jax") is not None:
        steps[JAX] = jax_step(network, state)
    wanted = ours(state)
    off = max(float((step(state)[name] - wanted[name]).abs().max()) for step in steps.values() for name in wanted)
    contenders = [Contender(name, lambda step=step: step(state), 5 if name == SHIPPED else 31) for name, step in steps.items()]
    if sizes.compiles:
        loop = torch.compile(lambda state: repeated(ours, state))
        contenders.append(Contender(COMPILED, lambda: loop(state)))
    timed = race(contenders, sizes.seconds)
    return {"net": f"{visible}-{hidden}-{labels}", "batch": batch, "race": timed, "off": off}


def repeated(step: Callable[[State], State], state: State) -> State:
    for _ in range(STEPS):
        state = step(state)
    return state


def by_autograd(network: EnergyNetwork, state: State) -> State:
    """The whole energy differentiated by the activations, states held."""
    with torch.enable_grad():
        activations = {name: g.requires_grad_() for name, g in network.activations(state).items()}
        energy = sum((network.layer(name).energy(x, activations[name]) for name, x in state.items()), torch.zeros(()))
        total = (energy + network.synapse_energy(activations)).sum()
        gradients = torch.autograd.grad(total, list(activations.values()))
    return {name: x.sub(gradient, alpha=DT) for (name, x), gradient in zip(state.items(), gradients, strict=True)}


class Rewritten(nn.Module):
    """Their dense synapse with two operands at a time."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, lower: Tensor, upper: Tensor) -> Tensor:
        return -((lower @ self.weight) * upper).sum()


class Summed(nn.Module):
    """A Lagrangian of one sample, as hamux-torch takes it."""

    def __init__(self, lagrangian: lagrangians.Lagrangian):
        super().__init__()
        self.lagrangian = lagrangian

    def forward(self, x: Tensor) -> Tensor:
        return self.lagrangian.value(x[None]).squeeze(0)


def hamux_step(network: EnergyNetwork, rewritten: bool) -> Callable[[State], State]:
    """A step of the same network in hamux-torch."""
    core = optional("hamux_torch")
    neurons = {name: core.NeuronLayer(Summed(layer.lagrangian), layer.shape) for name, layer in network.layers.items()}
    joined = {}
    for connection in network.connections:
        weight = connection.synapse.weight.detach().T.contiguous()
        joined[connection.name] = Rewritten(weight) if rewritten else core.LinearSynapse(*weight.shape)
        if not rewritten:
            joined[connection.name].W.data = weight
    ham = core.HAM(neurons, joined, [(connection.ends, connection.name) for connection in network.connections]).vectorize()

    def step(state: State) -> State:
        with torch.enable_grad(), torch.backends.opt_einsum.flags(enabled=False):
            gradients = ham.dEdact(ham.activations(state), state)
        return {name: x.sub(gradients[name].detach(), alpha=DT) for name, x in state.items()}

    return step


def jax_step(network: EnergyNetwork, state: State) -> Callable[[State], State]:
    """A step of the same network in JAX; the state is put there once, before the race."""
    jax = optional("jax")
    numpy = jax.numpy
    first, second = (numpy.asarray(connection.synapse.weight.detach().numpy()) for connection in network.connections)

    def lagrangian(x: Any) -> Any:
        tops = sum(jax.scipy.special.logsumexp(x[name], axis=-1).sum() for name in ("hidden", "label"))
        return (x["image"] ** 2).sum() / 2 + tops

    def energy(g: Any, x: Any) -> Any:
        joined = ((g["image"] @ first.T) * g["hidden"]).sum() + ((g["hidden"] @ second.T) * g["label"]).sum()
        return sum((x[name] * g[name]).sum() for name in x) - lagrangian(x) - joined

    @jax.jit
    def moved(x: Any) -> Any:
        gradients = jax.grad(energy)(jax.grad(lagrangian)(x), x)
        return {name: x[name] - DT * gradients[name] for name in x}

    start = {name: numpy.asarray(x.numpy()) for name, x in state.items()}

    def step(_: State) -> State:
        found = jax.block_until_ready(moved(start))
        return {name: torch.from_dlpack(x) for name, x in found.items()}

    return step


def table(found: list[dict[str, Any]]) -> Table:
    columns = ("net", "batch", "attractor ms", AUTOGRAD, SHIPPED, REWRITTEN, JAX, "30 steps compiled, ms a step", "steps apart")
    rows = []
    for one in found:
        timed = one["race"]
        cells = [str(timed.ratio(name, OURS)) if name in timed else NOT_INSTALLED for name in (AUTOGRAD, SHIPPED, REWRITTEN, JAX)]
        compiled = milliseconds(timed.time(COMPILED) / STEPS) if COMPILED in timed else NOT_INSTALLED
        rows.append([one["net"], str(one["batch"]), milliseconds(timed.time(OURS)), *cells, compiled, f"{one['off']:.0e}"])
    note = (
        "One step: activations, force, new state. Without a unit: the peer's time over attractor's in the same round, median "
        "(quartiles). hamux-torch as it installs: without opt_einsum, which it does not ask for. It is not on PyPI: "
        "pip install git+https://github.com/bhoov/hamux-torch"
    )
    return Table("One relaxation step of a network of three layers, float32", columns, rows, note, labels=2)


def targets(found: list[dict[str, Any]]) -> list[Target]:
    timed = found[-1]["race"]
    lines = [
        ("one autograd call", AUTOGRAD, 1.5),
        ("hamux-torch, rewritten", REWRITTEN, 2.0),
        ("hamux-torch as it installs", SHIPPED, 50.0),
        ("compiled JAX", JAX, 1.0),
    ]
    listed = []
    for what, name, wanted in lines:
        if name in timed:
            ratio = timed.ratio(name, OURS)
            claim = f"a step of {found[-1]['net']}: speed-up over {what}"
            listed.append(Target(claim, f">= {wanted:g}", str(ratio), ratio.median >= wanted))
    if len(found) > 1 and REWRITTEN in found[0]["race"]:
        ratio = found[0]["race"].ratio(REWRITTEN, OURS)
        listed.append(Target(f"a step of {found[0]['net']}: over hamux-torch, rewritten", ">= 10", str(ratio), ratio.median >= 10))
    return listed
