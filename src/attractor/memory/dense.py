"""Dense associative memory: the whole family of similarity, separation and state over one bank of patterns.

Recall sets the state to the read-out `sum_mu dPsi/ds_mu xi_mu`: a step of the concave-convex procedure, which never raises the
energy of `landscape.py` where `laws.py` says so. It is the network of visible and hidden neurons of Krotov and Hopfield 2021 with
its hidden layer integrated out; with the soft-max it is the attention read of Ramsauer et al. 2021, with powers Krotov and
Hopfield 2016, with the exponential Demircigil et al. 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from attractor.bank import Bank, RamBank, bank_from, bank_settings
from attractor.memory.base import BIPOLAR, REAL, IfPresent, Memory, present_rows, register
from attractor.memory.capacity import CapacityEstimate, capacity_of, warn_of_blending, warn_over_capacity
from attractor.memory.descent import Way, descend
from attractor.memory.diagnostics import BasinRadius, PatternSeparation, Strengthened, basin_radius, separation_of
from attractor.memory.evidence import evidence
from attractor.memory.landscape import Landscape, state_in_motion
from attractor.memory.laws import law_of
from attractor.memory.nearest import Nearest, nearest
from attractor.memory.recall import Recall
from attractor.memory.states import Binary, Direction, State, state_from
from attractor.memory.temperature import Temperature, choose_beta
from attractor.read import (
    Dot,
    Euclidean,
    Kernel,
    Polynomial,
    ReadOut,
    Separation,
    Similarity,
    SoftMax,
    Tempered,
    separation_from,
    similarity_from,
)
from attractor.validation import (
    check_count,
    check_directions,
    check_finite,
    check_floating,
    check_known,
    check_like,
    check_positive,
    check_shape,
)

NUMBERS_PER_BATCH = 2**23


@register("dense")
class DenseMemory(Memory):
    """A dense associative memory.

    Args:
        dim: width of a pattern, for a new bank in memory. Either `dim` or `bank` is given.
        bank: where the patterns live.
        similarity: how cues are compared. Default: Euclidean; dot product for separations whose weights do not sum to one.
        separation: how scores become weights. Default: the soft-max at an inverse temperature chosen from the patterns.
        state: `"continuous"`, `"spherical"`, `"binary"`, or an object such as `Binary("synchronous")`. Default: continuous;
            spherical for a cosine similarity; binary for separations whose weights do not sum to one.

    Raises:
        ValueError: neither or both of `dim` and `bank`, an unknown name, or a combination that `laws.py` refuses.

    Example:
        >>> memory = DenseMemory(dim=4)
        >>> ids = memory.store(torch.eye(4))
        >>> known = torch.tensor([[True, True, False, False]])
        >>> recalled = memory.recall(torch.tensor([[1.0, 0.0, 9.0, 9.0]]), known=known)
        >>> recalled.index.tolist(), recalled.patterns.round().tolist()
        ([0], [[1.0, 0.0, 0.0, 0.0]])
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        bank: Bank | None = None,
        similarity: Similarity | str | None = None,
        separation: Separation | str | None = None,
        state: State | str | None = None,
    ):
        super().__init__()
        if separation is None:
            separation = SoftMax()
        self.separation = separation_from(separation) if isinstance(separation, str) else separation
        if similarity is None:
            similarity = Euclidean() if self.separation.normalised else Dot()
        self.similarity = similarity_from({"name": similarity}) if isinstance(similarity, str) else similarity
        if state is None:
            state = ("spherical" if self.similarity.unit else "continuous") if self.separation.normalised else "binary"
        self.state = state if isinstance(state, State) else state_from(state)
        self.law = law_of(self.similarity, self.separation, self.state)
        self.bank = bank_of(dim, bank)
        self.dim = self.bank.dim
        if isinstance(self.similarity, Kernel):
            self.similarity.check_width(self.dim)
        self.domain = BIPOLAR if isinstance(self.state, Binary) else REAL
        self.inverse_temperature = self.separation.beta if isinstance(self.separation, Tempered) else None
        self._chosen: tuple[tuple[int, int], Temperature] | None = None
        self._warned_version = -1

    @property
    def beta(self) -> float | Tensor | None:
        """The inverse temperature in use; None for a separation without one.

        Raises:
            ValueError: it is chosen from the patterns, and there are none.
        """
        if not isinstance(self.separation, Tempered):
            return None
        return self._temperature().beta if isinstance(self.separation.beta, str) else self.separation.beta

    def landscape(self) -> Landscape:
        """What recall descends on, at the inverse temperature in use."""
        separation = self.separation
        if isinstance(separation, Tempered) and isinstance(separation.beta, str):
            separation = separation.at(self._temperature().beta)
        return Landscape(self.bank, self.similarity, separation, state_in_motion(self.similarity, self.state))

    def _temperature(self) -> Temperature:
        versions = self.bank.version, self.similarity.version
        if self._chosen is None or self._chosen[0] != versions:
            self._require_patterns()
            self._chosen = versions, choose_beta(self.bank, self.similarity, state_in_motion(self.similarity, self.state))
        return self._chosen[1]

    def __repr__(self) -> str:
        separation = repr(self.separation)
        if isinstance(self.separation, Tempered) and isinstance(self.separation.beta, str) and len(self):
            chosen = self._temperature()
            separation = separation.replace("beta='auto'", f"beta={chosen.beta:.4g} (auto: {chosen.reason})")
        return f"{type(self).__name__}({self.bank!r}, {self.similarity!r}, {separation}, {self.state!r})"

    def __len__(self) -> int:
        return len(self.bank)

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Store patterns; call again to add more.

        Args:
            patterns: `(n, dim)`, finite; -1 and 1 for a binary state.
            values: `(n, e)` to read out in their place (hetero-association). Default: the patterns themselves.
            metadata: one mapping of JSON values, or None, for each row.
            if_present: what to do with a row that equals a stored one: `"add"` it again, `"skip"` it, or `"raise"`.

        Returns:
            ids `(n,)` int64 of the rows stored; with `"skip"` those of new rows only.

        Raises:
            TypeError, ValueError: wrong shape, dtype or domain, NaN or infinity; nothing is stored then.
        """
        check_floating("patterns", patterns)
        check_shape("patterns", patterns, self.dim)
        check_finite("patterns", patterns)
        self.domain.check("patterns", patterns)
        for name, given in (("values", values), ("metadata", metadata)):
            if given is not None and len(given) != len(patterns):
                raise ValueError(f"{name} must have one row for each of the {len(patterns)} patterns, got {len(given)}")
        new = present_rows(patterns, self.bank.contains, if_present)
        if not bool(new.all()):
            patterns = patterns[new]
            values = None if values is None else values[new]
            metadata = None if metadata is None else [entry for entry, kept in zip(metadata, new.tolist(), strict=True) if kept]
        if len(patterns) == 0:
            return torch.empty(0, dtype=torch.int64, device=patterns.device)
        return self.bank.append(patterns, values, metadata)

    def forget(self, ids: Tensor) -> None:
        """Remove the items with these ids.

        Raises:
            ValueError: an id is not stored; nothing is removed then.
        """
        self.bank.forget(ids)

    @torch.no_grad()
    def read(self, cues: Tensor, known: Tensor | None = None) -> ReadOut:
        """One read: the weighted mean of the values, the potential, and the two best items of each cue.

        Args:
            cues: `(b, dim)`.
            known: `(b, dim)`, True where a cue is trusted; only those entries are compared. Default: everywhere.

        Raises:
            TypeError, ValueError: wrong shape, dtype, NaN or infinity where trusted, or an empty memory.
        """
        known = self._check_cues(cues, known)
        return self.landscape().read(cues, known, "values")

    @torch.no_grad()
    def nearest(self, cues: Tensor, k: int = 1, known: Tensor | None = None) -> Nearest:
        """The `k` stored items most similar to each cue, without recall: scores and ids `(b, k)`, best first.

        Args:
            cues, known: as for `read`.
            k: how many, >= 1; all items where fewer are stored.
        """
        known = self._check_cues(cues, known)
        seen = self.landscape().question(cues, known).cues
        return nearest(self.bank, self.similarity, seen, known, check_count("k", k))

    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        reject: float | None = None,
        max_steps: int = 200,
        tol: float | None = None,
        trace: bool = False,
        differentiable: bool = False,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Recall:
        """Let the cues fall to rest.

        Args:
            cues: `(b, dim)`; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted: those entries stay, the others are filled. Default: every entry is
                evidence and every entry may move.
            reject: refuse cues whose `score` is below this; they come back as given (values as zeros).
            max_steps: most updates of a state.
            tol: a state is at rest when no entry changes by more than this, relative to its largest entry or 1.
                Default: 1e-6 in float64, 1e-4 otherwise.
            trace: keep every state on the way.
            differentiable: let gradients flow through the recall; `RamBank.from_parameter` lets them reach the patterns.
            batch_size: recall this many cues at a time. Default: by a memory budget.
            seed: orders the flips of a binary state.

        Raises:
            TypeError, ValueError: wrong shape, dtype, domain, NaN or infinity where trusted, a row with nothing known, or an
                empty memory.
        """
        known = self._check_cues(cues, known)
        tol = (1e-6 if cues.dtype == torch.float64 else 1e-4) if tol is None else check_positive("tol", tol)
        way = Way(tol, check_count("max_steps", max_steps), trace, seed)
        size = max(1, NUMBERS_PER_BATCH // self.dim) if batch_size is None else check_count("batch_size", batch_size)
        masks = [None] * -(-len(cues) // size) if known is None else known.split(size)
        with nullcontext() if differentiable else torch.no_grad():
            parts = [self._recall_batch(some, mask, reject, way) for some, mask in zip(cues.split(size), masks, strict=True)]
        self._warn_over_capacity(torch.cat([lead.detach() for _, lead in parts]))
        return Recall.join([recall for recall, _ in parts])

    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, dim)`, differentiable; recall never raises it where `self.law.monotone` says so.

        Raises:
            TypeError, ValueError: wrong shape, dtype, domain, NaN or infinity, or an empty memory.
        """
        self._check_cues(states, None, "states")
        return self.landscape().energy(states)

    def capacity_estimate(self) -> CapacityEstimate:
        """How many random patterns the theory lets this memory recall."""
        separation = self.landscape().separation if len(self) else self.separation
        if not isinstance(separation, Tempered) or len(self) == 0 or self.dim < 2:
            return capacity_of(self.separation, self.state, self.dim)
        length = float(self.state.view(self.bank.sample(2048).patterns).norm(dim=-1).mean()) / (self.dim - 1) ** 0.5
        return capacity_of(self.separation, self.state, self.dim, beta=separation.number, length=max(length, 1e-6))

    def separation_of(self, patterns: Tensor) -> PatternSeparation:
        """Which of `patterns (n, dim)`, stored ones, can be recalled at the inverse temperature in use."""
        self._check_cues(patterns, None, "patterns")
        return separation_of(self, patterns)

    def basin_radius(
        self,
        damage: Strengthened | None = None,
        *,
        strengths: Sequence[float] | None = None,
        samples: int = 64,
        seed: int = 0,
    ) -> BasinRadius:
        """How much damage recall survives, measured on sampled patterns.

        Args:
            damage: `damage(patterns, strength, generator)`, giving cues or an object with `cue` and `known`. Default: a fraction
                of flipped signs for a binary state, Gaussian noise in units of the patterns' deviation otherwise.
            strengths: rising strengths to try.
            samples: how many stored patterns to damage.
        """
        self._require_patterns()
        return basin_radius(self, damage, strengths, check_count("samples", samples), seed)

    def configuration(self, folder: Path) -> dict[str, Any]:
        separation = self.separation.settings()
        if isinstance(separation.get("beta"), Tensor):
            separation["beta"] = separation["beta"].item()
        return {
            "dim": self.dim,
            "similarity": self.similarity.settings(),
            "separation": separation,
            "learned_beta": learned_settings(self.inverse_temperature),
            "state": self.state.settings(),
            "bank": bank_settings(self.bank, folder),
        }

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        separation = separation_from(configuration["separation"])
        learned = configuration["learned_beta"]
        if learned is not None and isinstance(separation, Tempered):
            beta = torch.full(learned["shape"], separation.number, dtype=getattr(torch, learned["dtype"]))
            separation = separation.at(nn.Parameter(beta))
        return cls(
            bank=bank_from(configuration["bank"], configuration["dim"], folder),
            similarity=similarity_from(configuration["similarity"]),
            separation=separation,
            state=state_from(configuration["state"]),
        )

    def contents(self) -> dict[str, Tensor]:
        return self.bank.contents() if isinstance(self.bank, RamBank) else {}

    def restore(self, contents: dict[str, Tensor]) -> None:
        if isinstance(self.bank, RamBank):
            self.bank.restore(contents)

    def _recall_batch(self, cues: Tensor, known: Tensor | None, reject: float | None, way: Way) -> tuple[Recall, Tensor]:
        landscape = self.landscape()
        end = descend(landscape, cues, known, way)
        score, margin = evidence(self.bank, landscape.question(cues, known), end.first, end.winners)
        accepted = torch.ones_like(end.converged) if reject is None else score >= reject
        patterns = landscape.projected(cues, end.states, known)
        refused = cues if patterns.shape == cues.shape else torch.zeros_like(patterns)
        patterns = torch.where(accepted[:, None], patterns, refused)
        settled = (score, margin, accepted, end.energies, end.steps, end.converged, end.trace)
        # copies of the winner share its weight: a state that points to it is no blend
        alone = torch.cosine_similarity(end.states, self.bank.get(end.winners).patterns) > 0.999
        return Recall(patterns, end.winners, *settled), end.lead.masked_fill(alone, 0)

    def _require_patterns(self) -> None:
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")

    def _check_cues(self, cues: Tensor, known: Tensor | None, name: str = "cues") -> Tensor | None:
        check_floating(name, cues)
        check_shape(name, cues, self.dim)
        self._require_patterns()
        check_like(name, cues, self.bank.dtype, self.bank.device)
        known = check_known(known, cues)
        trusted = cues if known is None else torch.where(known, cues, 1)
        check_finite(name, trusted)
        self.domain.check(name, trusted)
        if isinstance(state_in_motion(self.similarity, self.state), Direction):
            check_directions(name, cues if known is None else torch.where(known, cues, 0))
        return known

    def _warn_over_capacity(self, lead: Tensor) -> None:
        """Say aloud, once for each set of patterns, that they are too many or blend at this inverse temperature."""
        if self._warned_version == self.bank.version:
            return
        self._warned_version = self.bank.version
        if isinstance(self.separation, Polynomial):
            warn_over_capacity(len(self), self.capacity_estimate(), stacklevel=3)
        elif isinstance(separation := self.landscape().separation, Tempered) and separation.normalised:
            warn_of_blending(lead, separation.number, len(self), stacklevel=3)


def learned_settings(beta: object) -> dict[str, Any] | None:
    """What rebuilds a learned inverse temperature beside its value; None for another one."""
    if not isinstance(beta, nn.Parameter):
        return None
    return {"dtype": str(beta.dtype).removeprefix("torch."), "shape": list(beta.shape)}


def bank_of(dim: int | None, bank: Bank | None) -> Bank:
    """The given bank, or a new one in memory of width `dim`."""
    if bank is not None and dim is None:
        return bank
    if dim is not None and bank is None:
        return RamBank(check_count("dim", dim))
    raise ValueError(f"either dim or bank must be given, got dim={dim!r} and bank={bank!r}")
