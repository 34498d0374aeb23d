"""Layers that have slots, and layers that keep the recent tokens only."""

import pytest
import torch
from language.tiny_models import plain, text, tiny

from attractor.language import attach


def test_only_the_chosen_layers_have_slots():
    model, ids = tiny(), text(1, 40)
    with attach(model, slots=24, window=8, layers=[1]) as memory, memory.session() as session:
        session.remember(ids)
        assert int(session.view(1).written.min()) == 32
        with pytest.raises(ValueError, match="layer 0 has no slots"):
            session.view(0)


def test_layers_that_would_never_see_a_slot_keep_recent_tokens_only():
    """Of two layers, the first sees 13 tokens back; all but 12 recent ones are further away."""
    model, ids = tiny("gemma3"), text(2, 60)
    found = []
    for layers in (None, [1]):
        with attach(model, slots=30, window=16, recent=12, layers=layers) as memory, memory.session() as session:
            found.append(session.logits(ids))
            assert memory.merging == {1} and int(session.view(1).written.min()) == 48
            with pytest.raises(ValueError, match="layer 0 has no slots"):
                session.view(0)
    assert torch.equal(*found)
    assert attach(model, slots=30, window=16, recent=11).merging == {0, 1}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mistral", {"recent": 12}, "recent must be below 12 for the sliding window of 13 tokens of layer 0, got 12"),
        ("gemma3", {"recent": 12, "layers": [1, 0]}, "recent must be below 12"),
        ("mistral", {"position": "fixed"}, "distance must be below 13 for the sliding window of 13 tokens of layer 0, got 16"),
        ("gemma3", {"position": "fixed", "layers": [0], "distance": 13}, "distance must be below 13"),
    ],
    ids=str,
)
def test_slots_that_no_query_would_see_are_refused(name, settings, message):
    model = tiny(name)
    with pytest.raises(ValueError, match=message):
        attach(model, slots=40, window=16, **settings)
    attach(model, slots=40, window=16, position="fixed", distance=12)


def test_a_sliding_window_sees_no_token_that_is_further_away_than_it_reaches():
    """Also where slots are shown nearer than they are: both layers see nothing but the newest 13 tokens."""
    found = []
    for slots, context in ((60, 256), (60, 32), (21, 256)):
        memory = attach(tiny("mistral", max_position_embeddings=context), slots=slots, window=8, threshold=None, sink_slots=0)
        with memory, memory.session() as session:
            session.remember(text(2, 100))
            found.append(torch.cat([plain(memory.model, text(2, 8, seed=1)), session.logits(text(2, 30, seed=2))], 1))
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[0], found[2], atol=1e-4, rtol=0)
