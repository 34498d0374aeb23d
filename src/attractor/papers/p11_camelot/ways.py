"""The ways of reading that are measured, by name, and what they read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attractor.data.language_models import SMOLLM2, LanguageModel, load_language_model
from attractor.data.texts import load_speeches

if TYPE_CHECKING:
    from attractor.language.perplexity import Way

NONE, FULL, LONGER, SINKS = "no memory", "full context", "previous window recomputed", "attention sinks"
RECENCY, NOVELTY = "recency only", "novelty only"
PAPER, RECOMMENDED = "paper", "recommended"
MEAN: dict[str, Any] = {"sink_slots": 4, "position": "mean"}
VARIANTS: dict[str, dict[str, Any]] = {
    PAPER: {},
    "sinks": {"sink_slots": 4},
    "mean": MEAN,
    "query": MEAN | {"read": "query", "top_k": 16, "count_bias": True},
    "all": MEAN | {"read": "all", "count_bias": True},
    "stored": {"position": "stored"},
}
"""What is changed of the paper's settings."""
TIERS: dict[str, dict[str, Any]] = {RECOMMENDED: {}, "tiers": {"threshold": 0.9}, "one by one": {"chunk": 1}}
"""What is changed of the recommended settings."""
MODEL = "SmolLM2-135M-Instruct, weights of 4 bits"
LETTERS = 50_000
"""Of the shortest speech that is read."""
NOT_HERE = "needs SmolLM2: measured at the laptop scale"


def way(name: str, slots: int, window: int) -> Way:
    """The way of reading of this name."""
    from attractor.language.camelot.config import CamelotConfig
    from attractor.language.perplexity import WithMemory, baselines

    if name in VARIANTS:
        return WithMemory(CamelotConfig.paper(slots, window, **VARIANTS[name]))
    if name in TIERS:
        return WithMemory(CamelotConfig.recommended(slots, window, **TIERS[name]))
    return baselines(window, slots)[name]


@cache
def smollm2() -> LanguageModel:
    """The real model, read once in each process."""
    return load_language_model(SMOLLM2)


@cache
def speeches() -> dict[str, str]:
    """The long ones, by name."""
    return {one.name: one.text for one in load_speeches().documents if len(one.text) >= LETTERS}


def tokens_of(name: str, count: int) -> Tensor:
    """The first tokens of a speech.

    Raises:
        ValueError: it has fewer.
    """
    ids = smollm2().ids(speeches()[name], count)
    if len(ids) < count:
        raise ValueError(f"speech {name!r} must have {count} tokens, it has {len(ids)}")
    return ids


def chosen(count: int, letters: int, seed: int) -> list[str]:
    """Names of so many speeches of at least so many letters, drawn by chance; fewer are the first of more.

    Raises:
        ValueError: there are fewer.
    """
    there = [name for name, text in speeches().items() if len(text) >= letters]
    if count > len(there):
        raise ValueError(f"documents must be at most {len(there)}, the speeches of {letters:,} letters, got {count}")
    order = torch.randperm(len(there), generator=torch.Generator().manual_seed(seed))
    return [there[place] for place in order[:count].tolist()]


def tiny_model(seed: int, head_dim: int = 8) -> Any:
    """A random model of two layers, with weights so large that its attention matters."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=2048,
    )
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.copy_(0.25 * torch.randn(parameter.shape, generator=generator))
    return model
