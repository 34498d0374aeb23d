"""Banks: where patterns live, and how a read goes over them."""

from attractor.bank.base import Bank
from attractor.bank.cluster import ClusterBank
from attractor.bank.disk import DiskBank
from attractor.bank.indexed import IndexedBank
from attractor.bank.parameter import ParameterBank
from attractor.bank.ram import RamBank
from attractor.bank.serial import bank_from, bank_settings

__all__ = ["Bank", "ClusterBank", "DiskBank", "IndexedBank", "ParameterBank", "RamBank", "bank_from", "bank_settings"]
