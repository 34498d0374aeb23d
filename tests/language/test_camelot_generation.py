"""Generation in a session: its own, which is remembered, and that of the model, which only reads."""

import copy

import pytest
import torch
from language.tiny_models import KEEPING, MERGING, padded, plain, text, tiny, transformers

from attractor.language import attach


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral", "gemma3", "gpt_oss", "opt"])
def test_generation_with_every_token_kept_equals_that_of_the_model(name):
    model, prompt = tiny(name), text(2, 21)
    expected = model.generate(prompt, max_new_tokens=30, do_sample=False, eos_token_id=None)
    with attach(model, **KEEPING) as memory, memory.session() as session:
        found = session.generate(prompt, max_new_tokens=30, do_sample=False, eos_token_id=None)
        assert session.seen.tolist() == [51, 51]
        after = session.logits(text(2, 6, seed=9))
    assert torch.equal(found, expected)
    whole = torch.cat([expected, text(2, 6, seed=9)], 1)
    torch.testing.assert_close(after, plain(model, whole)[:, -6:], atol=1e-4, rtol=0)


def test_generation_goes_on_with_padded_prompts_as_with_each_by_itself():
    model = tiny()
    ids, mask = padded((14, 9), "left")
    with attach(model, **MERGING) as memory:
        with memory.session() as session:
            together = session.generate(ids, mask, max_new_tokens=30, do_sample=False, eos_token_id=None)
            assert session.seen.tolist() == [44, 39]
        for row in range(2):
            own = ids[row][mask[row].bool()][None]
            with memory.session() as session:
                alone = session.generate(own, max_new_tokens=30, do_sample=False, eos_token_id=None)
            assert torch.equal(together[row, 14:], alone[0, own.shape[1] :])


def test_what_follows_the_end_of_a_row_is_not_remembered():
    model, prompt = tiny(), text(2, 10)
    free = model.generate(prompt, max_new_tokens=12, do_sample=False, eos_token_id=None)[:, 10:]
    end = int(next(token for token in free[0] if token not in free[1]))
    length = free[0].tolist().index(end) + 1
    with attach(model, **KEEPING) as memory, memory.session() as session:
        session.generate(prompt, max_new_tokens=12, do_sample=False, eos_token_id=end)
        assert session.seen.tolist() == [10 + length, 22]


@pytest.mark.parametrize("kind", ["configuration", "model", "criterion", "criterion, no end"])
def test_rows_end_by_whatever_ends_them_in_generate(kind):
    model, prompt = tiny(), text(2, 10)
    free = model.generate(prompt, max_new_tokens=12, do_sample=False, eos_token_id=None)[:, 10:]
    end = int(next(token for token in free[0] if token not in free[1]))
    length = free[0].tolist().index(end) + 1
    model.generation_config.eos_token_id = end if kind in ("configuration", "model") else None

    class Stop(transformers.StoppingCriteria):
        def __call__(self, input_ids, scores, **options):
            return input_ids[:, -1] == end

    options = {"max_new_tokens": 12, "do_sample": False}
    if kind == "configuration":
        options = {"generation_config": transformers.GenerationConfig(**options)}
    elif "criterion" in kind:
        options |= {"stopping_criteria": transformers.StoppingCriteriaList([Stop()])}
        options |= {"eos_token_id": 95 if kind == "criterion" and 95 not in free else None}
    with attach(model, **KEEPING) as memory, memory.session() as session:
        found = session.generate(prompt, **options)
        # without a token that ends rows they are not padded
        assert session.seen.tolist() == [10 + (12 if "no end" in kind else length), 22]
    assert torch.equal(found, model.generate(prompt, **options))


@pytest.mark.parametrize("where", ["option", "configuration", "model"])
@pytest.mark.parametrize(("name", "value"), [("guidance_scale", 1.5), ("num_beams", 2), ("penalty_alpha", 0.5)])
def test_generation_that_is_no_single_stream_is_refused(where, name, value):
    model, ids = tiny(), text(1, 20)
    options = {name: value} if where == "option" else {}
    if where == "configuration":
        options = {"generation_config": transformers.GenerationConfig(**{name: value})}
    elif where == "model":
        setattr(model.generation_config, name, value)
    with attach(model, **MERGING) as memory, memory.session() as session:
        with pytest.raises(ValueError, match=name):
            session.generate(ids, **options)
        assert session.seen.sum() == 0


def test_a_second_pass_within_generation_is_refused():
    model, ids = tiny(), text(1, 20)

    class Twice(transformers.LogitsProcessor):
        def __call__(self, input_ids, scores):
            return model(input_ids=input_ids[:, -1:]).logits[:, -1]

    with attach(model, **MERGING) as memory, memory.session() as session, pytest.raises(ValueError, match="once for each token"):
        session.generate(ids, logits_processor=transformers.LogitsProcessorList([Twice()]), max_new_tokens=5)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"num_return_sequences": 2, "do_sample": True}], ids=str)
def test_the_models_own_generate_reads_the_memory_and_leaves_it(options):
    model, ids = tiny(), text(2, 36)
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, **options}
    torch.manual_seed(3)
    whole = model.generate(ids, **settings)[:, 36:]
    with attach(model, **KEEPING) as memory, memory.session() as session:
        session.remember(ids[:, :30])
        before = copy.deepcopy(session.groups[0].tensors())
        torch.manual_seed(3)
        found = model.generate(ids[:, 30:], **settings)[:, 6:]
        assert torch.equal(found, whole)
        assert session.seen.tolist() == [30, 30]
        for name, value in session.groups[0].tensors().items():
            assert torch.equal(value, before[name])


def test_own_generation_reads_by_key_search_what_the_prompt_and_the_new_tokens_find():
    """One token after the other with a cache equals one pass over all of them."""
    model, ids = tiny(), text(1, 50)
    settings = MERGING | {"read": "key", "top_k": 1, "dedupe": False, "count_bias": False}
    with attach(model, **settings) as memory, memory.session() as session:
        session.remember(ids[:, :40])
        whole = plain(model, ids[:, 40:])
        cache, parts = transformers.DynamicCache(config=model.config), []
        for part in ids[:, 40:].split([4, 1, 1, 4], 1):
            parts.append(plain(model, part, past_key_values=cache, use_cache=True))
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=0)


def test_while_tokens_are_made_no_more_than_three_windows_are_exact():
    model = tiny()
    widths = []
    with attach(model, **MERGING) as memory, memory.session() as session:
        reader = session.readers[0]
        take = reader.group.commit
        reader.group.commit = lambda *given: (take(*given), widths.append(reader.group.keys.shape[2]))
        session.generate(text(1, 30), max_new_tokens=50, do_sample=False, eos_token_id=None)
        assert max(widths) <= 16 and widths[-1] == 8
        assert session.view(0).written.tolist() == [[72, 72]]


@pytest.mark.parametrize("dedupe", [False, True])
def test_a_token_that_is_made_sees_what_the_tokens_of_its_window_have_found(dedupe):
    """By key search, one token after the other equals one pass over the window, which ends where slots are written."""
    model, ids, options = tiny(), text(2, 41), {"do_sample": False, "eos_token_id": None}
    settings = {"slots": 60, "window": 8, "threshold": 0.9, "read": "key", "top_k": 1, "count_bias": False, "dedupe": dedupe}
    with attach(model, recent=8, **settings) as memory:
        with memory.session() as session:
            session.remember(ids[:, :40])
            made = session.generate(ids[:, 40:], max_new_tokens=16, output_logits=True, return_dict_in_generate=True, **options)
        found, tokens = torch.stack(made.logits, 1), made.sequences
        with memory.session() as session:
            session.remember(ids[:, :40])
            torch.testing.assert_close(found[:, :9], plain(model, tokens[:, :9]), atol=1e-4, rtol=0)
            written = session.view(0).written
            session.generate(ids[:, 40:], max_new_tokens=8, **options)
            # eight exact tokens and nine new ones are more than two windows
            assert bool((session.view(0).written == written + 9).all())
            torch.testing.assert_close(found[:, 9:], plain(model, tokens[:, 9:16]), atol=1e-4, rtol=0)


def test_exact_tokens_of_generation_must_fit_into_the_context():
    """As many as a window, or the recent ones, stay behind when the oldest of them leave; two windows come before that."""
    for recent, context in ((0, 24), (12, 28)):
        settings = {"slots": 20, "window": 8, "recent": recent}
        with attach(tiny("gpt2", n_positions=context), **settings) as memory, memory.session() as session:
            session.generate(text(1, 40), max_new_tokens=30, eos_token_id=None)
        with attach(tiny("gpt2", n_positions=context - 1), **settings) as memory, memory.session() as session:
            with pytest.raises(ValueError, match=f"window must leave room .* in a context of {context - 1}, got 8"):
                session.generate(text(1, 40), max_new_tokens=30, eos_token_id=None)
            assert session.seen.sum() == 0


@pytest.mark.parametrize("copies", [1, 2])
def test_own_calls_of_the_model_go_on_where_each_row_stopped(copies):
    model, lengths = tiny(), (45, 5)
    ids, mask = padded(lengths, "right")
    more = text(2 * copies, 10, seed=5)
    with attach(model, **KEEPING) as memory, memory.session() as session:
        session.remember(ids, mask)
        found = plain(model, more)
    for row, new in enumerate(more):
        whole = torch.cat([ids[row // copies, : lengths[row // copies]], new])[None]
        torch.testing.assert_close(found[row], plain(model, whole)[0, -10:], atol=1e-4, rtol=0)
