"""The iterative memory: its rows, its order, its bounds."""

from dataclasses import replace

import pytest
import torch
from language.iamm_dialogues import V, batch_of, dialogue, small

from attractor.language.iamm import (
    AssociativeInteraction,
    IterativeMemory,
    collate,
)


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


def test_bounded_memory_keeps_the_rows_with_the_largest_gates_in_their_order():
    whole = small(relations=0).encode(batch_of(dialogue(0, utterances=1, relations=0))).memory.memory
    kept = small(relations=0, capacity=5).encode(batch_of(dialogue(0, utterances=1, relations=0))).memory.memory
    gates = whole.gates.masked_fill(~whole.mask, -1)[0]
    places = gates.topk(5).indices.sort().values
    assert torch.equal(kept.rows, whole.rows[:, places]) and torch.equal(kept.source, whole.source[:, places])


def test_what_a_bounded_memory_holds_grows_with_the_dialogue_only():
    def held(utterances):
        talk = dialogue(0, relations=0, utterances=[[9, 10, 11, 12]] * utterances)
        _, memory = small(relations=0, capacity=20).remember(collate([talk], V))
        tensors = [one for read in memory.reads for part in (read.found, read.own, read.other) for one in part]
        storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
        return sum(storages.values())

    assert held(40) < 2.2 * held(20)


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


def test_without_masks_all_are_words():
    memory, given = memory_input()
    whole = memory(**given).memory.rows
    assert torch.equal(memory(given["utterances"], None, given["situation"]).memory.rows, whole)
