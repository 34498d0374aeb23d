"""What a sequence memory promises as a memory: storing, forgetting, walking, gates, files, refusals."""

import json
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch

from attractor import AttractorWarning, CapacityWarning, Memory
from attractor.memory.sequence import GeneralisedPseudoInverse, PolynomialInteraction, SequenceMemory, Timing
from attractor.testing import check_memory


def random_signs(rows, dim, seed=0, dtype=torch.float32):
    return torch.randint(0, 2, (rows, dim), generator=torch.Generator().manual_seed(seed)).to(dtype) * 2 - 1


def stored(patterns, **options):
    memory = SequenceMemory(patterns.shape[1], **options)
    memory.store(patterns)
    return memory


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interaction": "exponential", "self_coupling": True},
        {"interaction": 100},
        {"pseudo_inverse": True},
        {"pseudo_inverse": GeneralisedPseudoInverse(ridge=0.01), "self_coupling": True},
        {"timing": Timing(3, interaction=4)},
        {"update": "asynchronous", "interaction": 3},
        {"cyclic": False},
    ],
    ids=str,
)
def test_contract_of_memories(options):
    check_memory(partial(SequenceMemory, 16, **options))


def test_a_thousand_steps_in_order_from_a_damaged_cue():
    patterns = random_signs(80, 100)
    memory = stored(patterns, interaction=3)
    cue = patterns[:2].clone()
    cue[:, :20] *= -1
    states = memory.replay(cue, 1000)
    expected = torch.stack([patterns[(torch.arange(1, 1001) + start) % 80] for start in (0, 1)])
    assert states.shape == (2, 1000, 100) and torch.equal(states, expected)


def test_recall_is_the_last_state_of_a_replay_with_its_nearest_pattern():
    patterns = random_signs(30, 100)
    memory = SequenceMemory(100, interaction=3)
    ids = memory.store(patterns)
    recalled = memory.recall(patterns[:3], steps=7)
    assert torch.equal(recalled.patterns, patterns[7:10]) and torch.equal(recalled.index, ids[7:10])
    assert torch.equal(recalled.patterns, memory.replay(patterns[:3], 7)[:, -1])
    overlaps = (patterns[7:10] @ patterns.T / 100).sort(descending=True).values
    assert recalled.score.tolist() == [1.0] * 3
    torch.testing.assert_close(recalled.margin, overlaps[:, 0] - overlaps[:, 1])
    assert recalled.steps.tolist() == [7] * 3 and recalled.energy is None and not bool(recalled.converged.any())


def test_follow_tells_where_each_state_is():
    patterns = random_signs(12, 60)
    memory = SequenceMemory(60)
    memory.store(random_signs(1, 60, 9))
    memory.forget(torch.tensor([0]))
    ids = memory.store(patterns)
    walked = memory.follow(patterns[:2], 15)
    expected = (torch.arange(1, 16) + torch.tensor([[0], [1]])) % 12
    assert torch.equal(walked.index, ids[expected]) and torch.equal(walked.states, patterns[expected])
    assert bool((walked.score == 1).all()) and bool((walked.margin > 0).all()) and int(walked.ties.sum()) == 0
    again = memory.follow(patterns[:2], 15, batch_size=1)
    assert torch.equal(again.index, walked.index) and torch.equal(again.margin, walked.margin)


def test_copies_of_the_nearest_pattern_are_no_rivals_and_equals_are():
    patterns = torch.tensor([[1.0, 1, 1, 1, 1, 1], [-1, -1, -1, -1, 1, 1], [1, 1, 1, 1, 1, 1]])
    memory = stored(patterns, interaction=3)
    rows, score, margin = memory._nearest(patterns[:2].T)
    assert rows[0].item() in (0, 2) and rows[1].item() == 1 and score.tolist() == [1.0, 1.0]
    torch.testing.assert_close(margin, torch.full((2,), 1 + 2 / 6))
    halfway = torch.tensor([[1.0, 1, -1, -1, 1, 1], [1.0, 1, 1, -1, 1, 1]]).T
    torch.testing.assert_close(memory._nearest(halfway)[2], torch.tensor([0.0, 4 / 6]))
    memory.forget(torch.tensor([1]))
    assert memory._nearest(halfway)[2].tolist() == [torch.inf] * 2


def test_forgotten_patterns_let_their_neighbours_join():
    patterns = random_signs(10, 80)
    memory = SequenceMemory(80)
    ids = memory.store(patterns)
    memory.forget(ids[[3, 4]])
    assert torch.equal(memory.replay(patterns[2:3], 2)[0], patterns[[5, 6]])
    memory.forget(ids[[9]])
    assert torch.equal(memory.replay(patterns[8:9], 1)[0], patterns[[0]])
    memory.forget(ids[[0]])
    assert torch.equal(memory.replay(patterns[8:9], 1)[0], patterns[[1]])


def test_several_sequences_keep_to_themselves():
    patterns = random_signs(15, 120)
    memory = SequenceMemory(120, interaction=3)
    first = memory.store(patterns[:4])
    second = memory.store(patterns[4:9], new_sequence=True)
    more = memory.store(patterns[9:11])
    third = memory.store(patterns[11:], new_sequence=True)
    expected = [first, torch.cat([second, more]), third]
    assert all(torch.equal(one, other) for one, other in zip(memory.sequences(), expected, strict=True))
    states = memory.replay(patterns[[3, 10, 14]], 2)
    assert torch.equal(states[:, 0], patterns[[0, 4, 11]]) and torch.equal(states[:, 1], patterns[[1, 5, 12]])
    memory.forget(expected[1])
    assert [len(one) for one in memory.sequences()] == [4, 4] and "2 sequences" in repr(memory)
    assert torch.equal(memory.replay(patterns[[3, 14]], 1)[:, 0], patterns[[0, 11]])


def test_an_open_sequence_has_no_way_on_from_its_end():
    patterns = random_signs(6, 400)
    memory = stored(patterns, interaction=3, cyclic=False)
    assert torch.equal(memory.replay(patterns[:1], 5)[0], patterns[1:])
    after = memory.replay(patterns[-1:], 1)[0]
    assert float((after @ patterns[0]).abs() / 400) < 0.6
    ring = stored(patterns, interaction=3)
    assert torch.equal(ring.replay(patterns[-1:], 1)[0], patterns[:1])


def test_a_gated_pattern_is_never_entered():
    patterns = random_signs(9, 150)
    memory = SequenceMemory(150, interaction=3)
    memory.store(patterns[:5])
    memory.store(torch.cat([patterns[2:3], patterns[5:]]), new_sequence=True)
    onward, branch = torch.ones(10), torch.ones(10)
    onward[5], branch[2] = 0, 0
    states = memory.replay(patterns[[1, 1]], 3, gains=torch.stack([onward, branch]))
    assert torch.equal(states[0], patterns[2:5]) and torch.equal(states[1], patterns[[2, 5, 6]])
    assert torch.equal(memory.recall(patterns[1:2], steps=2, gains=onward).patterns, patterns[3:4])
    one_by_one = memory.replay(patterns[[1, 1]], 3, gains=torch.stack([onward, branch]), batch_size=1)
    assert torch.equal(states, one_by_one)


def test_gains_mean_the_same_to_fast_and_careful_steps():
    patterns, cues = random_signs(20, 40), random_signs(5, 40, 1)
    gains = torch.rand(5, 20, generator=torch.Generator().manual_seed(3))
    memory = stored(patterns, interaction=2)
    net = memory._network(gains.T)
    assert torch.equal(memory.replay(cues, 1, gains=gains)[:, 0].T, net.fields(net.start(cues.T)).sign())
    assert not torch.equal(memory.replay(cues, 1, gains=gains), memory.replay(cues, 1))


def test_patterns_with_two_successors_are_told():
    patterns = random_signs(8, 300)
    memory = stored(torch.cat([patterns, patterns[2:3], patterns[5:6]]))
    with pytest.warns(AttractorWarning, match=r"2 = 8, 5 = 9"):
        memory.recall(patterns[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.recall(patterns[:1])  # told once
        stored(torch.cat([patterns, patterns])).recall(patterns[:1])  # copies that go on alike
        memory.store(patterns[:1])
        memory.recall(patterns[:1], gains=torch.ones(11))  # a context tells them apart


def test_ambiguity_is_told_after_a_first_call_with_gains():
    patterns = random_signs(8, 300)
    memory = stored(torch.cat([patterns, patterns[2:3]]))
    memory.recall(patterns[:1], gains=torch.ones(9))
    with pytest.warns(AttractorWarning, match="2 = 8"):
        memory.recall(patterns[:1])


def test_copy_without_a_successor_hides_no_ambiguity():
    patterns = random_signs(6, 200)
    memory = stored(patterns[[0, 1]], interaction=3, cyclic=False)
    memory.store(patterns[[2, 0]], new_sequence=True)
    memory.store(patterns[[0, 3]], new_sequence=True)
    with pytest.warns(AttractorWarning, match="0 = 4"):
        memory.recall(patterns[:1])


class Own(PolynomialInteraction):
    name = "own"


@pytest.mark.parametrize("options", [{"interaction": Own(2)}, {"timing": Timing(2, interaction=Own(2))}], ids=str)
def test_interaction_of_ones_own_is_used_but_not_saved(options, tmp_path):
    memory = stored(random_signs(5, 60), **options)
    assert memory.replay(random_signs(1, 60), 2).shape == (1, 2, 60)
    with pytest.raises(ValueError, match="interaction must be a power or the exponential to be saved"):
        memory.save(tmp_path / "memory")


def test_sequence_of_which_all_is_skipped_does_not_begin():
    patterns = random_signs(5, 60)
    memory = stored(patterns[:3])
    assert len(memory.store(patterns[:2], new_sequence=True, if_present="skip")) == 0
    memory.store(patterns[3:])
    assert [one.tolist() for one in memory.sequences()] == [[0, 1, 2, 3, 4]]


def test_power_beyond_the_floats_of_its_theory_is_replayed():
    patterns = random_signs(5, 784)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(stored(patterns, interaction=200).replay(patterns, 1)[:, 0], patterns.roll(-1, 0))


def test_too_many_patterns_are_told():
    memory = stored(random_signs(60, 50), interaction=1)
    with pytest.warns(CapacityWarning, match="60 patterns"):
        memory.recall(random_signs(1, 50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored(random_signs(60, 50), interaction="exponential").recall(random_signs(1, 50))


def test_saved_sequences_and_settings_come_back(tmp_path):
    patterns = random_signs(9, 60)
    memory = SequenceMemory(
        60,
        interaction=4,
        self_coupling=True,
        cyclic=False,
        pseudo_inverse=GeneralisedPseudoInverse(1e-4, 0.1),
        timing=Timing(2, strength=3.0, interaction="exponential"),
        update="asynchronous",
    )
    memory.store(patterns[:4], metadata=[{"n": n} for n in range(4)])
    memory.store(patterns[4:], new_sequence=True)
    memory.forget(torch.tensor([1, 5]))
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert repr(loaded) == repr(memory) and loaded.configuration(tmp_path) == memory.configuration(tmp_path)
    assert [one.tolist() for one in loaded.sequences()] == [[0, 2, 3], [4, 6, 7, 8]]
    assert torch.equal(loaded.replay(patterns, 5, seed=3), memory.replay(patterns, 5, seed=3))
    assert loaded.store(patterns[:1]).tolist() == [9]


def test_damaged_files_are_refused(tmp_path):
    stored(random_signs(4, 8)).save(tmp_path / "memory")
    settings = tmp_path / "memory" / "memory.json"
    described = json.loads(settings.read_text())
    for key, value in (("interaction", {"name": "cubic"}), ("update", "sometimes"), ("timing", {"delay": 0, "strength": 2.0})):
        broken = {**described, "configuration": {**described["configuration"], key: value}}
        settings.write_text(json.dumps(broken))
        with pytest.raises(ValueError):
            Memory.load(tmp_path / "memory")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"dim": 0}, "dim"),
        ({"dim": 4, "interaction": 0}, "interaction"),
        ({"dim": 4, "interaction": 1.5}, "interaction"),
        ({"dim": 4, "interaction": True}, "interaction"),
        ({"dim": 4, "interaction": "cubic"}, "interaction"),
        ({"dim": 4, "pseudo_inverse": 1e-6}, "pseudo_inverse"),
        ({"dim": 4, "timing": 5}, "timing"),
        ({"dim": 4, "update": "now"}, "update"),
    ],
)
def test_bad_settings_are_refused_by_name(options, name):
    with pytest.raises((TypeError, ValueError), match=name):
        SequenceMemory(**options)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (partial(Timing, 0), "delay"),
        (partial(Timing, 1.5), "delay"),
        (partial(Timing, 2, strength=0), "strength"),
        (partial(Timing, 2, strength=True), "strength"),
        (partial(GeneralisedPseudoInverse, rcond=1.0), "rcond"),
        (partial(GeneralisedPseudoInverse, ridge=-1.0), "ridge"),
        (partial(PolynomialInteraction, 2.5), "degree"),
    ],
)
def test_bad_parts_are_refused_by_name(make, name):
    with pytest.raises((TypeError, ValueError), match=name):
        make()


def test_a_weak_pull_onward_is_warned_of():
    with pytest.warns(AttractorWarning, match="strength"):
        Timing(3, strength=1.0)


def test_bad_calls_are_refused_by_name():
    patterns = random_signs(5, 10)
    memory = stored(patterns)
    for call, name in (
        (lambda: memory.store(patterns * 0.5), "Binarise"),
        (lambda: memory.store(patterns, patterns), "values"),
        (lambda: memory.store(patterns.half()), "float32 or float64"),
        (lambda: memory.store(patterns.double()), "float32"),
        (lambda: memory.store(patterns[:, 1:]), "width 10"),
        (lambda: memory.replay(patterns[:, 1:], 2), "cues"),
        (lambda: memory.replay(patterns, 0), "steps"),
        (lambda: memory.recall(patterns, patterns > 0), "known"),
        (lambda: memory.recall(patterns, gains=torch.ones(4)), "gains"),
        (lambda: memory.recall(patterns, gains=-torch.ones(5)), "gains"),
        (lambda: memory.recall(patterns, gains=[1.0] * 5), "gains"),
        (lambda: memory.energy(patterns), "SequenceMemory"),
        (lambda: SequenceMemory(10).recall(patterns), "empty"),
        (lambda: stored(patterns[:1]).recall(patterns), "at least 2"),
        (lambda: memory.two_layers(), "self_coupling"),
        (lambda: stored(patterns, self_coupling=True, timing=Timing(2)).two_layers(), "timing"),
    ):
        with pytest.raises((TypeError, ValueError), match=name):
            call()
    assert len(memory) == 5 and torch.equal(memory.replay(patterns, 1)[:, 0], stored(patterns).replay(patterns, 1)[:, 0])


LARGE = """
from pathlib import Path
import torch
from attractor.memory.sequence import SequenceMemory
bits = torch.randint(0, 2, (100_000, 784), dtype=torch.int8, generator=torch.Generator().manual_seed(0))
patterns = bits.float().mul_(2).sub_(1)
memory = SequenceMemory(784, interaction="exponential")
memory.store(patterns)
cues, following = patterns[:2].clone(), patterns[1:3].clone()
recalled = memory.recall(cues)
assert torch.equal(recalled.patterns, following)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])  # not ru_maxrss, which starts from that of the process that began this one
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read as on Linux")
def test_a_step_over_a_hundred_thousand_images_takes_less_than_two_gigabytes():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 2e9


@pytest.mark.parametrize("pseudo_inverse", [False, True])
def test_what_is_stored_or_forgotten_after_a_replay_counts_in_the_next(pseudo_inverse):
    rows, extra = random_signs(12, 40), random_signs(3, 40, 1)
    memory, fresh = (SequenceMemory(40, interaction=3, pseudo_inverse=pseudo_inverse) for _ in range(2))
    memory.store(rows)
    memory.replay(rows, 3, gains=torch.rand(12, dtype=rows.dtype))
    memory.store(extra)
    memory.forget([0, 1])
    fresh.store(rows[2:])
    fresh.store(extra)
    cues = torch.cat([rows, extra])
    gains = torch.rand(13, dtype=rows.dtype, generator=torch.Generator().manual_seed(0)) + 0.5
    for given in (None, gains):
        assert torch.equal(memory.replay(cues, 5, gains=given), fresh.replay(cues, 5, gains=given))
