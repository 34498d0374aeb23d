"""A stream of text read through a memory: windows, batches and padding, generation, saving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.language.camelot.files import read_session, write_session
from attractor.language.camelot.generation import Stream, check_options, generate
from attractor.language.camelot.padding import aligned, check_ids, unaligned
from attractor.language.camelot.passes import Passes
from attractor.language.camelot.timeline import Timeline
from attractor.language.camelot.views import SlotView, slot_view
from attractor.validation import check_count


class Session(Passes):
    """Sequences of a batch, and what every layer remembers of them. Made by `Camelot.session()`; use it in a `with` block.

    While it is open, `feed`, `logits`, `remember` and `generate` read and write the memory. The model's own calls,
    `model(...)` and `model.generate(...)`, read it too and leave it as it is. Their positions go on where the text stopped; where
    the model's context ends before their first tokens do, the text is seen from nearer. They must fit into the context beside the
    tokens that are kept exactly. After the block the state is still there and the session can be opened again.

    Args:
        camelot: the model and the settings.
        watch: keep how much attention each slot got in the last pass, for `view`.
    """

    def __repr__(self) -> str:
        seen = [] if self.timeline is None else self.timeline.seen.tolist()
        config = self.camelot.config
        return f"Session({len(seen)} sequences, tokens seen {seen[:4]}, {config.slots} slots, {len(self.readers)} layers)"

    def __enter__(self) -> Self:
        if self._closing is not None:
            raise RuntimeError("session is open already")
        self._closing = self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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
            What is not asked for is not read, and nothing once the session is closed.

        Raises:
            TypeError, ValueError: wrong shapes or entries, another number of rows than before, a window that is too long.
            RuntimeError: the session is not open, also where a window is asked for later, or has another state by then.

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
        logits = [outputs.logits for outputs in windows]
        # logits are large, and most calls are of one window
        return unaligned(logits[0] if len(logits) == 1 else torch.cat(logits, 1), mask)

    def remember(self, input_ids: Tensor, attention_mask: Tensor | None = None, *, window: int | None = None) -> None:
        """As `feed`, without the logits: cheaper where only the memory is wanted."""
        ids, mask, size = self._checked(input_ids, attention_mask, window)
        for _ in self._windows(*aligned(ids, mask), size, self.camelot.model.get_decoder()):
            pass

    def generate(self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        """Go on with a prompt and remember both, in bounded memory however long the text.

        The newest one to two windows stay exact while tokens are made; older ones go into the slots, a window at a time. What keys
        have found (`read="key"`) is seen until then by the tokens that follow.

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
        check_options(self.camelot.model, options)
        if not bool(mask[:, -1].all()):
            raise ValueError("attention_mask must be 1 in the last column: put the padding of prompts before them")
        context = self.camelot.context
        kept = max(self.camelot.config.recent, size)
        if context is not None and kept + 2 * size > context:
            raise ValueError(
                f"window must leave room for two of it beside {kept} exact tokens in a context of {context}, got {size}"
            )
        self.stream = Stream.of(self.camelot.model, ids.shape[1] - 1, options)
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
        self.timeline = self._home = None
        self._replaced += 1
        self._build()
        if self._closing is not None:
            self._listen()

    def reorder(self, rows: Tensor) -> None:
        """Keep copies of `rows (n,)` of the batch, in this order: beams that are chosen, or one text for several rows.

        Raises:
            TypeError: rows that are no integers.
            ValueError: nothing is remembered yet, or a row that there is not.
        """
        if self.timeline is None:
            raise ValueError("rows cannot be taken of a session that has read nothing")
        rows = torch.as_tensor(rows, device=self.timeline.seen.device)
        if rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool:
            raise TypeError(f"rows must hold integers, got {rows.dtype}")
        rows = rows.long()
        if rows.dim() != 1 or not len(rows) or not bool(((rows >= 0) & (rows < len(self.timeline.seen))).all()):
            raise ValueError(f"rows must be numbers from 0 to {len(self.timeline.seen) - 1}, got {rows.tolist()}")
        self._replaced += 1
        self._come_back()
        self.timeline = self.timeline.take(rows)
        for group in self.groups:
            group.take(rows)

    def save(self, path: str | Path) -> None:
        """Write the state to the file `path`: tensors as safetensors, with the settings and the model's shape as JSON.

        Raises:
            ValueError: nothing is remembered yet, or `path` is a folder.
        """
        if self.timeline is None or any(group.keys is None for group in self.groups):
            raise ValueError("session has read nothing that could be saved")
        self._come_back()
        write_session(Path(path), self.camelot, self.timeline, self.groups)

    def load(self, path: str | Path) -> None:
        """Take over the state in the file `path`, as `save` wrote it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, or the state of another model or of other settings.
        """
        device = self.camelot.embedding.device
        self.timeline = read_session(Path(path), self.camelot, self.groups, device)
        self._home = None
        self._replaced += 1

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
