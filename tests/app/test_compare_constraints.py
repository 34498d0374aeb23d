"""The comparison on data that the memories of linear constraints are made for, and on data that they are not."""

import pytest
import torch

from attractor.app.comparison import compare_memories, plan
from attractor.app.contenders import CONSTRAINT, SPARSE_RECOVERY
from attractor.data import ImageSet

BOTH = [SPARSE_RECOVERY, CONSTRAINT]


def compared(patterns):
    images = ImageSet(patterns, shape=(1, 8, 8), name="made", levels=None)
    return compare_memories(images, plan(images, (len(patterns),)), 5, 0, BOTH)


def rows_of(result, contender):
    found = {}
    for point, rows in result.rows.items():
        (found[point.damage.name],) = (row for row in rows if row.memory == contender.title)
    return found


def test_sums_of_few_sources_are_recalled_exactly(generator):
    sources = (torch.rand(6, 64, generator=generator) < 0.4).float()
    sources[0, sources.sum(0) == 0] = 1
    # whole numbers of 15 steps
    result = compared(torch.randint(0, 3, (40, 6), generator=generator).float() @ sources / 15)
    recovered, corrected = (rows_of(result, contender) for contender in BOTH)
    assert all(row.note is None for row in (*recovered.values(), *corrected.values()))
    assert recovered["10% flips"].exact == 1.0
    for found in (recovered, corrected):
        assert found["lower 25%"].exact == found["lower 50%"].exact == 1.0


@pytest.mark.parametrize("contender", BOTH, ids=lambda one: one.title)
def test_data_without_constraints_are_left_out_with_the_reason(contender, generator):
    result = compared(torch.rand(100, 64, generator=generator))
    rows = rows_of(result, contender)
    assert all(row.exact is None and row.identified is None for row in rows.values())
    (note,) = (note for note in result.notes if note.startswith(contender.title))
    assert "do not fit" in note and "constraint" in note
