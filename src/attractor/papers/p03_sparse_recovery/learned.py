"""What the constraints are learned from: few samples, one after the other, sparse rows; and images that obey them nearly."""

from __future__ import annotations

import time

import torch

from attractor.data import DataUnavailableError, load
from attractor.memory.sparse_recovery import (
    Denoising,
    Exact,
    Expander,
    LinearCode,
    OrthogonalIteration,
    SparseRecoveryMemory,
    random_errors,
    sparse_constraints,
)
from attractor.papers.claim import Row, unmeasured
from attractor.papers.figures import Chart, ImageGrid, grey_image
from attractor.papers.p03_sparse_recovery.claims import DIGITS, EXPANDER, LEAK, MODELS, ONLINE, ROWS, SHIFTED
from attractor.papers.p03_sparse_recovery.recovery import curve, same
from attractor.papers.p03_sparse_recovery.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson

FOUND = 1 - 1e-6
SPACES = 5
RANK, MOVED, PENALTY = 20, 10, 2 / 16
SHOWN = 5


def measure_learning(size: Size, seed: int, tell: Tell) -> Measured:
    """The leak of constraints from exactly enough samples, and how near what is learned from a stream comes."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    n, r = size.n, size.n - size.n // 2
    code = LinearCode.gaussian(n, r, generator=generator)
    span = torch.linalg.qr(code.directions.T).Q.T
    memory = SparseRecoveryMemory(n)
    memory.store(torch.randn(r, r, generator=generator, dtype=torch.float64) @ code.directions)
    data = f"{MODELS['gaussian']}, n = {n}, r = {r}"
    leak = float(torch.linalg.matrix_norm(memory.subspace.dual @ span.T, 2))
    rows = [Row(LEAK, leak, None, r, time.perf_counter() - start, data)]
    tell(0.1)
    start = time.perf_counter()
    sines = []
    for turn in range(SPACES):
        code = LinearCode.gaussian(n, r, generator=generator)
        span = torch.linalg.qr(code.directions.T).Q.T
        online = SparseRecoveryMemory(n, learning=OrthogonalIteration(r, seed=seed + turn))
        for some in code.draw(size.samples * r, generator=generator)[1].split(r):
            online.store(some)
        sines.append(float(torch.linalg.matrix_norm(online.subspace.dual @ span.T, 2)))
        tell(0.1 + 0.9 * (turn + 1) / SPACES)
    note = f"{SPACES} spaces and first weights"
    rows.append(Row(ONLINE, max(sines), None, SPACES, time.perf_counter() - start, data, note=note))
    return Measured(rows)


def measure_sparse(size: Size, seed: int, tell: Tell) -> Measured:
    """Sparse constraints found again, and expander decoding with them."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    n, m, degree = size.sparse
    true = sparse_constraints(n, m, degree, generator=generator)
    code = LinearCode.of_constraints(true)
    patterns = torch.randn(2 * n, n - m, generator=generator, dtype=torch.float64) @ code.directions
    memory = SparseRecoveryMemory(n, decoder=Expander())
    memory.store(patterns)
    alike = (true / true.norm(dim=1, keepdim=True) @ memory.subspace.rows.T).abs().amax(1)
    found, data = int((alike > FOUND).sum()), f"n = {n}, {m} constraints, {degree} of each coordinate"
    rows = [Row(ROWS, found, None, m, time.perf_counter() - start, data, note=f"{found} of {m}")]
    tell(0.9)
    start = time.perf_counter()
    hits = []
    fresh = torch.randn(size.trials, n - m, generator=generator, dtype=torch.float64) @ code.directions
    for count in size.expander:
        cues = fresh + random_errors(fresh, count, generator=generator)
        hits.append(int(same(memory.recall(cues).patterns, fresh).sum()))
    right, seconds = hits[size.expander.index(10)], time.perf_counter() - start
    rows.append(Row(EXPANDER, right / size.trials, wilson(right, size.trials), size.trials, seconds, data))
    series = (curve("two agreeing constraints", size.expander, hits, size.trials),)
    title = f"Expander decoding with learned constraints: {data}"
    return Measured(rows, [Chart("expander", title, "wrong coordinates", "share recalled", series)])


def measure_digits(size: Size, seed: int, tell: Tell) -> Measured:
    """Small images, which obey their constraints nearly: is the nearest stored one right before and after recall?"""
    try:
        images = load("digits")
    except DataUnavailableError as error:
        return Measured(unmeasured((DIGITS, SHIFTED), "digits", error))
    count, teachers = size.digits
    generator = torch.Generator().manual_seed(seed)
    patterns = images.patterns[:teachers].double()
    memory = SparseRecoveryMemory(images.dim, decoder=Denoising(PENALTY), learning=Exact(rank=RANK, centre=True))
    memory.store(patterns)
    stored = patterns[:count]
    places = torch.rand(stored.shape, generator=generator).argsort(1)[:, :MOVED]
    across = torch.where(stored.gather(1, places) > 0.5, -1.0, 1.0).double()
    either = torch.randint(0, 2, places.shape, generator=generator).double() * 2 - 1
    rows, pictures = [], {"stored": stored}
    for claim, moves in ((DIGITS, across), (SHIFTED, either)):
        start = time.perf_counter()
        cues = stored.scatter_add(1, places, moves)
        recalled = memory.recall(cues).patterns
        neighbour, found = (torch.cdist(some, stored).argmin(1) for some in (cues, recalled))
        before, after = ((each == torch.arange(count)).double() for each in (neighbour, found))
        gain, interval = mean_interval((after - before).tolist())
        note = f"{float(before.mean()):.3f} before, {float(after.mean()):.3f} after; {RANK} dimensions"
        if claim is DIGITS:
            note += "; the bar stands here, where the cues are about as hard as those of the prototype"
        seconds, baseline = time.perf_counter() - start, float(before.mean())
        rows.append(Row(claim, gain, interval, count, seconds, "scikit-learn's digits", baseline, note))
        if claim is DIGITS:
            pictures |= {"cue": cues, "nearest to cue": stored[neighbour], "recalled": recalled, "nearest to it": stored[found]}
    cells = tuple(tuple(grey_image(each[one].reshape(images.shape)[0]) for each in pictures.values()) for one in range(SHOWN))
    tell(1.0)
    return Measured(rows, [ImageGrid("digits", f"{MOVED} of 64 pixels moved", tuple(pictures), ("",) * SHOWN, cells)])
