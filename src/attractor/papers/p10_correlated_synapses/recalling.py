"""Wrong neurons after recall, with correlations ignored and known: one point of a curve, and what a curve is made of."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from attractor.memory.palimpsest import Additive, Cascade, Method, Networks, Plasticity, simulate
from attractor.papers.figures import Series
from attractor.papers.statistics import mean_interval

WAYS = ("ignored", "known")
Errors = dict[str, Any]


def plasticity(rule: str) -> Plasticity:
    """`"hebb"`, `"hebb, decay 0.95"`, `"cascade, pre"`: a rule by a few words.

    Example:
        >>> plasticity("cascade, xor"), plasticity("pre, decay 0.9")
        (Cascade('xor', levels=5, chi=0.5), Additive('pre', decay=0.9, noise=0.0))
    """
    first, _, second = rule.partition(", ")
    if first == "cascade":
        return Cascade(second)
    return Additive(first, decay=float(second.removeprefix("decay "))) if second else Additive(first)


def recalled(
    rule: str,
    size: int,
    stored: int,
    ages: tuple[int, ...],
    networks: int,
    beta: float,
    method: Method,
    ways: tuple[str, ...],
    seed: int,
) -> Errors:
    """Wrong neurons `[network][age]` after recall in these ways, of the cues, and of the nearest stored pattern."""
    made = simulate(plasticity(rule), networks=networks, size=size, stored=stored, ages=ages, seed=seed)
    errors: dict[str, Tensor] = {"cue": made.cue_errors(), "nearest": nearest_errors(made)}
    for way in ways:
        errors[way] = made.errors(made.recall(method, correlated=way == "known", beta=beta, seed=seed))
    return {name: values.tolist() for name, values in errors.items()}


def nearest_errors(networks: Networks) -> Tensor:
    """Of nearest-neighbour search on the same cues `(n, b)`."""
    nearest = torch.cdist(networks.cues, networks.patterns).argmin(-1)
    found = networks.patterns.gather(1, nearest[..., None].expand_as(networks.cues))
    return (found != networks.targets).double().mean(-1)


def per_network(errors: list[list[float]]) -> list[float]:
    """The mean over the patterns of a network: networks are independent, patterns of one are not."""
    return [fmean(row) for row in errors]


def curve(label: str, x: tuple[float, ...], points: list[list[float]]) -> Series:
    """The mean of each point with its interval."""
    found = [mean_interval(values) for values in points]
    ends = [ends or (mean, mean) for mean, ends in found]
    return Series(label, x, tuple(mean for mean, _ in found), tuple(low for low, _ in ends), tuple(high for _, high in ends))
