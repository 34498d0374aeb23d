"""Long sequence memory: a state at one stored pattern goes on to the next (Chaudhry, Zavatone-Veth, Krotov and Pehlevan 2023).

`S_i(t+1) = sgn[ sum_mu xi_i^{mu+1} f(m_i^mu(t)) ]`, `m_i^mu = (1/(N-1)) sum_{j != i} xi_j^mu S_j`. The steeper `f`, the more
patterns a sequence may have: of the order of `N^d` for a power, exponentially many for the exponential. The couplings are not
symmetric, so there is no energy.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from attractor.bank import RamBank
from attractor.errors import AttractorWarning
from attractor.memory.base import BIPOLAR, IfPresent, Memory, present_rows, register
from attractor.memory.capacity import CapacityEstimate, warn_over_capacity
from attractor.memory.recall import Recall
from attractor.memory.sequence import theory
from attractor.memory.sequence.ambiguity import ambiguous_rows
from attractor.memory.sequence.interaction import Interaction, interaction_from, settings_of
from attractor.memory.sequence.network import Network, Order, Term
from attractor.memory.sequence.pseudo_inverse import GeneralisedPseudoInverse
from attractor.memory.sequence.timing import Timing, timing_from
from attractor.memory.sequence.two_layers import TwoLayerSequence
from attractor.memory.sequence.walk import Walk, nearest_rows, step_at_once, step_one_by_one, walk
from attractor.validation import check_count, check_ids, check_like, check_matrix

Update = Literal["synchronous", "asynchronous"]
NUMBERS_PER_BATCH = 2**22


@register("sequence")
class SequenceMemory(Memory):
    """Sequences of patterns of -1 and 1; recall is a step along them.

    Args:
        dim: number of units, the width of a pattern.
        interaction: `f`: the degree of a power, `"exponential"`, or an `Interaction`, of which one's own cannot be saved. Degree 1
            is the classic asymmetric network.
        self_coupling: let a unit see itself.
        cyclic: the first pattern of a sequence follows its last one. Otherwise the last one has no successor.
        pseudo_inverse: take correlations between patterns out of the overlaps: True, or a `GeneralisedPseudoInverse` with settings
            of its own. With `self_coupling`, any sequence of at most `dim` linearly independent patterns is recalled.
        timing: hold each pattern for several steps (`Timing`). Default: go on at each step.
        update: `"synchronous"` sets all units by the same state; `"asynchronous"` sets one after the other, in random order, and a
            step visits each unit once.

    Raises:
        TypeError, ValueError: `dim` or a degree below 1, an unknown interaction or update.

    Example:
        >>> patterns = torch.randint(0, 2, (30, 100), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
        >>> memory = SequenceMemory(100)
        >>> ids = memory.store(patterns)
        >>> bool((memory.replay(patterns[:1], steps=29)[0] == patterns[1:]).all())
        True
    """

    domain = BIPOLAR

    def __init__(
        self,
        dim: int,
        *,
        interaction: Interaction | int | str = 2,
        self_coupling: bool = False,
        cyclic: bool = True,
        pseudo_inverse: GeneralisedPseudoInverse | bool = False,
        timing: Timing | None = None,
        update: Update = "synchronous",
    ):
        super().__init__()
        self.dim = check_count("dim", dim)
        self.interaction = interaction_from(interaction)
        self.self_coupling, self.cyclic = self_coupling, cyclic
        rule = GeneralisedPseudoInverse() if pseudo_inverse is True else pseudo_inverse or None
        if rule is not None and not isinstance(rule, GeneralisedPseudoInverse):
            raise TypeError(f"pseudo_inverse must be True, False or a GeneralisedPseudoInverse, got {pseudo_inverse!r}")
        self.pseudo_inverse = rule
        if timing is not None and not isinstance(timing, Timing):
            raise TypeError(f"timing must be a Timing or None, got {type(timing).__name__}")
        self.timing = timing
        if update not in ("synchronous", "asynchronous"):
            raise ValueError(f"update must be 'synchronous' or 'asynchronous', got {update!r}")
        self.update: Update = update
        self.bank = RamBank(dim, screen=False)
        self._starts: list[int] = []  # the id at which each sequence began
        self._held: tuple[int, Network] | None = None  # of a version of the bank, without gains
        self._warned_of_ambiguity = self._warned_of_capacity = -1  # versions of the bank

    def __len__(self) -> int:
        return len(self.bank)

    def __repr__(self) -> str:
        settings = [f"dim={self.dim}", repr(self.interaction)]
        settings += ["self_coupling=True"] if self.self_coupling else []
        settings += [] if self.cyclic else ["cyclic=False"]
        settings += [repr(part) for part in (self.pseudo_inverse, self.timing) if part is not None]
        settings += [] if self.update == "synchronous" else [f"update={self.update!r}"]
        return f"{type(self).__name__}({len(self)} patterns in {len(self.sequences())} sequences, {', '.join(settings)})"

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
        *,
        new_sequence: bool = False,
    ) -> Tensor:
        """Append patterns to the last sequence, in their order; call again to add more.

        Args:
            patterns: `(n, dim)` of -1 and 1, float32 or float64; the first ones decide which.
            values: refused: what is read out is the next pattern.
            metadata: one mapping of JSON values, or None, for each row.
            if_present: what to do with a row that equals a stored one: `"add"` it again, `"skip"` it, or `"raise"`. A pattern that
                occurs twice with different successors is ambiguous; recall warns of it.
            new_sequence: begin another sequence with these patterns; none begins where all of them are skipped.

        Returns:
            ids `(n,)` int64 of the rows stored, ascending in the order of the sequence.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, NaN or infinity, or values; nothing is stored then.
        """
        if values is not None:
            raise TypeError(f"values must be None: a {type(self).__name__} reads out the next pattern")
        self._check("patterns", patterns)
        new = present_rows(patterns, self.bank.contains, if_present)
        if metadata is not None and len(metadata) != len(patterns):
            raise ValueError(f"metadata must have one row for each of the {len(patterns)} patterns, got {len(metadata)}")
        if not bool(new.all()):
            patterns = patterns[new]
            metadata = None if metadata is None else [entry for entry, kept in zip(metadata, new.tolist(), strict=True) if kept]
        if len(patterns) == 0:
            return torch.empty(0, dtype=torch.int64, device=patterns.device)
        ids = self.bank.append(patterns, metadata=metadata)
        if new_sequence or not self._starts:
            self._starts.append(int(ids[0]))
        return ids

    def forget(self, ids: Tensor) -> None:
        """Take patterns out; those before and after follow each other then.

        Raises:
            ValueError: an id is not stored; nothing is forgotten then.
        """
        self.bank.forget(ids)
        self.bank.compact()

    def sequences(self) -> list[Tensor]:
        """The ids of each sequence, in its order; one that is forgotten altogether is left out."""
        if len(self) == 0:
            return []
        ids = self.bank.ids()
        return list(ids.split(self._numbers(ids).unique_consecutive(return_counts=True)[1].tolist()))

    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        steps: int = 1,
        gains: Tensor | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Recall:
        """Go `steps` steps from the cues.

        Args:
            cues: `(b, dim)` of -1 and 1.
            known: refused: every unit is set anew at each step, so a mask has no meaning.
            steps: how many, at least 1.
            gains: `(n,)` or `(b, n)` non-negative factors for the stored patterns in the order of their ids: a context. Of a
                pattern with gain 0 nothing is recalled, its successor least of all. Default: ones.
            batch_size: cues at a time. Default: by a memory budget.
            seed: orders the units of an asynchronous memory.

        Returns:
            the last states. `index` is the stored pattern nearest to each, `score` its overlap with it in [-1, 1], `margin` how
            far that exceeds the overlap with any other pattern, `converged` whether the last step changed nothing.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, NaN or infinity, a mask, or fewer than two stored patterns.
        """
        if known is not None:
            raise ValueError(f"known must be None: at each step of a {type(self).__name__} every unit is set anew")
        parts = []
        for states, _ in self._walks(cues, steps, gains, batch_size, seed):
            last = states[-1]
            index, score, margin = self._nearest(last)
            still = (last == states[-2]).all(0)
            taken = torch.full_like(index, steps)
            parts.append(Recall(last.T.contiguous(), index, score, margin, torch.ones_like(still), None, taken, still))
        return Recall.join(parts)

    def replay(
        self,
        cues: Tensor,
        steps: int,
        *,
        gains: Tensor | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Tensor:
        """The states `(b, steps, dim)` after each of `steps` steps; arguments and errors as for `recall`.

        The result may be a view that is not contiguous.
        """
        parts = [states[1:].permute(2, 0, 1) for states, _ in self._walks(cues, steps, gains, batch_size, seed)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def follow(
        self,
        cues: Tensor,
        steps: int,
        *,
        gains: Tensor | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Walk:
        """As `replay`, and where each state is: its nearest pattern, by what margin, and how many units were undecided."""
        parts = []
        for states, ties in self._walks(cues, steps, gains, batch_size, seed):
            places = zip(*(self._nearest(state) for state in states[1:]), strict=True)
            index, score, margin = (torch.stack(each, 1) for each in places)
            parts.append(Walk(states[1:].permute(2, 0, 1), index, score, margin, ties.T))
        return Walk.join(parts)

    def two_layers(self) -> TwoLayerSequence:
        """The same memory as visible and hidden neurons with synapses between two neurons each.

        Raises:
            ValueError: the memory is empty or has no self-coupling, or holds patterns with a delay or an interaction of its own:
                two layers cannot do that.
        """
        network = self._network(None)
        if not self.self_coupling:
            raise ValueError("self_coupling must be True for two layers: a hidden neuron has one input for all visible ones")
        hold = self.timing
        if hold is not None and (hold.delay > 1 or hold.holding(self.interaction) is not self.interaction):
            raise ValueError(f"timing must have a delay of 1 and no interaction of its own for two layers, got {hold!r}")
        onward = torch.cat([network.patterns, torch.zeros_like(network.patterns[:1])])[network.order.following]
        to_visible = onward if hold is None else network.patterns + hold.strength * onward
        return TwoLayerSequence(network.duals, to_visible.T, self.interaction)

    def capacity_estimate(self, *, whole_sequence: bool = False) -> CapacityEstimate:
        """How many random patterns theory lets this memory recall: one transition right, or all of them.

        Raises:
            ValueError: there is no theory for this memory.
        """
        if self.pseudo_inverse is not None:
            if not self.self_coupling or self.timing is not None:
                raise ValueError("pseudo_inverse goes without a theory where self_coupling is False or patterns are held by timing")
            return CapacityEstimate(float(self.dim), "N linearly independent patterns, with self-coupling", theory.SOURCE)
        law = theory.sequence_capacity if whole_sequence else theory.transition_capacity
        return law(self.dim, self.interaction, self.timing)

    def configuration(self, folder: Path) -> dict[str, Any]:
        rule = self.pseudo_inverse
        return {
            "dim": self.dim,
            "interaction": settings_of(self.interaction),
            "self_coupling": self.self_coupling,
            "cyclic": self.cyclic,
            "pseudo_inverse": None if rule is None else {"rcond": rule.rcond, "ridge": rule.ridge},
            "timing": None if self.timing is None else self.timing.settings(),
            "update": self.update,
        }

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        rule, dim = configuration["pseudo_inverse"], configuration["dim"]
        settings = {key: configuration[key] for key in ("interaction", "self_coupling", "cyclic", "update")}
        inverse = False if rule is None else GeneralisedPseudoInverse(**rule)
        return cls(dim, **settings, pseudo_inverse=inverse, timing=timing_from(configuration["timing"]))

    def contents(self) -> dict[str, Tensor]:
        contents = self.bank.contents()
        return {**contents, "starts": torch.tensor(self._starts)} if contents else {}

    def restore(self, contents: dict[str, Tensor]) -> None:
        contents = dict(contents)
        starts = contents.pop("starts", None)
        if contents and starts is None:
            raise ValueError("contents must hold the starts of the sequences")
        self.bank.restore(contents)
        self._starts = [] if starts is None else check_ids("starts", starts).tolist()

    def _check(self, name: str, given: Tensor) -> None:
        check_matrix(name, given, self.dim)
        self.domain.check(name, given)
        if given.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{name} must be float32 or float64, got {given.dtype}; convert with {name}.float()")
        check_like(name, given, self.bank.dtype, self.bank.device)

    def _walks(
        self, cues: Tensor, steps: int, gains: Tensor | None, batch_size: int | None, seed: int
    ) -> list[tuple[Tensor, Tensor]]:
        """States `(steps + 1, dim, some)` and ties `(steps, some)` for some of the cues at a time."""
        self._require_patterns()
        self._check("cues", cues)
        check_count("steps", steps)
        gains = self._checked_gains(gains, len(cues))
        default = max(1, NUMBERS_PER_BATCH // max(len(self), self.dim))
        size = default if batch_size is None else check_count("batch_size", batch_size)
        if gains is None:
            self._warn_of_ambiguity()
        self._warn_of_capacity()
        found = []
        with torch.no_grad():
            for start in range(0, len(cues), size):
                some = slice(start, start + size)
                network = self._network(gains if gains is None or gains.shape[1] == 1 else gains[:, some])
                generator = torch.Generator().manual_seed(seed)
                step = step_at_once if self.update == "synchronous" else step_one_by_one(generator)
                found.append(walk(network, cues[some].detach(), steps, step))
        return found

    def _network(self, gains: Tensor | None) -> Network:
        """With these gains. What is made of the patterns is made once for all."""
        self._require_patterns()
        if self._held is None or self._held[0] != self.bank.version:
            self._held = self.bank.version, self._network_without_gains()
        network = self._held[1]
        if gains is None:
            return network
        if network.fits_at_hand:
            network.at_hand()
        return replace(network, gains=gains)

    def _network_without_gains(self) -> Network:
        (block,) = self.bank.blocks(len(self))
        patterns = block.patterns
        forward = Term(self.interaction)
        terms: tuple[Term, ...] = (forward,)
        if self.timing is not None:
            forward = Term(self.interaction, self.timing.strength, delay=self.timing.delay)
            terms = (Term(self.timing.holding(self.interaction), forward=False), forward)
        order = Order.of(self._numbers(block.ids), self.cyclic)
        duals = patterns if self.pseudo_inverse is None else self.pseudo_inverse.duals(patterns)
        return Network(patterns, order, terms, self.self_coupling, duals)

    def _numbers(self, ids: Tensor) -> Tensor:
        """Which sequence each id belongs to."""
        return torch.searchsorted(torch.tensor(self._starts, device=ids.device), ids.contiguous(), right=True)

    def _nearest(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (block,) = self.bank.blocks(len(self))
        rows, score, margin = nearest_rows(block.patterns, states)
        return block.ids[rows], score, margin

    def _checked_gains(self, gains: Tensor | None, batch: int) -> Tensor | None:
        """`(n, b)` or `(n, 1)`."""
        if gains is None:
            return None
        if not isinstance(gains, Tensor):
            raise TypeError(f"gains must be a torch.Tensor, got {type(gains).__name__}")
        if gains.shape not in ((len(self),), (batch, len(self))):
            expected = f"({len(self)},) or {(batch, len(self))}"
            raise ValueError(f"gains must have shape {expected}, one factor for each stored pattern, got {tuple(gains.shape)}")
        gains = gains.detach().to(device=self.bank.device, dtype=self.bank.dtype)
        if not bool((gains.isfinite() & (gains >= 0)).all()):
            raise ValueError("gains must be finite and at least 0")
        return gains[:, None] if gains.dim() == 1 else gains.T

    def _require_patterns(self) -> None:
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        if len(self) == 1:
            raise ValueError("the memory holds 1 pattern: a sequence needs at least 2, store more patterns")

    def _warn_of_ambiguity(self) -> None:
        """Say aloud, once for each set of patterns, that some have no one successor."""
        if self._warned_of_ambiguity == self.bank.version:
            return
        self._warned_of_ambiguity = self.bank.version
        (block,) = self.bank.blocks(len(self))
        order = Order.of(self._numbers(block.ids), self.cyclic)
        pairs = block.ids[ambiguous_rows(block.patterns, order.following)]
        if len(pairs):
            listed = ", ".join(f"{one} = {other}" for one, other in pairs[:8].tolist())
            listed += f", ... {len(pairs)} pairs in all" if len(pairs) > 8 else ""
            warnings.warn(
                f"patterns that occur twice with different successors, by id: {listed}; gains can tell them apart",
                AttractorWarning,
                stacklevel=4,
            )

    def _warn_of_capacity(self) -> None:
        """Say aloud, once for each set of patterns, that they are too many."""
        if self._warned_of_capacity == self.bank.version:
            return
        self._warned_of_capacity = self.bank.version
        try:
            estimate = self.capacity_estimate() if self.dim > 1 and self.pseudo_inverse is None else None
        except ValueError:
            return
        if estimate is not None:
            warn_over_capacity(len(self), estimate, stacklevel=4)
