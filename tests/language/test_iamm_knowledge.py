"""Sources of knowledge: none, lexicons, a model of Hugging Face, and the file that remembers their answers."""

import json

import pytest
import torch

from attractor.language.iamm import IAMM, IAMMConfig, KnowledgeSource, Vocabulary, collate
from attractor.language.iamm.knowledge import (
    RELATIONS,
    CachedKnowledge,
    CometKnowledge,
    LexiconKnowledge,
    NullKnowledge,
    knowledge_about,
)

FEELINGS = {"emotion": {"died": ["sadness"], "dog": ["joy"], "pet": ["joy"]}, "neighbour": {"dog": ["cat", "puppy"]}}


class Counting:
    relations = ("same",)

    def __init__(self):
        self.asked = 0

    def about(self, words):
        self.asked += 1
        return (tuple(words),)

    def __repr__(self):
        return "Counting()"


def test_all_of_them_are_sources(tmp_path):
    for source in (NullKnowledge(), LexiconKnowledge(FEELINGS), CachedKnowledge(Counting(), tmp_path / "file")):
        assert isinstance(source, KnowledgeSource) and len(source.about(["dog"])) == len(source.relations)
    with pytest.raises(ValueError, match="lexicons"):
        LexiconKnowledge({})


def test_a_lexicon_answers_for_each_relation_in_the_order_of_the_words():
    assert LexiconKnowledge(FEELINGS).about(["my", "dog", "pet", "died"]) == (("joy", "sadness"), ("cat", "puppy"))


@pytest.mark.parametrize("source", [NullKnowledge(), LexiconKnowledge(FEELINGS)])
def test_a_model_for_its_relations_reads_what_a_source_says(source):
    vocabulary = Vocabulary(["my", "dog", "died", "joy", "sadness", "cat"])
    said, scene = [["my", "dog"], ["dog", "died"]], ["died"]
    dialogue = vocabulary.dialogue(said, scene, label=0, **knowledge_about(source, said, scene))
    config = IAMMConfig(len(vocabulary), classes=2, dim=8, depth=4, partners=2, keep=1, relations=len(source.relations))
    losses = IAMM(config).losses(collate([dialogue], len(vocabulary)))
    assert (losses.knowledge is None) == (not source.relations) and bool(losses.total.isfinite())


def test_a_source_is_asked_once_and_never_again_after_reopening(tmp_path):
    source, path = Counting(), tmp_path / "known.jsonl"
    cache = CachedKnowledge(source, path)
    assert cache.about(["a", "b"]) == cache.about(["a", "b"]) == (("a", "b"),)
    assert cache.about(["é"]) == (("é",),) and source.asked == 2
    again = CachedKnowledge(source, path)
    assert len(again) == 2 and again.about(["é"]) == (("é",),) and source.asked == 2
    assert all(isinstance(json.loads(line), dict | list) for line in path.read_text().splitlines())


def test_an_open_last_line_is_asked_again_and_the_file_stays_whole(tmp_path):
    source, path = Counting(), tmp_path / "known.jsonl"
    cache = CachedKnowledge(source, path)
    cache.about(["a"])
    cache.about(["b"])
    path.write_text(path.read_text()[:-3])
    again = CachedKnowledge(source, path)
    assert len(again) == 1
    again.about(["c"])
    assert len(CachedKnowledge(source, path)) == 2


@pytest.mark.parametrize("damage", ["of another source", "no JSON", "another number of relations"])
def test_files_of_others_are_refused_and_stay_as_they_are(tmp_path, damage):
    path = tmp_path / "known.jsonl"
    CachedKnowledge(Counting(), path).about(["a"])
    source = LexiconKnowledge(FEELINGS) if damage == "of another source" else Counting()
    if damage == "no JSON":
        path.write_text("what\n")
    if damage == "another number of relations":
        path.write_text(path.read_text() + '[["b"], [["b"], ["c"]]]\n')
    before = path.read_text()
    with pytest.raises(ValueError, match="path must be new or hold what"):
        CachedKnowledge(source, path)
    assert path.read_text() == before


@pytest.fixture
def folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "my",
        "dog",
        "died",
        "sad",
        "to",
        "cry",
        "[GEN]",
        *(f"x{one.title()}" for one in RELATIONS),
    ]
    plain = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    plain.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, **special).save_pretrained(tmp_path)
    layers = {f"{side}_{what}": 1 if what != "ffn_dim" else 8 for side in ("encoder", "decoder") for what in ("layers", "ffn_dim")}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    torch.manual_seed(0)
    config = transformers.BartConfig(vocab_size=len(words), d_model=8, max_position_embeddings=64, **layers, **heads)
    config.update({"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": 2})
    transformers.BartForConditionalGeneration(config).save_pretrained(tmp_path)
    return tmp_path


def test_a_sequence_model_is_asked_every_relation_and_its_phrases_are_joined(folder):
    with torch.random.fork_rng():
        source = CometKnowledge.from_pretrained(folder, phrases=3, longest=4)
    assert tuple(source.relations) == RELATIONS and source.questions["need"] == "xNeed"
    found = source.about(["my", "dog", "died"])
    assert len(found) == 5 and found == source.about(["my", "dog", "died"])
    assert all(len(words) <= 3 * 4 and not any(sign in word for word in words for sign in "<[") for words in found)
    cached = CachedKnowledge(source, folder / "known.jsonl")
    assert cached.about(["my", "dog", "died"]) == found


def test_a_sequence_model_needs_a_folder_and_questions(tmp_path):
    with pytest.raises(ValueError, match="folder must hold"):
        CometKnowledge.from_pretrained(tmp_path / "none")
    with pytest.raises(ValueError, match="questions"):
        CometKnowledge(None, None, questions={})
    with pytest.raises(ValueError, match="phrases"):
        CometKnowledge(None, None, phrases=0)
