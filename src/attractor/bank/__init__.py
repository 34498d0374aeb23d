"""Banks: where patterns live, and how a read goes over them.

`RowStore` needs no torch; the first of the other names that is asked for loads them all.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attractor.bank.store import RowStore

if TYPE_CHECKING:
    from attractor.bank.base import Bank
    from attractor.bank.cluster import ClusterBank
    from attractor.bank.disk import DiskBank
    from attractor.bank.indexed import IndexedBank
    from attractor.bank.parameter import ParameterBank
    from attractor.bank.ram import RamBank
    from attractor.bank.serial import bank_from, bank_settings

__all__ = ["Bank", "ClusterBank", "DiskBank", "IndexedBank", "ParameterBank", "RamBank", "RowStore", "bank_from", "bank_settings"]

MODULES = {
    "Bank": "base",
    "ClusterBank": "cluster",
    "DiskBank": "disk",
    "IndexedBank": "indexed",
    "ParameterBank": "parameter",
    "RamBank": "ram",
    "bank_from": "serial",
    "bank_settings": "serial",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # all at once: `bank_from` knows the banks whose modules were loaded
    globals().update({one: getattr(import_module(f"{__name__}.{home}"), one) for one, home in MODULES.items()})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
