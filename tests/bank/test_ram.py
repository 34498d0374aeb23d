import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor import RamBank
from attractor.read import Dot, Euclidean, Read, SoftMax


def filled(count=10, dim=3, **options):
    bank = RamBank(dim, **options)
    bank.append(torch.arange(count * dim, dtype=torch.float32).reshape(count, dim))
    return bank


def everything(bank):
    return bank.version, len(bank), bank.ids().tolist(), bank.get(bank.ids()).patterns.tolist(), bank.metadata(bank.ids())


def read_all(bank, rows=4):
    blocks = list(bank.blocks(rows))
    return torch.cat([block.ids for block in blocks]).tolist(), torch.cat([block.patterns for block in blocks])


def test_rows_come_back_under_ascending_ids():
    bank, patterns = RamBank(3), torch.randn(5, 3)
    assert bank.append(patterns[:2]).tolist() == [0, 1] and bank.append(patterns[2:]).tolist() == [2, 3, 4]
    assert bank.ids().dtype == torch.int64
    ids, rows = read_all(bank, 2)
    assert ids == [0, 1, 2, 3, 4] and torch.equal(rows, patterns)


def test_what_is_stored_is_a_copy():
    patterns = torch.ones(2, 3)
    bank = RamBank(3)
    bank.append(patterns)
    patterns.zero_()
    assert bank.get(torch.tensor([0])).patterns.sum() == 3


def test_get_keeps_the_order_asked_for_and_takes_repeats():
    bank = filled()
    bank.forget(torch.tensor([1, 4]))
    block = bank.get(torch.tensor([7, 0, 7, 5]))
    assert block.ids.tolist() == [7, 0, 7, 5]
    assert block.patterns[:, 0].tolist() == [21.0, 0.0, 21.0, 15.0]
    assert torch.equal(block.squared_norms, block.patterns.square().sum(-1))


@pytest.mark.parametrize("ids", [[2, 0], torch.tensor([2, 0], dtype=torch.int32), torch.tensor([[2], [0]])])
def test_ids_of_any_integer_kind_are_taken(ids):
    bank = filled()
    assert bank.get(ids).ids.tolist() == [2, 0]
    assert bank.metadata(ids) == [None, None]
    bank.forget(ids)
    assert len(bank) == 8


def test_appends_do_not_copy_what_is_stored():
    bank, moves, place = RamBank(8), 0, None
    for _ in range(1000):
        bank.append(torch.ones(1, 8))
        now = next(bank.blocks(2**16)).patterns.data_ptr()
        moves, place = moves + (now != place), now
    assert moves <= 11  # 1, 2, 4, ... 1024


def test_blocks_of_a_whole_bank_are_read_in_place():
    bank = filled()
    assert next(bank.blocks(100)).patterns.data_ptr() == next(bank.blocks(4)).patterns.data_ptr()


@st.composite
def histories(draw):
    kinds = st.one_of(st.integers(1, 5), st.just("compact"), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3))
    return draw(st.lists(kinds, max_size=12))


@settings(max_examples=60)
@given(histories(), st.integers(1, 7))
def test_any_history_leaves_the_rows_that_were_not_forgotten(history, rows):
    bank, model, stored = RamBank(2), {}, 0
    for act in history:
        version = bank.version
        if act == "compact":
            bank.compact()
            continue
        if isinstance(act, int):
            patterns = torch.arange(stored, stored + act)[:, None].expand(-1, 2).float()
            ids = bank.append(patterns, metadata=[{"at": stored + row} for row in range(act)])
            assert ids.tolist() == list(range(stored, stored + act))
            model |= {one: float(one) for one in ids.tolist()}
            stored += act
        elif model:
            gone = sorted({sorted(model)[int(share * len(model))] for share in act})
            bank.forget(torch.tensor(gone[::-1]))
            for one in gone:
                del model[one]
        else:
            continue
        assert bank.version != version
    assert len(bank) == len(model) and bank.ids().tolist() == sorted(model)
    blocks = list(bank.blocks(rows))
    assert all(0 < len(block) <= rows for block in blocks)
    assert [one for block in blocks for one in block.ids.tolist()] == sorted(model)
    assert [value for block in blocks for value in block.patterns[:, 1].tolist()] == [model[one] for one in sorted(model)]
    assert bank.metadata(bank.ids()) == [{"at": one} for one in sorted(model)]
    if model:
        cue = torch.tensor([[0.4, 0.4]])
        answer = Read(Euclidean(), SoftMax(30.0), cue)
        nearest = min(model, key=lambda one: abs(model[one] - 0.4))
        assert answer.finish(bank.fold(answer)).ids[0, 0] == nearest


def test_ids_are_never_used_again():
    bank = filled(4)
    bank.forget(bank.ids())
    bank.compact()
    assert len(bank) == 0 and list(bank.blocks(8)) == []
    assert bank.append(torch.ones(1, 3)).tolist() == [4]


def test_compact_gives_space_back_and_changes_no_answer():
    bank = filled(100)
    bank.forget(torch.arange(0, 100, 2))
    before, bytes_before = everything(bank), bank.nbytes
    bank.compact()
    assert everything(bank)[1:] == before[1:] and bank.nbytes < 0.6 * bytes_before


def test_forgotten_rows_win_nothing():
    bank = RamBank(2)
    bank.append(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.0]]))
    bank.forget(torch.tensor([0]))
    read = Read(Dot(), SoftMax(50.0), torch.tensor([[1.0, 0.0]]))
    answer = read.finish(bank.fold(read))
    assert answer.ids.tolist() == [[2, 1]]
    torch.testing.assert_close(answer.values, torch.tensor([[0.9, 0.0]]))


def test_values_are_read_out_in_place_of_patterns():
    bank = RamBank(2)
    bank.append(torch.eye(2), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert bank.value_dim == 3
    read = Read(Dot(), SoftMax(100.0), torch.eye(2), project="values")
    torch.testing.assert_close(read.finish(bank.fold(read)).values, torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))


@pytest.mark.parametrize(
    ("arguments", "kind", "named"),
    [
        ({"patterns": torch.ones(2, 4)}, ValueError, "patterns must have width 3"),
        ({"patterns": torch.ones(3)}, ValueError, r"patterns\[None\]"),
        ({"patterns": torch.ones(0, 3)}, ValueError, "patterns must not be empty"),
        ({"patterns": torch.ones(2, 3, dtype=torch.int64)}, ValueError, r"patterns.float\(\)"),
        ({"patterns": torch.ones(2, 3, dtype=torch.float64)}, ValueError, "patterns must be torch.float32"),
        ({"patterns": torch.tensor([[0.0, math.nan, 0.0]])}, ValueError, r"patterns must be finite.*\[0\]"),
        ({"patterns": torch.tensor([[0.0, math.inf, 0.0]])}, ValueError, "patterns must be finite"),
        ({"patterns": [[1.0, 2.0, 3.0]]}, TypeError, "patterns must be a torch.Tensor"),
        ({"patterns": torch.ones(2, 3), "values": torch.ones(2, 2)}, ValueError, "values.*none"),
        ({"patterns": torch.ones(2, 3), "metadata": [None]}, ValueError, "metadata"),
        ({"patterns": torch.ones(2, 3), "metadata": [{"a": 1}, 5]}, TypeError, r"metadata\[1\]"),
    ],
)
def test_refused_rows_change_nothing(arguments, kind, named):
    bank = filled()
    before = everything(bank)
    with pytest.raises(kind, match=named):
        bank.append(**arguments)
    assert everything(bank) == before
    assert bank.append(torch.ones(2, 3)).tolist() == [10, 11]
    assert bank.metadata(torch.tensor([10, 11])) == [None, None]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (None, "values.*keeps values"),
        (torch.ones(1, 3), "values must have width 2"),
        (torch.ones(2, 2), "values must have one row"),
        (torch.ones(1, 2).double(), "values must be torch.float32"),
        (torch.full((1, 2), math.nan), "values must be finite"),
    ],
)
def test_all_rows_have_values_of_one_kind_or_none_has(values, named):
    bank = RamBank(3)
    bank.append(torch.ones(1, 3), torch.ones(1, 2))
    with pytest.raises(ValueError, match=named):
        bank.append(torch.ones(1, 3), values)
    assert len(bank) == 1


def test_refused_first_append_decides_nothing():
    bank = RamBank(3)
    with pytest.raises(ValueError, match="values"):
        bank.append(torch.ones(2, 3), torch.ones(1, 2))
    assert bank.dtype is None and bank.value_dim is None
    bank.append(torch.ones(2, 3).double())
    assert bank.dtype == torch.float64


@pytest.mark.parametrize("ids", [[99], [-1], [0, 99], [0, 0]])
def test_refused_forget_removes_nothing(ids):
    bank = filled()
    bank.forget(torch.tensor([3]))
    before = everything(bank)
    for refused in (ids, [3]):
        with pytest.raises(ValueError, match="ids"):
            bank.forget(torch.tensor(refused))
    with pytest.raises(TypeError, match="ids"):
        bank.forget(torch.tensor([0.0]))
    assert everything(bank) == before


def test_empty_bank_has_nothing_to_get_or_read():
    bank = RamBank(3)
    with pytest.raises(ValueError, match="ids"):
        bank.get(torch.tensor([0]))
    with pytest.raises(ValueError, match="empty"):
        bank.fold(Read(Dot(), SoftMax(1.0), torch.ones(1, 3)))
    with pytest.raises(ValueError, match="dim"):
        RamBank(0)


def test_metadata_stays_with_its_row_until_that_is_forgotten():
    bank = RamBank(1)
    bank.append(torch.ones(3, 1), metadata=[{"name": "a"}, None, {"name": "c"}])
    bank.forget(torch.tensor([0]))
    bank.compact()
    assert bank.metadata(torch.tensor([2, 1])) == [{"name": "c"}, None]
    with pytest.raises(ValueError, match="ids"):
        bank.metadata(torch.tensor([0]))


def test_patterns_follow_to_and_are_not_state():
    bank = filled()
    assert bank.state_dict() == {}
    version = bank.version
    bank.to(torch.float64)
    assert bank.dtype == torch.float64 and bank.version != version
    bank.append(torch.full((1, 3), 0.1, dtype=torch.float64))
    block = bank.get(bank.ids())
    assert torch.equal(block.squared_norms, block.patterns.square().sum(-1))
    with pytest.raises(ValueError, match=r"patterns must be torch\.float64"):
        bank.append(torch.ones(1, 3))


def test_lengths_are_computed_anew_in_the_new_precision():
    bank = RamBank(2)
    bank.append(torch.tensor([[1.0, 1e-5]]))
    bank.to(torch.float64)
    exact = bank.get(bank.ids()).patterns.square().sum(-1)
    assert torch.equal(next(bank.blocks(8)).squared_norms, exact) and exact != exact.float().double()


def test_sample_is_drawn_without_repeats_and_the_same_for_a_seed():
    bank = filled(50)
    bank.forget(torch.arange(10))
    first, again, other = bank.sample(20, seed=1), bank.sample(20, seed=1), bank.sample(20, seed=2)
    assert first.ids.tolist() == again.ids.tolist() != other.ids.tolist()
    assert len(first.ids.unique()) == 20 and (first.ids >= 10).all()
    assert bank.sample(100).ids.tolist() == list(range(10, 50))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contents_restore_rows_ids_values_and_metadata(dtype):
    bank = RamBank(2)
    entries = [{"name": str(row)} for row in range(6)]
    bank.append(torch.randn(6, 2, dtype=dtype), torch.randn(6, 3, dtype=dtype), entries)
    bank.forget(torch.tensor([0, 5]))
    restored = RamBank(2)
    restored.restore(bank.contents())
    assert everything(restored)[1:] == everything(bank)[1:]
    assert torch.equal(restored.get(restored.ids()).values, bank.get(bank.ids()).values)
    assert restored.append(torch.ones(1, 2, dtype=dtype), torch.ones(1, 3, dtype=dtype)).tolist() == [6]


def test_restored_bank_without_rows_keeps_its_layout_and_its_ids():
    bank = RamBank(2)
    bank.append(torch.ones(3, 2).double(), torch.ones(3, 1).double())
    bank.forget(bank.ids())
    restored = RamBank(2)
    restored.restore(bank.contents())
    assert len(restored) == 0 and restored.dtype == torch.float64
    assert restored.append(torch.ones(1, 2).double(), torch.ones(1, 1).double()).tolist() == [3]
    empty = RamBank(2)
    empty.restore(RamBank(2).contents())
    assert empty.append(torch.ones(1, 2)).tolist() == [0]


@pytest.mark.parametrize(
    "changed",
    [
        {"ids": None},
        {"next_id": None},
        {"ids": torch.tensor([1, 0])},
        {"ids": torch.tensor([0])},
        {"next_id": torch.tensor(1)},
        {"patterns": torch.ones(2, 3)},
        {"patterns": torch.full((2, 2), math.nan)},
        {"metadata": torch.tensor(list(b"{"), dtype=torch.uint8)},
        {"metadata": torch.tensor(list(b"[]"), dtype=torch.uint8)},
    ],
)
def test_contents_that_do_not_fit_are_refused(changed):
    bank = RamBank(2)
    bank.append(torch.eye(2))
    contents = {name: value for name, value in (bank.contents() | changed).items() if value is not None}
    restored = RamBank(2)
    with pytest.raises(ValueError):
        restored.restore(contents)
    assert len(restored) == 0 and restored.dtype is None
    with pytest.raises(ValueError, match="new"):
        bank.restore(bank.contents())
