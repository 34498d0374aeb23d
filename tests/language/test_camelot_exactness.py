"""What the coupling promises of every architecture: exact where nothing is merged, and off where it is off."""

import pytest
import torch
from language.tiny_models import CONFIGS, EXACT, plain, text, tiny

from attractor.language import CamelotConfig, attach
from attractor.language.camelot.attention import LISTENERS


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    "settings", [EXACT, EXACT | {"recent": 11, "sink_slots": 3, "count_bias": True}], ids=["slots", "two tiers"]
)
def test_with_every_token_kept_windows_equal_one_pass_over_the_text(name, settings):
    model, ids = tiny(name), text(2)
    memory = attach(model, CamelotConfig(slots=60, window=8, **settings))
    with memory.session() as session:
        found = session.logits(ids)
    torch.testing.assert_close(found, plain(model, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("read", ["query", "key"])
@pytest.mark.parametrize("granularity", ["head", "layer"])
def test_reading_all_slots_by_search_equals_one_pass(read, granularity):
    """Each query, or the first key of a window, finds every slot there is."""
    model, ids = tiny(), text()
    settings = EXACT | {"read": read, "top_k": 60, "dedupe": True, "granularity": granularity}
    memory = attach(model, CamelotConfig(slots=60, window=8, **settings))
    with memory.session() as session:
        found = session.logits(ids)
    torch.testing.assert_close(found, plain(model, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [1, 5, 8, 40])
def test_the_window_changes_nothing_where_nothing_is_merged(window):
    model, ids = tiny(), text()
    with attach(model, slots=60, window=8, recent=6, threshold=None) as memory, memory.session() as session:
        found = session.logits(ids, window=window)
    torch.testing.assert_close(found, plain(model, ids), atol=1e-4, rtol=0)


def test_chunks_of_a_stream_equal_the_whole():
    model, ids = tiny(), text(2)
    with attach(model, slots=60, window=8, threshold=None) as memory, memory.session() as session:
        parts = [logits for chunk in ids.split([3, 20, 1, 16], 1) for logits in session.feed(chunk)]
        assert [part.shape[1] for part in parts] == [3, 8, 8, 4, 1, 8, 8]
        assert session.seen.tolist() == [40, 40]
    torch.testing.assert_close(torch.cat(parts, 1), plain(model, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CONFIGS)
def test_off_means_off(name):
    """Attached without a session, with an empty memory, and after detach: the same bits; the state dict never changes."""
    model, ids = tiny(name), text(2, 20)
    before, names, hooks = plain(model, ids), list(model.state_dict()), hook_count(model)
    usual = model.config._attn_implementation
    memory = attach(model, slots=30, window=8)
    assert torch.equal(plain(model, ids), before)
    with memory.session() as session:
        assert torch.equal(plain(model, ids), before)
        assert torch.equal(next(session.feed(ids, window=20)), before)
        assert list(model.state_dict()) == names
        assert not torch.equal(plain(model, ids), before)
    assert torch.equal(plain(model, ids), before)
    memory.detach()
    assert torch.equal(plain(model, ids), before)
    assert list(model.state_dict()) == names and hook_count(model) == hooks
    assert model.config._attn_implementation == usual
    assert not any(module in LISTENERS for module in model.modules())


def hook_count(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_both_attention_functions_of_transformers_can_be_stood_for(implementation):
    model, ids = tiny(attn_implementation=implementation), text()
    before = plain(model, ids)
    with attach(model, slots=60, window=8, threshold=None) as memory:
        assert model.config._attn_implementation == implementation
        with memory.session() as session:
            torch.testing.assert_close(session.logits(ids), before, atol=1e-4, rtol=0)
    assert torch.equal(plain(model, ids), before) and model.config._attn_implementation == implementation


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_low_precision_models_stay_close_to_their_own_pass(name):
    model, ids = tiny(name).to(torch.bfloat16), text()
    with attach(model, slots=60, window=8, threshold=None) as memory, memory.session() as session:
        found = session.logits(ids)
        assert session.groups[0].slots.keys.dtype == torch.float32
    wanted = plain(model, ids)
    assert found.dtype == torch.bfloat16
    assert float((found - wanted).abs().mean()) < 0.05 * float(wanted.abs().mean())
