"""IAMM as a whole: gradients, sizes, losses, what its heads read, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from language.iamm_dialogues import CLASSES, RELATIONS, V, batch_of, config, dialogue, small

from attractor.language.iamm import (
    CLS,
    IAMM,
    PAD,
    SYS,
    USR,
    AssociativeInteraction,
    IAMMConfig,
    collate,
)


@pytest.mark.parametrize("selection", ["hard", "soft"])
@pytest.mark.parametrize("relations", [0, RELATIONS])
def test_every_parameter_learns_in_one_step(relations, selection):
    model = small(relations=relations, selection=selection)
    dialogues = [dialogue(seed, utterances=3, relations=relations, unknown=1) for seed in range(4)]
    model.losses(batch_of(*dialogues)).total.backward()
    assert [name for name, one in model.named_parameters() if one.grad is None or not bool((one.grad != 0).any())] == []
    for memory in model.memories.values():
        for one in (memory.interaction.query, memory.interaction.key, memory.interaction.value):
            assert bool((one.grad != 0).flatten(1).any(1).all()), "a relation does not learn"


@pytest.mark.parametrize("options", [{}, {"relations": 0}, {"layers": 2, "heads": 1, "partners": 3}])
def test_number_of_parameters_is_the_sum_of_the_documented_parts(options):
    model = small(**options)
    c = model.config
    d, a, f = c.dim, c.depth, c.filters
    encoder = d * d + c.layers * (4 * d * a + 6 * d * f + f + 5 * d) + 2 * d
    head = 2 * d * d + 2 * d + c.classes * (d + 1)
    memories = [k * (k + 1) + c.keep * (c.keep + 1) + k * d * a // c.heads + 6 * d * a for k in (c.partners, c.knowledge_partners)]
    told = model.num_parameters()
    assert told["embedding"] == c.vocabulary * d
    assert told["encoders"] == (6 if c.relations else 4) * encoder
    assert told["heads"] == (4 if c.relations else 3) * head
    assert told["memories"] == (sum(memories) if c.relations else memories[0])
    assert told.get("relations", 0) == c.relations * d
    decoders = 2 * (d * d + c.layers * (8 * d * a + 6 * d * f + f + 7 * d) + 2 * d)
    assert told["decoder"] == decoders + 4 * d + 2 + c.vocabulary * (d + 1)
    assert told == {name: c.parameters[name] for name in told} and told.keys() == c.parameters.keys()
    assert told["total"] == sum(one.numel() for one in model.parameters()) == sum(told.values()) - told["total"]


def test_the_reference_run_has_its_embedding_and_its_map_to_words():
    told = IAMM(IAMMConfig(24_000)).num_parameters()
    assert told["embedding"] == 7_200_000 and told["decoder"] > 24_000 * 301


def test_losses_are_the_cross_entropies_of_each_head_and_the_mean_over_words():
    model = small()
    batch = batch_of(dialogue(0), dialogue(1, utterances=3))
    losses, emotions = model.losses(batch), model.encode(batch).emotions
    for loss, scores in zip(losses[1:], emotions, strict=True):
        expected = -scores.log_softmax(-1)[torch.arange(2), batch.labels].mean()
        torch.testing.assert_close(loss, expected)
    words = model.token_log_probabilities(batch)
    torch.testing.assert_close(losses.response, -words.sum() / (batch.response != PAD).sum())
    torch.testing.assert_close(losses.total, sum(losses))
    torch.testing.assert_close(emotions.total, sum(emotions))


def test_parts_without_labels_or_responses_are_left_out():
    model = small(relations=0)
    talk = dialogue(0, relations=0)
    silent, unlabelled = batch_of(replace(talk, response=None)), batch_of(replace(talk, label=None))
    assert model.losses(silent).response is None and model.losses(silent).knowledge is None
    assert model.losses(unlabelled)[1:] == (None,) * 4 and bool(model.losses(unlabelled).total > 0)
    with pytest.raises(ValueError, match="responses or labels"):
        model.losses(batch_of(replace(talk, label=None, response=None)))
    with pytest.raises(ValueError, match="must have responses"):
        model.token_log_probabilities(silent)


def test_heads_read_what_they_are_named_after():
    model, talk = small(), dialogue(0)
    before = model.encode(batch_of(talk)).emotions
    changed = {
        "situation": model.encode(batch_of(replace(talk, situation=[V - 1, 8, 9]))).emotions,
        "knowledge": model.encode(batch_of(replace(talk, situation_knowledge=[[10, 11]] * RELATIONS))).emotions,
    }
    differ = {
        name: {head for head, x, y in zip(before._fields, before, now, strict=True) if not torch.equal(x, y)}
        for name, now in changed.items()
    }
    assert differ == {"situation": {"situation", "memory"}, "knowledge": {"knowledge", "memory"}}


def test_the_first_utterance_is_the_users_and_the_second_the_systems():
    for said, users, systems in (([[9]], True, False), ([[9], [10]], True, True), ([[], [10]], False, True)):
        model = small(relations=0)
        model.losses(batch_of(dialogue(0, relations=0, utterances=said, response=None))).total.backward()
        moved = (model.embedding.weight.grad != 0).any(1)
        assert (bool(moved[USR]), bool(moved[SYS]), bool(moved[CLS])) == (users, systems, True)


def test_relations_of_knowledge_are_told_apart():
    model, talk = small(), dialogue(0)
    swapped = replace(talk, situation_knowledge=talk.situation_knowledge[::-1])
    first, second = (model.encode(batch_of(one)).emotions.knowledge for one in (talk, swapped))
    assert not torch.allclose(first, second, atol=1e-5)


def test_same_seed_gives_the_same_model_and_losses_and_another_seed_others():
    before = torch.get_rng_state()
    batch = batch_of(dialogue(0), dialogue(1))

    def trained(seed):
        model = small(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        found = []
        for _ in range(3):
            losses = model.losses(batch)
            optimizer.zero_grad()
            losses.total.backward()
            optimizer.step()
            found.append(losses.total.item())
        return found

    first = trained(0)
    assert first == trained(0) and first != trained(1) and first[-1] < first[0]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"heads": 3}, "depth must be a multiple of heads = 3, got 8"),
        ({"vocabulary": 7}, "vocabulary must be at least 8"),
        ({"classes": 1}, "classes"),
        ({"selection": "none"}, "selection must be one of"),
        ({"relations": -1}, "relations"),
        ({"capacity": 0}, "capacity"),
        ({"deviation": 0.0}, "deviation"),
        ({"layers": 0}, "layers"),
    ],
)
def test_wrong_settings_are_refused_by_name(options, told):
    with pytest.raises(ValueError, match=told):
        replace(config(), **options)


def test_batches_that_the_model_was_not_built_for_are_refused():
    with_knowledge, without = small(), small(relations=0)
    plain, rich = batch_of(dialogue(0, relations=0)), batch_of(dialogue(0))
    with pytest.raises(ValueError, match="built with, 3 relations of knowledge, got 0"):
        with_knowledge(plain)
    with pytest.raises(ValueError, match="built with, no knowledge, got 3"):
        without(rich)
    with pytest.raises(ValueError, match="built with, 3 relations"):
        with_knowledge(batch_of(dialogue(0, relations=2)))
    with pytest.raises(ValueError, match=f"labels must be from 0 to {CLASSES - 1}, got {CLASSES}"):
        without(batch_of(dialogue(0, relations=0, label=CLASSES)))
    with pytest.raises(ValueError, match="vocabulary of 20 words, got 21"):
        without(collate([dialogue(0, relations=0)], V + 1))
    with pytest.raises(TypeError, match="batch must be a DialogueBatch"):
        without(plain.utterances)
    with pytest.raises(TypeError, match="config must be an IAMMConfig"):
        IAMM({"vocabulary": V})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_model_runs_on_a_gpu_as_on_the_cpu():
    model, batch = small(dtype=torch.float64), batch_of(dialogue(0, unknown=1), dialogue(1, utterances=3))
    expected = model.losses(batch).total
    found = model.cuda().losses(batch.to("cuda")).total
    torch.testing.assert_close(found.cpu(), expected)


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
