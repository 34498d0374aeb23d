"""What is refused, by name, before anything has changed."""

import pytest
import torch
from language.tiny_models import MERGING, plain, text, tiny, transformers

from attractor.language import Session, attach


def other(kind, **settings):
    return getattr(transformers, f"{kind}Config")(**settings)


def wide(kind, **settings):
    """One of the architectures that compute their attention by themselves."""
    return lambda: getattr(transformers, f"{kind}ForCausalLM")(other(kind, vocab_size=96, **settings))


BERT = other("Bert", vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wide("Bloom", hidden_size=32, n_layer=1, n_head=2), "attention interface, BloomForCausalLM does not"),
        (
            wide("Falcon", hidden_size=32, num_hidden_layers=1, num_attention_heads=2),
            "attention interface, FalconForCausalLM does not",
        ),
        (wide("GPTJ", n_embd=32, n_layer=1, n_head=2, rotary_dim=8), "attention interface, GPTJForCausalLM does not"),
        (
            wide("GPTNeo", hidden_size=32, num_layers=1, num_heads=2, attention_types=[[["global"], 1]]),
            "attention interface, GPTNeoForCausalLM does not",
        ),
        (wide("Mpt", d_model=32, n_heads=2, n_layers=1), "attention interface, MptForCausalLM does not"),
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
    ids=["bloom", "falcon", "gptj", "gpt_neo", "mpt", "mamba", "t5", "bert", "masked", "headless", "classifier"],
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
        ({"layers": []}, "layers must name at least one"),
        ({"distance": -1}, "distance"),
        ({"chunk": 0}, "chunk"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_by_name(settings, message):
    model = tiny()
    with pytest.raises(ValueError, match=message):
        attach(model, **(MERGING | settings))
    with pytest.raises(TypeError, match="layers must be a sequence of integers, got int"):
        attach(model, **MERGING, layers=1)
    attach(model, **MERGING)


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
            (ids.to(torch.int16), TypeError, "integers of 32 or 64 bits, got torch.int16"),
            (ids > 9, TypeError, "integers"),
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
        for rows in (torch.tensor([True, False]), [0.9]):
            with pytest.raises(TypeError, match="rows must hold integers"):
                session.reorder(rows)
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
