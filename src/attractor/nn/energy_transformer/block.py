"""The block of the Energy Transformer (Hoover et al. 2023, arXiv 2302.07253).

All tokens `x_C` have one energy. It is a function of the normalised tokens `g = LN(x)`:

    E = -sum_h 1/beta_h sum_C log sum_(B in N(C)) exp(beta_h (Wq_h g_C).(Wk_h g_B))  -  1/2 sum_C sum_mu relu(xi_mu.g_C)^2
    x <- x - alpha dE/dg        -dE/dg = sum_h [(P_h K_h) Wq_h + (P_h^T Q_h) Wk_h] + relu(g Xi^T) Xi

Attention asks of a query to come closer to the keys that it attends to, and of a key to come closer to its queries; the memories
are those of a dense associative memory. Every step uses one `g` for both. The energy falls with small steps, and with steps of
any size where there is no attention; nothing pulls `x` back, so it is `g` that comes to rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from attractor.energy import EnergyNetwork
from attractor.energy.settle import tolerance
from attractor.energy.synapses.allowed import Allowed
from attractor.energy.synapses.token_attention import ROUTES, from_heads, into_heads, log_partitions, plus_product, pulls
from attractor.nn.energy_transformer.descent import Descent, Landscape, descend, warn_diverged
from attractor.nn.energy_transformer.memories import memory_energies, memory_weights
from attractor.nn.energy_transformer.neighbours import neighbours
from attractor.nn.energy_transformer.network import network_of
from attractor.nn.energy_transformer.norm import EnergyLayerNorm, refuse_gains
from attractor.nn.energy_transformer.settings import INITS, betas_of, check_name, normal, separation_of
from attractor.read import SoftMax
from attractor.validation import check_count, check_floating, check_positive, finite


class EnergyTransformer(nn.Module):
    """Tokens that descend one energy together: the recurrent replacement of a stack of transformer layers.

    Args:
        dim: entries of a token, `D`.
        heads: `H`, of the attention.
        key_dim: entries of a query or key of a head, `Y`. `H Y` need not be `D`.
        memories: rows of the memory term, `M`. Default: `4 D`. 0 leaves the term out.
        activation: of the memory term: `"relu"`, as above; `"softmax"`, for `SoftMax(beta=1.0)`; or a `SoftMax(beta)`, whose energy
            is `-1/beta sum_C log sum_mu exp(beta xi_mu.g_C)`; where `beta` is a parameter, its logarithm is learned from there on.
        beta: inverse temperature of the attention, > 0: a number, or a tensor with one number or one for each head.
            Default: `1/sqrt(Y)`. Where it is fixed it is a setting, as `steps` is, and no part of `state_dict`.
        learn_beta: learn it, one for each head, as its logarithm.
        step_size: `alpha`, > 0, of a step.
        steps: of a call, `T`.
        self_attention: whether a token attends to itself. The paper excludes it; the published weights for images include it.
            Where it is False, a mask and edges lose their diagonal.
        causal: a token attends to none behind it; of a mask, what both allow is left. What it attends to is drawn to it all the
            same, so states of early tokens do depend on later ones.
        bias: shift queries and keys, by parameters `(H, Y)`.
        attention: False leaves the attention term out.
        noise: `sigma`: a step adds `sqrt(alpha) sigma` times standard normal numbers. In training a call must then be given a
            generator; in evaluation there is noise only if it is.
        init: `"paper"`: normal weights of deviation 0.002 for queries and keys, 0.02 for memories; `"scaled"`: of `1/sqrt(D)`, with
            which the attention of a narrow block learns from the start.
        route: of the attention: `"plain"` forms the matrix of all pairs and can be differentiated twice; `"blocks"` takes some
            queries at a time, `"fused"` uses torch's fused kernels: their memory grows with the number of tokens, not with its
            square. `"auto"`: plain for few pairs, above that fused on a GPU and blocks elsewhere.
        checkpoint: keep the states of the steps alone for the backward pass, and compute the rest a second time.
        generator: of the first weights.

    Attributes:
        query, key: parameters `(H, Y, D)`; None without attention.
        memory: parameter `(M, D)`; None without memories.
        norm: the layer norm, with `norm.gain > 0` and `norm.bias (D,)`.

    Raises:
        TypeError, ValueError: a size below 1, neither attention nor memories, an unknown name, `beta`, `step_size` or `noise` out
            of their range, a parameter as `beta`, or `learn_beta` without attention.

    Example:
        >>> block = EnergyTransformer(16, heads=2, key_dim=8, steps=5, init="scaled", generator=torch.Generator().manual_seed(0))
        >>> tokens = torch.randn(3, 10, 16, generator=torch.Generator().manual_seed(1))
        >>> moved = block(tokens)
        >>> moved.shape
        torch.Size([3, 10, 16])
        >>> bool((block.energy(block.normalize(moved)) < block.energy(block.normalize(tokens))).all())
        True
    """

    query: nn.Parameter
    key: nn.Parameter
    query_bias: nn.Parameter | None
    key_bias: nn.Parameter | None
    memory: nn.Parameter
    log_beta: nn.Parameter
    log_memory_beta: nn.Parameter

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 12,
        key_dim: int = 64,
        memories: int | None = None,
        activation: str | SoftMax = "relu",
        beta: float | Tensor | None = None,
        learn_beta: bool = False,
        step_size: float = 0.1,
        steps: int = 12,
        self_attention: bool = False,
        causal: bool = False,
        bias: bool = False,
        attention: bool = True,
        noise: float = 0.0,
        init: str = "paper",
        route: str = "auto",
        checkpoint: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.dim, self.heads, self.key_dim = check_count("dim", dim), check_count("heads", heads), check_count("key_dim", key_dim)
        self.memories = 4 * dim if memories is None else check_count("memories", memories, 0)
        if not attention and not self.memories:
            raise ValueError("memories must be at least 1 where attention is False, got 0: there would be no energy")
        if learn_beta and not attention:
            raise ValueError("learn_beta must be False where attention is False, got True: there is no beta to learn")
        check_name("init", init, INITS)
        self.route = check_name("route", route, ROUTES)
        self.steps, self.step_size = check_count("steps", steps), check_positive("step_size", step_size)
        self.noise = check_positive("noise", noise) if noise else 0.0
        self.attention, self.self_attention, self.causal, self.checkpoint = attention, self_attention, causal, checkpoint
        betas = betas_of(key_dim**-0.5 if beta is None else beta, heads)
        # not a buffer where it is fixed: that would be rounded to the precision of the block
        self.fixed_beta = None if learn_beta else tuple(betas.tolist())
        if learn_beta:
            self.log_beta = nn.Parameter(betas.log().to(torch.get_default_dtype()))
        separation = separation_of(activation)
        self.activation = "relu" if separation is None else "softmax"
        self.fixed_memory_beta = None if separation is None else separation.number
        if separation is not None and isinstance(separation.beta, nn.Parameter):
            self.log_memory_beta = nn.Parameter(separation.beta.detach().log())
            self.fixed_memory_beta = None
        self.norm = EnergyLayerNorm(dim)
        pair, single = (0.002, 0.02) if init == "paper" else (dim**-0.5, dim**-0.5)
        for name in ("query", "key"):
            self.register_parameter(name, normal((heads, key_dim, dim), pair, generator) if attention else None)
            shift = nn.Parameter(torch.zeros(heads, key_dim)) if attention and bias else None
            self.register_parameter(f"{name}_bias", shift)
        self.register_parameter("memory", normal((self.memories, dim), single, generator) if self.memories else None)
        self.register_load_state_dict_pre_hook(refuse_gains)

    @property
    def beta(self) -> Tensor:
        """Inverse temperatures of the heads, `(heads,)`."""
        return torch.tensor(self.fixed_beta, dtype=torch.float64) if self.fixed_beta else self.log_beta.exp()

    @property
    def memory_beta(self) -> float | Tensor | None:
        """Inverse temperature of the memory term; None for relu."""
        return self.log_memory_beta.exp() if "log_memory_beta" in self._parameters else self.fixed_memory_beta

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        steps: int | None = None,
        step_size: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Take the steps; gradients pass through all of them.

        Args:
            x: tokens `(b, N, D)`, finite.
            mask: who attends to whom. Boolean, True where a query (row) may attend to a key (column): `(N, N)`, `(b, N, N)`,
                `(b, 1, N, N)` or `(b, H, N, N)`. Or int64 edges `(2, E)`, queries above keys: then there is no matrix of all pairs,
                and an edge that is listed twice counts twice. A token that may attend to none has no part in the attention but
                as a key. What `self_attention` and `causal` forbid stays forbidden: graphs with loops need
                `self_attention=True`.
            steps, step_size: in place of those of the block.
            generator: of the noise.

        Returns:
            `(b, N, D)`, not normalised.

        Raises:
            TypeError, ValueError: a bad argument, one token without a mask where `self_attention` is False, edges where `causal` is
                True, noise in training without a generator, or a gain of the norm that training made negative.

        Warns:
            EnergyUnboundedWarning: states left the range of numbers.
        """
        allowed = self.allowed(x, mask)
        steps = self.steps if steps is None else check_count("steps", steps)
        step_size = self.step_size if step_size is None else check_positive("step_size", step_size)
        if self.noise and self.training and generator is None:
            raise ValueError("generator must be given for the noise in training, got None")
        spread = 0.0 if generator is None else math.sqrt(step_size) * self.noise
        for _ in range(steps):
            if self.checkpoint and torch.is_grad_enabled():
                x = checkpoint(self._step, x, allowed, step_size, use_reentrant=False)
            else:
                x = self._step(x, allowed, step_size)
            if spread:
                x = x + spread * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        if not torch.compiler.is_compiling() and not finite(x):
            warn_diverged(~x.isfinite().flatten(1).all(-1), x.dtype, step_size, stacklevel=4)
        return x

    def normalize(self, x: Tensor) -> Tensor:
        """The activated tokens `g = LN(x)`, `(b, N, D)`, of which the energy is a function."""
        self.check_tokens(x, "x")
        return self.norm(x)

    def energy(self, g: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The energy `(b,)` of activated tokens `(b, N, D)`; `mask` as a call takes it."""
        return self.token_energies(g, mask=mask).sum(-1)

    def token_energies(self, g: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The parts `(b, N)` of the energy: a token as a query, and its match with the memories."""
        return self._token_energies(g, self.allowed(g, mask, "g"))

    def force(self, g: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """`-dE/dg (b, N, D)` in closed form; `mask` as a call takes it."""
        return self._force(g, self.allowed(g, mask, "g"))

    def descend(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        max_steps: int = 1000,
        tol: float = 1e-4,
        step_size: float | str | None = None,
        trace: bool = False,
    ) -> Descent:
        """Descend until the activated tokens rest, and tell the energy; without gradients and without noise.

        As `x` grows, a step turns `g` less and less: its motion falls off like one over the number of steps.

        Args:
            x: tokens `(b, N, D)`.
            mask: as a call takes it.
            max_steps: the most steps. There need not be an end: with large attention weights tokens can go on for ever.
            tol: a sample rests once a step changes no entry of `g` by more; 0 takes all steps. One that backtracks rests where the
                whole step would not; where no part of the step lowers the energy it stops, and has not converged.
            step_size: a number in place of the block's, or `"backtrack"`: from the block's, halved for each sample and step until
                its energy does not rise.
            trace: keep the states and energies on the way.

        Raises:
            TypeError, ValueError: a bad argument.

        Warns:
            EnergyUnboundedWarning: a step would have left the range of numbers; the sample stays where it was.

        Example:
            >>> block = EnergyTransformer(8, heads=2, key_dim=4, init="scaled", generator=torch.Generator().manual_seed(0))
            >>> tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
            >>> found = block.descend(tokens, step_size="backtrack", tol=0.01, trace=True)
            >>> bool((found.trace.energy.diff(dim=0) <= 0).all()), found.converged.tolist()
            (True, [True, True])
        """
        allowed = self.allowed(x, mask)
        backtrack = isinstance(step_size, str)
        if isinstance(step_size, str):
            check_name("step_size", step_size, ("backtrack",))
            size = self.step_size
        else:
            size = self.step_size if step_size is None else check_positive("step_size", step_size)
        return descend(
            Landscape(self.norm, self._force, self._energy),
            x,
            allowed,
            max_steps=check_count("max_steps", max_steps, 0),
            tol=tolerance(tol, x.dtype),
            step_size=size,
            backtrack=backtrack,
            trace=trace,
        )

    def network(self, tokens: int, *, mask: Tensor | None = None) -> EnergyNetwork:
        """This energy as that of a network with one layer, `"tokens"`; it shares the parameters.

        Its synapses have the energy and the drive of the block. A network's layer has a leak besides, `dx/dt = drive - x`, which
        the block has not.

        Args:
            tokens: how many.
            mask: Boolean `(tokens, tokens)`, as a call takes it.

        Raises:
            TypeError, ValueError: a bad argument, or a mask that differs between samples or heads. A learned `beta` is not shared
                but taken as it is now.
        """
        return network_of(self, tokens, mask)

    def extra_repr(self) -> str:
        parts = [f"dim={self.dim}", f"heads={self.heads}", f"key_dim={self.key_dim}"] if self.attention else [f"dim={self.dim}"]
        return ", ".join([*parts, f"memories={self.memories}", f"steps={self.steps}", f"step_size={self.step_size:g}"])

    def _step(self, x: Tensor, allowed: Allowed, step_size: float) -> Tensor:
        return torch.add(x, self._force(self.norm(x), allowed), alpha=step_size)

    def _force(self, g: Tensor, allowed: Allowed) -> Tensor:
        pull = None
        if self.attention:
            queries, keys, beta = self._queries_and_keys(g)
            pull = from_heads(pulls(queries, keys, allowed, self.route), beta, self.query, self.key)
        if not self.memories:
            assert pull is not None
            return pull
        weights = memory_weights(g, self.memory, self.memory_beta)
        return weights @ self.memory if pull is None else plus_product(pull, weights, self.memory)

    def _energy(self, g: Tensor, allowed: Allowed) -> Tensor:
        return self._token_energies(g, allowed).sum(-1)

    def _token_energies(self, g: Tensor, allowed: Allowed) -> Tensor:
        terms = []
        if self.attention:
            queries, keys, beta = self._queries_and_keys(g)
            partitions = log_partitions(queries, keys, allowed)
            terms.append(-(partitions / beta.to(partitions).squeeze(-1)).sum(1))
        if self.memories:
            terms.append(memory_energies(g, self.memory, self.memory_beta))
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def _queries_and_keys(self, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries times `beta` and keys, `(b, heads, tokens, key_dim)`, and `beta (heads, 1, 1)`."""
        queries, keys = into_heads(g, self.query, self.query_bias), into_heads(g, self.key, self.key_bias)
        beta = self.beta.to(keys).view(-1, 1, 1)
        return queries * beta, keys, beta

    def allowed(self, x: Tensor, mask: Tensor | None, name: str = "x") -> Allowed:
        self.check_tokens(x, name)
        return self.neighbours(mask, x.shape[0], x.shape[1])

    def neighbours(self, mask: Tensor | None, batch: int, tokens: int) -> Allowed:
        """Who attends to whom by a checked mask and the settings of the block."""
        if not self.attention and mask is None:
            return None
        return neighbours(mask, (batch, self.heads, tokens), self.norm.bias.device, self.self_attention, self.causal)

    def check_tokens(self, x: Tensor, name: str) -> None:
        check_floating(name, x)
        if x.dim() != 3 or x.shape[-1] != self.dim or not x.shape[0] or not x.shape[1]:
            raise ValueError(f"{name} must have shape (b, tokens, {self.dim}), got {tuple(x.shape)}")
        weights = self.norm.bias.dtype
        if x.dtype != weights and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"{name} must be {weights} like the weights of the block, or stand under autocast, got {x.dtype}")
        if not torch.compiler.is_compiling():
            self.norm.check_tokens(name, x)
            self.norm.check()
