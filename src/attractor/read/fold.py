"""A read over a bank, as an associative fold.

`Read` says what is asked: cues, their mask, a similarity, a separation, and whether the patterns or their values are read out.
`step` reduces one block, `merge` combines what two sets of blocks gave, `finish` turns it into read-out, potential and the two
best rows. Whatever the blocks and their order, the answer is the same up to rounding, and no more scores than one block's are
ever held.

A read is plain data: `to_plain` gives JSON settings and tensors, `from_plain` validates and rebuilds it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from torch import Tensor

from attractor.read.best import GROUP, Best, two_best
from attractor.read.block import Block
from attractor.read.catalogue import separation_from, similarity_from
from attractor.read.separation import Separation, Tempered
from attractor.read.similarity import Cues, Euclidean, Similarity, widened
from attractor.validation import check_floating, check_known, check_shape

SCORES_PER_BLOCK = 2**22


class Partial(NamedTuple):
    """What some blocks contribute to a read: the two best rows, and the separation's body."""

    best: Best
    body: Any


class ReadOut(NamedTuple):
    """What a read gives for `b` cues.

    Attributes:
        values: the read-out `(b, e)`.
        potential: `Psi (b,)` of the scores; the energy follows from it.
        scores: the two best scores `(b, 2)`, -inf where there is no second row.
        ids: their ids `(b, 2)`, -1 where there is no second row.
    """

    values: Tensor
    potential: Tensor
    scores: Tensor
    ids: Tensor


@dataclass(frozen=True, eq=False)
class Read:
    """A question to a bank: `cues (b, d)`, `known (b, d)` True where they are trusted, or None for everywhere.

    `project` says what is read out: the `"patterns"`, as the similarity draws the state to them, or the `"values"`.

    Example:
        >>> import torch
        >>> block = Block(torch.arange(2), torch.eye(2))
        >>> read = Read(similarity_from({"name": "dot"}), separation_from({"name": "softmax", "beta": 50.0}), torch.eye(2))
        >>> read.finish(read.fold([block])).values.round().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    similarity: Similarity
    separation: Separation
    cues: Tensor
    known: Tensor | None = None
    project: Literal["patterns", "values"] = "patterns"

    def __post_init__(self) -> None:
        if isinstance(self.similarity, Euclidean) and not self.separation.normalised:
            raise ValueError(f"similarity must not be {self.similarity!r} with {self.separation!r}: distances have no powers")

    @cached_property
    def prepared(self) -> Cues:
        """The cues, ready for comparison with any block."""
        return self.similarity.prepare(widened(self.cues), self.known)

    @property
    def rows_per_block(self) -> int:
        """How many rows a block should have, so that its scores stay within a fixed budget."""
        return max(GROUP, min(2**16, SCORES_PER_BLOCK // len(self.cues)) // GROUP * GROUP)

    def step(self, block: Block, running: Partial | None = None) -> Partial:
        """Reduce one block, on top of what earlier blocks gave."""
        if block.patterns.element_size() < 4:
            block = Block(block.ids, widened(block.patterns), None if block.values is None else widened(block.values))
        scores = self.similarity.relative(self.prepared, block)
        best = two_best(scores, block.ids)
        if running is not None and self.separation.skips(best, running.body):
            return Partial(running.best.merge(best), running.body)
        partial = Partial(best, self.separation.partial(scores, block.ids, self.rows(block), best))
        return partial if running is None else self.merge(running, partial)

    def rows(self, block: Block) -> Tensor:
        """What is read out of a block, `(n, e)`."""
        if self.project == "values":
            return block.patterns if block.values is None else block.values
        return self.similarity.read_out(block)

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Combine what two sets of blocks gave."""
        return Partial(left.best.merge(right.best), self.separation.merge(left.body, right.body))

    def fold(self, blocks: Iterable[Block]) -> Partial:
        """Reduce all blocks.

        Raises:
            ValueError: there is no block.
        """
        running = None
        for block in blocks:
            running = self.step(block, running)
        if running is None:
            raise ValueError("the memory is empty: store patterns before reading")
        return running

    def finish(self, partial: Partial) -> ReadOut:
        """Read-out, potential and the two best rows of each cue."""
        values, potential = self.separation.finish(partial.body)
        offset = self.prepared.offset
        if self.separation.normalised:
            potential = potential + offset.squeeze(-1)
        return ReadOut(values, potential, partial.best.scores + offset, partial.best.ids)

    def with_cues(self, cues: Tensor, known: Tensor | None = None) -> Read:
        """The same question about other cues."""
        return replace(self, cues=cues, known=known)

    def to_plain(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings that JSON can hold, and tensors."""
        tensors = {"cues": self.cues} if self.known is None else {"cues": self.cues, "known": self.known}
        tensors |= {f"similarity.{name}": tensor for name, tensor in self.similarity.tensors().items()}
        separation = self.separation.settings()
        if isinstance(self.separation, Tempered):
            separation["beta"] = self.separation.number
        return {"similarity": self.similarity.settings(), "separation": separation, "project": self.project}, tensors

    @classmethod
    def from_plain(cls, settings: dict[str, Any], tensors: dict[str, Tensor]) -> Read:
        """Rebuild a read from `to_plain`.

        Raises:
            ValueError: unknown names, missing or ill-shaped tensors.
        """
        project = settings.get("project")
        if project not in ("patterns", "values"):
            raise ValueError(f"project must be 'patterns' or 'values', got {project!r}")
        if "cues" not in tensors:
            raise ValueError(f"tensors must hold 'cues', got {sorted(tensors)}")
        cues = tensors["cues"]
        check_floating("cues", cues)
        check_shape("cues", cues)
        learned = {name.removeprefix("similarity."): one for name, one in tensors.items() if name.startswith("similarity.")}
        similarity = similarity_from(settings.get("similarity", {}), learned)
        separation = separation_from(settings.get("separation", {}))
        return cls(similarity, separation, cues, check_known(tensors.get("known"), cues), project)
