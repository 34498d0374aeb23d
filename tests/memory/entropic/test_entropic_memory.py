"""Entropic memory: the verbs of a memory, and the system around it."""

from functools import partial

import numpy as np
import pytest
import torch
from memory.entropic import loop_form

from attractor import PCA, Encoded, Memory, Quantise
from attractor.memory import (
    MEMORIES,
    Autoencoder,
    Binarise,
    ColumnQuantiser,
    EntropicMemory,
    association_chain,
    calibrate,
    entropic_system,
)
from attractor.testing import check_memory

REAL_ROWS = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))


def levels(count, n=12, m=5, seed=0):
    return torch.randint(m, (count, n), generator=torch.Generator().manual_seed(seed)).float()


def filled(count=40, n=12, m=5, **options):
    memory = EntropicMemory(n, m, **options)
    patterns = levels(count, n, m)
    memory.store(patterns)
    return memory, patterns


@pytest.mark.parametrize(
    "build",
    [
        partial(EntropicMemory, 16, 4),
        partial(EntropicMemory, 16, 4, xi=5, iota=0.5, kappa=0.2, sigma=0.3),
        partial(EntropicMemory, 16, 4, undefined="miss", cap=50),
        lambda: Encoded(EntropicMemory(16, 8, xi=3), Quantise(8, -2, 2)),
    ],
)
def test_the_contract_of_a_memory_is_kept(build):
    check_memory(build)


def test_it_is_registered():
    assert MEMORIES["entropic"] is EntropicMemory


def test_settings_that_are_not_given_are_those_of_the_paper():
    registers = EntropicMemory(4, 8).registers
    assert (registers.iota, registers.kappa, registers.xi, registers.sigma, registers.cap) == (0.0, 0.0, 0, 0.025, 1023)
    assert registers.undefined == "ignore"


def test_the_table_and_recognition_are_those_of_the_loop_form():
    memory, patterns = filled(iota=0.6, kappa=0.5, xi=4, cap=9)
    table = np.zeros((12, 5), dtype=int)
    loop_form.register(table, patterns.long().tolist(), 9)
    assert np.array_equal(memory.weights.numpy(), table)
    cues = levels(60, seed=1)
    expected = [loop_form.recognise(table, cue, iota=0.6, kappa=0.5, xi=4) for cue in cues.long().tolist()]
    assert memory.recall(cues).accepted.tolist() == [each[0] for each in expected]
    assert memory.recognise(cues.long()).weight.tolist() == [each[2] for each in expected]


def test_a_refused_cue_comes_back_as_given_and_the_others_are_drawn():
    memory, patterns = filled(6, sigma=0.5)
    cues = torch.cat([patterns, levels(20, seed=1)])
    found = memory.recall(cues)
    accepted = found.accepted
    assert bool(accepted[:6].all()) and 0 < int(accepted.sum()) < 26
    assert torch.equal(found.patterns[~accepted], cues[~accepted])
    assert not torch.equal(found.patterns[accepted], cues[accepted])
    assert torch.equal(found.steps, accepted.long()) and bool(found.converged.all())
    assert bool((memory.weights.gather(1, found.patterns[accepted].long().T) > 0).all())


def test_unknown_columns_are_no_evidence_and_are_drawn_by_their_weights():
    memory = EntropicMemory(3, 4)
    memory.store(torch.tensor([[0.0, 1.0, 3.0]]).expand(9, -1))
    memory.store(torch.tensor([[0.0, 2.0, 3.0]]))
    cues = torch.tensor([[0.0, 3.0, 3.0]]).expand(4000, -1)
    known = torch.tensor([[True, False, True]]).expand(4000, -1)
    found = memory.recall(cues, known)
    assert bool(found.accepted.all()) and not bool(memory.recall(cues).accepted.any())
    drawn = found.patterns[:, 1].long().bincount(minlength=4)
    assert drawn[0] == drawn[3] == 0 and abs(float(drawn[2]) / 4000 - 0.1) < 0.02
    strict = EntropicMemory(3, 4, undefined="miss")
    strict.store(torch.tensor([[0.0, 1.0, 3.0]]))
    assert not bool(strict.recall(cues, known).accepted.any())


def test_what_is_unknown_of_a_refused_cue_is_the_commonest_level():
    memory = EntropicMemory(2, 4)
    memory.store(torch.tensor([[0.0, 3.0], [0.0, 3.0], [0.0, 1.0]]))
    found = memory.recall(torch.tensor([[2.0, torch.nan]]), torch.tensor([[True, False]]))
    assert not bool(found.accepted) and found.patterns.tolist() == [[2.0, 3.0]]


def test_partial_objects_are_registered_where_they_are_known_and_recognised_again():
    memory, patterns = EntropicMemory(12, 5), levels(20)
    known = torch.rand(20, 12, generator=torch.Generator().manual_seed(2)) < 0.6
    known[:, 0] = True
    memory.store(torch.where(known, patterns, torch.nan), known=known)
    assert torch.equal(memory.weights.sum(1), known.sum(0))
    assert bool(memory.recall(patterns, known).accepted.all())
    strict = EntropicMemory(12, 5, undefined="miss")
    strict.store(patterns, known=known)
    assert not bool(strict.recall(patterns, known).accepted.all())
    memory.forget(patterns, known=known)
    assert int(memory.weights.sum()) == 0 and len(memory) == 0


def test_a_generator_gives_several_retrievals_of_one_cue():
    memory, patterns = filled(sigma=0.5)
    generator = torch.Generator().manual_seed(0)
    first, second = (memory.recall(patterns, generator=generator).patterns for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, memory.recall(patterns).patterns)
    best = [memory.recall(patterns, deterministic=True, generator=torch.Generator().manual_seed(s)).patterns for s in (1, 2)]
    assert torch.equal(*best)


def test_saved_memories_and_states_recall_alike(tmp_path):
    memory, patterns = filled(iota=0.3, xi=2, sigma=0.4, cap=7)
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    copy = EntropicMemory(12, 5, iota=0.3, xi=2, sigma=0.4, cap=7)
    copy.load_state_dict(memory.state_dict())
    for other in (loaded, copy):
        assert torch.equal(other.recall(patterns).patterns, memory.recall(patterns).patterns) and len(other) == 40
        assert torch.equal(other.weights, memory.weights)


def test_merged_memories_equal_one_that_stored_both():
    whole, patterns = filled(40, cap=6)
    parts = EntropicMemory(12, 5, cap=6), EntropicMemory(12, 5, cap=6)
    parts[0].store(patterns[:25])
    parts[1].store(patterns[25:])
    parts[0].merge(parts[1])
    assert torch.equal(parts[0].weights, whole.weights) and len(parts[0]) == 40
    assert torch.equal(parts[0].recall(patterns).patterns, whole.recall(patterns).patterns)
    with pytest.raises(ValueError, match="n, m, cap"):
        parts[0].merge(EntropicMemory(12, 5))
    with pytest.raises(TypeError, match="other must be"):
        parts[0].merge(whole.registers)


def test_bad_input_is_refused_and_changes_nothing():
    memory, patterns = filled(cap=3)
    before = memory.weights.clone()
    for refused, error, message in [
        (lambda: memory.store(patterns + 0.5), ValueError, "Quantise"),
        (lambda: memory.store(patterns + 5), ValueError, "whole numbers from 0 to 4"),
        (lambda: memory.recall(patterns - 1), ValueError, "whole numbers from 0 to 4"),
        (lambda: memory.store(patterns, patterns), TypeError, "EntropicRelation"),
        (lambda: memory.forget(patterns.long()), TypeError, "keeps no ids"),
        (lambda: memory.forget(patterns), ValueError, "cap"),
        (lambda: memory.forget(patterns.repeat(2, 1)), ValueError, "80 while 40"),
        (lambda: memory.recognise(patterns), TypeError, "ColumnQuantiser"),
        (lambda: memory.energy(patterns), TypeError, "EntropicMemory"),
        (lambda: EntropicMemory(3, 4).recall(levels(2, 3, 4)), ValueError, "empty"),
        (lambda: EntropicMemory.from_configuration({"n": 3}, None), ValueError, "configuration"),
    ]:
        with pytest.raises(error, match=message):
            refused()
    assert torch.equal(memory.weights, before) and len(memory) == 40


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [2, 3, 16, 255])
def test_a_value_comes_back_within_half_a_step(count, dtype):
    rows = REAL_ROWS.to(dtype)
    quantiser = ColumnQuantiser.fit(rows, count)
    codes = quantiser.quantise(rows)
    assert int(codes.min()) == 0 and int(codes.max()) == count - 1
    step = (rows.amax(0) - rows.amin(0)) / (count - 1)
    back = quantiser.dequantise(codes.to(dtype))
    assert back.dtype == dtype and bool(((back - rows).abs() <= step * (0.5 + 1e-5)).all())
    assert torch.equal(quantiser.quantise(back), codes)


def test_halves_are_rounded_to_the_even_number():
    quantiser = ColumnQuantiser.fit(torch.tensor([[0.0], [4.0]]), 5)
    assert quantiser.quantise(torch.tensor([[0.5], [1.5], [2.5]])).flatten().tolist() == [0, 2, 2]


def test_one_level_gives_the_middle_and_a_constant_column_itself():
    rows = torch.tensor([[2.0, 7.0], [6.0, 7.0]])
    one, five = ColumnQuantiser.fit(rows, 1), ColumnQuantiser.fit(rows, 5)
    assert one.quantise(rows).tolist() == [[0, 0], [0, 0]]
    assert one.dequantise(one.quantise(rows)).tolist() == [[4.0, 7.0], [4.0, 7.0]]
    assert five.quantise(rows)[:, 1].tolist() == [0, 0]
    assert torch.equal(five.dequantise(five.quantise(rows)), rows)


def test_nan_is_undefined_and_what_lies_beyond_is_as_asked():
    rows, strange = torch.tensor([[0.0], [1.0]]), torch.tensor([[-0.4], [torch.nan], [1.4], [0.5], [torch.inf]])
    found = {kind: ColumnQuantiser.fit(rows, 3, out_of_range=kind) for kind in ("clip", "undefined", "error")}
    assert found["clip"].quantise(strange).flatten().tolist() == [0, -1, 2, 1, 2]
    assert found["undefined"].quantise(strange).flatten().tolist() == [-1, -1, -1, 1, -1]
    with pytest.raises(ValueError, match=r"3 values are not, the first -0\.4 in row 0 and column 0"):
        found["error"].quantise(strange)
    assert found["error"].encode(rows).tolist() == [[0.0], [2.0]]
    with pytest.raises(ValueError, match="'clip' or 'error'"):
        found["undefined"].encode(rows)


def test_percentiles_leave_outliers_out():
    rows = torch.cat([torch.linspace(0, 1, 999), torch.tensor([1000.0])])[:, None]
    quantiser = ColumnQuantiser.fit(rows, 8, percentiles=(0.5, 99.5))
    expected = torch.quantile(rows.double(), torch.tensor([0.005, 0.995], dtype=torch.float64))
    assert torch.allclose(torch.stack([quantiser.low, quantiser.high]).flatten(), expected)


@pytest.mark.parametrize("options", [{"percentiles": (5.0, 5.0)}, {"percentiles": (-1.0, 50.0)}, {"out_of_range": "wrap"}])
def test_settings_of_a_quantiser_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ColumnQuantiser.fit(REAL_ROWS, 4, **options)


def test_a_system_is_saved_whole(tmp_path):
    memory = entropic_system(PCA.fit(REAL_ROWS, 3), REAL_ROWS, 8, sigma=0.1)
    memory.store(REAL_ROWS)
    found = memory.recall(REAL_ROWS)
    assert bool(found.accepted.all())
    memory.save(tmp_path / "memory")
    loaded = Encoded.load(tmp_path / "memory")
    assert torch.equal(loaded.recall(REAL_ROWS).patterns, found.patterns)


def test_transformers_of_scikit_learn_and_modules_are_encoders():
    decomposition = pytest.importorskip("sklearn.decomposition")
    pca = decomposition.PCA(3).fit(REAL_ROWS.numpy())
    coder = Autoencoder(pca.transform, pca.inverse_transform, width=6, code_width=3)
    ours = PCA.fit(REAL_ROWS, 3)
    assert torch.allclose(coder.encode(REAL_ROWS).abs(), ours.encode(REAL_ROWS).abs(), atol=1e-4)
    memory = entropic_system(coder, REAL_ROWS, 8)
    memory.store(REAL_ROWS)
    assert memory.recall(REAL_ROWS).patterns.shape == REAL_ROWS.shape
    module = Autoencoder(torch.nn.Linear(6, 2), torch.nn.Linear(2, 6), width=6, code_width=2)
    memory = entropic_system(module, REAL_ROWS, 8)
    memory.store(REAL_ROWS)
    assert not memory.recall(REAL_ROWS).patterns.requires_grad
    with pytest.raises(TypeError, match="cannot be saved"):
        coder.settings()
    with pytest.raises(ValueError, match="give width 5"):
        Autoencoder(pca.transform, pca.inverse_transform, width=6, code_width=5).encode(REAL_ROWS)
    with pytest.raises(TypeError, match="decode must be"):
        Autoencoder(pca.transform, None, width=6, code_width=3)
    with pytest.raises(TypeError, match="encoder must be an Encoder"):
        entropic_system(pca, REAL_ROWS, 8)


def test_a_wrong_number_of_levels_is_refused():
    with pytest.raises(ValueError, match="levels"):
        Encoded(EntropicMemory(6, 8), ColumnQuantiser.fit(REAL_ROWS, 4))
    with pytest.raises(ValueError, match="levels"):
        Encoded(EntropicMemory(6, 8), Binarise())


def test_a_chain_is_recalls_of_recalls():
    memory, patterns = filled(200, sigma=0.3)
    generator = torch.Generator().manual_seed(4)
    chain = association_chain(memory, patterns[:5], 3, generator=generator)
    generator.manual_seed(4)
    state = patterns[:5]
    for depth in range(3):
        state = memory.recall(state, generator=generator).patterns
        assert torch.equal(chain.patterns[:, depth], state)
    assert bool(chain.accepted.all())


def test_a_refused_cue_stays_where_it_is_along_a_chain():
    memory, patterns = filled(3, sigma=0.5)
    stranger = (patterns[:1] + 2) % 5
    chain = association_chain(memory, torch.cat([stranger, patterns[:1]]), 4)
    assert chain.accepted.tolist() == [[False] * 4, [True] * 4]
    assert torch.equal(chain.patterns[0], stranger.expand(4, -1))


def test_a_wider_draw_leads_a_chain_further():
    """The narrowest stays at the cue; the widest forgets it."""
    memory = EntropicMemory(50, 32)
    memory.store(levels(500, 50, 32))
    cues, drifts = levels(20, 50, 32, seed=1), []
    for sigma in (0.01, 0.05, 0.25):
        memory.registers.sigma = sigma
        chain = association_chain(memory, cues, 6)
        assert bool(chain.accepted.all())
        drifts.append(float((chain.patterns[:, -1] - cues).abs().mean()))
    assert drifts[0] < drifts[1] / 2 < drifts[2] / 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_range_wider_than_its_precision_holds_is_quantised(dtype):
    most = torch.finfo(dtype).max
    rows = torch.tensor([[-most], [most]], dtype=dtype)
    quantiser = ColumnQuantiser.fit(rows, 5)
    codes = quantiser.quantise(torch.tensor([[-most], [0.0], [most], [-torch.inf], [torch.inf]], dtype=dtype))
    assert codes.flatten().tolist() == [0, 2, 4, 0, 4]
    assert torch.equal(quantiser.dequantise(torch.tensor([[0], [4]]).to(dtype)), rows)
    assert quantiser.dequantise(torch.tensor([[-1]]).to(dtype)).tolist() == [[0.0]]


def test_codes_of_another_width_are_no_values():
    with pytest.raises(ValueError, match="codes must have width 6"):
        ColumnQuantiser.fit(REAL_ROWS, 4).dequantise(torch.zeros(2, 5))


def strange_and_known(seed=0):
    """Known ones differ from strangers in how common their values are; both have some that miss."""
    generator = torch.Generator().manual_seed(seed)
    known = torch.randint(4, (600, 20), generator=generator) + torch.randint(4, (600, 20), generator=generator)
    return known.float(), torch.randint(8, (300, 20), generator=generator).float()


def test_calibration_finds_the_best_of_all_thresholds():
    known, strangers = strange_and_known()
    memory, plain = EntropicMemory(20, 8), EntropicMemory(20, 8)
    memory.store(known[:200])
    plain.store(known[:200])
    found = calibrate(memory, known[200:400], strangers, most=0.1)
    assert (memory.registers.iota, memory.registers.kappa, memory.registers.xi) == found[:3]
    assert float(memory.recall(known[200:400]).accepted.double().mean()) == pytest.approx(found.accepted)
    assert float(memory.recall(strangers).accepted.double().mean()) == pytest.approx(found.mistaken)
    assert found.mistaken <= 0.1 and found.accepted > 0.9
    best = 0.0
    for plain.registers.iota in (0.0, 0.3, 0.6, 1.0):
        for plain.registers.xi in range(0, 21, 2):
            for step in range(13):
                plain.registers.kappa = 0.7 + step / 20
                if float(plain.recall(strangers).accepted.double().mean()) <= 0.1:
                    best = max(best, float(plain.recall(known[200:400]).accepted.double().mean()))
    assert found.accepted >= best > 0.9


def test_calibrated_thresholds_hold_for_others_and_for_a_whole_system():
    known, strangers = strange_and_known()
    memory = Encoded(EntropicMemory(20, 8), Quantise(8, 0, 7))
    memory.store(known[:200])
    found = calibrate(memory, known[200:400], strangers[:150])
    assert found.mistaken <= 0.05
    assert float(memory.recall(strangers[150:]).accepted.double().mean()) < 0.15
    assert float(memory.recall(known[400:]).accepted.double().mean()) > found.accepted - 0.1
    assert calibrate(memory, known[200:400], strangers, most=0.0).mistaken == 0.0


def test_what_cannot_be_calibrated_is_refused_and_changes_nothing():
    memory, patterns = filled(iota=0.3, xi=2)
    for refused, error, message in [
        (lambda: calibrate(memory, patterns, patterns, most=1.0), ValueError, "most"),
        (lambda: calibrate(memory, patterns, patterns[:, 1:]), ValueError, "strangers must have width 12"),
        (lambda: calibrate(memory, patterns + 0.5, patterns), ValueError, "patterns must be whole"),
        (lambda: calibrate(EntropicMemory(12, 5), patterns, patterns), ValueError, "empty"),
        (lambda: calibrate(memory.registers, patterns, patterns), TypeError, "memory must be an EntropicMemory"),
    ]:
        with pytest.raises(error, match=message):
            refused()
    assert (memory.registers.iota, memory.registers.kappa, memory.registers.xi) == (0.3, 0.0, 2)


def test_the_table_of_bits_is_saved_and_recalls_by_its_own_law(tmp_path):
    memory, patterns = filled(sigma=None, cap=1)
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert loaded.registers.sigma is None
    assert torch.equal(loaded.recall(patterns).patterns, memory.recall(patterns).patterns)
