"""The memory of learned constraints: what it stores, corrects and refuses."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from memory.constraint.network import network, patterns, small, small_patterns, with_errors, wrong_share

from attractor.errors import AttractorWarning
from attractor.memory import BitFlipping, ConstraintMemory, Encoded, Quantise
from attractor.memory.constraint import Graph, correct
from attractor.memory.constraint.peeling import sweep
from attractor.testing import check_memory

QUIET, NOISY, LOUD = BitFlipping(noise=0.0), BitFlipping(noise=0.3), BitFlipping(noise=0.8, sweeps=3)


@pytest.mark.parametrize(
    "settings", [{"decoder": BitFlipping(sweeps=3)}, {"learn": "svd", "decoder": QUIET}], ids=["online, noisy", "svd, quiet"]
)
def test_the_contract_of_a_memory_is_kept(settings):
    whole = torch.randint(0, 7, (6, 48), generator=torch.Generator().manual_seed(0)).float()
    check_memory(partial(ConstraintMemory, 48, clusters=6, degree=3, **settings), whole)


def test_noise_corrects_what_none_leaves_wrong_and_too_much_destroys():
    memory, true = network(), patterns(60, 2)
    few, many = with_errors(true, 0.125, 3), with_errors(true, 0.175, 3)
    assert wrong_share(memory, true, few, QUIET) >= 0.5 and wrong_share(memory, true, few, NOISY) <= 0.05
    assert wrong_share(memory, true, many, QUIET) >= 0.9
    assert wrong_share(memory, true[:20], few[:20], LOUD) >= 0.9


def test_verdict_is_true_and_only_of_stored_patterns():
    memory, true = network(), patterns(150, 4)
    found = memory.recall(with_errors(true, 0.1, 5))
    right = (found.patterns == true).all(1)
    assert torch.equal(found.converged, right) and right.double().mean() > 0.99
    strange = torch.randint(0, 7, (10, 400), generator=torch.Generator().manual_seed(0)).float()
    left = memory.recall(strange, decoder=replace(QUIET, sweeps=2))
    assert not left.converged.any()


@pytest.mark.parametrize("constraint_noise", [0.0, 0.2])
@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_stored_patterns_are_fixed_points_whatever_the_noise(noise, constraint_noise):
    memory, true = small(), small_patterns(50, 6)
    found = memory.recall(true, decoder=BitFlipping(noise=noise, constraint_noise=constraint_noise))
    assert torch.equal(found.patterns, true) and found.converged.all() and not found.steps.any()


@pytest.mark.parametrize("constraint_noise", [0.0, 0.2])
@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_clusters_leave_what_they_know_alone_whatever_the_noise(noise, constraint_noise):
    memory, true = small(), small_patterns(50, 6)
    graph = Graph(memory.constraints, 120, torch.float32, memory.limits)
    how = BitFlipping(noise=noise, constraint_noise=constraint_noise)
    after = sweep(graph, graph.checks(how), true, how, torch.Generator().manual_seed(0), None)
    assert torch.equal(after, true)


def test_clusters_keep_only_what_satisfies_them():
    memory, true = small(), small_patterns(60, 6)
    graph, how = Graph(memory.constraints, 120, torch.float32, memory.limits), BitFlipping(noise=0.3, rounds=4)
    cues = with_errors(true, 0.15, 7)
    (members, check), *_ = zip(graph.members, graph.checks(how), strict=True)
    after, satisfied = correct(check, cues[:, members], how, torch.Generator().manual_seed(0), memory.limits)
    assert 0 < int(satisfied.sum()) < 60
    assert torch.equal(after[~satisfied], cues[~satisfied][:, members])
    assert float((after[satisfied] @ check.rows.T).abs().max()) < check.silence


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_cues_of_other_precisions_are_recalled_as_well(dtype):
    memory, true = small(), small_patterns(30, 6)
    found = memory.recall(with_errors(true, 0.03, 7).to(dtype), trace=True)
    assert found.patterns.dtype == found.trace.states.dtype == dtype
    assert torch.equal(found.patterns, true.to(dtype)) and found.converged.all()


def test_large_values_are_read_with_their_rounding():
    memory = ConstraintMemory(120, learn="svd", limits=(0, 65_535))
    true = small_patterns(300, 6) * 9000
    memory.store(true)
    assert memory.recall(true).converged.all()


def test_overlapping_patches_of_images_are_clusters():
    patches = torch.arange(144).view(12, 12).unfold(0, 6, 3).unfold(1, 6, 3).reshape(-1, 36)
    # 6 sources on 12 x 12 pixels
    generator = torch.Generator().manual_seed(0)
    sources = (torch.rand(6, 144, generator=generator) < 0.4).float()
    true = torch.randint(0, 3, (200, 6), generator=generator).float() @ sources
    memory = ConstraintMemory(144, clusters=patches)
    memory.store(true[:150])
    assert wrong_share(memory, true[150:], with_errors(true[150:], 0.02, 1), NOISY) <= 0.1


def test_patterns_never_seen_are_stored_as_well_as_those_seen():
    memory = network()
    seen, unseen = patterns(6000, 1)[:100], patterns(100, 7)
    shares = [wrong_share(memory, true, with_errors(true, 0.1, 8), NOISY) for true in (seen, unseen)]
    assert max(shares) <= 0.02


def test_quiet_recall_is_deterministic_idempotent_and_the_same_one_by_one():
    memory, true = small(), small_patterns(20, 9)
    cues = with_errors(true, 0.12, 10)
    found = memory.recall(cues, decoder=QUIET, generator=torch.Generator().manual_seed(1))
    again = memory.recall(found.patterns, decoder=QUIET, generator=torch.Generator().manual_seed(2))
    alone = torch.cat([memory.recall(cue[None], decoder=QUIET).patterns for cue in cues])
    assert not found.converged.all()
    assert torch.equal(again.patterns, found.patterns) and torch.equal(alone, found.patterns)


def test_seeds_reproduce_noisy_recalls():
    memory, true = small(), small_patterns(30, 11)
    cues, how = with_errors(true, 0.2, 12), BitFlipping(noise=0.5, sweeps=3)
    one, same, other = (memory.recall(cues, decoder=how, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(one.patterns, same.patterns) and torch.equal(one.steps, same.steps)
    assert not (torch.equal(one.patterns, other.patterns) and torch.equal(one.steps, other.steps))


def test_missing_entries_are_filled_from_the_constraints():
    memory, true = small(), small_patterns(50, 13)
    known = torch.rand(true.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    found = memory.recall(torch.where(known, true, torch.nan), known)
    assert torch.equal(found.patterns, true) and found.converged.all() and found.steps.tolist() == [1] * 50


def sums(parts, others, **settings):
    """A memory of triples `(x, y, x + y)`."""
    memory = ConstraintMemory(3, clusters=[range(3)], learn="svd", **settings)
    both = torch.cartesian_prod(torch.tensor(parts), torch.tensor(others))
    memory.store(torch.cat([both, both.sum(1, keepdim=True)], 1))
    return memory


def test_what_constraints_leave_open_is_filled_near_the_mean():
    cues, known = torch.tensor([[torch.nan, torch.nan, 7.0]]), torch.tensor([[False, False, True]])
    found = sums([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]).recall(cues, known)
    assert found.patterns.tolist() == [[2.0, 5.0, 7.0]] and found.converged.all()


def test_filled_entries_stay_within_the_limits():
    cues, known = torch.tensor([[6.0, 6.0, 0.0]]), torch.tensor([[True, True, False]])
    found = sums([0.0, 1.0, 2.0], [1.0, 2.0, 4.0], limits=(0, 6)).recall(cues, known)
    assert found.patterns.tolist() == [[6.0, 6.0, 6.0]] and not found.converged.any()


def test_constraints_follow_moments_that_are_loaded():
    memory, other = sums([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), ConstraintMemory(3, clusters=[range(3)], learn="svd")
    other.store(torch.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 5.0]]))
    assert len(memory.constraints[0].rows) == len(other.constraints[0].rows) == 1
    memory.load_state_dict(other.state_dict())
    assert torch.equal(memory.constraints[0].rows, other.constraints[0].rows)


def test_quiet_recalls_end_where_nothing_moves_and_noisy_ones_go_on():
    strange = torch.randint(0, 7, (10, 120), generator=torch.Generator().manual_seed(0)).float()
    quiet, noisy = (small().recall(strange, decoder=BitFlipping(noise=noise, rounds=2, sweeps=6)) for noise in (0.0, 0.3))
    assert not (quiet.converged | noisy.converged).any()
    assert int(quiet.steps.max()) < 6 and noisy.steps.tolist() == [6] * 10


def test_larger_errors_are_undone_step_by_step():
    memory, true = small(), small_patterns(100, 14)
    cues = true.clone()
    cues[:, 17] += 3
    found = memory.recall(cues)
    assert torch.equal(found.patterns, true)


def test_states_stay_within_the_limits():
    memory = ConstraintMemory(120, limits=(0, 6))
    memory.store(small_patterns(500, 1))
    assert str(memory.domain) == "levels(7)"
    cues = with_errors(small_patterns(20, 15), 0.3, 16).clamp(0, 6)
    way = memory.recall(cues, decoder=BitFlipping(noise=0.5, sweeps=3), trace=True).trace.states
    assert float(way.min()) >= 0 and float(way.max()) <= 6 and len(way) > 1


def test_order_of_storing_does_not_matter_and_forgetting_is_exact():
    true = small_patterns(300, 17)
    one, other = ConstraintMemory(120), ConstraintMemory(120)
    one.store(true)
    other.store(torch.ones(1, 120))
    for part in true.flip(0).split(100):
        other.store(part)
    other.forget(torch.ones(1, 120))
    for left, right in zip(one.constraints, other.constraints, strict=True):
        assert torch.equal(left.rows, right.rows)
    with pytest.raises(ValueError, match="patterns must be stored ones"):
        one.forget(torch.full((1, 120), 50.0))
    pair = ConstraintMemory(2, clusters=[range(2)])
    pair.store(torch.tensor([[1.0, 1.0], [3.0, 3.0]]))
    with pytest.raises(ValueError, match="patterns must be stored ones"):
        pair.forget(torch.full((2, 2), 2.0))
    assert len(pair) == 2


def test_data_that_do_not_fit_are_refused_in_words():
    memory = Encoded(ConstraintMemory(64, limits=(0, 15)), Quantise(16))
    memory.store(torch.rand(500, 64, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match=r"full rank in clusters .* do not fit this memory"):
        memory.recall(torch.rand(2, 64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("learn", ["online", "spud", "svd"])
def test_neurons_that_no_constraint_hears_are_warned_of(learn):
    # the first two are always 0, the others independent
    free = torch.randint(0, 7, (200, 6), generator=torch.Generator().manual_seed(0)).float()
    free[:, :2] = 0
    memory = ConstraintMemory(6, clusters=[range(6)], learn=learn)
    memory.store(free)
    with pytest.warns(AttractorWarning, match=r"4 of 6 neurons are in no constraint.*\[2, 3, 4, 5\]"):
        memory.recall(free[:2])


def test_it_saves_clusters_of_a_user_and_its_decoder(tmp_path):
    halves = [list(range(30)), list(range(20, 48))]
    memory = ConstraintMemory(48, clusters=halves, decoder=BitFlipping(noise=0.1, vote="weighted", threshold=0.8), learn="svd")
    whole = torch.randint(0, 7, (6, 48), generator=torch.Generator().manual_seed(0)).float()
    memory.store(whole)
    memory.save(tmp_path / "memory")
    loaded = ConstraintMemory.load(tmp_path / "memory")
    assert loaded.decoder == memory.decoder and [one.tolist() for one in loaded.clusters] == halves
    assert torch.equal(loaded.moments, memory.moments)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clusters": [[0, 1, 2], [4, 5]]}, "in none: \\[3\\]"),
        ({"clusters": [[0, 1, 2, 3, 4, 5], [1]]}, "cluster 1 has 1"),
        ({"clusters": [[0, 1, 2, 3, 4, 5, 6]]}, "numbers from 0 to 5"),
        ({"clusters": []}, "at least one cluster"),
        ({"clusters": 2, "degree": 3}, "degree must be at most"),
        ({"learn": "magic"}, "learn must be one of"),
        ({"limits": (3, 3)}, "the lower first"),
    ],
    ids=str,
)
def test_impossible_memories_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ConstraintMemory(6, **settings)


def test_clusters_hold_integers():
    with pytest.raises(TypeError, match="clusters must hold integers"):
        ConstraintMemory(3, clusters=[[0.5, 1.0, 2.0]])


@pytest.mark.parametrize("limits", [5, (0, 1.5), (0, float("inf")), ("a", "b"), (0, 1, 2)])
def test_limits_that_are_no_two_whole_numbers_are_refused(limits):
    with pytest.raises(TypeError, match="limits must be two whole numbers"):
        ConstraintMemory(6, limits=limits)


def test_sums_that_would_not_be_exact_are_refused():
    memory = ConstraintMemory(6, limits=(0, 2**30))
    memory.store(torch.full((4, 6), 2.0**25))
    with pytest.raises(ValueError, match="sums of squares below"):
        memory.store(torch.full((4, 6), 2.0**26))
    assert len(memory) == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"noise": -0.1}, "noise must be"),
        ({"constraint_noise": -1.0}, "constraint_noise must be"),
        ({"threshold": 0.0}, "threshold must be a positive"),
        ({"threshold": 1.31}, "at most 1 \\+ noise"),
        ({"noise": float("nan")}, "noise must be"),
        ({"vote": "loud"}, "vote must be one of"),
        ({"distribution": "cauchy"}, "distribution must be one of"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"sweeps": 0}, "sweeps must be at least 1"),
    ],
    ids=str,
)
def test_impossible_decoders_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        BitFlipping(**settings)


@pytest.mark.parametrize("silence", [0.1, 0.2])
def test_silence_within_the_noise_is_warned_of(silence):
    with pytest.warns(AttractorWarning, match="fire for ever"):
        BitFlipping(constraint_noise=0.2, silence=silence)


def test_entries_that_are_no_whole_numbers_or_beyond_the_limits_are_refused():
    memory, true = small(), small_patterns(2, 18)
    for wrong in (true + 0.5, true - 20, true + 101):
        with pytest.raises(ValueError, match="cues must be whole numbers from -10 to 100"):
            memory.recall(wrong)
    with pytest.raises(ValueError, match="Quantise"):
        memory.store(true + 0.5)
