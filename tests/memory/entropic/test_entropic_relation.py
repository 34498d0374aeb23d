"""Hetero-associative entropic memory against its definition, and what testing samples is worth."""

import numpy as np
import pytest
import torch
from memory.entropic import loop_form

from attractor.memory import EntropicMemory, EntropicRelation, Memory
from attractor.memory.entropic import relation
from attractor.memory.entropic.projection import Projector

METHODS = ("random", "sample-and-test", "search-and-test")


def pairs(count, n=5, p=4, m=6, q=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(m, (count, n), generator=generator).float(), torch.randint(q, (count, p), generator=generator).float()


def filled(count=12, n=5, p=4, m=6, q=3, **options):
    memory = EntropicRelation(n, p, m, q, **options)
    patterns, values = pairs(count, n, p, m, q)
    memory.store(patterns, values)
    return memory, patterns, values


def families(count, families=10, n=12, p=10, m=8, q=8, noise=2, seed=0):
    """Pairs that belong to a few families on both sides: damaged copies of one pair each."""
    generator = torch.Generator().manual_seed(seed)
    left, right = torch.randint(m, (families, n), generator=generator), torch.randint(q, (families, p), generator=generator)
    chosen = torch.randint(families, (count,), generator=generator)

    def moved(rows, top):
        shift = torch.randint(-noise, noise + 1, rows.shape, generator=generator)
        return (rows + shift).clamp(0, top - 1).float()

    return moved(left[chosen], m), moved(right[chosen], q), right.float(), chosen


def table_by_hand(patterns, values, n, p, m, q, cap=1023):
    table = np.zeros((n, p, m, q), dtype=int)
    for a, b in zip(patterns.long().tolist(), values.long().tolist(), strict=True):
        for i in range(n):
            for j in range(p):
                table[i, j, a[i], b[j]] = min(cap, table[i, j, a[i], b[j]] + 1)
    return table


def projection_by_hand(table, cue, *, iota=0.0, xi=0, undefined="ignore"):
    n, p, _, q = table.shape
    found = np.zeros((p, q))
    for j in range(p):
        for k in range(q):
            misses, total = 0, 0
            for i in range(n):
                if cue[i] < 0:
                    misses += undefined == "miss"
                    continue
                plane = table[i, j]
                weight = plane[cue[i], k]
                mean = plane[plane > 0].mean() if (plane > 0).any() else 0
                misses += weight == 0 or weight < iota * mean
                total += weight
            found[j, k] = total if misses <= xi else 0
    return found


def test_the_table_is_that_of_the_definition():
    memory, patterns, values = filled(cap=2)
    assert np.array_equal(memory.weights.numpy(), table_by_hand(patterns, values, 5, 4, 6, 3, cap=2))


@pytest.mark.parametrize("iota", [0.0, 0.9])
@pytest.mark.parametrize("xi", [0, 2])
def test_projections_are_those_of_the_definition(iota, xi):
    memory, patterns, values = filled(40, iota=iota, xi=xi)
    table = table_by_hand(patterns, values, 5, 4, 6, 3)
    cues = torch.cat([patterns[:10], pairs(20, seed=3)[0]]).long()
    cues[::3, 1] = -1
    found = memory.project(cues)
    assert 0 < float((found > 0).double().mean()) < 1
    for cue, projection in zip(cues.tolist(), found, strict=True):
        assert np.array_equal(projection.numpy(), projection_by_hand(table, cue, iota=iota, xi=xi))
    projector = Projector(memory.weights, iota, xi, "ignore")
    backwards = projector.back(values[:5].long())
    for value, projection in zip(values[:5].long().tolist(), backwards, strict=True):
        assert np.array_equal(projection.numpy(), projection_by_hand(table.transpose(1, 0, 3, 2), value, iota=iota, xi=xi))


def test_distance_is_that_of_the_definition():
    memory, patterns, values = filled(40)
    projector = Projector(memory.weights, 0.0, 0, "ignore")
    cues, tried = patterns[:8].long(), values[4:12].long()
    cues[0, 2] = -1
    back = projector.back(tried).numpy()
    for cue, projection, found in zip(cues.tolist(), back, projector.distance(tried, cues).tolist(), strict=True):
        apart = []
        for column, value in enumerate(cue):
            if value >= 0:
                total = projection[column].sum()
                apart.append(sum(w * (k - value) ** 2 for k, w in enumerate(projection[column])) / total if total else 25.0)
        assert found == pytest.approx(np.mean(apart), rel=1e-5)


def test_a_value_that_leaves_a_column_empty_is_as_far_as_can_be():
    memory = EntropicRelation(1, 2, 4, 3)
    memory.store(torch.tensor([[0.0], [3.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    projector = Projector(memory.weights, 0.0, 0, "ignore")
    tried, cues = torch.tensor([[0, 0], [1, 1], [0, 1]]), torch.zeros(3, 1, dtype=torch.int64)
    assert projector.distance(tried, cues).tolist() == [0.0, 9.0, 9.0]


def test_with_values_of_one_column_and_one_level_it_is_a_register():
    options = {"iota": 0.6, "kappa": 0.8, "xi": 1}
    patterns, cues = pairs(40)[0], pairs(80, seed=1)[0]
    relation, single = EntropicRelation(5, 1, 6, 1, **options), EntropicMemory(5, 6, **options)
    relation.store(patterns, torch.zeros(40, 1))
    single.store(patterns)
    assert torch.equal(relation.weights[:, 0, :, 0], single.weights)
    assert float(relation.entropy()) == float(single.entropy())
    table = single.weights.numpy()
    expected = [loop_form.recognise(table, cue, **options)[0] for cue in cues.long().tolist()]
    assert 0 < sum(expected) < 80
    nothing = torch.zeros(80, 1, dtype=torch.int64)
    assert relation.recognise(cues.long(), nothing).accepted.tolist() == expected
    for method in METHODS:
        assert relation.recall(cues, method=method).accepted.tolist() == expected


@pytest.mark.parametrize("kappa", [0.0, 1.1])
@pytest.mark.parametrize("undefined", ["ignore", "miss"])
def test_a_cue_is_accepted_where_its_projection_is_full_and_strong_enough(undefined, kappa):
    memory, patterns, _ = filled(12, kappa=kappa, xi=1, undefined=undefined)
    table = memory.weights.numpy()
    means = (table.sum((2, 3)) / (table > 0).sum((2, 3))).mean(1)
    cues = torch.cat([patterns, pairs(30, seed=1)[0]])
    known = torch.rand(cues.shape, generator=torch.Generator().manual_seed(2)) < 0.8
    known[:, 0] = True
    found, expected = memory.recall(cues, known, method="random").accepted, []
    for cue, mask in zip(cues.long().tolist(), known.numpy(), strict=True):
        codes = [value if here else -1 for value, here in zip(cue, mask, strict=True)]
        best = projection_by_hand(table, codes, xi=1, undefined=undefined).max(1)
        asked = means.sum() if undefined == "miss" else means[mask].sum()
        expected.append(bool((best > 0).all() and best.mean() >= kappa * asked))
    assert found.tolist() == expected and 0 < sum(expected) < len(cues)


def test_pairs_are_recognised_where_both_are_defined():
    memory, patterns, values = filled(40, iota=0.5, xi=4)
    table = memory.weights.reshape(20, 18).numpy()
    codes, answers = (each[:25].long() for each in (patterns, values.roll(1, 0)))
    codes[::2, 1], answers[::3, 2] = -1, -1
    found = memory.recognise(codes, answers)
    for row, (a, b) in enumerate(zip(codes.tolist(), answers.tolist(), strict=True)):
        joint = [-1 if i < 0 or j < 0 else 3 * i + j for i in a for j in b]
        accepted, misses, weight, _ = loop_form.recognise(table, joint, iota=0.5, xi=4)
        assert (bool(found.accepted[row]), int(found.misses[row])) == (accepted, misses)
        assert float(found.weight[row]) == pytest.approx(weight)
    assert 0 < int(found.accepted.sum()) < 25


@pytest.mark.parametrize("method", METHODS)
def test_stored_patterns_are_accepted_and_what_comes_is_in_the_projection(method):
    memory, patterns, _ = filled(30)
    found = memory.recall(patterns, method=method)
    assert bool(found.accepted.all())
    held = memory.project(patterns.long()).gather(2, found.patterns.long()[..., None])
    assert bool((held > 0).all())
    assert found.index is found.energy is found.trace is None


def test_random_values_follow_the_projection():
    memory, patterns, _ = filled(60, m=3)
    cue = patterns[:1]
    drawn = memory.recall(cue.expand(20_000, -1), method="random", generator=torch.Generator().manual_seed(3)).patterns.long()
    projection = memory.project(cue.long())[0]
    for column in range(4):
        expected = projection[column] / projection[column].sum()
        assert torch.allclose(drawn[:, column].bincount(minlength=3) / 20_000, expected, atol=0.015)


def test_tested_samples_beat_random_ones_and_a_search_comes_nearer_still():
    patterns, values, centres, chosen = families(600)
    memory = EntropicRelation(12, 10, 8, 8)
    memory.store(patterns, values)
    projector, codes = Projector(memory.weights, 0.0, 0, "ignore"), patterns[:200].long()
    right, distances = {}, {}
    for method in METHODS:
        found = memory.recall(patterns[:200], method=method)
        assert bool(found.accepted.all())
        nearest = torch.cdist(found.patterns, centres, p=1).argmin(1)
        right[method] = float((nearest == chosen[:200]).double().mean())
        distances[method] = float(projector.distance(found.patterns.long(), codes).mean())
    assert right["sample-and-test"] >= right["random"] + 0.05 and right["random"] >= 0.2
    assert distances["search-and-test"] < distances["sample-and-test"] < distances["random"]


def test_a_search_ends_where_no_single_move_comes_nearer():
    patterns, values, _, _ = families(300)
    memory = EntropicRelation(12, 10, 8, 8)
    memory.store(patterns, values)
    projector, codes = Projector(memory.weights, 0.0, 0, "ignore"), patterns[:5].long()
    found = memory.recall(patterns[:5])
    assert bool((found.steps > 1).any())
    for cue, value in zip(codes, found.patterns.long(), strict=True):
        here, projection = projector.distance(value[None], cue[None]), memory.project(cue[None])[0]
        for column in range(10):
            for move in (-1, 1):
                other = value.clone()
                other[column] += move
                if 0 <= other[column] < 8 and projection[column, other[column]] > 0:
                    assert float(projector.distance(other[None], cue[None])) >= float(here) * (1 - 2e-6)


def test_unknown_columns_are_not_read_and_strangers_are_refused():
    memory, patterns, _ = filled(4)
    known = torch.ones_like(patterns, dtype=torch.bool)
    known[:, 1:3] = False
    found = [memory.recall(torch.where(known, patterns, junk), known) for junk in (torch.nan, 7.0)]
    assert torch.equal(found[0].patterns, found[1].patterns) and bool(found[0].accepted.all())
    strange = memory.recall(5 - patterns)
    assert not bool(strange.accepted.all())
    assert bool((strange.patterns[~strange.accepted] == 0).all() & (strange.steps[~strange.accepted] == 0).all())


def test_batches_and_seeds_change_nothing_that_they_should_not():
    memory, patterns, _ = filled(60, m=3)
    state = torch.get_rng_state()
    found = memory.recall(patterns)
    assert torch.equal(found.patterns, memory.recall(patterns, batch_size=7).patterns)
    other = memory.recall(patterns, generator=torch.Generator().manual_seed(9))
    assert not torch.equal(found.patterns, other.patterns)
    assert torch.equal(state, torch.get_rng_state())


def test_twice_the_wider_side_less_one_are_tested():
    memory, patterns, _ = filled(60, m=3)
    found, same, fewer = (memory.recall(patterns, method="sample-and-test", samples=count).patterns for count in (None, 9, 5))
    assert torch.equal(found, same) and not torch.equal(found, fewer)


def test_a_table_may_fill_the_memory_limit():
    assert EntropicRelation(2, 3, 4, 5, memory_limit=480).weights.numel() * 4 == 480
    with pytest.raises(ValueError, match="weights need 480"):
        EntropicRelation(2, 3, 4, 5, memory_limit=479)


def test_reversed_it_recalls_patterns_from_values():
    memory, patterns, values = filled(8)
    turned = memory.reversed()
    direct = EntropicRelation(4, 5, 3, 6)
    direct.store(values, patterns)
    assert torch.equal(turned.weights, direct.weights) and len(turned) == 8
    assert torch.equal(turned.recall(values).patterns, direct.recall(values).patterns)


def test_saved_merged_and_forgotten_pairs(tmp_path):
    memory, patterns, values = filled(20)
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert torch.equal(loaded.recall(patterns).patterns, memory.recall(patterns).patterns) and len(loaded) == 20
    parts = EntropicRelation(5, 4, 6, 3), EntropicRelation(5, 4, 6, 3)
    parts[0].store(patterns[:13], values[:13])
    first = parts[0].weights.clone()
    parts[1].store(patterns[13:], values[13:])
    parts[0].merge(parts[1])
    assert torch.equal(parts[0].weights, memory.weights)
    parts[0].forget(patterns[13:], values[13:])
    assert torch.equal(parts[0].weights, first) and len(parts[0]) == 13


def test_bad_input_is_refused_and_changes_nothing():
    memory, patterns, values = filled(4)
    before = memory.weights.clone()
    for refused, error, message in [
        (lambda: EntropicRelation(64, 64, 64, 64, memory_limit=10**6), ValueError, "memory_limit = 1000000 bytes"),
        (lambda: EntropicRelation(0, 4, 6, 3), ValueError, "n must be"),
        (lambda: memory.store(patterns), ValueError, "values must be given"),
        (lambda: memory.store(patterns, values[:2]), ValueError, "one for each of 4"),
        (lambda: memory.store(patterns, values + 3), ValueError, "values must be whole numbers"),
        (lambda: memory.store(patterns, values, metadata=[{}]), TypeError, "metadata"),
        (lambda: memory.recall(patterns + 6), ValueError, "cues must be whole numbers"),
        (lambda: memory.recall(patterns, method="guess"), ValueError, "method must be one of"),
        (lambda: memory.recall(patterns, samples=0), ValueError, "samples"),
        (lambda: EntropicRelation(5, 4, 6, 3).recall(patterns), ValueError, "empty"),
        (lambda: memory.recognise(patterns.long(), values[:2].long()), ValueError, "one for each"),
        (lambda: memory.forget(patterns.long(), values), TypeError, "keeps no ids"),
        (lambda: memory.forget((patterns + 1) % 6, values), ValueError, "hold less"),
        (lambda: memory.merge(EntropicRelation(4, 5, 3, 6)), ValueError, "same n, p, m, q, cap"),
        (lambda: memory.energy(patterns), TypeError, "EntropicRelation"),
    ]:
        with pytest.raises(error, match=message):
            refused()
    assert torch.equal(memory.weights, before) and len(memory) == 4


def test_a_search_needs_one_batch_of_moves_however_few_samples_it_starts_from(monkeypatch):
    memory, patterns, _ = filled(60, m=3)
    whole, tested = memory.recall(patterns, samples=1), []
    distance = Projector.distance
    monkeypatch.setattr(relation, "NUMBERS_AT_ONCE", 8 * 5 * 3 * 4)
    monkeypatch.setattr(
        Projector, "distance", lambda self, values, codes: tested.append(len(values)) or distance(self, values, codes)
    )
    found = memory.recall(patterns, samples=1)
    assert max(tested) == 4 * 2 * 4
    assert torch.equal(found.patterns, whole.patterns)


def test_random_draws_build_no_table_of_the_way_back():
    memory, patterns, _ = filled(20)
    projector = Projector(memory.weights, 0.0, 0, "ignore")
    projector.forward(patterns.long())
    assert "_back" not in vars(projector) and "_forth" in vars(projector)
