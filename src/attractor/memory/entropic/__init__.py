"""Entropic associative memory: weighted registers (Pineda, Hernandez, Morales and others, 2021 to 2024)."""

from attractor.memory.entropic.calibration import Calibration, calibrate
from attractor.memory.entropic.memory import EntropicMemory
from attractor.memory.entropic.quantiser import ColumnQuantiser
from attractor.memory.entropic.recognition import Recognition
from attractor.memory.entropic.registers import EntropicRegisters, Retrieval
from attractor.memory.entropic.relation import EntropicRelation
from attractor.memory.entropic.system import Autoencoder, Chain, association_chain, entropic_system

__all__ = [
    "Autoencoder",
    "Calibration",
    "Chain",
    "ColumnQuantiser",
    "EntropicMemory",
    "EntropicRegisters",
    "EntropicRelation",
    "Recognition",
    "Retrieval",
    "association_chain",
    "calibrate",
    "entropic_system",
]
