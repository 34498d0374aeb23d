from dataclasses import replace

import numpy as np
import pytest
from papers.stand_ins import quiet, unavailable

from attractor.data import WordPairs
from attractor.estimators.flyvec import FlyVec, tokenise
from attractor.estimators.flyvec.learning import Learner
from attractor.papers import paper_module
from attractor.papers.figures import Chart
from attractor.papers.p19_flyvec import reproduction, rule, senses, similarity
from attractor.papers.p19_flyvec.ambiguous import AMBIGUOUS
from attractor.papers.p19_flyvec.claims import DESCENT, LENGTHS, PAPER, PEAK, SAME, SENSES
from attractor.papers.p19_flyvec.ranks import spearman
from attractor.papers.p19_flyvec.sizes import SIZES

TINY = replace(SIZES["smoke"], words=60, little_words=60, updates=1)
WORDS = [*AMBIGUOUS, *(f"w{number}" for number in range(60))]


def made_up(corpora, every):
    chance = np.random.default_rng(0)
    return [list(chance.choice(WORDS, 8)) for _ in range(300)]


def made_up_pairs(name):
    pairs = [(WORDS[place], WORDS[place + 7]) for place in range(40)]
    return WordPairs(name, tuple(pairs), tuple(map(float, range(40))))


@pytest.fixture
def little_text(monkeypatch):
    for module in (similarity, senses):
        monkeypatch.setattr(module, "text", made_up)
    monkeypatch.setattr(similarity, "load_word_pairs", made_up_pairs)


def test_run_gives_a_row_for_each_claim(little_text, monkeypatch):
    monkeypatch.setitem(reproduction.SIZES, "smoke", replace(TINY, words=80, little_words=80))
    report = paper_module("19").run("smoke", 1)
    assert [row.claim for row in report.rows] == list(PAPER.claims)
    (chart,) = report.figures
    assert isinstance(chart, Chart) and "fly, static" in [series.label for series in chart.series]
    rule_rows = report.rows[:5]
    assert all(row.ok for row in rule_rows[:4])
    assert next(row for row in report.rows if row.claim is SAME).ok
    assert next(row for row in report.rows if row.claim is SENSES).n == len(AMBIGUOUS)


def senses_told(sentences, epochs):
    """What a model that has learned tells of all words, and one that has not."""
    model = FlyVec(min_count=1, epochs=epochs, random_state=0, batch_size=200).fit(sentences)
    return senses.told(model, list(AMBIGUOUS)), senses.told(senses.untrained(model), list(AMBIGUOUS))


def test_senses_are_told_apart_by_what_was_learned_and_not_by_chance():
    chance = np.random.default_rng(0)
    groups = []
    for word, sentences in AMBIGUOUS.items():
        own = senses.own_words(sentences)
        groups += [[word, *own[first], *own[second]] for first, second in senses.WITHIN]
    text = [list(chance.permutation(group)) for _ in range(12) for group in groups]
    learned, untrained = senses_told(text, 4)
    assert SENSES.judge(sum(one.apart for one in learned) / len(learned)) is True
    assert SENSES.judge(sum(one.apart for one in untrained) / len(untrained)) is False
    # what this claim took the place of is true of untrained synapses as well
    assert np.mean([one.different for one in untrained]) / len(senses.ACROSS) > 0.7


def test_sentences_of_a_word_share_nothing_but_what_was_learned():
    for word, sentences in AMBIGUOUS.items():
        own = senses.own_words(sentences)
        assert sum(len(set(one)) for one in own) == len({token for one in own for token in one})
        assert all(word in tokenise(sentence) for sentence in sentences) and min(map(len, own)) >= 2, word


def test_without_the_text_rows_say_what_is_needed(monkeypatch):
    for module in (similarity, senses):
        monkeypatch.setattr(module, "text", unavailable)
    rows = [*similarity.measure_similarity(TINY, 0, quiet).rows, *senses.measure_senses(TINY, 0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[5:])
    assert all(row.measured is None and "attractor[demo]" in row.note for row in rows)


def test_without_the_peer_its_rows_say_so(little_text, monkeypatch):
    monkeypatch.setattr(similarity, "word_vectors", lambda *given: None)
    rows = similarity.measure_similarity(replace(TINY, words=80, little_words=80), 0, quiet).rows
    missing = [row.claim.text for row in rows if row.measured is None]
    assert len(missing) == 4 and all("gensim" in row.note for row in rows if row.measured is None)


def test_a_wrong_rule_is_seen(monkeypatch):
    step = Learner.step
    monkeypatch.setattr(Learner, "step", lambda self, rows, rate, **how: step(self, rows, 1.001 * rate, **how))
    assert rule.difference(0) > 1e-5


def test_rank_correlation_shares_the_ranks_of_ties():
    scipy = pytest.importorskip("scipy.stats")
    chance = np.random.default_rng(0)
    for _ in range(20):
        one, other = chance.integers(0, 5, 30), chance.normal(size=30)
        assert spearman(one, other) == pytest.approx(100 * scipy.spearmanr(one, other)[0])
    assert spearman(np.ones(3), np.arange(3)) == 0


def test_binary_vectors_have_as_many_bits_on_as_asked():
    vectors = {"a": np.ones(similarity.DIM, np.float32), "b": -np.ones(similarity.DIM, np.float32)}
    projection = np.random.default_rng(0).standard_normal((similarity.DIM, similarity.CELLS))
    codes = similarity.projected(vectors, ["a", "c", "b"], 16, projection)
    assert codes.known.tolist() == [True, False, True]
    on = codes.unpack()
    assert on.sum(1)[[0, 2]].tolist() == [16, 16] and not (on[0] & on[2]).any()


def test_best_length_and_gaps_are_taken_seed_by_seed():
    def run(values):
        scores = {str(k): dict.fromkeys(similarity.SETS, value) for k, value in zip(LENGTHS, values, strict=True)}
        return {"scores": {"target": scores}, "seconds": 1.0}

    runs = [run([1, 2, 3, 9, 4, 3, 0]), run([1, 2, 8, 7, 4, 3, 2])]
    assert [similarity.best(one) for one in runs] == [32, 16]
    gap = similarity.gap(
        similarity.BINARY, "", similarity.at("target", 32), runs, similarity.at("target", 4), runs, "15 epochs each"
    )
    assert gap.measured == 7 and gap.n == 2 and gap.note.endswith("15 epochs each")


def test_one_seed_whose_best_length_is_elsewhere_fails_the_peak(little_text, monkeypatch):
    def made(point):
        scores = {str(k): dict.fromkeys(similarity.SETS, 50.0 if k == best[point[-1]] else 0.0) for k in LENGTHS}
        blocks = dict.fromkeys(("target", "context", "both", "bits"), scores)
        pairs = dict.fromkeys(similarity.SETS, 40)
        return {"scores": {**blocks, "dense": dict.fromkeys(similarity.SETS, 1.0)}, "pairs": pairs, "cpu": 1.0, "seconds": 1.0}

    monkeypatch.setattr(similarity, "sweep", lambda measure, points, tell: [made(point) for point in points])
    for best, share in (([4, 64], 0), ([16, 64], 0.5), ([16, 50], 1)):
        rows = similarity.measure_similarity(replace(TINY, seeds=2), 0, quiet).rows
        row = next(row for row in rows if row.claim is PEAK)
        assert row.measured == share and row.ok == (share == 1) and str(best[0]) in row.note


def test_few_steps_are_no_evidence_of_descent(monkeypatch):
    monkeypatch.setattr(rule, "packed", lambda seed: (1.0, 1.0))
    for steps, ok in ((0, None), (rule.LEAST_STEPS - 1, None), (rule.LEAST_STEPS, True)):
        monkeypatch.setattr(rule, "descent", lambda seed, steps=steps: [0.0] * steps)
        row = next(row for row in rule.measure_rule(TINY, 0, quiet).rows if row.claim is DESCENT)
        assert row.ok is ok and row.n == steps


def test_both_learn_for_as_many_epochs(little_text, monkeypatch):
    asked = []
    monkeypatch.setattr(similarity, "sweep", lambda measure, points, tell: [asked.append(point) for point in points])
    monkeypatch.setattr(similarity, "rows", lambda *given: [])
    monkeypatch.setattr(similarity, "chart", lambda *given: None)
    similarity.measure_similarity(TINY, 0, quiet)
    epochs = {(kind, words): count for kind, _, words, count, *_ in asked if count != TINY.short_epochs}
    assert {kind for kind, _ in epochs} >= {similarity.FLY, similarity.SKIP_GRAM, similarity.CBOW}
    assert set(epochs.values()) == {TINY.epochs}


def test_pairs_are_counted_among_the_frequent_words(monkeypatch):
    monkeypatch.setattr(similarity, "load_word_pairs", lambda name: WordPairs(name, (("a", "b"), ("a", "c")), (1.0, 2.0)))
    assert set(similarity.counted([["a", "a", "b", "b", "c"]], 2).values()) == {1}


@pytest.mark.slow
def test_smoke_run_keeps_the_rule():
    report = paper_module("19").run("smoke", 0)
    assert all(row.ok for row in report.rows[:4])
