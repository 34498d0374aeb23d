"""A memory coupled to a frozen language model (He et al. 2024, CAMELoT), through what transformers offers for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self, cast
from weakref import WeakKeyDictionary, ref

from torch import Tensor
from transformers import PreTrainedModel

from attractor.language.camelot.attention import AttentionLayer, attention_layers, implementation_of
from attractor.language.camelot.config import CamelotConfig
from attractor.language.camelot.passes import Passes
from attractor.language.camelot.session import Session

KNOWN_LAYERS = {"full_attention", "sliding_attention"}


def attach(model: PreTrainedModel, config: CamelotConfig | None = None, **settings: Any) -> Camelot:
    """Couple a consolidated associative memory to a causal language model, without training and without changing it.

    Nothing of the model is replaced: while a session is open its layers call an attention function that is registered with
    transformers, else they are as they were, bit for bit. Its `state_dict` never knows of the memory. A compiled model works
    too; its attention layers are not compiled while a session is open.

    Args:
        model: any causal model of transformers that uses its attention interface with `"sdpa"` or `"eager"`, in eval mode: Llama,
            Mistral, Qwen, Gemma, Phi, GPT-2, GPT-NeoX, OPT and many more. A model with adapters of PEFT is one.
        config: how to remember. Default: `CamelotConfig.recommended()`.
        settings: changes to `config`.

    Returns:
        The coupling; `session()` begins to read, `detach()` ends it.

    Raises:
        TypeError: not a model of transformers.
        ValueError: a model without attention layers that can be listened to, one with recurrent layers or an encoder, one in
            training mode, one that has a memory already, or settings that do not suit it.

    Example:
        >>> import torch
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> tiny = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
        >>> memory = attach(LlamaForCausalLM(tiny).eval(), slots=24, window=8)
        >>> with memory.session() as session:
        ...     session.remember(torch.arange(40)[None])
        ...     continued = session.generate(torch.arange(4)[None], max_new_tokens=3, eos_token_id=None)
        >>> continued.shape, session.seen.tolist(), session.view(0).written.tolist()
        (torch.Size([1, 7]), [47], [[39, 39]])
        >>> memory.detach()
    """
    model = unwrapped(model)
    check_model(model)
    if config is None:
        config = CamelotConfig.recommended(**settings)
    elif isinstance(config, CamelotConfig):
        config = replace(config, **settings)
    else:
        raise TypeError(f"config must be a CamelotConfig, got {type(config).__name__}")
    coupling = Camelot(model, config, attention_layers(model))
    COUPLED[model] = ref(coupling)
    return coupling


class Camelot:
    """A model with a memory. Made by `attach`.

    Attributes:
        model: as it was given.
        config: the settings.
        layers: the model's attention layers.
        merging: numbers of the layers that have slots.
        context: tokens that the model was made for; None if it does not say.
    """

    def __init__(self, model: PreTrainedModel, config: CamelotConfig, layers: list[AttentionLayer]):
        self.model, self.config, self.layers = model, config, layers
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.check_window(config.window)
        self._check_causal()
        self.merging = self._merging()
        self._open: Passes | None = None

    def __repr__(self) -> str:
        return f"Camelot({type(self.model).__name__}, {len(self.layers)} layers, {self.config})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.detach()

    @property
    def embedding(self) -> Tensor:
        """The model's table of tokens."""
        return cast(Tensor, self.model.get_input_embeddings().weight)

    def session(self, *, watch: bool = False) -> Session:
        """New sequences, with an empty memory; `watch` keeps how much each slot was read, for `Session.view`.

        Raises:
            RuntimeError: detached.
        """
        self._check_coupled()
        return Session(self, watch=watch)

    def detach(self) -> None:
        """End the coupling: an open session is closed, and the model can have another memory."""
        if self._open is not None:
            self._open.close()
        known = COUPLED.get(self.model)
        if known is not None and known() is self:
            del COUPLED[self.model]

    def open(self, session: Passes) -> None:
        """A session says that it opens.

        Raises:
            RuntimeError: another one is open, or detached.
            ValueError: the model is in training mode now.
        """
        self._check_coupled()
        if self._open is not None:
            raise RuntimeError("model must have one open session at a time: close the other first")
        check_mode(self.model)
        self._open = session

    def closed(self, session: Passes) -> None:
        """A session says that it is closed."""
        self._open = None

    def check_window(self, window: int) -> None:
        """Raise `ValueError` where `window` tokens and the recent ones are more than the model was made for."""
        if self.context is not None and window + self.config.recent > self.context:
            raise ValueError(
                f"window must leave room for the {self.config.recent} recent tokens in the model's context of {self.context}, "
                f"got {window}"
            )

    def _check_coupled(self) -> None:
        known = COUPLED.get(self.model)
        if known is None or known() is not self:
            raise RuntimeError("memory is detached: attach(model) makes a new one")

    def _check_causal(self) -> None:
        for layer in self.layers:
            if not getattr(layer.module, "is_causal", True):
                raise ValueError(f"model must be causal, layer {layer.index} of {type(self.model).__name__} sees later tokens")

    def _merging(self) -> frozenset[int]:
        """The layers that the settings name; without any, those whose sliding window reaches back to a slot."""
        config = self.config
        chosen = range(len(self.layers)) if config.layers is None else config.layers
        if any(number >= len(self.layers) for number in chosen):
            raise ValueError(f"layers must be below {len(self.layers)}, got {list(chosen)}")
        windows = {number: self.layers[number].sliding_window for number in chosen}
        blind = {number: window for number, window in windows.items() if window is not None and config.nearest_slot >= window}
        if blind and (config.layers is not None or len(blind) == len(windows)):
            number, window = next(iter(blind.items()))
            name = "distance" if config.position == "fixed" else "recent"
            most, value = (window, config.seen_at) if config.position == "fixed" else (window - 1, config.recent)
            raise ValueError(
                f"{name} must be below {most} for the sliding window of {window} tokens of layer {number}, got {value}: it would "
                "never see its slots; leave it out of layers where others see theirs"
            )
        return frozenset(windows) - frozenset(blind)


COUPLED: WeakKeyDictionary[PreTrainedModel, ref[Camelot]] = WeakKeyDictionary()


def unwrapped(model: Any) -> PreTrainedModel:
    """The model of transformers in a model with adapters."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not isinstance(inner, PreTrainedModel):
        raise TypeError(f"model must be a model of transformers, got {type(model).__name__}")
    return inner


def check_model(model: PreTrainedModel) -> None:
    """Raise `ValueError` for a model that cannot have a memory, or has one."""
    known = COUPLED.get(model)
    if known is not None and known() is not None:
        raise ValueError("model must not have a memory yet: call detach() on it first")
    if not model.can_generate():
        raise ValueError(f"model must be a causal language model with its head, like LlamaForCausalLM, got {type(model).__name__}")
    config = model.config.get_text_config()
    if model.config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise ValueError(f"model must be a decoder by itself, {type(model).__name__} has an encoder beside it")
    other = sorted(set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS)
    if other or getattr(model, "_is_stateful", False):
        raise ValueError(
            f"model must have attention layers only, {type(model).__name__} has {', '.join(other) or 'recurrent ones'}: their "
            "state is lost between windows"
        )
    check_mode(model)
    implementation_of(model)


def check_mode(model: PreTrainedModel) -> None:
    if model.training:
        raise ValueError("model must be in eval mode, got one in training mode, with dropout: call model.eval()")
