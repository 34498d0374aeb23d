"""Models that complete digits: their training and their errors, and the rate of learning that each is trained with.

Patches of a sixteenth of the image, 8 of 16 hidden at random, the same masks for all methods; errors are of pixels in [0, 1].
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attractor.data import ImageSet, load, nearest_neighbour
from attractor.estimators.image_completion import ImageCompletion, LoopedEncoder, harmonic, visible_mean
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import PatchMasks, masked_error, random_patch_masks
from attractor.papers.figures import grey_image
from attractor.papers.parts import Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

FEW, MANY = 400, 2000
PATCHES, HIDDEN, STEPS, LATE = 16, 8, 4, 40
DIGITS, MNIST = "digits", "mnist"
SPLITS = {DIGITS: (1397, 400), MNIST: (60_000, 10_000)}
VALIDATION = 2000
MASKS_SEED = 1
SHOWN, WATCHED = 5, 64
ENERGY, NO_ATTENTION, NO_MEMORY, LOOPED = "energy transformer", "without attention", "without memories", "looped layer"


class Recipe(NamedTuple):
    """How a model learns, `learning_rate`, and the size of a step of its descent; the looped layer has none."""

    learning_rate: float
    step_size: float | None


# chosen by `choose_rates(0)`: the least error on 2,000 of the images for learning, after 400 iterations on the others. There the
# energy transformer has 0.0550, with steps of 0.1 at best 0.0574; the layer 0.0461, at half the rate 0.0462, at twice 0.0899
OWN = Recipe(learning_rate=1.2e-2, step_size=1.0)
LAYERS = Recipe(learning_rate=1.2e-2, step_size=None)
RECIPES = {ENERGY: OWN, NO_ATTENTION: OWN, NO_MEMORY: OWN, LOOPED: LAYERS}
RATES = (1.5e-3, 3e-3, 6e-3, 1.2e-2, 2.4e-2)
CHOICES = [*((ENERGY, rate, size) for size in (0.1, 1.0) for rate in RATES), *((LOOPED, rate, None) for rate in RATES)]


def choose_rates(seed: int = 0, *, data: str = MNIST, iterations: int = FEW, tell: Tell = lambda done: None) -> dict[str, Recipe]:
    """For each of the two models the recipe of the least error on images that it did not learn from, none of them a test image."""
    points = [(data, *choice, iterations, seed) for choice in CHOICES]
    errors = dict(zip(CHOICES, sweep(validation_error, points, tell), strict=True))
    return {kind: Recipe(*min((one for one in CHOICES if one[0] == kind), key=errors.__getitem__)[1:]) for kind in (ENERGY, LOOPED)}


def validation_error(data: str, kind: str, rate: float, step_size: float | None, iterations: int, seed: int) -> float:
    """Masked mean squared error on the last of the images for learning, after a training on the others."""
    images, _ = split_of(data, 1, seed)
    held = min(VALIDATION, len(images) // 5)
    train, rest = images[:-held], images[-held:]
    model = trained(kind, train, iterations, seed, Recipe(rate, step_size))
    return float(errors_by_step(model, rest.images, masks_of(held), STEPS)[STEPS].mean())


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


def trained(kind: str, images: ImageSet, iterations: int, seed: int, recipe: Recipe | None = None) -> VisionEnergyTransformer:
    recipe = RECIPES[kind] if recipe is None else recipe
    model = model_of(kind, images, seed, recipe)
    options: dict[str, Any] = {"iterations": iterations, "learning_rate": recipe.learning_rate, "seed": seed}
    ImageCompletion(model, hidden=HIDDEN, **options).fit(images.images)
    return model


def model_of(kind: str, images: ImageSet, seed: int, recipe: Recipe | None = None) -> VisionEnergyTransformer:
    """A model of width 64 that takes 4 steps, for images with the mean and deviation of these."""
    step_size = (RECIPES[kind] if recipe is None else recipe).step_size
    generator = torch.Generator().manual_seed(seed)
    block: EnergyTransformer | LoopedEncoder
    if step_size is None:
        block = LoopedEncoder(64, heads=4, width=256, steps=STEPS, seed=seed)
    else:
        block = EnergyTransformer(
            64,
            heads=4,
            key_dim=16,
            memories=0 if kind == NO_MEMORY else 256,
            attention=kind != NO_ATTENTION,
            step_size=step_size,
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
    model, masks = trained(kind, train, iterations, seed), masks_of(len(test))
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
