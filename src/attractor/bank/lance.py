"""Banks as Lance datasets (https://lance.org), for LanceDB and other tools, and back. Needs the extra `lance`.

A dataset has the columns `id` (int64), `vector` (the pattern, a list of fixed size), `value` where the bank has values, `name`, and
`metadata` (JSON). Rows are passed on a block at a time, so that neither side has to fit in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.bank.base import Bank
from attractor.read import Block

ROWS_TOGETHER = 2**14
DTYPES = {torch.float16: "float16", torch.float32: "float32", torch.float64: "float64"}
"""What a column can hold, by the names of Arrow's functions."""
FLOATS = {"halffloat", "float", "double"}
"""The names by which Arrow prints them."""


def to_lance(bank: Bank, path: str | Path) -> None:
    """Write the live rows of `bank` to a new Lance dataset at `path`.

    Raises:
        ImportError: pylance is not installed.
        ValueError: the bank is empty, or of a dtype that Arrow has not.
        OSError: there is a dataset at `path`, or the disk is full.

    Example:
        >>> import tempfile
        >>> from attractor import RamBank
        >>> bank, back = RamBank(2), RamBank(2)
        >>> ids = bank.append(torch.eye(2), metadata=[{"name": "x"}, None])
        >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     to_lance(bank, f"{folder}/rows.lance")
        ...     from_lance(f"{folder}/rows.lance", back), back.metadata(ids)
        (tensor([0, 1]), [{'name': 'x'}, None])
    """
    lance, arrow = packages()
    if len(bank) == 0 or bank.dtype not in DTYPES:
        raise ValueError(f"bank must hold rows of one of the dtypes {[str(one) for one in DTYPES]}, got {bank!r}")
    number = getattr(arrow, DTYPES[bank.dtype])()
    fields = [("id", arrow.int64()), ("vector", arrow.list_(number, bank.dim))]
    fields += [] if bank.value_dim is None else [("value", arrow.list_(number, bank.value_dim))]
    schema = arrow.schema([*fields, ("name", arrow.string()), ("metadata", arrow.string())])

    def rows() -> Iterator[Any]:
        for block in bank.blocks(ROWS_TOGETHER):
            columns = columns_of(block, bank.metadata(block.ids), arrow)
            yield arrow.record_batch([columns[name] for name in schema.names], schema=schema)

    lance.write_dataset(arrow.RecordBatchReader.from_batches(schema, rows()), str(path), schema=schema, mode="create")


def from_lance(path: str | Path, bank: Bank, *, vector: str = "vector", value: str = "value") -> Tensor:
    """Append the rows of the Lance dataset at `path` to `bank`, in their order, and return their new ids `(n,)`.

    Args:
        path: a dataset of `to_lance`, or any other with a column of lists of fixed size.
        bank: takes the rows, a block at a time; where a block is refused, those before it stay.
        vector: name of the column of patterns.
        value: name of the column of values, if there is one.

    Where there is no column `metadata` of JSON, all columns that remain make the metadata of a row.

    Raises:
        ImportError: pylance is not installed.
        ValueError: no dataset there, no such column, another type or width, rows without a vector.
    """
    lance, _ = packages()
    dataset = lance.dataset(str(path))
    if vector not in dataset.schema.names:
        raise ValueError(f"vector must be one of the columns {dataset.schema.names} of {path}, got {vector!r}")
    ids = []
    for batch in dataset.to_batches(batch_size=ROWS_TOGETHER, scan_in_order=True):
        values = matrix(batch, value) if value in batch.schema.names else None
        entries = metadata_of(batch.drop_columns([name for name in (vector, value, "id") if name in batch.schema.names]))
        ids.append(bank.append(matrix(batch, vector), values, entries))
    return torch.cat(ids) if ids else torch.empty(0, dtype=torch.int64)


def packages() -> tuple[Any, Any]:
    try:
        import lance
        import pyarrow
    except ImportError as error:
        raise ImportError("Lance datasets need pylance: pip install 'attractor[lance]'") from error
    return lance, pyarrow


def columns_of(block: Block, metadata: list[dict[str, Any] | None], arrow: Any) -> dict[str, Any]:
    """The columns of a block, by their names."""

    def lists(rows: Tensor) -> Any:
        flat = np.ascontiguousarray(rows.detach().cpu().numpy()).reshape(-1)
        return arrow.FixedSizeListArray.from_arrays(arrow.array(flat), rows.shape[1])

    names = [None if entry is None else entry.get("name") for entry in metadata]
    return {
        "id": arrow.array(block.ids.cpu().numpy()),
        "vector": lists(block.patterns),
        **({} if block.values is None else {"value": lists(block.values)}),
        "name": arrow.array([name if isinstance(name, str) else None for name in names], arrow.string()),
        "metadata": arrow.array([None if entry is None else json.dumps(entry) for entry in metadata], arrow.string()),
    }


def matrix(batch: Any, name: str) -> Tensor:
    """A column of lists of fixed size, as a matrix of its own."""
    column = batch.column(name)
    if getattr(column.type, "list_size", -1) < 1 or column.null_count or str(column.type.value_type) not in FLOATS:
        raise ValueError(f"column {name!r} must hold a list of fixed size of floating-point numbers in each row, got {column.type}")
    return torch.from_numpy(column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1).copy())


def metadata_of(batch: Any) -> list[dict[str, Any] | None]:
    if "metadata" in batch.schema.names:
        return [None if text is None else json.loads(text) for text in batch.column("metadata").to_pylist()]
    return [{name: entry for name, entry in row.items() if entry is not None} or None for row in batch.to_pylist()]
