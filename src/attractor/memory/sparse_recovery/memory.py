"""Associative memory by sparse recovery (Mazumdar and Rawat, NIPS 2015).

Patterns that lie in a subspace obey linear constraints `Q (x - mean) = 0`. The memory learns these, not the patterns; a cue
`y = x + e` violates them by what its error makes of them, `Q e`, and recall looks for the sparsest error that explains that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from warnings import warn

import torch
from torch import Tensor

from attractor.errors import CapacityWarning
from attractor.memory.base import IfPresent, Memory, register
from attractor.memory.counting import check_settings, refuse_items
from attractor.memory.recall import Recall
from attractor.memory.sparse_recovery.decoders import (
    BasisPursuit,
    Bregman,
    Decoder,
    Denoising,
    HardThresholding,
    LinearisedBregman,
)
from attractor.memory.sparse_recovery.expander import Expander
from attractor.memory.sparse_recovery.iteration import least_squares, settled_below
from attractor.memory.sparse_recovery.learning import LEARNINGS, Exact, Learning, Subspace
from attractor.memory.sparse_recovery.refinement import refined
from attractor.memory.sparse_recovery.theory import correctable_errors
from attractor.validation import check_count, check_finite, check_floating, check_known, check_like, check_matrix, check_shape

DECODERS: dict[str, type[Decoder]] = {
    kind.name: kind for kind in (BasisPursuit, Bregman, LinearisedBregman, HardThresholding, Denoising, Expander)
}
NUMBERS_PER_BATCH = 2**21


@dataclass(frozen=True, eq=False, kw_only=True)
class Recovery(Recall):
    """A recall, and the error that it found in each cue.

    Attributes:
        errors: `(b, n)`, cue minus pattern; 0 where nothing was known.
        support: `(b, n)` Boolean, where the cue was changed, or filled.
        residual: `(b,)`, by how much the recalled pattern violates the constraints: `|Q (x - mean)|`.
        in_reach: `(b,)` Boolean, whether the error has few enough entries for so many constraints (`correctable_errors`).
    """

    errors: Tensor
    support: Tensor
    residual: Tensor
    in_reach: Tensor


@register("sparse_recovery")
class SparseRecoveryMemory(Memory):
    """A memory that knows the constraints of its patterns, and recalls by the sparsest error.

    It fits patterns in a subspace of `r < n` dimensions and cues of which few coordinates are wrong, by whatever amount. What
    obeys the constraints is recalled whether it was stored or not: `r` patterns are enough for all of the subspace, and their
    number costs nothing. It does not fit patterns without such constraints, which a recall refuses, nor small errors everywhere, of
    which it warns. Where data obey constraints only nearly, choose `Exact(rank=r, centre=True)` and `Denoising`, with `r` so small
    that the `n - r` constraints correct the errors to expect (`correctable_errors`).

    No pattern is kept: `Recall.index`, `score` and `margin` are None. There is no energy.

    Args:
        dim: width of a pattern.
        decoder: finds the error: `BasisPursuit()`, `Bregman()`, `LinearisedBregman()`, `HardThresholding(errors)`,
            `Denoising(penalty)` or `Expander()`.
        learning: finds the subspace: `Exact()`, `GramSchmidt()` or `OrthogonalIteration(rank)`.

    Raises:
        TypeError, ValueError: a width below 1, or another kind of object.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> patterns = torch.randn(8, 8, generator=generator) @ torch.randn(8, 32, generator=generator)
        >>> memory = SparseRecoveryMemory(32)
        >>> ids = memory.store(patterns)
        >>> cues = patterns.clone()
        >>> cues[:, 5] += 10
        >>> recalled = memory.recall(cues)
        >>> torch.allclose(recalled.patterns, patterns, atol=1e-4), recalled.support[0].nonzero().tolist()
        (True, [[5]])
    """

    def __init__(self, dim: int, *, decoder: Decoder | None = None, learning: Learning | None = None):
        super().__init__()
        self.dim = check_count("dim", dim)
        self.decoder = BasisPursuit() if decoder is None else decoder
        self.learning = Exact() if learning is None else learning
        if not isinstance(self.decoder, Decoder):
            raise TypeError(f"decoder must be a Decoder such as BasisPursuit(), got {type(decoder).__name__}")
        if not isinstance(self.learning, Learning):
            raise TypeError(f"learning must be a Learning such as Exact(), got {type(learning).__name__}")
        self._learned: dict[str, Tensor] = {}
        self._stored = 0
        self._subspace: Subspace | None = None

    def __len__(self) -> int:
        return self._stored

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} patterns, dim={self.dim}, {self.decoder!r}, {self.learning!r})"

    @property
    def subspace(self) -> Subspace:
        """The constraints, learned from what is stored.

        Raises:
            ValueError: nothing is stored, or what is stored leaves no constraint.
        """
        if not self._learned:
            raise ValueError("the memory is empty: store patterns first")
        if self._subspace is None:
            self._subspace = self.learning.subspace(self._learned)
        return self._subspace

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Learn from patterns; call again to learn from more.

        Args:
            patterns: `(b, dim)`, finite.
            values, metadata: refused, as there are no items.
            if_present: `"add"` only: constraints cannot tell what was stored.

        Returns:
            running numbers `(b,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity, or an argument that does not apply; nothing is stored
                then.
        """
        if values is not None:
            raise TypeError(f"values must be None: a {type(self).__name__} recalls patterns; store both side by side")
        refuse_items(self, metadata, if_present)
        check_matrix("patterns", patterns, self.dim)
        if patterns.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"patterns must be of single or double precision, got {patterns.dtype}; convert with patterns.float()")
        for held in self._learned.values():
            check_like("patterns", patterns, held.dtype, held.device)
        self._learned = self.learning.update(self._learned, patterns.detach(), self._stored)
        self._subspace = None
        first, self._stored = self._stored, self._stored + len(patterns)
        return torch.arange(first, self._stored, device=patterns.device)

    def forget(self, ids: Tensor) -> None:
        """Refused.

        Raises:
            TypeError: always: what obeys the constraints is remembered, stored or not.
        """
        raise TypeError(f"a {type(self).__name__} keeps constraints, not patterns: it cannot forget one")

    @torch.no_grad()
    def recall(self, cues: Tensor, known: Tensor | None = None, *, batch_size: int | None = None) -> Recovery:
        """Find and remove the error of each cue.

        Args:
            cues: `(b, dim)`; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted. Then no error is looked for: known entries stay, the others are filled
                so that the constraints are violated least, as near to the mean as that allows. `dim - r` unknown entries can be
                filled at most, in general. Default: any entry may be wrong.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Returns:
            a `Recovery`; `converged` is False where the pattern violates the constraints, for an exact decoder, or the decoder did
            not settle.

        Warns:
            CapacityWarning: most errors have more entries than so many constraints correct.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity where trusted, a row with nothing known, an empty memory,
                or patterns that leave no constraint.
        """
        check_floating("cues", cues)
        check_shape("cues", cues, self.dim)
        known = check_known(known, cues)
        subspace = self.subspace
        check_like("cues", cues, subspace.span.dtype, subspace.span.device)
        trusted = cues if known is None else torch.where(known, cues, 0)
        check_finite("cues", trusted)
        size = max(1, NUMBERS_PER_BATCH // self.dim) if batch_size is None else check_count("batch_size", batch_size)
        masks = [None] * len(cues.split(size)) if known is None else known.split(size)
        parts = [self._recall(some, mask, subspace) for some, mask in zip(trusted.split(size), masks, strict=True)]
        found = parts[0] if len(parts) == 1 else Recovery.join(parts)
        assert isinstance(found, Recovery)
        self._warn_of_reach(found, subspace)
        return found

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {"dim": self.dim, "decoder": self.decoder.settings(), "learning": self.learning.settings(), "stored": self._stored}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        check_settings(configuration, ("dim", "decoder", "learning", "stored"))
        decoder, learning = (dict(configuration[part]) for part in ("decoder", "learning"))
        memory = cls(
            configuration["dim"],
            decoder=named(DECODERS, "decoder", decoder.pop("name", None))(**decoder),
            learning=named(LEARNINGS, "learning", learning.pop("name", None))(**learning),
        )
        memory._stored = check_count("stored", configuration["stored"], 0)
        return memory

    def contents(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, contents: dict[str, Tensor]) -> None:
        if set(contents) != (self.learning.parts if self._stored else set()):
            raise ValueError(f"contents must hold {sorted(self.learning.parts)}, or nothing if empty, got {sorted(contents)}")
        for name, held in contents.items():
            if held.shape[-1:] != (self.dim,):
                raise ValueError(f"{name} must have width {self.dim}, got shape {tuple(held.shape)}")
        self._learned, self._subspace = dict(contents), None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What is learned follows `.to()`."""
        self._learned = {name: fn(held) for name, held in self._learned.items()}
        self._subspace = None
        return super()._apply(fn, recurse)

    def _recall(self, cues: Tensor, known: Tensor | None, subspace: Subspace) -> Recovery:
        deviations = cues - subspace.mean
        scale = deviations.norm(dim=1)
        if known is None:
            errors, steps, settled = self._decode(deviations, subspace)
            support = errors != 0
            patterns = torch.where(support, cues - errors, cues)
        else:
            given = torch.where(known, deviations, 0)
            scale = given.norm(dim=1)
            patterns = torch.where(known, cues, subspace.mean + least_squares(given, ~known, subspace.violation))
            errors, support = torch.zeros_like(cues), ~known
            steps, settled = support.any(1).long(), torch.ones_like(support[:, 0])
        residual = subspace.violation(patterns - subspace.mean).norm(dim=1)
        if self.decoder.exact:
            settled = settled & (residual <= 10 * settled_below(cues.dtype) * scale)
        reach = correctable_errors(len(subspace.dual) / self.dim) * self.dim if known is None else len(subspace.dual)
        return Recovery(
            patterns=patterns,
            index=None,
            score=None,
            margin=None,
            accepted=torch.ones_like(settled),
            energy=None,
            steps=steps,
            converged=settled,
            errors=errors,
            support=support,
            residual=residual,
            in_reach=support.sum(1) <= reach,
        )

    def _decode(self, cues: Tensor, subspace: Subspace) -> tuple[Tensor, Tensor, Tensor]:
        """Errors, steps, and which settled; cues that obey the constraints to rounding have no error."""
        if not self.decoder.exact:
            decoded = self.decoder.decode(cues, subspace)
            return decoded.errors, decoded.steps, decoded.settled
        wrong = subspace.violation(cues).norm(dim=1) > settled_below(cues.dtype) * cues.norm(dim=1)
        decoded = self.decoder.decode(cues[wrong], subspace)
        found, polished = refined(cues[wrong], decoded.errors, subspace)
        errors, steps, settled = torch.zeros_like(cues), torch.zeros_like(wrong, dtype=torch.int64), torch.ones_like(wrong)
        errors[wrong], steps[wrong], settled[wrong] = found, decoded.steps, decoded.settled | polished
        return errors, steps, settled

    def _warn_of_reach(self, found: Recovery, subspace: Subspace) -> None:
        if 2 * int((~found.in_reach).sum()) > len(found):
            warn(
                f"most cues have more wrong or missing entries than {len(subspace.dual)} constraints on {self.dim} coordinates "
                "correct: such data, or damage, do not fit a memory by sparse recovery",
                CapacityWarning,
                stacklevel=4,
            )


def named(kinds: dict[str, type[Any]], what: str, name: object) -> type[Any]:
    if name not in kinds:
        raise ValueError(f"{what} must be one of {sorted(kinds)}, got {name!r}")
    return kinds[str(name)]
