"""Metrics: what each of them counts, and that batches and padding count nothing."""

import math

import pytest
import torch
from language.iamm_dialogues import V, dialogue, small

from attractor.language.iamm import collate
from attractor.language.iamm.metrics import Scores, bootstrap, distinct, score


def test_the_two_perplexities_weigh_words_and_dialogues():
    scores = Scores(torch.tensor([2.0, 9.0]), torch.tensor([1, 9]), torch.tensor([0, 1]), torch.tensor([0, 2]))
    assert scores.perplexity == pytest.approx(math.exp(11 / 10))
    assert scores.paper_perplexity == pytest.approx(math.exp((2 + 1) / 2))
    assert scores.accuracy == 0.5 and scores.at(torch.tensor([0, 0])).accuracy == 1


def test_scores_are_those_of_the_model_whatever_the_batch():
    model = small(relations=0).double()
    dialogues = [dialogue(seed, utterances=1 + seed % 3, relations=0, unknown=seed % 2) for seed in range(7)]
    whole, single = (score(model, dialogues, V, batch_size=size) for size in (7, 1))
    assert torch.allclose(whole.surprise, single.surprise, atol=1e-10) and torch.equal(whole.predicted, single.predicted)
    assert whole.words.tolist() == [len(one.response) + 1 for one in dialogues]
    for place, one in enumerate(dialogues):
        batch = collate([one], V)
        assert float(whole.surprise[place]) == pytest.approx(float(-model.token_log_probabilities(batch).detach().sum()))
        assert int(whole.predicted[place]) == int(model(batch).argmax()) and int(whole.labels[place]) == one.label


def test_scoring_keeps_the_mode_and_tells_how_far_it_is():
    model, done = small(relations=0), []
    for mode in (True, False):
        model.train(mode)
        score(model, [dialogue(seed, relations=0) for seed in range(3)], V, batch_size=2, progress=done.append)
        assert model.training == mode
    assert done == [2 / 3, 1.0] * 2


def test_what_dialogues_do_not_have_is_not_scored():
    scores = score(small(relations=0), [dialogue(0, relations=0, learn=False)], V)
    assert scores.surprise is None and scores.labels is None and scores.predicted.shape == (1,)
    with pytest.raises(ValueError, match="responses"):
        _ = scores.perplexity
    with pytest.raises(ValueError, match="labels"):
        _ = scores.accuracy
    with pytest.raises(ValueError, match="at least one"):
        score(small(relations=0), [], V)


def test_distinct_counts_no_pair_across_responses():
    assert distinct([["a"], ["b"], ["a"]], 2) == 0 and distinct([], 1) == 0
    assert distinct([["a", "b"], ["b", "a"]], 2) == 100 and distinct([["a", "b"], ["b", "a"]], 1) == 50
    with pytest.raises(ValueError, match="n must be"):
        distinct([["a"]], 0)


def test_bootstrap_draws_groups_as_a_whole():
    values = torch.tensor([0.0] * 10 + [1.0] * 10)
    by_item = bootstrap(lambda places: float(values[places].mean()), range(20))
    by_group = bootstrap(lambda places: float(values[places].mean()), [0] * 10 + [1] * 10)
    assert by_group == (0.0, 1.0) and 0.1 < by_item[0] < 0.5 < by_item[1] < 0.9
    assert by_item == bootstrap(lambda places: float(values[places].mean()), range(20))
    with pytest.raises(ValueError, match="groups"):
        bootstrap(lambda places: 0.0, [])


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    generator, inside = torch.Generator().manual_seed(0), 0
    for _ in range(60):
        values = torch.randn(40, generator=generator)
        low, high = bootstrap(lambda places, values=values: float(values[places].mean()), range(40), draws=120)
        inside += low <= 0 <= high
    assert 50 <= inside <= 60
