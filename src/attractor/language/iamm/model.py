"""IAMM, a model of empathetic dialogue that collects what is associated (Yang et al. 2024, arXiv 2402.17959).

Each utterance is associated with the situation, the history and what was associated before; the memory of that helps to tell the
emotion, `z = z_ctx + z_sit + z_mem + z_cs`, and to answer.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attractor.language.iamm.batch import CLS, PAD, SOS, SYS, UNK, USR, DialogueBatch
from attractor.language.iamm.blocks import EmotionHead, Encoder, pack, take_rows
from attractor.language.iamm.config import IAMMConfig, check_batch
from attractor.language.iamm.decoder import DecoderInput, ResponseDecoder, log_probabilities, log_probability
from attractor.language.iamm.interaction import check_generator, refuse_rows
from attractor.language.iamm.memory import AssociatedMemory, IterativeMemory, both, memory_of
from attractor.language.iamm.vocabulary import check_folder
from attractor.tensor_file import read, write
from attractor.validation import finite

KIND = "IAMM"


class Emotions(NamedTuple):
    """Scores of the emotions `(b, classes)` by each head; `knowledge` is None in a model without."""

    context: Tensor
    situation: Tensor
    memory: Tensor
    knowledge: Tensor | None

    @property
    def total(self) -> Tensor:
        """The sum, by which the model predicts."""
        total = self.context + self.situation + self.memory
        return total if self.knowledge is None else total + self.knowledge


class Encoding(NamedTuple):
    """What the model makes of dialogues: scores, what it will answer from, its memories of words and of knowledge."""

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


class IAMM(nn.Module):
    """Tells the emotion of dialogues, and answers them.

    Encoders read each utterance, the dialogue as a whole, the situation, the memory, knowledge, and the summaries of what is known
    about the situation and the last utterance. The memories read plain embeddings of words, and the summaries of knowledge. Other
    than in the reference code the situation has a head of its own, and relations share an encoder that is told which one it reads.

    Args:
        config: the sizes.
        generator: of the first weights. Default: one with the seed 0.

    Raises:
        TypeError: no `IAMMConfig`.

    Example:
        >>> from attractor.language.iamm import Vocabulary, collate
        >>> vocabulary = Vocabulary(["my", "dog", "died", "so", "sorry"])
        >>> model = IAMM(IAMMConfig(len(vocabulary), classes=2, dim=16, depth=8, relations=0))
        >>> dialogue = vocabulary.dialogue([["my", "dog", "died"]], response=["so", "sorry"], label=1)
        >>> batch = collate([dialogue], len(vocabulary))
        >>> model.encode(batch).emotions.total.shape
        torch.Size([1, 2])
        >>> model.losses(batch).total.backward()
    """

    def __init__(self, config: IAMMConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        if not isinstance(config, IAMMConfig):
            raise TypeError(f"config must be an IAMMConfig, got {type(config).__name__}")
        generator = torch.Generator().manual_seed(0) if generator is None else check_generator(generator)
        self.config = config
        self.embedding = nn.utils.skip_init(nn.Embedding, config.vocabulary, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.deviation, generator=generator)
        encoders = ["utterance", "context", "situation", "memory"]
        heads = ["context", "situation", "memory"]
        memories = {"words": config.partners}
        if config.relations:
            encoders, heads = [*encoders, "knowledge", "knowledge_summary"], [*heads, "knowledge"]
            memories["knowledge"] = config.knowledge_partners
        self.encoders = nn.ModuleDict({name: Encoder(config.sizes, generator) for name in encoders})
        self.heads = nn.ModuleDict({name: EmotionHead(config.dim, config.classes, generator) for name in heads})
        self.memories = nn.ModuleDict({name: memory_of(config, partners, generator) for name, partners in memories.items()})
        self.relations = nn.utils.skip_init(nn.Embedding, config.relations, config.dim) if config.relations else None
        if self.relations is not None:
            nn.init.normal_(self.relations.weight, std=config.deviation, generator=generator)
        self.decoder = ResponseDecoder(config.sizes, config.vocabulary, config.notes, generator)
        self.register_load_state_dict_pre_hook(refuse_rows)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Scores of the emotions, `(b, classes)`: `encode(batch).emotions.total`."""
        return self.encode(batch).emotions.total

    def encode(self, batch: DialogueBatch) -> Encoding:
        """Read dialogues.

        Raises:
            TypeError: no `DialogueBatch`.
            ValueError: one for another vocabulary, with knowledge where the model has none or the reverse, or labels out of range;
                weights that are not finite, or so large that scores are not.
        """
        check_batch(batch, self.config)
        words, mask = self._context_words(batch)
        memory = self._remember(batch, words, mask)
        context, context_mask, ids = self._context(batch, words, mask)
        scene_mask = batch.situation != PAD
        scene = self.encoders["situation"](self._embed(batch.situation), scene_mask)
        knowledge, knowledge_memory, memories = None, None, [memory.memory]
        if batch.knowledge is not None and batch.situation_knowledge is not None:
            said, known = self._knowledge(batch.knowledge), self._knowledge(batch.situation_knowledge)
            present = batch.knowledge[..., 0] != PAD
            knowledge_memory = self._collect("knowledge", said, present, known, torch.ones_like(known[..., 0], dtype=torch.bool))
            memories.append(knowledge_memory.memory)
            last = said[torch.arange(len(batch), device=said.device), batch.counts - 1]
            summaries = torch.cat([known, last], 1)
            whole = torch.ones_like(summaries[..., 0], dtype=torch.bool)
            knowledge = self.heads["knowledge"](self.encoders["knowledge_summary"](summaries, whole), whole)
        rows, rows_mask = both(memories)
        emotions = Emotions(
            self.heads["context"](context, context_mask),
            self.heads["situation"](scene, scene_mask),
            self._memory_emotions(rows, rows_mask),
            knowledge,
        )
        self._check_scores(emotions.total)
        notes, notes_mask = self.decoder.best_notes(rows, rows_mask)
        answer = DecoderInput(context, context_mask, ids, notes, notes_mask, batch.unknown)
        return Encoding(emotions, answer, memory, knowledge_memory)

    def remember(self, batch: DialogueBatch) -> tuple[Tensor, AssociatedMemory]:
        """Scores of the emotions `(b, classes)` by the memory of words alone, and the memory. Errors are those of `encode`."""
        check_batch(batch, self.config)
        memory = self._remember(batch, *self._context_words(batch))
        scores = self._memory_emotions(memory.memory.rows, memory.memory.mask)
        self._check_scores(scores)
        return scores, memory

    def token_log_probabilities(self, batch: DialogueBatch, encoding: Encoding | None = None) -> Tensor:
        """Of each word of the responses, given those before it, `(b, T)`; 0 at padding.

        Args:
            batch: with responses.
            encoding: of this batch, where it is at hand.

        Raises:
            ValueError: the batch has no responses; else as `encode`.
        """
        if batch.response is None:
            raise ValueError("batch must have responses, got response=None")
        given = (self.encode(batch) if encoding is None else encoding).answer
        start = torch.full_like(batch.response[:, :1], SOS)
        words = self._embed(torch.cat([start, batch.response[:, :-1]], 1))
        found = log_probability(self.decoder(words, given), given, batch.response)
        return found.masked_fill(batch.response == PAD, 0)

    def losses(self, batch: DialogueBatch) -> Losses:
        """What training lowers, all parts with weight 1.

        Raises:
            ValueError: a batch with neither responses nor labels; else as `encode`.
        """
        if batch.response is None and batch.labels is None:
            raise ValueError("batch must have responses or labels to learn from, got neither")
        encoding = self.encode(batch)
        response = None
        if batch.response is not None:
            response = -self.token_log_probabilities(batch, encoding).sum() / (batch.response != PAD).sum()
        if batch.labels is None:
            return Losses(response, None, None, None, None)
        labels = batch.labels
        return Losses(response, *(None if one is None else cross_entropy(one, labels) for one in encoding.emotions))

    def next_log_probabilities(self, written: Tensor, answer: DecoderInput) -> Tensor:
        """Of all words after `written (b, t)` with SOS in front, the dialogue's unknown ones at the end: `(b, V + unknown)`."""
        return log_probabilities(self.decoder(self._embed(written), answer, last=True), answer)[:, 0]

    def num_parameters(self) -> dict[str, int]:
        """How many learned numbers each part has, and all together as `"total"`, by the formulas of `IAMMConfig.parameters`."""
        parts = {name: sum(one.numel() for one in part.parameters()) for name, part in self.named_children()}
        return parts | {"total": sum(parts.values())}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and settings to one file; what the ids mean is in the vocabulary, see `Vocabulary.save`.

        Raises:
            FileNotFoundError: the folder of `path` is not there.
            ValueError: `path` is a folder.
        """
        check_folder(path)
        precision = str(self.embedding.weight.dtype).removeprefix("torch.")
        write(Path(path), {"kind": KIND, "config": asdict(self.config), "precision": precision}, self.state_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model that `save` wrote, on the CPU and in evaluation.

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
            model = cls(config).to(getattr(torch, described["precision"]))
            model.load_state_dict(tensors)
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise ValueError(f"path must be a saved {KIND}, {path} is not: {error}") from error
        return model.eval()

    def _embed(self, ids: Tensor) -> Tensor:
        return self.config.dim**0.5 * self.embedding(ids.masked_fill(ids >= self.config.vocabulary, UNK))

    def _context_words(self, batch: DialogueBatch) -> tuple[Tensor, Tensor]:
        """Embeddings `(b, U, n, dim)` of the words of all utterances, with who says them, and their mask."""
        numbers = torch.arange(batch.utterances.shape[1], device=batch.utterances.device)
        speakers = torch.where(numbers % 2 == 0, USR, SYS)[:, None].repeat(1, batch.utterances.shape[2])
        speakers[:, 0] = CLS
        return self._embed(batch.utterances) + self._embed(speakers), batch.utterances != PAD

    def _context(self, batch: DialogueBatch, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The encoded words of the dialogues `(b, n, dim)`, all utterances without padding between them, their mask and ids."""
        said = self.encoders["utterance"](words.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, mask.shape[:2])
        places, joined = pack(mask.flatten(1))
        context = self.encoders["context"](take_rows(said.flatten(1, 2), places), joined)
        return context, joined, batch.utterances.flatten(1).gather(1, places)

    def _remember(self, batch: DialogueBatch, words: Tensor, mask: Tensor) -> AssociatedMemory:
        known = batch.situation != PAD
        scene = self._embed(batch.situation) * known[..., None]
        return self._collect("words", words * mask[..., None], mask, scene, known)

    def _collect(self, name: str, said: Tensor, mask: Tensor, scene: Tensor, known: Tensor) -> AssociatedMemory:
        part = self.memories[name]
        assert isinstance(part, IterativeMemory)
        return part.collect(said, mask, scene, known)

    def _check_scores(self, scores: Tensor) -> None:
        if finite(scores):
            return
        bad = [name for name, one in self.named_parameters() if not finite(one)]
        cause = f"NaN or infinity in {bad[:8]}" if bad else f"values that are too large for {scores.dtype}"
        raise ValueError(f"the weights of the model must give finite scores, got {cause}")

    def _memory_emotions(self, rows: Tensor, mask: Tensor) -> Tensor:
        places, packed = pack(mask)
        scores: Tensor = self.heads["memory"](self.encoders["memory"](take_rows(rows, places), packed), packed)
        return scores

    def _knowledge(self, ids: Tensor) -> Tensor:
        """The summaries `(..., relations, dim)` of texts `(..., relations, n)`: their encoded CLS."""
        assert self.relations is not None
        words = self._embed(ids) + self.config.dim**0.5 * self.relations.weight[:, None]
        leading = ids.shape[:-1]
        count = len(leading) - 1
        found: Tensor = self.encoders["knowledge"](words.flatten(0, count), (ids != PAD).flatten(0, count))
        return found[:, 0].unflatten(0, leading)
