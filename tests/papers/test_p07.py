"""The row of IAMM: what is compared learns from the same, hidden words stay hidden, and missing data leave rows empty."""

import math
from dataclasses import replace

import pytest
import torch

from attractor.data import DataUnavailableError
from attractor.data.dialogues import Conversation, Exchange
from attractor.data.weak_emotions import HIDDEN, LabelledExchange
from attractor.language.iamm import UNK, IAMMConfig, Vocabulary, collate
from attractor.language.iamm.metrics import score
from attractor.papers import Report, paper_module
from attractor.papers.p07_iamm import dialogue, hints, real, reproduction
from attractor.papers.p07_iamm.claims import (
    CHOICE,
    DIALOGUE,
    GAIN,
    HINTED,
    LARGE_CHOICE,
    MAJORITY,
    PLANTED,
    PUBLISHED,
    RATIO,
    UNREAD,
)
from attractor.papers.p07_iamm.plain import PlainDialogue
from attractor.papers.p07_iamm.sizes import LAPTOP, SIZES, SMOKE, Size

LEXICON = {"glad": ("joy",), "sad": ("sadness",)}
TINY = SMOKE._replace(words=20, tests=6, hinted=2)


def talks():
    """Glad people hear about the sun, sad ones about rain."""
    found = []
    for number in range(60):
        word, weather = ("glad", "sun") if number % 2 else ("sad", "rain")
        turns = (f"i am {word} of the {weather} number {number % 7}", "why", f"the {weather} , {word}", f"{weather} again ?")
        found.append(Conversation(str(number), turns, "the weather"))
    return found


@pytest.fixture
def little(monkeypatch):
    """A small data set in the place of the real one."""
    clear()
    monkeypatch.setattr(dialogue, "load_chitchat", talks)
    monkeypatch.setattr(dialogue, "load_emotion_lexicon", lambda: LEXICON)
    yield
    clear()


def clear():
    dialogue.examples.cache_clear()
    dialogue.vocabulary_of.cache_clear()


def labelled():
    source = Exchange("1", ("my dog died", "oh", "so sad"), "poor you", "a dog")
    return LabelledExchange("1", (("my", "dog", "died"), ("oh",), ("so", HIDDEN)), ("poor", "you"), ("a", "dog"), 5, source)


def test_parts_hold_whole_conversations_and_all_labels(little):
    parts = dialogue.examples("chitchat")
    held = [{one.conversation for one in part} for part in parts.values()]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    assert len(set.union(*held)) == 60 and {one.label for one in parts["train"]} == {4, 5}


def test_models_read_hidden_words_as_unknown_and_no_situation_where_none_is_given():
    vocabulary = Vocabulary(["my", "dog", "died", "so", "sad", "poor", "you", "a"])
    one = labelled()
    read = vocabulary.dialogue(one.context, one.situation, response=one.response, label=one.label)
    assert read.utterances[2][-1] == UNK and HIDDEN not in read.unknown
    assert "last:<unk>" in dialogue.inputs(one, True) and "last:so" in dialogue.inputs(one, True)
    assert dialogue.inputs(one, False).count("dog") == 1 and dialogue.inputs(one, True).count("dog") == 2


@pytest.mark.parametrize("kind", ["iamm", "plain"])
def test_a_training_is_the_same_again_and_fills_all_measures(little, kind):
    first, again = (dialogue.learn("chitchat", kind, True, TINY, 0) for _ in range(2))
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert 0 <= first["accuracy"] <= 100 and math.isfinite(first["perplexity"]) and first["dist_2"] >= 0
    for measure, (low, high) in first["intervals"].items():
        assert low <= high and math.isfinite(low), measure
    assert bool(first["pairs"]) == (kind == "iamm")


def test_linear_model_finds_the_weather_and_majority_does_not(little):
    pytest.importorskip("sklearn")
    found = dialogue.baselines("chitchat", True, 1000, 1000)
    assert found["linear"] == 100 and found["majority"] < 80 and found["learned"] > 60


def test_the_plain_model_has_the_size_of_iamm_at_each_scale_that_counts():
    for setting in (LAPTOP, SIZES["full"].dialogue):
        config = IAMMConfig(
            setting.words + 7,
            classes=8,
            dim=setting.dim,
            filters=setting.filters,
            partners=setting.partners,
            keep=setting.keep,
            relations=0,
        )
        with torch.device("meta"):
            sizes = [model(config, generator=None).num_parameters()["total"] for model in (PlainDialogue, dialogue.IAMM)]
        assert 0.9 < sizes[0] / sizes[1] < 1.1


def test_the_plain_model_gives_probabilities_and_a_gradient_to_every_number():
    vocabulary = Vocabulary(["my", "dog", "died", "so", "poor"])
    config = IAMMConfig(len(vocabulary), classes=8, dim=8, depth=4, filters=4, relations=0, deviation=0.3)
    model = PlainDialogue(config, torch.Generator().manual_seed(0)).double()
    one = labelled()
    short = vocabulary.dialogue([["you"]], ["dog"], response=["you"], label=0)
    both = [vocabulary.dialogue(one.context, one.situation, response=one.response, label=one.label), short]
    batch = collate(both, len(vocabulary))
    model.losses(batch).total.backward()
    assert all(part.grad is not None and bool(part.grad.abs().sum() > 0) for part in model.parameters())
    answer = model.encode(batch).answer
    chances = model.next_log_probabilities(batch.response[:, :1], answer).exp()
    assert torch.allclose(chances.sum(-1), torch.ones(2, dtype=torch.float64))
    apart = [score(model, [some], len(vocabulary)).surprise for some in both]
    assert torch.allclose(torch.cat(apart), score(model, both, len(vocabulary)).surprise, atol=1e-9)
    assert int(batch.response[1, 0]) == len(vocabulary)


def test_random_pairs_are_of_the_dialogue_and_never_hidden_words():
    one = labelled()
    drawn = hints.random_words(one, 1000, torch.Generator().manual_seed(0))
    assert len({(pair.utterance, pair.word, pair.partner) for pair in drawn}) == len(drawn)
    assert all(pair.word in one.context[pair.utterance] and HIDDEN not in (pair.word, pair.partner) for pair in drawn)
    before = [{*one.situation}.union(*one.context[:number]) for number in range(3)]
    assert all(pair.partner in before[pair.utterance] for pair in drawn)
    assert len(hints.random_words(one, 2, torch.Generator().manual_seed(0))) == 2


class Words:
    """A language model that finds every token as likely as the one before was even."""

    def __init__(self):
        self.model = self

    def ids(self, text):
        return torch.tensor([len(word) % 3 for word in text.split()])

    def __call__(self, ids):
        logits = torch.zeros(*ids.shape, 3)
        logits[..., 0] = ids.float()
        return type("Output", (), {"logits": logits})


def test_surprise_is_of_the_response_alone_given_what_stands_before():
    first, second = torch.tensor([2.0, 0, 0]).log_softmax(0), torch.tensor([0.0, 0, 0]).log_softmax(0)
    expected = -float(first[0] + second[1]) / 2
    assert hints.surprise(Words(), "a bb", "ccc d") == pytest.approx(expected)


def test_hints_are_compared_on_the_same_dialogue(little, monkeypatch):
    prompts = []
    monkeypatch.setattr(hints, "opened", lambda model: None)
    monkeypatch.setattr(hints, "surprise", lambda large, prompt, response: prompts.append((prompt, response)) or len(prompts))
    found = hints.surprises("chitchat", 0, [[[0, "sun", "situation", "weather", 0.5]]], 0)
    plain, chosen, random = prompts
    assert "Associated words" not in plain[0] and "Associated words: sun - weather" in chosen[0]
    assert "Associated words" in random[0] and len({response for _, response in prompts}) == 1
    assert (found["no hint"], found["chosen"], found["random"]) == ([1], [2], [3])


def test_rows_of_real_dialogue_are_those_of_the_claims(little):
    pytest.importorskip("sklearn")
    size = Size(dialogue=TINY._replace(hinted=0), dialogue_seeds=2, bare_seeds=1)
    done = []
    rows = real.measure_dialogue(size, 0, done.append).rows
    assert [row.claim for row in rows] == [*DIALOGUE, *HINTED]
    assert all(row.measured is not None for row in rows[: len(DIALOGUE)]) and done == sorted(done)
    by_claim = {row.claim: row for row in rows}
    assert by_claim[GAIN].seconds > 0 and by_claim[RATIO].seconds > by_claim[GAIN].seconds
    low, high = by_claim[MAJORITY].interval
    assert low <= by_claim[MAJORITY].measured <= high and low < high
    assert all(row.measured is None and row.note for row in rows[len(DIALOGUE) :])


def test_without_data_rows_stay_empty_and_say_why(monkeypatch):
    clear()

    def missing(*_):
        raise DataUnavailableError("pip install something")

    for name in ("load_chitchat", "load_emotion_lexicon", "load_empathetic_dialogues"):
        monkeypatch.setattr(dialogue, name, missing)
    rows = [*real.measure_dialogue(Size(), 0, lambda done: None).rows]
    rows += real.measure_published(Size(published=TINY), 0, lambda done: None).rows
    assert all(row.measured is None and row.note == "pip install something" for row in rows)
    assert [row.claim for row in rows] == [*DIALOGUE, *HINTED, *PUBLISHED.values(), UNREAD]
    monkeypatch.setattr(real, "surprises", missing)
    assert all(row.note == "pip install something" for row in real.hint_rows([[]], 0))


def test_the_papers_table_is_measured_where_its_files_are(monkeypatch):
    clear()
    told = [Conversation(one.id, one.turns, one.situation, "sad" if "sad" in one.turns[0] else "joyful") for one in talks()]
    monkeypatch.setattr(dialogue, "load_empathetic_dialogues", lambda part: told[:40] if part == "train" else told[40:])
    rows = real.measure_published(Size(published=TINY._replace(hinted=0)), 0, lambda done: None).rows
    clear()
    assert [row.claim for row in rows] == [*PUBLISHED.values(), UNREAD] and all(row.measured is not None for row in rows)


def planted_rows(monkeypatch, size):
    """Those of trainings that all come out alike, and what was asked of each."""
    asked = []

    def learn(*point):
        asked.append(point)
        return {"accuracy": 0.5, "curve": [[1, 0.6]], "chosen": [1.0, 0.0], "random": [1.0, 0.0], "seconds": 2.0}

    monkeypatch.setattr(reproduction, "learn", learn)
    return reproduction.measure_planted(size, 0, lambda done: None).rows, asked


def test_planted_trainings_end_at_the_accuracy_of_the_claims_and_others_never(monkeypatch):
    rows, asked = planted_rows(monkeypatch, SIZES["smoke"])
    assert [row.claim for row in rows] == list(PLANTED)
    assert [(point[0], point[-1]) for point in asked] == [("plain", 0.95), ("full", 0.95), ("memory", 0.9), *[("memory", None)] * 4]
    assert [point[-3:-1] for point in asked[3:]] == [("hard", 0.01), ("soft", 0.01), ("hard", 0.25), ("soft", 0.25)]


def test_rows_of_one_training_say_what_their_interval_is_of(monkeypatch):
    one, _ = planted_rows(monkeypatch, SIZES["smoke"])
    assert all("of one training" in row.note and row.interval for row in one if row.claim not in (CHOICE, LARGE_CHOICE))
    assert next(row for row in one if row.claim is CHOICE).interval is None
    two, _ = planted_rows(monkeypatch, replace(SIZES["smoke"], seeds=2))
    assert all("of one training" not in row.note and row.n == 2 for row in two)
    assert "one training of each" in next(row for row in one if row.claim is CHOICE).note
    choice = next(row for row in two if row.claim is CHOICE)
    assert choice.seconds == 8 and "the paper's 0.5, 0.5, which leaves 0.5 to gain" in choice.note


def test_run_gives_every_row(little, monkeypatch):
    shortest = replace(SIZES["smoke"], steps=2, memory_steps=2, choice_steps=2, tests=20)
    monkeypatch.setitem(reproduction.SIZES, "smoke", shortest)
    report = paper_module("07").run("smoke", 0)
    assert [row.claim for row in report.rows] == list(paper_module("07").PAPER.claims)
    assert all(row.measured is not None for row in report.rows[: len(PLANTED)])
    assert all(row.measured is not None or row.note for row in report.rows)
    assert all(row.interval is not None for row in report.rows if "the interval is" in row.note)
    assert Report.from_json(report.to_json()) == report
