"""Completion of real digits with half of their patches hidden: against fillings that learn nothing, and against other blocks.

What is trained, and how, stands in `completion_models`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from attractor.data import DataUnavailableError
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Figure, ImageGrid, Series
from attractor.papers.p16_energy_transformer.completion_models import (
    DIGITS,
    ENERGY,
    FEW,
    LATE,
    LOOPED,
    MANY,
    MNIST,
    NO_ATTENTION,
    NO_MEMORY,
    RECIPES,
    SPLITS,
    STEPS,
    WATCHED,
    fillings,
    learn,
)
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

NOT_IN_PAPER = "the paper trains on ImageNet: the bar of this library"
IMAGENET = "ImageNet, 100 epochs; quoted from memory"
OPEN = "the authors' tutorial notes that the reconstruction belongs to the number of steps it was trained with; quoted from memory"
UNIT = "squared grey level"
OF_THE_BAR = (
    "the bar was set where pixels are not normalised: there the layer reaches .041 (one training), with normalised ones far less"
)


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
    f"MNIST: error with attention against that without it, {FEW} iterations", "0.31 against 0.83", IMAGENET, most=0.95
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
LAPTOP = Size(mnist=2000, trainings=2)
FULL = Size(mnist=10_000, trainings=5)


def measure_completion(size: Size, seed: int, tell: Tell) -> Measured:
    """A row for each claim; where the images or accelerate are not on this machine, rows that say so."""
    seeds = range(seed * size.trainings, (seed + 1) * size.trainings)
    share = 0.1 if size.mnist else 0.98
    try:
        gain = digits_row(seeds, lambda done: tell(share * done))
    except (DataUnavailableError, ImportError) as error:
        gain = Row.unmeasured(GAIN, DIGITS, needed(error))
    rows: Sequence[Row] = unmeasured(ON_MNIST, MNIST, "measured at a larger scale")
    figures: Sequence[Figure] = ()
    if size.mnist:
        try:
            rows, figures = mnist_rows(size, seeds, lambda done: tell(share + (0.98 - share) * done))
        except (DataUnavailableError, ImportError) as error:
            rows = unmeasured(ON_MNIST, MNIST, needed(error))
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
    note = f"the layer: {mean(looped, 'error'):.4f}; {OF_THE_BAR}; {chosen(ENERGY)}; {chosen(LOOPED)}"
    rows.append(ratio(AGAINST_LOOPED, best, [one["error"] for one in looped], note))
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


def chosen(kind: str) -> str:
    rate, size = RECIPES[kind]
    return f"{kind}: learning rate {rate:g}" + ("" if size is None else f", steps of {size:g}")


def parameters_row() -> Row:
    start = time.perf_counter()
    model = VisionEnergyTransformer((3, 224, 224), 16, EnergyTransformer(768, self_attention=True, generator=torch.Generator()))
    count = sum(one.numel() for one in model.parameters())
    return Row(PARAMETERS, float(count), None, 1, time.perf_counter() - start, "none")


def gallery(images: list[list[Any]]) -> ImageGrid:
    columns = ("original", "cue", *(f"step {step}" for step in range(STEPS + 1)))
    cells = tuple(tuple(tuple(tuple(line) for line in image) for image in row) for row in images)
    return ImageGrid("completion", "MNIST test digits, half of the patches hidden", columns, ("",) * len(images), cells)


def errors_chart(runs: Sequence[dict[str, Any]]) -> Chart:
    errors = [fmean(run["by step"][step] for run in runs) for step in range(1, LATE + 1)]
    series = Series("energy transformer", tuple(map(float, range(1, LATE + 1))), tuple(errors), style="line")
    title = f"the error is least at the {STEPS} steps of the training"
    return Chart("error-by-step", title, "steps", "masked mean squared error", (series,), x_scale="log")


def needed(error: ImportError | DataUnavailableError) -> str:
    """What has to be installed; an import that fails for another reason is a defect."""
    if isinstance(error, ImportError) and error.name != "accelerate":
        raise error
    return str(error)


def mean(results: Sequence[dict[str, Any]], name: str) -> float:
    return fmean(one[name] for one in results)


def total(results: Sequence[dict[str, Any]]) -> float:
    return sum(one["seconds"] for one in results)
