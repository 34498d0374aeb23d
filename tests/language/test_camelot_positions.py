"""Where remembered tokens stand: rotations undone and made again, sliding windows, texts longer than the model's context."""

import pytest
import torch
from language.tiny_models import EXACT, ROTARY, plain, text, tiny

from attractor.language import CamelotConfig, attach

LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [8.0] * 4}


def longrope(context):
    """A model whose frequencies are others once its text is longer than 24 tokens."""
    rope = LONGROPE | {"original_max_position_embeddings": 24}
    return tiny("phi3", max_position_embeddings=context, original_max_position_embeddings=24, rope_parameters=rope)


@pytest.mark.parametrize("position", ["mean", "fixed"])
@pytest.mark.parametrize(("window", "recent", "context"), [(16, 0, 256), (16, 8, 256), (16, 4, 256), (16, 16, 32), (8, 16, 32)])
def test_frequencies_that_depend_on_the_length_are_undone_as_they_were(position, window, recent, context):
    """Each pass has its own; what the slots hold is what the first layer makes of the tokens before any rotation."""
    model, ids, made = longrope(context), text(1, 72), []
    hook = model.model.layers[0].self_attn.qkv_proj.register_forward_hook(
        lambda module, given, output: made.append(output.detach())
    )
    settings = EXACT | {"recent": recent, "position": position}
    with attach(model, CamelotConfig(slots=90, window=window, **settings)) as memory, memory.session() as session:
        made.clear()
        session.remember(ids)
        found = session.view(0).keys[0, :, : 72 - recent]
    hook.remove()
    bare = torch.cat(made, 1)[0, :, 32:48].unflatten(-1, (2, 8)).transpose(0, 1)
    torch.testing.assert_close(found, bare[:, : 72 - recent], atol=1e-5, rtol=1e-4)


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


@pytest.mark.parametrize("name", ["llama", "llama with YaRN", "phi"])
def test_recent_tokens_stand_where_the_model_is_told_that_they_do(name):
    """Keys of the first layer depend on nothing but their token and place."""
    model, ids = tiny(name), text(1, 44)
    bare = []
    for position in ("mean", "fixed"):
        config = CamelotConfig(slots=24, window=8, position=position, recent=8, sink_slots=2, threshold=0.5)
        with attach(model, config) as memory, memory.session() as session:
            session.remember(ids)
            group, timeline = session.readers[0].group, session.timeline
            places = timeline.positions - timeline.origin[:, None]
            bare.append(group.rotary.undo(group.keys, group.rotary.tables(places, places.max()))[:, : group.heads])
        assert int(timeline.origin) == (0 if position == "mean" else 36)
    torch.testing.assert_close(*bare, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["llama with YaRN", "gpt_oss"])
def test_fixed_positions_keep_the_scale_of_scaled_rotations(name):
    model, ids = tiny(name), text(1, 2)
    settings = EXACT | {"position": "fixed", "distance": 1}
    with attach(model, CamelotConfig(slots=60, window=1, **settings)) as memory, memory.session() as session:
        session.remember(ids[:, :1])
        seen = session.logits(ids[:, 1:])
    torch.testing.assert_close(seen, plain(model, ids)[:, 1:], atol=1e-4, rtol=0)


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


SHORT = {"llama": {"max_position_embeddings": 32}, "gpt2": {"n_positions": 32}}


def test_the_models_own_calls_find_room_behind_a_text_longer_than_the_context():
    """The memory is moved nearer to the model's position 0 for them; what is kept stays as far from them as it is."""
    found, places = [], []
    for context in (32, 256):
        model = tiny(max_position_embeddings=context)
        memory = attach(model, slots=10, recent=8, window=8, threshold=None, sink_slots=0)
        rotary = model.model.rotary_emb
        with memory, memory.session() as session:
            session.remember(text(2, 100))
            rotary.register_forward_pre_hook(lambda module, given, named: places.append(named["position_ids"]), with_kwargs=True)
            made = model.generate(
                text(2, 12, seed=1),
                max_new_tokens=10,
                do_sample=False,
                eos_token_id=None,
                output_logits=True,
                return_dict_in_generate=True,
            )
        found.append(torch.stack(made.logits, 1))
        if context == 32:
            assert max(int(each.max()) for each in places) < 32
    torch.testing.assert_close(*found, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("position", ["mean", "fixed", "stored"])
@pytest.mark.parametrize("length", [28, 100])
def test_the_models_own_calls_leave_the_memory_where_it_was(name, position, length, tmp_path):
    model, results = tiny(name, **SHORT[name]), []
    for calls in (False, True):
        memory = attach(model, slots=24, window=8, position=position)
        with memory, memory.session() as session:
            session.remember(text(2, length))
            if calls:
                assert bool(plain(model, text(4, 6, seed=1)).isfinite().all())
                with pytest.raises(ValueError, match="input_ids must fit into the model's context of 32 tokens"):
                    plain(model, text(2, 25))
                with pytest.raises(ValueError, match="input_ids must fit into the model's context of 32 tokens"):
                    model.generate(text(2, 12, seed=1), max_new_tokens=30, do_sample=False, eos_token_id=None)
            results.append([session.logits(text(2, 4, seed=2))])
            if calls:
                plain(model, text(2, 20, seed=1))
            session.save(tmp_path / "state")
            results[-1].append(session.logits(text(2, 20, seed=2)))
            session.load(tmp_path / "state")
            assert torch.equal(session.logits(text(2, 20, seed=2)), results[-1][-1])
    for usual, after in zip(*results, strict=True):
        assert torch.equal(after, usual)
