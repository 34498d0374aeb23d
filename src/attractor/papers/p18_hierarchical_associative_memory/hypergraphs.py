"""Descent of the energy on random hypergraphs, under solvers with and without a step size.

Two to six layers: an image, maps that a convolution joins to it, vectors on top, each joined to the layer below. The last layer has
a bias and, where it is a vector, a lateral synapse; the last three share a three-body synapse. Lateral weights are positive
semi-definite for the block solver, which refuses others, and indefinite for solvers with steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import torch

from attractor.dynamics import Adaptive, Block, Euler, RungeKutta4, Solver, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, State
from attractor.energy.lagrangian import Lagrangian
from attractor.energy.lagrangians import Identity, LayerNorm, Sigmoid, Softmax, Spherical, Tanh
from attractor.energy.synapses import Bias, Conv, Dense, Lateral, Trilinear
from attractor.papers.claim import Claim, Row
from attractor.papers.p18_hierarchical_associative_memory.claims import (
    ADAPTIVE_DESCENT,
    BACKTRACKING,
    BLOCK_DESCENT,
    EULER_DESCENT,
    FALL,
    LARGE_STEPS,
    RUNGE_KUTTA_DESCENT,
)
from attractor.papers.p18_hierarchical_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell

DATA = "random weights and states"
BATCH = 3
ROUNDING = 1e-9
SOLVERS: tuple[tuple[Claim, Callable[[], Solver]], ...] = (
    (BLOCK_DESCENT, Block),
    (EULER_DESCENT, lambda: Euler(0.1)),
    (LARGE_STEPS, lambda: Euler(0.5)),
    (BACKTRACKING, lambda: Euler(0.5, backtrack=True)),
    (RUNGE_KUTTA_DESCENT, lambda: RungeKutta4(0.5)),
    (ADAPTIVE_DESCENT, Adaptive),
)
LAGRANGIANS: tuple[Callable[[], Lagrangian], ...] = (
    lambda: Tanh(beta=1.5),
    lambda: Sigmoid(beta=2.0),
    lambda: Softmax(beta=2.0),
    lambda: Spherical(eps=0.1),
    lambda: LayerNorm(eps=0.1),
)


def measure_descent(size: Size, seed: int, tell: Tell) -> Measured:
    """The worst rise of the energy from one step to the next, over all hypergraphs, and the least fall of all."""
    rows, falls, begin = [], [], time.perf_counter()
    seeds = range(seed * size.networks, (seed + 1) * size.networks)
    for done, (claim, make) in enumerate(SOLVERS):
        tell(done / len(SOLVERS))
        start, solver = time.perf_counter(), make()
        try:
            seen = [rise_and_fall(one, solver, size.steps) for one in seeds]
        except ImportError as error:
            rows.append(Row.unmeasured(claim, DATA, error))
            continue
        rises = [rise for rise, _ in seen]
        falls += [fall for _, fall in seen]
        note = f"{size.steps} steps of {BATCH} states each; networks above {ROUNDING:g}: {sum(rise > ROUNDING for rise in rises)}"
        rows.append(Row(claim, max(rises), None, len(seeds), time.perf_counter() - start, DATA, note=note))
    rows.append(Row(FALL, min(falls), None, len(falls), time.perf_counter() - begin, DATA))
    return Measured(rows)


def rise_and_fall(seed: int, solver: Solver, steps: int) -> tuple[float, float]:
    """The worst rise of the energy from one step to the next, and the least fall of a state from start to end."""
    network, state = hypergraph(seed, semidefinite=isinstance(solver, Block))
    found = relax(network, state, solver, tol=0, max_steps=steps, trace=True)
    assert found.trace is not None
    energies = found.trace.energy
    return max(0.0, float(energies.diff(dim=0).max())), float((energies[0] - energies[-1]).min())


def hypergraph(seed: int, *, semidefinite: bool) -> tuple[EnergyNetwork, State]:
    """A network and random states of it, float64."""
    generator = torch.Generator().manual_seed(seed)

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    shapes: dict[str, tuple[int, ...]] = {"image": (1, 6, 6), "maps": (2, 3, 3)}
    shapes |= {f"vector{number}": (whole(2, 6),) for number in range(whole(0, 5))}
    names = list(shapes)
    joined = [Connection(Conv(1, 2, 2, stride=2, generator=generator), ("image", "maps"))]
    for lower, upper in pairwise(names[1:]):
        joined.append(Connection(Dense(shapes[lower], shapes[upper], generator=generator), (lower, upper)))
    last = names[-1]
    joined.append(Connection(Bias(torch.randn(shapes[last], generator=generator)), (last,)))
    if len(names) > 2:
        half = torch.randn(*shapes[last], *shapes[last], generator=generator)
        matrix = half @ half.T / len(half) if semidefinite else half + half.T
        joined.append(Connection(Lateral.from_matrix(matrix), (last,)))
        joined.append(Connection(Trilinear(*(shapes[name] for name in names[-3:]), generator=generator), tuple(names[-3:])))
    neurons = {}
    for name, shape in shapes.items():
        lagrangian = Identity() if name == "image" else LAGRANGIANS[whole(0, len(LAGRANGIANS))]()
        neurons[name] = Neurons(lagrangian, shape, tau=0.3 + float(torch.rand((), generator=generator)))
    network = EnergyNetwork(neurons, joined).double()
    state = {name: torch.randn(BATCH, *shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    return network, state
