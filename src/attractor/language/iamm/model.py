"""IAMM, a model of empathetic dialogue that collects what is associated (Yang et al. 2024, arXiv 2402.17959).

It tells the emotion of a dialogue and answers from what it has read and from its memory of associated words.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from attractor.language.iamm.batch import PAD, SOS, DialogueBatch
from attractor.language.iamm.config import IAMMConfig
from attractor.language.iamm.decoder import DecoderInput, ResponseDecoder, log_probabilities, log_probability
from attractor.language.iamm.interaction import check_generator
from attractor.language.iamm.memory import AssociatedMemory
from attractor.language.iamm.reader import DialogueReader, Emotions
from attractor.language.iamm.vocabulary import Vocabulary
from attractor.tensor_file import read, write

KIND = "IAMM"


class Encoding(NamedTuple):
    """What the model makes of the dialogues `batch`: scores, what it will answer from, its memories of words and of knowledge."""

    batch: DialogueBatch
    emotions: Emotions
    answer: DecoderInput
    memory: AssociatedMemory
    knowledge_memory: AssociatedMemory | None


class Losses(NamedTuple):
    """The mean negative log-likelihood of the words of the responses, and the cross-entropy of each emotion head; None where the
    batch or the model has no such part."""

    response: Tensor | None
    context: Tensor | None
    situation: Tensor | None
    memory: Tensor | None
    knowledge: Tensor | None

    @property
    def total(self) -> Tensor:
        """Their sum, which training lowers."""
        return torch.stack([one for one in self if one is not None]).sum()


class IAMM(DialogueReader):
    """Tells the emotion of dialogues, and answers them.

    Args:
        config: the sizes.
        vocabulary: what the ids mean; it is kept beside the weights, in files too. Default: nobody is told.
        generator: of the first weights. Default: one with the seed 0.

    Raises:
        TypeError: no `IAMMConfig`.
        ValueError: a vocabulary of another length than the `config` says.

    Example:
        >>> from attractor.language.iamm import Vocabulary, collate
        >>> vocabulary = Vocabulary(["my", "dog", "died", "so", "sorry"])
        >>> model = IAMM(IAMMConfig(len(vocabulary), classes=2, dim=16, depth=8, relations=0), vocabulary=vocabulary)
        >>> dialogue = vocabulary.dialogue([["my", "dog", "died"]], response=["so", "sorry"], label=1)
        >>> batch = collate([dialogue], len(vocabulary))
        >>> model.encode(batch).emotions.total.shape
        torch.Size([1, 2])
        >>> model.losses(batch).total.backward()
    """

    def __init__(self, config: IAMMConfig, *, vocabulary: Vocabulary | None = None, generator: torch.Generator | None = None):
        generator = torch.Generator().manual_seed(0) if generator is None else check_generator(generator)
        super().__init__(config, vocabulary=vocabulary, generator=generator)
        self.decoder = ResponseDecoder(config.sizes, config.vocabulary, config.notes, generator)

    def encode(self, batch: DialogueBatch) -> Encoding:
        """Read dialogues, to answer them. Errors are those of `read`."""
        found = self.read(batch)
        notes, notes_mask = self.decoder.best_notes(found.rows, found.rows_mask)
        answer = DecoderInput(found.context, found.mask, found.ids, notes, notes_mask, batch.unknown)
        return Encoding(batch, found.emotions, answer, found.memory, found.knowledge_memory)

    def token_log_probabilities(self, batch: DialogueBatch, encoding: Encoding | None = None) -> Tensor:
        """Of each word of the responses, given those before it, `(b, T)`; 0 at padding.

        Args:
            batch: with responses.
            encoding: of this batch, where it is at hand.

        Raises:
            ValueError: the batch has no responses, or the encoding is of another one; else as `read`.
        """
        if batch.response is None:
            raise ValueError("batch must have responses, got response=None")
        if encoding is not None and encoding.batch is not batch:
            raise ValueError("encoding must be of this very batch, got that of another one")
        given = (self.encode(batch) if encoding is None else encoding).answer
        start = torch.full_like(batch.response[:, :1], SOS)
        words = self._embed(torch.cat([start, batch.response[:, :-1]], 1))
        found = log_probability(self.decoder(words, given), given, batch.response)
        return found.masked_fill(batch.response == PAD, 0)

    def losses(self, batch: DialogueBatch) -> Losses:
        """What training lowers, all parts with weight 1.

        Raises:
            ValueError: a batch with neither responses nor labels; else as `read`.
        """
        if batch.response is None and batch.labels is None:
            raise ValueError("batch must have responses or labels to learn from, got neither")
        encoding = self.encode(batch)
        response = None
        if batch.response is not None:
            response = -self.token_log_probabilities(batch, encoding).sum() / (batch.response != PAD).sum()
        if batch.labels is None:
            return Losses(response, None, None, None, None)
        return Losses(response, *encoding.emotions.losses(batch.labels))

    def next_log_probabilities(self, written: Tensor, answer: DecoderInput) -> Tensor:
        """Of all words after `written (b, t)` with SOS in front, the dialogue's unknown ones at the end: `(b, V + unknown)`."""
        return log_probabilities(self.decoder(self._embed(written), answer, last=True), answer)[:, 0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, settings and, where they are known, the words of the vocabulary to one file.

        Raises:
            FileNotFoundError: the folder of `path` is not there.
            ValueError: `path` is a folder.
        """
        words = None if self.vocabulary is None else self.vocabulary.own
        precision = str(self.embedding.weight.dtype).removeprefix("torch.")
        described = {"kind": KIND, "config": asdict(self.config), "precision": precision, "words": words}
        write(Path(path), described, self.state_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model that `save` wrote, with its vocabulary, on the CPU and in evaluation.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or no such model.
        """
        described, tensors = read(Path(path), f"a saved {KIND}")
        try:
            if described["kind"] != KIND:
                raise ValueError(f"it is a {described['kind']}")
            config = IAMMConfig(**described["config"])
            # before anything of the size that the file claims is built
            if sum(one.numel() for one in tensors.values()) != config.parameters["total"]:
                raise ValueError(f"its settings ask for {config.parameters['total']} numbers, it holds others")
            words = described["words"]
            model = cls(config, vocabulary=None if words is None else Vocabulary(words))
            model.to(getattr(torch, described["precision"])).load_state_dict(tensors)
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise ValueError(f"path must be a saved {KIND}, {path} is not: {error}") from error
        return model.eval()
