"""Draws the pictures of the pages on ideas: `python docs/draw.py`. What it writes, in `docs/images`, is committed."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from matplotlib.colors import PowerNorm

from attractor import CapacityWarning, DenseMemory, Dot, Entmax, Polynomial, SoftMax, Sparsemax, TopK
from attractor.app.basins import Window, measure_basins
from attractor.app.figures import COLOURS, MARKERS, new_figure, save
from attractor.app.landscape import contours, draw_ways, extent, ring, starts
from attractor.read import Block, Read

IMAGES = Path(__file__).parent / "images"
BETAS = (2.0, 6.0, 20.0)
SCORES = torch.linspace(1, 0.1, 10, dtype=torch.float64)[:, None]
SEPARATIONS = (SoftMax(5.0), Entmax(1.5, 5.0), Sparsemax(5.0), TopK(3, 5.0), Polynomial(5))


def landscape() -> Path:
    """Five memories on a ring at several inverse temperatures, with the ways that recall takes."""
    figure = new_figure(9.6, 3.6)
    for ax, beta in zip(figure.subplots(1, len(BETAS)), BETAS, strict=True):
        memory = DenseMemory(2, separation=SoftMax(beta))
        memory.store(ring(5))
        basins = measure_basins(memory, Window.around(ring(5)), resolution=120)
        ax.imshow(basins.energy.numpy(), extent=extent(basins.window), origin="lower", cmap="cividis", norm=PowerNorm(0.5))
        contours(ax, basins, "white", 0.45)
        draw_ways(ax, memory, starts(basins.window))
        ax.set_title(f"beta = {beta:g}")
        ax.set_xticks([])
        ax.set_yticks([])
    return save(figure, IMAGES / "landscape.png")


def separations() -> Path:
    """The share of each of ten scores in what is read out."""
    figure = new_figure(8.5, 4.2)
    ax = figure.subplots()
    block = Block(torch.arange(len(SCORES)), SCORES, torch.eye(len(SCORES), dtype=torch.float64))
    for place, separation in enumerate(SEPARATIONS):
        read = Read(Dot(), separation, torch.ones(1, 1, dtype=torch.float64), project="values")
        weights = read.finish(read.fold([block])).values[0]
        style = {"color": COLOURS[place], "marker": MARKERS[place], "label": repr(separation)}
        ax.plot(SCORES[:, 0].tolist(), (weights / weights.sum()).tolist(), **style)
    ax.set_xlabel("score of a pattern")
    ax.set_ylabel("its share of the read-out")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return save(figure, IMAGES / "separations.png")


if __name__ == "__main__":
    warnings.simplefilter("ignore", CapacityWarning)  # that memories blend at a small beta is what the picture shows
    for path in (landscape(), separations()):
        print(path)
