"""The memory by predictive coding: its contract, and what it recalls."""

import warnings
from functools import partial

import pytest
import torch

from attractor.errors import AttractorWarning
from attractor.memory import Memory, PredictiveCodingMemory
from attractor.memory.predictive_coding import Convolution, Inference, PredictiveLearning
from attractor.memory.predictive_coding.reading import Question, planned
from attractor.testing import check_memory

QUICK = PredictiveLearning(steps=40, rate=1e-2)


def pictures(rows=12, seed=0):
    """Smooth random pictures of 8 x 8 in [0, 1]."""
    coarse = torch.rand(rows, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(8, 8), mode="bilinear").flatten(1)


@pytest.fixture(scope="module")
def stored():
    memory = PredictiveCodingMemory(64, layers=(48, 32), learning=PredictiveLearning(steps=1200, rate=3e-3))
    ids = memory.store(pictures())
    return memory, pictures(), ids


upper_half = torch.arange(64) < 32


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "layers": (Convolution((1, 4, 2), (2, 2, 1), kernel=2, padding=0), 5),
            "activation": "tanh",
            "precisions": [2.0, 0.5, 0.0],
        },
    ],
    ids=["dense", "convolution"],
)
def test_the_contract_of_a_memory_is_kept(settings):
    learning, inference = PredictiveLearning(steps=10, rate=1e-2), Inference(4)
    check_memory(partial(PredictiveCodingMemory, 8, **{"layers": (12, 6), **settings}, learning=learning, inference=inference))


def test_half_a_picture_is_completed(stored):
    memory, rows, ids = stored
    known = upper_half.expand(12, 64)
    found = memory.recall(torch.where(known, rows, torch.nan), known)
    assert torch.equal(found.patterns[known], rows[known]) and torch.equal(found.index, ids)
    assert float((found.patterns - rows).square().mean(1).max()) < 0.005
    assert found.steps.tolist() == [1] * 12 and bool((found.margin > 0).all())


def test_held_senses_are_filled_in_one_pass_however_many_are_allowed(stored):
    memory, rows, _ = stored
    known = upper_half.expand(12, 64)
    once, often = memory.recall(rows, known), memory.recall(rows, known, max_steps=5)
    assert torch.equal(once.patterns, often.patterns) and torch.equal(once.converged, often.converged)
    assert often.steps.tolist() == [1] * 12


def test_complete_cues_take_30_short_passes_and_others_one_whole():
    senses = torch.zeros(2, 3)
    complete, held, weighed = Question(senses), Question(senses, senses > 0), Question(senses, None, senses)
    usual = Inference(300)
    assert planned(complete, "prediction", None, None, usual) == (30, Inference(50))
    assert planned(complete, "prediction", None, None, Inference(20)) == (30, Inference(20))
    assert planned(complete, "prediction", 1, None, usual) == planned(complete, "joint", None, None, usual) == (1, usual)
    assert planned(held, "prediction", None, None, usual) == planned(weighed, "prediction", None, None, usual) == (1, usual)
    assert planned(complete, "prediction", 7, usual, Inference(20)) == (7, usual)


def test_noise_is_removed(stored):
    memory, rows, ids = stored
    cues = rows + 0.2 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(1))
    found = memory.recall(cues, trace=True)
    assert float((found.patterns - rows).square().mean()) < 0.25 * float((cues - rows).square().mean())
    assert torch.equal(found.index, ids) and int(found.steps.max()) <= 30
    assert torch.equal(found.trace[0], cues) and torch.equal(found.trace[-1], found.patterns)
    assert bool((found.trace.energies[-1] < 0.1 * found.trace.energies[0]).all())


def test_no_pass_raises_the_surprise():
    """The next senses are the prediction at rest: their surprise is at most what is left without errors of the senses."""
    memory = PredictiveCodingMemory(
        64, layers=(24, 16), activation="tanh", learning=PredictiveLearning(steps=100), inference=Inference(1000)
    )
    memory.store(pictures().double())
    cues = pictures(5, seed=9).double()
    energies = memory.recall(cues, trace=True, max_steps=8, inference=Inference(1000)).trace.energies
    assert float((energies.diff(dim=0) / energies[:-1]).max()) < 1e-6


def test_confidence_uses_cues_that_are_noisy_and_incomplete(stored):
    memory, rows, _ = stored
    known = upper_half.expand(12, 64)
    cues = torch.where(known, rows + 0.15 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(2)), 0)
    soft = memory.recall(cues, confidence=0.1 * known.float())
    hard = memory.recall(cues, known)
    wrong = [float((found.patterns - rows).square().mean()) for found in (soft, hard)]
    assert wrong[0] < 0.7 * wrong[1]
    other = memory.recall(torch.where(known, cues, 7.0), confidence=0.1 * upper_half.float())
    torch.testing.assert_close(other.patterns, soft.patterns)
    assert not torch.equal(memory.recall(cues, confidence=0.1).patterns, soft.patterns)


def test_entries_without_confidence_do_not_count_in_score_and_margin(stored):
    memory, rows, _ = stored
    known = upper_half.expand(12, 64)
    soft, hard = memory.recall(torch.where(known, rows, 7.0), confidence=known.float()), memory.recall(rows, known)
    assert torch.equal(soft.index, hard.index)
    torch.testing.assert_close(soft.score, hard.score)
    torch.testing.assert_close(soft.margin, hard.margin)


def test_cues_come_to_rest_to_four_digits_unless_told_otherwise(stored):
    memory, rows, _ = stored
    cues = rows + 0.1 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(1))
    usual, same, rough = (memory.recall(cues, tol=tol).steps for tol in (None, 1e-4, 1e-2))
    assert torch.equal(usual, same) and bool((rough < usual).any())


def test_full_confidence_is_one_pass_over_the_cue(stored):
    memory, rows, _ = stored
    once = memory.recall(rows, max_steps=1, inference=Inference(300))
    assert torch.equal(memory.recall(rows, confidence=1.0).patterns, once.patterns)


def test_the_literal_form_completes_the_same_pictures(stored):
    memory, rows, _ = stored
    known = upper_half.expand(12, 64)
    short, joint = (memory.recall(rows, known, method=method, inference=Inference(3000)) for method in ("prediction", "joint"))
    assert torch.equal(joint.patterns[known], rows[known])
    assert float((short.patterns - joint.patterns).square().mean()) < 1e-4
    free = memory.recall(rows + 0.1, method="joint", inference=Inference(100))
    assert float((free.patterns - rows).square().mean()) < 0.01


def test_surprise_tells_what_is_stored_from_what_is_not(stored):
    memory, rows, _ = stored
    unseen = pictures(20, seed=5)
    assert float(memory.surprise(rows).max()) < float(memory.surprise(unseen).min())
    assert torch.equal(memory.surprise(rows), memory.energy(rows))
    known = upper_half.expand(12, 64)
    assert bool((memory.surprise(torch.where(known, rows, torch.nan), known) <= memory.surprise(rows) * 1.001).all())
    limit = float(memory.surprise(rows).max())
    found = memory.recall(torch.cat([rows, unseen]), reject=limit)
    assert found.accepted.tolist() == [True] * 12 + [False] * 20
    assert torch.equal(found.patterns[12:], unseen)


def test_energy_is_the_smallest_over_the_latents():
    memory = PredictiveCodingMemory(6, layers=(4,), activation="identity", learning=QUICK, inference=Inference(2000))
    rows = torch.rand(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    memory.store(rows)
    weight, bias, vector = memory.network.weights[0], memory.network.biases[0], memory.network.memory_vector
    covariance = torch.eye(6, dtype=torch.float64) + weight @ weight.T
    away = rows - vector @ weight.T - bias
    expected = (away @ covariance.inverse() * away).sum(1) / 2
    torch.testing.assert_close(memory.energy(rows), expected, rtol=1e-6, atol=1e-9)


def test_two_modalities_are_read_from_each_other():
    rows = pictures(8)
    labels = torch.eye(8)
    precisions = [torch.cat([torch.ones(64), torch.full((8,), 2.0)]), 1.0, 1.0]
    learning = PredictiveLearning(steps=1200, rate=3e-3)
    memory = PredictiveCodingMemory(72, layers=(48, 32), precisions=precisions, learning=learning)
    both = torch.cat([rows, labels], 1)
    memory.store(both)
    picture = (torch.arange(72) < 64).expand(8, 72)
    named = memory.recall(both, picture).patterns[:, 64:]
    drawn = memory.recall(both, ~picture).patterns[:, :64]
    assert named.argmax(1).tolist() == list(range(8))
    assert torch.cdist(drawn, rows).argmin(1).tolist() == list(range(8))


def test_senses_without_precision_are_not_learned():
    precisions = [torch.cat([torch.ones(32), torch.zeros(32)]), 1.0, 1.0]
    memory = PredictiveCodingMemory(64, layers=(16, 8), precisions=precisions, learning=QUICK)
    memory.store(pictures())
    first = PredictiveCodingMemory(64, layers=(16, 8), learning=QUICK).network
    first.reset(torch.Generator().manual_seed(0))
    assert torch.equal(memory.network.weights[0][32:], first.weights[0][32:])
    assert not torch.equal(memory.network.weights[0][:32], first.weights[0][:32])


def test_precisions_of_the_senses_count_whether_there_is_a_mask_or_not():
    precisions = [torch.linspace(0.1, 2, 64), 1.0, 1.0]
    memory = PredictiveCodingMemory(64, layers=(16, 8), precisions=precisions, learning=QUICK)
    memory.store(pictures())
    everything = torch.ones(12, 64, dtype=torch.bool)
    torch.testing.assert_close(memory.surprise(pictures(), everything), memory.surprise(pictures()))


def test_the_first_prediction_is_the_mean_of_the_patterns():
    memory = PredictiveCodingMemory(64, layers=(8,), learning=PredictiveLearning(steps=1, rate=1e-9))
    memory.store(pictures())
    torch.testing.assert_close(memory.network.biases[0].data, pictures().mean(0), rtol=0, atol=1e-6)


def test_what_is_forgotten_leaves_no_trace():
    memory, other = (PredictiveCodingMemory(64, layers=(8,), learning=PredictiveLearning(steps=5)) for _ in range(2))
    ids = memory.store(pictures())
    memory.forget(ids[3:5])
    other.store(torch.cat([pictures()[:3], pictures()[5:]]))
    assert torch.equal(memory.network.weights[0], other.network.weights[0])


def test_an_empty_memory_starts_from_first_weights_in_any_case():
    memory, other = (PredictiveCodingMemory(64, layers=(8,), learning=PredictiveLearning(steps=5)) for _ in range(2))
    memory.store(pictures(), fresh=False)
    other.store(pictures())
    assert torch.equal(memory.network.weights[0], other.network.weights[0])


def test_convolutions_learn_pictures_too():
    layers = (Convolution((1, 8, 8), (12, 4, 4)), 48)
    memory = PredictiveCodingMemory(64, layers=layers, learning=PredictiveLearning(steps=800, rate=3e-3))
    rows = pictures()
    memory.store(rows)
    found = memory.recall(rows, upper_half.expand(12, 64))
    assert float((found.patterns - rows).square().mean()) < 0.01


def test_what_the_memory_vector_predicts_is_generated(stored):
    memory, rows, _ = stored
    typical = memory.generate(3)
    assert typical.shape == (3, 64) and torch.equal(typical[0], typical[2])
    assert float(memory.energy(typical[:1])) < float(memory.energy(rows).min())
    noisy = memory.generate(3, noise=0.1, seed=1)
    assert not torch.equal(noisy[0], noisy[1]) and torch.equal(noisy, memory.generate(3, noise=0.1, seed=1))


def test_learning_goes_on_from_the_weights_as_they_are():
    memory = PredictiveCodingMemory(64, layers=(24, 16), learning=QUICK)
    memory.store(pictures())
    before = memory.energy(pictures())
    fitted = memory.learn(PredictiveLearning(steps=200, rate=3e-3))
    assert memory.last_fit is fitted and bool((memory.energy(pictures()) < before).all())
    weights = memory.network.weights[0].clone()
    memory.learn(fresh=True)
    again = PredictiveCodingMemory(64, layers=(24, 16), learning=QUICK)
    again.store(pictures())
    assert not torch.equal(weights, again.network.weights[0])
    assert torch.equal(memory.network.weights[0], again.network.weights[0])


def test_new_patterns_are_learned_from_old_weights_where_asked_to():
    rows = pictures()
    memory = PredictiveCodingMemory(64, layers=(24, 16), learning=PredictiveLearning(steps=800, rate=3e-3))
    memory.store(rows[:10])
    old = memory.network.weights[0].clone()
    memory.learning = PredictiveLearning(steps=10, rate=1e-3)
    memory.store(rows[10:], fresh=False)
    near = float((memory.network.weights[0] - old).norm())
    memory.learn(fresh=True)
    assert near < 0.3 * float((memory.network.weights[0] - old).norm()) and len(memory) == 12


def test_progress_of_storing_is_told():
    done = []
    memory = PredictiveCodingMemory(64, layers=(8,), learning=QUICK)
    ids = memory.store(pictures(), progress=done.append)
    assert done[-1] == 1.0 and done == sorted(done)
    memory.forget(ids[:2], progress=done.append)
    assert done[-1] == 1.0 and len(memory) == 10


def test_a_memory_that_diverges_while_storing_stores_nothing(stored):
    memory = PredictiveCodingMemory(64, layers=(8,), activation="identity", learning=QUICK)
    memory.store(pictures(4))
    weights = memory.network.weights[0].clone()
    memory.learning = PredictiveLearning(steps=400, rate=1e4, optimiser="sgd")
    with pytest.raises(ValueError, match="rate must be smaller"):
        memory.store(pictures(4, seed=3))
    assert len(memory) == 4 and torch.equal(memory.network.weights[0], weights)


def test_settings_and_weights_survive_saving(tmp_path):
    vector = torch.linspace(0, 1, 64)
    memory = PredictiveCodingMemory(
        64,
        layers=(Convolution((1, 8, 8), (2, 4, 4)), 6),
        activation="tanh",
        precisions=[vector, 2.0, 0.0],
        bias=False,
        learning=PredictiveLearning(steps=20, schedule="reset", inference=Inference(3)),
        inference=Inference(20, gamma=0.01, way="plain"),
        seed=4,
    )
    memory.store(pictures())
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert loaded.configuration(tmp_path) == memory.configuration(tmp_path)
    assert loaded.learning == memory.learning and loaded.inference == memory.inference
    assert torch.equal(loaded.network.sensory_precision, vector)
    assert torch.equal(loaded.energy(pictures()), memory.energy(pictures()))


def test_steps_follow_weights_that_are_loaded_or_moved(stored):
    memory, rows, _ = stored
    other = PredictiveCodingMemory(64, layers=(48, 32), learning=QUICK)
    other.store(rows)
    other.energy(rows)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.energy(rows), memory.energy(rows))


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"layers": ()}, ValueError, "layers"),
        ({"activation": "gelu"}, ValueError, "activation"),
        ({"precisions": [1.0, 1.0]}, ValueError, "precisions must be one of each of 3"),
        ({"precisions": [0.0, 1.0, 1.0]}, ValueError, "senses"),
        ({"precisions": [1.0, 0.0, 1.0]}, ValueError, "hidden"),
        ({"precisions": [1.0, 1.0, -1.0]}, ValueError, "memory layer"),
        ({"precisions": [torch.ones(3), 1.0, 1.0]}, ValueError, "shape"),
        ({"precisions": [torch.zeros(4), 1.0, 1.0]}, ValueError, "not all 0"),
        ({"seed": -1}, ValueError, "seed"),
        ({"dim": 0}, ValueError, "dim"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings, kind, message):
    with pytest.raises(kind, match=message):
        PredictiveCodingMemory(**{"dim": 4, "layers": (3, 2), **settings})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "method"),
        ({"method": "joint", "max_steps": 3}, "max_steps"),
        ({"confidence": -0.1}, "confidence"),
        ({"confidence": torch.nan}, "confidence"),
        ({"confidence": 0.0}, "confidence must be above 0"),
        ({"confidence": torch.ones(3)}, "confidence"),
        ({"confidence": 0.5, "known": torch.ones(12, 64, dtype=torch.bool)}, "confidence"),
        ({"known": torch.zeros(12, 64, dtype=torch.bool)}, "known"),
        ({"inference": Inference(200, gamma=500.0)}, "gamma must be smaller"),
        ({"max_steps": 0}, "max_steps"),
        ({"tol": 0.0}, "tol"),
        ({"reject": -1.0}, "reject"),
    ],
    ids=str,
)
def test_bad_options_of_a_recall_are_refused(stored, options, message):
    memory, rows, _ = stored
    with pytest.raises(ValueError, match=message):
        memory.recall(rows, **options)


def test_values_are_refused_with_the_way_out():
    with pytest.raises(TypeError, match="side by side"):
        PredictiveCodingMemory(8).store(torch.rand(3, 8), torch.rand(3, 2))


def test_patterns_of_another_scale_are_warned_of():
    memory = PredictiveCodingMemory(64, layers=(8,), learning=QUICK)
    for most in (255.0, 10.5):
        with pytest.warns(AttractorWarning, match=f"from 0 to {most:g}"):
            memory.store(torch.cat([torch.zeros(1, 64), torch.full((1, 64), most)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PredictiveCodingMemory(64, layers=(8,), learning=QUICK).store(pictures())


def told_of(memory, rows, **options):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        memory.store(rows, **options)
    return [str(one.message) for one in told if issubclass(one.category, AttractorWarning)]


def test_patterns_that_are_nearly_others_are_warned_of():
    rows = pictures(6)
    memory = PredictiveCodingMemory(64, layers=(8,), learning=PredictiveLearning(steps=2))
    assert told_of(memory, torch.cat([rows, rows[:1]])) == []
    (text,) = told_of(memory, torch.cat([pictures(2, seed=8), rows[4:5] + 1e-3]))
    assert "(4, 9)" in text and text.count("(") == 1


def test_the_range_of_old_patterns_is_not_warned_of_again():
    memory = PredictiveCodingMemory(64, layers=(8,), learning=PredictiveLearning(steps=2))
    (text,) = told_of(memory, 100 * torch.cat([pictures(3), pictures(1)]) + 1)
    assert text.startswith("patterns reach from")
    assert not any("reach from" in text for text in told_of(memory, pictures(2, seed=8)))
