"""IAMM as a whole: memory, padding, gradients, sizes, files, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from language.iamm_dialogues import CLASSES, RELATIONS, V, config, dialogue, small

from attractor.language.iamm import (
    CLS,
    EOS,
    IAMM,
    PAD,
    SYS,
    USR,
    AssociativeInteraction,
    DialogueBatch,
    IAMMConfig,
    IterativeMemory,
    collate,
)
from attractor.language.iamm.blocks import Encoder, FeedForward, Norm, Sizes, masked_softmax
from attractor.tensor_file import read, write


def batch_of(*dialogues):
    return collate(dialogues, V)


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


def test_bounded_memory_keeps_the_rows_with_the_largest_gates_in_their_order():
    whole = small(relations=0).encode(batch_of(dialogue(0, utterances=1, relations=0))).memory.memory
    kept = small(relations=0, capacity=5).encode(batch_of(dialogue(0, utterances=1, relations=0))).memory.memory
    gates = whole.gates.masked_fill(~whole.mask, -1)[0]
    places = gates.topk(5).indices.sort().values
    assert torch.equal(kept.rows, whole.rows[:, places]) and torch.equal(kept.source, whole.source[:, places])


@pytest.mark.parametrize(("heads", "keep"), [(2, 5), (1, 3), (4, 2)])
def test_memory_has_2_heads_keep_rows_after_one_utterance_and_6_more_after_each_further_one(heads, keep):
    model = small(heads=heads, keep=keep)
    for utterances in (1, 2, 3):
        encoding = model.encode(batch_of(dialogue(0, utterances=utterances)))
        expected = 2 * heads * keep + 6 * heads * keep * (utterances - 1)
        assert encoding.memory.memory.rows.shape[1] == encoding.knowledge_memory.memory.rows.shape[1] == expected
    assert (heads, keep) != (2, 5) or expected == 20 + 60 * 2


def test_memory_of_earlier_utterances_does_not_change_with_a_later_one():
    model, whole = small(), dialogue(0, utterances=4)
    before = None
    for count in (1, 2, 3, 4):
        part = replace(whole, utterances=whole.utterances[:count], knowledge=whole.knowledge[:count])
        encoding = model.encode(batch_of(part))
        rows = encoding.memory.memory.rows, encoding.knowledge_memory.memory.rows
        if before is not None:
            for old, new in zip(before, rows, strict=True):
                torch.testing.assert_close(new[:, : old.shape[1]], old, rtol=0, atol=1e-6)
        before = rows


def test_each_utterance_is_associated_with_the_situation_then_with_the_memory_then_with_the_history():
    generator = torch.Generator().manual_seed(0)
    memory = IterativeMemory(AssociativeInteraction(8, depth=4, partners=3, keep=2, relations=2)).double()
    words, scene = (torch.randn(1, *shape, 8, generator=generator).double() for shape in ((3, 4), (5,)))
    mask, known = torch.ones(1, 3, 4, dtype=torch.bool), torch.ones(1, 5, dtype=torch.bool)
    found = memory(words, mask, scene, known).memory.rows
    with torch.no_grad():
        associate, expected = memory.interaction, None
        for number in range(3):
            now, history = words[:, number], words[:, :number].flatten(1, 2)
            rows = [associate(now, scene).rows]
            if number:
                rows += [associate(now, expected, relation=1).rows, associate(now, history).rows]
            expected = torch.cat(rows if expected is None else [expected, *rows], 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


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


def test_each_relation_of_knowledge_begins_with_its_summary():
    batch = batch_of(dialogue(0))
    assert bool((batch.knowledge[..., 0] == CLS).all()) and bool((batch.situation_knowledge[..., 0] == CLS).all())
    without = batch.knowledge.clone()
    without[:, :, -1] = without[:, :, -1].roll(-1, -1)
    with pytest.raises(ValueError, match="knowledge must have"):
        replace(batch, knowledge=without)


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


def test_memories_refuse_what_does_not_fit():
    interaction = AssociativeInteraction(8, depth=4)
    with pytest.raises(ValueError, match="two relations"):
        IterativeMemory(interaction)
    with pytest.raises(TypeError, match="interaction must be"):
        IterativeMemory(torch.nn.Linear(2, 2))
    memory = IterativeMemory(AssociativeInteraction(8, depth=4, relations=2))
    scene, known = torch.zeros(1, 2, 8), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="utterances must have shape"):
        memory(torch.zeros(1, 0, 3, 8), torch.ones(1, 0, 3, dtype=torch.bool), scene, known)


def test_norm_uses_the_unbiased_deviation_and_has_finite_slopes_at_zero():
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    expected = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(Norm(5).double()(x), expected, rtol=1e-12, atol=1e-12)
    zero = torch.zeros(2, 5, requires_grad=True)
    Norm(5)(zero).sum().backward()
    assert bool(zero.grad.isfinite().all())


def test_causal_convolutions_see_no_later_word_and_others_do():
    sizes = Sizes(4, 4, 2, 5, 1)
    for causal in (True, False):
        layer = FeedForward(sizes, torch.Generator().manual_seed(0), causal=causal)
        x = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(1))
        later = x.clone()
        later[:, 4:] += 1
        mask = torch.ones(1, 6, dtype=torch.bool)
        same = (layer(x, mask) == layer(later, mask)).all(-1)[0].tolist()
        assert same[:2] == [True] * 2 and (same[:4] == [True] * 4) == causal


def test_encoders_know_the_order_of_words():
    encoder = Encoder(Sizes(6, 4, 2, 5, 1), torch.Generator().manual_seed(0))
    x, mask = torch.randn(1, 4, 6), torch.ones(1, 4, dtype=torch.bool)
    assert not torch.allclose(encoder(x.flip(1), mask).flip(1), encoder(x, mask), atol=1e-3)


def test_masked_softmax_leaves_nothing_where_nothing_counts():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    found = masked_softmax(torch.tensor([[0.0, 90.0, 0.0], [1.0, 2.0, 3.0]]), mask)
    assert found.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_model_runs_on_a_gpu_as_on_the_cpu():
    model, batch = small(dtype=torch.float64), batch_of(dialogue(0, unknown=1), dialogue(1, utterances=3))
    expected = model.losses(batch).total
    found = model.cuda().losses(batch.to("cuda")).total
    torch.testing.assert_close(found.cpu(), expected)
