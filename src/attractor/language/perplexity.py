"""How well a frozen language model foretells long documents, with a memory and without (He et al. 2024, CAMELoT).

Each way of reading takes a document window by window, `L` tokens at a time, and gives the logits of each window before it sees the
next. Perplexity is the exponential of the mean negative log-likelihood of a token. The first window is the same for all and is not
scored; of the others all tokens but the first are, so that a model without memory has one token to go by at least. All ways are
scored on the same tokens, so that their differences can be taken document by document.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache

from attractor.language.camelot.attach import attach
from attractor.language.camelot.config import CamelotConfig
from attractor.validation import check_count

Progress = Callable[[str, float], None]
NO_MEMORY, FULL_CONTEXT = "no memory", "full context"
SINKS = 4
"""First tokens of a text that stay visible to every baseline that drops others."""


class Way(Protocol):
    """A way of reading a document."""

    def windows(self, model: Any, ids: Tensor, window: int) -> Iterator[Tensor]:
        """Logits `(1, w, vocabulary)` of one window of tokens `ids (1, T)` after the other."""
        ...

    def reach(self, tokens: int, window: int) -> int:
        """How many positions of the model a document of so many tokens needs."""
        ...


@dataclass(frozen=True)
class WindowOnly:
    """Each window by itself: no memory."""

    def windows(self, model: Any, ids: Tensor, window: int) -> Iterator[Tensor]:
        return (model(input_ids=part, use_cache=False).logits for part in ids.split(window, 1))

    def reach(self, tokens: int, window: int) -> int:
        return min(tokens, window)


@dataclass(frozen=True)
class PreviousWindow:
    """Each window behind the one before it, which is computed anew: a plain window of up to 2 L tokens."""

    def windows(self, model: Any, ids: Tensor, window: int) -> Iterator[Tensor]:
        for start in range(0, ids.shape[1], window):
            before = min(start, window)
            yield model(input_ids=ids[:, start - before : start + window], use_cache=False).logits[:, before:]

    def reach(self, tokens: int, window: int) -> int:
        return min(tokens, 2 * window)


@dataclass(frozen=True)
class FullContext:
    """Everything that came before, exactly, as far as the model can reach: time and memory grow with the text."""

    def windows(self, model: Any, ids: Tensor, window: int) -> Iterator[Tensor]:
        cache = DynamicCache(config=model.config)
        return (model(input_ids=part, past_key_values=cache, use_cache=True).logits for part in ids.split(window, 1))

    def reach(self, tokens: int, window: int) -> int:
        return tokens


@dataclass(frozen=True)
class WithMemory:
    """Windows with a memory beside them.

    Args:
        config: what it looks like; its window is replaced by that of the evaluation.
    """

    config: CamelotConfig

    def windows(self, model: Any, ids: Tensor, window: int) -> Iterator[Tensor]:
        with attach(model, self.config, window=window) as memory, memory.session() as session:
            yield from session.feed(ids)

    def reach(self, tokens: int, window: int) -> int:
        return window + self.config.recent


def attention_sinks(window: int = 128, sinks: int = SINKS) -> WithMemory:
    """The first tokens and the last window, the ones between are dropped (Xiao et al. 2024, StreamingLLM).

    Keys and values are kept as they were computed. The first tokens appear two windows away, however long the text is.
    """
    config = CamelotConfig(
        slots=window + sinks + 1,
        window=window,
        recent=window,
        sink_slots=sinks,
        threshold=None,
        count_bias=False,
        position="fixed",
        distance=2 * window,
    )
    return WithMemory(config)


def recency_only(slots: int = 512, window: int = 128) -> WithMemory:
    """The last tokens and nothing else, first in, first out, read as the recommended memory is: as many slots, none merged."""
    return WithMemory(CamelotConfig.recommended(slots, window, **fitting(slots, window), threshold=None))


def novelty_only(slots: int = 512, window: int = 128) -> WithMemory:
    """As the recommended memory, but older tokens that resemble a slot are dropped in place of merged: slots hold novel tokens."""
    return WithMemory(CamelotConfig.recommended(slots, window, **fitting(slots, window), familiar="drop"))


def fitting(slots: int, window: int) -> dict[str, int]:
    """First tokens that are pinned, and as many recent ones as leave one slot for the others, at most a window."""
    return {"sink_slots": SINKS, "recent": max(0, min(window, slots - SINKS - 1))}


def baselines(window: int = 128, slots: int = 512) -> dict[str, Way]:
    """What a memory of so many slots is to be compared with, by name; `NO_MEMORY` and `FULL_CONTEXT` are among them."""
    return {
        NO_MEMORY: WindowOnly(),
        "previous window recomputed": PreviousWindow(),
        "attention sinks": attention_sinks(window),
        "recency only": recency_only(slots, window),
        "novelty only": novelty_only(slots, window),
        FULL_CONTEXT: FullContext(),
    }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of reading documents in several ways.

    Attributes:
        window: L.
        documents: their names.
        tokens: of each, read by every way.
        losses: way -> for each document, `(n,)` negative log-likelihoods of its scored tokens, in nats.
        places: for each document, `(n,)` where the scored tokens stand.
        seconds: way -> time that it took for all documents.
    """

    window: int
    documents: tuple[str, ...]
    tokens: tuple[int, ...]
    losses: Mapping[str, tuple[Tensor, ...]]
    places: tuple[Tensor, ...]
    seconds: Mapping[str, float]

    @property
    def scored(self) -> int:
        """Tokens that are scored, of all documents."""
        return sum(len(places) for places in self.places)

    def perplexity(self, way: str) -> float:
        """Of all scored tokens together."""
        return math.exp(float(torch.cat(self.losses[way]).mean()))

    def differences(self, way: str, base: str) -> list[float]:
        """For each document, the mean loss of a way minus that of another: the logarithm of the ratio of their perplexities."""
        pairs = zip(self.losses[way], self.losses[base], strict=True)
        return [float((one.double() - other.double()).mean()) for one, other in pairs]

    def speed(self, way: str) -> float:
        """Tokens read in a second."""
        return sum(self.tokens) / self.seconds[way]

    def curve(self, way: str, points: int = 8) -> list[tuple[float, float]]:
        """Perplexity by position: the mean position of so many stretches of windows, or fewer, and the perplexity in each."""
        places, losses = torch.cat(self.places), torch.cat(self.losses[way])
        last = int(places.max()) // self.window
        groups = min(check_count("points", points), last)
        group = (places // self.window - 1) * groups // last
        kept = [group == number for number in range(groups)]
        return [(float(places[mask].float().mean()), math.exp(float(losses[mask].mean()))) for mask in kept if bool(mask.any())]


@torch.no_grad()
def evaluate(
    model: Any,
    documents: Mapping[str, Tensor],
    ways: Mapping[str, Way],
    *,
    window: int = 128,
    progress: Progress | None = None,
) -> Evaluation:
    """Read documents in several ways and score what the model foretold.

    Args:
        model: a causal model of transformers, in eval mode.
        documents: name -> tokens `(T,)` int64.
        ways: name -> how to read; see `baselines`.
        window: L, tokens that are read at once.
        progress: called as `progress(way and document, share done)`.

    Raises:
        TypeError, ValueError: no documents or ways, a document without a token to score or longer than the model reaches in one of
            the ways, or losses that are not finite.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> tiny = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
        >>> model = LlamaForCausalLM(tiny).eval()
        >>> ways = {"no memory": WindowOnly(), "memory": WithMemory(CamelotConfig.recommended(slots=24, window=8))}
        >>> found = evaluate(model, {"a": torch.arange(40)}, ways, window=8)
        >>> found.scored, len(found.differences("memory", "no memory")), [place for place, _ in found.curve("memory", 2)]
        (28, 1, [16.0, 32.0])
    """
    check_count("window", window, 2)
    if not documents or not ways:
        raise ValueError("documents and ways must not be empty")
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for name, ids in documents.items():
        check_document(name, ids, ways, window, context)
    losses: dict[str, list[Tensor]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    done, whole = 0, len(ways) * sum(len(ids) for ids in documents.values())
    for name, ids in documents.items():
        for way, how in ways.items():
            if progress is not None:
                progress(f"{name}: {way}", done / whole)
            start = time.perf_counter()
            losses[way].append(losses_of(how, model, ids, window))
            seconds[way] += time.perf_counter() - start
            done += len(ids)
            if not bool(losses[way][-1].isfinite().all()):
                raise ValueError(f"model gave {name!r} losses that are not finite, read with {way!r}")
    if progress is not None:
        progress("done", 1.0)
    return Evaluation(
        window,
        tuple(documents),
        tuple(len(ids) for ids in documents.values()),
        {way: tuple(found) for way, found in losses.items()},
        tuple(scored_places(len(ids), window) for ids in documents.values()),
        seconds,
    )


def losses_of(way: Way, model: Any, ids: Tensor, window: int) -> Tensor:
    """Negative log-likelihoods `(n,)` of the scored tokens of a document `(T,)`."""
    row = ids.to(model.device)[None]
    found = []
    for number, logits in enumerate(way.windows(model, row, window)):
        told = row[0, number * window + 1 : (number + 1) * window]
        if number and len(told):
            found.append(cross_entropy(logits[0, : len(told)].float(), told, reduction="none").cpu())
    return torch.cat(found)


def scored_places(tokens: int, window: int) -> Tensor:
    """Where the scored tokens of a document stand: behind the first window, but for the first of each."""
    places = torch.arange(window, tokens)
    return places[places % window != 0]


def check_document(name: str, ids: Tensor, ways: Mapping[str, Way], window: int, context: int | None) -> None:
    """Raise where a document cannot be read in all ways."""
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
        raise TypeError(f"documents must hold int64 tensors of tokens, {name!r} is {getattr(ids, 'dtype', type(ids).__name__)}")
    if ids.dim() != 1 or len(ids) < window + 2:
        raise ValueError(
            f"documents must have shape (T,) and {window + 2} tokens, one window and two, {name!r} has {tuple(ids.shape)}"
        )
    for way, how in ways.items():
        needed = how.reach(len(ids), window)
        if context is not None and needed > context:
            raise ValueError(f"{way!r} needs {needed} positions for {name!r}, the model has {context}: leave it out, or read less")
