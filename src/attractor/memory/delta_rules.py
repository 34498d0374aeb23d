"""Learning by errors in the classic Hopfield network, one task after the other, and what keeps the earlier tasks.

The thermal delta rule moves the couplings by `dW = sum (x - s') x^T exp(-|W x| / T)`, where `s' = sign(W x)` is one update of the
pattern `x` and `T` falls linearly to zero (after the thermal perceptron of Frean 1992). Errors of patterns with large fields, the
correction of which would cost the others most, weigh little. Without a temperature it is the delta rule.

Against forgetting: earlier patterns learned again with the new ones (rehearsal: join them to `patterns`), states that the network
holds instead of them (pseudorehearsal: join `stable_states`, after Robins 1995), or couplings held near their earlier values by
importance (`consolidate`, after Kirkpatrick et al. 2017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.errors import NotConvergedWarning
from attractor.memory.base import BIPOLAR
from attractor.validation import check_count, check_finite, check_floating, check_like, check_matrix


class Learned(NamedTuple):
    """What learning by errors came to.

    Attributes:
        couplings: `(d, d)`, zero on the diagonal.
        epochs: steps that were made.
        sign_changes: `(d, d)`, how often each coupling has changed its sign on the way, to zero included.
    """

    couplings: Tensor
    epochs: int
    sign_changes: Tensor


@torch.no_grad()
def learn_by_errors(
    couplings: Tensor, patterns: Tensor, *, temperature: float = math.inf, epochs: int = 1000, symmetric: bool = False
) -> Learned:
    """Move `couplings (d, d)` until every one of `patterns (n, d)` is at rest.

    A unit whose field is zero is in error: the pattern does not hold it.

    Args:
        couplings: where to start; the diagonal is set to zero.
        patterns: of -1 and 1.
        temperature: `T` at the start, in the units of `|W x|`, the norm of the fields of a pattern. Default: the delta rule.
        epochs: most steps; the temperature falls to zero along them.
        symmetric: keep symmetric couplings so, half of each step going to either side. Their network has an energy.

    Raises:
        TypeError, ValueError: ill-shaped or not finite, patterns of other values, or a setting out of its range.

    Example:
        >>> patterns = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1]])
        >>> learn_by_errors(torch.zeros(4, 4), patterns).couplings.tolist()
        [[0.0, 0.0, 0.0, -2.0], [0.0, 0.0, -2.0, 0.0], [0.0, -2.0, 0.0, 0.0], [-2.0, 0.0, 0.0, 0.0]]
    """
    check_couplings(couplings, patterns)
    check_count("epochs", epochs)
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}")
    couplings = couplings.clone().fill_diagonal_(0)
    sign_changes = torch.zeros_like(couplings)
    for epoch in range(epochs):
        fields = patterns @ couplings.T
        errors = patterns - fields.sign()
        if not bool(errors.any()):
            return Learned(couplings, epoch, sign_changes)
        weight = torch.exp(-fields.norm(dim=1, keepdim=True) / (temperature * (1 - epoch / epochs)))
        step = (errors * weight).T @ patterns
        if symmetric:
            step = (step + step.T) / 2
        moved = couplings + step.fill_diagonal_(0)
        sign_changes += moved.sign() != couplings.sign()
        couplings = moved
    unstable = int(((patterns @ couplings.T) * patterns <= 0).any(1).sum())
    if unstable:
        text = f"{unstable} of {len(patterns)} patterns are not at rest after {epochs} epochs: too many of them, or too cold"
        warnings.warn(text, NotConvergedWarning, stacklevel=2)
    return Learned(couplings, epochs, sign_changes)


@torch.no_grad()
def stable_states(couplings: Tensor, probes: Tensor, *, sweeps: int = 100, generator: torch.Generator | None = None) -> Tensor:
    """The states at rest that `probes (b, d)` settle in, each of them once, `(states, d)`; those that do not settle are left out.

    Units are updated one after the other, in random order. A zero field leaves a unit as it is; a state with one is not at rest.

    Args:
        couplings: `(d, d)`.
        probes: of -1 and 1, random ones for pseudorehearsal.
        sweeps: most updates of each unit.
        generator: of the orders.

    Raises:
        TypeError, ValueError: ill-shaped or not finite, probes of other values, or `sweeps` below 1.

    Example:
        >>> stable_states(torch.tensor([[0.0, 1], [1, 0]]), torch.tensor([[1.0, 1], [-1, -1], [-1, -1]])).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    check_couplings(couplings, probes)
    check_count("sweeps", sweeps)
    states = probes.clone()
    for _ in range(sweeps):
        before = states.clone()
        for unit in torch.randperm(len(couplings), generator=generator).tolist():
            fields = states @ couplings[unit]
            states[:, unit] = torch.where(fields == 0, states[:, unit], fields.sign())
        if torch.equal(states, before):
            break
    at_rest = ((states @ couplings.T) * states > 0).all(1)
    return states[at_rest].unique(dim=0)


def consolidate(couplings: Tensor, earlier: Sequence[tuple[Tensor, Tensor]], strength: float = 1.0) -> Tensor:
    """Couplings between what a new task wants and what earlier ones had, by importance.

    `W = (W_new + strength sum_k Omega_k W_k) / (1 + strength sum_k Omega_k)`, entry by entry: what least squares with the penalty
    `strength sum_k Omega_k (W - W_k)^2` gives.

    Args:
        couplings: `W_new (d, d)`, learned on the new task alone.
        earlier: for each earlier task its couplings `W_k (d, d)` and their importance `Omega_k (d, d)`: ones,
            `hebbian_importance`, or `1 / (1 + sign_changes)`.
        strength: of the penalty; 0 keeps the new couplings.

    Raises:
        TypeError, ValueError: ill-shaped or not finite, a negative importance or strength.

    Example:
        >>> consolidate(torch.tensor([[4.0]]), [(torch.tensor([[1.0]]), torch.tensor([[2.0]]))]).item()
        2.0
    """
    check_matrix("couplings", couplings)
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength must be a finite number of at least 0, got {strength!r}")
    total, weights = couplings, torch.ones_like(couplings)
    for values, importance in earlier:
        for name, value in (("earlier couplings", values), ("earlier importance", importance)):
            check_matrix(name, value)
            if value.shape != couplings.shape:
                raise ValueError(f"{name} must have the shape of couplings {tuple(couplings.shape)}, got {tuple(value.shape)}")
        if bool((importance < 0).any()):
            raise ValueError(f"earlier importance must not be negative, got {float(importance.min()):g}")
        total = total + strength * importance * values
        weights = weights + strength * importance
    return total / weights


def hebbian_importance(patterns: Tensor) -> Tensor:
    """How much each coupling `(d, d)` matters to `patterns (n, d)`: `|sum x x^T| / n`, from 0 to 1.

    Example:
        >>> hebbian_importance(torch.tensor([[1.0, 1, -1], [1.0, 1, 1]])).tolist()
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    check_matrix("patterns", patterns)
    return (patterns.T @ patterns).abs() / len(patterns)


def stable_share(couplings: Tensor, patterns: Tensor, *, tolerance: float = 0.02) -> float:
    """The share of `patterns (n, d)` that one update leaves as they are, up to `tolerance` of their units; a zero field is no flip.

    Example:
        >>> stable_share(torch.tensor([[0.0, 1], [1, 0]]), torch.tensor([[1.0, 1], [1, -1]]))
        0.5
    """
    check_couplings(couplings, patterns)
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance must be a share from 0 to 1, got {tolerance!r}")
    flipped = (patterns @ couplings.T) * patterns < 0
    return float((flipped.double().mean(1) <= tolerance).double().mean())


def check_couplings(couplings: Tensor, patterns: Tensor) -> None:
    check_floating("couplings", couplings)
    if couplings.dim() != 2 or couplings.shape[0] != couplings.shape[1]:
        raise ValueError(f"couplings must be square, got shape {tuple(couplings.shape)}")
    check_finite("couplings", couplings)
    check_matrix("patterns", patterns, len(couplings))
    check_like("patterns", patterns, couplings.dtype, couplings.device)
    BIPOLAR.check("patterns", patterns)
