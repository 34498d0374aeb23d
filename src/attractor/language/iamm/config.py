"""Settings of IAMM, and whether a batch fits them."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.language.iamm.batch import SPECIAL, DialogueBatch
from attractor.language.iamm.blocks import Sizes
from attractor.language.iamm.interaction import Selection, check_heads, check_selection
from attractor.validation import check_count, check_positive


@dataclass(frozen=True)
class IAMMConfig:
    """Sizes of the model; the defaults are those of the reference run.

    Args:
        vocabulary: how many words, the special ones included.
        classes: of emotions.
        dim: width of a word.
        depth: of the attentions, over all heads.
        heads: of the attentions.
        filters: of the convolutions.
        layers: of each encoder and decoder.
        partners: `k1`, partners of a word in its row.
        keep: `k2`, words of each side and head that give a row.
        knowledge_partners: `k1` for knowledge.
        relations: of the knowledge; 0 builds a model without.
        notes: rows of the memory that the decoder reads.
        selection: `"hard"` or `"soft"`, see `AssociativeInteraction`.
        capacity: most rows of a memory, see `IterativeMemory`. Default: it grows with the dialogue.
        deviation: of the first word embeddings, which are multiplied by `sqrt(dim)`.

    Raises:
        TypeError, ValueError: a number out of its range, a depth that the heads do not divide, or an unknown selection.

    Example:
        >>> IAMMConfig(24_000).dim
        300
    """

    vocabulary: int
    classes: int = 32
    dim: int = 300
    depth: int = 40
    heads: int = 2
    filters: int = 50
    layers: int = 1
    partners: int = 15
    keep: int = 5
    knowledge_partners: int = 5
    relations: int = 5
    notes: int = 15
    selection: Selection = "hard"
    capacity: int | None = None
    deviation: float = 0.01

    def __post_init__(self) -> None:
        least = {"vocabulary": len(SPECIAL) + 1, "dim": 2, "classes": 2, "relations": 0}
        counts = ["heads", "filters", "layers", "partners", "keep", "knowledge_partners", "notes", "depth"]
        if self.capacity is not None:
            counts.append("capacity")
        # plain numbers: those of NumPy cannot be written to a file
        for name in (*least, *counts):
            object.__setattr__(self, name, check_count(name, getattr(self, name), least.get(name, 1)))
        check_heads(self.depth, self.heads)
        check_selection(self.selection)
        object.__setattr__(self, "deviation", check_positive("deviation", self.deviation))

    @property
    def sizes(self) -> Sizes:
        return Sizes(self.dim, self.depth, self.heads, self.filters, self.layers)

    @property
    def parameters(self) -> dict[str, int]:
        """How many learned numbers each part of a model has, and all together as `"total"`; no model is built for it.

        With `V` words, width `d`, depth `a`, filters `f`: the embedding has `V d`, each encoder
        `d^2 + layers (4 d a + 6 d f + f + 5 d) + 2 d`, each emotion head `2 d^2 + 2 d + classes (d + 1)`, each memory
        `6 d a + k1 (k1 + 1) + k2 (k2 + 1) + k1 d a / heads`, the relations `relations d`, and the decoder
        `2 (d^2 + layers (8 d a + 6 d f + f + 7 d) + 2 d) + 4 d + 2 + V (d + 1)`.
        """
        d, a, f = self.dim, self.depth, self.filters
        encoder = d * d + self.layers * (4 * d * a + 6 * d * f + f + 5 * d) + 2 * d
        decoder = d * d + self.layers * (8 * d * a + 6 * d * f + f + 7 * d) + 2 * d
        head = 2 * d * d + 2 * d + self.classes * (d + 1)
        partners = [self.partners, self.knowledge_partners] if self.relations else [self.partners]
        gates = self.keep * (self.keep + 1)
        parts = {
            "embedding": self.vocabulary * d,
            "encoders": (6 if self.relations else 4) * encoder,
            "heads": (4 if self.relations else 3) * head,
            "memories": sum(6 * d * a + k * (k + 1) + gates + k * d * a // self.heads for k in partners),
            "decoder": 2 * decoder + 4 * d + 2 + self.vocabulary * (d + 1),
        }
        if self.relations:
            parts["relations"] = self.relations * d
        return parts | {"total": sum(parts.values())}


def check_batch(batch: DialogueBatch, config: IAMMConfig) -> None:
    """Raises TypeError or ValueError where a model of this configuration cannot read a batch."""
    if not isinstance(batch, DialogueBatch):
        raise TypeError(f"batch must be a DialogueBatch, got {type(batch).__name__}")
    if batch.vocabulary != config.vocabulary:
        raise ValueError(f"batch must be for the model's vocabulary of {config.vocabulary} words, got {batch.vocabulary}")
    relations = 0 if batch.knowledge is None else batch.knowledge.shape[2]
    if relations != config.relations:
        built = f"{config.relations} relations of knowledge" if config.relations else "no knowledge"
        raise ValueError(f"batch must have what the model was built with, {built}, got {relations} relations")
    if batch.labels is not None and bool((batch.labels >= config.classes).any()):
        raise ValueError(f"labels must be from 0 to {config.classes - 1}, got {int(batch.labels.max())}")
