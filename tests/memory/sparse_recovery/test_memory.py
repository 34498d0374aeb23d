"""The memory by sparse recovery: its contract, what it recalls, and what it says of a cue."""

import os
import warnings
from functools import partial

import pytest
import torch

from attractor.errors import CapacityWarning
from attractor.memory import Memory
from attractor.memory.sparse_recovery import (
    BasisPursuit,
    Bregman,
    Denoising,
    Exact,
    Expander,
    GramSchmidt,
    HardThresholding,
    LinearCode,
    LinearisedBregman,
    OrthogonalIteration,
    SparseRecoveryMemory,
    random_errors,
    sparse_constraints,
)
from attractor.testing import check_memory

N, R = 120, 60


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def code():
    return LinearCode.gaussian(N, R, generator=seeded())


def filled(code, count=R, **options):
    memory = SparseRecoveryMemory(N, **options)
    memory.store(code.draw(count, generator=seeded(1))[1])
    return memory


def queries(code, errors, count=20, seed=2):
    patterns = code.draw(count, generator=seeded(seed))[1]
    return patterns, random_errors(patterns, errors, generator=seeded(seed + 1))


@pytest.mark.parametrize(
    "options",
    [{}, {"learning": Exact(centre=True), "decoder": HardThresholding(4)}],
)
def test_it_keeps_the_contract_of_a_memory(options):
    check_memory(partial(SparseRecoveryMemory, 32, **options))


@pytest.mark.parametrize("decoder", [BasisPursuit(), Bregman(), LinearisedBregman(), HardThresholding(8)], ids=lambda one: one.name)
def test_decoders_find_the_error_and_its_support(code, decoder):
    patterns, errors = queries(code, 8)
    found = filled(code, decoder=decoder).recall(patterns + errors)
    assert torch.allclose(found.patterns, patterns, atol=1e-6)
    assert torch.allclose(found.errors, errors, atol=1e-6)
    assert torch.equal(found.support, found.errors != 0)
    if isinstance(decoder, BasisPursuit | HardThresholding):
        assert torch.equal(found.support, errors != 0)
    assert bool(found.converged.all()) and bool(found.in_reach.all())
    assert bool((found.residual < 1e-6).all()) and bool((found.steps > 0).all())


def test_messages_never_seen_are_recalled_like_stored_ones(code):
    memory = filled(code, 1000)
    stored, fresh = code.draw(1000, generator=seeded(1))[1], code.draw(1000, generator=seeded(9))[1]
    rates = []
    for patterns in (stored[:300], fresh[:300]):
        found = memory.recall(patterns + random_errors(patterns, 20, generator=seeded(3)))
        rates.append(float(((found.patterns - patterns).norm(dim=1) < 1e-3 * patterns.norm(dim=1)).double().mean()))
    assert rates[0] > 0.5 and abs(rates[0] - rates[1]) <= 0.06


def test_missing_entries_are_filled_and_known_ones_stay(code):
    patterns = code.draw(10, generator=seeded(4))[1]
    known = torch.rand(10, N, generator=seeded(5)) < 0.75
    found = filled(code).recall(torch.where(known, patterns, torch.nan), known)
    assert torch.allclose(found.patterns, patterns, atol=1e-5)
    assert torch.equal(found.patterns[known], patterns[known])
    assert torch.equal(found.support, ~known) and not bool(found.errors.any())
    assert bool(found.converged.all())


def test_missing_entries_of_patterns_about_a_mean_are_filled(code):
    patterns = code.draw(90, generator=seeded(1))[1] + 5
    memory = SparseRecoveryMemory(N, learning=Exact(centre=True))
    memory.store(patterns)
    known = torch.rand(90, N, generator=seeded(5)) < 0.75
    assert torch.allclose(memory.recall(patterns, known).patterns, patterns, atol=1e-5)


def test_known_entries_that_contradict_each_other_are_not_said_to_have_converged(code):
    patterns = code.draw(10, generator=seeded(4))[1]
    known = torch.rand(10, N, generator=seeded(5)) < 0.75
    known[:, 0] = True
    patterns[5:, 0] += 10
    assert filled(code).recall(patterns, known).converged.tolist() == [True] * 5 + [False] * 5


def test_more_missing_entries_than_constraints_are_out_of_reach(code):
    patterns, missing = code.draw(4, generator=seeded(4))[1], N - R + torch.tensor([0, 0, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = filled(code).recall(patterns, torch.arange(N) >= missing[:, None])
    assert found.in_reach.tolist() == [True, True, False, False]
    missing[1] += 1
    with pytest.warns(CapacityWarning, match="do not fit"):
        found = filled(code).recall(patterns, torch.arange(N) >= missing[:, None])
    assert found.in_reach.tolist() == [True, False, False, False]


def test_a_recalled_pattern_obeys_the_constraints_even_where_it_is_wrong(code):
    patterns, errors = queries(code, 50)
    with pytest.warns(CapacityWarning, match="do not fit"):
        found = filled(code).recall(patterns + errors)
    assert not torch.allclose(found.patterns, patterns, atol=1e-2)
    assert bool((found.residual <= 1e-7 * patterns.norm(dim=1)).all())
    assert not bool(found.in_reach.all())


def test_small_errors_everywhere_are_said_not_to_fit(code):
    patterns = code.draw(20, generator=seeded(2))[1]
    with pytest.warns(CapacityWarning, match="do not fit"):
        filled(code).recall(patterns + 0.1 * torch.randn(20, N, generator=seeded(3), dtype=torch.float64))


def test_an_unfinished_decoder_does_not_claim_to_have_converged(code):
    patterns, errors = queries(code, 20)
    found = filled(code, decoder=LinearisedBregman(steps=2)).recall(patterns + errors)
    wrong = ~torch.isclose(found.patterns, patterns, atol=1e-3).all(1)
    assert bool(wrong.any()) and not bool(found.converged[wrong].any())


def test_a_mean_is_learned_in_parts(code):
    patterns = code.draw(90, generator=seeded(1))[1] + 5
    whole, parts = (SparseRecoveryMemory(N, learning=Exact(centre=True)) for _ in range(2))
    whole.store(patterns)
    for some in patterns.split(20):
        parts.store(some)
    assert torch.allclose(parts.subspace.mean, patterns.mean(0))
    assert len(whole.subspace.dual) == len(parts.subspace.dual) == N - R
    assert float(parts.subspace.violation(patterns - patterns.mean(0)).abs().max()) < 1e-9
    errors = random_errors(patterns, 6, generator=seeded(3))
    assert torch.allclose(parts.recall(patterns + errors).patterns, patterns, atol=1e-6)


def test_batches_and_precision(code):
    patterns, errors = queries(code, 8)
    memory = filled(code)
    whole, split = memory.recall(patterns + errors), memory.recall(patterns + errors, batch_size=7)
    assert len(split) == 20
    assert torch.allclose(whole.errors, split.errors, atol=1e-8) and torch.equal(whole.support, split.support)
    single = memory.float().recall((patterns + errors).float())
    assert single.patterns.dtype == torch.float32
    assert torch.allclose(single.patterns.double(), patterns, atol=2e-2) and torch.equal(single.support, errors != 0)


@pytest.mark.parametrize(
    "options",
    [
        {"decoder": Bregman(penalty=0.02), "learning": Exact(rank=R)},
        {"decoder": Denoising(0.5), "learning": OrthogonalIteration(R, seed=3)},
        {"decoder": HardThresholding(5), "learning": GramSchmidt()},
        {"decoder": Expander("majority")},
    ],
)
def test_settings_survive_saving(code, tmp_path, options):
    memory = filled(code, **options)
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert isinstance(loaded, SparseRecoveryMemory)
    assert repr(loaded) == repr(memory) and len(loaded) == R
    assert torch.allclose(loaded.subspace.dual, memory.subspace.dual)


def test_learned_sparse_constraints_decode():
    code = LinearCode.of_constraints(sparse_constraints(80, 20, 3, generator=seeded()))
    memory = SparseRecoveryMemory(80, decoder=Expander())
    patterns = torch.randn(100, 60, generator=seeded(1), dtype=torch.float64) @ code.directions
    memory.store(patterns)
    errors = random_errors(patterns[:20], 2, generator=seeded(2))
    found = memory.recall(patterns[:20] + errors)
    right = torch.isclose(found.errors, errors, atol=1e-6).all(1)
    assert float(right.double().mean()) >= 0.9
    assert bool(found.converged[right].all())


def test_a_cue_without_error_comes_back_as_it_is(code):
    patterns, errors = queries(code, 8)
    errors[::2] = 0
    for dtype in (torch.float32, torch.float64):
        cues = (patterns + errors).to(dtype)
        found = filled(code).to(dtype).recall(cues)
        assert torch.equal(found.patterns[::2], cues[::2]) and not bool(found.support[::2].any())
        assert found.steps[::2].tolist() == [0] * 10 and bool((found.steps[1::2] > 0).all())
        assert torch.equal(found.support[1::2], errors[1::2] != 0) and bool(found.converged.all())


@pytest.mark.skipif("ATTRACTOR_TYPE_HOOK" in os.environ, reason="the type checker calls in between")
def test_a_warning_points_at_the_call(code):
    with pytest.warns(CapacityWarning) as caught:
        filled(code).recall(torch.randn(5, N, generator=seeded(77), dtype=torch.float64))
    assert [warning.filename for warning in caught] == [__file__]


def test_tensors_of_another_way_to_learn_are_not_restored(code):
    memory = filled(code)
    with pytest.raises(ValueError, match=r"contents must hold .*'factor', 'mean'"):
        memory.restore({"basis": torch.zeros(3, N)})
    with pytest.raises(ValueError, match="contents must hold"):
        memory.restore({})
    with pytest.raises(ValueError, match="factor must have width 120"):
        memory.restore({"factor": torch.zeros(3, N + 1), "mean": torch.zeros(N)})
    assert len(memory.subspace.dual) == N - R


def test_bad_input_is_refused_by_name(code):
    memory = SparseRecoveryMemory(4)
    memory.store(torch.randn(10, 4, generator=seeded()))
    with pytest.raises(ValueError, match=r"leave a constraint.*do not fit"):
        memory.recall(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="errors must be at most the number of constraints, 60, got 61"):
        filled(code, decoder=HardThresholding(61)).recall(torch.ones(1, N, dtype=torch.float64))
    assert HardThresholding(60).decode(torch.ones(1, N, dtype=torch.float64), filled(code).subspace).errors.shape == (1, N)
    with pytest.raises(ValueError, match="rank must be below the width of a pattern, 4, got 4"):
        SparseRecoveryMemory(4, learning=OrthogonalIteration(4)).store(torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"rank must be at most.*59, got 60"):
        filled(code, R - 1, learning=Exact(rank=R)).recall(torch.ones(1, N, dtype=torch.float64))
    with pytest.raises(ValueError, match="floating point"):
        filled(code).recall(torch.ones(1, N, dtype=torch.complex64))
    with pytest.raises(ValueError, match="single or double precision"):
        SparseRecoveryMemory(4).store(torch.ones(2, 4, dtype=torch.float16))
    with pytest.raises(TypeError, match="decoder"):
        SparseRecoveryMemory(4, decoder="bregman")
    with pytest.raises(TypeError, match="learning"):
        SparseRecoveryMemory(4, learning="svd")
    with pytest.raises(ValueError, match="must not be empty"):
        filled(code).store(torch.zeros(0, N, dtype=torch.float64))
    with pytest.raises(TypeError, match="cannot forget"):
        filled(code).forget(torch.tensor([0]))


def test_a_decoder_that_lets_noise_be_settles_where_some_entries_are_missing(code):
    patterns = code.draw(10, generator=seeded(8))[1]
    noisy = patterns + 0.1 * torch.randn(patterns.shape, generator=seeded(9))
    known = torch.rand(patterns.shape, generator=seeded(10)) > 0.1
    lenient, strict = (filled(code, decoder=decoder).recall(noisy, known) for decoder in (Denoising(0.3), BasisPursuit()))
    assert lenient.converged.all() and not strict.converged.any()
