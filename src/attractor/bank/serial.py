"""Banks as plain data, for memories that are saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from attractor.bank.base import Bank
from attractor.bank.disk import DiskBank
from attractor.bank.parameter import ParameterBank
from attractor.bank.ram import RamBank


def bank_settings(bank: Bank, folder: Path) -> dict[str, Any]:
    """What finds or rebuilds `bank` from a memory saved in `folder`: a bank on disk by its path from there.

    Raises:
        ValueError: this kind of bank cannot be saved.
    """
    if isinstance(bank, DiskBank):
        return {"kind": "disk", "path": Path(os.path.relpath(bank.path, folder)).as_posix()}
    if isinstance(bank, ParameterBank) and isinstance(bank.patterns, torch.nn.Parameter):
        return {"kind": "parameter", "rows": len(bank), "dtype": str(bank.dtype).removeprefix("torch.")}
    if isinstance(bank, RamBank):
        return {"kind": "ram"}
    raise ValueError(f"bank must be a RamBank, a DiskBank or a ParameterBank over a parameter to be saved, got {bank!r}")


def bank_from(settings: dict[str, Any], dim: int, folder: Path) -> Bank:
    """The bank that `bank_settings` described.

    Raises:
        ValueError: unknown kind, or no bank on disk where it should be.
    """
    kind = settings.get("kind")
    if kind == "ram":
        return RamBank(dim)
    if kind == "disk":
        bank = DiskBank(folder / settings["path"])
        if bank.dim != dim:
            raise ValueError(f"bank at {bank.path} must have dim {dim} like the memory, got {bank.dim}")
        return bank
    if kind == "parameter":
        dtype = getattr(torch, settings["dtype"])
        return ParameterBank(torch.nn.Parameter(torch.zeros(settings["rows"], dim, dtype=dtype)))
    raise ValueError(f"bank must be of kind 'ram', 'disk' or 'parameter', got {kind!r}")
