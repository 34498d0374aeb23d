"""What a predictive coding network is compared with: an autoencoder of its size, and projections on the stored patterns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

RATE = 3e-4
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@torch.enable_grad()
def trained_autoencoder(
    patterns: Tensor, width: int, steps: int, seed: int, tell: Callable[[float], None]
) -> Callable[[Tensor], Tensor]:
    """An autoencoder with three hidden layers of this width, as many weights twice over, by backpropagation and Adam."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dim = patterns.shape[1]
        layers = (nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        network = nn.Sequential(*layers, nn.Linear(width, dim))
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    for step in range(steps):
        optimiser.zero_grad()
        (network(patterns) - patterns).square().mean().backward()
        optimiser.step()
        tell((step + 1) / steps)
    network.requires_grad_(False)

    def rebuild(cues: Tensor) -> Tensor:
        return torch.as_tensor(network(cues))

    return rebuild


def iterated(rebuild: Callable[[Tensor], Tensor], cues: Tensor, known: Tensor, passes: int) -> Tensor:
    """What an autoencoder makes of a cue fed back so many times; what is known is put in again."""
    state = torch.where(known, cues, 0)
    for _ in range(passes):
        state = torch.where(known, cues, rebuild(state))
    return state


def projected(patterns: Tensor, cues: Tensor, known: Tensor, ridge: float) -> Tensor:
    """The mixture of the patterns nearest to what is known, one mask for all cues; `ridge` shrinks its weights."""
    mask = known[0]
    seen = patterns[:, mask].double()
    gram = seen @ seen.T + ridge * torch.eye(len(patterns), dtype=torch.float64)
    weights = torch.linalg.lstsq(gram, seen @ cues[:, mask].double().T, driver="gelsd").solution.T
    return (weights @ patterns.double()).to(patterns.dtype)
