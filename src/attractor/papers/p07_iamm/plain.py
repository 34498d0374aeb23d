"""What IAMM is compared with on real dialogue: an encoder and a decoder of about its size, without the memory.

One encoder reads situation and utterances as one text, one head tells the emotion, and one decoder answers, with a pointer as in
IAMM; all of them of IAMM's own blocks, with more layers in the place of the memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid

from attractor.language.iamm import CLS, PAD, SOS, SYS, UNK, USR, DialogueBatch, IAMMConfig, Losses
from attractor.language.iamm.blocks import Decoder, EmotionHead, Encoder, matrix, pack, take_rows
from attractor.language.iamm.decoder import DecoderInput, Mixture, log_probabilities, log_probability, lowest

ENCODER_LAYERS, DECODER_LAYERS = 6, 2
"""With as many the model has about as many numbers as IAMM, to a tenth."""


class PlainEmotions(NamedTuple):
    """Scores `(b, classes)` of the one head."""

    total: Tensor


class PlainEncoding(NamedTuple):
    """What the model makes of dialogues."""

    emotions: PlainEmotions
    answer: DecoderInput


class PlainDialogue(nn.Module):
    """Tells the emotion of dialogues and answers them, from one text of all that was said.

    Args:
        config: of the IAMM to compare with; the parts that belong to the memory are not used.
        generator: of the first weights.
    """

    def __init__(self, config: IAMMConfig, generator: torch.Generator):
        super().__init__()
        self.config = config
        self.embedding = nn.utils.skip_init(nn.Embedding, config.vocabulary, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.deviation, generator=generator)
        self.encoder = Encoder(config.sizes._replace(layers=ENCODER_LAYERS * config.layers), generator)
        self.head = EmotionHead(config.dim, config.classes, generator)
        self.decoder = Decoder(config.sizes._replace(layers=DECODER_LAYERS * config.layers), generator)
        self.pointer = matrix(config.dim, 1, generator, bias=True)
        self.vocabulary = matrix(config.dim, config.vocabulary, generator, bias=True)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Scores of the emotions."""
        return self.encode(batch).emotions.total

    def encode(self, batch: DialogueBatch) -> PlainEncoding:
        """Read dialogues."""
        said = batch.utterances
        numbers = torch.arange(said.shape[1], device=said.device)
        speakers = torch.where(numbers % 2 == 0, USR, SYS)[:, None].expand(said.shape[1:])
        who = torch.cat([torch.full_like(batch.situation, CLS), speakers.flatten().expand(len(batch), -1)], 1)
        ids = torch.cat([batch.situation, said.flatten(1)], 1)
        places, mask = pack(ids != PAD)
        context = self.encoder(take_rows(self._embed(ids) + self._embed(who), places), mask)
        none = context[:, :0]
        answer = DecoderInput(context, mask, ids.gather(1, places), none, mask[:, :0], batch.unknown)
        return PlainEncoding(PlainEmotions(self.head(context, mask)), answer)

    def token_log_probabilities(self, batch: DialogueBatch, encoding: PlainEncoding | None = None) -> Tensor:
        """Of each word of the responses, given those before it, `(b, T)`; 0 at padding."""
        assert batch.response is not None
        given = (self.encode(batch) if encoding is None else encoding).answer
        start = torch.full_like(batch.response[:, :1], SOS)
        mixture = self._mixture(torch.cat([start, batch.response[:, :-1]], 1), given)
        return log_probability(mixture, given, batch.response).masked_fill(batch.response == PAD, 0)

    def losses(self, batch: DialogueBatch) -> Losses:
        """Those of the responses and of the one head."""
        assert batch.response is not None and batch.labels is not None
        encoding = self.encode(batch)
        response = -self.token_log_probabilities(batch, encoding).sum() / (batch.response != PAD).sum()
        return Losses(response, cross_entropy(encoding.emotions.total, batch.labels), None, None, None)

    def next_log_probabilities(self, written: Tensor, answer: DecoderInput) -> Tensor:
        """Of all words after `written (b, t)`, the dialogue's unknown ones at the end."""
        mixture = self._mixture(written, answer)
        return log_probabilities(Mixture(*(part[:, -1:] for part in mixture)), answer)[:, 0]

    def num_parameters(self) -> dict[str, int]:
        """How many learned numbers there are."""
        return {"total": sum(one.numel() for one in self.parameters())}

    def _mixture(self, words: Tensor, given: DecoderInput) -> Mixture:
        state, scores = self.decoder(self._embed(words), given.context, given.mask)
        pointer = self.pointer(state)
        copy = scores.masked_fill(~given.mask[:, None], lowest(scores)).log_softmax(-1)
        return Mixture(logsigmoid(pointer) + self.vocabulary(state).log_softmax(-1), logsigmoid(-pointer) + copy)

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.config.dim**0.5 * self.embedding(ids.masked_fill(ids >= self.config.vocabulary, UNK))
        return embedded
