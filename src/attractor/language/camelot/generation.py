"""Generation by transformers' own `generate`, with the session in the place of its cache.

The cache that `generate` is given holds nothing and counts tokens: the exact tokens are those of the session, and each pass
brings its own keys only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel, StoppingCriteria, StoppingCriteriaList, StopStringCriteria
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


class Ended(StoppingCriteria):
    """Asks the criteria of a call and remembers which rows they have stopped: `rows (B,)`, None before the first call."""

    def __init__(self, criteria: list[StoppingCriteria]):
        self.criteria = StoppingCriteriaList(criteria)
        self.rows: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Any, **options: Any) -> Tensor:
        done = self.criteria(input_ids, scores, **options)
        self.rows = done if self.rows is None else self.rows | done
        return done


@dataclass(eq=False)
class Stream:
    """Which rows still go on, while `generate` makes one token after the other.

    Attributes:
        cache: counts the tokens.
        ends: tokens that end a row. Without any `generate` pads no row, whatever has stopped it.
        ended: asks what else stops a row.
        found: how often the tokens since the slots were written last have found each slot, by layer.
        going: `(B,)` rows that have not ended; None before the first pass.
    """

    cache: Cache
    ends: Tensor
    ended: Ended
    found: dict[int, Tensor] = field(default_factory=dict)
    going: Tensor | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, count: int, options: dict[str, Any]) -> Self:
        """The stream behind `count` tokens, with what ends a row by the options of `generate` and the model's configuration."""
        layers = model.config.get_text_config().num_hidden_layers
        cache = Cache(layers=[CountingLayer(count) for _ in range(layers)])
        ends, strings = (setting(model, options, name) for name in ("eos_token_id", "stop_strings"))
        listed = [] if ends is None else torch.as_tensor(ends).flatten().tolist()
        criteria = list(options.get("stopping_criteria") or [])
        if strings is not None and options.get("tokenizer") is not None:
            criteria.append(StopStringCriteria(options["tokenizer"], strings))
        return cls(cache, torch.tensor(listed, dtype=torch.int64), Ended(criteria))

    def step(self, ids: Tensor) -> Tensor:
        """Which of the tokens `ids (B, 1)` of the next pass are there: a row goes on behind its last token with padding."""
        if self.going is None:
            # the last token of the prompt ends nothing
            self.going = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
            return self.going[:, None].clone()
        there = self.going[:, None].expand_as(ids).clone()
        if len(self.ends):
            self.going = self.going & ~torch.isin(ids[:, -1], self.ends.to(ids.device))
            if self.ended.rows is not None:
                self.going = self.going & ~self.ended.rows.to(ids.device)
        return there

    def search_anew(self, rows: Tensor) -> None:
        """The slots of `rows (B,)`, Boolean, are others now: forget what was found."""
        for found in self.found.values():
            found[rows.to(found.device)] = 0


def setting(model: PreTrainedModel, options: dict[str, Any], name: str) -> Any:
    """What `generate` takes for `name`: the option, that of the configuration that is given, or else the model's own."""
    if name in options:
        return options[name]
    chosen = getattr(options.get("generation_config"), name, None)
    return getattr(model.generation_config, name, None) if chosen is None else chosen


def check_options(model: PreTrainedModel, options: dict[str, Any]) -> None:
    """Refuse what makes several continuations of a row, runs the model otherwise than token by token, or keeps a cache of its own.

    Raises:
        ValueError: such an option, also where it stands in a configuration.
    """
    for name in ("num_beams", "num_return_sequences", "guidance_scale"):
        count = setting(model, options, name)
        if count is not None and count != 1:
            raise ValueError(
                f"{name} must be 1, got {count}: a session follows one continuation of each row; model.generate(...) in the "
                "session reads the memory with several"
            )
    for name in ("prompt_lookup_num_tokens", "penalty_alpha", "dola_layers", "cache_implementation"):
        if setting(model, options, name) is not None:
            raise ValueError(f"{name} must be left out: the session reads token by token, and keeps the tokens")
    if setting(model, options, "use_cache") is False:
        raise ValueError("use_cache must be left out, got False: the session keeps the tokens")
    for name in ("past_key_values", "assistant_model", "custom_generate", "inputs_embeds"):
        if options.get(name) is not None:
            raise ValueError(f"{name} must be left out: the session keeps the tokens")


def generate(model: PreTrainedModel, ids: Tensor, mask: Tensor, stream: Stream, options: dict[str, Any]) -> Any:
    """`model.generate` for prompts `ids (B, T)` of which all tokens but the last have been read."""
    if stream.ended.criteria:
        options = options | {"stopping_criteria": StoppingCriteriaList([stream.ended])}
    make: Any = model.generate
    return make(input_ids=ids, attention_mask=mask.long(), past_key_values=stream.cache, **options)
