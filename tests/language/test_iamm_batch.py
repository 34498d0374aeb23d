"""Dialogues side by side: what is refused, and that each stands for itself."""

from dataclasses import replace

import pytest
import torch
from language.iamm_dialogues import RELATIONS, V, batch_of, dialogue

from attractor.language.iamm import CLS, EOS, PAD, UNK, Dialogue, DialogueBatch, Vocabulary, collate


def ids(*rows):
    return torch.tensor(rows)


GOOD = {"utterances": torch.tensor([[[CLS, 9, PAD]]]), "situation": torch.tensor([[CLS, 8]]), "vocabulary": V}


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"utterances": ids([[CLS, V]])}, ValueError, "utterances must hold ids from 0 to 19, got 6 to 20"),
        ({"utterances": ids([[CLS, -1]])}, ValueError, "utterances must hold ids from 0"),
        ({"situation": ids([CLS, V]), "unknown": 1}, ValueError, "situation must hold ids from 0 to 19"),
        ({"utterances": ids([[PAD, PAD]])}, ValueError, r"all padding: \[0\]"),
        ({"utterances": torch.ones(1, 0, 3, dtype=torch.int64)}, ValueError, "no axis of length 0"),
        ({"utterances": ids([[PAD, PAD], [CLS, 9]])}, ValueError, "at the end of each dialogue"),
        ({"utterances": ids([[CLS, PAD, 9]])}, ValueError, "padding at the end of each text"),
        ({"utterances": ids([[9, 9]])}, ValueError, "CLS = 6 in front"),
        ({"utterances": ids([CLS, 9])}, ValueError, "utterances must have 3 axes"),
        ({"utterances": ids([[CLS, 9]]).float()}, TypeError, "utterances must be an int64 tensor"),
        ({"situation": ids([CLS], [CLS])}, ValueError, r"situation must have shape \(1, '...'\)"),
        ({"situation": ids([PAD])}, ValueError, "situation must have CLS"),
        ({"labels": ids(-1)}, ValueError, "labels must have shape"),
        ({"labels": ids(1, 2)}, ValueError, "labels must have shape"),
        ({"labels": torch.tensor([0.5])}, TypeError, "labels must be an int64 tensor"),
        ({"response": ids([9, 8])}, ValueError, "response must end with EOS"),
        ({"response": ids([PAD, EOS])}, ValueError, "response must have shape"),
        ({"response": ids([V, EOS]), "unknown": 1}, ValueError, r"unknown words from the utterances, .*\[0\]"),
        ({"knowledge": ids([[[CLS, 9]]])}, ValueError, "given together"),
        (
            {"knowledge": torch.tensor([[[[CLS]], [[CLS]]]]), "situation_knowledge": ids([[CLS]])},
            ValueError,
            "knowledge must have shape",
        ),
        ({"vocabulary": 7}, ValueError, "vocabulary must be at least 8"),
    ],
)
def test_wrong_batches_are_refused_by_name(changes, error, told):
    with pytest.raises(error, match=told):
        DialogueBatch(**(GOOD | changes))


@pytest.mark.parametrize(
    ("dialogues", "told"),
    [
        ([], "dialogues must hold at least one"),
        ([dialogue(0), dialogue(1, utterances=0)], r"at least one utterance each, those without: \[1\]"),
        ([dialogue(0), dialogue(1, label=None)], "dialogues must all have label, or none of them, missing at 1"),
        ([dialogue(0), dialogue(1, relations=0)], "dialogues must all have knowledge"),
        ([dialogue(0, utterances=[[V]])], "utterances of dialogue 0 must hold ids from 0 to 19"),
        ([dialogue(0), dialogue(1, relations=RELATIONS + 1)], "CLS = 6 in front"),
    ],
)
def test_wrong_dialogues_are_refused_by_name(dialogues, told):
    with pytest.raises(ValueError, match=told):
        collate(dialogues, V)


@pytest.mark.parametrize(
    ("talks", "error", "told"),
    [
        ([Dialogue([[9.7, 10.2]])], TypeError, r"utterances of dialogue 0 must hold integers, got 9\.7"),
        ([Dialogue([[9]]), Dialogue([["my"]])], TypeError, "utterances of dialogue 1 must hold integers, got 'my'"),
        ([Dialogue(["my dog"])], TypeError, "utterances of dialogue 0 must be a list of ids"),
        ([Dialogue([9, 10])], TypeError, "utterances of dialogue 0 must be a list of ids, got 9"),
        ([Dialogue([[9]], [True])], TypeError, "situation of dialogue 0 must hold integers, got True"),
        ([Dialogue([[9]], [V], unknown=("x",))], ValueError, "situation of dialogue 0 must hold ids from 0 to 19, got 20"),
        ([Dialogue([[9]], response=[9.0])], TypeError, "response of dialogue 0"),
        ([Dialogue([[9]], label="sad")], TypeError, "label of dialogue 0 must be an integer, got str"),
        ([Dialogue([[9]], label=-1)], ValueError, "label of dialogue 0 must be at least 0"),
        ([Dialogue([[9]], knowledge=[[9]], situation_knowledge=[[9]])], TypeError, "knowledge of dialogue 0"),
        ([Dialogue([[9]], knowledge=[[[9]]], situation_knowledge=[9])], TypeError, "situation_knowledge of dialogue 0"),
        ([[[9]]], TypeError, "dialogues must hold Dialogue only, got list at 0"),
        (Dialogue([[9]]), TypeError, "dialogues must be a list, got one Dialogue"),
    ],
)
def test_ids_that_are_none_are_refused_by_name(talks, error, told):
    with pytest.raises(error, match=told):
        collate(talks, V)


def test_whether_an_id_is_valid_does_not_depend_on_the_rest_of_the_batch():
    wrong = Dialogue([[V]])
    for talks in ([wrong], [wrong, Dialogue([[9]], unknown=("x",))]):
        with pytest.raises(ValueError, match="utterances of dialogue 0 must hold ids from 0 to 19, got 20"):
            collate(talks, V)


def test_each_relation_of_knowledge_begins_with_its_summary():
    batch = batch_of(dialogue(0))
    assert bool((batch.knowledge[..., 0] == CLS).all()) and bool((batch.situation_knowledge[..., 0] == CLS).all())
    without = batch.knowledge.clone()
    without[:, :, -1] = without[:, :, -1].roll(-1, -1)
    with pytest.raises(ValueError, match="knowledge must have"):
        replace(batch, knowledge=without)


@pytest.mark.parametrize(
    ("talk", "told"),
    [
        (Dialogue([[9]], response=[9, EOS, 10]), "response of dialogue 0 must hold ids of words, got 2, which is <eos>"),
        (Dialogue([[9, PAD]]), "utterances of dialogue 0 must hold ids of words, got 1, which is <pad>"),
        (Dialogue([[9]], [CLS]), "situation of dialogue 0 must hold ids of words"),
        (Dialogue([[9]], knowledge=[[[EOS]]], situation_knowledge=[[9]]), "knowledge of dialogue 0 must hold ids of words"),
    ],
)
def test_special_ids_are_refused_by_name_but_for_unknown_words(talk, told):
    with pytest.raises(ValueError, match=told):
        collate([talk], V)
    assert collate([Dialogue([[UNK, 9]], [UNK], response=[UNK])], V).utterances.tolist() == [[[CLS, UNK, 9]]]


def test_a_text_that_has_a_special_word_does_not_mean_it():
    vocabulary = Vocabulary(["my", "dog"])
    talk = vocabulary.dialogue([["my", "<eos>", "<unk>"]], ["<pad>"], response=["<eos>", "dog"])
    assert talk.utterances == ((7, 9, UNK),) and talk.situation == (UNK,) and talk.response == (9, 8)
    assert vocabulary.text(talk.response, talk.unknown) == ["<eos>", "dog"]


def test_moving_a_batch_checks_nothing_again():
    batch = batch_of(dialogue(0, unknown=1), dialogue(1, utterances=3))
    # a device without numbers: looking at one would raise
    moved = batch.to("meta")
    tensors = {name for name, one in vars(moved).items() if isinstance(one, torch.Tensor)}
    assert tensors == {"utterances", "situation", "response", "labels", "knowledge", "situation_knowledge"}
    assert all(getattr(moved, name).is_meta and not getattr(batch, name).is_meta for name in tensors)
    assert (moved.vocabulary, moved.unknown) == (V, 1)
