import json
import math
import random

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from read.naive import (
    NORMALISED,
    PAIRS,
    SEPARATIONS,
    SIMILARITIES,
    blocks_of,
    potential_of,
    rows_of,
    scores_of,
    two_best_of,
    weights_of,
)
from torch.testing import assert_close

from attractor.read import Block, Cosine, Dot, Entmax, Euclidean, Polynomial, Read, SoftMax, TopK


def make_known(draw, cues, generator):
    """No mask, one for all cues, or one for each; unknown entries are NaN."""
    kind = draw(st.sampled_from(["none", "same", "each"]))
    if kind == "none":
        return cues, None
    rows = 1 if kind == "same" else len(cues)
    known = torch.rand(rows, cues.shape[1], generator=generator) < 0.6
    known[torch.arange(rows), torch.randint(cues.shape[1], (rows,), generator=generator)] = True
    known = known.expand(cues.shape).clone()
    return torch.where(known, cues, math.nan), known


@st.composite
def questions(draw):
    """Patterns on a coarse grid, so that duplicates and ties are common and sums are exact."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    n, d, b = draw(st.integers(1, 40)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    patterns = torch.randint(-4, 5, (n, d), generator=generator).double() / 4
    if draw(st.booleans()):
        patterns = patterns[torch.randint(n, (n,), generator=generator)]
    cues = torch.randint(-8, 9, (b, d), generator=generator).double() / 8
    cues, known = make_known(draw, cues, generator)
    values = torch.randn(n, 3, generator=generator, dtype=torch.float64) if draw(st.booleans()) else None
    similarity, separation = draw(st.sampled_from(PAIRS))
    beta = math.exp(draw(st.floats(math.log(1e-3), math.log(1e4))))
    sizes = draw(st.lists(st.integers(1, 20), max_size=6))
    return cues, known, patterns, values, similarity, SEPARATIONS[separation](beta), sizes, draw(st.integers(0, 2**31))


@settings(max_examples=200)
@given(questions())
def test_any_blocks_and_any_order_of_merging_give_the_naive_formula(question):
    cues, known, patterns, values, name, separation, sizes, seed = question
    project = "patterns" if values is None else "values"
    read = Read(SIMILARITIES[name](), separation, cues, known, project)
    scores = scores_of(name, cues, patterns, known)
    rows = rows_of(name, patterns) if values is None else values
    expected, potential = weights_of(separation, scores) @ rows, potential_of(separation, scores)
    best, order = two_best_of(scores)
    if name == "cosine" and isinstance(separation, TopK) and len(patterns) > separation.k:
        # lengths are rounded: rows that tie for the last place may come in another order
        ranked = scores.sort(-1, descending=True).values
        assume(bool((ranked[:, separation.k - 1] - ranked[:, separation.k] > 1e-9).all()))

    blocks = list(blocks_of(patterns, sizes, values))
    shuffler = random.Random(seed)
    partials = [read.step(block) for block in blocks]
    while len(partials) > 1:
        left, right = (partials.pop(shuffler.randrange(len(partials))) for _ in range(2))
        partials.append(read.merge(left, right))
    for answer in (read.finish(partials[0]), read.finish(read.fold(blocks)), read.finish(read.fold(blocks[::-1]))):
        assert_close(answer.values, expected, rtol=1e-9, atol=1e-9, check_dtype=False)
        assert_close(answer.potential, potential, rtol=1e-9, atol=1e-9, check_dtype=False)
        assert_close(answer.scores, best, rtol=1e-12, atol=1e-12)
        if name == "cosine":  # lengths are rounded, so that equal scores may differ in their last bit
            there = answer.ids >= 0
            assert_close(scores.gather(-1, answer.ids.clamp_min(0))[there], best[there], rtol=1e-12, atol=1e-12)
        else:
            assert answer.ids.tolist() == order.tolist()


@pytest.mark.parametrize(("similarity", "separation"), PAIRS)
def test_one_pattern_is_read_out_as_its_weight_says(similarity, separation):
    pattern, cue = torch.tensor([[1.0, 2.0, -1.0]]).double(), torch.tensor([[0.5, 1.0, 0.25]]).double()
    read = Read(SIMILARITIES[similarity](), SEPARATIONS[separation](2.0), cue)
    answer = read.finish(read.fold([Block(torch.tensor([7]), pattern)]))
    score = scores_of(similarity, cue, pattern)
    assert_close(answer.values, weights_of(read.separation, score) @ rows_of(similarity, pattern))
    assert_close(answer.potential, potential_of(read.separation, score))
    assert answer.ids.tolist() == [[7, -1]] and answer.scores[0, 1] == -math.inf


@pytest.mark.parametrize("count", [2, 63, 64, 65, 128, 300])
def test_two_best_are_found_wherever_they_lie_and_ties_go_to_the_lower_id(count):
    generator = torch.Generator().manual_seed(count)
    patterns = torch.randint(-2, 3, (count, 3), generator=generator).double()
    cues = torch.randint(-2, 3, (50, 3), generator=generator).double()
    read = Read(Dot(), SoftMax(1.0), cues)
    answer = read.finish(read.fold(blocks_of(patterns, [], first_id=10)))
    best, order = two_best_of(cues @ patterns.T)
    assert answer.ids.tolist() == (order + 10).tolist()
    assert torch.equal(answer.scores, best)


def test_ties_across_blocks_go_to_the_lower_id_whichever_block_comes_first():
    pattern = torch.ones(1, 2).double()
    read = Read(Dot(), TopK(1, beta=1.0), pattern, project="values")
    low = Block(torch.tensor([3]), pattern, torch.tensor([[1.0]]).double())
    high = Block(torch.tensor([8]), pattern, torch.tensor([[5.0]]).double())
    for blocks in ([low, high], [high, low]):
        answer = read.finish(read.fold(blocks))
        assert answer.ids.tolist() == [[3, 8]] and answer.values.item() == 1.0


def test_blocks_that_underflow_are_skipped_but_still_compete_for_second_place():
    near, far = torch.tensor([[0.0, 0.0]]).double(), torch.tensor([[90.0, 0.0], [91.0, 0.0]]).double()
    read = Read(Euclidean(), SoftMax(10.0), near)
    running = read.step(Block(torch.tensor([0]), near))
    after = read.step(Block(torch.tensor([1, 2]), far), running)
    assert after.body is running.body
    assert after.best.ids.tolist() == [[0, 1]]


def test_float32_blocks_are_skipped_only_where_they_change_no_bit():
    cue, near = torch.zeros(1, 1), torch.ones(1, 1)
    read = Read(Euclidean(), SoftMax(1.0), cue)
    running = read.step(Block(torch.tensor([0]), near))
    for distance in torch.linspace(2, 20, 200):
        block = Block(torch.tensor([1]), distance.reshape(1, 1))
        skipped, merged = read.step(block, running), read.merge(running, read.step(block))
        assert torch.equal(read.finish(skipped).values, read.finish(merged).values)


@pytest.mark.parametrize("name", NORMALISED)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_far_scores_neither_overflow_nor_vanish(name, scale):
    patterns = torch.tensor([[1e3, 0.0], [0.0, 1e3], [-1e3, 0.0]])
    read = Read(Dot(), SEPARATIONS[name](scale), torch.tensor([[1e3, 0.0]]))
    for sizes in ([], [1, 1]):
        answer = read.finish(read.fold(blocks_of(patterns, sizes)))
        assert answer.values.isfinite().all() and answer.potential.isfinite().all()
        assert answer.values[0, 0] == pytest.approx(1e3)


def test_nothing_stored_cannot_be_read():
    with pytest.raises(ValueError, match="empty"):
        Read(Dot(), SoftMax(1.0), torch.ones(1, 2)).fold([])


def test_distances_that_are_never_positive_are_not_raised_to_powers():
    with pytest.raises(ValueError, match="similarity"):
        Read(Euclidean(), Polynomial(3), torch.ones(1, 2))


@pytest.mark.parametrize(("similarity", "separation"), PAIRS)
@pytest.mark.parametrize("masked", [False, True])
def test_plain_form_rebuilds_the_read_elsewhere(similarity, separation, masked, generator):
    cues, patterns = torch.randn(3, 4, generator=generator), torch.randn(9, 4, generator=generator)
    known = torch.tensor([[True, False, True, True]]).expand(3, 4) if masked else None
    read = Read(SIMILARITIES[similarity](), SEPARATIONS[separation](2.5), cues, known, "values")
    plain, tensors = read.to_plain()
    rebuilt = Read.from_plain(json.loads(json.dumps(plain)), tensors)
    first, second = (one.finish(one.fold(blocks_of(patterns, [4]))) for one in (read, rebuilt))
    for ours, theirs in zip(first, second, strict=True):
        assert torch.equal(ours, theirs)
    assert repr(rebuilt.separation) == repr(read.separation) and rebuilt.project == "values"


def test_plain_form_turns_a_learned_beta_into_a_number():
    read = Read(Dot(), SoftMax(torch.nn.Parameter(torch.tensor(2.0))), torch.ones(1, 2))
    assert read.to_plain()[0]["separation"] == {"name": "softmax", "beta": 2.0}


PLAIN = {"similarity": {"name": "dot"}, "separation": {"name": "softmax", "beta": 1.0}, "project": "values"}


@pytest.mark.parametrize(
    ("changed", "tensors", "named"),
    [
        ({"project": "rows"}, {}, "project"),
        ({"project": None}, {}, "project"),
        ({"similarity": {"name": "nearest"}}, {}, "similarity"),
        ({"similarity": {"name": "dot", "p": 3}}, {}, "similarity"),
        ({"similarity": "dot"}, {}, "similarity"),
        ({"similarity": None}, {}, "similarity"),
        ({"separation": {"name": "hardmax"}}, {}, "separation"),
        ({"separation": {"name": ["softmax"]}}, {}, "separation"),
        ({"separation": {"name": "softmax", "k": 3}}, {}, "separation"),
        ({"separation": {"name": "softmax", "beta": -1.0}}, {}, "beta"),
        ({"separation": {"name": "softmax", "beta": math.nan}}, {}, "beta"),
        ({"separation": {"name": "top-k", "k": 0, "beta": 1.0}}, {}, "k must"),
        ({"separation": {"name": "entmax", "alpha": 1.0, "beta": 1.0}}, {}, "alpha"),
        ({"separation": None}, {}, "separation"),
        ({}, {"cues": None}, "cues"),
        ({}, {"cues": torch.ones(2)}, "cues"),
        ({}, {"cues": torch.ones(1, 2, dtype=torch.int64)}, "cues"),
        ({}, {"known": torch.ones(1, 3, dtype=torch.bool)}, "known"),
        ({}, {"known": torch.zeros(1, 2, dtype=torch.bool)}, "known"),
    ],
)
def test_bad_plain_form_is_refused_by_name(changed, tensors, named):
    given = {name: value for name, value in ({"cues": torch.ones(1, 2)} | tensors).items() if value is not None}
    with pytest.raises(ValueError, match=named):
        Read.from_plain(PLAIN | changed, given)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_similarity_is_the_formula_of_its_name(similarity, generator):
    cues, patterns = torch.randn(4, 5, generator=generator).double(), torch.randn(6, 5, generator=generator).double()
    known = torch.rand(4, 5, generator=generator) < 0.7
    known[:, 0] = True
    block = Block(torch.arange(6), patterns)
    for mask in (None, known, known[:1].expand(4, 5)):
        seen = cues if mask is None else torch.where(mask, cues, math.nan)
        naive = scores_of(similarity, cues, patterns, mask)
        assert_close(SIMILARITIES[similarity]().scores(seen, block, mask), naive, rtol=1e-12, atol=1e-12)
        paired = SIMILARITIES[similarity]().paired(seen, patterns[:4], mask)
        assert_close(paired, naive[:, :4].diagonal(), rtol=1e-12, atol=1e-12)


def test_pattern_without_length_scores_zero_under_cosine():
    block = Block(torch.arange(2), torch.tensor([[0.0, 0.0], [0.0, 3.0]]))
    read = Read(Cosine(), SoftMax(1.0), torch.tensor([[0.0, 2.0]]))
    answer = read.finish(read.fold([block]))
    assert answer.scores.tolist() == [[1.0, 0.0]] and answer.values.isfinite().all()


@pytest.mark.parametrize("similarity", ["dot", "euclidean", "cosine"])
def test_drawn_rows_are_the_gradient_of_the_scores_in_the_state(similarity, generator):
    """Up to the state itself, and for directions on the unit sphere: what makes a read-out a descent step."""
    patterns = torch.randn(6, 5, generator=generator).double()
    state = torch.nn.functional.normalize(torch.randn(1, 5, generator=generator).double(), dim=-1).requires_grad_()
    read = Read(SIMILARITIES[similarity](), SoftMax(3.0), state)
    answer = read.finish(read.fold([Block(torch.arange(6), patterns)]))
    (gradient,) = torch.autograd.grad(answer.potential.sum(), state)
    drawn = {"dot": answer.values, "euclidean": answer.values - state}.get(similarity)
    if drawn is None:
        drawn = answer.values - (answer.values * state).sum() * state
    assert_close(gradient, drawn, rtol=1e-10, atol=1e-10)


def test_entmax_goes_to_softmax_as_alpha_goes_to_one(generator):
    scores, ids = torch.randn(3, 7, generator=generator).double(), torch.arange(7)
    assert_close(Entmax(1 + 1e-5, 2.0).weights(scores, ids), (2 * scores).softmax(-1), rtol=1e-3, atol=1e-4)
