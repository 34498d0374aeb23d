"""The law of the energy, on random problems: it never rises, and falls at the rate that force and layer norm give.

A problem is a block with normal weights, whose deviation lies between 0.02 and 1, and one set of normal tokens; all in float64.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.energy.lagrangians import LayerNorm
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson
from attractor.papers.sweep import sweep

ROUNDING = 1e-9
DEVIATIONS = (0.02, 1.0)
SMALL, LARGE, ALONE = (0.01, 0.1), 100.0, (0.1, 1.0, 100.0)
TOKENS, DIM, HEADS, KEY_DIM, MEMORIES = 11, 16, 4, 8, 64
WIDTH = 1e-5
PAPER_BLOCK = 3_538_944

LYAPUNOV = "the paper's Lyapunov function, in continuous time; for finite steps it is measured"
CONCAVE = "not in the paper: the memory energy is concave in the activations, so that steps of any size descend"
OWN = "not in the paper, which has no such option: the bar of this library"
RISES = "share of problems whose energy rises at a step"

STEPS_FALL = {alpha: Claim(f"steps of {alpha:g}: {RISES}", "never rises", LYAPUNOV, "rate", most=0.0) for alpha in SMALL}
MEMORIES_FALL = {
    alpha: Claim(f"memories without attention, steps of {alpha:g}: {RISES}", "never rises", CONCAVE, "rate", most=0.0)
    for alpha in ALONE
}
LARGE_STEPS = Claim(f"attention without memories, steps of {LARGE:g}: {RISES}", "no figure", LYAPUNOV, "rate")
BACKTRACKING = Claim(f"the same with steps from {LARGE:g} that backtrack: {RISES}", "never rises", OWN, "rate", most=0.0)
RATE = Claim(
    "dE/dt measured against -(dE/dg)^T J (dE/dg), J the Jacobian of the layer norm: largest relative difference",
    "equal",
    "the paper's derivation of the descent; derived again",
    most=1e-6,
)
GRADIENT = Claim(
    "force in closed form against automatic differentiation of the energy: largest relative difference",
    "equal",
    "the paper takes the gradient of its energy; derived again",
    most=1e-10,
)
PARAMETERS = Claim(
    "parameters of attention and memories of the paper's block (768 wide, 12 heads of 64, 3072 memories)",
    PAPER_BLOCK,
    "counted from the sizes that the paper gives",
    least=PAPER_BLOCK,
    most=PAPER_BLOCK,
)
CLAIMS = (*STEPS_FALL.values(), *MEMORIES_FALL.values(), LARGE_STEPS, BACKTRACKING, RATE, GRADIENT, PARAMETERS)
DATA = "random weights and tokens"


@dataclass(frozen=True)
class LawSize:
    """How much to measure.

    Attributes:
        problems: independent blocks with their tokens, for each claim.
        steps: of each.
    """

    problems: int
    steps: int


SMOKE = LawSize(problems=6, steps=20)
LAPTOP = LawSize(problems=100, steps=100)
FULL = LawSize(problems=1000, steps=200)


def measure_law(size: LawSize, seed: int, tell: Tell) -> Measured:
    """Rows for the law, and the energy along one descent for each size of step."""
    ways = [
        *((claim, alpha, "both", False) for alpha, claim in STEPS_FALL.items()),
        *((claim, alpha, "memories", False) for alpha, claim in MEMORIES_FALL.items()),
        (LARGE_STEPS, LARGE, "attention", False),
        (BACKTRACKING, LARGE, "attention", True),
    ]
    seeds = range(seed * size.problems, (seed + 1) * size.problems)
    rows = []
    for done, (claim, alpha, terms, backtrack) in enumerate(ways):
        start = time.perf_counter()
        worst = sweep(worst_rise, [(one, alpha, terms, backtrack, size.steps) for one in seeds])
        # a rise that is no number counts as one
        risen = sum(not rise <= ROUNDING for rise in worst)
        note = f"{size.steps} steps each; largest rise of a step, relative: {largest(worst):.1e}"
        rows.append(
            Row(claim, risen / len(worst), wilson(risen, len(worst)), len(worst), time.perf_counter() - start, DATA, note=note)
        )
        tell((done + 1) / (len(ways) + 2))
    for claim, measure in ((RATE, rate_error), (GRADIENT, gradient_error)):
        start = time.perf_counter()
        errors = sweep(measure, [(one,) for one in seeds])
        rows.append(Row(claim, largest(errors), None, len(errors), time.perf_counter() - start, DATA))
    rows.append(count())
    return Measured(rows, [chart(seeds[0], size.steps)])


def largest(values: Sequence[float]) -> float:
    """NaN where one of them is, which `max` may lose."""
    return float(torch.tensor(values, dtype=torch.float64).max())


def count() -> Row:
    start = time.perf_counter()
    block = EnergyTransformer(768)
    counted = sum(one.numel() for one in (block.query, block.key, block.memory))
    return Row(PARAMETERS, counted, None, 1, time.perf_counter() - start, "the block itself")


def problem(seed: int, terms: str = "both") -> tuple[EnergyTransformer, Tensor]:
    """A block with `"both"` terms of the energy or one of them, and tokens `(1, N, D)`."""
    generator = torch.Generator().manual_seed(seed)
    memories = 0 if terms == "attention" else MEMORIES
    block = EnergyTransformer(DIM, heads=HEADS, key_dim=KEY_DIM, memories=memories, attention=terms != "memories")
    block.double().requires_grad_(False)
    low, high = DEVIATIONS
    deviation = low * (high / low) ** torch.rand((), generator=generator, dtype=torch.float64)
    for one in (block.query, block.key, block.memory, block.norm.bias):
        if one is not None:
            one.copy_(deviation * torch.randn(one.shape, generator=generator, dtype=torch.float64))
    return block, torch.randn(1, TOKENS, DIM, generator=generator, dtype=torch.float64)


def worst_rise(seed: int, alpha: float, terms: str, backtrack: bool, steps: int) -> float:
    """The largest rise of the energy at a step, relative; zero where it never rises."""
    energies = energies_along(seed, alpha, terms, backtrack, steps)
    return float((energies.diff() / energies[:-1].abs()).max().clamp_min(0))


def energies_along(seed: int, alpha: float, terms: str, backtrack: bool, steps: int) -> Tensor:
    """Of the states on the way, computed again: those that the descent reports are what it decides by."""
    block, x = problem(seed, terms)
    block.step_size = alpha
    way = block.descend(x, max_steps=steps, tol=0.0, step_size="backtrack" if backtrack else alpha, trace=True)
    assert way.trace is not None
    return block.energy(block.normalize(way.trace.states[:, 0]))


def rate_error(seed: int) -> float:
    """How far the slope of the energy along the force is from what the layer norm's Jacobian says, relative."""
    block, x = problem(seed)
    force = block.force(block.normalize(x))
    norm = LayerNorm(block.norm.gain, delta=block.norm.bias, eps=block.norm.eps, dims=1)
    said = -(force * norm.hvp(x, force)).sum()
    scale = WIDTH / force.abs().max()
    after, before = (block.energy(block.normalize(x + time * force)) for time in (scale, -scale))
    return float(((after - before) / (2 * scale) / said - 1).abs())


def gradient_error(seed: int) -> float:
    """How far the force is from minus the gradient, relative to its largest entry."""
    block, x = problem(seed)
    g = block.normalize(x).requires_grad_()
    (gradient,) = torch.autograd.grad(block.energy(g).sum(), g)
    return float((block.force(g).detach() + gradient).abs().max() / gradient.abs().max())


def chart(seed: int, steps: int) -> Chart:
    """The energy for each token along descents from one start."""
    ways = [*((f"steps of {alpha:g}", alpha, False) for alpha in (*SMALL, 1.0)), (f"from {LARGE:g}, backtracking", LARGE, True)]
    times = tuple(float(step) for step in range(steps + 1))
    series: Sequence[Series] = [
        Series(label, times, tuple((energies_along(seed, alpha, "both", back, steps) / TOKENS).tolist()), style="line")
        for label, alpha, back in ways
    ]
    return Chart("energy-law", "Energy along the steps of a random block", "step", "energy of a token", tuple(series))
