"""What the coupling promises of every architecture: exact where nothing is merged, and off where it is off."""

import pytest
import torch
from language.tiny_models import CONFIGS, EXACT, ROTARY, plain, text, tiny

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


@pytest.mark.parametrize("name", ROTARY)
def test_keys_of_the_same_tokens_agree_further_on(name):
    """Rotation undone with the model's own function, also where it is scaled, partial or interleaved."""
    model, ids = tiny(name), text(1, 12)
    memory = attach(model, CamelotConfig(slots=60, window=8, **EXACT))
    assert memory.layers[0].rotary is not None
    with memory.session() as session:
        session.remember(torch.cat([ids, text(1, 25, seed=3), ids], 1))
        view = session.view(0)
    keys = view.keys[0]
    assert view.positions[0, 0, 37:49].tolist() == list(range(37, 49))
    torch.testing.assert_close(keys[:, :12], keys[:, 37:49], atol=1e-5, rtol=1e-5)
    assert float((keys[:, 0] - keys[:, 1]).abs().max()) > 0.01


@pytest.mark.parametrize("name", ROTARY)
def test_undoing_a_rotation_gives_the_same_keys_at_shifted_positions(name):
    model = tiny(name)
    rotary = attach(model, slots=30, window=8, recent=8).layers[0].rotary
    keys = torch.randn(1, 2, 12, model.config.get_text_config().hidden_size // 4)
    turned = []
    for start in (0.0, 37.0, 200.5):
        tables = rotary.tables(start + torch.arange(12.0)[None], torch.tensor(220.0))
        turned.append(rotary.rotate(keys, tables))
        torch.testing.assert_close(rotary.undo(turned[-1], tables), keys, atol=1e-5, rtol=1e-5)
    assert float((turned[0] - turned[1]).abs().max()) > 0.3


def test_layers_that_do_not_rotate_are_told_from_those_that_do():
    kinds = [layer.rotary is None for layer in attach(tiny("smollm3"), slots=30, window=8).layers]
    assert kinds == [False, True]
    windows = [layer.sliding_window for layer in attach(tiny("gemma3"), slots=30, window=8).layers]
    assert windows == [13, None]


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_low_precision_models_stay_close_to_their_own_pass(name):
    model, ids = tiny(name).to(torch.bfloat16), text()
    with attach(model, slots=60, window=8, threshold=None) as memory, memory.session() as session:
        found = session.logits(ids)
        assert session.groups[0].slots.keys.dtype == torch.float32
    wanted = plain(model, ids)
    assert found.dtype == torch.bfloat16
    assert float((found - wanted).abs().mean()) < 0.05 * float(wanted.abs().mean())


def test_a_text_longer_than_the_context_is_read_on():
    """Nothing stands beyond the model's last position, learned tables included."""
    for name in ("gpt2", "llama"):
        model, ids = tiny(name, **({"n_positions": 32} if name == "gpt2" else {"max_position_embeddings": 32})), text(1, 100)
        for position in ("mean", "fixed"):
            with attach(model, slots=24, window=8, position=position) as memory, memory.session() as session:
                logits = session.logits(ids)
                assert logits.isfinite().all() and session.seen.tolist() == [100]
                largest = int((session.timeline.seen - session.timeline.origin).max())
                assert largest <= 32


@pytest.mark.parametrize("window", [4, 8])
def test_positions_move_on_with_the_text_so_that_only_distances_count(window):
    """A model made for 32 tokens reads 100 as one made for 256 does, as rotary positions tell distances only."""
    found = []
    for context in (32, 256):
        memory = attach(
            tiny(max_position_embeddings=context), slots=24, recent=16, window=window, threshold=None, sink_slots=0, position="mean"
        )
        with memory, memory.session() as session:
            found.append(session.logits(text(2, 100)))
            assert bool((session.timeline.origin > 0).all()) == (context == 32)
    torch.testing.assert_close(*found, atol=1e-4, rtol=0)
