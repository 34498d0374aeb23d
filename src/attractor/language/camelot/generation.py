"""Generation by transformers' own `generate`, with the session in the place of its cache.

The cache that `generate` is given holds nothing and counts tokens: the exact tokens are those of the session, and each pass
brings its own keys only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


class CountingLayer(DynamicLayer):
    """Hands keys and values through and counts them."""

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        self.count += key_states.shape[-2]
        return key_states, value_states

    def get_seq_length(self) -> int:
        return self.count

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, self.count


@dataclass(eq=False)
class Stream:
    """Which rows still go on, while `generate` makes one token after the other.

    Attributes:
        ends: tokens that end a row.
        going: `(B,)` rows that have not ended; None before the first pass.
    """

    ends: Tensor
    going: Tensor | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, options: dict[str, Any]) -> Self:
        """What ends a row, by the options of `generate` and the configuration of the model."""
        config = options.get("generation_config") or model.generation_config
        ends = options.get("eos_token_id", getattr(config, "eos_token_id", None))
        listed = [] if ends is None else torch.as_tensor(ends).flatten().tolist()
        return cls(torch.tensor(listed, dtype=torch.int64))

    def step(self, ids: Tensor) -> Tensor:
        """Which of the tokens `ids (B, 1)` of the next pass are there: a row goes on behind its last token with padding."""
        if self.going is None:
            # the last token of the prompt ends nothing
            self.going = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
            return self.going[:, None].clone()
        there = self.going[:, None].expand_as(ids).clone()
        self.going = self.going & ~torch.isin(ids[:, -1], self.ends.to(ids.device))
        return there


def check_options(options: dict[str, Any]) -> None:
    """Refuse what makes several continuations of a row, or a cache of its own.

    Raises:
        ValueError: such an option.
    """
    config = options.get("generation_config")
    for name in ("num_beams", "num_return_sequences"):
        count = options.get(name, getattr(config, name, None))
        if count is not None and count != 1:
            raise ValueError(
                f"{name} must be 1, got {count}: a session follows one continuation of each row; model.generate(...) in the "
                "session reads the memory with several"
            )
    for name in (
        "past_key_values",
        "cache_implementation",
        "assistant_model",
        "prompt_lookup_num_tokens",
        "use_cache",
        "inputs_embeds",
    ):
        if options.get(name) is not None:
            raise ValueError(f"{name} must be left out: the session keeps the tokens")


def generate(model: PreTrainedModel, ids: Tensor, mask: Tensor, stream: Stream, options: dict[str, Any]) -> Any:
    """`model.generate` for prompts `ids (B, T)` of which all tokens but the last have been read."""
    count = model.config.get_text_config().num_hidden_layers
    cache = Cache(layers=[CountingLayer(ids.shape[1] - 1) for _ in range(count)])
    make: Any = model.generate
    return make(input_ids=ids, attention_mask=mask.long(), past_key_values=cache, **options)
