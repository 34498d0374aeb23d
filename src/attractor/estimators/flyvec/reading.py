"""What learned synapses tell: codes of words, alone and in their sentence, codes of texts, neighbours, and what a cell stands for.

A code has `k` of the cells on, those with the largest drives `W x`. For a word on its own `x` has a one at the word in the second
half; in a sentence also at the other words in the first half; for a text only there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from attractor.estimators.flyvec.codes import Codes, encode
from attractor.estimators.flyvec.words import Numbering, Word, tokens_of
from attractor.nn.top_k import largest
from attractor.validation import check_count

try:
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError("FlyVec needs scikit-learn: pip install 'attractor[sklearn]'") from error

Block = Literal["target", "context", "both"]
BLOCKS: tuple[Block, ...] = ("target", "context", "both")
Unknown = Literal["zero", "raise"]
BATCH = 4096
"""Codes whose drives are held at a time."""
KEPT = 4
"""Sets of codes of all words that a model keeps to search in."""


@dataclass
class Made:
    """What is made of words and synapses when it is first asked for."""

    words: list[Word]
    synapses: npt.NDArray[np.float32]
    places: Numbering
    codes: dict[tuple[Block, int], Codes] = field(default_factory=dict)


class WordCodes:
    """Reads codes from the synapses of a fitted model, `synapses_ (cells, 2 V)` for the `V` words `words_`."""

    words_: list[Word]
    synapses_: npt.NDArray[np.float32]
    _kept: Made

    def codes(
        self,
        words: Sequence[Word] | None = None,
        hash_length: int = 32,
        *,
        block: Block = "target",
        on_unknown: Unknown = "zero",
    ) -> Codes:
        """Codes of words on their own.

        Args:
            words: default: all that were learned.
            hash_length: bits that are on. About 4 to 16% of the cells judge similarity best.
            block: synapses to read: those from the word itself, from it as a neighbour, or the sum of `"both"`, which is best after
                little text.
            on_unknown: `"zero"`: an unknown word has no bit on and is named in `Codes.unknown`; `"raise"`: it is an error.

        Raises:
            NotFittedError: before `fit`.
            KeyError: an unknown word, with `on_unknown="raise"`.
            ValueError: `hash_length` is not between 1 and the number of cells, or `block` is unknown.
        """
        check_is_fitted(self)
        if block not in BLOCKS:
            raise ValueError(f"block must be one of {', '.join(BLOCKS)}, got {block!r}")
        words = self.words_ if words is None else listed("words", words)
        offsets = {"target": (len(self.words_),), "context": (0,), "both": (0, len(self.words_))}[block]
        numbers = self._numbers(words, on_unknown)
        return self._codes(words, ([one + offset for offset in offsets] if one >= 0 else [] for one in numbers), hash_length)

    def codes_in_context(
        self, words: Sequence[Word], contexts: Sequence[Any], hash_length: int = 32, *, on_unknown: Unknown = "zero"
    ) -> Codes:
        """Codes of words within sentences: the word and all others of its sentence drive the cells together.

        Args:
            words: one for each sentence.
            contexts: sentences, as in `fit`. The word itself counts once, be it in its sentence or not; unknown neighbours are
                passed over. With nothing beside the word, the code is that of `codes`.
            hash_length: bits that are on.
            on_unknown: as in `codes`.

        Raises:
            NotFittedError, KeyError: as `codes`.
            ValueError: as `codes`, or another number of contexts than of words.
        """
        check_is_fitted(self)
        words, contexts = listed("words", words), listed("contexts", contexts)
        if len(words) != len(contexts):
            raise ValueError(f"contexts must be as many as words, {len(words)}, got {len(contexts)}")
        numbers = self._numbers(words, on_unknown)

        def inside(number: int, context: Any) -> list[int]:
            around = self._known(context)
            if number in around:
                around.remove(number)
            return [number + len(self.words_), *around] if number >= 0 else []

        return self._codes(words, map(inside, numbers, contexts), hash_length)

    def document_codes(self, texts: Sequence[Any], hash_length: int = 32) -> Codes:
        """Codes of whole sentences or documents: all of their words drive the cells, as neighbours.

        A text without a known word has no bit on.

        Raises:
            NotFittedError: before `fit`.
            ValueError: `hash_length` is not between 1 and the number of cells.
        """
        check_is_fitted(self)
        texts = listed("texts", texts)
        return self._codes(range(len(texts)), map(self._known, texts), hash_length)

    def nearest(
        self, word: Word, n: int = 10, *, context: Any = None, hash_length: int = 32, block: Block = "target"
    ) -> list[tuple[Word, float]]:
        """The `n` words with the most similar codes, and the share of equal bits.

        The first call makes the codes of all words, and the model keeps them. For many queries at once ask `Codes.nearest`.

        Args:
            word: the query.
            n: how many.
            context: sentence that the query stands in. Default: the word on its own.
            hash_length, block: as in `codes`; `block` holds for the words that are found, and for the query on its own.

        Raises:
            KeyError: the word is unknown.
            ValueError: `n`, `hash_length` or `block` out of range.
        """
        check_is_fitted(self)
        kept = self._made().codes
        index = kept.get((block, hash_length)) or self.codes(None, hash_length, block=block)
        if context is None:
            query = self.codes([word], hash_length, block=block, on_unknown="raise")
        else:
            query = self.codes_in_context([word], [context], hash_length, on_unknown="raise")
        found = index.nearest(query, n)[0]
        kept[block, hash_length] = index
        if len(kept) > KEPT:
            del kept[next(iter(kept))]
        return found

    def concept(self, cell: int, n: int = 10, *, block: Block = "target") -> list[tuple[Word, float]]:
        """What a cell stands for: the `n` words with the strongest synapses to it, and their weights.

        Raises:
            NotFittedError: before `fit`.
            ValueError: there is no such cell, fewer words, or `block` is unknown.
        """
        check_is_fitted(self)
        if block not in BLOCKS:
            raise ValueError(f"block must be one of {', '.join(BLOCKS)}, got {block!r}")
        if check_count("cell", cell, 0) >= len(self.synapses_):
            raise ValueError(f"cell must be below {len(self.synapses_)}, got {cell}")
        context, target = np.split(self.synapses_[cell], 2)
        weights = torch.from_numpy({"target": target, "context": context, "both": context + target}[block])
        best = largest(weights, n).tolist()
        return [(self.words_[one], float(weights[one])) for one in best]

    def _made(self) -> Made:
        """What was made of these words and synapses; learning gives the model new synapses, and all is made anew."""
        made: Made | None = vars(self).get("_kept")
        if made is None or made.words is not self.words_ or made.synapses is not self.synapses_:
            made = self._kept = Made(self.words_, self.synapses_, Numbering(self.words_))
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles are without what can be made again."""
        return {name: value for name, value in vars(self).items() if name != "_kept"}

    def _numbers(self, words: Sequence[Word], on_unknown: str = "zero") -> list[int]:
        """The place of each word, below 0 for an unknown one."""
        if on_unknown not in ("zero", "raise"):
            raise ValueError(f"on_unknown must be 'zero' or 'raise', got {on_unknown!r}")
        numbers = self._made().places.of(words)
        if on_unknown == "raise" and min(numbers, default=0) < 0:
            raise KeyError(f"the model does not know the word {words[numbers.index(min(numbers))]!r}")
        return numbers

    def _known(self, sentence: Any) -> list[int]:
        """The places of the words of a sentence that are known."""
        return [one for one in self._numbers(tokens_of(sentence)) if one >= 0]

    def _codes(self, words: Sequence[Word], inputs: Iterable[Sequence[int]], hash_length: int) -> Codes:
        """Codes of as many inputs as words, each with ones at these places."""
        cells, inputs = len(self.synapses_), iter(inputs)
        if check_count("hash_length", hash_length) > cells:
            raise ValueError(f"hash_length must be at most the number of cells, {cells}, got {hash_length}")
        bits, known = np.zeros((len(words), -(-cells // 8)), np.uint8), np.zeros(len(words), bool)
        for start in range(0, len(words), BATCH):
            some = list(islice(inputs, BATCH))
            there = start + np.flatnonzero([len(one) > 0 for one in some])
            if len(there):
                known[there] = True
                bits[there] = encode(self._drives([one for one in some if one]), hash_length)
        return Codes(words, bits, cells, known)

    def _drives(self, inputs: Sequence[Sequence[int]]) -> Tensor:
        """`W x (n, cells)` of inputs with ones at these places."""
        weights = torch.from_numpy(np.ascontiguousarray(self.synapses_.T))
        flat = torch.tensor([place for one in inputs for place in one], dtype=torch.int64)
        sizes = torch.tensor([len(one) for one in inputs], dtype=torch.int64)
        return embedding_bag(flat, weights, sizes.cumsum(0) - sizes, mode="sum")


def listed(name: str, values: Any) -> Sequence[Any]:
    """A sequence that is no single string.

    Raises:
        TypeError: it is another thing.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be a sequence, got {type(values).__name__}; for one pass [{name}]")
    return list(values)
