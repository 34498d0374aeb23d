"""Words and ids, associated words, and the prompt made of them."""

from dataclasses import replace

import pytest
import torch
from language.iamm_dialogues import RELATIONS, V, dialogue, small

from attractor.language.iamm import (
    IAMM,
    SPECIAL,
    UNK,
    AssociatedWord,
    IAMMConfig,
    KnowledgeSource,
    Vocabulary,
    associated_words,
    collate,
    prompt_with_words,
)
from attractor.language.iamm.words import pairs_of

WORDS = ("my", "dog", "died", "yesterday", "so", "sorry", "for", "you", "how", "old")
VOCABULARY = Vocabulary(WORDS)
SAID = [["my", "dog", "Rex", "died"], ["so", "sorry", "how", "old", "Rex"], ["Max", "old"]]
SCENE = ["dog", "died", "yesterday", "Rex"]


def model(**options):
    return IAMM(IAMMConfig(len(VOCABULARY), **({"dim": 16, "depth": 8, "relations": 0, "deviation": 0.3} | options)))


@pytest.mark.parametrize("words", ["my dog", ["my", 3], [["my"]]])
def test_what_are_no_words_is_refused_by_name(words):
    with pytest.raises(TypeError, match="words must be"):
        Vocabulary(words)


def test_unknown_words_are_numbered_over_the_whole_dialogue():
    size = len(VOCABULARY)
    talk = VOCABULARY.dialogue(SAID, SCENE, response=["Max", "sorry", "Ann"], label=2)
    assert talk.unknown == ("Rex", "Max") and talk.label == 2
    assert talk.utterances[0][2] == talk.utterances[1][4] == size and talk.utterances[2][0] == size + 1
    assert talk.situation[3] == UNK and talk.response == (size + 1, VOCABULARY.ids["sorry"], UNK)
    assert VOCABULARY.text(talk.utterances[1], talk.unknown) == SAID[1]


def test_knowledge_leaves_out_unknown_and_empty_words():
    vocabulary = Vocabulary(["to", "none", "comfort", "sad"])
    talk = vocabulary.dialogue([["sad"]], knowledge=[[["to", "comfort"], ["none"]]], situation_knowledge=[["sad", "zebra"], []])
    assert talk.knowledge == (((9,), ()),) and talk.situation_knowledge == ((10,), ())
    batch = collate([talk], len(vocabulary))
    assert batch.knowledge.shape == (1, 1, 2, 2) and batch.situation_knowledge.tolist() == [[[6, 10], [6, 1]]]


def test_a_vocabulary_is_built_of_the_most_frequent_words_then_by_the_alphabet():
    texts = [["b", "a", "c", "c"], ["a", "b", "c", "d", "<pad>"]]
    assert Vocabulary.build(texts).words == (*SPECIAL, "c", "a", "b", "d")
    assert Vocabulary.build(texts, min_count=2, most=2).words == (*SPECIAL, "c", "a")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Vocabulary(["a", "a"]), "words must come once"),
        (lambda: Vocabulary(["<pad>"]), "words must come once"),
        (lambda: Vocabulary([]), "words must hold at least one"),
        (lambda: Vocabulary.build([["a"]], min_count=2), "words must hold at least one"),
        (lambda: VOCABULARY.text([99]), "ids must be from 0 to 16"),
        (lambda: VOCABULARY.text([-1]), "ids must be from 0"),
        (lambda: associated_words(model(), [VOCABULARY.dialogue(SAID)], VOCABULARY, most=0), "most"),
        (lambda: prompt_with_words([], []), "utterances must hold at least one"),
    ],
)
def test_wrong_words_are_refused_by_name(call, told):
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize("selection", ["hard", "soft"])
def test_associated_words_stand_where_they_are_said_to(selection):
    talk = VOCABULARY.dialogue(SAID, SCENE)
    (found,) = associated_words(model(selection=selection), [talk], VOCABULARY, most=1000)
    assert {one.source for one in found} == {"situation", "history", "memory"}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({one[:4] for one in found}) == len(found) and all(0 < one.score < 1 for one in found)
    for one in found:
        assert one.word in SAID[one.utterance]
        earlier = [word for said in SAID[: one.utterance] for word in said]
        scene = [word if word in WORDS else SPECIAL[UNK] for word in SCENE]
        places = {"situation": scene, "history": earlier, "memory": scene + earlier}
        assert one.partner in places[one.source] and not one.partner.startswith("<")


def test_pairs_and_scores_are_those_of_the_interaction():
    made = model(partners=2, keep=3)
    talk = VOCABULARY.dialogue([["my", "dog"]], ["died", "old"])
    (read,) = made.remember(collate([talk], len(VOCABULARY)))[1].reads
    (pairs,) = pairs_of(collate([talk], len(VOCABULARY)), read)
    expected = []
    own, other = [6, *talk.utterances[0]], [6, *talk.situation]
    for row in range(12):
        sides = (own, other) if row < 6 else (other, own)
        word = sides[0][int(read.found.words[0, row])]
        for partner, score in zip(read.found.partners[0, row].tolist(), read.found.scores[0, row].tolist(), strict=True):
            pair = (word, sides[1][partner]) if row < 6 else (sides[1][partner], word)
            if min(pair) >= len(SPECIAL):
                expected.append((*pair, score))
    assert sorted(pairs) == sorted(expected)


def test_associated_words_do_not_depend_on_the_other_dialogues():
    talks = [VOCABULARY.dialogue(SAID[:count], SCENE[:count]) for count in (1, 3, 2)]
    made = model().double()
    together = associated_words(made, talks, VOCABULARY)
    for talk, found in zip(talks, together, strict=True):
        (alone,) = associated_words(made, [talk], VOCABULARY)
        assert [one[:4] for one in alone] == [one[:4] for one in found] and len(found) <= 10


def test_words_are_told_apart_from_nothing():
    (found,) = associated_words(model(), [VOCABULARY.dialogue([[]])], VOCABULARY)
    assert found == []


def test_prompt_holds_the_dialogue_and_each_pair_once():
    words = [AssociatedWord(0, "dog", "situation", "died", 0.5), AssociatedWord(1, "dog", "history", "died", 0.4)]
    told = prompt_with_words(["My dog died.", "Oh no."], words, situation="A loss.", instruction="Answer.")
    assert (
        told
        == "Answer.\n\nSituation: A loss.\n\nSpeaker: My dog died.\nListener: Oh no.\n\nAssociated words: dog - died\n\nSpeaker:"
    )
    assert "Associated" not in prompt_with_words(["Hello."], [])


def test_a_source_of_knowledge_has_relations_and_tells_about_words():
    class Source:
        relations = ("react",)

        def about(self, words):
            return (tuple(words),)

    assert isinstance(Source(), KnowledgeSource) and not isinstance(torch.nn.Identity(), KnowledgeSource)


def test_a_prompt_refuses_one_text_and_the_words_of_many_dialogues():
    with pytest.raises(TypeError, match="utterances must be a sequence of texts"):
        prompt_with_words("My dog died.", [])
    words = [AssociatedWord(0, "dog", "situation", "died", 0.5)]
    with pytest.raises(TypeError, match=r"words must be of one dialogue, .* got list"):
        prompt_with_words(["My dog died."], [words])


def test_associated_words_do_not_depend_on_the_size_of_batches_and_read_no_labels():
    vocabulary = Vocabulary([f"w{number}" for number in range(V - 7)])
    talks = [dialogue(seed, utterances=1 + seed % 3) for seed in range(5)]
    talks[1] = replace(talks[1], label=None, response=None)
    model = small(dtype=torch.float64)
    whole = associated_words(model, talks, vocabulary)
    for some, other in zip(whole, associated_words(model, talks, vocabulary, batch_size=2), strict=True):
        assert [one[:4] for one in some] == [one[:4] for one in other]
    with pytest.raises(TypeError, match="dialogues must be a list, got one Dialogue"):
        associated_words(model, talks[0], vocabulary)
    assert len(talks[0].situation_knowledge) == RELATIONS
