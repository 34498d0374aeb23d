"""Banks as Lance datasets, and back."""

import sys
from unittest.mock import patch

import pytest
import torch
from bank.random_rows import random_rows

from attractor.bank import DiskBank, RamBank, lance
from attractor.bank.lance import from_lance, to_lance


def test_a_missing_package_names_its_extra(tmp_path):
    bank = RamBank(4)
    bank.append(random_rows(2))
    with patch.dict(sys.modules, {"lance": None}):
        for use in (lambda: to_lance(bank, tmp_path / "rows"), lambda: from_lance(tmp_path / "rows", bank)):
            with pytest.raises(ImportError, match=r"attractor\[lance\]"):
                use()


@pytest.fixture
def dataset(tmp_path):
    pytest.importorskip("lance")
    return tmp_path / "rows.lance"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("values", [False, True])
def test_rows_names_and_metadata_come_back(dataset, tmp_path, dtype, values):
    entries = [{"name": f"row {one}", "deep": [one, None]} if one % 3 == 0 else None for one in range(50)]
    with DiskBank(tmp_path / "bank", 4) as bank, DiskBank(tmp_path / "back", 4) as back, patch.object(lance, "ROWS_TOGETHER", 16):
        bank.append(random_rows(50, dtype=dtype), random_rows(50, 3, seed=1, dtype=dtype) if values else None, entries)
        bank.forget(torch.tensor([4, 9]))
        to_lance(bank, dataset)
        ids = from_lance(dataset, back)
        assert ids.tolist() == list(range(48))
        old, new = bank.get(bank.ids()), back.get(ids)
        assert torch.equal(new.patterns, old.patterns)
        assert torch.equal(new.values, old.values) if values else new.values is None
        assert back.metadata(ids) == bank.metadata(bank.ids())
        assert back.named("row 12").tolist() == [10]
        with pytest.raises(OSError, match="exists"):
            to_lance(bank, dataset)


def test_a_dataset_of_others_keeps_its_columns_as_metadata(dataset):
    import lance as package
    import pyarrow as arrow

    vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(random_rows(3).flatten().numpy()), 4)
    table = {"embedding": vectors, "city": ["Oslo", None, "Rome"], "year": [1, 2, 3]}
    package.write_dataset(arrow.table(table), dataset)
    bank = RamBank(4)
    ids = from_lance(dataset, bank, vector="embedding")
    assert torch.equal(bank.get(ids).patterns, random_rows(3))
    assert bank.metadata(ids) == [{"city": "Oslo", "year": 1}, {"year": 2}, {"city": "Rome", "year": 3}]
    with pytest.raises(ValueError, match=r"columns \['embedding', 'city', 'year'\]"):
        from_lance(dataset, bank)
    with pytest.raises(ValueError, match="'city' must hold a list of fixed size"):
        from_lance(dataset, bank, vector="city")
    with pytest.raises(ValueError, match="width 5"):
        from_lance(dataset, RamBank(5), vector="embedding")


def test_what_arrow_cannot_hold_is_refused(dataset):
    bank = RamBank(4)
    for rows in (None, random_rows(2, dtype=torch.bfloat16)):
        if rows is not None:
            bank.append(rows)
        with pytest.raises(ValueError, match="float16"):
            to_lance(bank, dataset)
    assert not dataset.exists()
