import pytest
import torch
from torch.testing import assert_close

from attractor import Binary, Cosine, DenseMemory, Dot, Euclidean, Polynomial, RamBank, RectifiedPolynomial, SoftMax, TopK


class CountingBank(RamBank):
    """Notes how many cues each read asks about."""

    def __init__(self, dim):
        super().__init__(dim)
        self.asked = []

    def fold(self, read):
        self.asked.append(len(read.cues))
        return super().fold(read)


def test_samples_at_rest_are_not_read_again():
    bank = CountingBank(2)
    memory = DenseMemory(bank=bank, separation=SoftMax(1.0))
    memory.store(torch.tensor([[0.0, 0.0], [3.0, 0.0]]))
    slow = torch.tensor([[1.49, 0.0]])
    rest = memory.recall(torch.tensor([[0.0, 0.0]]), max_steps=200).patterns
    steps = int(memory.recall(slow).steps)
    bank.asked.clear()
    recalled = memory.recall(torch.cat([rest, slow, rest]))
    assert recalled.converged.all() and steps > 5
    assert bank.asked[0] == 3 and set(bank.asked[1:]) == {1} and len(bank.asked) <= steps + 1
    assert recalled.steps[1] == steps and recalled.steps[0] <= 1


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
def test_batch_does_not_change_a_sample():
    generator = torch.Generator().manual_seed(0)
    patterns, cues = (torch.randn(20, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    memory = DenseMemory(5, separation=SoftMax(2.0))
    memory.store(patterns)
    together = memory.recall(cues, max_steps=30)
    for row in range(8):
        alone = memory.recall(cues[row : row + 1], max_steps=30)
        assert_close(alone.patterns[0], together.patterns[row], rtol=1e-9, atol=1e-9)
        assert alone.steps[0] == together.steps[row] and alone.index[0] == together.index[row]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_step_limit_leaves_the_state_where_its_energy_was_taken(most):
    memory = DenseMemory(2, separation=SoftMax(1.0))
    memory.store(torch.tensor([[0.0, 0.0], [3.0, 0.0]]).double())
    cue = torch.tensor([[1.49, 0.0]]).double()
    recalled = memory.recall(cue, max_steps=most, trace=True)
    assert recalled.steps.tolist() == [most] and recalled.converged.tolist() == [False]
    expected = cue
    for _ in range(most):
        expected = memory.read(expected).values
    assert_close(recalled.patterns, expected)
    assert_close(recalled.energy, memory.energy(recalled.patterns))
    assert_close(recalled.trace[-1], expected)


def test_cue_at_rest_takes_no_step():
    memory = DenseMemory(4)
    memory.store(torch.eye(4))
    rest = memory.recall(torch.eye(4), tol=1e-12, max_steps=50).patterns
    recalled = memory.recall(rest)
    assert recalled.converged.all() and (recalled.steps <= 1).all()


def test_steps_count_the_first_fill():
    memory = DenseMemory(2, separation=SoftMax(1e4))
    memory.store(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    recalled = memory.recall(torch.tensor([[1.0, 0.0]]), known=torch.tensor([[True, False]]))
    assert recalled.steps.tolist() == [1] and recalled.patterns.tolist() == [[1.0, 1.0]]


def naive_sweep(states, patterns, function, order, known):
    """Flip one unit after the other where `sum F(xi . x)` rises, each time from scratch."""
    states = states.clone()
    for row in range(len(states)):
        for unit in order:
            if known is not None and known[row, unit]:
                continue
            flipped = states[row].clone()
            flipped[unit] *= -1
            if function(patterns @ flipped).sum() > function(patterns @ states[row]).sum():
                states[row] = flipped
    return states


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("separation", "function"),
    [(Polynomial(2), lambda s: s**2), (Polynomial(3), lambda s: s**3), (RectifiedPolynomial(4), lambda s: s.clamp_min(0) ** 4)],
)
def test_asynchronous_sweep_flips_where_the_energy_falls(separation, function, masked):
    generator = torch.Generator().manual_seed(1)
    patterns = torch.randn(5, 9, generator=generator, dtype=torch.float64).sign()
    cues = torch.randn(8, 9, generator=generator, dtype=torch.float64).sign()
    memory = DenseMemory(9, separation=separation, state="binary")
    memory.store(patterns)
    known = None
    if masked:
        known = torch.rand(8, 9, generator=generator) < 0.4
        known[:, 0] = True
    recalled = memory.recall(cues, known=known, trace=True, max_steps=2, seed=3)
    orders = torch.Generator().manual_seed(3)
    start = recalled.trace[0]
    order = torch.randperm(9, generator=orders).tolist()
    assert_close(recalled.trace[1], naive_sweep(start, patterns, function, order, known))


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
def test_ties_within_rounding_do_not_flip_for_ever():
    generator = torch.Generator().manual_seed(0)
    patterns, cues = (torch.randn(count, 7, generator=generator, dtype=torch.float64).sign() for count in (12, 6))
    memory = DenseMemory(7, similarity=Cosine(), separation=TopK(3, 0.2), state="binary")
    memory.store(patterns)
    assert memory.recall(cues, max_steps=30).converged.all()


def test_synchronous_step_is_the_sign_of_the_drive():
    generator = torch.Generator().manual_seed(2)
    patterns = torch.randn(4, 15, generator=generator).sign()
    cues = torch.randn(6, 15, generator=generator).sign()
    memory = DenseMemory(15, similarity=Dot(), separation=RectifiedPolynomial(3), state=Binary("synchronous"))
    memory.store(patterns)
    overlap = (cues @ patterns.T).clamp_min(0) ** 2
    drive = overlap @ patterns
    expected = torch.where(drive == 0, cues, drive.sign())
    assert_close(memory.recall(cues, max_steps=1, trace=True).trace[1], expected)


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize("state", ["binary", Binary("synchronous")])
def test_seed_decides_the_order_of_flips_and_batches_do_not_matter(state):
    generator = torch.Generator().manual_seed(0)
    patterns, cues = (torch.randn(count, 20, generator=generator).sign() for count in (3, 12))
    memory = DenseMemory(20, separation=Polynomial(2), state=state)
    memory.store(patterns)
    first, again = memory.recall(cues, seed=4), memory.recall(cues, seed=4, batch_size=5)
    assert torch.equal(first.patterns, again.patterns) and torch.equal(first.steps, again.steps)


def test_euclidean_step_is_the_weighted_mean():
    memory = DenseMemory(1, similarity=Euclidean(), separation=SoftMax(2.0))
    memory.store(torch.tensor([[0.0], [1.0]]).double())
    step = memory.recall(torch.tensor([[0.75]]).double(), max_steps=1).patterns
    weights = torch.tensor([-(0.75**2), -(0.25**2)]).double().exp()
    assert_close(step, (weights[1] / weights.sum()).reshape(1, 1))
