"""The contract of a memory, checked: for the memories of this library and for anybody's own."""

from attractor.testing.contract import check_memory

__all__ = ["check_memory"]
