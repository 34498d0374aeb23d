"""Norms as Lagrangians: the activation is the direction of the state, or the state with its mean and scale taken out.

Closed forms throughout; conjugates obey `L*(g(x)) = x.g(x) - L(x)` for every `x`.

Sources: the table of Krotov and Hopfield 2021 (arXiv 2008.06996); Hoover et al. 2022 (layer norm); Fanaskov and Oseledets 2024
(arXiv 2410.13866) for flat directions and conjugates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attractor.energy.collective import Collective, check_sums
from attractor.energy.tempered import as_number, rounding, set_scale, set_tensor, total, within
from attractor.read.similarity import widened
from attractor.validation import check_count, check_not_negative


class Spherical(Collective):
    """`L = sqrt(|x|^2 + eps)`, `g = x / sqrt(|x|^2 + eps)`: the direction of the state.

    With `eps = 0` the length of the state changes nothing, and at the origin, where there is no direction, activation and
    Hessian are taken as zero.

    Args:
        eps: >= 0.
        dims: how many of the last dimensions make up a vector; by default the whole layer is one.

    Raises:
        TypeError, ValueError: a negative `eps`, `dims` no positive integer; when used, more `dims` than a layer has.

    Example:
        >>> import torch
        >>> Spherical(eps=0.0).activation(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """

    def __init__(self, eps: float = 1e-5, *, dims: int | None = None):
        super().__init__()
        self.eps = check_not_negative("eps", eps)
        self.dims = None if dims is None else check_count("dims", dims)

    def axes(self, x: Tensor) -> tuple[int, ...]:
        return last_axes(x, self.dims)

    def value(self, x: Tensor) -> Tensor:
        return total(self._direction(x)[1])

    def activation(self, x: Tensor) -> Tensor:
        return self._direction(x)[0].to(x.dtype)

    def hvp(self, x: Tensor, z: Tensor) -> Tensor:
        g, length = self._direction(x)
        return over(z - g * (g * z).sum(self.axes(x), keepdim=True), length).to(x.dtype)

    @property
    def curvature_bound(self) -> float:
        return 1 / math.sqrt(self.eps) if self.eps else math.inf

    def jumps(self, x: Tensor, near: float) -> Tensor:
        if self.eps:
            return super().jumps(x, near)
        axes = self.axes(x)
        return (self._direction(x)[1] <= near * math.prod(x.shape[axis] for axis in axes) ** 0.5).flatten(1).any(1)

    def conjugate(self, g: Tensor) -> Tensor:
        slack = rounding(g.dtype)
        g = within(self, g, low=-1.0, high=1.0)
        square = g.square().sum(self.axes(g), keepdim=True)
        check_sums(self, square.sqrt(), square > 1 + slack, "have a length of 1 at most")
        return -total(root(self.eps * (1 - square).clamp(min=0)))

    def flat(self, x: Tensor) -> list[Tensor]:
        return [] if self.eps else [self.activation(x)]

    def extra_repr(self) -> str:
        return f"eps={self.eps}" + ("" if self.dims is None else f", dims={self.dims}")

    def _direction(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The activation, and the length that the state was divided by."""
        axes = self.axes(x)
        scaled, scale, floor = to_unit_size(x, axes, self.eps)
        length = root(scaled.square().sum(axes, keepdim=True) + floor)
        return over(scaled, length), scale * length


class LayerNorm(Collective):
    """`L = D gamma sqrt(var(x) + eps) + delta.x`, `g = gamma (x - mean(x)) / sqrt(var(x) + eps) + delta`, in groups of `D` entries.

    The variance is the biased one, as in `torch.nn.LayerNorm`. A constant added to a group changes nothing; with `eps = 0` neither
    does the scale of `x - mean(x)`, and where that is no more than rounding of `x` its normalised form is taken as zero.

    Args:
        gamma: scale, > 0; a number, tensor or parameter.
        delta: shift; a number, or a tensor or parameter that broadcasts to the shape of the layer.
        eps: >= 0.
        dims: how many of the last dimensions make up a group; by default the whole layer is one.

    Raises:
        TypeError, ValueError: `gamma` is not a positive finite number, `delta` not finite, `eps` negative, `dims` no positive
            integer; when used, more `dims` than a layer has, or a `delta` that does not broadcast to its shape.

    Example:
        >>> import torch
        >>> LayerNorm(eps=0.0).activation(torch.tensor([[1.0, 3.0]]))
        tensor([[-1.,  1.]])
    """

    gamma: float | Tensor
    delta: float | Tensor

    def __init__(self, gamma: float | Tensor = 1.0, *, delta: float | Tensor = 0.0, eps: float = 1e-5, dims: int | None = None):
        super().__init__()
        set_scale(self, "gamma", gamma)
        if isinstance(delta, Tensor):
            if not delta.is_floating_point() or not bool(delta.isfinite().all()):
                raise ValueError(f"delta must be floating point and finite, got {delta.dtype} of shape {tuple(delta.shape)}")
            set_tensor(self, "delta", delta)
        elif isinstance(delta, bool) or not isinstance(delta, (int, float)):
            raise TypeError(f"delta must be a number or a tensor, got {type(delta).__name__}")
        elif not math.isfinite(delta):
            raise ValueError(f"delta must be finite, got {delta!r}")
        else:
            self.delta = float(delta)
        self.eps = check_not_negative("eps", eps)
        self.dims = None if dims is None else check_count("dims", dims)

    def axes(self, x: Tensor) -> tuple[int, ...]:
        shape = x.shape[1:]
        if isinstance(self.delta, Tensor) and not broadcasts(self.delta.shape, shape):
            raise ValueError(f"delta must broadcast to a layer of shape {tuple(shape)}, got shape {tuple(self.delta.shape)}")
        return last_axes(x, self.dims)

    def value(self, x: Tensor) -> Tensor:
        _, deviation = self._normalised(x)
        return total(self._size(x) * self.gamma * deviation) + total(self.delta * widened(x))

    def activation(self, x: Tensor) -> Tensor:
        normal, _ = self._normalised(x)
        return (self.gamma * normal + self.delta).to(x.dtype)

    def hvp(self, x: Tensor, z: Tensor) -> Tensor:
        normal, deviation = self._normalised(x)
        axes = self.axes(x)
        across = centred(widened(z), axes) - normal * (normal * z).mean(axes, keepdim=True)
        return (self.gamma * over(across, deviation)).to(x.dtype)

    @property
    def curvature_bound(self) -> float:
        return as_number(self.gamma) / math.sqrt(self.eps) if self.eps else math.inf

    def jumps(self, x: Tensor, near: float) -> Tensor:
        return super().jumps(x, near) if self.eps else (self._normalised(x)[1] <= near).flatten(1).any(1)

    def conjugate(self, g: Tensor) -> Tensor:
        axes = self.axes(g)
        scaled = within(self, g) / self.gamma
        normal = scaled - self.delta / self.gamma
        # activations are rounded with their shift, however small what is left without it
        slack = rounding(g.dtype) * (1 + scaled.square().mean(axes, keepdim=True).sqrt())
        mean = normal.mean(axes, keepdim=True)
        check_sums(self, mean, mean.abs() > slack, "have the mean of delta")
        square = normal.square().mean(axes, keepdim=True)
        check_sums(self, square.sqrt(), square.sqrt() > 1 + slack, "have a deviation of gamma at most")
        return -total(self._size(g) * self.gamma * root(self.eps * (1 - square).clamp(min=0)))

    def flat(self, x: Tensor) -> list[Tensor]:
        shift = torch.full_like(x, self._size(x) ** -0.5)
        return [shift] if self.eps else [shift, self._normalised(x)[0].to(x.dtype) * shift]

    def extra_repr(self) -> str:
        gamma = f"{as_number(self.gamma):.6g}" if isinstance(self.gamma, Tensor) else self.gamma
        delta = f"tensor{tuple(self.delta.shape)}" if isinstance(self.delta, Tensor) else self.delta
        return f"gamma={gamma}, delta={delta}, eps={self.eps}" + ("" if self.dims is None else f", dims={self.dims}")

    def _size(self, x: Tensor) -> int:
        return math.prod(x.shape[axis] for axis in self.axes(x))

    def _normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state of mean 0 and variance 1, and the deviation that it was divided by."""
        axes = self.axes(x)
        scaled, scale, floor = to_unit_size(x, axes, self.eps)
        # the first mean is rounded in proportion to the state, the second to what is left of it
        scaled = centred(centred(scaled, axes), axes)
        square = scaled.square().mean(axes, keepdim=True)
        if not self.eps:
            square = square.masked_fill(square <= torch.finfo(square.dtype).eps ** 2, 0)
        deviation = root(square + floor)
        return over(scaled, deviation), scale * deviation


def last_axes(x: Tensor, dims: int | None) -> tuple[int, ...]:
    """The last `dims` dimensions of states `(b, *shape)`, or all behind the batch."""
    if x.ndim < 2 or (dims is not None and dims >= x.ndim):
        raise ValueError(f"dims {dims} must be at most the dimensions behind the batch; states have shape {tuple(x.shape)}")
    return tuple(range(1 if dims is None else x.ndim - dims, x.ndim))


def broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    """Whether a tensor of one shape fits a tensor of the other without enlarging it."""
    tail = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(size in (1, whole) for size, whole in zip(shape, tail, strict=True))


def centred(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`x` without the mean of each group."""
    return x - x.mean(axes, keepdim=True)


def to_unit_size(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """`x / s`, `s` and `eps / s^2`, with `s` the size of each group, or of `sqrt(eps)`, to a power of two: no square overflows."""
    x, least = widened(x), math.sqrt(eps)
    size = torch.linalg.vector_norm(x.detach(), math.inf, axes, keepdim=True).clamp_min(max(least, torch.finfo(x.dtype).tiny))
    # division by powers of two rounds nothing
    scale = size / (2 * size.frexp().mantissa)
    return x / scale, scale, (least / scale).square()


def root(square: Tensor) -> Tensor:
    """The square root, with derivative zero at zero instead of infinity."""
    zero = square == 0
    return square.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def over(a: Tensor, b: Tensor) -> Tensor:
    """`a / b`, zero where `b` is."""
    return a / b.masked_fill(b == 0, math.inf)
