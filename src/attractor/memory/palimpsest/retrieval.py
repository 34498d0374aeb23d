"""Retrieval: what the weights, the cue and the prior say of each neuron together.

The posterior of a pattern has the log odds `evidence_i + beta log_odds_i(the others)` for each neuron. Four ways to read it: the
mean-field equations, which a network can settle (deterministic neural dynamics); Gibbs sampling; sampling that is cooled down, for
the most probable pattern; and, for a few neurons, the sum over all patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.memory.palimpsest.decoder import Decoder, Sums
from attractor.memory.palimpsest.statistics import standardised

Method = Literal["mean-field", "gibbs", "map", "exact"]
METHODS: tuple[Method, ...] = ("mean-field", "gibbs", "map", "exact")
STEPS = 60
SWEEPS = 32
PACE = 0.3
AT_REST = 1e-4
MOST_EXACT = 12
COLDEST = 8.0


@dataclass(frozen=True)
class Posterior:
    """What is to be read: the weights, and what else is known of each pattern.

    Attributes:
        decoder: of the weights.
        evidence: `(..., b, N)` log odds without the weights, infinite where a neuron is known.
        beta: how much the weights count, broadcast against `(..., b, 1)`.
    """

    decoder: Decoder
    evidence: Tensor
    beta: Tensor | float

    def log_joint(self, patterns: Tensor) -> Tensor:
        """`log p(x, W | cue)` of patterns `(..., b, N)` that agree with what is known, up to a constant of the cue."""
        known = self.evidence.isinf()
        said = (self.evidence.masked_fill(known, 0) * patterns).sum(-1)
        weighed = self.decoder.log_likelihood(patterns)
        return said + (self.beta * weighed[..., None]).squeeze(-1)


@dataclass(frozen=True)
class Marginals:
    """`probabilities (..., b, N)` that a neuron is active, and per pattern the `steps` taken and whether it came to rest."""

    probabilities: Tensor
    steps: Tensor
    converged: Tensor
    states: tuple[Tensor, ...]


def retrieve(posterior: Posterior, method: Method, *, steps: int | None = None, seed: int = 0) -> Marginals:
    """Read the posterior.

    Args:
        method: how.
        steps: most steps of the mean-field equations, or sweeps of a sampler. Default: 60, or 32.
        seed: of a sampler.
    """
    if method == "mean-field":
        return mean_field(posterior, STEPS if steps is None else steps)
    if method == "exact":
        return enumerated(posterior)
    sweeps = SWEEPS if steps is None else steps
    return sampled(posterior, sweeps, seed, cooled=method == "map")


def mean_field(posterior: Posterior, steps: int) -> Marginals:
    """`h <- (1 - eta) h + eta (evidence + beta log odds)` with `p = sigmoid(h)`, from the evidence on; a pattern at rest stays."""
    field = posterior.evidence
    probabilities = field.sigmoid()
    moving = torch.ones(field.shape[:-1], dtype=torch.bool, device=field.device)
    taken = torch.zeros(field.shape[:-1], dtype=torch.int64, device=field.device)
    way = [probabilities]
    for _ in range(steps):
        target = posterior.evidence + posterior.beta * posterior.decoder.log_odds(probabilities)
        field = torch.where(moving[..., None], torch.lerp(field, target, PACE), field)
        # infinities stay what they are: those neurons are known
        field = torch.where(posterior.evidence.isinf(), posterior.evidence, field)
        fresh = field.sigmoid()
        taken += moving
        moving = moving & ((fresh - probabilities).abs().amax(-1) > AT_REST)
        probabilities = fresh
        way.append(probabilities)
        if not bool(moving.any()):
            break
    return Marginals(probabilities, taken, ~moving, tuple(way))


def sampled(posterior: Posterior, sweeps: int, seed: int, *, cooled: bool) -> Marginals:
    """Gibbs sampling in random order, averaged over the second half of the sweeps; `cooled`, the last state."""
    generator = torch.Generator().manual_seed(seed)
    decoder, evidence = posterior.decoder, posterior.evidence
    states = (evidence > 0).to(evidence.dtype)
    u = standardised(states, decoder.f)
    drive, sums = u @ decoder.symmetric, decoder.sums(u)
    gap = float(standardised(torch.ones(()), decoder.f) - standardised(torch.zeros(()), decoder.f))
    low = float(standardised(torch.zeros(()), decoder.f))
    mean, way = torch.zeros_like(states), [states.clone()]
    for sweep in range(sweeps):
        cold = COLDEST ** (2 * sweep / max(1, sweeps - 1) - 1) if cooled else 1.0
        order = torch.randperm(decoder.size, generator=generator).tolist()
        drawn = torch.rand(states.shape, generator=generator, dtype=states.dtype).to(states.device)
        for neuron in order:
            some = slice(neuron, neuron + 1)
            old = states[..., some]
            odds = decoder.odds(old, drive[..., some], sums, some)
            chance = (cold * (evidence[..., some] + posterior.beta * odds)).sigmoid()
            new = (drawn[..., some] < chance).to(states.dtype)
            change = (new - old) * gap
            sums = changed(sums, low + gap * old, change, decoder.rows[..., some], decoder.columns[..., some])
            drive.addcmul_(change, decoder.symmetric[..., some, :])
            states[..., some] = new
        if 2 * sweep >= sweeps:
            mean += states
        way.append(states.clone())
    shape = states.shape[:-1]
    taken = torch.full(shape, sweeps, dtype=torch.int64, device=states.device)
    probabilities = states if cooled else mean / (sweeps - (sweeps + 1) // 2)
    return Marginals(probabilities, taken, torch.ones(shape, dtype=torch.bool, device=states.device), tuple(way))


def changed(sums: Sums, old: Tensor, change: Tensor, row: Tensor, column: Tensor) -> Sums:
    """The sums once one neuron has changed by `change`."""
    new = old + change
    return Sums(
        sums.one + change,
        sums.two + new.square() - old.square(),
        sums.three + new**3 - old**3,
        sums.rows + change * row,
        sums.columns + change * column,
    )


def enumerated(posterior: Posterior) -> Marginals:
    """The sum over all patterns.

    Raises:
        ValueError: too many neurons.
    """
    decoder, evidence = posterior.decoder, posterior.evidence
    if decoder.size > MOST_EXACT:
        raise ValueError(f"retrieval 'exact' sums over all patterns, of at most {MOST_EXACT} neurons, got {decoder.size}")
    patterns = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * decoder.size).to(evidence)
    rows = []
    for row in range(evidence.shape[-2]):
        one = Posterior(decoder.of_cue(row), evidence[..., row : row + 1, :], of_cue(posterior.beta, row))
        against = evidence[..., row : row + 1, :].isinf() & ((patterns > 0) != (evidence[..., row : row + 1, :] > 0))
        weight = one.log_joint(patterns).masked_fill(against.any(-1), -torch.inf).softmax(-1)
        rows.append(weight @ patterns)
    probabilities = torch.stack(rows, -2)
    shape = evidence.shape[:-1]
    nothing = torch.zeros(shape, dtype=torch.int64, device=evidence.device)
    return Marginals(probabilities, nothing + 1, nothing == 0, (evidence.sigmoid(), probabilities))


def of_cue(values: Tensor | float, row: int) -> Tensor | float:
    """What belongs to one cue of a batch, as a batch of one."""
    if isinstance(values, float) or values.ndim < 2 or values.shape[-2] == 1:
        return values
    return values[..., row : row + 1, :]
