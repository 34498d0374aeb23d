"""Digits: a network with feedback that classifies them, and one of the same layers that completes their lower half.

Image (64) - hidden soft-max (200, beta 4) - label soft-max (10). What is known of the image is clamped, all else starts at zero;
training unrolls 8 Euler steps of 0.5.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from attractor.data import DataUnavailableError, load, nearest_neighbour
from attractor.dynamics import Euler, relax
from attractor.energy import Connection, EnergyNetwork, Neurons
from attractor.energy.lagrangians import Identity, Softmax
from attractor.energy.synapses import Dense
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import ImageGrid, grey_image
from attractor.papers.p18_hierarchical_associative_memory.claims import (
    ABOVE_LOGISTIC,
    ACCURACY,
    COMPLETION,
    SETTLED,
    SETTLED_RISE,
    SPLITS,
    TRAINING_TIME,
)
from attractor.papers.p18_hierarchical_associative_memory.sizes import Size
from attractor.papers.p18_hierarchical_associative_memory.training import Schedule, part_of, train
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval

DATA = "digits of scikit-learn"
PIXELS, HIDDEN, CLASSES, SIDE = 64, 200, 10, 8
KNOWN = torch.arange(PIXELS) < PIXELS // 2
NOISE = 0.1
BATCH, RATE = 64, 0.01
SHOWN = 6
ROWS_AT_A_TIME = 50


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test images less `mean`, that of the training images, and their classes."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor


def measure_digits(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for all claims on digits; where the images or scikit-learn are not on this machine, rows that say so."""
    try:
        splits = [stratified(one) for one in range(seed * size.splits, (seed + 1) * size.splits)]
        logistic = [logistic_regression(split) for split in splits]
    except (DataUnavailableError, ImportError) as error:
        claims = (ACCURACY, ABOVE_LOGISTIC, SETTLED, SETTLED_RISE, SPLITS, COMPLETION, TRAINING_TIME)
        return Measured(unmeasured(claims, DATA, f"needs scikit-learn: {error}"))
    first, starts = splits[0], range(seed * size.starts, (seed + 1) * size.starts)
    runs = [(first, one) for one in starts] + [(split, starts[0]) for split in splits[1:]]
    start, networks = time.perf_counter(), []
    for number, (split, one) in enumerate(runs):
        networks.append(trained_classifier(split, size, one, part_of(tell, number, len(runs) + 1)))
    seconds = (time.perf_counter() - start) / len(runs)
    rates = [accuracy(network, split) for network, (split, _) in zip(networks, runs, strict=True)]
    of_splits = [rates[0], *rates[size.starts :]]
    completed = measure_completion(first, size, seed, part_of(tell, len(runs), len(runs) + 1))
    both = seconds + completed.rows[0].seconds
    rows = [
        *first_split(rates[: size.starts], rate(logistic[0]), first, seconds),
        *settle(networks[: size.starts], first),
        mean_row(SPLITS, of_splits, seconds, f"; logistic regression {fmean(map(rate, logistic)):.4f} in the mean"),
        *completed.rows,
        Row(TRAINING_TIME, both, None, 1, both, DATA, note=f"{size.epochs} epochs each, one start, the test included"),
    ]
    return Measured(rows, completed.figures)


def first_split(rates: list[float], logistic: float, split: Split, seconds: float) -> list[Row]:
    """The accuracies of all starts, and how many images more than logistic regression gets right they stand for."""
    neighbours = split.labels[nearest_neighbour(split.test_images, split.images)] == split.test_labels
    found = mean_row(ACCURACY, rates, seconds, f"; logistic regression {logistic:.4f}")
    more, interval = mean_interval([(one - logistic) * len(split.test_labels) for one in rates])
    above = Row(ABOVE_LOGISTIC, more, interval, len(rates), found.seconds, DATA)
    return [replace(found, baseline=rate(neighbours)), above]


def mean_row(claim: Claim, rates: list[float], seconds: float, beside: str = "") -> Row:
    """The mean of some accuracies, each of which took so many seconds."""
    mean, interval = mean_interval(rates)
    note = ", ".join(f"{one:.4f}" for one in rates) + beside
    return Row(claim, mean, interval, len(rates), seconds * len(rates), DATA, note=note)


def accuracy(network: EnergyNetwork, split: Split) -> float:
    return rate(classify(network, split.test_images).argmax(-1) == split.test_labels)


def rate(right: Tensor) -> float:
    return float(right.double().mean())


def stratified(seed: int) -> Split:
    """Three quarters of each class to train with, a quarter to test."""
    from sklearn.model_selection import train_test_split

    digits = load("digits")
    assert digits.labels is not None
    classes = digits.labels.numpy()
    train_rows, test_rows = train_test_split(range(len(digits)), test_size=0.25, random_state=seed, stratify=classes)
    training, test = digits[train_rows], digits[test_rows]
    assert training.labels is not None and test.labels is not None
    mean = training.patterns.mean(0)
    return Split(training.patterns - mean, training.labels, test.patterns - mean, test.labels, mean)


def logistic_regression(split: Split) -> Tensor:
    """Which test images it gets right."""
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(max_iter=1000).fit(split.images.numpy(), split.labels.numpy())
    return torch.from_numpy(found.predict(split.test_images.numpy())) == split.test_labels


def three_layers(generator: torch.Generator) -> EnergyNetwork:
    neurons = {
        "image": Neurons(Identity(), PIXELS),
        "hidden": Neurons(Softmax(beta=4.0), HIDDEN),
        "label": Neurons(Softmax(), CLASSES),
    }
    lower, upper = Dense(PIXELS, HIDDEN, generator=generator), Dense(HIDDEN, CLASSES, generator=generator)
    return EnergyNetwork(neurons, [Connection(lower, ("image", "hidden")), Connection(upper, ("hidden", "label"))])


def trained_classifier(split: Split, size: Size, seed: int, tell: Tell) -> EnergyNetwork:
    generator = torch.Generator().manual_seed(seed)
    network = three_layers(generator)

    def loss(rows: Tensor) -> Tensor:
        images = noisy(split.images[rows], generator)
        return nll_loss(classify(network, images, differentiable=True).log(), split.labels[rows])

    train(network, loss, len(split.images), Schedule(size.epochs, BATCH, RATE), generator=generator, tell=tell)
    return network


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    return images + NOISE * torch.randn(images.shape, generator=generator)


def classify(network: EnergyNetwork, images: Tensor, *, differentiable: bool = False) -> Tensor:
    """The probabilities `(b, 10)` of the classes: activations of the label layer."""
    start = network.initial(image=images)
    found = relax(network, start, Euler(0.5), clamp={"image"}, tol=0, max_steps=8, differentiable=differentiable)
    return network.activations(found.state)["label"]


def settle(networks: list[EnergyNetwork], split: Split) -> list[Row]:
    """The classes after 400 steps of 0.1, and the worst rise of the energy along them."""
    start = time.perf_counter()
    found = [settled(network, split) for network in networks]
    seconds = (time.perf_counter() - start) / len(found)
    worst = max(rise for _, rise in found)
    return [
        mean_row(SETTLED, [right for right, _ in found], seconds),
        Row(SETTLED_RISE, worst, None, len(found) * len(split.test_labels), seconds * len(found), DATA),
    ]


def settled(network: EnergyNetwork, split: Split) -> tuple[float, float]:
    """The accuracy of one network that has settled, and the worst rise of its energy, in float64."""
    network = copy.deepcopy(network).double()
    right, worst = [], 0.0
    parts = zip(split.test_images.double().split(ROWS_AT_A_TIME), split.test_labels.split(ROWS_AT_A_TIME), strict=True)
    for images, labels in parts:
        found = relax(network, network.initial(image=images), Euler(0.1), clamp={"image"}, tol=0, max_steps=400, trace=True)
        assert found.trace is not None
        worst = max(worst, float(found.trace.energy.diff(dim=0).max()))
        right.append(network.activations(found.state)["label"].argmax(-1) == labels)
    return rate(torch.cat(right)), worst


def measure_completion(split: Split, size: Size, seed: int, tell: Tell) -> Measured:
    """Train the layers to complete the lower half, with the upper one clamped, and compare."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    network = three_layers(generator)

    def loss(rows: Tensor) -> Tensor:
        found = complete(network, noisy(split.images[rows], generator), differentiable=True)
        return lower_error(found, split.images[rows]).mean()

    train(network, loss, len(split.images), Schedule(size.epochs, BATCH, RATE), generator=generator, tell=tell)
    found = complete(network, split.test_images)
    error, interval = mean_interval(lower_error(found, split.test_images).tolist())
    nearest = nearest_neighbour(split.test_images, split.images, known=KNOWN.expand_as(split.test_images))
    neighbours = split.images[nearest]
    baseline = float(lower_error(neighbours, split.test_images).mean())
    mean_image = float(lower_error(torch.zeros_like(found), split.test_images).mean())
    note = f"trained for this; the mean image {mean_image:.4f}"
    seconds = time.perf_counter() - start
    row = Row(COMPLETION, error, interval, len(found), seconds, DATA, baseline, note)
    return Measured([row], [gallery(split, found, neighbours)])


def complete(network: EnergyNetwork, images: Tensor, *, differentiable: bool = False) -> Tensor:
    """Images `(b, 64)` whose lower half the network has filled in; what stands there before is not looked at."""
    start = network.initial(image=images * KNOWN)
    found = relax(network, start, Euler(0.5), clamp={"image": KNOWN}, tol=0, max_steps=8, differentiable=differentiable)
    return found.state["image"]


def lower_error(found: Tensor, images: Tensor) -> Tensor:
    """The squared error a pixel of the lower half, `(b,)`."""
    return (found - images)[:, ~KNOWN].square().mean(-1)


def gallery(split: Split, found: Tensor, neighbours: Tensor) -> ImageGrid:
    """The first image of some classes: original, cue, completed, and the nearest neighbour of the upper half."""
    columns = {
        "original": split.test_images,
        "cue": split.test_images * KNOWN,
        "completed": found,
        "nearest\nneighbour": neighbours,
    }
    rows = [int((split.test_labels == label).nonzero()[0]) for label in range(SHOWN)]
    cells = tuple(tuple(grey_image((images[row] + split.mean).reshape(SIDE, SIDE)) for images in columns.values()) for row in rows)
    title = "Test digits, lower half unknown (shown as the mean)"
    return ImageGrid("completion", title, tuple(columns), ("",) * SHOWN, cells)
