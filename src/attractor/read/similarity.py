"""Similarities: how a cue is compared with the stored patterns.

A similarity scores `b` cues against `n` patterns. Recall needs scores only up to a constant of each cue, so a similarity splits
them, `score = relative + offset`: `relative (b, n)` costs one matrix product, `offset (b, 1)` belongs to the cue alone.

With a mask of trusted entries only those are compared, and what stands at the others, NaN included, is never read.

Sources: Krotov and Hopfield 2021 (dot product); Millidge et al. 2022, "Universal Hopfield Networks" (the word *similarity*,
Euclidean and Manhattan scores).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attractor.products import linear
from attractor.read.block import Block


@dataclass(frozen=True, eq=False)
class Cues:
    """Cues made ready for comparison: zero where unknown, with the mask as numbers where there is one.

    `mask` is `(b, d)`, or `(1, d)` when every cue knows the same entries, which saves a matrix product.
    """

    vectors: Tensor
    mask: Tensor | None
    offset: Tensor

    def known_squares(self, block: Block) -> Tensor:
        """`sum over known i of xi_i^2`, `(b, n)`, or `(n,)` where every cue knows the same entries."""
        if self.mask is None:
            return block.squared_norms
        squares = linear(self.mask, block.patterns.square())
        return squares[0] if len(squares) == 1 else squares


class Similarity(ABC):
    """Compares cues with patterns; larger scores are more similar."""

    name: ClassVar[str]
    unit: ClassVar[bool] = False
    """Whether only directions are compared."""

    @property
    def version(self) -> int:
        """Changes when the scores of a learned similarity do."""
        return 0

    def prepare(self, cues: Tensor, known: Tensor | None = None) -> Cues:
        """Make `cues (b, d)` with the mask `known (b, d)` ready for any number of blocks."""
        if known is None:
            return Cues(cues, None, self.offset(cues))
        vectors = torch.where(known, cues, 0)
        return Cues(vectors, mask_of(known, cues.dtype), self.offset(vectors))

    @abstractmethod
    def relative(self, cues: Cues, block: Block) -> Tensor:
        """Scores `(b, n)` up to `offset`."""

    def offset(self, vectors: Tensor) -> Tensor:
        """The part `(b, 1)` of the scores that does not depend on the pattern."""
        return vectors.new_zeros(len(vectors), 1)

    def scores(self, cues: Tensor, block: Block, known: Tensor | None = None) -> Tensor:
        """Full scores `(b, n)` of `cues (b, d)` against a block; `known (b, d)` is True where a cue is trusted."""
        prepared = self.prepare(cues, known)
        return self.relative(prepared, block) + prepared.offset

    def paired(self, cues: Tensor, patterns: Tensor, known: Tensor | None = None) -> Tensor:
        """Score `(b,)` of each cue with the pattern in its own row, `patterns (b, d)`."""
        if known is not None:
            cues, patterns = torch.where(known, cues, 0), torch.where(known, patterns, 0)
        return self._paired(widened(cues), widened(patterns))

    @abstractmethod
    def _paired(self, cues: Tensor, patterns: Tensor) -> Tensor: ...

    def read_out(self, block: Block) -> Tensor:
        """The rows `(n, d)` that the state is drawn towards: the gradient of the scores in the state, up to the state."""
        return block.patterns

    def settings(self) -> dict[str, Any]:
        """What rebuilds this similarity, as plain data."""
        return {"name": self.name}

    def tensors(self) -> dict[str, Tensor]:
        """What it has learned, which belongs to its plain form too."""
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Euclidean(Similarity):
    """`-|x - xi|^2 / 2`, the default: on raw data a dot product lets the longest pattern win.

    Example:
        >>> block = Block(torch.arange(2), torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
        >>> Euclidean().scores(torch.tensor([[1.0, 0.0]]), block).tolist()
        [[0.0, -5.0]]
    """

    name = "euclidean"

    def relative(self, cues: Cues, block: Block) -> Tensor:
        squares = cues.known_squares(block)
        if squares.dim() == 1:
            return linear(cues.vectors, block.patterns, squares / -2)
        return torch.addmm(squares, cues.vectors, block.patterns.T, beta=-0.5)

    def offset(self, vectors: Tensor) -> Tensor:
        return -vectors.square().sum(-1, keepdim=True) / 2

    def _paired(self, cues: Tensor, patterns: Tensor) -> Tensor:
        return -(cues - patterns).square().sum(-1) / 2


class Dot(Similarity):
    """`x . xi`, the similarity of the original models; meant for patterns of equal length.

    Example:
        >>> block = Block(torch.arange(2), torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
        >>> Dot().scores(torch.tensor([[1.0, 1.0]]), block).tolist()
        [[1.0, 3.0]]
    """

    name = "dot"

    def relative(self, cues: Cues, block: Block) -> Tensor:
        return linear(cues.vectors, block.patterns)

    def _paired(self, cues: Tensor, patterns: Tensor) -> Tensor:
        return (cues * patterns).sum(-1)


class Cosine(Similarity):
    """`x . xi / (|x| |xi|)`, both lengths taken over the known entries; a pattern of length zero scores zero.

    Example:
        >>> block = Block(torch.arange(2), torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
        >>> Cosine().scores(torch.tensor([[0.0, 5.0]]), block).tolist()
        [[0.0, 1.0]]
    """

    name = "cosine"
    unit = True

    def prepare(self, cues: Tensor, known: Tensor | None = None) -> Cues:
        prepared = super().prepare(cues, known)
        return Cues(torch.nn.functional.normalize(prepared.vectors, dim=-1), prepared.mask, prepared.offset)

    def relative(self, cues: Cues, block: Block) -> Tensor:
        return linear(cues.vectors, block.patterns) * inverse_length(cues.known_squares(block))

    def _paired(self, cues: Tensor, patterns: Tensor) -> Tensor:
        return (cues * patterns).sum(-1) * inverse_length(cues.square().sum(-1)) * inverse_length(patterns.square().sum(-1))

    def read_out(self, block: Block) -> Tensor:
        return block.patterns * inverse_length(block.squared_norms)[:, None]


class Manhattan(Similarity):
    """`-sum_i |x_i - xi_i|`: an entry that is far off counts once, not squared.

    Example:
        >>> block = Block(torch.arange(2), torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
        >>> Manhattan().scores(torch.tensor([[1.0, 1.0]]), block).tolist()
        [[-1.0, -3.0]]
    """

    name = "manhattan"

    def relative(self, cues: Cues, block: Block) -> Tensor:
        if cues.mask is None:
            return -torch.cdist(cues.vectors, block.patterns, p=1)
        masks, group = cues.mask.unique(dim=0, return_inverse=True)
        scores = cues.vectors.new_empty(len(cues.vectors), len(block))
        for index, mask in enumerate(masks):
            rows = slice(None) if len(masks) == 1 else group == index
            kept = mask.bool()
            scores[rows] = -torch.cdist(cues.vectors[rows][:, kept], block.patterns[:, kept], p=1)
        return scores

    def _paired(self, cues: Tensor, patterns: Tensor) -> Tensor:
        return -(cues - patterns).abs().sum(-1)


def widened(tensor: Tensor) -> Tensor:
    """In float32 where it came in half precision: scores of long patterns need the digits."""
    return tensor if tensor.element_size() >= 4 else tensor.float()


def mask_of(known: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask `known (b, d)` as numbers; `(1, d)` when every cue knows the same entries."""
    shared = known[:1] if len(known) > 1 and bool((known == known[:1]).all()) else known
    return shared.to(dtype)


def inverse_length(squares: Tensor) -> Tensor:
    """`1 / sqrt(squares)`, zero where a row has no length."""
    return torch.where(squares > 0, squares, torch.inf).rsqrt()


SIMILARITIES: dict[str, type[Similarity]] = {kind.name: kind for kind in (Euclidean, Dot, Cosine, Manhattan)}
"""Those that a name alone describes."""
