"""Tiny random models of the architectures that a memory is tested with, and texts for them."""

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="the memory for language models needs transformers (extra language)")

BASE = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256}
PLAIN = BASE | {"intermediate_size": 48}
GROUPED = PLAIN | {"num_key_value_heads": 2}
TWO_KINDS = {"sliding_window": 13, "layer_types": ["sliding_attention", "full_attention"]}
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
CONFIGS = {
    "llama": ("Llama", GROUPED),
    "llama with YaRN": ("Llama", GROUPED | {"rope_parameters": YARN}),
    "gpt2": ("GPT2", {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gpt_neox": ("GPTNeoX", PLAIN),
    "mistral": ("Mistral", GROUPED | {"sliding_window": 13}),
    "qwen2": ("Qwen2", GROUPED),
    "qwen3": ("Qwen3", GROUPED | {"head_dim": 8}),
    "gemma": ("Gemma", GROUPED | {"head_dim": 8}),
    "gemma2": ("Gemma2", GROUPED | TWO_KINDS | {"head_dim": 8, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0}),
    "gemma3": ("Gemma3Text", GROUPED | TWO_KINDS | {"head_dim": 8, "query_pre_attn_scalar": 8}),
    "phi3": ("Phi3", GROUPED | {"sliding_window": None}),
    "cohere": ("Cohere", GROUPED),
    "smollm3": ("SmolLM3", GROUPED | {"no_rope_layers": [1, 0], "use_sliding_window": False}),
    "olmo2": ("Olmo2", GROUPED),
    "glm": ("Glm", GROUPED | {"head_dim": 8}),
    "gpt_oss": ("GptOss", GROUPED | TWO_KINDS | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "phi": ("Phi", PLAIN),
    "stablelm": ("StableLm", GROUPED),
    "opt": ("OPT", BASE | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
}
ROTARY = [name for name in CONFIGS if name not in ("gpt2", "opt")]


def tiny(name="llama", seed=0, **options):
    """A model with weights so large that its attention matters."""
    kind, settings = CONFIGS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = getattr(transformers, f"{kind}Config")(**(ENDS | settings | options))
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.dim() >= 2 or "sinks" in parameter_name:
                parameter.copy_(0.25 * torch.randn(parameter.shape, generator=generator))
    return model


def text(rows=1, tokens=40, seed=0):
    return torch.randint(3, 96, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def padded(lengths, side, seed=0):
    """Rows of these lengths, padded on one side with tokens that must not matter."""
    ids, mask = text(len(lengths), max(lengths), seed), torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, slice(-length, None) if side == "left" else slice(length)] = 1
    return ids, mask


@torch.no_grad()
def plain(model, ids, **options):
    return model(input_ids=ids, **options).logits


EXACT = {"threshold": None, "sink_slots": 0, "count_bias": False, "recent": 0}
"""Every token in a slot of its own."""
MERGING = {"recent": 8, "sink_slots": 2, "threshold": 0.5, "slots": 24, "window": 8}
KEEPING = {"slots": 90, "window": 8, "recent": 8, "threshold": None}
