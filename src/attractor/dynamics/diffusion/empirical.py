"""The exact denoiser of a data set: diffusion and dense associative memory are here the same formula.

Noise smooths `K` data points into `p(x) = (1/K) sum_mu Normal(x; alpha xi_mu, sigma^2 I)`. With `b = 1 / sigma^2`

    E(x) = -sigma^2 log p(x) = -(1/b) log sum_mu exp(-(b/2) |x - alpha xi_mu|^2) + sigma^2 log K + (sigma^2 N / 2) log(2 pi sigma^2)
    D(x) = sum_mu softmax(-(b/2) |x - alpha xi|^2)_mu xi_mu,      grad log p = (alpha D - x) / sigma^2 = -grad E / sigma^2

so that one gradient step of size 1 on the energy, one Hopfield update and one optimal denoising are the same. The Hessian of `E`
is `I - C / sigma^2`, `C` the covariance of the memories `alpha xi` under the weights: at most the unit matrix.

A shift of data and samples alike changes no weight. Both are taken relative to the mean of the data: squares of far-off data would
drown their differences.

Sources: Hoover et al. 2023 (arXiv 2309.16750), Ambrogioni 2023; checked by derivation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from attractor.dynamics.diffusion.model import Noise, check_samples, directional, noise_per_sample
from attractor.read import Block, Euclidean, Read, SoftMax
from attractor.read.similarity import Cues, widened
from attractor.validation import check_count, check_floating, check_positive


class EmpiricalDenoiser(nn.Module):
    """Score, energy and density of a data set smoothed by noise, exactly.

    Args:
        patterns: `(K, *event)`, floating point and finite, copied; an `nn.Parameter` is learned like any other.
        temperature: widens the weights to `sigma^2 temperature`; 1 is the data's own density.
        block_size: rows compared at a time; changes nothing beyond rounding. Default: by a fixed budget of scores.

    All methods take samples `x (..., *event)` in the precision of the patterns, `sigma` as one number or one for each sample, and
    `alpha`, the share of the signal that is left (`attractor.dynamics.diffusion.schedules`). They are differentiable. In half
    precision they work in float32 and round their answer. Patterns that are not learned are no part of `state_dict`.

    Raises:
        TypeError: `patterns` is not a tensor.
        ValueError: integer, empty, infinite or NaN patterns, a bad temperature or block size.

    Example:
        >>> denoiser = EmpiricalDenoiser(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        >>> denoiser.denoise(torch.tensor([[0.6, 0.4]]), 0.1)
        tensor([[1., 0.]])
        >>> round(denoiser.log_prob(torch.zeros(1, 2), 1.0).item(), 4)
        -2.3379
    """

    def __init__(self, patterns: Tensor, *, temperature: float = 1.0, block_size: int | None = None):
        super().__init__()
        check_floating("patterns", patterns)
        if patterns.dim() < 2 or patterns.numel() == 0:
            raise ValueError(f"patterns must have shape (K, *event) and not be empty, got {tuple(patterns.shape)}")
        if not bool(patterns.detach().isfinite().all()):
            raise ValueError("patterns must be finite, got NaN or infinity")
        self.temperature = check_positive("temperature", temperature)
        self.block_size = None if block_size is None else check_count("block_size", block_size)
        if isinstance(patterns, nn.Parameter):
            self.patterns: Tensor = patterns
        else:
            self.register_buffer("patterns", patterns.detach().clone(), persistent=False)
        self.centre: Tensor
        # any shift is exact, so that this one need not follow patterns that learn
        self.register_buffer("centre", widened(patterns.detach()).mean(0).flatten().to(patterns.dtype), persistent=False)

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.patterns.shape[1:])

    @property
    def dim(self) -> int:
        """Number of entries of one sample, `N`."""
        return math.prod(self.event)

    def __len__(self) -> int:
        return len(self.patterns)

    def denoise(self, x: Tensor, sigma: Noise, *, alpha: float = 1.0, exclude: Tensor | None = None) -> Tensor:
        """The mean `D` of the data that can lie behind `x`, of its shape: a Hopfield update at `alpha = 1`.

        Args:
            x: `(..., *event)`.
            sigma: noise level.
            alpha: share of the signal.
            exclude: `(...)` int64, a row of the patterns for each sample that is left out (leave-one-out); -1 for none.

        Raises:
            ValueError: wrong shapes or precision, a noise level that is not positive, or nothing left after leaving out.
        """
        return self._denoise(self._widened(x, sigma), sigma, alpha, exclude).to(x.dtype)

    def _denoise(self, x: Tensor, sigma: Noise, alpha: float, exclude: Tensor | None = None) -> Tensor:
        values, _ = self._read(x, sigma, alpha, exclude=exclude)
        return (values + self.centre).reshape(x.shape)

    def score(self, x: Tensor, sigma: Noise, *, alpha: float = 1.0, exclude: Tensor | None = None) -> Tensor:
        """`grad log p(x) = (alpha D - x) / sigma^2`, of the shape of `x`."""
        wide = self._widened(x, sigma)
        clean = self._denoise(wide, sigma, alpha, exclude)
        return ((alpha * clean - wide) / noise_per_sample(wide, sigma, self.event) ** 2).to(x.dtype)

    def energy(self, x: Tensor, sigma: Noise, *, alpha: float = 1.0, exclude: Tensor | None = None) -> Tensor:
        """`E(x) = -sigma^2 log p(x)`, `(...)`; computed in float64, so that large distances leave the digits that matter."""
        return self._energy(x, sigma, alpha, exclude).to(x.dtype)

    def _energy(self, x: Tensor, sigma: Noise, alpha: float, exclude: Tensor | None) -> Tensor:
        _, potential = self._read(self._widened(x, sigma).double(), sigma, alpha, exclude=exclude)
        width = noise_per_sample(potential, sigma, ()) ** 2 * self.temperature
        count = len(self) if exclude is None else len(self) - (exclude >= 0).to(potential)
        size = torch.as_tensor(count, dtype=potential.dtype, device=x.device)
        return width * (size.log() + self.dim / 2 * (2 * math.pi * width).log() - potential)

    def log_prob(self, x: Tensor, sigma: Noise, *, alpha: float = 1.0, exclude: Tensor | None = None) -> Tensor:
        """`log p(x)`, `(...)`, in nats.

        Raises:
            ValueError: as `denoise`, or a temperature other than 1, which leaves no normalised density of this noise.
        """
        if self.temperature != 1:
            raise ValueError(f"log_prob needs temperature 1, got {self.temperature}: other weights are no density at this noise")
        energy = self._energy(x, sigma, alpha, exclude)
        return (-energy / noise_per_sample(energy, sigma, ()) ** 2).to(x.dtype)

    def covariance_product(self, x: Tensor, sigma: Noise, z: Tensor, *, alpha: float = 1.0) -> Tensor:
        """`C z`: the covariance of `alpha xi` under the weights times `z`, of the shape of `x`.

        Raises:
            ValueError: `z` has another shape than `x`, and as `denoise`.
        """
        wide = self._widened(x, sigma)
        if z.shape != x.shape:
            raise ValueError(f"z must have the shape of x {tuple(x.shape)}, got {tuple(z.shape)}")
        # the derivative of the read-out is alpha C / (alpha^2 sigma^2 T); forward mode keeps no block's weights
        change = directional(lambda state: self._denoise(state, sigma, alpha), wide, z.to(wide.dtype))
        return (change * (alpha * self.temperature) * noise_per_sample(wide, sigma, self.event) ** 2).to(x.dtype)

    def covariance(self, x: Tensor, sigma: Noise, *, alpha: float = 1.0) -> Tensor:
        """`C (..., N, N)`, one product for each of the `N` directions."""
        check_samples("x", x, self.event, self.patterns)
        directions = torch.eye(self.dim, dtype=x.dtype, device=x.device).reshape(self.dim, *self.event)
        leading = x.shape[: x.dim() - len(self.event)]
        columns = [self.covariance_product(x, sigma, one.expand_as(x), alpha=alpha) for one in directions]
        return torch.stack([column.reshape(*leading, self.dim) for column in columns], -1)

    def hessian_product(self, x: Tensor, sigma: Noise, z: Tensor, *, alpha: float = 1.0) -> Tensor:
        """The Hessian of the energy times `z`: `z - C z / (sigma^2 temperature)`."""
        variance = noise_per_sample(x, sigma, self.event) ** 2
        return (z - self.covariance_product(x, sigma, z, alpha=alpha) / (variance * self.temperature)).to(x.dtype)

    def divergence(self, x: Tensor, sigma: Noise, *, alpha: float = 1.0) -> Tensor:
        """Divergence of the score, `(tr C / (sigma^2 temperature) - N) / sigma^2`, `(...)`; from one read in float64."""
        read_out, _ = self._read(self._widened(x, sigma).double(), sigma, alpha, squares=True)
        mean, square = read_out[..., :-1], read_out[..., -1]
        trace = alpha**2 * (square - mean.square().sum(-1))
        variance = noise_per_sample(trace, sigma, ()) ** 2
        return ((trace / (variance * self.temperature) - self.dim) / variance).to(x.dtype)

    def forward(self, x: Tensor, sigma: Noise) -> Tensor:
        """`denoise`."""
        return self.denoise(x, sigma)

    def _widened(self, x: Tensor, sigma: Noise) -> Tensor:
        """`x` in float32 at least, when the patterns can be compared with it at this noise in its precision."""
        check_samples("x", x, self.event, self.patterns)
        noise_per_sample(x, sigma, self.event)
        return widened(x)

    def _read(
        self, x: Tensor, sigma: Noise, alpha: float, *, exclude: Tensor | None = None, squares: bool = False
    ) -> tuple[Tensor, Tensor]:
        """In the precision of `x`, relative to the centre: read-out `(..., N)`, and the potential `(...)`.

        The potential is `log sum exp(-|x - alpha xi|^2 / (2 sigma^2 temperature))`.
        """
        check_positive("alpha", alpha)
        leading = x.shape[: x.dim() - len(self.event)]
        cues = x.reshape(-1, self.dim) / alpha - self.centre
        level = noise_per_sample(x.new_empty(leading), sigma, ())
        sharpness = (alpha**2 / (level**2 * self.temperature)).reshape(-1, 1)
        left_out = None if exclude is None else self._excluded(exclude, leading)
        # the inverse temperature differs from cue to cue, so that it belongs to the scores
        read = Read(NoisyDistance(sharpness, left_out), SoftMax(1.0), cues, project="values" if squares else "patterns")
        size = read.rows_per_block if self.block_size is None else self.block_size
        answer = read.finish(read.fold(self._blocks(size, cues.dtype, squares)))
        return answer.values.reshape(*leading, -1), answer.potential.reshape(leading)

    def _blocks(self, size: int, dtype: torch.dtype, squares: bool) -> Iterator[Block]:
        """The patterns in blocks, less the centre; with `squares` each reads out `(xi, |xi|^2)`."""
        patterns = self.patterns.flatten(1)
        ids = torch.arange(len(patterns), device=patterns.device)
        for rows, names in zip(patterns.split(size), ids.split(size), strict=True):
            block = Block(names, rows.to(dtype) - self.centre)
            if squares:
                block = replace(block, values=torch.cat([block.patterns, block.squared_norms[:, None]], -1))
            yield block

    def _excluded(self, exclude: Tensor, leading: torch.Size) -> Tensor:
        if exclude.dtype != torch.int64 or exclude.shape != leading:
            raise ValueError(
                f"exclude must be int64 of shape {tuple(leading)}, got {exclude.dtype} of shape {tuple(exclude.shape)}"
            )
        if bool(((exclude < -1) | (exclude >= len(self))).any()):
            raise ValueError(f"exclude must hold rows below {len(self)}, or -1 for none, got {exclude.amin()} to {exclude.amax()}")
        if len(self) == 1 and bool((exclude >= 0).any()):
            raise ValueError("exclude leaves nothing: there is one pattern")
        return exclude.reshape(-1)


class NoisyDistance(Euclidean):
    """`-b |x - xi|^2 / 2` with `b (cues or 1, 1)` of each cue, and one row of each, `exclude (cues,)`, that counts for nothing."""

    FAR = -1e30
    """Finite, since a block may hold the left-out row alone: its weight must come out as zero, not as NaN."""

    def __init__(self, sharpness: Tensor, exclude: Tensor | None):
        self.sharpness = sharpness
        self.exclude = exclude

    def relative(self, cues: Cues, block: Block) -> Tensor:
        scores = super().relative(cues, block) * self.sharpness
        return scores if self.exclude is None else scores.masked_fill(block.ids == self.exclude[:, None], self.FAR)

    def offset(self, vectors: Tensor) -> Tensor:
        return super().offset(vectors) * self.sharpness
