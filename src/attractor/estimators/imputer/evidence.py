"""A similarity for rows that both may have holes: an entry that is unknown on either side is no evidence, exactly.

A sum of squared differences over the entries known on both sides grows with their number, so that a row with many holes would look
near. The score is instead the logarithm of how much likelier the cue `x` is as a noisy copy of the stored row `y` than as an
unrelated row of the table, with the inverse temperature as the precision of the noise:

    s(x, y) = sum over i known in both of  log p(x_i | y_i) / p(x_i)

An entry unknown on either side tells nothing about the two hypotheses: its term is zero. For a standardised number `p(x | y)` is
`N(y, 1 / beta)` and `p(x)` is `N(0, 1 + 1 / beta)`:

    -beta (x - y)^2 / 2  +  log(1 + beta) / 2  +  beta / (1 + beta) x^2 / 2

For a category, with one-hot `x` and `y`, `p(x | y)` falls as `exp(-beta |x - y|^2 / 2)`. With `q` as the frequency of what the cue
has, the term is

    beta [x = y]  -  log(q e^beta + 1 - q)

Between rows without holes the scores differ as masked squared distances do: `-beta / 2 sum (x_i - y_i)^2` over what the cue knows.

Each term is a sum of products of a function of `x` and one of `y`, so the score is a dot product of longer vectors. Rows are stored
as `[y, known, y^2]` with zeros where they know nothing, finite patterns for any bank, and one matrix product scores them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attractor.read import Block, Dot
from attractor.read.similarity import Cues

IN_SINGLE, IN_DOUBLE = 1e4, 1e12
"""Of the inverse temperature times the largest squared number: up to there scores are right to 0.01 and 0.001."""


@dataclass(frozen=True, eq=False)
class Layout:
    """How rows are coded: numbers come first, then the one-hot entries of each category column.

    Attributes:
        varied: which numbers differ between rows, `(numbers,)` Boolean.
        sizes: how many categories each category column has.
        frequencies: of all categories among the rows that know the column, `(sum of sizes,)`.
    """

    varied: Tensor
    sizes: tuple[int, ...]
    frequencies: Tensor

    @property
    def numbers(self) -> int:
        return len(self.varied)

    @property
    def width(self) -> int:
        """Entries of the coded values of a row."""
        return self.numbers + sum(self.sizes)

    @property
    def columns(self) -> int:
        return self.numbers + len(self.sizes)

    @property
    def stored_width(self) -> int:
        """Entries of a stored row: values, what is known, squares."""
        return self.width + self.columns + self.numbers

    @cached_property
    def column_of(self) -> Tensor:
        """To which column each coded value belongs, `(width,)`."""
        nominal = torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.sizes, dtype=torch.int64))
        return torch.cat([torch.arange(self.numbers), self.numbers + nominal])

    @cached_property
    def first_entries(self) -> Tensor:
        """Where the coded values of each column begin, `(columns,)`."""
        return torch.searchsorted(self.column_of, torch.arange(self.columns))

    def rows(self, values: Tensor, known: Tensor) -> Tensor:
        """Rows to store, `(n, stored_width)`, from `values (n, width)`, zero where unknown, and `known (n, columns)`."""
        return torch.cat([values, known.to(values.dtype), values[:, : self.numbers].square()], -1)

    def cues(self, values: Tensor, known: Tensor, beta: Tensor) -> Tensor:
        """Cues `(b, stored_width)` whose dot product with a stored row is the score above, each at its own `beta (b,)`."""
        # a column that never varies tells nothing: p(x | y) is p(x)
        numbers, mask = values[:, : self.numbers], (known[:, : self.numbers] & self.varied).to(values.dtype)
        beta = beta.to(values.dtype)[:, None]
        linear = beta * numbers * mask
        squares = -beta / 2 * mask
        own = (beta.log1p() - beta * (beta / (1 + beta)) * numbers.square()) / 2 * mask
        nominal, frequencies = values[:, self.numbers :], self.frequencies.to(values.dtype)
        chance = torch.logaddexp(torch.log1p(-frequencies), frequencies.log() + beta)
        unlike = values.new_zeros(len(values), len(self.sizes))
        unlike.index_add_(1, self.column_of[self.numbers :] - self.numbers, -chance * nominal)
        return torch.cat([linear, beta * nominal, own, unlike, squares], -1)

    def greatest_beta(self, values: Tensor) -> Tensor:
        """Inverse temperature `(b,)` up to which the scores of cues `values (b, width)` are right to 0.001."""
        return IN_DOUBLE / largest_squares(values)


class Evidence(Dot):
    """The score above. Cues in double precision are compared in it, squares too; those in single have them as they are stored.

    Args:
        layout: of the stored rows.
    """

    name = "evidence"

    def __init__(self, layout: Layout):
        self.layout = layout

    def relative(self, cues: Cues, block: Block) -> Tensor:
        if cues.vectors.dtype == block.patterns.dtype:
            return super().relative(cues, block)
        rows = block.patterns.to(cues.vectors.dtype)
        rows[:, rows.shape[1] - self.layout.numbers :] = rows[:, : self.layout.numbers].square()
        return cues.vectors @ rows.T


def needs_double(values: Tensor, beta: Tensor) -> Tensor:
    """Which cues `values (b, width)` need double precision, `(b,)` Boolean: the products of the score cancel each other."""
    return beta * largest_squares(values) > IN_SINGLE


def largest_squares(values: Tensor) -> Tensor:
    return 1 + values.double().square().amax(-1) if values.shape[1] else torch.ones(len(values), dtype=torch.float64)
