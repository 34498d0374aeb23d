"""Sessions: batches and padding, what is kept from one call to the next, and when a session is open."""

import copy

import pytest
import torch
from language.tiny_models import EXACT, KEEPING, MERGING, padded, plain, text, tiny

from attractor.language import CamelotConfig, attach


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("settings", [{}, {"read": "query", "top_k": 4}, {"read": "key", "top_k": 1, "position": "fixed"}], ids=str)
def test_a_ragged_batch_equals_its_rows_by_themselves(side, name, settings):
    model, lengths = tiny(name), (45, 30, 9)
    ids, mask = padded(lengths, side)
    with attach(model, **(MERGING | settings)) as memory:
        with memory.session() as session:
            together = session.logits(ids, mask)
            more = session.logits(ids[:, :20])
        for row, length in enumerate(lengths):
            own = ids[row : row + 1][mask[row : row + 1].bool()][None]
            with memory.session() as session:
                alone, after = session.logits(own), session.logits(ids[row : row + 1, :20])
            assert own.shape[1] == length
            torch.testing.assert_close(together[row][mask[row].bool()], alone[0], atol=1e-4, rtol=0)
            torch.testing.assert_close(more[row], after[0], atol=1e-4, rtol=0)
        assert not bool(together[mask == 0].any())


def test_feeding_rows_of_other_lengths_goes_on_where_each_row_stopped():
    model, lengths = tiny(), (45, 30)
    ids, mask = padded(lengths, "right")
    with attach(model, **KEEPING) as memory, memory.session() as session:
        session.remember(ids, mask)
        assert session.seen.tolist() == [45, 30]
        found = session.logits(text(2, 10, seed=5))
    for row, length in enumerate(lengths):
        whole = torch.cat([ids[row, :length], text(2, 10, seed=5)[row]])[None]
        torch.testing.assert_close(found[row], plain(model, whole)[0, -10:], atol=1e-4, rtol=0)


def test_reset_begins_anew():
    model, ids = tiny(), text(2, 40)
    with attach(model, **MERGING) as memory, memory.session() as session:
        first = session.logits(ids)
        session.reset()
        assert torch.equal(session.logits(ids), first)
        session.reset()
        assert session.logits(ids[:1]).shape[0] == 1


def test_reordered_rows_go_on_as_the_rows_they_came_from():
    model, ids = tiny(), text(3, 40)
    more = text(3, 12, seed=4)
    with attach(model, **MERGING) as memory, memory.session() as session:
        session.remember(ids)
        order = torch.tensor([2, 0, 2])
        session.reorder(order)
        found = session.logits(more)
        session.reset()
        session.remember(ids[order])
        assert torch.equal(session.logits(more), found)


@pytest.mark.parametrize("window", [8, 100])
def test_a_wanted_share_merges_however_long_the_window(window):
    model = tiny()
    with attach(model, **(MERGING | {"threshold": "auto:0.5"})) as memory, memory.session() as session:
        session.remember(text(1, 200), window=window)
        view = session.view(0)
    assert bool(view.threshold.isfinite().all()) and int(view.counts.max()) > 1


def test_a_failed_pass_remembers_nothing():
    model, ids = tiny(), text(1, 16)
    with attach(model, **MERGING) as memory, memory.session() as session:
        session.remember(ids)
        before = copy.deepcopy(session.groups[0].tensors())
        handle = model.lm_head.register_forward_pre_hook(lambda *given: 1 / 0)
        layer = model.model.layers[1].mlp.register_forward_pre_hook(lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(session.feed(ids))
        layer.remove()
        handle.remove()
        for name, value in session.groups[0].tensors().items():
            assert torch.equal(value, before[name])
        assert session.seen.tolist() == [16]


def test_a_compiled_model_gives_what_the_model_gives():
    model, ids = tiny(), text()
    before = plain(model, ids)
    with attach(model, **MERGING) as memory:
        with memory.session() as session:
            expected = session.logits(ids)
        model.compile(backend="eager")
        torch.testing.assert_close(plain(model, ids), before, atol=1e-5, rtol=0)
        with memory.session() as session:
            torch.testing.assert_close(session.logits(ids), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(plain(model, ids), before, atol=1e-5, rtol=0)


def test_text_is_fed_only_while_the_session_is_open_and_its_state_the_same(tmp_path):
    model, ids = tiny(), text(1, 40)
    with attach(model, **MERGING) as memory:
        with memory.session() as session:
            windows = session.feed(ids)
            next(windows)
            session.save(tmp_path / "state")
        with pytest.raises(RuntimeError, match="must be open"):
            next(windows)
        assert session.seen.tolist() == [8]
        changes = [session.reset, lambda: session.load(tmp_path / "state"), lambda: session.reorder(torch.tensor([0]))]
        for change in changes:
            with session:
                windows = session.feed(ids)
                next(windows)
                change()
                seen = session.seen
                with pytest.raises(RuntimeError, match="while text is fed"):
                    next(windows)
                assert torch.equal(session.seen, seen)
                session.load(tmp_path / "state")


def test_a_session_that_cannot_open_leaves_the_model_free():
    model, ids = tiny(), text()
    memory = attach(model, **MERGING)
    session = memory.session()
    model.set_attn_implementation("flex_attention")
    with pytest.raises(ValueError, match="cannot be wrapped"), session:
        pass
    model.set_attn_implementation("sdpa")
    with session:
        session.remember(ids)
        model.set_attn_implementation("eager")
        with pytest.raises(RuntimeError, match="must keep its attention function"):
            session.remember(ids)
        assert session.seen.tolist() == [40]
    memory.detach()
    attach(model, **MERGING).detach()


def test_two_models_do_not_see_each_others_memory():
    one, two, ids = tiny(seed=1), tiny(seed=2), text()
    with attach(two, **MERGING) as memory, memory.session() as session:
        alone = session.logits(ids)
    with attach(one, **MERGING) as first, attach(two, **MERGING) as second, first.session() as left, second.session() as right:
        left.remember(text(3, 30))
        assert torch.equal(right.logits(ids), alone)


def test_a_session_that_is_closed_can_be_opened_again():
    model, ids = tiny(), text()
    with attach(model, **KEEPING) as memory:
        session = memory.session()
        with session:
            session.remember(ids[:, :20])
        plain(model, ids)
        with session:
            found = session.logits(ids[:, 20:])
    torch.testing.assert_close(found, plain(model, ids)[:, 20:], atol=1e-4, rtol=0)


def test_settings_can_be_given_with_a_configuration():
    memory = attach(tiny(), CamelotConfig.paper(slots=40, window=8), top_k=2)
    assert memory.config.read == "key" and memory.config.top_k == 2 and memory.config.recent == 0
    with pytest.raises(TypeError, match="config"):
        attach(tiny(), {"slots": 3})


def test_presets_are_as_they_are_described():
    recommended, paper = CamelotConfig.recommended(slots=300, window=64), CamelotConfig.paper(slots=300, window=64)
    assert CamelotConfig() == CamelotConfig.recommended()
    assert (recommended.recent, recommended.merged, recommended.sink_slots, recommended.threshold) == (64, 236, 4, 0.95)
    assert (recommended.read, recommended.position, recommended.count_bias) == ("all", "mean", True)
    assert (paper.recent, paper.merged, paper.sink_slots, paper.read, paper.top_k, paper.chunk) == (0, 300, 0, "key", 1, 1)
    assert (paper.position, paper.seen_at, paper.count_bias, paper.dedupe) == ("fixed", 64, False, False)


@pytest.mark.parametrize("between", ["remember", "reorder", "load"])
def test_what_was_read_in_inference_mode_goes_on_outside_of_it(tmp_path, between):
    model, found = tiny(), []
    for mode in (torch.no_grad, torch.inference_mode):
        with attach(model, **MERGING) as memory, memory.session() as session:
            with mode():
                session.remember(text(2, 40))
                session.save(tmp_path / "state")
                if between == "reorder":
                    session.reorder(torch.tensor([0, 1]))
                elif between == "load":
                    session.load(tmp_path / "state")
            found.append(session.logits(text(2, 40, seed=1)).detach())
    assert torch.equal(*found)


def test_exact_settings_are_exact():
    """The settings of the tests of exactness hold every token."""
    model, ids = tiny(), text()
    with attach(model, CamelotConfig(slots=60, window=8, **EXACT)) as memory, memory.session() as session:
        session.remember(ids)
        view = session.view(0)
    assert view.counts.sum(-1).tolist() == [[40, 40]] and int(view.counts.max()) == 1
    assert view.positions[0, 0, :40].tolist() == list(range(40))
    assert view.ages[0, 0, :40].tolist() == list(range(39, -1, -1))
