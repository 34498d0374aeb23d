import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attractor import RamBank
from attractor.bank.presence import row_hashes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 30), dim=st.integers(1, 5))
def test_exactly_the_stored_rows_are_present(dtype, seed, rows, dim):
    generator = torch.Generator().manual_seed(seed)
    stored = torch.randint(-2, 3, (rows, dim), generator=generator).to(dtype)
    asked = torch.randint(-2, 3, (20, dim), generator=generator).to(dtype)
    bank = RamBank(dim)
    ids = bank.append(stored)
    kept = torch.rand(rows, generator=generator) < 0.7
    if not kept.all():
        bank.forget(ids[~kept])
    naive = (asked[:, None] == stored[kept][None]).all(-1).any(-1)
    assert bank.contains(asked).tolist() == naive.tolist()


def test_both_zeros_are_one_number():
    bank = RamBank(2)
    bank.append(torch.tensor([[0.0, 1.0]]))
    assert bank.contains(torch.tensor([[-0.0, 1.0], [0.0, -1.0]])).tolist() == [True, False]


def test_one_bit_makes_another_row():
    row = torch.ones(1, 3)
    other = row.clone()
    other[0, 2] = torch.nextafter(other[0, 2], torch.tensor(2.0))
    bank = RamBank(3)
    bank.append(row)
    assert bank.contains(torch.cat([row, other])).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_hashes_tell_round_numbers_apart(dtype):
    signs = torch.randint(0, 2, (20_000, 40), generator=torch.Generator().manual_seed(0)).to(dtype) * 2 - 1
    small = torch.cartesian_prod(*[torch.arange(12, dtype=dtype)] * 4)
    for rows in (signs.unique(dim=0), small):
        assert len(row_hashes(rows).unique()) == len(rows)


def test_rows_whose_hashes_collide_are_told_apart(monkeypatch):
    monkeypatch.setattr("attractor.bank.presence.row_hashes", lambda rows: torch.zeros(len(rows), dtype=torch.int64))
    bank = RamBank(2)
    bank.append(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert bank.contains(torch.tensor([[5.0, 6.0], [3.0, 5.0], [3.0, 4.0]])).tolist() == [True, False, True]


def test_columns_are_told_apart_by_the_hash():
    rows = torch.randn(1, 4)
    assert row_hashes(rows) != row_hashes(rows.flip(-1))


def test_nothing_is_present_in_an_empty_bank():
    assert RamBank(2).contains(torch.ones(3, 2)).tolist() == [False] * 3
