"""The two best-scoring rows of each cue: which item a recall is about, and by what margin.

Every fold carries them, so finding them must cost little beside the matrix product. One pass takes the maxima of groups of
scores; only the groups that hold the best two are then looked into. Ties go to the lower row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

GROUP = 64


class Best(NamedTuple):
    """`scores (b, 2)`, best first, and `ids (b, 2)` int64; a place that no row fills has score -inf and id -1."""

    scores: Tensor
    ids: Tensor

    def merge(self, other: Best) -> Best:
        """The two best of both; a tie goes to the lower id."""
        scores, ids = torch.cat([self.scores, other.scores], -1), torch.cat([self.ids, other.ids], -1)
        ids, order = ids.sort(-1)
        scores, place = scores.gather(-1, order).sort(dim=-1, descending=True, stable=True)
        return Best(scores[:, :2], ids.gather(-1, place[:, :2]))


@torch.no_grad()
def two_best(scores: Tensor, ids: Tensor) -> Best:
    """The two best of `scores (b, n)`, whose columns are the rows `ids (n,)`, ascending."""
    rows, columns = scores.shape
    if columns == 1:
        nothing = scores.new_full((rows, 1), -torch.inf)
        return Best(torch.cat([scores, nothing], -1), torch.cat([ids.expand(rows, 1), ids.new_full((rows, 1), -1)], -1))
    group = GROUP if columns % GROUP == 0 else columns
    grouped = scores.unflatten(-1, (-1, group))
    maxima = grouped.amax(-1)
    first_group, first_column, first = best_of_groups(grouped, maxima, None)
    runner_up = grouped.gather(1, first_group[:, None, None].expand(-1, 1, group)).squeeze(1)
    runner_up = runner_up.scatter(-1, first_column[:, None], -torch.inf)
    maxima = maxima.scatter(-1, first_group[:, None], runner_up.amax(-1, keepdim=True))
    second_group, second_column, second = best_of_groups(grouped, maxima, (first_group, first_column))
    places = torch.stack([first_group * group + first_column, second_group * group + second_column], -1)
    return Best(torch.stack([first, second], -1), ids[places])


def best_of_groups(grouped: Tensor, maxima: Tensor, taken: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
    """Group, column and score `(b,)` of the best entry of `grouped (b, g, n)`, leaving out the entry `taken`."""
    chosen = maxima.argmax(-1)
    inside = grouped.gather(1, chosen[:, None, None].expand(-1, 1, grouped.shape[-1])).squeeze(1)
    if taken is not None:
        group, column = taken
        same = (chosen == group).nonzero().flatten()
        inside[same, column[same]] = -torch.inf
    column = inside.argmax(-1)
    return chosen, column, inside.gather(-1, column[:, None]).squeeze(-1)
