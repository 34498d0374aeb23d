"""What learned synapses tell: codes of words, alone and in their sentence, codes of texts, neighbours, and what a cell stands for.

A code has `k` of the cells on, those with the largest drives `W x`. For a word on its own `x` has a one at the word in the second
half; in a sentence also at the other words in the first half; for a text only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from attractor.estimators.flyvec.codes import Codes, encode
from attractor.estimators.flyvec.corpus import Word, tokens_of
from attractor.nn.top_k import largest
from attractor.validation import check_count

Block = Literal["target", "context", "both"]
BLOCKS: tuple[Block, ...] = ("target", "context", "both")
Unknown = Literal["zero", "raise"]


class WordCodes:
    """Reads codes from the synapses of a fitted model, `synapses_ (cells, 2 V)` for the `V` words `words_`."""

    words_: list[Word]
    synapses_: npt.NDArray[np.float32]

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
        self._check_fitted()
        if block not in BLOCKS:
            raise ValueError(f"block must be one of {', '.join(BLOCKS)}, got {block!r}")
        words = self.words_ if words is None else listed("words", words)
        offsets = {"target": (len(self.words_),), "context": (0,), "both": (0, len(self.words_))}[block]
        numbers = self._numbers(words, on_unknown)
        return self._codes(words, [[one + offset for offset in offsets] if one >= 0 else [] for one in numbers], hash_length)

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
        self._check_fitted()
        words, contexts = listed("words", words), listed("contexts", contexts)
        if len(words) != len(contexts):
            raise ValueError(f"contexts must be as many as words, {len(words)}, got {len(contexts)}")
        numbers = self._numbers(words, on_unknown)
        inputs = []
        for number, context in zip(numbers, contexts, strict=True):
            around = [one for one in self._numbers(tokens_of(context)) if one >= 0]
            if number in around:
                around.remove(number)
            inputs.append([number + len(self.words_), *around] if number >= 0 else [])
        return self._codes(words, inputs, hash_length)

    def document_codes(self, texts: Sequence[Any], hash_length: int = 32) -> Codes:
        """Codes of whole sentences or documents: all of their words drive the cells, as neighbours.

        A text without a known word has no bit on.

        Raises:
            NotFittedError: before `fit`.
            ValueError: `hash_length` is not between 1 and the number of cells.
        """
        self._check_fitted()
        texts = listed("texts", texts)
        inputs = [[one for one in self._numbers(tokens_of(text)) if one >= 0] for text in texts]
        return self._codes(range(len(texts)), inputs, hash_length)

    def nearest(
        self, word: Word, n: int = 10, *, context: Any = None, hash_length: int = 32, block: Block = "target"
    ) -> list[tuple[Word, float]]:
        """The `n` words with the most similar codes, and the share of equal bits.

        For many queries make `codes()` once and ask `Codes.nearest`.

        Args:
            word: the query.
            n: how many.
            context: sentence that the query stands in. Default: the word on its own.
            hash_length, block: as in `codes`; `block` holds for the words that are found, and for the query on its own.

        Raises:
            KeyError: the word is unknown.
            ValueError: `n`, `hash_length` or `block` out of range.
        """
        index = self.codes(None, hash_length, block=block)
        if context is None:
            query = self.codes([word], hash_length, block=block, on_unknown="raise")
        else:
            query = self.codes_in_context([word], [context], hash_length, on_unknown="raise")
        return index.nearest(query, n)[0]

    def concept(self, cell: int, n: int = 10, *, block: Block = "target") -> list[tuple[Word, float]]:
        """What a cell stands for: the `n` words with the strongest synapses to it, and their weights.

        Raises:
            NotFittedError: before `fit`.
            ValueError: there is no such cell, fewer words, or `block` is unknown.
        """
        self._check_fitted()
        if block not in BLOCKS:
            raise ValueError(f"block must be one of {', '.join(BLOCKS)}, got {block!r}")
        if check_count("cell", cell, 0) >= len(self.synapses_):
            raise ValueError(f"cell must be below {len(self.synapses_)}, got {cell}")
        context, target = np.split(self.synapses_[cell], 2)
        weights = torch.from_numpy({"target": target, "context": context, "both": context + target}[block])
        best = largest(weights, n).tolist()
        return [(self.words_[one], float(weights[one])) for one in best]

    def _check_fitted(self) -> None:
        raise NotImplementedError

    def _numbers(self, words: Sequence[Word], on_unknown: str = "zero") -> list[int]:
        """The place of each word, -1 for an unknown one."""
        if on_unknown not in ("zero", "raise"):
            raise ValueError(f"on_unknown must be 'zero' or 'raise', got {on_unknown!r}")
        places = {word: place for place, word in enumerate(self.words_)}
        numbers = [places.get(word, -1) for word in words]
        if on_unknown == "raise" and -1 in numbers:
            raise KeyError(f"the model does not know the word {words[numbers.index(-1)]!r}")
        return numbers

    def _codes(self, words: Sequence[Word], inputs: Sequence[Sequence[int]], hash_length: int) -> Codes:
        cells = len(self.synapses_)
        if check_count("hash_length", hash_length) > cells:
            raise ValueError(f"hash_length must be at most the number of cells, {cells}, got {hash_length}")
        known = np.array([len(one) > 0 for one in inputs], bool)
        bits = np.zeros((len(inputs), -(-cells // 8)), np.uint8)
        bits[known] = encode(self._drives([one for one in inputs if one]), hash_length)
        return Codes(words, bits, cells, known)

    def _drives(self, inputs: Sequence[Sequence[int]]) -> Tensor:
        """`W x (n, cells)` of inputs with ones at these places."""
        weights = torch.from_numpy(np.ascontiguousarray(self.synapses_.T))
        flat = torch.tensor([place for one in inputs for place in one], dtype=torch.int64)
        sizes = torch.tensor([len(one) for one in inputs], dtype=torch.int64)
        return embedding_bag(flat, weights, sizes.cumsum(0) - sizes, mode="sum") if inputs else weights[:0]


def listed(name: str, values: Any) -> Sequence[Any]:
    """A sequence that is no single string.

    Raises:
        TypeError: it is another thing.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be a sequence, got {type(values).__name__}; for one pass [{name}]")
    return list(values)
