"""What users of IAMM may hand in by mistake, files from elsewhere, half precisions and long dialogues."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from language.iamm_dialogues import RELATIONS, V, config, dialogue, small

from attractor.language.iamm import (
    IAMM,
    AssociatedWord,
    AssociativeInteraction,
    Dialogue,
    IterativeMemory,
    Vocabulary,
    associated_words,
    collate,
    greedy,
    prompt_with_words,
    sample,
)
from attractor.language.iamm.decoder import log_probabilities, log_probability
from attractor.language.iamm.decoding import spoken
from attractor.tensor_file import read, write


@pytest.mark.parametrize("changes", [{"layers": 10**12}, {"vocabulary": 10**12}, {"filters": 8}, {"relations": 0}, {"keep": 10**6}])
def test_a_file_that_claims_another_size_is_refused_before_that_size_is_built(tmp_path, changes):
    small().save(tmp_path / "model")
    described, tensors = read(tmp_path / "model", "a model")
    write(tmp_path / "model", described | {"config": described["config"] | changes}, tensors)
    start = time.process_time()
    with pytest.raises(ValueError, match="its settings ask for"):
        IAMM.load(tmp_path / "model")
    assert time.process_time() - start < 1


def test_settings_of_numpy_are_saved_as_plain_numbers(tmp_path):
    numbers = {"keep": np.int64(3), "depth": np.int32(8), "deviation": np.float32(0.25), "capacity": np.int64(9)}
    model = IAMM(config(**numbers))
    model.save(tmp_path / "model")
    assert IAMM.load(tmp_path / "model").config == model.config == config(keep=3, depth=8, deviation=0.25, capacity=9)


def test_a_saved_vocabulary_comes_back_and_others_are_refused(tmp_path):
    vocabulary = Vocabulary(["dog", "d\u00e9j\u00e0", "\u6b7b"])
    vocabulary.save(tmp_path / "words")
    assert Vocabulary.load(tmp_path / "words").words == vocabulary.words
    assert [one.name for one in tmp_path.iterdir()] == ["words"]
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Vocabulary.load(tmp_path / "nothing")
    for text in ("[]", "{", '{"kind": "vocabulary of IAMM", "words": [1]}', '{"kind": "vocabulary of IAMM", "words": ["a", "a"]}'):
        (tmp_path / "words").write_text(text)
        with pytest.raises(ValueError, match="path must be a saved vocabulary of IAMM"):
            Vocabulary.load(tmp_path / "words")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    for one in (small(), Vocabulary(["dog"])):
        with pytest.raises(FileNotFoundError, match="path must be in a folder that is there"):
            one.save(tmp_path / "missing" / "file")
        with pytest.raises(ValueError, match="path must be a file, got the folder"):
            one.save(tmp_path)


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


def test_a_prompt_refuses_one_text_and_the_words_of_many_dialogues():
    with pytest.raises(TypeError, match="utterances must be a sequence of texts"):
        prompt_with_words("My dog died.", [])
    words = [AssociatedWord(0, "dog", "situation", "died", 0.5)]
    with pytest.raises(TypeError, match=r"words must be of one dialogue, .* got list"):
        prompt_with_words(["My dog died."], [words])


def memory_input():
    memory = IterativeMemory(AssociativeInteraction(8, depth=4, relations=2))
    words, scene = torch.randn(2, 3, 4, 8), torch.randn(2, 5, 8)
    given = {"utterances": words, "mask": torch.ones(2, 3, 4).bool(), "situation": scene, "situation_mask": torch.ones(2, 5).bool()}
    return memory, given


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"utterances": None}, TypeError, "utterances must be a torch.Tensor, got NoneType"),
        ({"utterances": torch.zeros(2, 3, 8)}, ValueError, "utterances must have shape"),
        ({"mask": torch.ones(2, 3, 4)}, TypeError, "mask must be a Boolean tensor, .* got torch.float32"),
        ({"mask": torch.ones(2, 3, 5).bool()}, ValueError, r"mask must have shape \(2, 3, 4\)"),
        ({"situation": torch.zeros(2, 5, 7)}, ValueError, "situation must have shape"),
        ({"situation": torch.zeros(2, 5, 8).double()}, ValueError, "situation must be torch.float32 on cpu like the weights"),
        ({"situation": torch.full((2, 5, 8), torch.nan)}, ValueError, "situation must be finite"),
        ({"situation": torch.zeros(1, 5, 8), "situation_mask": None}, ValueError, "situation must have as many dialogues"),
        ({"situation_mask": torch.ones(2, 4).bool()}, ValueError, "situation_mask must have shape"),
        ({"utterances": torch.full((2, 3, 4, 8), 1e30)}, ValueError, "utterances and situation must have finite scores"),
    ],
)
def test_the_memory_names_what_does_not_fit(changes, error, told):
    memory, given = memory_input()
    with pytest.raises(error, match=f"^{told}"):
        memory(**(given | changes))


def test_without_masks_all_are_words():
    memory, given = memory_input()
    whole = memory(**given).memory.rows
    assert torch.equal(memory(given["utterances"], None, given["situation"]).memory.rows, whole)


def test_an_interaction_refuses_another_precision_and_words_whose_scores_are_not_finite():
    layer, words = AssociativeInteraction(8, depth=4), torch.randn(1, 3, 8)
    with pytest.raises(ValueError, match=r"a must be torch\.float32 on cpu like the weights, got torch\.float64"):
        layer(words.double(), words)
    with pytest.raises(ValueError, match=r"b must be torch\.float32 on cpu like the weights, got torch\.float64"):
        layer(words, words.double())
    with pytest.raises(ValueError, match="a and b must have finite scores"):
        layer(1e30 * words, 1e30 * words)
    with torch.autocast("cpu", torch.bfloat16):
        assert bool(layer(words.bfloat16(), words).rows.isfinite().all())


def test_a_model_with_broken_weights_names_them():
    model, batch = small(), collate([dialogue(0)], V)
    with torch.no_grad():
        model.embedding.weight[int(batch.utterances[0, 0, 1])] = torch.nan
    for read_by in (model.encode, model.remember):
        with pytest.raises(ValueError, match=r"weights of the model must give finite scores, .* \['embedding.weight'\]"):
            read_by(batch)


@pytest.mark.parametrize("make", [lambda one: IAMM(config(), generator=one), lambda one: AssociativeInteraction(8, generator=one)])
def test_a_seed_is_no_generator(make):
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator, got int"):
        make(0)


def test_draws_need_a_generator_and_take_any_temperature():
    model, batch = small(relations=0), collate([dialogue(0, relations=0)], V)
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator, got int"):
        sample(model, batch, generator=0)
    assert sample(model, batch, temperature=1e-310, most=5).ids == greedy(model, batch, most=5).ids


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_probabilities_sum_to_one_in_half_precisions_too(dtype):
    model = small(dtype=dtype)
    batch = collate([dialogue(0, unknown=2), dialogue(1, utterances=3)], V)
    with torch.no_grad():
        given = model.encode(batch).answer
        found = log_probabilities(model.decoder(model._embed(batch.response), given), given)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(found.shape[:2]), rtol=0, atol=1e-5)
    assert spoken(model, batch.response, given).dtype == torch.float64


def test_both_forms_of_a_probability_agree_where_copying_is_as_good_as_impossible():
    model = small(relations=0)
    with torch.no_grad():
        model.decoder.pointer.bias.fill_(1e4)
        batch = collate([dialogue(0, relations=0, unknown=1)], V)
        given = model.encode(batch).answer
        mixture = model.decoder(model._embed(batch.response), given)
        whole = log_probabilities(mixture, given).gather(-1, batch.response[..., None])[..., 0]
    found = log_probability(mixture, given, batch.response)
    torch.testing.assert_close(whole, found)
    assert float(found.min()) < -5000


def test_what_a_bounded_memory_holds_grows_with_the_dialogue_only():
    def held(utterances):
        talk = dialogue(0, relations=0, utterances=[[9, 10, 11, 12]] * utterances)
        _, memory = small(relations=0, capacity=20).remember(collate([talk], V))
        tensors = [one for read in memory.reads for part in (read.found, read.own, read.other) for one in part]
        storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
        return sum(storages.values())

    assert held(40) < 2.2 * held(20)


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
