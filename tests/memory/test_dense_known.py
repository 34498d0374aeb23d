import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from attractor import Cosine, DenseMemory, Dot, Euclidean, Manhattan, SoftMax

OPTIONS = [
    {"similarity": Euclidean()},
    {"similarity": Dot(), "separation": SoftMax(3.0)},
    {"similarity": Cosine()},
    {"similarity": Manhattan()},
    {"separation": SoftMax(3.0), "state": "spherical"},
    {"separation": SoftMax(3.0), "state": "binary"},
]


def masked(options, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(20, 9, generator=generator).to(dtype)
    cues = torch.randn(7, 9, generator=generator).to(dtype)
    if options.get("state") == "binary":
        patterns, cues = patterns.sign(), cues.sign()
    known = torch.rand(7, 9, generator=generator) < 0.5
    known[torch.arange(7), torch.randint(9, (7,), generator=generator)] = True
    memory = DenseMemory(9, **options)
    memory.store(patterns)
    return memory, patterns, cues, known


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize("options", OPTIONS)
@settings(max_examples=5)
@given(seed=st.integers(0, 2**31))
def test_known_entries_keep_every_bit_and_unknown_ones_are_never_read(options, seed):
    memory, _, cues, known = masked(options, seed)
    recalled = memory.recall(cues, known=known, trace=True, max_steps=25)
    for states in recalled.trace:
        assert torch.equal(states[known], cues[known])
    assert torch.equal(recalled.patterns[known], cues[known]) and recalled.patterns.isfinite().all()
    for rubbish in (math.nan, math.inf, 1e30):
        again = memory.recall(torch.where(known, cues, rubbish), known=known, trace=True, max_steps=25)
        for name in ("patterns", "index", "score", "margin", "energy", "steps", "converged"):
            assert torch.equal(getattr(again, name), getattr(recalled, name)), name
        assert torch.equal(again.trace.states, recalled.trace.states)


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize("options", OPTIONS)
def test_wholly_known_cue_comes_back_with_its_index_and_energy(options):
    memory, _, cues, _ = masked(options, dtype=torch.float64)
    recalled = memory.recall(cues, known=torch.ones(7, 9, dtype=torch.bool))
    assert torch.equal(recalled.patterns, cues) and recalled.converged.all()
    assert torch.equal(recalled.index, memory.nearest(cues).ids[:, 0])
    assert_close(recalled.energy, memory.energy(cues))


@pytest.mark.parametrize("options", OPTIONS)
def test_score_and_margin_compare_known_entries_only(options):
    memory, patterns, _, _ = masked(options, dtype=torch.float64)
    known = torch.zeros(1, 9, dtype=torch.bool)
    known[0, :6] = True
    cue = torch.where(known, patterns[5:6], math.nan)
    recalled = memory.recall(cue, known=known)
    x, xi = patterns[5, :6], patterns[:, :6]
    if memory.state.name == "spherical":
        x = x / x.norm()
    scores = {
        "euclidean": -(x - xi).square().sum(-1) / 2,
        "dot": xi @ x,
        "cosine": torch.nn.functional.cosine_similarity(x[None], xi),
        "manhattan": -(x - xi).abs().sum(-1),
    }[memory.similarity.name]
    won = int(recalled.index)
    assert_close(recalled.score, scores[won : won + 1])
    others = torch.cat([scores[:won], scores[won + 1 :]])
    assert_close(recalled.margin, (scores[won] - others.max())[None])


def test_first_fill_is_the_read_over_known_entries():
    memory, patterns, cues, known = masked({"separation": SoftMax(3.0)}, dtype=torch.float64)
    distances = ((cues[:, None] - patterns) * known[:, None]).square().sum(-1) / 2
    filled = torch.where(known, cues, (-3 * distances).softmax(-1) @ patterns)
    recalled = memory.recall(cues, known=known, trace=True)
    assert_close(recalled.trace[0], filled)
    assert_close(recalled.trace.energies[0], memory.energy(filled))
    assert (recalled.steps >= 1).all()
    assert memory.recall(cues, known=known, max_steps=1).steps.tolist() == [1] * 7


@pytest.mark.parametrize(
    "options", [{"similarity": Cosine()}, {"similarity": Dot(), "separation": SoftMax(9.0), "state": "spherical"}]
)
def test_filled_entries_come_back_in_the_units_of_the_cue(options):
    generator = torch.Generator().manual_seed(0)
    patterns = torch.nn.functional.normalize(torch.randn(10, 30, generator=generator).double(), dim=-1)
    memory = DenseMemory(30, **options)
    memory.store(patterns)
    known = torch.arange(30).expand(10, 30) < 20
    for factor in (1.0, 7.0, 1e-3):
        recalled = memory.recall(torch.where(known, factor * patterns, math.nan), known=known)
        if factor == 1.0:
            first = recalled.patterns
        assert recalled.index.tolist() == list(range(10))
        assert_close(recalled.patterns, factor * first, rtol=1e-2, atol=0.02 * factor)
        assert_close(recalled.patterns, factor * patterns, rtol=0.1, atol=0.1 * factor)


def test_cosine_recall_of_a_stored_direction_gives_the_stored_pattern():
    patterns = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    memory = DenseMemory(2, similarity=Cosine())
    memory.store(patterns)
    assert_close(memory.recall(torch.tensor([[0.01, 0.0], [0.0, 90.0]])).patterns, patterns, rtol=1e-3, atol=1e-3)


def test_row_without_a_known_entry_is_refused_by_number():
    memory, _, cues, known = masked({})
    known[2], known[5] = False, False
    with pytest.raises(ValueError, match=r"known .*\[2, 5\]"):
        memory.recall(cues, known=known)


def test_direction_that_is_zero_where_it_is_trusted_is_refused_by_number():
    memory = DenseMemory(2, similarity=Cosine())
    memory.store(torch.eye(2))
    with pytest.raises(ValueError, match=r"cues.*\[1\]"):
        memory.recall(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), known=torch.tensor([[True, False], [True, False]]))


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (torch.ones(7, 8, dtype=torch.bool), ValueError),
        (torch.ones(9, dtype=torch.bool), ValueError),
        (torch.ones(7, 9), TypeError),
        ([[True]], TypeError),
    ],
)
def test_mask_of_another_shape_or_type_is_refused(known, kind):
    memory, _, cues, _ = masked({})
    with pytest.raises(kind, match="known"):
        memory.recall(cues, known=known)
