"""A layer that associates two sets: every state is completed from the stored patterns (Ramsauer et al. 2021).

`q = W_q x`, `k = W_k y`, `v = W_v y`; `q <- softmax(beta q k^T) k` for `steps - 1` updates, then `softmax(beta q k^T) v W_o`.
With one step and the soft-max it is multi-head attention.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

import torch
from torch import Tensor, nn

from attractor.nn.hopfield.association import Association, Question
from attractor.nn.hopfield.checks import check_entries, check_names, check_sets, checked_betas, checked_mask
from attractor.read import Separation
from attractor.validation import check_count, check_not_negative, check_positive, check_share

PROJECTED = ("state", "memory", "value", "out")
NORMALIZED = ("state", "memory", "value")


class HopfieldAttention(nn.Module):
    """Associates states with stored patterns that come with each call.

    With the soft-max and without `tol` it reads by torch's fused kernel, which can be differentiated once.

    Args:
        dim: width of a state.
        heads: how many associations side by side.
        key_dim: width of a head's association space. Default: `dim / heads`.
        memory_dim: width of a stored pattern. Default: `dim`.
        value_dim: width of a value. Default: `memory_dim`.
        read_dim: width of what a head reads out. Default: `key_dim`.
        out_dim: width of the output. Default: `dim`.
        beta: inverse temperature, > 0: a number, or a tensor, no parameter, with one for each head. Default: `1 / sqrt(key_dim)`;
            1 where neither states nor patterns are projected.
        learn_beta: learn it, for each head, as its logarithm: it stays positive.
        steps: how often a state is compared with the patterns, the read-out included. None goes on until all rest, which needs
            `tol`; after 10,000 steps a `NotConvergedWarning` tells that they do not.
        tol: a head rests once no sample's weights change by more than this (Frobenius norm over its states): samples of a batch
            then share their number of steps. 0 takes all steps.
        separation: `"softmax"`, `"sparsemax"`, `"entmax"`, `"top-k"`, or such an object, `TopK(4)` for instance.
        project: which of `"state"`, `"memory"`, `"value"`, `"out"` have a learned projection. What has none is used by every
            head as it is.
        normalize: which of `"state"`, `"memory"`, `"value"` pass a layer norm first; `"space"` also normalises states and patterns
            of each head after their projection, with one layer norm.
        connected: values pass the projection of the stored patterns before their own.
        null_pattern: add a pattern of zeros with a value of zeros, on which a head can rest.
        bias: of the projections.
        dropout: probability with which a weight of the read-out is dropped in training.
        generator: of the first weights.

    Raises:
        TypeError, ValueError: a size below 1, an unknown name, sizes that do not fit where a projection is missing, or `beta`,
            `tol`, `separation` out of their range.

    Example:
        >>> layer = HopfieldAttention(16, heads=2, steps=3)
        >>> layer(torch.randn(4, 5, 16), torch.randn(4, 7, 16)).shape
        torch.Size([4, 5, 16])
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 1,
        key_dim: int | None = None,
        memory_dim: int | None = None,
        value_dim: int | None = None,
        read_dim: int | None = None,
        out_dim: int | None = None,
        beta: float | Tensor | None = None,
        learn_beta: bool = False,
        steps: int | None = 1,
        tol: float = 0.0,
        separation: str | Separation = "softmax",
        project: Collection[str] = PROJECTED,
        normalize: Collection[str] = NORMALIZED,
        connected: bool = False,
        null_pattern: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_names("project", project, PROJECTED)
        check_names("normalize", normalize, (*NORMALIZED, "space"))
        self.dim, self.heads = check_count("dim", dim), check_count("heads", heads)
        self.memory_dim = self.dim if memory_dim is None else check_count("memory_dim", memory_dim)
        self.value_dim = self.memory_dim if value_dim is None else check_count("value_dim", value_dim)
        self.key_dim = self._key_dim(key_dim, project)
        if connected and ("memory" not in project or self.value_dim != self.memory_dim):
            raise ValueError(
                f"connected values need a projection of memories of their width, got {self.memory_dim=}, {self.value_dim=}"
            )
        self.connected, self.null_pattern = connected, null_pattern
        self.read_dim = self._read_dim(read_dim, project)
        inside = self.heads * self.key_dim
        widths = {
            "state": (self.dim, inside),
            "memory": (self.memory_dim, inside),
            "value": (inside if self.connected else self.value_dim, self.heads * self.read_dim),
            "out": (self.heads * self.read_dim, self.dim if out_dim is None else check_count("out_dim", out_dim)),
        }
        if "out" not in project and out_dim is not None:
            raise ValueError(f"out_dim must be None without a projection of the output, got {out_dim}")
        self.maps = nn.ModuleDict({one: projection(*widths[one], bias, generator) for one in PROJECTED if one in project})
        norms = {"state": self.dim, "memory": self.memory_dim, "value": self.value_dim, "space": self.key_dim}
        self.norms = nn.ModuleDict({one: nn.LayerNorm(width) for one, width in norms.items() if one in normalize})
        if not check_not_negative("tol", tol) and steps is None:
            raise ValueError(f"tol must be above 0 where steps is None, got {tol!r}")
        self.association = Association(separation, None if steps is None else check_count("steps", steps), tol)
        self.dropout = check_share("dropout", dropout)
        plain = 1.0 if not {"state", "memory"} & set(project) else self.key_dim**-0.5
        self._set_beta(plain if beta is None else beta, learn_beta)

    @property
    def beta(self) -> Tensor:
        """The inverse temperatures `(heads,)`."""
        return torch.tensor(self.fixed_beta, dtype=torch.float64) if self.fixed_beta else self.log_beta.exp()

    def forward(
        self, states: Tensor, memories: Tensor | None = None, values: Tensor | None = None, *, mask: Tensor | None = None
    ) -> Tensor:
        """Complete states from stored patterns.

        Args:
            states: `(b, l, dim)`.
            memories: the stored patterns `(b, s, memory_dim)`. Default: the states themselves.
            values: `(b, s, value_dim)` to read out. Default: the stored patterns.
            mask: Boolean, True where a state may read a pattern: `(l, s)`, `(b, l, s)`, `(b, 1, s)` or `(b, heads, l, s)`. A state
                that may read none gets a read-out of zeros.

        Returns:
            `(b, l, out_dim)`; without a projection of the output the heads side by side, `(b, l, heads * read_dim)`.

        Raises:
            TypeError, ValueError: wrong shapes, NaN or infinity, or another precision than that of the weights outside autocast.
        """
        question, read = self._ask(states, memories, values, mask)
        found = self.association.read(question, read, self.dropout if self.training else 0.0).transpose(1, 2).flatten(2)
        return self.maps["out"](found) if "out" in self.maps else found

    def weights(self, states: Tensor, memories: Tensor | None = None, *, mask: Tensor | None = None) -> Tensor:
        """What each state reads in the end, `(b, heads, l, s)`; the null pattern comes last. Arguments as `forward` takes them."""
        question, _ = self._ask(states, memories, None, mask, read=False)
        return self.association.weights(question)

    def energy(self, states: Tensor, memories: Tensor | None = None, *, mask: Tensor | None = None) -> Tensor:
        """The energy `(b, heads, l)` of the states in the association space; updates never raise it.

        It is in float32 or better. A state that may read nothing has `|q|^2 / 2`.
        """
        question, _ = self._ask(states, memories, None, mask, read=False)
        return self.association.energy(question)

    def extra_repr(self) -> str:
        settings = f"dim={self.dim}, heads={self.heads}, key_dim={self.key_dim}, steps={self.association.steps}"
        return f"{settings}, separation={self.association.separation.name!r}"

    def _ask(
        self, states: Tensor, memories: Tensor | None, values: Tensor | None, mask: Tensor | None, *, read: bool = True
    ) -> tuple[Question, Tensor]:
        """Everything projected and split into heads."""
        memories = states if memories is None else memories
        values = memories if values is None else values
        self._check(states, memories, values if read else None)
        queries, keys = self._projected(states, "state"), self._projected(memories, "memory")
        if "space" in self.norms:
            queries, keys = self.norms["space"](queries), self.norms["space"](keys)
        answer = self._values(values) if read else keys
        allowed = checked_mask(mask, states.shape[0], self.heads, states.shape[1], memories.shape[1])
        if self.null_pattern:
            keys, answer = (torch.nn.functional.pad(one, (0, 0, 0, 1)) for one in (keys, answer))
            allowed = None if allowed is None else torch.nn.functional.pad(allowed, (0, 1), value=True)
        beta = self.beta.to(queries.device, torch.promote_types(queries.dtype, torch.float32))
        return Question(queries, keys, beta.reshape(-1, 1, 1), allowed), answer

    def _check(self, states: Tensor, memories: Tensor, values: Tensor | None) -> None:
        check_sets("states", states, self.dim)
        check_sets("memories", memories, self.memory_dim)
        if memories.shape[0] != states.shape[0] or not (memories.shape[1] or self.null_pattern):
            raise ValueError(
                f"memories must have the batch {states.shape[0]} of states and at least one pattern, "
                f"got shape {tuple(memories.shape)}"
            )
        if values is not None:
            check_sets("values", values, self.value_dim)
            if values.shape[:2] != memories.shape[:2]:
                raise ValueError(f"values must be {tuple(memories.shape[:2])} like the memories, got shape {tuple(values.shape)}")
        weight = next(chain(self.maps.parameters(), self.norms.parameters()), None)
        check_entries("states", states, weight, states)
        if memories is not states:
            check_entries("memories", memories, weight, states)
        if values is not None and values is not memories:
            check_entries("values", values, weight, states)

    def _values(self, values: Tensor) -> Tensor:
        if not self.connected:
            return self._projected(values, "value")
        values = self.norms["value"](values) if "value" in self.norms else values
        values = self.maps["memory"](values)
        return self._by_heads(self.maps["value"](values) if "value" in self.maps else values)

    def _projected(self, patterns: Tensor, kind: str) -> Tensor:
        """Normalised, projected, and by heads `(b, heads, n, width)`; what has no projection serves all heads."""
        patterns = self.norms[kind](patterns) if kind in self.norms else patterns
        if kind in self.maps:
            return self._by_heads(self.maps[kind](patterns))
        return patterns[:, None].expand(-1, self.heads, -1, -1)

    def _by_heads(self, patterns: Tensor) -> Tensor:
        return patterns.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _key_dim(self, given: int | None, project: Collection[str]) -> int:
        """The width of a head's association space, that of whatever enters it as it is."""
        fixed = {name: width for name, width in (("state", self.dim), ("memory", self.memory_dim)) if name not in project}
        if fixed:
            wanted = next(iter(fixed.values())) if given is None else check_count("key_dim", given)
            if wrong := {name: width for name, width in fixed.items() if width != wanted}:
                raise ValueError(f"key_dim must be the width of what is not projected, got {wanted} beside {wrong}")
            return wanted
        if given is None and self.dim % self.heads:
            raise ValueError(f"heads must divide dim = {self.dim} where key_dim is not given, got {self.heads}")
        return self.dim // self.heads if given is None else check_count("key_dim", given)

    def _read_dim(self, given: int | None, project: Collection[str]) -> int:
        """The width of what a head reads out, that of the values where they are read as they are."""
        if "value" in project:
            return self.key_dim if given is None else check_count("read_dim", given)
        fixed = self.key_dim if self.connected else self.value_dim
        if given not in (None, fixed):
            raise ValueError(f"read_dim must be {fixed}, the width of values that are not projected, got {given}")
        return fixed

    def _set_beta(self, beta: float | Tensor, learned: bool) -> None:
        """Keep the logarithm of `beta`, one number for each head."""
        given = beta if isinstance(beta, Tensor) else torch.tensor(check_positive("beta", beta), dtype=torch.float64)
        given = checked_betas(given, self.heads)
        # not a buffer where it is fixed: that would be rounded to the precision of the layer
        self.fixed_beta = None if learned else tuple(given.tolist())
        if learned:
            self.log_beta = nn.Parameter(given.log().to(torch.get_default_dtype()))


def projection(inputs: int, outputs: int, bias: bool, generator: torch.Generator | None) -> nn.Linear:
    """A linear map with weights of deviation `1 / sqrt(inputs)` and no shift at first."""
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    nn.init.normal_(linear.weight, std=inputs**-0.5, generator=generator)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
