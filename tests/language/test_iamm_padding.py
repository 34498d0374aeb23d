"""Padding, neighbours in the batch, and texts that are short or empty change nothing and break nothing."""

from dataclasses import replace

import pytest
import torch
from language.iamm_dialogues import RELATIONS, batch_of, dialogue, small

from attractor.language.iamm import (
    PAD,
)


def widened(batch, more=3):
    """The same dialogues with more padding on every axis that may have some."""

    def grow(ids, axes):
        return (
            None if ids is None else torch.nn.functional.pad(ids, (0, more) + (0, 0) * (axes == 4) + (0, 1) * (axes > 2), value=PAD)
        )

    scene = batch.situation_knowledge
    return replace(
        batch,
        utterances=grow(batch.utterances, 3),
        situation=grow(batch.situation, 2),
        response=grow(batch.response, 2),
        knowledge=grow(batch.knowledge, 4),
        situation_knowledge=None if scene is None else torch.nn.functional.pad(scene, (0, more), value=PAD),
    )


def chosen(memory, item=0):
    """What was chosen for a dialogue, in order, as numbers of utterances and places."""

    def place(sequences, where):
        return int(sequences.source[item, where]), int(sequences.place[item, where])

    result = []
    for number, source, found, own, other in memory.reads:
        half = found.words.shape[1] // 2
        for row in found.mask[item].nonzero().flatten().tolist():
            mine, theirs = (own, other) if row < half else (other, own)
            partners = [place(theirs, one) for one in found.partners[item, row].tolist() if one >= 0]
            result.append((number, source, place(mine, int(found.words[item, row])), partners))
    return result


@pytest.mark.parametrize("relations", [0, RELATIONS])
@pytest.mark.parametrize("selection", ["hard", "soft"])
def test_padding_changes_neither_scores_nor_choices_nor_losses(relations, selection):
    model = small(relations=relations, selection=selection, dtype=torch.float64)
    batch = batch_of(dialogue(0, relations=relations, unknown=2), dialogue(1, utterances=3, relations=relations))
    plain, wide = model.encode(batch), model.encode(widened(batch))
    torch.testing.assert_close(wide.emotions.total, plain.emotions.total, rtol=0, atol=1e-10)
    for one, other in zip(model.losses(batch), model.losses(widened(batch)), strict=True):
        assert one is None or float((one - other).abs()) < 1e-10
    for item in range(2):
        assert chosen(plain.memory, item) == chosen(wide.memory, item)


@pytest.mark.parametrize("relations", [0, RELATIONS])
def test_a_longer_neighbour_changes_nothing_and_a_batch_of_one_works(relations):
    model = small(relations=relations)
    first, long = dialogue(0, relations=relations, unknown=1), dialogue(1, utterances=5, relations=relations, unknown=4)
    alone, together = model.encode(batch_of(first)), model.encode(batch_of(first, long))
    torch.testing.assert_close(together.emotions.total[:1], alone.emotions.total, rtol=0, atol=1e-5)
    assert chosen(alone.memory) == chosen(together.memory)
    one, two = model.token_log_probabilities(batch_of(first)), model.token_log_probabilities(batch_of(first, long))
    torch.testing.assert_close(two[:1, : one.shape[1]], one, rtol=0, atol=1e-5)
    assert bool((two[0, one.shape[1] :] == 0).all())


def test_bounded_memory_does_not_depend_on_padding_either():
    model = small(capacity=10, dtype=torch.float64)
    first, long = dialogue(0, utterances=3), dialogue(1, utterances=5)
    alone, together = model.encode(batch_of(first)), model.encode(widened(batch_of(first, long)))
    assert alone.memory.memory.rows.shape[1] == 10
    torch.testing.assert_close(together.emotions.total[:1], alone.emotions.total, rtol=0, atol=1e-10)


@pytest.mark.parametrize("selection", ["hard", "soft"])
@pytest.mark.parametrize(("partners", "keep"), [(15, 5), (40, 30)])
def test_empty_and_short_texts_give_finite_scores_and_gradients(partners, keep, selection):
    model = small(partners=partners, keep=keep, knowledge_partners=partners, selection=selection, notes=1000)
    nothing = dialogue(0, utterances=[[]], situation=[], knowledge=[[[]] * RELATIONS], situation_knowledge=[[]] * RELATIONS)
    short = dialogue(1, utterances=[[9], []], response=[])
    for batch in (batch_of(nothing), batch_of(nothing, short, dialogue(2, utterances=3))):
        model.zero_grad()
        losses = model.losses(batch)
        losses.total.backward()
        assert all(bool(one.isfinite()) for one in losses)
        assert all(one.grad is None or bool(one.grad.isfinite().all()) for one in model.parameters())
        for one in model.encode(batch).memory.reads:
            assert bool((one.found.scores[one.found.partners < 0] == 0).all())
