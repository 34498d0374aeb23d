"""The planted association: the data, the measurements, and that they can be repeated."""

import pytest
import torch

from attractor.language.iamm import PAD
from attractor.papers.p07_iamm import planted
from attractor.papers.statistics import wilson


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_class_is_told_by_both_cues_and_they_stand_where_the_places_say():
    table = torch.randint(planted.CLASSES, (planted.CUES, planted.CUES), generator=generator())
    some = planted.dialogues(500, table, generator(1))
    item = torch.arange(500)
    said, scene = some.batch.utterances, some.batch.situation
    b = said[item, some.number, some.place] - planted.FIRST_CUE - planted.CUES
    a = scene[item, some.scene_place] - planted.FIRST_CUE
    assert torch.equal(some.batch.labels, table[a, b])
    assert {*a.tolist()} == {*b.tolist()} == set(range(planted.CUES)) and {*some.number.tolist()} == {0, 1}
    assert bool(((said >= planted.FIRST_CUE).sum((1, 2)) == 1).all()) and bool(((scene >= planted.FIRST_CUE).sum(1) == 1).all())
    lengths = (said != PAD).sum(-1) - 1
    lengths[item, some.number] -= 1
    assert {*lengths.flatten().tolist()} == set(range(planted.SHORTEST, planted.LONGEST + 1))
    assert some.scene_place.unique().tolist() == list(range(1, planted.LONGEST + 2))


def test_no_word_alone_tells_the_class():
    table = torch.randint(planted.CLASSES, (planted.CUES, planted.CUES), generator=generator())
    best_by_one = max(sum(int(row.bincount().max()) for row in side) / table.numel() for side in (table, table.T))
    assert best_by_one < 0.5


def test_planted_words_are_counted_among_partners_and_as_pairs():
    some = planted.dialogues(3, torch.zeros(8, 8, dtype=torch.int64), generator())
    own, other = some.place, some.scene_place
    rows = torch.stack([own, own + 1, other, other + 1], 1)
    nowhere = torch.full((3, 4, 2), -1)
    assert planted.holds(rows, nowhere, some).tolist() == [[False, False]] * 3
    for row, pair in ((0, True), (1, False), (2, True), (3, False)):
        partners = nowhere.clone()
        partners[:, row, 1] = other if row < 2 else own
        assert planted.holds(rows, partners, some).tolist() == [[True, pair]] * 3
        partners[:, row, 1] += 1
        assert planted.holds(rows, partners, some).tolist() == [[False, False]] * 3


def test_random_choices_are_even_among_the_words_that_are_there_and_hold_none_twice():
    table = torch.zeros(8, 8, dtype=torch.int64)
    model = planted.IAMM(planted.IAMMConfig(planted.VOCABULARY, dim=8, depth=4, partners=3, keep=2, relations=0))
    some = planted.dialogues(2000, table, generator())
    read = model.remember(some.batch)[1].reads[0]
    words, partners = planted.random_choice(model.memories["words"].interaction, read, generator(1))
    half = words.shape[1] // 2
    assert words.shape == read.found.words.shape and partners.shape == read.found.partners.shape
    assert bool(read.own.mask.gather(1, words[:, :half]).all()) and bool((partners >= 0).all())
    assert bool(read.own.mask.gather(1, partners[:, half:].flatten(1)).all())
    assert bool((partners.sort(-1).values.diff(dim=-1) > 0).all()) and bool((words[:, 0] != words[:, 1]).all())
    counts = torch.bincount(partners[:, :half].flatten()).double()
    assert float((counts / counts.mean() - 1).abs().max()) < 0.1


@pytest.mark.parametrize("kind", ["plain", "full", "memory"])
def test_a_measurement_is_the_same_again_and_another_with_another_seed(kind):
    before = torch.get_rng_state()
    first, again, other = ({**planted.learn(kind, 3, 2, 60, seed, 2, 2), "seconds": 0} for seed in (0, 0, 1))
    assert [step for step, _ in first["curve"]] == [2, 3]
    assert first == again != other
    assert ("chosen" in first) == (kind != "plain")
    assert torch.equal(torch.get_rng_state(), before)


def test_learning_begins_at_once_and_stops_where_it_is_enough_beyond_doubt():
    curve = planted.learn("plain", 200, 25, 300, 0, enough=0.3)["curve"]
    ends = [wilson(round(300 * right), 300)[0] for _, right in curve]
    assert curve[-1][0] < 200 and ends[-1] > 0.3 and all(end <= 0.3 for end in ends[:-1])


def test_accuracy_is_of_dialogues_that_did_not_decide_when_to_stop(monkeypatch):
    scored = []

    def accuracy(model, kind, tested):
        scored.append(torch.cat([some.batch.utterances for some in tested]))
        return 0.5

    monkeypatch.setattr(planted, "accuracy", accuracy)
    planted.learn("plain", 4, 2, 600, 0)
    watched, again, tested = scored
    assert torch.equal(watched, again) and len(tested) == 600 and not torch.equal(watched, tested)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind must be one of plain, full, memory, got 'Plain'"):
        planted.learn("Plain", 1, 1, 60, 0)


def test_both_ways_to_choose_are_measured():
    hard, soft = (planted.learn("memory", 2, 2, 60, 0, 3, 1, selection) for selection in ("hard", "soft"))
    assert hard["random"] == soft["random"] and 0 <= soft["chosen"][1] <= soft["chosen"][0] <= 1
