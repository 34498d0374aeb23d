"""An Energy Transformer learns to fill in hidden patches of handwritten digits: a minute on one processor.

Half of the patches of each image are hidden. What fills them in is a descent of one energy; its states on the way are images too.
The subject of Hoover et al. 2023 (arXiv 2302.07253).

    python examples/image_completion.py [picture.png]

Needs `pip install 'attractor[demo,train]'`.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from attractor.data import load, nearest_neighbour
from attractor.estimators.image_completion import ImageCompletion
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import masked_error, random_patch_masks

PATCH, HIDDEN, SHOWN = 7, 8, 6


def main(picture: str | None = None, iterations: int = 1500) -> dict[str, float]:
    # 1. images of a package, some of them kept for the test
    train, test = load("mnist-5k").split(4500, 500, seed=0)

    # 2. a model: 16 patches become tokens, which take 4 steps down their energy
    generator = torch.Generator().manual_seed(0)
    block = EnergyTransformer(
        64, heads=4, key_dim=16, memories=256, steps=4, self_attention=True, init="scaled", generator=generator
    )
    mean, std = float(train.patterns.mean()), float(train.patterns.std())
    model = VisionEnergyTransformer(train.shape, PATCH, block, mean=mean, std=std, generator=generator)

    # 3. training, with other patches hidden each time
    completion = ImageCompletion(model, hidden=HIDDEN, iterations=iterations, progress=report)
    completion.fit(train.images)

    # 4. images that it has never seen, and what else could fill them in
    masks = random_patch_masks(len(test), model.patches, hidden=HIDDEN, generator=torch.Generator().manual_seed(1))
    known = model.pixels(~masks.hidden)
    completed = completion.predict(test.images, known)
    nearest = train.images[nearest_neighbour(test.patterns, train.patterns, known=known.flatten(1))]
    average = train.images.mean(0).expand_as(completed)
    fillings = {"energy transformer": completed, "nearest neighbour": nearest, "mean image": average}
    errors = {name: float(masked_error(one, test.images, masks.scored, PATCH).mean()) for name, one in fillings.items()}
    for name, error in errors.items():
        print(f"mean squared error of hidden pixels, {name}: {error:.4f}")

    # 5. the way down
    seen = model.trace(test.images[:SHOWN], masks.hidden[:SHOWN])
    energies = torch.stack([block.energy(block.normalize(tokens)) for tokens in seen.tokens]).detach()
    print("energy from step to step:", ", ".join(f"{energy:.0f}" for energy in energies.mean(1).tolist()))
    if picture is not None:
        shown = known[:SHOWN]
        steps = [torch.where(shown, test.images[:SHOWN], one) for one in seen.images]
        draw(picture, test.images[:SHOWN], torch.where(shown, test.images[:SHOWN], 0.5), steps)
    return errors | {"rise": float(energies.diff(dim=0).max())}


def report(done: float) -> None:
    if done == 1 or int(done * 1000) % 100 == 0:
        print(f"\rtraining {done:.0%}", end="\n" if done == 1 else "", flush=True)


def draw(picture: str, images: Tensor, cues: Tensor, steps: list[Tensor]) -> None:
    from matplotlib.figure import Figure

    columns = {"original": images, "cue": cues} | {f"step {number}": one for number, one in enumerate(steps)}
    figure = Figure(figsize=(1.3 * len(columns), 1.35 * len(images)), layout="constrained")
    grid = figure.subplots(len(images), len(columns))
    for column, (title, pictures) in enumerate(columns.items()):
        for row, image in enumerate(pictures):
            grid[row, column].imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1)
            grid[row, column].axis("off")
        grid[0, column].set_title(title)
    figure.savefig(picture, dpi=120)
    print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
