import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from attractor import Binary, Continuous, DenseMemory, Dot, RectifiedPolynomial, Spherical
from attractor.memory.states import STATES, Direction, state_from


@given(seed=st.integers(0, 2**31))
def test_filled_direction_lies_closest_to_the_read_out(seed):
    """`x_U = |x_K|^2 / (w_K . x_K) w_U` maximises `w . x / |x|` with the known entries fixed."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(1, 5, generator=generator, dtype=torch.float64)
    read_out = states + 0.5 * torch.randn(1, 5, generator=generator, dtype=torch.float64)
    known = torch.tensor([[True, True, False, True, False]])
    if (states * read_out)[known].sum() <= 0.05:
        return
    moved = Direction().move(states, read_out, known)
    assert torch.equal(moved[known], states[known])

    def alignment(x):
        return float((read_out * x).sum() / x.norm())

    for _ in range(20):
        other = moved + torch.where(known, 0, 0.1 * torch.randn(1, 5, generator=generator, dtype=torch.float64))
        assert alignment(other) <= alignment(moved) + 1e-12


def test_direction_that_points_away_from_what_is_known_stays():
    states, known = torch.tensor([[1.0, 2.0]]), torch.tensor([[True, False]])
    assert Direction().move(states, torch.tensor([[-1.0, 5.0]]), known).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("kind", [Direction(), Spherical()])
def test_read_out_without_direction_leaves_the_state(kind):
    states = torch.tensor([[0.6, 0.8]])
    assert_close(kind.move(states, torch.zeros(1, 2), None), states)


def test_spherical_memory_that_hears_nothing_stays_where_it_is():
    memory = DenseMemory(2, similarity=Dot(), separation=RectifiedPolynomial(3), state="spherical")
    memory.store(torch.tensor([[-1.0, 0.0]]))
    recalled = memory.recall(torch.tensor([[3.0, 4.0]]))
    assert_close(recalled.patterns, torch.tensor([[3.0, 4.0]]))
    assert recalled.energy.tolist() == [0.0] and recalled.converged.all()


def test_tiny_read_outs_have_a_direction_too():
    for size in (1e-30, 1e-200):
        moved = Direction().move(torch.ones(1, 2).double(), torch.tensor([[3.0, 4.0]]).double() * size, None)
        assert_close(moved, torch.tensor([[0.6, 0.8]]).double())


def test_continuous_state_goes_to_the_read_out_where_nothing_is_known():
    states, read_out = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 6.0]])
    assert torch.equal(Continuous().move(states, read_out, None), read_out)
    assert Continuous().move(states, read_out, torch.tensor([[True, False]])).tolist() == [[1.0, 6.0]]
    filled = Continuous().fill(torch.tensor([[1.0, float("nan")]]), torch.tensor([[True, False]]), read_out)
    assert filled.tolist() == [[1.0, 6.0]]


def test_binary_state_goes_to_signs_and_keeps_its_own_at_a_tie():
    states, read_out = torch.tensor([[1.0, -1.0, -1.0]]), torch.tensor([[-0.3, 0.0, 7.0]])
    assert Binary().move(states, read_out, None).tolist() == [[-1.0, -1.0, 1.0]]
    filled = Binary().fill(torch.tensor([[1.0, -1.0, float("nan")]]), torch.tensor([[True, False, False]]), read_out)
    assert filled.tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize("name", STATES)
def test_settings_rebuild_the_state(name):
    state = state_from(name)
    assert repr(state_from(state.settings())) == repr(state)
    assert state_from({"name": "binary", "update": "synchronous"}).update == "synchronous"


@pytest.mark.parametrize("bad", ["cubic", {"name": None}, {"name": "continuous", "update": "x"}, {"name": "binary", "update": "x"}])
def test_unknown_state_is_refused(bad):
    with pytest.raises(ValueError, match=r"state|update"):
        state_from(bad)
