"""Palimpsest memories keep the contract, recall, know ages, and say what they do not accept."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from attractor.memory import Memory, PalimpsestMemory
from attractor.memory.palimpsest import Additive, Cascade, Decoder, MarkovSynapse, retrieval, simulate
from attractor.testing import check_memory


def damaged(patterns, count):
    cues = patterns.clone()
    cues[:, :count] = 1 - cues[:, :count]
    return cues


def filled(patterns, **settings):
    memory = PalimpsestMemory(patterns.shape[1], **settings)
    memory.store(patterns)
    return memory


@pytest.fixture
def patterns(generator):
    return torch.randint(0, 2, (8, 100), generator=generator).float()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"correlated": False},
        {"plasticity": Additive("pre", decay=0.9)},
        {"plasticity": Cascade("post")},
        {"dim": 5, "retrieval": "gibbs"},
        {"dim": 8, "retrieval": "exact", "plasticity": Additive("covariance", noise=0.2)},
    ],
    ids=str,
)
def test_contract(settings, monkeypatch):
    monkeypatch.setattr(retrieval, "SWEEPS", 6)
    check_memory(partial(PalimpsestMemory, **{"dim": 24, **settings}))


@pytest.mark.parametrize(("retrieval", "steps"), [("mean-field", None), ("gibbs", 6), ("map", 8)])
def test_what_was_stored_comes_back(patterns, retrieval, steps):
    found = filled(patterns, retrieval=retrieval).recall(damaged(patterns, 10), steps=steps)
    assert torch.equal(found.patterns, patterns)
    assert bool(found.converged.all()) and bool((found.steps > 1).all())


def test_the_cue_and_its_flip_rate_count(patterns):
    cue = damaged(patterns[:1], 40)
    recalled = [filled(patterns, flip_rate=rate, beta=0.0).recall(cue).probabilities for rate in (0.1, 0.4)]
    torch.testing.assert_close(recalled[0].amax(), torch.tensor(0.9))
    torch.testing.assert_close(recalled[1].amax(), torch.tensor(0.6))


def test_without_weight_of_the_weights_recall_is_the_decision_by_cue_and_prior(patterns, generator):
    cues = torch.randint(0, 2, (5, 100), generator=generator).float()
    assert torch.equal(filled(patterns, beta=0.0).recall(cues).patterns, cues)
    # a prior that outweighs the cue
    assert not bool(filled(patterns, beta=0.0, f=0.05).recall(cues).patterns.any())


def test_known_neurons_tell_the_others(patterns):
    known = torch.arange(100) < 60
    found = filled(patterns).recall(patterns, known.expand(8, -1))
    assert torch.equal(found.patterns, patterns)
    # what is known is beyond doubt, what is not has no cue
    nothing = filled(patterns, beta=0.0).recall(patterns, known.expand(8, -1)).probabilities
    assert torch.equal(nothing[:, :60], patterns[:, :60]) and bool((nothing[:, 60:] == 0.5).all())


def test_age_is_told_or_found(generator):
    patterns = torch.randint(0, 2, (12, 120), generator=generator).float()
    memory = filled(patterns, plasticity=Additive("hebb", decay=0.9), recency=0.3)
    ages = torch.tensor([0, 3, 6])
    cues = damaged(patterns[11 - ages], 12)
    found = memory.recall(cues)
    assert found.age.tolist() == ages.tolist()
    assert torch.equal(found.patterns, memory.recall(cues, age=ages).patterns)
    assert torch.equal(found.patterns, patterns[11 - ages])
    assert memory.recall(cues, age=2).age.tolist() == [2, 2, 2]


def test_the_chance_of_an_age_counts(generator):
    patterns = torch.randint(0, 2, (12, 120), generator=generator).float()
    reader = filled(patterns, plasticity=Additive("hebb", decay=0.9))._reader()
    tried, pattern = torch.arange(6)[None], patterns[11 - 3][None].double()
    found = []
    for recency in (1e-6, 0.9):
        by_chance = replace(reader, recency=recency, weight=1e-3)
        found.append(by_chance.familiar_ages(Decoder(reader.weights, reader.statistics(None), 0.5), pattern, tried).item())
    assert found == [3, 0]


def test_what_was_stored_is_familiar_and_what_was_not_is_less_so(patterns, generator):
    memory = filled(patterns)
    strange = torch.randint(0, 2, (8, 100), generator=generator).float()
    assert float(memory.recall(damaged(patterns, 10)).familiarity.min()) > float(memory.recall(strange).familiarity.max())


def test_old_patterns_are_written_over(generator):
    patterns = torch.randint(0, 2, (60, 100), generator=generator).float()
    for plasticity in (Additive("hebb", decay=0.9), Cascade("pre")):
        memory = filled(patterns, plasticity=plasticity)
        new, old = (memory.recall(damaged(patterns[59 - age : 60 - age], 10), age=age).patterns for age in (0, 50))
        assert float((new != patterns[59:]).sum()) <= 2 < float((old != patterns[9:10]).sum())


def test_calibration_never_does_harm(generator):
    patterns = torch.randint(0, 2, (25, 50), generator=generator).float()
    memory = filled(patterns, plasticity=Additive("covariance", decay=0.97))
    betas = memory.calibrate_beta(ages=6, networks=4)
    assert len(betas) == 6 and all(0 <= beta <= 1 for beta in betas)
    tested = simulate(memory.plasticity, networks=6, size=50, stored=25, ages=range(6), seed=9)
    beta = torch.tensor(betas, dtype=torch.float64)[:, None]
    assert float((tested.errors(tested.recall(beta=beta)).mean(0) - tested.cue_errors().mean(0)).max()) < 0.03
    assert memory._reader().beta(torch.tensor([0, 5, 9])).tolist() == [betas[0], betas[5], betas[5]]


def test_saving_keeps_rule_and_calibration(patterns, tmp_path):
    two = MarkovSynapse.two_state([[0, -1], [1, 1]], potentiation=0.4, depression=0.3)
    for plasticity in (Additive([[0.0, 0.5], [-1.0, 2.0]], decay=0.9, noise=0.1), Cascade("xor", levels=3, chi=0.4), two):
        memory = filled(patterns, plasticity=plasticity, f=0.4, flip_rate=0.2, recency=0.3, seed=5)
        memory.betas = [1.0, 0.5]
        memory.save(tmp_path / "memory")
        loaded = Memory.load(tmp_path / "memory")
        assert torch.equal(loaded.weights, memory.weights) and loaded.configuration(tmp_path) == memory.configuration(tmp_path)
        assert torch.equal(loaded.recall(patterns).probabilities, memory.recall(patterns).probabilities)
        loaded.store(patterns[:1])
        memory.store(patterns[:1])
        assert torch.equal(loaded.weights, memory.weights)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"f": 0.0}, "f must"),
        ({"f": 1.0}, "f must"),
        ({"flip_rate": 0.5}, "flip_rate must"),
        ({"flip_rate": 0.0}, "flip_rate must"),
        ({"plasticity": "oja"}, "rule must be one of hebb"),
        ({"retrieval": "guess"}, "retrieval must"),
        ({"beta": 1.5}, "beta must"),
        ({"beta": float("nan")}, "beta must"),
        ({"recency": 1.0}, "recency must"),
        ({"dim": 1}, "dim must"),
        ({"seed": -1}, "seed must"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        PalimpsestMemory(**{"dim": 10, **settings})


def test_ages_that_are_not_stored_are_refused(patterns):
    memory = filled(patterns)
    for age in (8, -1, torch.tensor([0, 1])):
        with pytest.raises(ValueError, match="age must"):
            memory.recall(patterns[:1], age=age)
    with pytest.raises(TypeError, match="age"):
        memory.recall(patterns[:1], age=0.5)


def test_patterns_that_are_not_binary_are_refused(patterns):
    with pytest.raises(ValueError, match="patterns must be whole numbers from 0 to 1"):
        filled(patterns).store(patterns * 2 - 1)


def test_a_rule_that_cannot_be_undone_says_so(patterns):
    with pytest.raises(TypeError, match="forgets by itself"):
        filled(patterns, plasticity=Cascade()).forget(patterns[:1])


def test_exact_retrieval_is_for_a_few_neurons(patterns):
    with pytest.raises(ValueError, match="at most 12 neurons, got 100"):
        filled(patterns, retrieval="exact").recall(patterns)
