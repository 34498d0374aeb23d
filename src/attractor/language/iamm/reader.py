"""The part of IAMM that reads: it tells the emotion of dialogues, and remembers what is associated (Yang et al. 2024).

Each utterance is associated with the situation, the history and what was associated before; the memory of that helps to tell the
emotion, `z = z_ctx + z_sit + z_mem + z_cs`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attractor.language.iamm.batch import CLS, PAD, SYS, UNK, USR, DialogueBatch
from attractor.language.iamm.blocks import EmotionHead, Encoder, pack, take_rows
from attractor.language.iamm.config import IAMMConfig, check_batch
from attractor.language.iamm.interaction import check_generator, refuse_rows
from attractor.language.iamm.memory import AssociatedMemory, IterativeMemory, both, memory_of
from attractor.language.iamm.vocabulary import Vocabulary
from attractor.validation import finite


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

    def losses(self, labels: Tensor, weight: Tensor | None = None) -> tuple[Tensor | None, ...]:
        """The cross-entropy of each head, of classes that count as `weight (classes,)` says; None of a head that is not there."""
        return tuple(None if one is None else cross_entropy(one, labels, weight) for one in self)


class Reading(NamedTuple):
    """What a model finds in dialogues.

    Attributes:
        emotions: their scores.
        context: the encoded words `(b, n, dim)` of all utterances.
        mask: `(b, n)`, False for padding.
        ids: `(b, n)` of these words.
        rows: `(b, m, dim)` of both memories.
        rows_mask: `(b, m)`, False where a row is missing.
        memory: of words.
        knowledge_memory: of knowledge; None in a model without.
    """

    emotions: Emotions
    context: Tensor
    mask: Tensor
    ids: Tensor
    rows: Tensor
    rows_mask: Tensor
    memory: AssociatedMemory
    knowledge_memory: AssociatedMemory | None


class DialogueReader(nn.Module):
    """Tells the emotion of dialogues. `IAMM` is one that answers as well.

    Encoders read each utterance, the dialogue as a whole, the situation, the memory, knowledge, and the summaries of what is known
    about the situation and the last utterance. The memories read plain embeddings of words, and the summaries of knowledge. Other
    than in the reference code the situation has a head of its own, and relations share an encoder that is told which one it reads.

    Args:
        config: the sizes.
        vocabulary: what the ids mean; it is kept beside the weights. Default: nobody is told.
        generator: of the first weights. Default: one with the seed 0.

    Raises:
        TypeError: no `IAMMConfig`.
        ValueError: a vocabulary of another length than the `config` says.

    Example:
        >>> from attractor.language.iamm import collate
        >>> vocabulary = Vocabulary(["my", "dog", "died"])
        >>> reader = DialogueReader(IAMMConfig(len(vocabulary), classes=2, dim=16, depth=8, relations=0), vocabulary=vocabulary)
        >>> reader(collate([vocabulary.dialogue([["my", "dog", "died"]])], len(vocabulary))).shape
        torch.Size([1, 2])
    """

    def __init__(self, config: IAMMConfig, *, vocabulary: Vocabulary | None = None, generator: torch.Generator | None = None):
        super().__init__()
        if not isinstance(config, IAMMConfig):
            raise TypeError(f"config must be an IAMMConfig, got {type(config).__name__}")
        if vocabulary is not None and len(vocabulary) != config.vocabulary:
            raise ValueError(f"vocabulary must have the {config.vocabulary} words of config, got {len(vocabulary)}")
        generator = torch.Generator().manual_seed(0) if generator is None else check_generator(generator)
        self.config, self.vocabulary = config, vocabulary
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
        self.register_load_state_dict_pre_hook(refuse_rows)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Scores of the emotions, `(b, classes)`: `read(batch).emotions.total`."""
        return self.read(batch).emotions.total

    def read(self, batch: DialogueBatch) -> Reading:
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
        knowledge, knowledge_memory = None, None
        if batch.knowledge is not None and batch.situation_knowledge is not None:
            said, known = self._knowledge(batch.knowledge), self._knowledge(batch.situation_knowledge)
            present = batch.knowledge[..., 0] != PAD
            knowledge_memory = self._collect("knowledge", said, present, known, torch.ones_like(known[..., 0], dtype=torch.bool))
            last = said[torch.arange(len(batch), device=said.device), batch.counts - 1]
            summaries = torch.cat([known, last], 1)
            whole = torch.ones_like(summaries[..., 0], dtype=torch.bool)
            knowledge = self.heads["knowledge"](self.encoders["knowledge_summary"](summaries, whole), whole)
        rows, rows_mask = both([one.memory for one in (memory, knowledge_memory) if one is not None])
        emotions = Emotions(
            self.heads["context"](context, context_mask),
            self.heads["situation"](scene, scene_mask),
            self._memory_emotions(rows, rows_mask),
            knowledge,
        )
        self._check_scores(emotions.total)
        return Reading(emotions, context, context_mask, ids, rows, rows_mask, memory, knowledge_memory)

    def remember(self, batch: DialogueBatch) -> tuple[Tensor, AssociatedMemory]:
        """Scores of the emotions `(b, classes)` by the memory of words alone, and the memory. Errors are those of `read`."""
        check_batch(batch, self.config)
        memory = self._remember(batch, *self._context_words(batch))
        scores = self._memory_emotions(memory.memory.rows, memory.memory.mask)
        self._check_scores(scores)
        return scores, memory

    def num_parameters(self) -> dict[str, int]:
        """How many learned numbers each part has, and all together as `"total"`, by the formulas of `IAMMConfig.parameters`."""
        parts = {name: sum(one.numel() for one in part.parameters()) for name, part in self.named_children()}
        return parts | {"total": sum(parts.values())}

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
