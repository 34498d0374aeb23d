"""Palimpsest memory: patterns of 0 and 1 written over each other in one matrix of synapses, read by Bayesian retrieval.

Savin, Dayan and Lengyel, "Two is better than one" (NeurIPS 2011) and "Correlations strike back (again)" (NeurIPS 2013). Learning
makes the synapses of a neuron depend on each other. Retrieval that takes them for independent recalls worse than the cue it was
given; retrieval that knows of it needs inhibition by the neuron's total weight, and recalls almost without error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.memory.base import Domain, IfPresent, register
from attractor.memory.counting import CountingMemory, check_settings, refuse_items
from attractor.memory.palimpsest.additive import Additive
from attractor.memory.palimpsest.bounded import Cascade, MarkovSynapse
from attractor.memory.palimpsest.plasticity import Plasticity
from attractor.memory.palimpsest.recall import PalimpsestRecall
from attractor.memory.palimpsest.recollection import Reader
from attractor.memory.palimpsest.retrieval import METHODS, Method
from attractor.memory.palimpsest.simulation import calibrated_betas, cue_evidence, simulate
from attractor.memory.palimpsest.statistics import check_inside, overlap_excess
from attractor.memory.recall import Trace
from attractor.validation import check_count, check_finite, check_floating, check_known, check_matrix, check_number, check_shape

KINDS: dict[str, type[Plasticity]] = {"additive": Additive, "cascade": Cascade, "markov": MarkovSynapse}
FULL, HALF, LIGHT_LOAD = 1.0, 0.5, 0.1
MOST_OVERLAP = 3.0
"""Mean square overlap of patterns, in that of random ones, up to which they count as random."""
NEXT_SEED = 1_000_003


@register("palimpsest")
class PalimpsestMemory(CountingMemory):
    """A memory in which new patterns write over old ones.

    It is made for random patterns of independent neurons, `f` of them active. It keeps weights, not patterns: `Recall.index`,
    `score` and `margin` are None, and there is no energy.

    Args:
        dim: number of neurons, at least 2.
        plasticity: how synapses learn: `Additive`, `Cascade`, `MarkovSynapse`, or the name of an additive rule that keeps all
            patterns alike: `"hebb"`, `"covariance"`, `"pre"`, `"post"`.
        f: the share of active neurons.
        flip_rate: the share of flipped neurons in a cue.
        retrieval: `"mean-field"` (deterministic), `"gibbs"` (samples of the posterior), `"map"` (cooled samples), or `"exact"` (the
            sum over all patterns, up to 12 neurons).
        correlated: False reads the weights as if they were independent.
        recency: the chance that a cue is of the newest pattern; that of older ones falls by `1 - recency` for each.
        beta: how much the weights count, 0 to 1. Default: 1 while the load is below a tenth of a pattern for each neuron, then
            0.5, for the Gaussian likelihood is too sure of itself beyond the capacity; `calibrate_beta` finds the best by age.
        seed: of what is random in the synapses.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> patterns = torch.randint(0, 2, (10, 100), generator=generator).float()
        >>> cue = patterns[:1].clone()
        >>> cue[:, :10] = 1 - cue[:, :10]
        >>> errors = []
        >>> for correlated in (True, False):
        ...     memory = PalimpsestMemory(100, correlated=correlated)
        ...     ids = memory.store(patterns)
        ...     errors.append(int((memory.recall(cue).patterns != patterns[:1]).sum()))
        >>> errors[0], errors[1] > 10
        (0, True)
    """

    domain = Domain("levels", 2)
    settings = ("dim", "plasticity", "f", "flip_rate", "retrieval", "correlated", "recency", "beta", "seed", "betas")
    synapses: Tensor

    def __init__(
        self,
        dim: int,
        *,
        plasticity: Plasticity | str = "hebb",
        f: float = 0.5,
        flip_rate: float = 0.1,
        retrieval: Method = "mean-field",
        correlated: bool = True,
        recency: float = 0.1,
        beta: float | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.dim = check_count("dim", dim, least=2)
        self.plasticity = plasticity if isinstance(plasticity, Plasticity) else Additive(plasticity)
        self.f = check_inside("f", f)
        self.flip_rate = check_inside("flip_rate", flip_rate, 0.5)
        if retrieval not in METHODS:
            raise ValueError(f"retrieval must be one of {', '.join(METHODS)}, got {retrieval!r}")
        self.retrieval: Method = retrieval
        self.correlated = bool(correlated)
        self.recency = check_inside("recency", recency)
        if beta is not None:
            check_number("beta", beta)
            if not 0 <= beta <= 1:
                raise ValueError(f"beta must lie between 0 and 1, got {beta!r}")
        self.beta = beta
        self.seed = check_count("seed", seed, least=0)
        self.betas: list[float] = []
        self.register_buffer("synapses", self.plasticity.initial((dim, dim), self.f, self.seed))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} patterns, dim={self.dim}, {self.plasticity!r}, f={self.f}, {self.retrieval!r})"

    @property
    def weights(self) -> Tensor:
        """`(dim, dim)`, `[neuron behind][neuron before]`, float64; the diagonal means nothing."""
        return self.plasticity.weights(self.synapses, self.seed).double()

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Write patterns, the last one is the newest; call again to write more.

        Args:
            patterns: `(n, dim)` of 0 and 1, floating point.
            values, metadata: refused, as there are no items to keep them beside.
            if_present: `"add"` only: synapses cannot tell what they have seen.

        Returns:
            running numbers `(n,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, or an argument that does not apply; nothing is stored then.
        """
        refuse_items(self, metadata, if_present, values=values)
        check_matrix("patterns", patterns, self.dim)
        self.domain.check("patterns", patterns)
        first = int(self.counts[1])
        seeds = [(self.seed + 1) * NEXT_SEED + number for number in range(first, first + len(patterns))]
        self.synapses = self.plasticity.write(self.synapses, patterns.detach(), self.f, seeds)
        return self._count_in(patterns)

    def forget(self, patterns: Tensor) -> None:
        """Take `patterns (n, dim)`, stored ones, out again: for additive rules without decay. Others forget by themselves.

        Raises:
            TypeError: the rule cannot be undone, or ids came instead of patterns.
            ValueError: wrong shape or entries, or more patterns than are stored; nothing is forgotten then.
        """
        if not self.plasticity.undoable:
            raise TypeError(f"{self.plasticity!r} forgets by itself: what is written over cannot be taken out")
        self._refuse_ids(patterns)
        check_matrix("patterns", patterns, self.dim)
        self.domain.check("patterns", patterns)
        self._refuse_more_than_stored(patterns)
        self.synapses = self.plasticity.undo(self.synapses, patterns.detach(), self.f)
        self._count_out(patterns)

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        age: int | Tensor | None = None,
        steps: int | None = None,
        trace: bool = False,
        seed: int = 0,
    ) -> PalimpsestRecall:
        """Recall the most probable neurons given the cues and the weights.

        Args:
            cues: `(b, dim)` of 0 and 1; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted: those neurons never change, of the others the cue says nothing. Default:
                each neuron of the cue is flipped with `flip_rate`.
            age: how many patterns were stored after those to recall, one number or `(b,)`. Default: unknown. The most
                probable age given the cue, the pattern given the age, and so on in turn until the age stays.
            steps: most steps of the mean-field equations, or sweeps of a sampler. Default: 60, or 32.
            trace: keep the probabilities after each step, at the age that was found.
            seed: of a sampler.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, a row with nothing known, an age that is not stored, or an empty
                memory.
        """
        check_floating("cues", cues)
        check_shape("cues", cues, self.dim)
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        known = check_known(known, cues)
        trusted = cues if known is None else cues.where(known, 0)
        check_finite("cues", trusted)
        self.domain.check("cues", trusted)
        steps = None if steps is None else check_count("steps", steps)
        evidence = self._evidence(trusted, known)
        reader = self._reader()
        found, ages, familiarity = reader.read(evidence, reader.ages(age, len(cues)), self.retrieval, steps, seed)
        patterns = (found.probabilities > 0.5).to(cues.dtype)
        kept = Trace(torch.stack(found.states).to(cues.dtype), None) if trace else None
        return PalimpsestRecall(
            patterns if known is None else cues.where(known, patterns),
            None,
            None,
            None,
            torch.ones(len(cues), dtype=torch.bool, device=cues.device),
            None,
            found.steps,
            found.converged,
            kept,
            probabilities=found.probabilities.to(cues.dtype),
            age=ages,
            familiarity=familiarity.to(cues.dtype),
        )

    def misfit(self, patterns: Tensor) -> str | None:
        """Why `patterns (n, dim)` of 0 and 1 are not what this memory is made for; None where they are, or are too few to tell."""
        excess = overlap_excess(patterns, self.f)
        if excess <= MOST_OVERLAP:
            return None
        return (
            f"made for random patterns of independent neurons, {self.f:.0%} of them active: these overlap {excess**0.5:.1f} times "
            f"as much, {float(patterns.mean()):.0%} are active"
        )

    def calibrate_beta(self, *, ages: int = 11, networks: int = 24) -> list[float]:
        """Find how much the weights should count at ages below `ages`: on simulated memories like this one, of random patterns.

        Older patterns are read with the last. The result is in use from then on; `beta`, where it was given, no longer is.

        Raises:
            ValueError: the memory is empty.
        """
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        tried = range(min(check_count("ages", ages), len(self)))
        simulated = simulate(
            self.plasticity,
            networks=check_count("networks", networks),
            size=self.dim,
            stored=len(self),
            ages=tried,
            f=self.f,
            flip_rate=self.flip_rate,
            seed=self.seed + 1,
        )
        self.betas = calibrated_betas(simulated, self.retrieval, correlated=self.correlated).tolist()
        return self.betas

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {**super().configuration(folder), "plasticity": self.plasticity.configuration()}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        settings = dict(check_settings(configuration, cls.settings))
        betas, rule = settings.pop("betas"), settings.pop("plasticity")
        memory = cls(**settings, plasticity=KINDS[rule["kind"]].from_configuration(rule))
        memory.betas = [float(beta) for beta in betas]
        return memory

    def _reader(self) -> Reader:
        weight = self.beta
        if weight is None:
            weight = FULL if self.plasticity.load(len(self)) < LIGHT_LOAD * self.dim else HALF
        rest = self.correlated, self.recency, weight, self.betas
        return Reader(self.weights, self.plasticity, self.f, len(self), *rest)

    def _evidence(self, cues: Tensor, known: Tensor | None) -> Tensor:
        """The log odds of each neuron without the weights, infinite where it is known."""
        if known is None:
            return cue_evidence(cues.double(), self.f, self.flip_rate)
        alone = torch.full_like(cues, log(self.f / (1 - self.f)), dtype=torch.float64)
        return alone.where(~known, torch.where(cues > 0, torch.inf, -torch.inf))
