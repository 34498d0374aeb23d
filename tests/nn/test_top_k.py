"""The k largest entries with ties decided."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.nn.top_k import largest


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 6), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_ties_go_to_the_lower_index_and_there_are_exactly_k(seed, width, levels, dtype):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, levels, (2, 3, width), generator=generator).to(dtype)
    for k in range(1, width + 1):
        expected = [
            [sorted(range(width), key=lambda place, row=row: (-row[place], place))[:k] for row in rows] for rows in values.tolist()
        ]
        assert largest(values, k).tolist() == expected


def test_nan_is_the_largest_and_no_rows_are_no_error():
    assert largest(torch.tensor([1.0, torch.nan, 2.0]), 2).tolist() == [1, 2]
    assert largest(torch.tensor([torch.nan, torch.nan, 2.0]), 1).tolist() == [0]
    assert largest(torch.empty(0, 5), 2).shape == (0, 2)


def test_vmap_adds_a_batch():
    values = torch.randint(0, 3, (4, 5, 6), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(torch.func.vmap(lambda rows: largest(rows, 2))(values), largest(values, 2))
    assert torch.equal(torch.func.vmap(lambda rows: largest(rows, 2), 1, 1)(values), largest(values, 2))


def test_result_carries_no_gradient():
    assert not largest(torch.rand(3, requires_grad=True), 2).requires_grad


@pytest.mark.parametrize(
    ("values", "k", "kind"),
    [
        (torch.rand(3), 4, ValueError),
        (torch.rand(3), 0, ValueError),
        (torch.tensor(1.0), 1, ValueError),
        (torch.rand(3), 1.5, TypeError),
        ([1.0], 1, TypeError),
    ],
)
def test_bad_input_is_refused(values, k, kind):
    with pytest.raises(kind, match=r"k must|values must"):
        largest(values, k)
