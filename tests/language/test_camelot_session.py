"""Sessions: batches and padding, generation, saving, and what is refused."""

import copy

import pytest
import torch
from language.tiny_models import EXACT, plain, text, tiny, transformers

from attractor.language import CamelotConfig, Session, attach

MERGING = {"recent": 8, "sink_slots": 2, "threshold": 0.5, "slots": 24, "window": 8}
KEEPING = {"slots": 90, "window": 8, "recent": 8, "threshold": None}


def padded(lengths, side, seed=0):
    """Rows of these lengths, padded on one side with tokens that must not matter."""
    ids, mask = text(len(lengths), max(lengths), seed), torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, slice(-length, None) if side == "left" else slice(length)] = 1
    return ids, mask


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


def test_memory_is_flat_in_the_length_of_the_text():
    model = tiny()
    with attach(model, **MERGING) as memory, memory.session() as session:
        sizes = []
        for _ in range(6):
            session.remember(text(1, 400))
            sizes.append(session.nbytes)
        assert len(set(sizes[1:])) == 1
        assert session.seen.tolist() == [2400]
        most = 0
        session.generate(text(1, 3), max_new_tokens=60, do_sample=False, eos_token_id=None)
        most = max(most, session.nbytes)
        assert most <= sizes[-1]
        # all there is: slots twice, as they are and as they are seen, and the recent tokens
        keys = values = 2 * 2 * 16 * 8 * 4
        assert sizes[-1] < 2 * (keys + values) + 20 * 2 * 2 * 16 + 2 * 2 * 2 * 8 * 8 * 4 + 1000


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


@pytest.mark.parametrize("window", [8, 100])
def test_a_wanted_share_merges_however_long_the_window(window):
    model = tiny()
    with attach(model, **(MERGING | {"threshold": "auto:0.5"})) as memory, memory.session() as session:
        session.remember(text(1, 200), window=window)
        view = session.view(0)
    assert bool(view.threshold.isfinite().all()) and int(view.counts.max()) > 1


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


def other(kind, **settings):
    return getattr(transformers, f"{kind}Config")(**settings)


BERT = other("Bert", vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: transformers.BloomForCausalLM(other("Bloom", vocab_size=96, hidden_size=32, n_layer=1, n_head=2)),
            "attention interface",
        ),
        (
            lambda: transformers.MambaForCausalLM(other("Mamba", vocab_size=96, hidden_size=32, num_hidden_layers=1)),
            "attention layers",
        ),
        (
            lambda: transformers.T5ForConditionalGeneration(
                other("T5", vocab_size=96, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
            ),
            "encoder",
        ),
        (lambda: transformers.BertLMHeadModel(BERT), "must be causal"),
        (lambda: transformers.BertForMaskedLM(BERT), "with its head"),
        (lambda: transformers.LlamaModel(tiny().config), "with its head"),
        (lambda: transformers.LlamaForSequenceClassification(tiny().config), "with its head"),
    ],
    ids=["bloom", "mamba", "t5", "bert", "masked", "headless", "classifier"],
)
def test_other_architectures_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        attach(make().eval())


def test_models_that_cannot_have_a_memory_now_are_refused():
    with pytest.raises(TypeError, match="model must be a model of transformers"):
        attach(torch.nn.Linear(2, 2))
    model = tiny()
    with pytest.raises(ValueError, match="eval mode"):
        attach(model.train(), **MERGING)
    memory = attach(model.eval(), **MERGING)
    with pytest.raises(ValueError, match="must not have a memory yet"):
        attach(model, **MERGING)
    model.train()
    with pytest.raises(ValueError, match="eval mode"), memory.session():
        pass
    memory.detach()
    with pytest.raises(RuntimeError, match="detached"):
        memory.session()
    model.eval().set_attn_implementation("flex_attention")
    with pytest.raises(ValueError, match="'flex_attention', which cannot be wrapped"):
        attach(model, **MERGING)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slots": 10}, "slots must be more than recent"),
        ({"slots": 6, "recent": 2, "sink_slots": 4}, "slots must be more than recent"),
        ({"threshold": 1.2}, "threshold"),
        ({"threshold": -1.0}, "threshold"),
        ({"measure": "l2"}, "threshold"),
        ({"slots": 11, "recent": 8, "sink_slots": 2, "threshold": "auto:0.5"}, "slots must be at least 2 more"),
        ({"read": "query", "top_k": 17}, "top_k"),
        ({"read": "nearest"}, "read"),
        ({"position": "somewhere"}, "position"),
        ({"granularity": "model"}, "granularity"),
        ({"window": 250, "recent": 8}, "window"),
        ({"layers": [2]}, "layers"),
        ({"distance": -1}, "distance"),
        ({"chunk": 0}, "chunk"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_by_name(settings, message):
    model = tiny()
    with pytest.raises(ValueError, match=message):
        attach(model, **(MERGING | settings))
    attach(model, **MERGING)


def test_a_distance_beyond_a_sliding_window_is_refused():
    with pytest.raises(ValueError, match="distance must be below the sliding window of 13"):
        attach(tiny("mistral"), slots=40, window=16, position="fixed")
    attach(tiny("mistral"), slots=40, window=16, position="fixed", distance=12)


def test_wrong_calls_are_refused_and_change_nothing():
    model, ids = tiny(), text(2, 20)
    memory = attach(model, **MERGING)
    closed = memory.session()
    with pytest.raises(RuntimeError, match="must be open"):
        closed.feed(ids)
    with memory.session() as session:
        with pytest.raises(RuntimeError, match="one open session"), memory.session():
            pass
        for bad, kind, message in [
            (ids.tolist(), TypeError, "input_ids"),
            (ids[0], ValueError, "rows, tokens"),
            (ids.float(), TypeError, "integers"),
            (ids + 96, ValueError, "from 0 to 95"),
            (ids.to("meta"), ValueError, "must be on cpu"),
        ]:
            with pytest.raises(kind, match=message):
                session.feed(bad)
        with pytest.raises(ValueError, match="attention_mask"):
            session.feed(ids, torch.ones(2, 19))
        with pytest.raises(ValueError, match="window"):
            session.feed(ids, window=249)
        assert session.batch is None
        session.remember(ids)
        with pytest.raises(ValueError, match="2 rows like before, got 1"):
            session.feed(ids[:1])
        with pytest.raises(ValueError, match="2 rows, or several for each, got 3"):
            plain(model, text(3, 5))
        with pytest.raises(ValueError, match="rows must be"):
            session.reorder(torch.tensor([2]))
        for option in ({"num_beams": 2}, {"num_return_sequences": 2}, {"use_cache": False}):
            with pytest.raises(ValueError, match=next(iter(option))):
                session.generate(ids, **option)
        with pytest.raises(ValueError, match="put the padding"):
            session.generate(ids, torch.tensor([[1] * 20, [1] * 19 + [0]]))
        cache = transformers.QuantizedCache.__new__(transformers.QuantizedCache)
        with pytest.raises(ValueError, match="quantised"):
            model(input_ids=ids, past_key_values=cache)
        with pytest.raises(ValueError, match="layer must be below 2"):
            session.view(5)
        assert session.seen.tolist() == [20, 20]
    assert isinstance(session, Session)


def test_a_learned_table_of_positions_has_an_end():
    model = tiny("gpt2", n_positions=32)
    with attach(model, slots=24, window=8) as memory, memory.session() as session:
        session.remember(text(1, 28))
        with pytest.raises(ValueError, match="context of 32 tokens"):
            plain(model, text(1, 8))


def test_settings_can_be_given_with_a_configuration():
    memory = attach(tiny(), CamelotConfig.paper(slots=40, window=8), top_k=2)
    assert memory.config.read == "key" and memory.config.top_k == 2 and memory.config.recent == 0
    with pytest.raises(TypeError, match="config"):
        attach(tiny(), {"slots": 3})


def test_exact_settings_are_exact():
    """The settings of the tests of exactness hold every token."""
    model, ids = tiny(), text()
    with attach(model, CamelotConfig(slots=60, window=8, **EXACT)) as memory, memory.session() as session:
        session.remember(ids)
        view = session.view(0)
    assert view.counts.sum(-1).tolist() == [[40, 40]] and int(view.counts.max()) == 1
    assert view.positions[0, 0, :40].tolist() == list(range(40))
    assert view.ages[0, 0, :40].tolist() == list(range(39, -1, -1))
