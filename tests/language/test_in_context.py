"""Streams of questions are built as they say, and what is asked is what counts."""

import pytest
import torch
from language.tiny_models import tiny
from language.tiny_tokenizer import WORDS, tokenizer

from attractor.language import CamelotConfig
from attractor.language.in_context import COLOURS, NOUNS, colours_of_nouns, labelled_texts, predictions, right, stream
from attractor.language.perplexity import FullContext, WindowOnly, WithMemory

REVIEWS = [("apple car", "positive"), ("house dog", "negative"), ("door", "positive"), ("boat", "negative")]


class Knowing:
    """Stands for a model that knows the answers of a stream; `off` moves them by one place."""

    def __init__(self, asked, off=0):
        self.asked, self.off = asked, off

    def windows(self, model, ids, window):
        logits = torch.zeros(1, ids.shape[1], len(WORDS))
        logits[0, self.asked.places - 1 + self.off, ids[0, self.asked.places]] = 1.0
        return iter(logits.split(window, 1))

    def reach(self, tokens, window):
        return window


def test_the_list_of_colours_stands_there_twice_and_is_asked_when_it_is_shuffled():
    asked = colours_of_nouns(tokenizer(), seed=3)
    words = [WORDS[each] for each in asked.ids.tolist()]
    assert len(words) == 5 * 3 * len(NOUNS) and words[0] == "The" and words[2:5:2] == ["is", "."]
    sentences = [tuple(words[start : start + 5]) for start in range(0, len(words), 5)]
    first, second, third = (sentences[start : start + 29] for start in (0, 29, 58))
    assert first == second != third and sorted(first) == sorted(third)
    assert [words[place] for place in asked.places.tolist()] == [sentence[3] for sentence in sentences]
    assert [COLOURS[answer] for answer in asked.answers.tolist()] == [sentence[3] for sentence in sentences]
    assert asked.asked.tolist() == [False] * 58 + [True] * 29 and asked.chance == 1 / 8


def test_streams_of_one_seed_are_equal_and_of_others_are_not():
    one, same, other = (colours_of_nouns(tokenizer(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.ids, same.ids) and not torch.equal(one.ids, other.ids)


def test_labelled_texts_are_shuffled_and_asked_after_the_demonstrations():
    asked = labelled_texts(tokenizer(), REVIEWS, ("negative", "positive"), seed=0, demonstrations=3)
    words = [WORDS[each] for each in asked.ids.tolist()]
    assert words.count("Review") == 4 and asked.asked.tolist() == [False] * 3 + [True]
    told = [words[place] for place in asked.places.tolist()]
    assert told == [("negative", "positive")[answer] for answer in asked.answers.tolist()]
    assert sorted(told) == ["negative", "negative", "positive", "positive"]
    assert all(words[place - 2 : place] == ["Sentiment", ":"] for place in asked.places.tolist())


@pytest.mark.parametrize("window", [2, 7, 64, 1000])
def test_a_model_that_knows_is_right_whatever_the_window(window):
    asked = colours_of_nouns(tokenizer(), seed=0)
    assert right(tiny(), asked, Knowing(asked), window=window) == (29, 29)
    assert right(tiny(), asked, Knowing(asked, off=1), window=window)[0] < 20


def test_ways_that_see_the_same_answer_the_same():
    model, asked = tiny(max_position_embeddings=512), colours_of_nouns(tokenizer(), seed=0)
    everything = WithMemory(CamelotConfig(slots=500, window=32, recent=8, threshold=None))
    full, kept, alone = (predictions(model, asked, way, window=32) for way in (FullContext(), everything, WindowOnly()))
    assert torch.equal(full, kept) and not torch.equal(full, alone)


def test_endings_that_begin_alike_are_refused():
    with pytest.raises(ValueError, match="different tokens"):
        stream(tokenizer(), [("The", 0)], ["red", "red"], ".")
    with pytest.raises(ValueError, match="different tokens"):
        stream(tokenizer(), [("The", 0)], ["red", ""], ".")


@pytest.mark.parametrize(
    ("labels", "demonstrations", "message"), [(("negative",), 1, "labels"), (("negative", "positive"), 4, "below 4")]
)
def test_labelled_texts_refuse_what_cannot_be_asked(labels, demonstrations, message):
    with pytest.raises(ValueError, match=message):
        labelled_texts(tokenizer(), REVIEWS, labels, seed=0, demonstrations=demonstrations)
