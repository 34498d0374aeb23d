"""Consolidated memory: a fixed number of slots in which similar patterns merge."""

from attractor.memory.consolidated.memory import ConsolidatedMemory
from attractor.memory.consolidated.slots import Slots
from attractor.memory.consolidated.threshold import Threshold, check_threshold
from attractor.memory.consolidated.writing import WriteRule, write

__all__ = ["ConsolidatedMemory", "Slots", "Threshold", "WriteRule", "check_threshold", "write"]
