"""Fitting the feature map of a kernel to the rows of a bank."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attractor.bank import Bank
from attractor.errors import CapacityWarning
from attractor.memory.base import repeated_rows
from attractor.memory.kernel.bank import FeatureBank
from attractor.memory.kernel.codes import separation_upper_bound
from attractor.memory.kernel.learning import KernelLearning
from attractor.memory.kernel.report import closest_pairs, gap
from attractor.read import FeatureMap, Kernel, Linear
from attractor.read.kernel import unit
from attractor.read.similarity import widened
from attractor.validation import finite, shorten

Progress = Callable[[float], None]
"""Called with the fraction that is done."""
ROWS_AT_ONCE = 2**14


@dataclass(frozen=True)
class KernelFit:
    """How a kernel was learned.

    Attributes:
        losses: one of each step of the run that was kept.
        before, after: the separation `1 - max cos` of the stored memories' unit features.
    """

    losses: tuple[float, ...]
    before: float
    after: float

    def __repr__(self) -> str:
        return f"KernelFit(separation {self.before:.4g} -> {self.after:.4g} in {len(self.losses)} steps)"


def fit_kernel(kernel: Kernel, bank: Bank, method: KernelLearning, *, seed: int = 0, progress: Progress | None = None) -> KernelFit:
    """Learn the feature map of `kernel` from the rows of `bank`, in place once all is done.

    A map that is not of this library is trained from where it stands, with neither centre nor whitening.

    Args:
        method: how.
        seed: of first weights, batches and damages.
        progress: told of the fraction that is done.

    Raises:
        ValueError: fewer than two memories or none that differ, memories without features, `whiten` where it does not apply, or a
            learning rate at which the map diverges.
    """
    if len(bank) < 2:
        raise ValueError(f"the memory must hold at least 2 patterns to learn from, it has {len(bank)}")
    before = smallest_separation(kernel, bank)
    if warn_of_duplicates(bank) == len(bank) - 1:
        raise ValueError(f"the memory must hold patterns that differ, all {len(bank)} are the same")
    with torch.inference_mode(False):
        learned, losses = best_of_restarts(kernel, bank, method, torch.Generator().manual_seed(seed), progress)
    if not all(finite(rows) for rows in mapped_rows(learned, bank)):
        raise ValueError(f"learning_rate must be lower than {method.learning_rate}: the learned features are not finite")
    after = smallest_separation(Kernel(learned, kernel.normalize), bank)
    kernel.feature_map.load_state_dict(learned.state_dict())
    if method.wanted is not None and after < method.wanted:
        warn_out_of_reach(kernel, bank, method.wanted, after)
    return KernelFit(tuple(losses), before, after)


def best_of_restarts(
    kernel: Kernel, bank: Bank, method: KernelLearning, generator: torch.Generator, progress: Progress | None
) -> tuple[nn.Module, list[float]]:
    """A trained copy of the map, of the lowest last loss, and its losses."""
    if method.whiten and not isinstance(kernel.feature_map, Linear):
        raise ValueError(f"whiten must be False for {kernel.feature_map!r}: only a linear or affine map can take it in")
    start: nn.Module = copy.deepcopy(kernel.feature_map)
    fresh = isinstance(start, FeatureMap) and method.restarts > 0
    if isinstance(start, FeatureMap) and fresh:
        standardise(start, bank)
    runs = method.restarts if fresh else 1
    best: tuple[nn.Module, list[float]] | None = None
    for run in range(runs):
        trial = copy.deepcopy(start)
        if isinstance(trial, FeatureMap) and fresh:
            trial.reset(generator)

        def tell(done: float, run: int = run) -> None:
            if progress is not None:
                progress((run + done) / runs)

        if method.whiten:
            losses = train_whitened(trial, bank, method, generator, tell)
        else:
            losses = train(trial, draws(bank, method, generator), method, generator, tell)
        if best is None or losses[-1] < best[1][-1]:
            best = trial, losses
    assert best is not None
    return best


@torch.enable_grad()
def train(
    feature_map: nn.Module, draw: Callable[[], Tensor], method: KernelLearning, generator: torch.Generator, tell: Progress
) -> list[float]:
    """Descend in place; gives the loss before each step."""
    kernel = Kernel(feature_map)
    optimiser = method.optimiser([parameter for parameter in feature_map.parameters() if parameter.requires_grad])
    losses = []
    for step in range(method.steps):
        for group in optimiser.param_groups:
            group["lr"] = method.rate(step)
        loss = method.loss(kernel.features, draw(), step, generator)
        if not bool(loss.isfinite()):
            raise ValueError(
                f"learning_rate must be lower than {method.learning_rate}: the loss is {float(loss.detach())} at step {step}"
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        tell((step + 1) / method.steps)
    return losses


def train_whitened(
    feature_map: nn.Module, bank: Bank, method: KernelLearning, generator: torch.Generator, tell: Progress
) -> list[float]:
    """Descend from whitened memories, `U` of `X = U S V^T`, and take `V S^-1` into the map."""
    assert isinstance(feature_map, Linear)
    rows = (all_patterns(bank) - feature_map.centre) / feature_map.scale
    left, singular, right = torch.linalg.svd(rows.double(), full_matrices=False)
    rank = int((singular > singular[0] * torch.finfo(torch.float32).eps * max(rows.shape)).sum())
    white = left[:, :rank].to(rows.dtype)
    inner = type(feature_map)(rank, feature_map.features)
    inner.to(white)
    inner.reset(generator)
    losses = train(inner, lambda: white[torch.randperm(len(white), generator=generator)[: method.batch]], method, generator, tell)
    with torch.no_grad():
        feature_map.weight.copy_(inner.weight.double() @ (right[:rank] / singular[:rank, None]))
        for name, parameter in inner.named_parameters():
            if name != "weight":
                feature_map.get_parameter(name).copy_(parameter)
    return losses


def draws(bank: Bank, method: KernelLearning, generator: torch.Generator) -> Callable[[], Tensor]:
    """What gives the memories of each step."""
    if method.batch is None or method.batch >= len(bank):
        everything = all_patterns(bank)
        return lambda: everything
    ids, size = bank.ids(), method.batch
    return lambda: trainable(bank.get(ids[torch.randperm(len(ids), generator=generator)[:size]]).patterns)


def all_patterns(bank: Bank) -> Tensor:
    return trainable(bank.get(bank.ids()).patterns)


def trainable(patterns: Tensor) -> Tensor:
    """Patterns that gradients can be taken at, wherever they were stored."""
    return widened(patterns.clone() if patterns.is_inference() else patterns)


@torch.no_grad()
def standardise(feature_map: FeatureMap, bank: Bank) -> None:
    """Set the mean of the memories as the map's centre, and their mean distance from it as its scale."""
    blocks = (widened(block.patterns).double() for block in bank.blocks(ROWS_AT_ONCE))
    centre = torch.stack([rows.sum(0) for rows in blocks]).sum(0) / len(bank)
    blocks = (widened(block.patterns).double() for block in bank.blocks(ROWS_AT_ONCE))
    scale = torch.stack([(rows - centre).norm(dim=-1).sum() for rows in blocks]).sum() / len(bank)
    feature_map.centre.copy_(centre)
    feature_map.scale.copy_(scale if scale > 0 else torch.ones_like(scale))


@torch.no_grad()
def smallest_separation(kernel: Kernel, bank: Bank) -> float:
    """`1 - max cos` over the stored memories' features."""
    points = unit_features(kernel, bank)
    return gap(closest_pairs(points, 1)[0][2], points)


@torch.no_grad()
def unit_features(kernel: Kernel, bank: Bank) -> Tensor:
    """The features of all rows, at length one.

    Raises:
        ValueError: some are zero or not finite; the message names their ids.
    """
    features = torch.cat(list(mapped_rows(kernel.feature_map, bank)))
    for problem, rows in (("zero", (features == 0).all(-1)), ("what is not finite", ~features.isfinite().all(-1))):
        if bool(rows.any()):
            ids = shorten(bank.ids()[rows].tolist())
            raise ValueError(f"memories must have finite features, those with these ids map to {problem}: {ids}")
    return unit(features)


@torch.no_grad()
def mapped_rows(feature_map: nn.Module, bank: Bank) -> Iterator[Tensor]:
    """What the map gives for all rows, block by block."""
    kernel = Kernel(feature_map)
    for block in bank.blocks(ROWS_AT_ONCE):
        yield kernel.mapped(widened(block.patterns))


def warn_of_duplicates(bank: Bank) -> int:
    """Say aloud that no map separates memories that are equal; gives how many equal an earlier one."""
    again = repeated_rows(all_patterns(bank)).nonzero().flatten()
    if len(again):
        ids = shorten(bank.ids()[again].tolist())
        warnings.warn(f"no kernel separates duplicates, these ids equal an earlier memory: {ids}", CapacityWarning, stacklevel=4)
    return len(again)


def warn_out_of_reach(kernel: Kernel, bank: Bank, wanted: float, reached: float) -> None:
    """Say aloud that the code falls short, and why it may."""
    points = FeatureBank(bank, kernel)
    bound = separation_upper_bound(len(points), points.dim)
    if bound < wanted:
        reason = f"no code of {len(points)} points in {points.dim} dimensions has more than {bound:.4g}: give the map more features"
    elif isinstance(kernel.feature_map, Linear) and len(bank) > bank.dim:
        reason = f"a linear map places {len(bank)} memories of {bank.dim} entries no further: feature_map='mlp' can"
    else:
        reason = "more steps or restarts may get there"
    warnings.warn(f"the separation is {reached:.4g}, {wanted:.4g} was wanted; {reason}", CapacityWarning, stacklevel=4)
