"""Files of models: identical scores, the words that ids mean, damage, other sizes."""

import time

import numpy as np
import pytest
import torch
from language.iamm_dialogues import RELATIONS, V, batch_of, config, dialogue, small

from attractor.language.iamm import IAMM, Vocabulary, associated_words
from attractor.tensor_file import read, write


@pytest.mark.parametrize("options", [{}, {"relations": 0, "selection": "soft", "capacity": 9, "layers": 2}])
def test_saved_model_comes_back_with_identical_scores(tmp_path, options):
    model = small(3, **options)
    relations = options.get("relations", RELATIONS)
    batch = batch_of(dialogue(0, relations=relations, unknown=2), dialogue(1, utterances=3, relations=relations))
    model.save(tmp_path / "model")
    again = IAMM.load(tmp_path / "model")
    assert again.config == model.config and not again.training
    for one, other in zip(model.losses(batch), again.losses(batch), strict=True):
        assert one is other is None or torch.equal(one, other)
    assert torch.equal(model(batch), again(batch))
    model.double().save(tmp_path / "double")
    assert torch.equal(IAMM.load(tmp_path / "double")(batch), model(batch))


def test_damaged_and_foreign_files_are_refused(tmp_path):
    model = small()
    path = tmp_path / "model"
    model.save(path)
    described, tensors = read(path, "a model")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        IAMM.load(tmp_path / "nothing")
    for changes in (
        {"kind": "other"},
        {"config": described["config"] | {"partners": 3}},
        {"config": {"vocabulary": V, "width": 1}},
    ):
        write(path, described | changes, tensors)
        with pytest.raises(ValueError, match="path must be a saved IAMM"):
            IAMM.load(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="path must be a saved IAMM"):
        IAMM.load(path)


def test_rows_of_a_checkpoint_that_do_not_fit_are_named_and_nothing_changes():
    model, other = small(partners=4), small(1, partners=5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"memories\.words\.interaction\.map\.weight must have rows of 4 partners x 4 = 16 numbers"
    ):
        model.load_state_dict(other.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


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


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="path must be in a folder that"):
        small().save(tmp_path / "missing" / "file")
    with pytest.raises(ValueError, match="path must be a file, got the folder"):
        small().save(tmp_path)


def test_a_saved_model_knows_what_its_ids_mean_and_refuses_dialogues_of_other_words(tmp_path):
    words = [f"w{number}" for number in range(V - 7)]
    vocabulary, other = Vocabulary(words), Vocabulary([*words[:5], "d\u00e9j\u00e0", *words[6:]])
    model = IAMM(config(relations=0), vocabulary=vocabulary)
    model.save(tmp_path / "model")
    again = IAMM.load(tmp_path / "model")
    assert again.vocabulary.words == vocabulary.words
    talk = again.vocabulary.dialogue([["w0", "w5"]], ["w1"])
    assert associated_words(again, [talk], vocabulary) == associated_words(model, [talk], vocabulary)
    with pytest.raises(ValueError, match="to which id 12 means 'w5', got one where it is 'd\u00e9j\u00e0'"):
        associated_words(again, [talk], other)
    with pytest.raises(ValueError, match="id 20 means nothing, got one where it is 'more'"):
        associated_words(again, [talk], Vocabulary([*words, "more"]))


def test_a_model_that_was_told_no_words_takes_any_and_says_so_in_its_file(tmp_path):
    small(relations=0).save(tmp_path / "model")
    again = IAMM.load(tmp_path / "model")
    assert again.vocabulary is None
    associated_words(again, [dialogue(0, relations=0)], Vocabulary([f"w{number}" for number in range(V - 7)]))


@pytest.mark.parametrize("words", ["abc", ["a"] * (V - 7), [1] * (V - 7), ["a", "b"], {}])
def test_a_file_with_words_that_are_no_vocabulary_of_the_model_is_refused(tmp_path, words):
    small().save(tmp_path / "model")
    described, tensors = read(tmp_path / "model", "a model")
    write(tmp_path / "model", described | {"words": words}, tensors)
    with pytest.raises(ValueError, match="path must be a saved IAMM"):
        IAMM.load(tmp_path / "model")


def test_a_vocabulary_of_another_length_is_refused():
    with pytest.raises(ValueError, match="vocabulary must have the 20 words of config, got 9"):
        IAMM(config(), vocabulary=Vocabulary(["a", "b"]))
