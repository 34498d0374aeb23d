"""A system with different feedforward and feedback weights that has an energy all the same.

    u' = B g(A u + c) - u,    B = R^-1 A^T,    g = grad L
    E_R(u) = u.R u / 2 - L(A u + c),    grad E_R = -R u',    E_R' = -u'.R u' < 0 off rest

for any matrix `A`, any symmetric positive definite `R` and any Lagrangian, convex or not. Where neurons are dead `E_R` is strictly
convex. `A = R = W` is the altered form of a dense network with positive definite weights.

In answer to Fanaskov and Oseledets 2024 (arXiv 2410.13866), whose own family may be larger; derived here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attractor.energy.differentiate import gradients
from attractor.energy.lagrangian import Lagrangian
from attractor.energy.settle import Settled, settle
from attractor.energy.synapses.shapes import check_numbers
from attractor.errors import EnergyUnboundedWarning
from attractor.read.similarity import widened
from attractor.validation import check_finite, check_floating, check_matrix


class Feedback(nn.Module):
    """The system `u' = R^-1 A^T g(A u + c) - u`. It has its energy whatever values its parameters take.

    Args:
        A: feedforward weights `(M, N)`; learned.
        lagrangian: of the `M` hidden neurons: a `Lagrangian`, or any function `(b, M) -> (b,)`, convex or not.
        R: symmetric positive definite `(N, N)`; learned by its Cholesky factor, which has a positive diagonal at any value of
            its parameters. Default: the identity.
        c: current into the hidden neurons, `(M,)`; learned. Default: zero.

    Raises:
        TypeError, ValueError: a matrix of another shape, NaN, or `R` not symmetric positive definite.

    Warns:
        EnergyUnboundedWarning: hidden activations have no bound and the gain `h_max |A R^-1 A^T|` is 1 or more.

    Example:
        >>> from attractor.energy import lagrangians
        >>> system = Feedback(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), lagrangians.Tanh(), R=torch.diag(torch.tensor([1.0, 2.0])))
        >>> system.feedback.round(decimals=4).tolist()
        [[1.0, 1.0], [0.0, 0.5]]
        >>> system.relax(torch.ones(1, 2)).converged.tolist()
        [True]
    """

    def __init__(
        self,
        A: Tensor,
        lagrangian: Lagrangian | Callable[[Tensor], Tensor],
        *,
        R: Tensor | None = None,
        c: Tensor | None = None,
    ):
        super().__init__()
        check_matrix("A", A)
        if not callable(lagrangian):
            raise TypeError(f"lagrangian must be a Lagrangian or a function, got {type(lagrangian).__name__}")
        hidden, visible = A.shape
        factor = torch.eye(visible, dtype=A.dtype, device=A.device) if R is None else cholesky_factor(R, visible).to(A)
        self.A = nn.Parameter(A.detach().clone())
        self.c = nn.Parameter(A.new_zeros(hidden) if c is None else checked_current(c, hidden).detach().to(A).clone())
        self.lower = nn.Parameter(factor.tril(-1))
        self.log_diagonal = nn.Parameter(factor.diagonal().log())
        self.lagrangian = lagrangian
        if isinstance(lagrangian, Lagrangian) and not lagrangian.bounded and not self.gain() < 1:
            warnings.warn(
                f"the energy may have no lower bound: {lagrangian!r} has unbounded activations with a gain of {self.gain():.3g}, "
                "where only below 1 is safe",
                EnergyUnboundedWarning,
                stacklevel=2,
            )

    @property
    def factor(self) -> Tensor:
        """The Cholesky factor `C` of `R = C C^T`, lower triangular with a positive diagonal."""
        return self.lower.tril(-1) + torch.diag(self.log_diagonal.exp())

    @property
    def metric(self) -> Tensor:
        """`R`, `(N, N)`, symmetric positive definite."""
        return self.factor @ self.factor.T

    @property
    def feedback(self) -> Tensor:
        """The feedback weights `B = R^-1 A^T`, `(N, M)`."""
        return torch.cholesky_solve(widened(self.A.T), widened(self.factor)).to(self.A)

    @torch.no_grad()
    def gain(self) -> float:
        """`h_max |A R^-1 A^T|`: below 1 the energy has a lower bound. Infinite where the curvature has none or is not known."""
        if not isinstance(self.lagrangian, Lagrangian):
            return float("inf")
        return self.lagrangian.curvature_bound * float(torch.linalg.matrix_norm(widened(self.A @ self.feedback), 2))

    def energy(self, u: Tensor) -> Tensor:
        """`E_R`, `(b,)`, of states `(b, N)`."""
        u = self.checked(u)
        return (u @ self.factor).square().sum(-1) / 2 - self.value(u @ self.A.T + self.c)

    def value(self, hidden: Tensor) -> Tensor:
        """`L` of hidden states `(b, M)`, `(b,)`.

        Raises:
            ValueError: the function gives something other than one number for each sample.
        """
        if isinstance(self.lagrangian, Lagrangian):
            return self.lagrangian.value(hidden)
        return check_numbers("lagrangian", self.lagrangian(hidden), len(hidden))

    def activation(self, hidden: Tensor) -> Tensor:
        """`g = grad L` of hidden states `(b, M)`."""
        if isinstance(self.lagrangian, Lagrangian):
            return self.lagrangian.activation(hidden)
        return gradients(self.value, hidden)[0]

    def velocity(self, u: Tensor) -> Tensor:
        """`u'`, `(b, N)`."""
        return self._velocity(self.checked(u))

    def _velocity(self, u: Tensor) -> Tensor:
        return self.activation(u @ self.A.T + self.c) @ self.feedback.T - u

    def checked(self, u: Tensor) -> Tensor:
        check_matrix("u", u, self.A.shape[1])
        if u.dtype != self.A.dtype:
            raise ValueError(f"u must be {self.A.dtype} like A, got {u.dtype}")
        return u

    def relax(self, u: Tensor, *, dt: float = 0.5, tol: float | None = None, max_steps: int = 1000) -> Settled:
        """Where the motion from `u (b, N)` comes to rest, by Euler steps; gradients reach `u` and all parameters.

        With a convex Lagrangian the energy never rises for `dt` up to 1, as the whole step leads to the minimum of a convex
        majorant; otherwise `dt` has to stay below `2 / (1 + h |A R^-1 A^T|)`, `h` the largest size of a curvature.

        Args:
            u: where to start.
            dt: size of a step.
            tol: largest velocity at rest. Default: 1e-6 in float64, else 1e-4.
            max_steps: the most steps.

        Raises:
            TypeError, ValueError: a bad shape, or `dt` not positive.

        Warns:
            EnergyUnboundedWarning: samples diverged.
        """
        return settle(self._velocity, self.checked(u), dt=dt, tol=tol, max_steps=max_steps)

    def forward(self, u: Tensor) -> Tensor:
        """The velocity."""
        return self.velocity(u)

    def extra_repr(self) -> str:
        hidden, visible = self.A.shape
        kind = "" if isinstance(self.lagrangian, nn.Module) else f", {getattr(self.lagrangian, '__name__', 'a function')}"
        return f"{visible} visible, {hidden} hidden{kind}"


def cholesky_factor(R: Tensor, size: int) -> Tensor:
    check_matrix("R", R, size)
    if R.shape[0] != size:
        raise ValueError(f"R must have shape ({size}, {size}), got {tuple(R.shape)}")
    rounding = 16 * torch.finfo(R.dtype).eps
    R = widened(R.detach())
    apart = float((R - R.T).abs().amax())
    if apart > rounding * float(R.abs().amax()):
        raise ValueError(f"R must be symmetric, got entries that differ from their mirror image by {apart:.3g}")
    factor, failed = torch.linalg.cholesky_ex(R)
    if int(failed):
        raise ValueError(f"R must be positive definite, got a smallest eigenvalue of {float(torch.linalg.eigvalsh(R)[0]):.3g}")
    return factor


def checked_current(c: Tensor, size: int) -> Tensor:
    check_floating("c", c)
    if c.shape != (size,):
        raise ValueError(f"c must have shape ({size},), got {tuple(c.shape)}")
    check_finite("c", c[None])
    return c
