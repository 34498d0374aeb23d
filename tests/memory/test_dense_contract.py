import math
import warnings

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attractor import (
    CapacityWarning,
    Cosine,
    DenseMemory,
    Dot,
    Euclidean,
    Manhattan,
    Polynomial,
    RamBank,
    SoftMax,
    Spherical,
)

STORED = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])


def small(**options):
    memory = DenseMemory(3, **options)
    memory.store(STORED.sign() * 2 - 1 if options.get("state") == "binary" else STORED)
    return memory


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "dim or bank"),
        ({"dim": 3, "bank": RamBank(3)}, "dim or bank"),
        ({"dim": 0}, "dim"),
        ({"dim": 3, "similarity": "nearest"}, "similarity"),
        ({"dim": 3, "separation": "hard"}, "separation"),
        ({"dim": 3, "state": "cubic"}, "state"),
        ({"dim": 3, "similarity": Euclidean(), "separation": Polynomial(3)}, "similarity must be"),
        ({"dim": 3, "separation": Polynomial(2), "state": "continuous"}, "state must be"),
        ({"dim": 3, "separation": Polynomial(3), "state": "spherical"}, "separation must be convex"),
        ({"dim": 3, "similarity": Manhattan(), "state": "spherical"}, "similarity must not be Manhattan"),
    ],
)
def test_impossible_memory_is_refused_by_name(arguments, named):
    with pytest.raises(ValueError, match=named):
        DenseMemory(**arguments)


def test_defaults_follow_the_separation_and_the_similarity():
    assert (DenseMemory(3).similarity.name, DenseMemory(3).state.name) == ("euclidean", "continuous")
    powers = DenseMemory(3, separation=Polynomial(3))
    assert (powers.similarity.name, powers.state.name) == ("dot", "binary")
    assert isinstance(DenseMemory(3, similarity="cosine").state, Spherical)


@pytest.mark.parametrize(
    ("cues", "kind", "named"),
    [
        (torch.ones(3), ValueError, r"cues\[None\]"),
        (torch.ones(1, 4), ValueError, r"cues must have width 3, got shape \(1, 4\)"),
        (torch.ones(0, 3), ValueError, "cues must not be empty"),
        (torch.ones(1, 1, 3), ValueError, "cues must have shape"),
        (torch.ones(1, 3, dtype=torch.int64), ValueError, r"cues\.float\(\)"),
        (torch.ones(1, 3, dtype=torch.float64), ValueError, r"cues must be torch\.float32"),
        (torch.tensor([[0.0, 0.0, 0.0], [0.0, math.nan, 0.0]]), ValueError, r"cues must be finite.*\[1\]"),
        (torch.tensor([[math.inf, 0.0, 0.0]]), ValueError, "cues must be finite"),
        ([[0.0, 0.0, 0.0]], TypeError, ""),
    ],
)
def test_bad_cues_are_refused_by_name(cues, kind, named):
    memory = small()
    asked = {"cues": (memory.recall, memory.read, memory.nearest), "states": (memory.energy,), "patterns": (memory.separation_of,)}
    for name, verbs in asked.items():
        for ask in verbs:
            with pytest.raises(kind, match=named.replace("cues", name)):
                ask(cues)
    assert len(memory) == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 2.0}, "max_steps"),
        ({"tol": 0.0}, "tol"),
        ({"tol": math.nan}, "tol"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_options_of_a_recall_are_refused_by_name(options, named):
    with pytest.raises((ValueError, TypeError), match=named):
        small().recall(STORED, **options)


@pytest.mark.parametrize(
    ("patterns", "options", "kind", "named"),
    [
        (torch.ones(3), {}, ValueError, r"patterns\[None\]"),
        (torch.ones(2, 4), {}, ValueError, "patterns must have width 3"),
        (torch.ones(0, 3), {}, ValueError, "patterns must not be empty"),
        (torch.ones(2, 3, dtype=torch.uint8), {}, ValueError, r"patterns\.float\(\) / 255"),
        (torch.ones(2, 3, dtype=torch.float64), {}, ValueError, "patterns must be torch.float32"),
        (torch.full((2, 3), math.nan), {}, ValueError, "patterns must be finite"),
        ([[1.0, 1.0, 1.0]], {}, TypeError, "patterns"),
        (torch.ones(2, 3), {"values": torch.ones(2, 2)}, ValueError, "values"),
        (torch.ones(2, 3), {"metadata": [None]}, ValueError, "metadata"),
        (STORED[:2], {"values": torch.ones(1, 2), "if_present": "skip"}, ValueError, "values"),
        (STORED[:2], {"metadata": [None], "if_present": "skip"}, ValueError, "metadata"),
    ],
)
def test_refused_patterns_change_nothing(patterns, options, kind, named):
    memory = small()
    beta, version = memory.beta, memory.bank.version
    with pytest.raises(kind, match=named):
        memory.store(patterns, **options)
    assert len(memory) == 3 and memory.bank.version == version and memory.beta == beta
    with pytest.raises(ValueError, match="ids"):
        memory.forget(torch.tensor([0, 7]))
    assert len(memory) == 3


def test_empty_memory_says_so():
    memory = DenseMemory(3)
    for ask in (memory.recall, memory.read, memory.energy):
        with pytest.raises(ValueError, match="memory is empty"):
            ask(torch.ones(1, 3))
    with pytest.raises(ValueError, match="memory is empty"):
        _ = memory.beta
    with pytest.raises(ValueError, match="memory is empty"):
        memory.basin_radius()
    assert len(memory) == 0 and memory and "auto" in repr(memory)


def test_binary_memory_takes_signs_only_and_names_the_encoder():
    memory = small(state="binary")
    with pytest.raises(ValueError, match=r"patterns must be -1 or 1.*Binarise"):
        memory.store(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"cues must be -1 or 1"):
        memory.recall(torch.full((1, 3), 0.5))
    assert memory.recall(torch.tensor([[1.0, 9.0, -1.0]]), known=torch.tensor([[True, False, True]])).converged.all()


def test_beta_is_chosen_from_the_gap_of_two_patterns():
    memory = DenseMemory(2)
    memory.store(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    assert memory.beta == pytest.approx((10 + math.log(2)) / 12.5, rel=1e-6)
    assert "auto: (10 + log 2) / 12.5" in repr(memory)
    ids = memory.store(torch.tensor([[0.0, 5.0]]))
    assert memory.beta == pytest.approx((10 + math.log(3)) / 5.0, rel=0.2)
    memory.forget(ids)
    assert memory.beta == pytest.approx((10 + math.log(2)) / 12.5, rel=1e-6)


def test_given_beta_is_kept():
    assert small(separation=SoftMax(3.0)).beta == 3.0
    assert small(separation=Polynomial(2), state="binary").beta is None


def test_chosen_beta_recalls_what_was_stored():
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0, 1e3):
        patterns = scale * torch.randn(100, 20, generator=generator)
        memory = DenseMemory(20)
        memory.store(patterns)
        recalled = memory.recall(patterns + 0.2 * scale * torch.randn(100, 20, generator=generator))
        assert (recalled.index == torch.arange(100)).float().mean() > 0.95
        assert_close(recalled.patterns[recalled.index == 7], patterns[7:8], rtol=1e-2, atol=1e-2 * scale)


def test_dot_products_of_patterns_of_unequal_length_warn():
    memory = DenseMemory(2, similarity=Dot())
    memory.store(torch.tensor([[1.0, 0.0], [3.0, 0.1], [2.0, 0.0]]))
    with pytest.warns(CapacityWarning, match="score another pattern as high.*Euclidean"):
        _ = memory.beta


def test_blending_temperature_warns_once_for_each_set_of_patterns():
    memory = DenseMemory(3, separation=SoftMax(0.01))
    memory.store(STORED)
    with pytest.warns(CapacityWarning, match=r"beta=0\.01 the 3 stored patterns blend"):
        memory.recall(STORED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.recall(STORED)
    memory.store(STORED + 1)
    with pytest.warns(CapacityWarning, match="blend"):
        memory.recall(STORED)


def test_memory_over_its_theoretical_capacity_warns():
    memory = DenseMemory(20, separation=Polynomial(2))
    memory.store(torch.randn(10, 20, generator=torch.Generator().manual_seed(0)).sign())
    with pytest.warns(CapacityWarning, match=r"10 patterns are stored, about 3 .*Amit"):
        memory.recall(torch.ones(1, 20))


def test_good_memory_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().recall(STORED)
        learned = small(separation=SoftMax(nn.Parameter(torch.tensor(9.0))))
        learned.recall(STORED, trace=True)
        learned.capacity_estimate()
        learned.separation_of(STORED)


def test_state_holds_what_is_learned_and_no_patterns():
    assert list(small().state_dict()) == []
    beta = nn.Parameter(torch.tensor(4.0))
    memory = small(separation=SoftMax(beta))
    assert list(memory.state_dict()) == ["inverse_temperature"] and next(iter(memory.parameters())) is beta
    memory.load_state_dict({"inverse_temperature": torch.tensor(7.0)})
    assert float(memory.beta.detach()) == 7.0
    patterns = nn.Parameter(torch.eye(3))
    assert list(DenseMemory(bank=RamBank.from_parameter(patterns)).state_dict()) == ["bank.patterns"]


def test_memory_follows_to_another_precision():
    memory = small().to(torch.float64)
    assert memory.recall(STORED.double()).patterns.dtype == torch.float64
    with pytest.raises(ValueError, match=r"cues must be torch\.float64"):
        memory.recall(STORED)


OPTIONS = [
    {"similarity": Euclidean()},
    {"similarity": Dot()},
    {"similarity": Cosine(), "state": "continuous"},
    {"similarity": Euclidean(), "state": "spherical"},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_reach_patterns_beta_and_cues(options, masked):
    generator = torch.Generator().manual_seed(0)
    patterns, cues = (torch.randn(rows, 3, generator=generator, dtype=torch.float64) for rows in (4, 2))
    known = torch.tensor([[True, True, False], [True, False, True]]) if masked else None
    beta = torch.tensor(1.5, dtype=torch.float64)

    def end(patterns, beta, cues):
        memory = DenseMemory(bank=RamBank.from_parameter(patterns), separation=SoftMax(nn.Parameter(beta)), **options)
        memory.separation = SoftMax(beta)
        recalled = memory.recall(cues, known=known, differentiable=True, max_steps=4, tol=1e-13)
        return recalled.patterns, recalled.energy

    inputs = tuple(one.clone().requires_grad_() for one in (patterns, beta, cues))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CapacityWarning)
        assert torch.autograd.gradcheck(end, inputs)
        assert not DenseMemory(bank=RamBank.from_parameter(inputs[0])).recall(inputs[2]).patterns.requires_grad
