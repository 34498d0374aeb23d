"""Registers against the definitions of the paper."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory.entropic import loop_form
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attractor.memory import EntropicRegisters
from attractor.memory.entropic import drawing
from attractor.memory.entropic import registers as registers_module

CASES = 200


def objects(count, n, m, generator, undefined=0.0):
    codes = torch.randint(m, (count, n), generator=generator)
    return torch.where(torch.rand(count, n, generator=generator) < undefined, -1, codes)


def filled(count, n, m, *, seed=0, **options):
    registers = EntropicRegisters(1, n, m, **options)
    codes = objects(count, n, m, torch.Generator().manual_seed(seed))
    registers.register(codes)
    return registers, codes


def test_registers_equal_the_loop_form_exactly():
    """Undefined values, thresholds, weights at the cap, both treatments of what is undefined."""
    rng = np.random.default_rng(0)
    accepted = []
    for case in range(CASES):
        generator = torch.Generator().manual_seed(case)
        n, m, cap = int(rng.integers(1, 9)), int(rng.integers(1, 7)), int(rng.choice([1, 3, 1023]))
        asked = {
            "iota": float(rng.choice([0, 0.3, 0.7, 1.0, 1.5])),
            "kappa": float(rng.choice([0, 0.5, 0.9, 1.3])),
            "xi": int(rng.integers(0, n + 1)) if rng.random() < 0.5 else 0,
            "undefined": str(rng.choice(["ignore", "miss"])),
        }
        registers = EntropicRegisters(1, n, m, cap=cap, **asked)
        codes = objects(int(rng.integers(1, 30)), n, m, generator, undefined=0.2)
        registers.register(codes)
        table = np.zeros((n, m), dtype=int)
        loop_form.register(table, codes.tolist(), cap)
        assert np.array_equal(registers.weights[0].numpy(), table)
        assert float(registers.entropy()) == pytest.approx(loop_form.entropy(table), abs=1e-12)
        cues = torch.cat([codes, objects(10, n, m, generator, undefined=0.2)])
        found = registers.recognise(cues)
        expected = [loop_form.recognise(table, cue, **asked) for cue in cues.tolist()]
        assert found.accepted[:, 0].tolist() == [each[0] for each in expected]
        assert found.misses[:, 0].tolist() == [each[1] for each in expected]
        assert found.weight[:, 0].tolist() == [each[2] for each in expected]
        assert torch.equal(found.relative, found.weight / max(1, table.max()))
        assert found.expected[:, 0].tolist() == pytest.approx([each[3] for each in expected], abs=1e-12)
        accepted.append(found.accepted.double().mean())
    assert 0.2 < sum(accepted) / CASES < 0.9


@given(st.integers(0, 1000), st.sampled_from([2, 1023]))
def test_one_by_one_in_any_order_equals_all_at_once_below_and_above_the_cap(seed, cap):
    generator = torch.Generator().manual_seed(seed)
    codes = objects(12, 5, 3, generator, undefined=0.1)
    whole, single = EntropicRegisters(1, 5, 3, cap=cap), EntropicRegisters(1, 5, 3, cap=cap)
    whole.register(codes)
    for row in torch.randperm(12, generator=generator):
        single.register(codes[row][None])
    assert torch.equal(whole.weights, single.weights)
    assert int(whole.weights.max()) <= cap


@given(st.integers(0, 1000), st.sampled_from([3, 1023]))
def test_merged_registers_equal_one_that_registered_both(seed, cap):
    generator = torch.Generator().manual_seed(seed)
    codes = objects(20, 4, 3, generator)
    parts = [EntropicRegisters(1, 4, 3, cap=cap) for _ in range(3)]
    for registers, some in zip(parts, (codes[:8], codes[8:], codes), strict=True):
        registers.register(some)
    parts[0].merge(parts[1])
    assert torch.equal(parts[0].weights, parts[2].weights)


def test_unregistering_is_exact_below_the_cap_and_refused_at_it():
    registers, codes = filled(30, 6, 4, cap=50)
    before = EntropicRegisters(1, 6, 4, cap=50)
    before.register(codes[:20])
    registers.unregister(codes[20:])
    assert torch.equal(registers.weights, before.weights)
    full = EntropicRegisters(1, 6, 4, cap=2)
    full.register(codes)
    held = full.weights.clone()
    with pytest.raises(ValueError, match="cap, 2"):
        full.unregister(codes[:1])
    with pytest.raises(ValueError, match="hold less than is taken out"):
        before.unregister(codes)
    assert torch.equal(full.weights, held)


def chi_square_passes(counts: Tensor, odds: np.ndarray) -> bool:
    stats = pytest.importorskip("scipy.stats")
    expected = odds * int(counts.sum())
    rare = expected < 5
    seen, wanted = counts.numpy()[~rare], expected[~rare]
    if expected[rare].sum() > 0:
        seen, wanted = np.append(seen, counts.numpy()[rare].sum()), np.append(wanted, expected[rare].sum())
    return len(seen) < 2 or stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-4


@pytest.mark.parametrize("together", [20_000, 16])
def test_retrieved_rows_follow_their_law(together):
    """20,000 draws for one cue: all at once, which makes a table of all cue values, and few at a time, which does not."""
    registers, codes = filled(40, 60, 16, sigma=0.15)
    cue = codes[:1].clone()
    cue[0, :10] = -1
    registers.weights[0, 20] = 0
    registers.weights[0, 20, 3] = 5
    draws = 20_000
    generator = torch.Generator().manual_seed(1)
    repeated = cue.expand(together, -1)
    registers.xi = 60
    drawn = torch.cat([registers.retrieve(repeated, generator=generator).codes for _ in range(draws // together)])
    passed = []
    for column in range(60):
        odds = loop_form.chances(registers.weights[0, column], int(cue[0, column]), 0.15 * 16)
        passed.append(chi_square_passes(drawn[:, column].bincount(minlength=16), odds))
    assert sum(passed) >= 0.95 * 60
    assert bool((drawn[:, 20] == 3).all())


def test_the_law_holds_where_products_would_underflow():
    """The cue is 100 deviations away from all that is held: the nearer of two equal rows is drawn, and no row without weight."""
    registers = EntropicRegisters(1, 1, 200, sigma=0.005, xi=1)
    registers.weights[0, 0, 150] = 1
    registers.weights[0, 0, 190] = 1000
    found = registers.retrieve(torch.tensor([[50]]).expand(500, -1)).codes
    assert bool((found == 150).all())


@pytest.mark.parametrize("cues", [3, 300])
def test_deterministic_retrieval_takes_the_most_probable_row(cues):
    registers, _ = filled(50, 20, 9, sigma=0.2)
    codes = objects(cues, 20, 9, torch.Generator().manual_seed(5), undefined=0.2)
    registers.xi = 20
    found = registers.retrieve(codes, deterministic=True).codes
    for cue, rows in zip(codes[:3].tolist(), found[:3].tolist(), strict=True):
        for column, (value, row) in enumerate(zip(cue, rows, strict=True)):
            odds = loop_form.chances(registers.weights[0, column], value, 0.2 * 9)
            assert odds[row] == pytest.approx(odds.max(), rel=1e-5)


def test_same_seed_same_objects_other_seed_others_and_the_global_generator_is_left_alone():
    registers, codes = filled(40, 30, 8, sigma=0.3)
    state = torch.get_rng_state()
    found = [registers.retrieve(codes, generator=torch.Generator().manual_seed(seed)).codes for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), state)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 9), st.integers(1, 30))
@settings(max_examples=60)
def test_retrieved_rows_have_weight_and_registered_objects_are_accepted(seed, n, m, count):
    registers, codes = filled(count, n, m, seed=seed, sigma=0.3)
    found = registers.retrieve(codes)
    assert bool(found.accepted.all())
    assert bool((registers.weights[0].gather(1, found.codes.T) > 0).all())
    assert 0 <= float(registers.entropy()) <= math.log2(m) + 1e-12


def test_copies_of_one_object_have_no_entropy():
    registers = EntropicRegisters(1, 7, 5)
    registers.register(torch.arange(7)[None].remainder(5).expand(9, -1))
    assert float(registers.entropy()) == 0.0


@given(st.integers(0, 1000))
@settings(max_examples=40)
def test_acceptance_rises_with_xi_and_what_is_registered_and_falls_with_iota_and_kappa(seed):
    generator = torch.Generator().manual_seed(seed)
    codes, cues = objects(30, 6, 5, generator), objects(60, 6, 5, generator)

    def accepted(count=30, **asked):
        registers = EntropicRegisters(1, 6, 5, **asked)
        registers.register(codes[:count])
        return registers.recognise(cues).accepted

    def rises(steps):
        return all(bool((low <= high).all()) for low, high in pairwise(steps))

    assert rises([accepted(xi=xi) for xi in range(7)])
    assert rises([accepted(count=count) for count in (1, 5, 30)])
    assert rises([accepted(iota=iota) for iota in (2.0, 1.0, 0.5, 0.0)])
    assert rises([accepted(kappa=kappa, xi=2) for kappa in (2.0, 1.0, 0.5, 0.0)])
    assert bool(accepted(xi=6).all())


def test_an_empty_register_accepts_nothing_and_draws_nothing():
    registers = EntropicRegisters(1, 3, 4, xi=3)
    found = registers.retrieve(torch.tensor([[0, 1, 2]]))
    assert not bool(found.accepted) and found.codes.tolist() == [[-1, -1, -1]]
    assert float(registers.entropy()) == 0.0


def test_a_column_without_weight_is_undefined_in_what_is_retrieved():
    registers = EntropicRegisters(1, 3, 4, xi=1)
    registers.register(torch.tensor([[2, -1, 3]]))
    for cues in (1, 50):
        found = registers.retrieve(torch.tensor([[2, 0, 3]]).expand(cues, -1))
        assert found.codes.unique(dim=0).tolist() == [[2, -1, 3]]


def test_registers_side_by_side_equal_single_ones():
    generator = torch.Generator().manual_seed(0)
    codes, labels = objects(60, 5, 6, generator), torch.randint(3, (60,), generator=generator)
    cues = objects(200, 5, 6, generator, undefined=0.1)
    asked = torch.randint(3, (200,), generator=generator)
    settings = {"iota": 0.5, "kappa": 0.3, "xi": 2, "sigma": 0.2}
    registers = EntropicRegisters(3, 5, 6, **settings)
    registers.register(codes, labels)
    found, chosen = registers.recognise(cues), registers.retrieve(cues, asked, deterministic=True)
    few = registers.retrieve(cues[:4], asked[:4], deterministic=True)
    assert torch.equal(few.codes, chosen.codes[:4])
    for label in range(3):
        single = EntropicRegisters(1, 5, 6, **settings)
        single.register(codes[labels == label])
        assert torch.equal(registers.weights[label], single.weights[0])
        assert float(registers.entropy()[label]) == float(single.entropy())
        for one, other in zip(found, single.recognise(cues), strict=True):
            assert torch.equal(one[:, label], other[:, 0])
        mine = asked == label
        assert torch.equal(chosen.codes[mine], single.retrieve(cues[mine], deterministic=True).codes)


def test_the_class_is_that_of_least_entropy_over_weight():
    generator = torch.Generator().manual_seed(0)
    registers = EntropicRegisters(3, 5, 4, xi=2)
    registers.register(objects(60, 5, 4, generator), torch.randint(3, (60,), generator=generator))
    cues = objects(50, 5, 4, generator)
    found, entropy = registers.recognise(cues), registers.entropy()
    for cue, label in enumerate(registers.classify(cues).tolist()):
        costs = {r: float(entropy[r] / found.weight[cue, r]) for r in range(3) if found.accepted[cue, r]}
        assert label == (min(costs, key=costs.get) if costs else -1)


def test_a_register_that_refuses_is_not_the_class_however_certain_it_is():
    registers = EntropicRegisters(2, 2, 4)
    registers.register(torch.tensor([[0, 1]] * 9 + [[0, 2], [1, 2]]), torch.tensor([0] * 9 + [1, 1]))
    assert registers.classify(torch.tensor([[0, 1], [0, 2], [3, 3]])).tolist() == [0, 1, -1]


def test_a_weight_of_nothing_is_no_division_by_zero():
    registers = EntropicRegisters(2, 2, 3, xi=2)
    registers.register(torch.tensor([[0, 0], [2, 2]]), torch.tensor([0, 1]))
    assert registers.classify(torch.tensor([[1, 1], [2, 2], [0, 0]])).tolist() == [0, 1, 0]


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest tensor has that an operation makes."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and not func.is_view:
            self.numbers = max(self.numbers, made.numel())
        return made


@pytest.mark.parametrize("cues", [100, 600])
def test_operations_need_the_table_the_cues_and_one_chunk(cues):
    """A table of all cue values would have 17 million numbers, the rows of all cues 3 or 20 million."""
    registers, _ = filled(50, 64, 512, iota=0.5)
    codes = objects(cues, 64, 512, torch.Generator().manual_seed(1))
    with Largest() as largest:
        registers.recognise(codes)
        registers.retrieve(codes)
        registers.register(codes)
    assert 100_000 < largest.numbers <= max(drawing.NUMBERS_AT_ONCE, 513 * 512)


@pytest.mark.parametrize("cues", [4, 300])
def test_the_size_of_chunks_changes_nothing(monkeypatch, cues):
    registers, _ = filled(50, 20, 9, sigma=0.2, kappa=0.4, iota=0.3, xi=5)
    codes = objects(cues, 20, 9, torch.Generator().manual_seed(1), undefined=0.1)

    def everything():
        fresh = EntropicRegisters(1, 20, 9)
        fresh.register(codes)
        return (*registers.recognise(codes), registers.retrieve(codes).codes, fresh.weights)

    before = everything()
    for module in (drawing, registers_module):
        monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 200)
    for one, other in zip(before, everything(), strict=True):
        # a product of matrices may round its sums in another order for another number of rows
        torch.testing.assert_close(one, other, rtol=1e-14 if one.is_floating_point() else 0, atol=0)


def test_retrieval_is_ten_times_as_fast_as_the_loop():
    registers, codes = filled(600, 1024, 16)
    cues, table, rng = codes[:512], registers.weights[0].numpy(), np.random.default_rng(0)
    registers.retrieve(cues)
    ratios = []
    for _ in range(3):
        start = time.process_time()
        registers.retrieve(cues)
        ours = (time.process_time() - start) / len(cues)
        start = time.process_time()
        for cue in cues[:3].tolist():
            loop_form.retrieve(table, cue, 0.025, rng)
        ratios.append((time.process_time() - start) / 3 / ours)
    assert sorted(ratios)[1] >= 10, ratios


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"m": 0}, "m must be at least 1"),
        ({"count": 0}, "count must be"),
        ({"sigma": 0.0}, "sigma must be a positive"),
        ({"sigma": -1.0}, "sigma must be a positive"),
        ({"iota": -0.1}, "iota must be"),
        ({"kappa": -0.1}, "kappa must be"),
        ({"xi": -1}, "xi must be"),
        ({"xi": 4}, "xi must be at most n = 3"),
        ({"cap": 0}, "cap must be"),
        ({"cap": 2**31}, "cap must be"),
        ({"undefined": "maybe"}, "undefined must be"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EntropicRegisters(**({"count": 1, "n": 3, "m": 4} | options))


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        (torch.tensor([[0, 1]]), ValueError, r"codes must have shape \(rows, 3\)"),
        (torch.tensor([0, 1, 2]), ValueError, "codes must have shape"),
        (torch.tensor([[0, 1, 4]]), ValueError, r"codes must be from 0 to 3.*rows \[0\]"),
        (torch.tensor([[0, 1, -2]]), ValueError, "codes must be from 0 to 3"),
        (torch.tensor([[0.0, 1.0, 2.0]]), TypeError, "ColumnQuantiser"),
        ([[0, 1, 2]], TypeError, "codes must be a torch.Tensor"),
    ],
)
def test_wrong_objects_are_refused_and_change_nothing(codes, error, message):
    registers = EntropicRegisters(1, 3, 4)
    for operation in (registers.register, registers.unregister, registers.recognise, registers.retrieve, registers.classify):
        with pytest.raises(error, match=message):
            operation(codes)
    assert int(registers.weights.sum()) == 0


def test_wrong_labels_and_unlike_registers_are_refused():
    registers, codes = EntropicRegisters(2, 3, 4), torch.tensor([[0, 1, 2]])
    with pytest.raises(ValueError, match="which of the 2 registers"):
        registers.register(codes)
    with pytest.raises(ValueError, match="labels must be from 0 to 1"):
        registers.register(codes, torch.tensor([2]))
    with pytest.raises(ValueError, match="labels must have shape"):
        registers.retrieve(codes, torch.tensor([0, 1]))
    with pytest.raises(TypeError, match="labels must be an integer"):
        registers.register(codes, torch.tensor([0.0]))
    with pytest.raises(ValueError, match="as many registers"):
        registers.merge(EntropicRegisters(2, 3, 5))
    with pytest.raises(TypeError, match="other must be"):
        registers.merge(torch.zeros(2))
