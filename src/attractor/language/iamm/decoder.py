"""IAMM's decoder: one that reads the dialogue, one that reads the memory, a gate between them, and a pointer that copies words.

`o = g D1 + (1 - g) D2` with `g = sigmoid(W_g [D1; D2])`, and
`P(w) = a softmax(W_v o)[w] + (1 - a) sum_{j: w_j = w} softmax(att)_j` with `a = sigmoid(W_p o)` and the scores `att` of
the words of the dialogue in `D1` (Yang et al. 2024). All in logarithms.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad

from attractor.language.iamm.blocks import Decoder, Sizes, matrix, take_rows
from attractor.language.iamm.interaction import best


class DecoderInput(NamedTuple):
    """What is answered.

    Attributes:
        context: `(b, n, dim)`, the words of the dialogue.
        mask: `(b, n)`.
        ids: `(b, n)`, from the number of words of the vocabulary on for words outside of it.
        notes: `(b, m, dim)`, rows of the memory.
        notes_mask: `(b, m)`.
        unknown: how many ids there are outside the vocabulary.
    """

    context: Tensor
    mask: Tensor
    ids: Tensor
    notes: Tensor
    notes_mask: Tensor
    unknown: int

    def repeated(self, times: int) -> DecoderInput:
        """Each dialogue so many times, one copy after the other."""
        context, mask, ids, notes, notes_mask = (part.repeat_interleave(times, 0) for part in self[:5])
        return DecoderInput(context, mask, ids, notes, notes_mask, self.unknown)


class Mixture(NamedTuple):
    """What each word of the vocabulary gets, and each place of the dialogue: logarithms of chances that together sum to 1.

    `log_vocabulary (b, t, V)` and `log_copy (b, t, n)`, in float32 or float64.
    """

    log_vocabulary: Tensor
    log_copy: Tensor


class ResponseDecoder(nn.Module):
    """Scores of the next words.

    Args:
        sizes: of both decoders.
        vocabulary: how many words there are.
        notes: how many rows of the memory are read.
        generator: of the first weights.
    """

    def __init__(self, sizes: Sizes, vocabulary: int, notes: int, generator: torch.Generator | None):
        super().__init__()
        self.notes = notes
        self.note_score = matrix(sizes.dim, 1, generator)
        self.over_context = Decoder(sizes, generator)
        self.over_notes = Decoder(sizes, generator)
        self.gate = matrix(2 * sizes.dim, 1, generator, bias=True)
        self.pointer = matrix(sizes.dim, 1, generator, bias=True)
        self.vocabulary = matrix(sizes.dim, vocabulary, generator, bias=True)

    def best_notes(self, rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of the memory `(b, n, dim)` with the best scores, best first, each times the sigmoid of its score."""
        scores = self.note_score(rows).squeeze(-1)
        places, present = best(scores, mask, min(self.notes, rows.shape[1]))
        chosen = scores.gather(1, places).sigmoid() * present
        return take_rows(rows, places) * chosen[..., None], present

    def forward(self, words: Tensor, given: DecoderInput, *, last: bool = False) -> Mixture:
        """What may come after each word of `words (b, t, dim)`, or after the last one only."""
        first, scores = self.over_context(words, given.context, given.mask)
        second, _ = self.over_notes(words, given.notes, given.notes_mask)
        if last:
            first, second, scores = first[:, -1:], second[:, -1:], scores[:, -1:]
        gate = self.gate(torch.cat([first, second], -1)).sigmoid()
        state = gate * first + (1 - gate) * second
        pointer, spoken, scores = (exact(one) for one in (self.pointer(state), self.vocabulary(state), scores))
        copy = scores.masked_fill(~given.mask[:, None], lowest(scores)).log_softmax(-1)
        return Mixture(logsigmoid(pointer) + spoken.log_softmax(-1), logsigmoid(-pointer) + copy)


def log_probability(mixture: Mixture, given: DecoderInput, targets: Tensor) -> Tensor:
    """Of `targets (b, t)`, ids of the vocabulary or of unknown words in the dialogue: `(b, t)`, finite, never above 0."""
    known = mixture.log_vocabulary.shape[-1]
    spoken = mixture.log_vocabulary.gather(-1, targets.clamp_max(known - 1)[..., None]).squeeze(-1)
    spoken = spoken.masked_fill(targets >= known, lowest(spoken))
    same = given.ids[:, None] == targets[..., None]
    copied = mixture.log_copy.masked_fill(~same, lowest(spoken)).logsumexp(-1)
    return torch.logaddexp(spoken, copied)


def log_probabilities(mixture: Mixture, given: DecoderInput) -> Tensor:
    """Of all words, those outside the vocabulary at the end: `(b, t, V + unknown)`; finite."""
    known = pad(mixture.log_vocabulary, (0, given.unknown), value=lowest(mixture.log_vocabulary))
    ids = given.ids[:, None].expand_as(mixture.log_copy)
    # sums of exponentials relative to the largest one: at least 1 where a word can be copied, however small its chance
    nowhere = torch.full_like(known, lowest(known))
    most = nowhere.scatter_reduce(-1, ids, mixture.log_copy.detach(), "amax")
    copied = torch.zeros_like(known).scatter_add(-1, ids, (mixture.log_copy - most.gather(-1, ids)).exp())
    return torch.logaddexp(known, most + copied.clamp_min(1).log())


def exact(x: Tensor) -> Tensor:
    """At least in float32: in half precisions the chances would not sum to 1."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def lowest(x: Tensor) -> float:
    """A finite logarithm of what has no chance, that sums of it stay finite."""
    return torch.finfo(x.dtype).min / 4
