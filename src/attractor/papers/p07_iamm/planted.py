"""A planted association: a cue word in the situation and one in an utterance tell the class together, neither does alone.

Two utterances of five to eight random words, a situation of eight; cue `a` of eight stands anywhere in the situation, cue `b` of
eight anywhere in either utterance, and the class of the dialogue is `T[a, b]`, with a random table `T`. Training draws fresh
dialogues at every step.
"""

from __future__ import annotations

import time
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attractor.language.iamm import CLS, IAMM, PAD, SPECIAL, AssociativeInteraction, DialogueBatch, IAMMConfig, IterativeMemory
from attractor.language.iamm.blocks import EmotionHead, Encoder, pack, take_rows
from attractor.language.iamm.interaction import Selection, best
from attractor.language.iamm.memory import Read
from attractor.papers.plain import one_of
from attractor.papers.statistics import wilson

Kind = Literal["plain", "full", "memory"]
VOCABULARY, CUES, CLASSES = 200, 8, 8
UTTERANCES, SHORTEST, LONGEST = 2, 5, 8
"""Words of an utterance beside the cue; the situation always has the most."""
NOISE = VOCABULARY - len(SPECIAL) - 2 * CUES
FIRST_CUE = len(SPECIAL) + NOISE
DIM, DEPTH, HEADS, FILTERS = 64, 40, 2, 50
BATCH, RATE = 32, 1e-3
TESTED_AT_ONCE = 500
TEST_SEED = 1_000_000
"""Added to the seed of the training."""


class Planted(NamedTuple):
    """Dialogues with labels; cue `b` stands at `place (n,)` of utterance `number (n,)`, cue `a` at `scene_place (n,)`."""

    batch: DialogueBatch
    number: Tensor
    place: Tensor
    scene_place: Tensor


class PlainEncoder(nn.Module):
    """What IAMM is compared with: one encoder reads situation and utterances as one text, and one head its states."""

    def __init__(self, config: IAMMConfig, generator: torch.Generator):
        super().__init__()
        self.embedding = nn.utils.skip_init(nn.Embedding, config.vocabulary, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.deviation, generator=generator)
        self.encoder = Encoder(config.sizes, generator)
        self.head = EmotionHead(config.dim, config.classes, generator)

    def forward(self, batch: DialogueBatch) -> Tensor:
        ids = torch.cat([batch.situation, batch.utterances.flatten(1)], 1)
        places, mask = pack(ids != PAD)
        words = self.embedding.embedding_dim**0.5 * take_rows(self.embedding(ids), places)
        scores: Tensor = self.head(self.encoder(words, mask), mask)
        return scores


def learn(
    kind: Kind,
    steps: int,
    every: int,
    tests: int,
    seed: int,
    partners: int = 5,
    keep: int = 5,
    selection: Selection = "hard",
    deviation: float = 0.01,
    enough: float | None = None,
) -> dict[str, Any]:
    """Train, and test on dialogues of which nothing was seen before.

    Args:
        kind: `"plain"`, a `PlainEncoder`; `"full"`, all heads of IAMM, each by its own loss; `"memory"`, its memory head alone.
        steps: of Adam at most.
        every: so many steps the accuracy is watched, on dialogues of their own.
        tests: dialogues to watch it on, and as many others to measure it on.
        seed: of the table, the weights and the data.
        partners: of a word in the interaction.
        keep: words of each side and head.
        selection: of these words.
        deviation: of the first embeddings of words, as in `IAMMConfig`.
        enough: training stops where the watched accuracy is above it beyond doubt (95%).

    Returns:
        `accuracy`; `curve`: a list of `[step, accuracy]` as it was watched; `seconds` of this process; and, but for the plain
        encoder, `chosen`: the part of the tests in which a cue is among the partners that its utterance and the situation have in
        each other, and the part in which it is one of the other cue; and `random`, the same of random choices.
    """
    one_of("kind", kind, get_args(Kind))
    start = time.process_time()
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(CLASSES, (CUES, CUES), generator=generator)
    config = IAMMConfig(
        VOCABULARY,
        classes=CLASSES,
        dim=DIM,
        depth=DEPTH,
        heads=HEADS,
        filters=FILTERS,
        partners=partners,
        keep=keep,
        relations=0,
        selection=selection,
        deviation=deviation,
    )
    model = PlainEncoder(config, generator) if kind == "plain" else IAMM(config, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    held_out = torch.Generator().manual_seed(TEST_SEED + seed)
    tested, watched = (many(tests, table, held_out) for _ in range(2))
    curve = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss_of(model, kind, dialogues(BATCH, table, generator).batch).backward()
        optimizer.step()
        if step % every == 0 or step == steps:
            right = accuracy(model, kind, watched)
            curve.append([step, right])
            if enough is not None and wilson(round(right * tests), tests)[0] > enough:
                break
    result = {"accuracy": accuracy(model, kind, tested), "curve": curve}
    found = {} if isinstance(model, PlainEncoder) else recalls(model, tested, held_out)
    return result | found | {"seconds": time.process_time() - start}


def many(count: int, table: Tensor, generator: torch.Generator) -> list[Planted]:
    """`count` dialogues, a few at a time."""
    return [dialogues(min(TESTED_AT_ONCE, count - begin), table, generator) for begin in range(0, count, TESTED_AT_ONCE)]


def dialogues(count: int, table: Tensor, generator: torch.Generator) -> Planted:
    """`count` of them, with labels by the table `(8, 8)`."""

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, (count, *shape), generator=generator)

    def noise(*shape: int) -> Tensor:
        return len(SPECIAL) + draw(NOISE, *shape)

    item, cues, number = torch.arange(count), draw(CUES, 2), draw(UTTERANCES)
    lengths = SHORTEST + draw(LONGEST - SHORTEST + 1, UTTERANCES)
    lengths[item, number] += 1
    utterances = noise(UTTERANCES, LONGEST + 1)
    place = (torch.rand(count, generator=generator) * lengths[item, number]).long()
    utterances[item, number, place] = FIRST_CUE + CUES + cues[:, 1]
    utterances[torch.arange(LONGEST + 1) >= lengths[..., None]] = PAD
    scene, scene_place = noise(LONGEST + 1), draw(LONGEST + 1)
    scene[item, scene_place] = FIRST_CUE + cues[:, 0]
    batch = DialogueBatch(headed(utterances), headed(scene), VOCABULARY, labels=table[cues[:, 0], cues[:, 1]])
    return Planted(batch, number, place + 1, scene_place + 1)


def headed(ids: Tensor) -> Tensor:
    """Texts with CLS in front."""
    return torch.cat([torch.full_like(ids[..., :1], CLS), ids], -1)


def scores_of(model: nn.Module, kind: str, batch: DialogueBatch) -> Tensor:
    if kind == "memory":
        assert isinstance(model, IAMM)
        return model.remember(batch)[0]
    scores: Tensor = model(batch)
    return scores


def loss_of(model: nn.Module, kind: str, batch: DialogueBatch) -> Tensor:
    if kind == "full":
        assert isinstance(model, IAMM)
        return model.losses(batch).total
    return cross_entropy(scores_of(model, kind, batch), labels_of(batch))


def labels_of(batch: DialogueBatch) -> Tensor:
    assert batch.labels is not None
    return batch.labels


@torch.no_grad()
def accuracy(model: nn.Module, kind: str, tested: list[Planted]) -> float:
    labels = torch.cat([labels_of(some.batch) for some in tested])
    found = torch.cat([scores_of(model, kind, some.batch).argmax(-1) for some in tested])
    return float((found == labels).double().mean())


@torch.no_grad()
def recalls(model: IAMM, tested: list[Planted], generator: torch.Generator) -> dict[str, list[float]]:
    """For how many dialogues the planted words are among those that the model chose, and among random ones."""
    chosen, random = [], []
    memory = model.memories["words"]
    assert isinstance(memory, IterativeMemory)
    for some in tested:
        for read in model.remember(some.batch)[1].reads:
            if read.source == "situation":
                here = some.number == read.number
                chosen.append(holds(read.found.words, read.found.partners, some)[here])
                random.append(holds(*random_choice(memory.interaction, read, generator), some)[here])
    return {"chosen": torch.cat(chosen).double().mean(0).tolist(), "random": torch.cat(random).double().mean(0).tolist()}


def holds(words: Tensor, partners: Tensor, some: Planted) -> Tensor:
    """For each dialogue whether a planted word is among the `partners (n, r, k)`, and whether it is one of the other planted word.

    The first half of the rows `words (n, r)` are those of the utterance.
    """
    half = words.shape[1] // 2
    at = torch.stack([some.place, some.scene_place], 1).repeat_interleave(half, 1)
    hit = (partners == at.roll(half, 1)[..., None]).any(-1)
    return torch.stack([hit.any(1), (hit & (words == at)).any(1)], 1)


def random_choice(interaction: AssociativeInteraction, read: Read, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Words and partners as the interaction might choose them, drawn evenly among those that are there."""
    words, partners = [], []
    for own, other in ((read.own, read.other), (read.other, read.own)):
        shape = (len(own.mask), interaction.heads, own.mask.shape[1])
        rows = best(torch.rand(shape, generator=generator), own.mask[:, None].expand(shape), interaction.keep)[0].flatten(1)
        wide = (*rows.shape, other.mask.shape[1])
        places, there = best(torch.rand(wide, generator=generator), other.mask[:, None].expand(wide), interaction.partners)
        words.append(rows)
        partners.append(places.masked_fill(~there, -1))
    return torch.cat(words, 1), torch.cat(partners, 1)
