from dataclasses import replace
from functools import partial

import pytest
import torch

from attractor import PCA, Binarise, DenseMemory, Encoded, HopfieldMemory, Quantise, RectifiedPolynomial
from attractor.memory import MEMORIES, Binary
from attractor.testing import check_memory


def pca_memory():
    return Encoded(DenseMemory(3), PCA.fit(torch.randn(9, 8, generator=torch.Generator().manual_seed(1)), 3))


@pytest.mark.parametrize(
    "make",
    [
        partial(DenseMemory, 16, similarity="manhattan"),
        partial(DenseMemory, 16, similarity="cosine", separation="sparsemax"),
        partial(DenseMemory, 16, similarity="dot", state="spherical"),
        partial(DenseMemory, 16, state=Binary("synchronous")),
        partial(DenseMemory, 16, separation=RectifiedPolynomial(3)),
        partial(HopfieldMemory, 12),
        partial(HopfieldMemory, 12, rule="pseudo-inverse"),
        partial(HopfieldMemory, 12, rule="storkey"),
        lambda: Encoded(HopfieldMemory(12), Binarise()),
        lambda: Encoded(DenseMemory(12), Quantise(5, -2.0, 2.0)),
        pca_memory,
    ],
)
def test_memories_keep_the_contract(make):
    check_memory(make)


def test_own_patterns_are_taken():
    check_memory(partial(DenseMemory, 5), torch.eye(5) * 3)


class StoresBeforeChecking(DenseMemory):
    def store(self, patterns, values=None, metadata=None, if_present="add"):
        if isinstance(patterns, torch.Tensor) and patterns.dim() == 2 and patterns.shape[1] == self.dim and len(patterns) > 1:
            super().store(patterns[:1])
            patterns = patterns[1:]
        return super().store(patterns, values, metadata, if_present)


class ChangesKnownEntries(DenseMemory):
    def recall(self, cues, known=None, **options):
        found = super().recall(cues, known, **options)
        return found if known is None else replace(found, patterns=super().recall(found.patterns).patterns)


class ReadsUnknownEntries(DenseMemory):
    def recall(self, cues, known=None, **options):
        found = super().recall(cues, known, **options)
        return found if known is None else replace(found, patterns=torch.where(known, cues, found.patterns + cues))


class DrawsFromGlobalGenerator(DenseMemory):
    def recall(self, cues, known=None, **options):
        torch.rand(1)
        return super().recall(cues, known, **options)


class GivesIdsAgain(DenseMemory):
    def store(self, patterns, values=None, metadata=None, if_present="add"):
        ids = super().store(patterns, values, metadata, if_present)
        return torch.arange(len(self) - len(ids), len(self))


class ReportsAnotherEnergy(DenseMemory):
    def energy(self, states):
        return -super().energy(states)


class ForgetsWhenSaved(HopfieldMemory):
    @classmethod
    def from_configuration(cls, configuration, folder):
        return super().from_configuration({**configuration, "rule": "storkey", "update": "synchronous"}, folder)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        state_dict[prefix + "learned"] = state_dict[prefix + "learned"].zero_()
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ChangesTheCue(HopfieldMemory):
    def recall(self, cues, known=None, **options):
        found = super().recall(cues, known, **options)
        cues.detach().copy_(-cues)
        return found


class HasNoEnergyButWillNotSay(HopfieldMemory):
    def recall(self, cues, known=None):
        return replace(super().recall(cues, known), energy=None)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (StoresBeforeChecking, "store"),
        (ChangesKnownEntries, "known entries must come back unchanged"),
        (ReadsUnknownEntries, "what stands at unknown entries"),
        (DrawsFromGlobalGenerator, "global generator"),
        (GivesIdsAgain, "never be given again"),
        (ReportsAnotherEnergy, "report the energy of its states"),
        (ForgetsWhenSaved, "loaded memory"),
        (ChangesTheCue, "not change the cues"),
        (HasNoEnergyButWillNotSay, "energy must raise a TypeError"),
    ],
)
def test_broken_memories_are_caught(kind, promise, monkeypatch):
    monkeypatch.setitem(MEMORIES, kind.__name__, kind)
    monkeypatch.setattr(kind, "registered_name", kind.__name__)
    with pytest.raises(AssertionError, match=promise):
        check_memory(partial(kind, 12))


def test_class_that_cannot_be_loaded_is_caught():
    class Unregistered(HopfieldMemory):
        pass

    with pytest.raises(AssertionError, match="registered"):
        check_memory(partial(Unregistered, 12))


def test_other_errors_name_the_promise():
    class Crashes(HopfieldMemory):
        def __init__(self, dim):
            raise RuntimeError("out of order")

    with pytest.raises(AssertionError, match=r"A memory is registered.*RuntimeError came instead: out of order"):
        check_memory(partial(Crashes, 12), torch.ones(4, 12))
