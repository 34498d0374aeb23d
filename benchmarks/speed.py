"""Speed of one `memory.read(cues)`, and of a whole recall of real images, beside peers.

The timed unit of a read is all that a user waits for: validation, fold, read-out, potential, two best rows. Three questions:

- diffuse soft-max (beta = 0.01, standard normal rows and cues): the weight lies on very many rows;
- peaked soft-max (beta = 1, cues = stored rows + 0.3 normal noise): almost all weight lies on one;
- the 32 best rows, for both kinds of cues.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from image_recall import image_recall, recall_table
from machine import multiplies_bfloat16
from peers import naive, optional, sdpa
from report import NOT_INSTALLED, NOTHING, Section, Table, Target, milliseconds
from timing import Contender, Race, Spread, race
from torch import Tensor

from attractor import DenseMemory, Dot, Euclidean, RamBank, SoftMax
from attractor.read import Similarity

KINDS = {"diffuse": 0.01, "peaked": 1.0}
NOISE = 0.3
BEST = 32
ROUNDS_OF_SEARCHES = 3
OURS, NAIVE, SDPA, PRODUCT, FAISS, SKLEARN = "attractor", "naive", "SDPA", "one product", "FAISS", "scikit-learn"
TORCH = (NAIVE, SDPA)


@dataclass(frozen=True)
class Sizes:
    """`count` patterns of width `dim`, read for each of `batches` cues; about `seconds` for each row of a table."""

    count: int = 262_144
    dim: int = 256
    batches: tuple[int, ...] = (1, 16, 128, 512)
    search_batch: int = 128
    most_for_sklearn: int = 16
    seconds: float = 8.0
    stored: int = 1000
    recalled: int = 100
    recalled_by_torchhd: int = 4


QUICK = Sizes(count=32_768, dim=64, batches=(1, 16), search_batch=16, seconds=0.3, recalled=20, recalled_by_torchhd=1)


@dataclass(frozen=True)
class Rows:
    """Stored rows and the cues to read them with."""

    patterns: Tensor
    squared_norms: Tensor
    random: Tensor
    near: Tensor

    @classmethod
    def of(cls, sizes: Sizes) -> Rows:
        generator = torch.Generator().manual_seed(0)
        patterns = torch.randn(sizes.count, sizes.dim, generator=generator)
        most = max(*sizes.batches, sizes.search_batch)
        random = torch.randn(most, sizes.dim, generator=generator)
        near = patterns[torch.randint(sizes.count, (most,), generator=generator)]
        near = near + NOISE * torch.randn(near.shape, generator=generator)
        return cls(patterns, patterns.square().sum(-1), random, near)

    def cues(self, kind: str, batch: int) -> Tensor:
        return (self.random if kind == "diffuse" else self.near)[:batch]


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    rows = Rows.of(sizes)
    reads: list[dict[str, Any]] = []
    first: list[dict[str, Any]] = []
    searches: list[dict[str, Any]] = []
    for similarity in (Euclidean(), Dot()):
        flat, brute = faiss_index(rows, similarity), sklearn_index(rows, similarity)
        for kind in KINDS:
            memory, begun = new_memory(rows, similarity, kind, sizes.batches[0])
            first.append(begun)
            for batch in sizes.batches:
                say(f"speed: {similarity.name}, {kind}, {batch} cues")
                reads.append(one_read(memory, rows, kind, batch, sizes, flat, brute))
        for kind in KINDS:
            say(f"speed: {similarity.name}, {BEST} best of {kind} cues")
            searches.append(one_search(memory.bank, rows, similarity, kind, sizes, flat))
    say("speed: recall of MNIST")
    recalls = image_recall(sizes.stored, sizes.recalled, sizes.recalled_by_torchhd, sizes.seconds)
    tables = [read_table(reads, sizes), first_table(first), search_table(searches, sizes), recall_table(recalls, sizes.stored)]
    figures = {"reads": reads, "first": first, "searches": searches, "recalls": recalls}
    return Section("Speed", tables, targets(reads, searches), figures)


def new_memory(rows: Rows, similarity: Similarity, kind: str, batch: int) -> tuple[DenseMemory, dict[str, Any]]:
    """A memory that has been read once, and what storing and that first read, which may build the shadow, took."""
    memory = DenseMemory(rows.patterns.shape[1], similarity=similarity, separation=SoftMax(beta=KINDS[kind]))
    start = time.perf_counter()
    memory.store(rows.patterns)
    stored = time.perf_counter()
    memory.read(rows.cues(kind, batch))
    end = time.perf_counter()
    shadow = memory.bank.nbytes - stored_bytes(memory.bank) if isinstance(memory.bank, RamBank) else 0
    begun = {"similarity": similarity.name, "kind": kind, "batch": batch, "store": stored - start, "first": end - stored}
    return memory, {**begun, "patterns_bytes": rows.patterns.nbytes, "shadow_bytes": shadow}


def stored_bytes(bank: RamBank) -> int:
    """What the bank holds without its shadow."""
    return sum(buffer.nbytes for buffer in bank.buffers())


def faiss_index(rows: Rows, similarity: Similarity) -> Any:
    faiss = optional("faiss")
    if faiss is None:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = (faiss.IndexFlatL2 if isinstance(similarity, Euclidean) else faiss.IndexFlatIP)(rows.patterns.shape[1])
    index.add(rows.patterns.numpy())
    return index


def sklearn_index(rows: Rows, similarity: Similarity) -> Any:
    neighbours = optional("sklearn.neighbors")
    if neighbours is None or not isinstance(similarity, Euclidean):
        return None
    return neighbours.NearestNeighbors(n_neighbors=BEST, algorithm="brute").fit(rows.patterns.numpy())


def one_read(memory: DenseMemory, rows: Rows, kind: str, batch: int, sizes: Sizes, flat: Any, brute: Any) -> dict[str, Any]:
    cues, beta = rows.cues(kind, batch), KINDS[kind]
    norms = rows.squared_norms if isinstance(memory.similarity, Euclidean) else None
    contenders = [
        Contender(OURS, lambda: memory.read(cues)),
        Contender(NAIVE, lambda: naive(cues, rows.patterns, beta, norms)),
        Contender(SDPA, lambda: sdpa(cues, rows.patterns, beta, norms)),
        Contender(PRODUCT, lambda: cues @ rows.patterns.T),
    ]
    if flat is not None:
        contenders.append(Contender(FAISS, lambda: flat.search(cues.numpy(), BEST), ROUNDS_OF_SEARCHES))
    if brute is not None and batch <= sizes.most_for_sklearn:
        contenders.append(Contender(SKLEARN, lambda: brute.kneighbors(cues.numpy()), ROUNDS_OF_SEARCHES))
    off = memory.read(cues).values - naive(cues, rows.patterns, beta, norms)
    timed = race(contenders, sizes.seconds)
    about = {"similarity": memory.similarity.name, "kind": kind, "batch": batch, "off": float(off.abs().max())}
    return {**about, "race": timed, "best": timed.ratio(TORCH, OURS)}


def one_search(bank: Any, rows: Rows, similarity: Similarity, kind: str, sizes: Sizes, flat: Any) -> dict[str, Any]:
    cues = rows.cues(kind, sizes.search_batch)
    memory = DenseMemory(bank=bank, similarity=similarity)
    contenders = [
        Contender(OURS, lambda: memory.nearest(cues, BEST)),
        Contender("product and top-k", lambda: product_top_k(rows, cues)),
    ]
    about = {"similarity": similarity.name, "kind": kind, "batch": len(cues)}
    if flat is None:
        return {**about, "race": race(contenders, sizes.seconds)}
    contenders.append(Contender(FAISS, lambda: flat.search(cues.numpy(), BEST)))
    timed = race(contenders, sizes.seconds)
    return {**about, "race": timed, **agreement(*memory.nearest(cues, BEST), flat, cues, rows.patterns, similarity)}


def product_top_k(rows: Rows, cues: Tensor) -> object:
    return (cues @ rows.patterns.T).topk(BEST)


def agreement(scores: Tensor, ids: Tensor, flat: Any, cues: Tensor, patterns: Tensor, similarity: Similarity) -> dict[str, Any]:
    """How far our scores and those of FAISS lie from float64, in units of the last place, and how many ids they share.

    The unit is that of the largest number in the sum: a squared distance is a difference of larger numbers.
    """
    found, places = (torch.from_numpy(array) for array in flat.search(cues.numpy(), BEST))
    theirs = -found / 2 if isinstance(similarity, Euclidean) else found
    unit = 2.0**-23 * 2 ** largest_term(cues, patterns[ids], similarity).log2().floor()
    exact, theirs_exact = (similarity_in_float64(cues, patterns[rows], similarity) for rows in (ids, places))
    return {
        "ulp_between": float(((scores - theirs).abs() / unit).max()),
        "ulp_ours": float(((scores - exact).abs() / unit).max()),
        "ulp_theirs": float(((theirs - theirs_exact).abs() / unit).max()),
        "same_ids": float((ids[:, :, None] == places[:, None]).any(-1).float().mean()),
    }


def largest_term(cues: Tensor, rows: Tensor, similarity: Similarity) -> Tensor:
    product = (cues[:, None] * rows).sum(-1).abs()
    if not isinstance(similarity, Euclidean):
        return product
    halves = torch.maximum(cues.square().sum(-1)[:, None], rows.square().sum(-1)) / 2
    return torch.maximum(product, halves)


def similarity_in_float64(cues: Tensor, rows: Tensor, similarity: Similarity) -> Tensor:
    cues, rows = cues.double()[:, None], rows.double()
    return -(cues - rows).square().sum(-1) / 2 if isinstance(similarity, Euclidean) else (cues * rows).sum(-1)


def read_table(reads: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    timed_columns = ("attractor ms", "naive", "SDPA", "best of both", "one product")
    columns = ("similarity", "weights", "cues", *timed_columns, f"FAISS top-{BEST}", f"scikit-learn top-{BEST}", "off naive")
    missing = {FAISS: optional("faiss") is None, SKLEARN: optional("sklearn.neighbors") is None}
    rows = []
    for one in reads:
        timed = one["race"]
        cells = [one["similarity"], one["kind"], str(one["batch"]), milliseconds(timed.time(OURS))]
        cells += [ratio_cell(timed, NAIVE), ratio_cell(timed, SDPA), str(one["best"]), ratio_cell(timed, PRODUCT)]
        cells += [NOT_INSTALLED if missing[name] else ratio_cell(timed, name) for name in (FAISS, SKLEARN)]
        rows.append([*cells, f"{one['off']:.0e}"])
    return Table(
        f"One read of {sizes.count:,} patterns of width {sizes.dim}, float32",
        columns,
        rows,
        "Figures without a unit are the peer's time divided by attractor's in the same round, median (quartiles): above 1, "
        "attractor is faster. FAISS and scikit-learn search for the nearest rows and read nothing out. "
        "off naive: the largest difference of an entry from the naive formula in float32.",
        labels=3,
    )


def ratio_cell(timed: Race, name: str) -> str:
    return f"{timed.ratio(name, OURS).median:.2f}" if name in timed else NOTHING


def first_table(first: Sequence[dict[str, Any]]) -> Table:
    rows = []
    for one in first:
        cells = [one["similarity"], one["kind"], milliseconds(one["store"]), milliseconds(one["first"])]
        rows.append([*cells, f"{one['patterns_bytes'] / 1e6:,.0f}", f"{one['shadow_bytes'] / 1e6:,.0f}"])
    columns = ("similarity", "weights", "store ms", f"first read ms ({first[0]['batch']} cue)", "patterns MB", "shadow MB")
    note = "The first read builds the bfloat16 shadow where the processor multiplies bfloat16; later reads use it."
    return Table("What comes before", columns, rows, note, labels=2)


def search_table(searches: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    ulps = ("scores apart, ulp", "attractor off float64, ulp", "FAISS off float64, ulp")
    columns = ("similarity", "cues", "attractor ms", "product and top-k", "FAISS", "same ids", *ulps)
    rows = []
    for one in searches:
        timed = one["race"]
        cues = "random" if one["kind"] == "diffuse" else "near a stored row"
        cells = [one["similarity"], cues, milliseconds(timed.time(OURS)), ratio_cell(timed, "product and top-k")]
        if FAISS not in timed:
            rows.append([*cells, NOT_INSTALLED, *[NOTHING] * 4])
            continue
        cells += [str(timed.ratio(FAISS, OURS)), f"{one['same_ids']:.2%}"]
        rows.append([*cells, *(f"{one[key]:.1f}" for key in ("ulp_between", "ulp_ours", "ulp_theirs"))])
    note = "ulp: float32 units in the last place of the largest term of the score. product and top-k: torch, in one piece."
    return Table(f"The {BEST} best rows for {sizes.search_batch} cues", columns, rows, note, labels=2)


def targets(reads: Sequence[dict[str, Any]], searches: Sequence[dict[str, Any]]) -> list[Target]:
    def one(batch: int) -> bool:
        return batch == 1

    def several(batch: int) -> bool:
        return batch >= 16

    def worst(kind: str, wanted: Callable[[int], bool]) -> Spread | None:
        found = [row["best"] for row in reads if row["kind"] == kind and wanted(row["batch"])]
        return min(found, key=lambda spread: spread.median, default=None)

    native = multiplies_bfloat16()
    lines = [
        ("diffuse read of 1 cue: speed-up over the best of naive and SDPA, worst row", 1 / 1.05, worst("diffuse", one), True),
        ("diffuse read of 16 cues or more: the same", 1 / 1.05, worst("diffuse", several), True),
        ("peaked read of 1 cue: the same", 1.15, worst("peaked", one), native),
        ("peaked read of 16 cues or more: the same", 2.0, worst("peaked", several), native),
    ]
    over_faiss = [one["race"].ratio(FAISS, OURS) for one in searches if FAISS in one["race"]]
    slowest = min(over_faiss, key=lambda spread: spread.median, default=None)
    lines.append((f"{BEST} best rows: speed-up over FAISS flat, worst row", 8.0, slowest, native))
    found = [
        Target(claim, f">= {wanted:.2f}", str(spread), spread.median >= wanted if applies else None)
        for claim, wanted, spread, applies in lines
        if spread is not None
    ]
    if over_faiss:
        apart = max(one["ulp_between"] for one in searches if FAISS in one["race"])
        found.append(Target(f"{BEST} best rows: scores of FAISS, ulp apart", "<= 4", f"{apart:.1f}", apart <= 4))
    return found
