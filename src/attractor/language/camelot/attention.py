"""The attention function that transformers calls, and the layers of a model that call it.

transformers lets a program register attention functions by name and choose one for a model at run time. The two functions here
stand for its own `"sdpa"` and `"eager"`: a layer that nobody listens to is computed by those, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from attractor.language.camelot.positions import Rotary, TableCall, Tables, defined_beside, is_rotary, rotary_of, table_call

Attended = tuple[Tensor, Tensor | None]
Plain = Callable[[], Attended]
NAMES = {"sdpa": "camelot_sdpa", "eager": "camelot_eager"}
PROBE = 4
"""Tokens with which a model is looked through."""
SHIFT = 37


class Listener(Protocol):
    """Takes the place of the attention of one layer."""

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, plain: Plain, **options: Any
    ) -> Attended:
        """The output `(b, q, heads, D)`; `plain()` is what the model computes by itself."""
        ...


LISTENERS: WeakKeyDictionary[nn.Module, Listener] = WeakKeyDictionary()


def attention(
    implementation: str, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any
) -> Attended:
    """What transformers calls in every attention layer: the listener of the layer, or else transformers' own function."""

    def plain() -> Attended:
        eager = defined_beside(module, "eager_attention_forward")
        usual = eager if implementation == "eager" else ALL_ATTENTION_FUNCTIONS[implementation]
        return usual(module, query, key, value, attention_mask, **options)

    listener = LISTENERS.get(module)
    if listener is None:
        return plain()
    return listener.attend(module, query, key, value, attention_mask, plain, **options)


for usual, name in NAMES.items():
    AttentionInterface.register(name, torch.compiler.disable(partial(attention, usual)))
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[usual])


@dataclass(frozen=True, eq=False)
class AttentionLayer:
    """One attention layer of a model.

    Attributes:
        module: the layer.
        index: its place among the attention layers, from 0.
        heads: key-value heads.
        key_dim, value_dim: width of a key and a value of one head.
        sliding_window: how far back the layer sees, None for everything.
        rotary: how it rotates keys; None where it does not.
    """

    module: nn.Module
    index: int
    heads: int
    key_dim: int
    value_dim: int
    sliding_window: int | None
    rotary: Rotary | None


def implementation_of(model: PreTrainedModel) -> str:
    """The name of the attention function that the model uses."""
    return model.config._attn_implementation or "eager"


@contextmanager
def switched(model: PreTrainedModel) -> Iterator[None]:
    """Within it, the model's layers call `attention`.

    Raises:
        ValueError: they do not, or not with functions that can be stood for.
    """
    usual = implementation_of(model)
    if usual not in NAMES:
        raise ValueError(
            f"model must use the attention 'sdpa' or 'eager', got {usual!r}, which cannot be wrapped: load it with "
            "attn_implementation='sdpa', or call model.set_attn_implementation('sdpa')"
        )
    model.set_attn_implementation(NAMES[usual])
    try:
        if implementation_of(model) != NAMES[usual]:
            raise ValueError(
                f"model must be of an architecture that uses transformers' attention interface, {type(model).__name__} does not"
            )
        yield
    finally:
        model.set_attn_implementation(usual)


@torch.no_grad()
def attention_layers(model: PreTrainedModel) -> list[AttentionLayer]:
    """Run a few tokens through the model at two places and see which layers attend, and how they rotate their keys.

    The same tokens further on have the same keys once the rotation is undone, and only then: a layer that does not rotate is told
    by keys that are the same as they are.

    Raises:
        ValueError: no layer calls the attention function, or one treats positions in a way that is not understood.
    """
    calls: list[TableCall] = []
    probes: dict[nn.Module, Probe] = {}
    hooks: list[Any] = []

    def note_call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        calls.extend(call for call in [table_call(module, args, kwargs, output)] if call is not None)

    def note_tables(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        probes[module].tables = kwargs.get("position_embeddings")

    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or SHIFT + PROBE
    shift = max(1, min(SHIFT, context - PROBE))
    ids = torch.arange(PROBE, device=model.device).expand(2, -1)
    positions = ids + torch.tensor([[0], [shift]], device=model.device)
    try:
        for module in model.modules():
            if is_rotary(module):
                hooks.append(module.register_forward_hook(note_call, with_kwargs=True))
            elif getattr(module, "layer_idx", None) is not None:
                LISTENERS[module] = probes[module] = Probe(len(probes))
                hooks.append(module.register_forward_pre_hook(note_tables, with_kwargs=True))
        with switched(model):
            model.get_decoder()(input_ids=ids, position_ids=positions, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
        for module in probes:
            del LISTENERS[module]
    seen = [(module, probe) for module, probe in probes.items() if probe.key is not None]
    if not seen:
        raise ValueError(f"model must have attention layers that call the attention interface, {type(model).__name__} has none")
    return [probe.layer(module, index, calls) for index, (module, probe) in enumerate(seen)]


class Probe:
    """Notes what an attention layer hands over, and computes what it always does."""

    def __init__(self, index: int):
        self.index = index
        self.tables: Tables | None = None
        self.key: Tensor | None = None
        self.value_dim = 0
        self.sliding_window: int | None = None

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, plain: Plain, **options: Any
    ) -> Attended:
        if options.get("position_bias") is not None:
            raise ValueError(f"model must not add a bias of positions to its attention, {type(module).__name__} does")
        self.key, self.value_dim = key, value.shape[-1]
        self.sliding_window = options.get("sliding_window")
        return plain()

    def layer(self, module: nn.Module, index: int, calls: list[TableCall]) -> AttentionLayer:
        """What the probe has found out."""
        assert self.key is not None
        rotary = self.rotary(module, index, calls)
        return AttentionLayer(module, index, self.key.shape[1], self.key.shape[3], self.value_dim, self.sliding_window, rotary)

    def rotary(self, module: nn.Module, index: int, calls: list[TableCall]) -> Rotary | None:
        assert self.key is not None
        if not calls:
            return None
        found = None if self.tables is None else rotary_of(module, self.key, self.tables, calls)
        as_given = far_apart(self.key)
        if found is not None and self.tables is not None:
            undone = far_apart(found.undo(self.key, (self.tables[0].float(), self.tables[1].float())))
            if undone <= 0.1 * as_given:
                return found
            if as_given <= 0.1 * undone:
                return None
        elif as_given < 1e-3:
            return None
        raise ValueError(
            f"model must rotate keys in a way that can be undone, or not at all: layer {index} of {type(module).__name__} does "
            "otherwise"
        )


def far_apart(keys: Tensor) -> float:
    """How much the keys of two rows differ, relative to their size."""
    keys = keys.float()
    return float((keys[0] - keys[1]).abs().max() / keys.abs().max().clamp_min(1e-30))
