"""The ODE solvers of `torchdiffeq` (extra `ode`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

States = tuple[Tensor, ...]


def odeint(
    velocity: Callable[[float, States], States], start: States, times: Tensor, *, leading: int, **options: Any
) -> tuple[Tensor, ...]:
    """The states at `times`, each `(times, *shape)`.

    The step of an adaptive method is the same for all samples, and that of the one which needs the smallest.

    Args:
        velocity: `velocity(t, states)`.
        start: tensors that share their first `leading` dimensions, which count samples.
        times: `(times,)`, the first that of `start`.
        leading: how many dimensions count samples.
        options: `method`, `rtol`, `atol`, `options` as `torchdiffeq.odeint` takes them.

    Raises:
        ImportError: torchdiffeq is missing.
    """
    if options.get("method") == "dopri5":

        def largest_of_samples(states: States) -> Tensor:
            units = torch.cat([one.reshape(*one.shape[:leading], -1) for one in states], -1)
            return units.square().mean(-1).amax().sqrt()

        options["options"] = {**options.get("options", {}), "norm": largest_of_samples}
    found: States = torchdiffeq().odeint(lambda t, states: velocity(float(t), states), start, times, **options)
    return found


def torchdiffeq() -> Any:
    """The package, or an error that says how to get it."""
    try:
        import torchdiffeq as package
    except ImportError as error:
        raise ImportError("integration needs torchdiffeq: pip install 'attractor[ode]'") from error
    return package
