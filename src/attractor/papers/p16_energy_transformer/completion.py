"""Completion of real digits with half of their patches hidden: against fillings that learn nothing, and against other blocks.

Patches of a sixteenth of the image, 8 of 16 hidden at random, the same masks for all methods; errors are of pixels in [0, 1].
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, ImageSet, load, nearest_neighbour
from attractor.estimators.image_completion import ImageCompletion, LoopedEncoder, harmonic, visible_mean
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import PatchMasks, masked_error, random_patch_masks
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Figure, ImageGrid, Series, grey_image
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

FEW, MANY = 400, 2000
PATCHES, HIDDEN, STEPS, LATE = 16, 8, 4, 40
DIGITS, MNIST = "digits", "mnist"
SPLITS = {DIGITS: (1397, 400), MNIST: (60_000, 10_000)}
MASKS_SEED = 1
SHOWN, WATCHED = 5, 64
ENERGY, NO_ATTENTION, NO_MEMORY, LOOPED = "energy transformer", "without attention", "without memories", "looped layer"

NOT_IN_PAPER = "the paper trains on ImageNet: the bar of this library"
IMAGENET = "ImageNet, 100 epochs; quoted from memory"
OPEN = "the authors' tutorial notes that the reconstruction belongs to the number of steps it was trained with; quoted from memory"
UNIT = "squared grey level"


def error_claim(text: str, most: float | None = None, least: float | None = None) -> Claim:
    bar = f"<= {most:g}" if most is not None else f">= {least:g}"
    return Claim(f"MNIST, half of the patches hidden: {text}: mean squared error", bar, NOT_IN_PAPER, UNIT, least, most)


def ratio_claim(text: str, published: str, source: str, most: float | None = None, least: float | None = None) -> Claim:
    return Claim(text, published, source, "times", least, most)


ERRORS = {
    (ENERGY, FEW): error_claim(f"energy transformer after {FEW} iterations", most=0.060),
    (ENERGY, MANY): error_claim(f"energy transformer after {MANY:,} iterations", most=0.048),
    (NO_ATTENTION, FEW): error_claim(f"without attention after {FEW} iterations, no better than the mean image", least=0.062),
}
BEATEN = {
    name: ratio_claim(f"MNIST: error after {MANY:,} iterations against that of the {name}", "< 1", NOT_IN_PAPER, most=1.0)
    for name in ("mean image", "nearest neighbour")
}
ATTENTION = ratio_claim(
    f"MNIST: error with attention against that without it, {FEW} iterations", "0.31 against 0.83", IMAGENET, most=1.0
)
MEMORY = ratio_claim(f"MNIST: error with memories against that without them, {FEW} iterations", "0.31 against 0.31", IMAGENET)
AGAINST_LOOPED = ratio_claim(
    f"MNIST: error against that of one transformer layer, applied as often, {MANY:,} iterations", "<= 1.15", NOT_IN_PAPER, most=1.15
)
SMALLER = ratio_claim("parameters against those of the model with the transformer layer", "<= 0.6", NOT_IN_PAPER, most=0.6)
SHORTER = ratio_claim("MNIST: error after half the steps of the training against that after all", "> 1", OPEN, least=1.0)
LONGER = ratio_claim("MNIST: error after twice the steps of the training against that after all", "> 1", OPEN, least=1.0)
RISE = Claim(
    f"the energy of a trained model never rises in {LATE} steps of completion: worst rise, relative, float64",
    "no rise",
    "the paper's Lyapunov function; for finite steps it is measured, not proven",
    most=1e-9,
)
GAIN = Claim(
    f"digits, half of the patches hidden: error below that of the mean image, {FEW} iterations",
    ">= 0.20",
    NOT_IN_PAPER,
    "share",
    least=0.20,
)
PARAMETERS = Claim(
    "parameters of the image model for ImageNet",
    4_873_729,
    "counted from the published layout",
    least=4_873_729,
    most=4_873_729,
)
ON_MNIST = (*ERRORS.values(), *BEATEN.values(), ATTENTION, MEMORY, AGAINST_LOOPED, SMALLER, SHORTER, LONGER, RISE)
CLAIMS = (*ON_MNIST, GAIN, PARAMETERS)


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        mnist: test images of MNIST; 0 measures on digits only.
        trainings: independent ones for each row.
    """

    mnist: int
    trainings: int = 1


SMOKE = Size(mnist=0)
LAPTOP = Size(mnist=2000)
FULL = Size(mnist=10_000, trainings=5)


def measure_completion(size: Size, seed: int, tell: Tell) -> Measured:
    """A row for each claim; where the images or accelerate are not on this machine, rows that say so."""
    seeds = range(seed * size.trainings, (seed + 1) * size.trainings)
    share = 0.1 if size.mnist else 0.98
    try:
        gain = digits_row(seeds, lambda done: tell(share * done))
    except (DataUnavailableError, ImportError) as error:
        gain = missing(GAIN, DIGITS, str(error))
    rows: Sequence[Row] = [missing(claim, MNIST, "measured at a larger scale") for claim in ON_MNIST]
    figures: Sequence[Figure] = ()
    if size.mnist:
        try:
            rows, figures = mnist_rows(size, seeds, lambda done: tell(share + (0.98 - share) * done))
        except (DataUnavailableError, ImportError) as error:
            rows = [missing(claim, MNIST, str(error)) for claim in ON_MNIST]
    return Measured([*rows, gain, parameters_row()], figures)


def digits_row(seeds: Sequence[int], tell: Tell) -> Row:
    tests = SPLITS[DIGITS][1]
    filled = sweep(fillings, [(DIGITS, tests, seed) for seed in seeds])
    trained = sweep(learn, [(DIGITS, ENERGY, FEW, tests, seed) for seed in seeds], tell)
    gains = [1 - one["error"] / other["mean image"] for one, other in zip(trained, filled, strict=True)]
    measured, interval = mean_interval(gains)
    note = f"masked mean squared error {mean(trained, 'error'):.4f}, of the mean image {mean(filled, 'mean image'):.4f}"
    baseline = 1 - mean(filled, "nearest neighbour") / mean(filled, "mean image")
    return Row(GAIN, measured, interval, len(gains) * tests, total(trained), DIGITS, baseline, note)


def mnist_rows(size: Size, seeds: Sequence[int], tell: Tell) -> tuple[list[Row], list[Figure]]:
    kinds = [(ENERGY, FEW), (ENERGY, MANY), (NO_ATTENTION, FEW), (NO_MEMORY, FEW), (LOOPED, MANY)]
    points = [(MNIST, kind, iterations, size.mnist, seed) for kind, iterations in kinds for seed in seeds]
    # the longest first, for the sake of the last process
    points.sort(key=lambda point: -point[2])
    results = dict(zip(points, sweep(learn, points, tell), strict=True))
    trained = {one: [results[MNIST, *one, size.mnist, seed] for seed in seeds] for one in kinds}
    filled = sweep(fillings, [(MNIST, size.mnist, seed) for seed in seeds])
    n, best = size.mnist * len(seeds), trained[ENERGY, MANY]
    neighbour = mean(filled, "nearest neighbour")

    def row(claim: Claim, values: Sequence[float], runs: Sequence[dict[str, Any]], note: str = "", recall: bool = False) -> Row:
        measured, interval = mean_interval(values)
        if recall and len(runs) == 1:
            interval = (runs[0]["low"], runs[0]["high"])
        return Row(
            claim, measured, interval, n, total(runs), f"{MNIST}, {size.mnist:,} test images", neighbour if recall else None, note
        )

    def ratio(claim: Claim, runs: Sequence[dict[str, Any]], others: Sequence[float], note: str = "") -> Row:
        return row(claim, [one["error"] / other for one, other in zip(runs, others, strict=True)], runs, note)

    known = ", ".join(f"{name} {mean(filled, name):.4f}" for name in ("mean image", "harmonic in-painting", "visible mean"))
    rows = [
        row(claim, [run["error"] for run in trained[one]], trained[one], f"without learning: {known}", recall=True)
        for one, claim in ERRORS.items()
    ]
    rows += [ratio(claim, best, [one[name] for one in filled]) for name, claim in BEATEN.items()]
    others = {claim: trained[one] for claim, one in ((ATTENTION, (NO_ATTENTION, FEW)), (MEMORY, (NO_MEMORY, FEW)))}
    rows += [
        ratio(claim, trained[ENERGY, FEW], [one["error"] for one in runs], f"without: {mean(runs, 'error'):.4f}")
        for claim, runs in others.items()
    ]
    looped = trained[LOOPED, MANY]
    rows.append(ratio(AGAINST_LOOPED, best, [one["error"] for one in looped], f"the layer: {mean(looped, 'error'):.4f}"))
    counts = best[0]["parameters"], looped[0]["parameters"]
    rows.append(Row(SMALLER, counts[0] / counts[1], None, 1, 0.0, "counted", note=f"{counts[0]:,} and {counts[1]:,}"))
    for claim, steps in ((SHORTER, STEPS // 2), (LONGER, 2 * STEPS)):
        ratios = [one["by step"][steps] / one["by step"][STEPS] for one in best]
        rows.append(row(claim, ratios, best, f"{steps} steps in place of {STEPS}"))
    rise = max(one["rise"] for one in best)
    rows.append(
        Row(RISE, rise, None, WATCHED * len(best), total(best), MNIST, note=f"{WATCHED} images a model, {STEPS} steps in training")
    )
    return rows, [gallery(best[0]["pictures"]), errors_chart(best)]


def parameters_row() -> Row:
    start = time.perf_counter()
    model = VisionEnergyTransformer((3, 224, 224), 16, EnergyTransformer(768, self_attention=True, generator=torch.Generator()))
    count = sum(one.numel() for one in model.parameters())
    return Row(PARAMETERS, float(count), None, 1, time.perf_counter() - start, "none")


def split_of(data: str, tests: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Images to learn and to test with. MNIST has its own split; digits are split by the seed.

    Raises:
        DataUnavailableError: the images are not on this machine.
    """
    images, (train, most) = load(data), SPLITS[data]
    if data == MNIST:
        return images[:train], images[train : train + min(tests, most)]
    learned, tested = images.split(train, tests, seed=seed)
    return learned, tested


def masks_of(count: int) -> PatchMasks:
    return random_patch_masks(count, PATCHES, hidden=HIDDEN, generator=torch.Generator().manual_seed(MASKS_SEED))


def model_of(kind: str, images: ImageSet, seed: int) -> VisionEnergyTransformer:
    """A model of width 64 that takes 4 steps."""
    generator = torch.Generator().manual_seed(seed)
    block: EnergyTransformer | LoopedEncoder
    if kind == LOOPED:
        block = LoopedEncoder(64, heads=4, width=256, steps=STEPS, seed=seed)
    else:
        block = EnergyTransformer(
            64,
            heads=4,
            key_dim=16,
            memories=0 if kind == NO_MEMORY else 256,
            attention=kind != NO_ATTENTION,
            step_size=1.0 if kind == NO_ATTENTION else 0.1,
            steps=STEPS,
            self_attention=True,
            init="scaled",
            generator=generator,
        )
    pixels = images.patterns
    return VisionEnergyTransformer(
        images.shape, images.shape[1] // 4, block, mean=float(pixels.mean()), std=float(pixels.std()), generator=generator
    )


def learn(data: str, kind: str, iterations: int, tests: int, seed: int) -> dict[str, Any]:
    """Train a model and complete the test images.

    Returns:
        `error` and the ends `low` and `high` of its interval over the images, `parameters`, `seconds`; and for the model with the
        full energy `by step`, the errors before the first and after each of 40 steps, `rise`, and `pictures`, of bytes.
    """
    start = time.perf_counter()
    train, test = split_of(data, tests, seed)
    model, masks = model_of(kind, train, seed), masks_of(len(test))
    ImageCompletion(model, hidden=HIDDEN, iterations=iterations, seed=seed).fit(train.images)
    steps = LATE if kind == ENERGY else STEPS
    by_step = errors_by_step(model, test.images, masks, steps)
    mean_error, interval = mean_interval(by_step[STEPS].tolist())
    assert interval is not None
    found: dict[str, Any] = {"error": mean_error, "low": interval[0], "high": interval[1]}
    found |= {"parameters": sum(one.numel() for one in model.parameters()), "by step": by_step.mean(1).tolist()}
    if isinstance(model.block, EnergyTransformer) and kind == ENERGY:
        watched = model.to(torch.float64).trace(test.images[:WATCHED].double(), masks.hidden[:WATCHED], steps=LATE)
        energies = torch.stack([model.block.energy(model.block.normalize(tokens)) for tokens in watched.tokens])
        found["rise"] = float((energies.diff(dim=0) / energies[:-1].abs()).max().detach().clamp(min=0))
        found["pictures"] = pictures(model, test.images[:SHOWN].double(), masks.hidden[:SHOWN], watched.images[: STEPS + 1, :SHOWN])
    return found | {"seconds": time.perf_counter() - start}


def errors_by_step(model: VisionEnergyTransformer, images: Tensor, masks: PatchMasks, steps: int) -> Tensor:
    """Masked mean squared error `(1 + steps, n)` in float64, before the first and after each step."""
    errors = []
    for one, hidden, scored in zip(images.split(200), masks.hidden.split(200), masks.scored.split(200), strict=True):
        found = model.trace(one, hidden, steps=steps).images
        errors.append(torch.stack([masked_error(each, one, scored, model.patch_size) for each in found]))
    return torch.cat(errors, 1).double()


def fillings(data: str, tests: int, seed: int) -> dict[str, float]:
    """Errors of what learns nothing, on the same images with the same masks."""
    train, test = split_of(data, tests, seed)
    masks, size = masks_of(len(test)), test.shape[1] // 4
    model = model_of(ENERGY, train, seed)
    images, known = test.images, model.pixels(~masks.hidden)
    nearest = nearest_neighbour(test.patterns, train.patterns, known=known.flatten(1))
    found = {
        "mean image": train.images.mean(0).expand_as(images),
        "visible mean": visible_mean(images, known),
        "harmonic in-painting": harmonic(images, known),
        "nearest neighbour": train.images[nearest],
    }
    return {name: float(masked_error(filled, images, masks.scored, size).mean()) for name, filled in found.items()}


def pictures(model: VisionEnergyTransformer, images: Tensor, hidden: Tensor, found: Tensor) -> list[list[Any]]:
    """For each image: itself, what is left of it, and its completions before the first and after each step."""
    known = model.pixels(~hidden)
    cues = torch.where(known, images, 0.5)
    columns = [images, cues, *(torch.where(known, images, one) for one in found)]
    return [[grey_image(column[row, 0]) for column in columns] for row in range(len(images))]


def gallery(images: list[list[Any]]) -> ImageGrid:
    columns = ("original", "cue", *(f"step {step}" for step in range(STEPS + 1)))
    cells = tuple(tuple(tuple(tuple(line) for line in image) for image in row) for row in images)
    return ImageGrid("completion", "MNIST test digits, half of the patches hidden", columns, ("",) * len(images), cells)


def errors_chart(runs: Sequence[dict[str, Any]]) -> Chart:
    errors = [fmean(run["by step"][step] for run in runs) for step in range(1, LATE + 1)]
    series = Series("energy transformer", tuple(map(float, range(1, LATE + 1))), tuple(errors), style="line")
    title = f"the error is least at the {STEPS} steps of the training"
    return Chart("error-by-step", title, "steps", "masked mean squared error", (series,), x_scale="log")


def missing(claim: Claim, data: str, note: str) -> Row:
    return Row(claim, None, None, 0, 0.0, data, note=note)


def mean(results: Sequence[dict[str, Any]], name: str) -> float:
    return fmean(one[name] for one in results)


def total(results: Sequence[dict[str, Any]]) -> float:
    return sum(one["seconds"] for one in results)
