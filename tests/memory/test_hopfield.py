import math
import warnings

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from attractor import CapacityWarning, HopfieldMemory, Memory
from attractor.memory import Hebbian, PseudoInverse, Storkey, hopfield

pytestmark = pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
RULES = ["hebbian", "pseudo-inverse", "storkey"]


def signs(rows, dim, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (rows, dim), generator=generator).to(dtype) * 2 - 1


def stored(patterns, **settings):
    memory = HopfieldMemory(patterns.shape[1], **settings)
    memory.store(patterns)
    return memory


def overlap(memory, patterns):
    return float((memory.recall(patterns).patterns * patterns).mean())


@st.composite
def networks(draw):
    dim, rows, cues = draw(st.integers(2, 20)), draw(st.integers(1, 12)), draw(st.integers(1, 6))
    seed, rule = draw(st.integers(0, 2**31)), draw(st.sampled_from(RULES))
    known = torch.rand(cues, dim, generator=torch.Generator().manual_seed(seed)) < 0.4
    known[:, seed % dim] = True
    masked = draw(st.booleans())
    return stored(signs(rows, dim, seed), rule=rule), signs(cues, dim, seed + 1), known if masked else None, seed


def test_hebbian_couplings_are_mean_outer_products_without_diagonal():
    patterns = signs(7, 10)
    expected = sum(torch.outer(pattern, pattern) for pattern in patterns) / 10
    expected.fill_diagonal_(0)
    torch.testing.assert_close(stored(patterns).couplings, expected)


def test_pseudo_inverse_couplings_are_the_projection_without_diagonal():
    patterns = signs(4, 10)
    expected = torch.linalg.pinv(patterns) @ patterns
    expected.fill_diagonal_(0)
    torch.testing.assert_close(stored(patterns, rule="pseudo-inverse").couplings, expected)


def test_pseudo_inverse_lets_dependent_patterns_change_nothing():
    patterns = signs(5, 40, dtype=torch.float32)
    memory = stored(patterns, rule="pseudo-inverse")
    before = memory.couplings
    memory.store(torch.cat([patterns[2:], -patterns[:1]]))
    torch.testing.assert_close(memory.couplings, before, rtol=0, atol=1e-6)


def test_storkey_couplings_are_those_of_the_published_sum():
    dim, patterns = 6, signs(4, 6)
    couplings = torch.zeros(dim, dim, dtype=torch.float64)
    for pattern in patterns:
        old = couplings.clone()
        for i in range(dim):
            for j in range(dim):
                if i == j:
                    continue
                h_ij = sum(old[i, k] * pattern[k] for k in range(dim) if k not in (i, j))
                h_ji = sum(old[j, k] * pattern[k] for k in range(dim) if k not in (i, j))
                couplings[i, j] += (pattern[i] * pattern[j] - pattern[i] * h_ji - h_ij * pattern[j]) / dim
    torch.testing.assert_close(stored(patterns, rule="storkey").couplings, couplings)


@pytest.mark.parametrize("rule", RULES)
def test_two_batches_equal_one(rule):
    patterns = signs(9, 30)
    memory = HopfieldMemory(30, rule=rule)
    ids = torch.cat([memory.store(patterns[:4]), memory.store(patterns[4:])])
    assert ids.tolist() == list(range(9)) and len(memory) == 9
    torch.testing.assert_close(memory.couplings, stored(patterns, rule=rule).couplings)


@given(networks())
def test_asynchronous_energy_never_rises(case):
    memory, cues, known, seed = case
    recalled = memory.recall(cues, known, trace=True, seed=seed)
    energies = recalled.trace.energies
    assert bool((energies.diff(dim=0) <= 1e-10 * energies.abs().clamp_min(1)[1:]).all())
    assert bool(recalled.converged.all())
    expected = torch.stack([-(s @ memory.couplings * s).sum(-1) / 2 for s in recalled.trace])
    torch.testing.assert_close(energies, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(memory.energy(recalled.patterns), recalled.energy, atol=1e-9, rtol=1e-9)


@given(networks())
def test_state_at_rest_agrees_with_its_fields(case):
    memory, cues, known, seed = case
    recalled = memory.recall(cues, known, seed=seed)
    against = recalled.patterns * (recalled.patterns @ memory.couplings)
    free = torch.ones_like(cues, dtype=torch.bool) if known is None else ~known
    assert bool((against[free] > -1e-9).all())


@given(networks(), st.integers(1, 9))
def test_blocks_of_units_and_batches_of_cues_change_nothing(case, size):
    memory, cues, known, seed = case
    assume(isinstance(memory.rule, Hebbian))  # whose fields are whole numbers, so that not a bit may differ
    whole = memory.recall(cues, known, seed=seed)
    split = memory.recall(cues, known, seed=seed, batch_size=size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hopfield, "UNITS_PER_BLOCK", size)
        blocked = memory.recall(cues, known, seed=seed)
    for other in (split, blocked):
        assert torch.equal(whole.patterns, other.patterns) and torch.equal(whole.steps, other.steps)
        assert torch.equal(whole.energy, other.energy)


def test_units_are_visited_one_after_the_other():
    memory, cue = stored(signs(6, 16), rule="storkey"), signs(1, 16, seed=5)
    expected, generator = cue[0].clone(), torch.Generator().manual_seed(3)
    for unit in torch.randperm(16, generator=generator).tolist():
        field = memory.couplings[unit] @ expected
        expected[unit] = expected[unit] if field.abs() < 1e-9 else field.sign()
    assert not torch.equal(expected, cue[0])
    assert torch.equal(memory.recall(cue, max_steps=1, seed=3).patterns[0], expected)


def test_state_at_a_tie_stays():
    memory = stored(torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0]]))
    recalled = memory.recall(torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]))
    assert recalled.patterns.tolist() == [[1, -1, 1], [1, 1, 1]] and recalled.steps.tolist() == [0, 0]


def test_synchronous_two_cycle_is_reported_and_asynchronous_recall_rests():
    pair, cue = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    cycling = stored(pair, update="synchronous").recall(cue, max_steps=5, trace=True)
    assert cycling.converged.tolist() == [False, True] and cycling.steps.tolist() == [5, 0]
    assert cycling.trace.states[:, 0].tolist() == [[1, -1], [-1, 1]] * 3
    assert cycling.patterns.tolist() == [[-1, 1], [1, 1]]
    assert bool(stored(pair).recall(cue).converged.all())


def test_pseudo_inverse_fixes_half_as_many_patterns_as_units_and_hebbian_does_not():
    patterns = signs(50, 100, dtype=torch.float32)
    recalled = stored(patterns, rule="pseudo-inverse").recall(patterns)
    assert torch.equal(recalled.patterns, patterns) and recalled.steps.max() == 0
    assert overlap(stored(patterns), patterns) < 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pseudo_inverse_at_full_rank_moves_nothing(dtype):
    patterns, cues = signs(64, 16, dtype=dtype), signs(20, 16, seed=1, dtype=dtype)
    recalled = stored(patterns, rule="pseudo-inverse").recall(cues)
    assert torch.equal(recalled.patterns, cues)


def test_storkey_recalls_more_than_hebbian_at_the_same_load():
    patterns = signs(20, 100)
    assert overlap(stored(patterns, rule="storkey"), patterns) > 0.99 > 0.9 > overlap(stored(patterns), patterns)


def test_recall_repairs_flipped_bits():
    patterns = signs(5, 100, dtype=torch.float32)
    cues = patterns.clone()
    cues[:, :15] *= -1
    for rule in RULES:
        assert torch.equal(stored(patterns, rule=rule).recall(cues).patterns, patterns)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forget_undoes_store_exactly(dtype):
    patterns = signs(9, 30, dtype=dtype)
    memory, expected = stored(patterns), stored(patterns[:5])
    memory.forget(patterns[5:])
    assert torch.equal(memory.couplings, expected.couplings) and len(memory) == 5
    assert memory.store(patterns[5:6]).tolist() == [9]


@pytest.mark.parametrize("rule", ["pseudo-inverse", "storkey"])
def test_rule_that_cannot_be_undone_refuses_to_forget(rule):
    patterns = signs(3, 8)
    memory = stored(patterns, rule=rule)
    before = memory.couplings
    with pytest.raises(TypeError, match="cannot forget"):
        memory.forget(patterns[:1])
    assert len(memory) == 3 and torch.equal(memory.couplings, before)


def test_forget_refuses_ids_and_more_than_is_stored():
    patterns = signs(2, 8)
    memory = stored(patterns[:1])
    with pytest.raises(TypeError, match="patterns"):
        memory.forget(torch.tensor([0]))
    with pytest.raises(ValueError, match="2 while 1"):
        memory.forget(patterns)
    assert len(memory) == 1 and torch.equal(memory.couplings, stored(patterns[:1]).couplings)


def test_unknown_entries_start_from_the_field_of_the_known_ones():
    patterns = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])
    known = torch.tensor([[True, False, False, False]])
    cue = torch.tensor([[-1.0, torch.nan, 5.0, torch.inf]])
    recalled = stored(patterns).recall(cue, known, trace=True)
    # the second unit follows the first, against it; the others have no field and start at 1
    assert recalled.trace[0].tolist() == [[-1, 1, 1, 1]]
    assert recalled.steps.item() >= 1 and recalled.patterns[0, 0] == -1
    assert recalled.patterns[0, 2] == -recalled.patterns[0, 3]


def test_known_units_never_flip():
    patterns = signs(3, 40)
    cues, known = signs(6, 40, seed=1), torch.arange(40).expand(6, -1) % 2 == 0
    recalled = stored(patterns).recall(cues, known)
    assert torch.equal(recalled.patterns[known], cues[known])
    assert not torch.equal(recalled.patterns, cues)


def test_all_known_comes_back_after_one_fill():
    cues = signs(3, 20, seed=1)
    recalled = stored(signs(3, 20)).recall(cues, torch.ones_like(cues, dtype=torch.bool))
    assert torch.equal(recalled.patterns, cues) and recalled.steps.tolist() == [1, 1, 1] and bool(recalled.converged.all())


def test_what_stands_at_unknown_entries_changes_nothing():
    memory, cues = stored(signs(3, 20)), signs(4, 20, seed=1)
    known = torch.rand(4, 20, generator=torch.Generator().manual_seed(0)) < 0.5
    plain, damaged = memory.recall(cues, known), memory.recall(torch.where(known, cues, torch.nan), known)
    assert torch.equal(plain.patterns, damaged.patterns) and torch.equal(plain.energy, damaged.energy)


def test_cues_are_not_changed():
    memory = stored(signs(2, 20))
    for cues in (signs(1, 20, seed=1), signs(4, 20, seed=1)):
        before = cues.clone()
        recalled = memory.recall(cues, trace=True)
        assert torch.equal(cues, before) and not torch.equal(recalled.patterns, cues)


def test_step_limit_is_kept_and_reported():
    memory, cues = stored(signs(4, 60)), signs(8, 60, seed=1)
    recalled = memory.recall(cues, max_steps=1)
    assert recalled.steps.max() == 1 and not bool(recalled.converged.all())
    torch.testing.assert_close(memory.energy(recalled.patterns), recalled.energy)


def test_nothing_is_said_about_items():
    recalled = stored(signs(2, 10)).recall(signs(3, 10))
    assert recalled.index is None and recalled.score is None and recalled.margin is None
    assert recalled.accepted.tolist() == [True] * 3


def test_over_capacity_warns_once():
    memory = stored(signs(15, 100))
    with pytest.warns(CapacityWarning, match="15 patterns are stored, about 14"):
        memory.recall(signs(1, 100))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.recall(signs(1, 100))
        stored(signs(13, 100)).recall(signs(1, 100))


def test_capacity_is_that_of_the_rule():
    assert HopfieldMemory(1000).capacity_estimate().patterns == pytest.approx(138)
    assert HopfieldMemory(1000).capacity_estimate(error_free=True).patterns == pytest.approx(1000 / (2 * math.log(1000)))
    assert HopfieldMemory(1000, rule=PseudoInverse()).capacity_estimate().patterns == 1000
    assert HopfieldMemory(1000, rule=Storkey()).capacity_estimate().patterns == pytest.approx(1000 / math.sqrt(2 * math.log(1000)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("update", ["asynchronous", "synchronous"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_memory_recalls_the_same(tmp_path, rule, update, dtype):
    patterns, cues = signs(4, 30, dtype=dtype), signs(5, 30, seed=1, dtype=dtype)
    memory = stored(patterns, rule=rule, update=update)
    memory.save(tmp_path / "net")
    loaded = Memory.load(tmp_path / "net")
    assert isinstance(loaded, HopfieldMemory) and len(loaded) == 4 and loaded.update == update
    assert torch.equal(loaded.couplings, memory.couplings) and loaded.couplings.dtype == dtype
    assert torch.equal(loaded.recall(cues).patterns, memory.recall(cues).patterns)
    assert loaded.store(patterns[:1]).tolist() == [4]


def test_couplings_follow_the_dtype_asked_for():
    memory = stored(signs(3, 12, dtype=torch.float32)).double()
    assert memory.couplings.dtype == torch.float64 and len(memory) == 3
    memory.store(signs(1, 12, seed=1))
    with pytest.raises(ValueError, match=r"patterns must be torch\.float64"):
        memory.store(signs(1, 12, dtype=torch.float32))


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"rule": "hebb"}, "rule"), ({"update": "random"}, "update"), ({"dim": 0}, "dim")],
)
def test_useless_settings_are_refused_by_name(settings, name):
    with pytest.raises(ValueError, match=name):
        HopfieldMemory(**{"dim": 4, **settings})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"values": torch.ones(1, 2)}, TypeError, "values"),
        ({"metadata": [None]}, TypeError, "metadata"),
        ({"if_present": "skip"}, TypeError, "if_present"),
        ({"if_present": "maybe"}, ValueError, "if_present"),
        ({"patterns": torch.full((1, 4), 0.5)}, ValueError, "Binarise"),
        ({"patterns": torch.ones(1, 4, dtype=torch.float16)}, ValueError, "float32"),
    ],
)
def test_store_refuses_what_does_not_apply(arguments, error, message):
    memory = HopfieldMemory(4)
    with pytest.raises(error, match=message):
        memory.store(**{"patterns": torch.ones(1, 4), **arguments})
    assert len(memory) == 0 and not bool(memory.couplings.any())


def test_unknown_configuration_is_refused(tmp_path):
    with pytest.raises(ValueError, match="configuration"):
        HopfieldMemory.from_configuration({"dim": 4}, tmp_path)
