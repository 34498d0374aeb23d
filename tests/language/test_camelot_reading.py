"""What a query sees: nothing of later tokens, the right slots, at the right place."""

import pytest
import torch
from language.tiny_models import EXACT, plain, text, tiny

from attractor.language import CamelotConfig, attach
from attractor.language.camelot import reading
from attractor.language.camelot.attention import LISTENERS

TWO_TIERS = {"recent": 8, "sink_slots": 2, "threshold": 0.5}
MODES = {
    "all": {"read": "all", **TWO_TIERS},
    "all, one tier": {"read": "all", **TWO_TIERS, "recent": 0},
    "query": {"read": "query", "top_k": 3, **TWO_TIERS},
    "key": {"read": "key", "top_k": 2, **TWO_TIERS},
    "paper": {"read": "key", "top_k": 1, **TWO_TIERS, "recent": 0, "sink_slots": 0, "count_bias": False, "dedupe": False},
    "fixed": {"read": "query", "top_k": 3, "position": "fixed", **TWO_TIERS},
    "stored": {"read": "key", "top_k": 1, "position": "stored", **TWO_TIERS},
    "layer": {"read": "key", "top_k": 1, "granularity": "layer", **TWO_TIERS},
    "centred": {"read": "key", "top_k": 2, "centred": True, "min_similarity": 0.5, **TWO_TIERS},
}


def read(model, ids, mask=None, **settings):
    with attach(model, CamelotConfig(slots=24, window=8, **settings)) as memory, memory.session() as session:
        return session.logits(ids, mask)


def first_change(model, ids, at, mask=None, **settings):
    """The first column whose logits change with the token in column `at`."""
    other = ids.clone()
    other[:, at] = (other[:, at] + 40) % 93 + 3
    one, two = (read(model, each, mask, **settings) for each in (ids, other))
    changed = ((one - two).abs() > 1e-5).any(-1).any(0).nonzero().flatten()
    return int(changed.min())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", [3, 21, 26, 39])
def test_a_token_changes_nothing_before_it(mode, at):
    assert first_change(tiny(), text(1, 44), at, **MODES[mode]) == at


@pytest.mark.parametrize("mode", ["all", "query", "paper"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_token_changes_nothing_before_it_with_padding(mode, side):
    ids, mask = text(2, 44), torch.ones(2, 44, dtype=torch.int64)
    mask[1, :7] = 0
    if side == "right":
        mask = mask.flip(1)
    assert first_change(tiny(), ids, 26, mask, **MODES[mode]) == 26


@pytest.mark.parametrize("name", ["gpt2", "gemma3", "gpt_oss"])
@pytest.mark.parametrize("mode", ["all", "query", "key"])
def test_a_token_changes_nothing_before_it_in_other_architectures(name, mode):
    assert first_change(tiny(name), text(1, 44), 27, **MODES[mode]) == 27


@pytest.mark.parametrize("mode", ["key", "paper", "layer"])
def test_a_mask_that_lets_queries_see_what_later_keys_find_is_caught(mode, monkeypatch):
    """The negative control: with it the test above must fail."""
    monkeypatch.setattr(reading, "running_counts", lambda hits: hits.sum(-2, keepdim=True).expand_as(hits))
    places = [first_change(tiny(), text(1, 44), at, **MODES[mode]) for at in (21, 26, 29)]
    assert any(place < at for place, at in zip(places, (21, 26, 29), strict=True))


class Recorder:
    """Hands on to a reader and keeps what it was given."""

    def __init__(self, reader):
        self.reader, self.given = reader, []

    def attend(self, module, query, key, value, mask, plain_attention, **options):
        self.given.append((query, key, value, options["scaling"]))
        output = self.reader.attend(module, query, key, value, mask, plain_attention, **options)
        self.given[-1] += (output[0],)
        return output


def by_hand(given, session, reader, config, window_start):
    """The attention of the first layer, written out: one query and one head at a time."""
    query, key, value, scaling, _ = given
    held = reader.group.remembered(reader.place, session.timeline.origin, session.timeline.seen.max())
    slots, centre = session.view(0), reader.group.part(reader.place).centre[0]
    far, rotary = query, reader.group.rotary
    if rotary is not None and config.position == "fixed":
        places = window_start + torch.arange(query.shape[2])[None]
        far = rotary.undo(query, rotary.tables(places, torch.tensor(99)))
        far = rotary.rotate(far, rotary.tables(torch.full_like(places, config.seen_at), torch.tensor(99)))
    bare = (
        key
        if reader.group.rotary is None
        else reader.group.rotary.undo(
            key, reader.group.rotary.tables(window_start + torch.arange(key.shape[2])[None], torch.tensor(99))
        )
    )
    heads, kept, count, merged = query.shape[1], key.shape[1], query.shape[2], held.weight.shape[-1]
    output = torch.zeros(1, count, heads, value.shape[-1])
    for head in range(heads):
        group = head // (heads // kept)
        counts = slots.counts[0, group]
        found = []
        for place in range(count):
            middle = centre[group] if config.centred else 0
            near = torch.cosine_similarity(bare[0, group, place] - middle, slots.keys[0, group] - middle, dim=-1)
            if config.min_similarity is not None:
                near[near < config.min_similarity] = -2
            near[(counts == 0) | (torch.arange(merged) < config.sink_slots)] = -2
            found += [int(each) for each in near.argsort(descending=True)[: config.top_k] if near[each] > -2]
            asked = query[0, head, place] * scaling
            shown = {}
            scores = held.keys[0, group, :merged] @ far[0, head, place] * scaling
            if config.read == "all":
                shown = dict.fromkeys(range(merged), 1)
            elif config.read == "query":
                free = [slot for slot in range(config.sink_slots, merged) if counts[slot] > 0]
                shown = dict.fromkeys(sorted(free, key=lambda slot: -float(scores[slot]))[: config.top_k], 1)
            else:
                for slot in found:
                    shown[slot] = 1 if config.dedupe or config.count_bias else shown.get(slot, 0) + 1
            shown |= dict.fromkeys(range(config.sink_slots), 1)
            logits, rows = [], []
            for slot, times in shown.items():
                if counts[slot] > 0:
                    weight = times * (float(counts[slot]) if config.count_bias else 1.0)
                    logits.append(float(scores[slot]) + float(torch.tensor(weight).log()))
                    rows.append(held.values[0, group, slot])
            for recent in range(merged, held.keys.shape[2]):
                logits.append(float(held.keys[0, group, recent] @ asked))
                rows.append(held.values[0, group, recent])
            for local in range(place + 1):
                logits.append(float(key[0, group, local] @ asked))
                rows.append(value[0, group, local])
            output[0, place, head] = torch.tensor(logits).softmax(0) @ torch.stack(rows)
    return output


@pytest.mark.parametrize("mode", ["all", "query", "key", "paper", "centred", "fixed"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_attention_equals_the_formula_written_out(name, mode):
    config = CamelotConfig(slots=24, window=8, **MODES[mode])
    model, ids = tiny(name), text(1, 48)
    with attach(model, config) as memory, memory.session() as session:
        session.remember(ids[:, :40])
        assert int(session.view(0).counts.max()) > 1
        reader = session.readers[0]
        recorder = LISTENERS[reader.layer.module] = Recorder(reader)
        # the model's own call reads and does not write: slots are as they were
        plain(model, ids[:, 40:])
        expected = by_hand(recorder.given[0], session, reader, config, int(session.seen - session.timeline.origin))
    torch.testing.assert_close(recorder.given[0][-1], expected, atol=1e-5, rtol=1e-4)


def test_a_slot_counts_as_often_as_tokens_were_merged_in_it():
    """A text whose tokens repeat, with their keys merged, equals the text itself where positions play no part."""
    model = tiny("gpt2")
    with torch.no_grad():
        model.transformer.wpe.weight.zero_()
    ids = torch.tensor([[5, 9, 17, 33]]).repeat(1, 8)
    # the layers above the first see keys that depend on the past: only the first layer is exact
    config = CamelotConfig(slots=8, window=8, recent=0, sink_slots=0, threshold=0.999, chunk=1)
    outputs = {}
    with attach(model, config) as memory, memory.session() as session:
        session.remember(ids[:, :24])
        assert session.view(0).counts[0, 0].sort(descending=True).values[:4].tolist() == [6, 6, 6, 6]
        reader = session.readers[0]
        recorder = LISTENERS[reader.layer.module] = Recorder(reader)
        plain(model, ids[:, 24:])
        outputs["memory"] = recorder.given[0][-1]
    with attach(model, CamelotConfig(slots=60, window=8, **EXACT)) as memory, memory.session() as session:
        session.remember(ids[:, :24])
        recorder = LISTENERS[session.readers[0].layer.module] = Recorder(session.readers[0])
        plain(model, ids[:, 24:])
        outputs["all tokens"] = recorder.given[0][-1]
    torch.testing.assert_close(outputs["memory"], outputs["all tokens"], atol=1e-5, rtol=1e-4)


def test_fixed_positions_show_memory_at_one_distance():
    """A single token far away is seen as one at the distance."""
    model = tiny()
    ids = text(1, 17)
    settings = EXACT | {"position": "fixed", "distance": 9}
    with attach(model, CamelotConfig(slots=60, window=1, **settings)) as memory, memory.session() as session:
        session.remember(ids[:, :1])
        seen = session.logits(ids[:, 1:2])
    positions = torch.tensor([[0, 9]])
    mask = torch.zeros(1, 1, 2, 2).masked_fill(torch.ones(2, 2).triu(1).bool(), -1e9)
    expected = plain(model, ids[:, :2], position_ids=positions, attention_mask=mask)[:, 1:]
    torch.testing.assert_close(seen, expected, atol=1e-4, rtol=0)


def test_stored_rotations_are_wrong_in_later_windows():
    model, ids = tiny(), text(1, 40)
    wanted = plain(model, ids)
    stored = read(model, ids, **(EXACT | {"position": "stored", "recent": 0}))
    fixed = read(model, ids[:, :20], **EXACT)
    torch.testing.assert_close(fixed, wanted[:, :20], atol=1e-4, rtol=0)
    assert float((stored - wanted)[:, 8:].abs().max()) > 1.0


def test_what_was_read_is_watched():
    model, ids = tiny(), text(1, 40)
    with attach(model, slots=24, window=8) as memory, memory.session(watch=True) as session:
        session.remember(ids)
        view = session.view(0)
    assert view.read.shape == (1, 4, 16) and bool((view.read >= 0).all())
    # attention to slots, and what is left for the recent tokens and the window
    assert bool((view.read.sum(-1) < 1).all()) and float(view.read.sum()) > 0.1


def test_pieces_of_the_attention_change_nothing(monkeypatch):
    model, ids = tiny(), text(2, 40)
    whole = [read(model, ids, **MODES[mode]) for mode in MODES]
    monkeypatch.setattr(reading, "LOGITS_AT_ONCE", 600)
    for one, mode in zip(whole, MODES, strict=True):
        torch.testing.assert_close(read(model, ids, **MODES[mode]), one, atol=1e-5, rtol=0)
