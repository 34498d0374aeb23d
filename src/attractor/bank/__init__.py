"""Banks: where patterns live, and how a read goes over them."""

from attractor.bank.base import Bank
from attractor.bank.disk import DiskBank
from attractor.bank.parameter import ParameterBank
from attractor.bank.ram import RamBank
from attractor.bank.serial import bank_from, bank_settings

__all__ = ["Bank", "DiskBank", "ParameterBank", "RamBank", "bank_from", "bank_settings"]
