"""Passes of a model whose layers remember: where their tokens stand, what they read, and what is kept of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import QuantizedCache

from attractor.language.camelot.attention import LISTENERS, NAMES, AttentionLayer, implementation_of, switched
from attractor.language.camelot.generation import Stream
from attractor.language.camelot.reading import LayerReader, Pass
from attractor.language.camelot.store import LayerGroup
from attractor.language.camelot.timeline import Timeline

if TYPE_CHECKING:
    from attractor.language.camelot.attach import Camelot


class Passes:
    """The state of the sequences of a batch, and the hooks by which each pass of the model reads and writes it.

    Args:
        camelot: the model and the settings.
        watch: keep how much attention each slot got in the last pass.
    """

    def __init__(self, camelot: Camelot, *, watch: bool = False):
        self.camelot, self.watch = camelot, watch
        self.timeline: Timeline | None = None
        self.stream: Stream | None = None
        self._closing: ExitStack | None = None
        # how often the state was replaced: text that is being fed cannot go on then
        self._replaced = 0
        self._pass: Pass | None = None
        self._own = False
        # timeline and recent keys of each group, while the model's own calls look at them from elsewhere
        self._home: tuple[Timeline, list[Tensor | None]] | None = None
        self._build()

    def _build(self) -> None:
        """An empty memory for each group of layers that are alike."""
        config = self.camelot.config
        alike: dict[Any, list[AttentionLayer]] = {}
        for layer in self.camelot.layers:
            merges = layer.index in self.camelot.merging
            rotary = None if layer.rotary is None else layer.rotary.key
            device = next(layer.module.parameters()).device
            alike.setdefault((layer.heads, layer.key_dim, layer.value_dim, rotary, device, merges), []).append(layer)
        self.groups = [LayerGroup(config, layers, merges=key[-1]) for key, layers in alike.items()]
        readers = [
            LayerReader(layer, group, place, watch=self.watch) for group in self.groups for place, layer in enumerate(group.layers)
        ]
        self.readers = sorted(readers, key=lambda reader: reader.layer.index)

    def _open(self) -> ExitStack:
        """Listen to the layers; closing what is returned ends it."""
        base = self.camelot.model.get_decoder()
        with ExitStack() as opened:
            self.camelot.open(self)
            opened.callback(self.camelot.closed, self)
            opened.enter_context(switched(self.camelot.model))
            opened.callback(base.register_forward_pre_hook(torch.compiler.disable(self._before), with_kwargs=True).remove)
            opened.callback(base.register_forward_hook(torch.compiler.disable(self._after)).remove)
            opened.callback(self._listen_no_more)
            self._listen()
            return opened.pop_all()

    def close(self) -> None:
        """Let the model be as it was; the state of the session stays."""
        self._come_back()
        closing, self._closing = self._closing, None
        if closing is not None:
            closing.close()

    def _listen(self) -> None:
        for reader in self.readers:
            LISTENERS[reader.layer.module] = reader

    def _listen_no_more(self) -> None:
        for reader in self.readers:
            LISTENERS.pop(reader.layer.module, None)

    def _windows(self, ids: Tensor, lengths: Tensor, size: int, model: nn.Module) -> Iterator[Any]:
        """Run tokens `(B, T)`, the first `lengths (B,)` of each row, through the model, `size` at a time."""
        replaced = self._replaced
        return (self._window(ids[:, at : at + size], lengths - at, replaced, model) for at in range(0, ids.shape[1], size))

    def _window(self, ids: Tensor, lengths: Tensor, replaced: int, model: nn.Module) -> Any:
        if self._closing is None:
            raise RuntimeError("session must be open for as long as text is fed: read all windows in its with block")
        if self._replaced != replaced:
            raise RuntimeError("session must not be reset, reordered or loaded while text is fed: call feed again")
        return self._run(ids, torch.arange(ids.shape[1], device=ids.device) < lengths[:, None], model)

    @torch.no_grad()
    def _run(self, ids: Tensor, there: Tensor, model: nn.Module, found: dict[int, Tensor] | None = None) -> Any:
        self._come_back()
        self._make_room(there)
        positions = self._positions(ids.shape[1])
        self._own = True
        try:
            self._pass = Pass(positions, self._current(), True, there, self._current().origin, there, found=found)
            return model(input_ids=ids, position_ids=positions, use_cache=False)
        finally:
            self._own = False

    def _current(self) -> Timeline:
        assert self.timeline is not None
        return self.timeline

    def _positions(self, count: int) -> Tensor:
        """Positions `(B, count)` that the model is told for the next tokens; of padding behind them, any that there is."""
        positions = self._current().ahead(count) - self._current().origin[:, None]
        return positions if self.camelot.context is None else positions.clamp_max(self.camelot.context - 1)

    def _make_room(self, there: Tensor) -> None:
        """Move the origin on where the next tokens would stand beyond the model's context."""
        timeline, context = self._current(), self.camelot.context
        if context is None or self.camelot.config.position == "fixed":
            return
        count = there.sum(1)
        beyond = timeline.seen + count - timeline.origin > context
        if bool(beyond.any()):
            ahead = count if self.stream is None else count.clamp_min(self.camelot.config.window)
            self._move(torch.where(beyond, timeline.seen + ahead - context, timeline.origin))

    def _move(self, origin: Tensor) -> None:
        timeline = self._current()
        if torch.equal(origin, timeline.origin):
            return
        for group in self.groups:
            group.shift(timeline, origin)
        self.timeline = replace(timeline, origin=origin)

    def _look_from(self, origin: Tensor) -> None:
        """Move the origin until `_come_back`."""
        if not torch.equal(origin, self._current().origin):
            self._home = self._current(), [group.keys for group in self.groups]
            self._move(origin)

    def _come_back(self) -> None:
        if self._home is not None:
            self.timeline, keys = self._home
            for group, kept in zip(self.groups, keys, strict=True):
                group.keys = kept
                group.look_anew()
            self._home = None

    def _before(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Before the model runs: say where its tokens stand."""
        if implementation_of(self.camelot.model) not in NAMES.values():
            raise RuntimeError("model must keep its attention function while a session is open: close the session to change it")
        for reader in self.readers:
            reader.current = reader.new = None
        if self.timeline is None:
            return None
        given = dict(inspect.signature(module.forward).bind_partial(*args).arguments) | kwargs
        if not self._own:
            self._pass = self._streamed(given) if self.stream is not None else self._foreign(given)
        for group in self.groups:
            group.begin()
        for reader in self.readers:
            reader.current = self._pass
        return (), given

    def _streamed(self, given: dict[str, Any]) -> Pass:
        """A pass of `model.generate` within `generate`: its positions and its mask are replaced by those of the session."""
        assert self.stream is not None
        ids = given["input_ids"]
        if given.get("past_key_values") is not self.stream.cache or ids.shape[1] != 1:
            raise ValueError(
                "options must let model.generate run the model once for each token: any other pass would be remembered as text"
            )
        there = self.stream.step(ids)
        self._come_back()
        self._make_room(there)
        given["position_ids"], given["attention_mask"] = self._positions(ids.shape[1]), None
        found = self.stream.found
        return Pass(given["position_ids"], self._current(), True, there, self._current().origin, there, found=found)

    def _foreign(self, given: dict[str, Any]) -> Pass:
        """A call of the model that is not the session's: it reads the memory, further on in the text."""
        cache = given.get("past_key_values")
        if isinstance(cache, QuantizedCache):
            raise ValueError("past_key_values must not be a quantised cache in a session: leave cache_implementation out")
        tokens = given["input_ids"] if given.get("input_ids") is not None else given["inputs_embeds"]
        batch, count = tokens.shape[:2]
        sequences = len(self._current().seen)
        if batch % sequences:
            raise ValueError(f"input_ids must have {sequences} rows, or several for each, got {batch}")
        past = 0 if cache is None else cache.get_seq_length()
        positions = given.get("position_ids")
        if positions is None:
            positions = torch.arange(past, past + count, device=tokens.device)[None]
        if not past:
            self._come_back()
        origin = self._current().origin if past else self._origin_before(int(positions.max()) + 1)
        rows = torch.arange(sequences, device=origin.device).repeat_interleave(batch // sequences)
        positions, context = positions + (self._current().seen - origin)[rows, None], self.camelot.context
        if context is not None and int(positions.max()) >= context:
            raise ValueError(
                f"input_ids must fit into the model's context of {context} tokens after what is kept exactly, got position "
                f"{int(positions.max())}: session.generate and session.feed go on without end"
            )
        self._look_from(origin)
        timeline = self._current().take(rows)
        given["position_ids"] = positions
        mask = given.get("attention_mask")
        there = mask.bool() if isinstance(mask, Tensor) and mask.dim() == 2 else None
        new = torch.ones(batch, count, dtype=torch.bool, device=tokens.device) if there is None else there[:, -count:]
        return Pass(positions, timeline, False, new, self._current().origin, there, None if batch == sequences else rows)

    def _origin_before(self, count: int) -> Tensor:
        """The origin `(B,)` from which `count` more tokens fit into the model's context: half of what they leave is for the text
        before them, as much as is kept exactly at least, and half for what will follow."""
        timeline, context = self._current(), self.camelot.context
        if context is None:
            return timeline.origin
        beyond = timeline.seen - timeline.origin + count > context
        return torch.where(beyond, timeline.seen - timeline.exact.clamp_min((context - count) // 2), timeline.origin)

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """After the model has run: remember its tokens, in all layers or in none."""
        current, self._pass = self._pass, None
        if current is not None and current.writes:
            self._commit(current)
        for reader in self.readers:
            reader.current = reader.new = None

    def _commit(self, current: Pass) -> None:
        config = self.camelot.config
        if self.stream is None:
            keep = limit = config.recent
        else:
            keep = max(config.recent, config.window)
            limit = keep + config.window
        step = self._current().step(current.new, current.newest, keep, limit)
        for group in self.groups:
            new = [reader.new for reader in self.readers if reader.group is group]
            group.commit([each for each in new if each is not None], self._current(), step)
        if self.stream is not None:
            self.stream.search_anew(step.leave.there.any(1))
        self.timeline = step.after
        if config.position == "fixed":
            exact = self.timeline.exact
            self._move(self.timeline.seen - exact)

    def _read_last(self, result: Any) -> None:
        """The last token that was made has not been through the model yet."""
        assert self.stream is not None
        ids = (result if isinstance(result, Tensor) else result.sequences)[:, -1:]
        there = self.stream.step(ids)
        if bool(there.any()):
            self._run(ids, there, self.camelot.model.get_decoder(), self.stream.found)

    def _evict(self) -> None:
        """After generation: let all but the recent tokens go into the slots."""
        timeline = self._current()
        if not self.groups or self.groups[0].keys is None:
            return
        keep, nothing = self.camelot.config.recent, timeline.seen.new_zeros(())
        step = timeline.step(timeline.there.new_zeros(len(timeline.seen), 0), nothing, keep, keep)
        for group in self.groups:
            group.commit([], timeline, step)
        self.timeline = step.after
        if self.camelot.config.position == "fixed":
            self._move(self.timeline.seen - self.timeline.exact)
