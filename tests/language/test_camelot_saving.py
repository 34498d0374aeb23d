"""The state of a session as a file."""

import pytest
import torch
from language.tiny_models import MERGING, text, tiny

from attractor.language import attach


@pytest.mark.parametrize(
    "settings", [{}, {"granularity": "layer"}, {"position": "fixed"}, {"threshold": "auto:0.5"}, {"recent": 0}], ids=str
)
def test_a_saved_state_goes_on_bit_for_bit(tmp_path, settings):
    model, ids, more = tiny(), text(2, 40), text(2, 20, seed=4)
    with attach(model, **(MERGING | settings)) as memory:
        with memory.session() as session:
            session.remember(ids)
            session.save(tmp_path / "state")
            expected = session.logits(more)
        with memory.session() as other:
            other.load(tmp_path / "state")
            assert torch.equal(other.logits(more), expected)
            assert torch.equal(other.seen, session.seen)


def test_a_state_read_under_other_reading_settings_is_taken(tmp_path):
    model = tiny()
    with attach(model, **MERGING) as memory, memory.session() as session:
        session.remember(text())
        session.save(tmp_path / "state")
    with attach(model, **(MERGING | {"read": "query", "top_k": 3, "threshold": 0.9})) as memory, memory.session() as session:
        session.load(tmp_path / "state")
        assert session.logits(text()).isfinite().all()


@pytest.mark.parametrize("settings", [{}, {"recent": 0, "slots": 16}], ids=str)
def test_a_state_without_slots_yet_goes_on(tmp_path, settings):
    model, ids = tiny(), text(2, 30)
    with attach(model, **(MERGING | settings)) as memory, memory.session() as session:
        session.feed(ids)
        with pytest.raises(ValueError, match="read nothing"):
            session.save(tmp_path / "state")
        session.remember(ids[:, :5])
        session.save(tmp_path / "state")
        expected = session.logits(ids[:, 5:])
        session.load(tmp_path / "state")
        assert session.seen.tolist() == [5, 5]
        assert torch.equal(session.logits(ids[:, 5:]), expected)


@pytest.mark.parametrize(
    ("saved", "wanted", "found"),
    [(None, 0.5, 0.5), (0.5, 0.9, 0.9), (0.5, None, torch.inf), ("auto:0.5", 0.3, 0.3), (0.9, "auto:0.5", torch.inf)],
)
def test_a_state_takes_the_threshold_of_the_settings_at_hand(tmp_path, saved, wanted, found):
    model = tiny()
    with attach(model, **(MERGING | {"threshold": saved})) as memory, memory.session() as session:
        session.remember(text(1, 60))
        session.save(tmp_path / "state")
        chosen = session.view(0).threshold
    with attach(model, **(MERGING | {"threshold": wanted})) as memory, memory.session() as session:
        session.load(tmp_path / "state")
        assert session.view(0).threshold.tolist() == [[pytest.approx(found)] * 2]
        session.remember(text(1, 60))
        threshold = session.view(0).threshold
        assert bool(threshold.isfinite().all()) == (wanted is not None)
    if saved == "auto:0.5":
        with attach(model, **(MERGING | {"threshold": saved})) as memory, memory.session() as session:
            session.load(tmp_path / "state")
            assert bool(chosen.isfinite().all()) and torch.equal(session.view(0).threshold, chosen)


def test_a_state_of_another_model_is_refused(tmp_path):
    with attach(tiny(), **MERGING) as memory, memory.session() as session:
        session.remember(text())
        session.save(tmp_path / "state")
    others = [
        (tiny(num_hidden_layers=3), {}),
        (tiny("qwen3"), {}),
        (tiny(rope_parameters={"rope_type": "default", "rope_theta": 9e4}), {}),
    ]
    others += [(tiny(), {"slots": 25}), (tiny(), {"position": "fixed"})]
    for model, settings in others:
        with attach(model, **(MERGING | settings)) as memory, memory.session() as session:
            with pytest.raises(ValueError, match="path must hold a state for"):
                session.load(tmp_path / "state")
            assert session.batch is None


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "state"
    with attach(tiny(), **MERGING) as memory, memory.session() as session:
        session.remember(text())
        session.save(path)
        held = path.read_bytes()
        path.write_bytes(held[:-40] + bytes(40))
        with pytest.raises(ValueError, match="damaged"):
            session.load(path)
        with pytest.raises(FileNotFoundError):
            session.load(tmp_path / "nothing")


def test_a_state_of_a_model_with_another_sliding_window_is_refused(tmp_path):
    with attach(tiny("mistral"), **MERGING) as memory, memory.session() as session:
        session.remember(text())
        session.save(tmp_path / "state")
    with attach(tiny("mistral", sliding_window=20), **MERGING) as memory, memory.session() as session:
        with pytest.raises(ValueError, match=r"path must hold a state for the model at hand, .* is one for other digest"):
            session.load(tmp_path / "state")
        assert session.batch is None
