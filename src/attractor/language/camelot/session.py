"""A stream of text read through a memory: windows, batches and padding, generation, saving."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from transformers import QuantizedCache

from attractor.language.camelot.attention import LISTENERS, AttentionLayer, switched
from attractor.language.camelot.files import read_session, write_session
from attractor.language.camelot.generation import Stream, check_options, generate
from attractor.language.camelot.padding import aligned, check_ids, unaligned
from attractor.language.camelot.reading import LayerReader, Pass
from attractor.language.camelot.store import LayerGroup
from attractor.language.camelot.timeline import Timeline
from attractor.language.camelot.views import SlotView, slot_view
from attractor.validation import check_count

if TYPE_CHECKING:
    from attractor.language.camelot.attach import Camelot


class Session:
    """Sequences of a batch, and what every layer remembers of them. Made by `Camelot.session()`; use it in a `with` block.

    While it is open, `feed`, `logits`, `remember` and `generate` read and write the memory. The model's own calls,
    `model(...)` and `model.generate(...)`, read it too, with positions that go on where the text stopped, and leave it as it is.
    After the block the state is still there and the session can be opened again.

    Args:
        camelot: the model and the settings.
        watch: keep how much attention each slot got in the last pass, for `view`.
    """

    def __init__(self, camelot: Camelot, *, watch: bool = False):
        self.camelot, self.watch = camelot, watch
        self.timeline: Timeline | None = None
        self.stream: Stream | None = None
        self._closing: Any = None
        self._pass: Pass | None = None
        self._own = False
        self._build()

    def _build(self) -> None:
        """An empty memory for each group of layers that are alike."""
        config = self.camelot.config
        alike: dict[Any, list[AttentionLayer]] = {}
        for layer in self.camelot.layers:
            merges = config.layers is None or layer.index in config.layers
            rotary = None if layer.rotary is None else layer.rotary.key
            device = next(layer.module.parameters()).device
            alike.setdefault((layer.heads, layer.key_dim, layer.value_dim, rotary, device, merges), []).append(layer)
        self.groups = [LayerGroup(config, layers, merges=key[-1]) for key, layers in alike.items()]
        readers = [
            LayerReader(layer, group, place, watch=self.watch) for group in self.groups for place, layer in enumerate(group.layers)
        ]
        self.readers = sorted(readers, key=lambda reader: reader.layer.index)

    def __repr__(self) -> str:
        seen = [] if self.timeline is None else self.timeline.seen.tolist()
        config = self.camelot.config
        return f"Session({len(seen)} sequences, tokens seen {seen[:4]}, {config.slots} slots, {len(self.readers)} layers)"

    def __enter__(self) -> Self:
        if self._closing is not None:
            raise RuntimeError("session is open already")
        self.camelot.open(self)
        base = self.camelot.model.get_decoder()
        self._closing = switched(self.camelot.model)
        self._closing.__enter__()
        self._hooks = [
            base.register_forward_pre_hook(torch.compiler.disable(self._before), with_kwargs=True),
            base.register_forward_hook(torch.compiler.disable(self._after)),
        ]
        for reader in self.readers:
            LISTENERS[reader.layer.module] = reader
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the model be as it was; the state of the session stays."""
        if self._closing is None:
            return
        for reader in self.readers:
            LISTENERS.pop(reader.layer.module, None)
        for hook in self._hooks:
            hook.remove()
        self._closing.__exit__(None, None, None)
        self._closing = None
        self.camelot.closed(self)

    @property
    def batch(self) -> int | None:
        """How many sequences there are; None before the first."""
        return None if self.timeline is None else len(self.timeline.seen)

    @property
    def seen(self) -> Tensor:
        """`(B,)` tokens that each sequence has read."""
        return torch.zeros(0, dtype=torch.int64) if self.timeline is None else self.timeline.seen.clone()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors that are kept from one window to the next."""
        held = [tensor for group in self.groups for tensor in group.everything()]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def view(self, layer: int) -> SlotView:
        """What layer number `layer` remembers: slots, counts, ages, positions, and what was read last.

        Raises:
            ValueError: there is no such layer, or it has no slots (yet).
        """
        check_count("layer", layer, 0)
        if layer >= len(self.readers):
            raise ValueError(f"layer must be below {len(self.readers)}, got {layer}")
        return slot_view(self.readers[layer])

    def feed(self, input_ids: Tensor, attention_mask: Tensor | None = None, *, window: int | None = None) -> Iterator[Tensor]:
        """Read more tokens, window by window; each is remembered after it is read.

        Args:
            input_ids: `(B, T)`, `B` the same in every call.
            attention_mask: `(B, T)`, 0 where a token is padding, on either side.
            window: tokens of a window. Default: that of the configuration.

        Returns:
            The logits `(B, w, vocabulary)` of one window after the other. Rows begin with their first token, so padding is behind.
            What is not asked for is not read.

        Raises:
            TypeError, ValueError: wrong shapes or entries, another number of rows than before, a window that is too long.
            RuntimeError: the session is not open.

        Example:
            >>> from transformers import LlamaConfig, LlamaForCausalLM
            >>> from attractor.language import attach
            >>> tiny = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
            >>> with attach(LlamaForCausalLM(tiny).eval(), slots=24, window=8) as memory, memory.session() as session:
            ...     windows = [logits.shape for logits in session.feed(torch.arange(20)[None])]
            ...     session.seen.tolist(), windows
            ([20], [torch.Size([1, 8, 64]), torch.Size([1, 8, 64]), torch.Size([1, 4, 64])])
        """
        ids, mask, size = self._checked(input_ids, attention_mask, window)
        return (outputs.logits for outputs in self._windows(*aligned(ids, mask), size, self.camelot.model))

    def logits(self, input_ids: Tensor, attention_mask: Tensor | None = None, *, window: int | None = None) -> Tensor:
        """As `feed`, all at once: logits `(B, T, vocabulary)` where the tokens stood, 0 at padding."""
        ids, mask, size = self._checked(input_ids, attention_mask, window)
        windows = self._windows(*aligned(ids, mask), size, self.camelot.model)
        return unaligned(torch.cat([outputs.logits for outputs in windows], 1), mask)

    def remember(self, input_ids: Tensor, attention_mask: Tensor | None = None, *, window: int | None = None) -> None:
        """As `feed`, without the logits: cheaper where only the memory is wanted."""
        ids, mask, size = self._checked(input_ids, attention_mask, window)
        for _ in self._windows(*aligned(ids, mask), size, self.camelot.model.get_decoder()):
            pass

    def generate(self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        """Go on with a prompt and remember both, in bounded memory however long the text.

        The newest one to two windows stay exact while tokens are made; older ones go into the slots.

        Args:
            input_ids: `(B, T)`, the prompt, of any length.
            attention_mask: `(B, T)`, 0 where a token is padding; padding comes first.
            options: for `model.generate`: sampling, lengths, streamers, stopping. One continuation for each row.

        Returns:
            What `model.generate` returns: `(B, T + new)` tokens, or its output object.

        Raises:
            TypeError, ValueError: as `feed`, padding behind the prompt, or an option that makes several continuations.
            RuntimeError: the session is not open.
        """
        ids, mask, size = self._checked(input_ids, attention_mask, None)
        check_options(options)
        if not bool(mask[:, -1].all()):
            raise ValueError("attention_mask must be 1 in the last column: put the padding of prompts before them")
        context = self.camelot.context
        if context is not None and self.camelot.config.recent + 2 * size > context:
            raise ValueError(f"window must leave room for two of it beside the recent tokens in a context of {context}, got {size}")
        self.stream = Stream.of(self.camelot.model, options)
        try:
            if ids.shape[1] > 1:
                for _ in self._windows(*aligned(ids[:, :-1], mask[:, :-1]), size, self.camelot.model.get_decoder()):
                    pass
            result = generate(self.camelot.model, ids, mask, self.stream, options)
            self._read_last(result)
        finally:
            self.stream = None
            self._evict()
        return result

    def reset(self) -> None:
        """Forget everything, the number of sequences included."""
        self.timeline = None
        self._build()
        if self._closing is not None:
            for reader in self.readers:
                LISTENERS[reader.layer.module] = reader

    def reorder(self, rows: Tensor) -> None:
        """Keep copies of `rows (n,)` of the batch, in this order: beams that are chosen, or one text for several rows.

        Raises:
            ValueError: nothing is remembered yet, or a row that there is not.
        """
        if self.timeline is None:
            raise ValueError("rows cannot be taken of a session that has read nothing")
        rows = torch.as_tensor(rows, dtype=torch.int64, device=self.timeline.seen.device)
        if rows.dim() != 1 or not len(rows) or not bool(((rows >= 0) & (rows < len(self.timeline.seen))).all()):
            raise ValueError(f"rows must be numbers from 0 to {len(self.timeline.seen) - 1}, got {rows.tolist()}")
        self.timeline = self.timeline.take(rows)
        for group in self.groups:
            group.take(rows)

    def save(self, path: str | Path) -> None:
        """Write the state to the file `path`: tensors as safetensors, with the settings and the model's shape as JSON.

        Raises:
            ValueError: nothing is remembered yet, or `path` is a folder.
        """
        if self.timeline is None:
            raise ValueError("session has read nothing that could be saved")
        write_session(Path(path), self.camelot, self.timeline, self.groups)

    def load(self, path: str | Path) -> None:
        """Take over the state in the file `path`, as `save` wrote it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, or the state of another model or of other settings.
        """
        device = self.camelot.embedding.device
        self.timeline = read_session(Path(path), self.camelot, self.groups, device)

    def _checked(self, input_ids: Tensor, attention_mask: Tensor | None, window: int | None) -> tuple[Tensor, Tensor, int]:
        if self._closing is None:
            raise RuntimeError("session must be open: use it in a with block")
        size = self.camelot.config.window if window is None else check_count("window", window)
        self.camelot.check_window(size)
        mask = check_ids(input_ids, attention_mask, self.camelot.embedding)
        if self.batch is not None and self.batch != len(input_ids):
            raise ValueError(f"input_ids must have {self.batch} rows like before, got {len(input_ids)}; reset() starts anew")
        if self.timeline is None:
            self.timeline = Timeline.start(len(input_ids), input_ids.device)
        return input_ids, mask, size

    def _windows(self, ids: Tensor, lengths: Tensor, size: int, model: nn.Module) -> Iterator[Any]:
        """Run tokens `(B, T)`, the first `lengths (B,)` of each row, through the model, `size` at a time."""
        for start in range(0, ids.shape[1], size):
            some = ids[:, start : start + size]
            there = torch.arange(start, start + some.shape[1], device=ids.device) < lengths[:, None]
            yield self._run(some, there, model)

    @torch.no_grad()
    def _run(self, ids: Tensor, there: Tensor, model: nn.Module) -> Any:
        self._make_room(there)
        positions = self._positions(ids.shape[1])
        self._own = True
        try:
            self._pass = Pass(positions, self._current(), True, there, self._current().origin, there)
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

    def _before(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Before the model runs: say where its tokens stand."""
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
        there = self.stream.step(ids)
        self._make_room(there)
        given["position_ids"], given["attention_mask"] = self._positions(ids.shape[1]), None
        return Pass(given["position_ids"], self._current(), True, there, self._current().origin, there)

    def _foreign(self, given: dict[str, Any]) -> Pass:
        """A call of the model that is not the session's: it reads the memory, further on in the text."""
        timeline = self._current()
        cache = given.get("past_key_values")
        if isinstance(cache, QuantizedCache):
            raise ValueError("past_key_values must not be a quantised cache in a session: leave cache_implementation out")
        tokens = given["input_ids"] if given.get("input_ids") is not None else given["inputs_embeds"]
        batch, count = tokens.shape[:2]
        if batch % len(timeline.seen):
            raise ValueError(f"input_ids must have {len(timeline.seen)} rows, or several for each, got {batch}")
        rows = None
        if batch != len(timeline.seen):
            rows = torch.arange(len(timeline.seen), device=timeline.seen.device).repeat_interleave(batch // len(timeline.seen))
            timeline = timeline.take(rows)
        past = 0 if cache is None else cache.get_seq_length()
        positions = given.get("position_ids")
        if positions is None:
            positions = torch.arange(past, past + count, device=tokens.device)[None]
        positions = positions + (timeline.seen - timeline.origin)[:, None]
        context = self.camelot.context
        if context is not None and self.camelot.learned and int(positions.max()) >= context:
            raise ValueError(
                f"input_ids must fit into the model's context of {context} tokens after what was read, got position "
                f"{int(positions.max())}: use session.generate, or attach with position='fixed'"
            )
        given["position_ids"] = positions
        mask = given.get("attention_mask")
        there = mask.bool() if isinstance(mask, Tensor) and mask.dim() == 2 else None
        new = torch.ones(batch, count, dtype=torch.bool, device=tokens.device) if there is None else there[:, -count:]
        return Pass(positions, timeline, False, new, self._current().origin, there, rows)

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
        step = self._current().step(current.new, keep, limit)
        for group in self.groups:
            new = [reader.new for reader in self.readers if reader.group is group]
            group.commit([each for each in new if each is not None], self._current(), step)
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
            self._run(ids, there, self.camelot.model.get_decoder())

    def _evict(self) -> None:
        """After generation: let all but the recent tokens go into the slots."""
        timeline = self._current()
        if not self.groups or self.groups[0].keys is None:
            return
        step = timeline.step(
            timeline.there.new_zeros(len(timeline.seen), 0), self.camelot.config.recent, self.camelot.config.recent
        )
        for group in self.groups:
            group.commit([], timeline, step)
        self.timeline = step.after
        if self.camelot.config.position == "fixed":
            self._move(self.timeline.seen - self.timeline.exact)
