from dataclasses import replace

import numpy as np
import pytest

from attractor.data import DataUnavailableError, WordPairs
from attractor.estimators.flyvec.learning import Learner
from attractor.papers import paper_module
from attractor.papers.figures import Chart
from attractor.papers.p19_flyvec import reproduction, rule, senses, similarity
from attractor.papers.p19_flyvec.claims import LENGTHS, PAPER, SAME, SENSES
from attractor.papers.p19_flyvec.sizes import SIZES

TINY = replace(SIZES["smoke"], words=60, little_words=60, updates=1)
WORDS = [*senses.AMBIGUOUS, *(f"w{number}" for number in range(60))]


def quiet(done):
    assert 0 <= done <= 1


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


def unavailable(*_):
    raise DataUnavailableError("the text is not on this machine")


def test_run_gives_a_row_for_each_claim(little_text, monkeypatch):
    monkeypatch.setitem(reproduction.SIZES, "smoke", replace(TINY, words=80, little_words=80))
    report = paper_module("19").run("smoke", 1)
    assert [row.claim for row in report.rows] == list(PAPER.claims)
    (chart,) = report.figures
    assert isinstance(chart, Chart) and "fly, static" in [series.label for series in chart.series]
    rule_rows = report.rows[:5]
    assert all(row.ok for row in rule_rows[:4])
    assert next(row for row in report.rows if row.claim is SAME).ok
    assert next(row for row in report.rows if row.claim is SENSES).n == len(senses.AMBIGUOUS)


def test_without_the_text_rows_say_what_is_needed(monkeypatch):
    for module in (similarity, senses):
        monkeypatch.setattr(module, "text", unavailable)
    rows = [*similarity.measure_similarity(TINY, 0, quiet).rows, *senses.measure_senses(TINY, 0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[5:])
    assert all(row.measured is None and "not on this machine" in row.note for row in rows)


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
        assert similarity.spearman(one, other) == pytest.approx(100 * scipy.spearmanr(one, other)[0])
    assert similarity.spearman(np.ones(3), np.arange(3)) == 0


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
    gap = similarity.gap(similarity.BINARY, "", similarity.at("target", 32), runs, similarity.at("target", 4), runs)
    assert gap.measured == 7 and gap.n == 2


def test_pairs_are_counted_among_the_frequent_words(monkeypatch):
    monkeypatch.setattr(similarity, "load_word_pairs", lambda name: WordPairs(name, (("a", "b"), ("a", "c")), (1.0, 2.0)))
    assert set(similarity.counted([["a", "a", "b", "b", "c"]], 2).values()) == {1}


@pytest.mark.slow
def test_smoke_run_keeps_the_rule():
    report = paper_module("19").run("smoke", 0)
    assert all(row.ok for row in report.rows[:4])
