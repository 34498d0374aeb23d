"""Documents are scored alike in every way of reading, and no way looks ahead."""

import math
from dataclasses import replace

import pytest
import torch
from language.tiny_models import plain, text, tiny
from torch.nn.functional import cross_entropy

from attractor.language import CamelotConfig, attach
from attractor.language.camelot.attention import LISTENERS
from attractor.language.perplexity import (
    FULL_CONTEXT,
    NO_MEMORY,
    FullContext,
    PreviousWindow,
    WindowOnly,
    WithMemory,
    attention_sinks,
    baselines,
    evaluate,
    novelty_only,
    recency_only,
)

EVERYTHING = WithMemory(CamelotConfig(slots=80, window=8, recent=8, threshold=None))
WAYS = baselines(8, 24) | {
    "paper": WithMemory(CamelotConfig.paper(16, 8)),
    "recommended": WithMemory(CamelotConfig.recommended(24, 8)),
    "everything": EVERYTHING,
}


def document(tokens=45, seed=0):
    return text(1, tokens, seed)[0]


def logits_of(way, model, ids, window=8):
    with torch.no_grad():
        return torch.cat(list(way.windows(model, ids[None], window)), 1)


@pytest.mark.parametrize("name", WAYS)
def test_no_way_of_reading_looks_ahead(name):
    """A changed token changes no loss before it, and the leaky way is found out."""
    model, ids = tiny(), document()
    before = evaluate(model, {"a": ids}, {name: WAYS[name]}, window=8)
    for place in (12, 30, 44):
        other = ids.clone()
        other[place] = (ids[place] + 5) % 90 + 3
        after = evaluate(model, {"a": other}, {name: WAYS[name]}, window=8)
        earlier = before.places[0] < place
        torch.testing.assert_close(before.losses[name][0][earlier], after.losses[name][0][earlier], atol=1e-5, rtol=0)
        same = torch.isclose(before.losses[name][0], after.losses[name][0], atol=1e-5)
        assert not bool(same.all())


def test_a_leak_is_seen():
    class Leaky(WindowOnly):
        def windows(self, model, ids, window):
            for logits, part in zip(super().windows(model, ids, window), ids.split(window, 1), strict=True):
                yield logits + part.float().sum() * torch.linspace(0, 0.01, logits.shape[-1])

    model, ids = tiny(), document()
    other = ids.clone()
    other[30] = (ids[30] + 5) % 90 + 3
    before, after = (evaluate(model, {"a": each}, {"leaky": Leaky()}, window=8) for each in (ids, other))
    earlier = before.places[0] < 30
    assert not torch.allclose(before.losses["leaky"][0][earlier], after.losses["leaky"][0][earlier], atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "mistral"])
def test_full_context_is_one_pass_over_the_text_and_a_memory_of_everything_equals_it(name):
    model, ids = tiny(name), document()
    wanted = plain(model, ids[None])
    torch.testing.assert_close(logits_of(FullContext(), model, ids), wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(logits_of(EVERYTHING, model, ids), wanted, atol=1e-4, rtol=0)


def test_losses_are_those_of_the_next_token_and_the_first_window_is_not_scored():
    model, ids = tiny(), document(21)
    found = evaluate(model, {"a": ids}, {FULL_CONTEXT: FullContext()}, window=8)
    assert found.places[0].tolist() == [*range(9, 16), *range(17, 21)] and found.scored == 11
    wanted = cross_entropy(plain(model, ids[None])[0, :-1], ids[1:], reduction="none")[found.places[0] - 1]
    torch.testing.assert_close(found.losses[FULL_CONTEXT][0], wanted, atol=1e-4, rtol=0)
    assert found.perplexity(FULL_CONTEXT) == pytest.approx(math.exp(float(wanted.mean())), rel=1e-4)


def test_a_window_by_itself_and_behind_the_one_before():
    model, ids = tiny(), document(20)
    alone, behind = logits_of(WindowOnly(), model, ids), logits_of(PreviousWindow(), model, ids)
    torch.testing.assert_close(alone[:, 8:16], plain(model, ids[None, 8:16]), atol=1e-5, rtol=0)
    torch.testing.assert_close(behind[:, 16:], plain(model, ids[None, 8:])[:, 8:], atol=1e-5, rtol=0)
    torch.testing.assert_close(behind[:, :8], alone[:, :8], atol=1e-5, rtol=0)


def seen(way, *places, tokens=64):
    """At which of the places a token, if it is another, changes what is told of the last token of a text."""
    model, ids = tiny(num_hidden_layers=1), document(tokens)
    last = logits_of(way, model, ids)[0, -1]
    found = []
    for place in places:
        other = ids.clone()
        other[place] = (ids[place] + 5) % 90 + 3
        if not torch.allclose(logits_of(way, model, other)[0, -1], last, atol=1e-6):
            found.append(place)
    return found


def test_each_baseline_sees_what_its_name_says():
    """In a model of one layer what is told of a token depends on the tokens that it sees, and on no others."""
    assert seen(WindowOnly(), 0, 54, 55, 56, 63) == [56, 63]
    assert seen(PreviousWindow(), 0, 46, 47, 48, 63) == [48, 63]
    assert seen(FullContext(), 0, 30, 63) == [0, 30, 63]
    assert seen(attention_sinks(8, 4), 0, 3, 4, 30, 46, 47, 63) == [0, 3, 47, 63]
    assert seen(recency_only(24, 8), 0, 3, 4, 35, 36, 63) == [0, 3, 36, 63]


@pytest.mark.parametrize(("way", "counted"), [(novelty_only(24, 8), False), (WithMemory(CamelotConfig.recommended(24, 8)), True)])
def test_a_memory_of_novel_tokens_keeps_each_as_it_first_came(way, counted):
    """In a model of one layer, tokens of one kind have one key: the recommended memory counts them."""
    model, ids = tiny(num_hidden_layers=1), text(1, 64)[0] % 10 + 3
    listed, behind = ids.tolist(), range(4, 56)
    of_kind = {kind: [place for place in behind if listed[place] == kind] for kind in dict.fromkeys(listed[4:56])}
    with attach(model, replace(way.config, threshold=0.9999)) as memory, memory.session() as session:
        session.remember(ids[None])
        view = session.view(0)
    wanted = [0, 1, 2, 3, *((sum(places) / len(places) if counted else places[0]) for places in of_kind.values())]
    torch.testing.assert_close(view.positions[0, 0, : len(wanted)], torch.tensor(wanted, dtype=torch.float32))
    counts = [1] * 4 + [len(places) if counted else 1 for places in of_kind.values()]
    assert view.counts[0, 0].tolist() == counts + [0] * (16 - len(counts)) and max(map(len, of_kind.values())) > 1


def test_what_becomes_of_familiar_tokens_is_one_of_two():
    with pytest.raises(ValueError, match="familiar"):
        CamelotConfig(familiar="keep")


def test_small_numbers_of_slots_leave_one_for_older_tokens():
    assert novelty_only(10, 8).config.recent == recency_only(10, 8).config.recent == 5


def test_differences_are_paired_by_document():
    model = tiny()
    documents = {"a": document(30, 1), "b": document(45, 2)}
    found = evaluate(model, documents, {"one": WindowOnly(), "other": PreviousWindow()}, window=8)
    means = [[float(each.mean()) for each in found.losses[way]] for way in ("one", "other")]
    assert found.differences("other", "one") == pytest.approx([means[1][0] - means[0][0], means[1][1] - means[0][1]], abs=1e-6)
    alone = evaluate(model, {"b": documents["b"]}, {"other": PreviousWindow()}, window=8)
    torch.testing.assert_close(alone.losses["other"][0], found.losses["other"][1])


def test_the_curve_holds_every_scored_token_once():
    model = tiny()
    documents = {"a": document(45, 1), "b": document(61, 2)}
    found = evaluate(model, documents, {NO_MEMORY: WindowOnly()}, window=8)
    curve = found.curve(NO_MEMORY, 3)
    assert len(curve) == 3 and [place for place, _ in curve] == sorted(place for place, _ in curve)
    fine = found.curve(NO_MEMORY, 100)
    assert len(fine) == 7 and fine[0][0] == 12.0
    first = torch.cat([losses[:7] for losses in found.losses[NO_MEMORY]])
    assert fine[0][1] == pytest.approx(math.exp(float(first.mean())))
    assert len(found.curve(NO_MEMORY, 1)) == 1
    assert found.curve(NO_MEMORY, 1)[0][1] == pytest.approx(found.perplexity(NO_MEMORY))


def test_progress_is_told_and_ends_at_one():
    told = []
    found = evaluate(
        tiny(),
        {"a": document(20), "b": document(30)},
        baselines(8, 24),
        window=8,
        progress=lambda what, done: told.append((what, done)),
    )
    shares = [done for _, done in told]
    assert len(told) == 13 and shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert told[0][0] == "a: no memory" and all(seconds > 0 for seconds in found.seconds.values())
    assert found.speed(NO_MEMORY) == pytest.approx(50 / found.seconds[NO_MEMORY])


def test_the_model_is_left_as_it_was():
    model, ids = tiny(), document()
    before = plain(model, ids[None])
    evaluate(model, {"a": ids}, WAYS, window=8)
    assert torch.equal(plain(model, ids[None]), before)
    assert not any(module in LISTENERS for module in model.modules())


@pytest.mark.parametrize(
    ("documents", "ways", "window", "message"),
    [
        ({}, WAYS, 8, "documents and ways"),
        ({"a": torch.arange(40)}, {}, 8, "documents and ways"),
        ({"a": torch.arange(9)}, WAYS, 8, "10 tokens"),
        ({"a": torch.arange(40)[None]}, WAYS, 8, r"shape \(T,\)"),
        ({"a": torch.arange(40.0)}, WAYS, 8, "int64"),
        ({"a": [1, 2]}, WAYS, 8, "int64"),
        ({"a": torch.arange(40)}, WAYS, 1, "window"),
        ({"a": torch.arange(300) % 90}, {FULL_CONTEXT: FullContext()}, 8, "300 positions"),
    ],
)
def test_bad_arguments_are_refused(documents, ways, window, message):
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate(tiny(), documents, ways, window=window)


def test_a_model_that_gives_nan_is_named():
    model = tiny()
    with torch.no_grad():
        model.lm_head.weight[3] = math.nan
    with pytest.raises(ValueError, match=r"'a' losses that are not finite, read with 'no memory'"):
        evaluate(model, {"a": document()}, baselines(8, 24), window=8)
