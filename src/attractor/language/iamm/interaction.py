"""Second-order attention between two sequences, of IAMM (Yang et al. 2024, arXiv 2402.17959).

First order: scores `S_AB = q(A) k(B)^T / sqrt(dh)`, and back `S_BA`. A word of `A` has the row
`r_a = concat_j sigmoid(W1 s + b1)_j v(B)_j` over its `k1` best partners in `B`, with scores `s`. Second order: the importance of
the word is the mean of `S_BA` over the words of `B`; the rows of the `k2` most important words, each times
`sigmoid(W2 t + b2)` of their importances `t`, are mapped to the width of the words. The same for `B`.

A mean of scores is the score of the mean query, and only rows of chosen words are ever needed: with the hard choice no matrix of
all words by all words is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from attractor.language.iamm.blocks import masked_softmax, matrix
from attractor.nn.top_k import largest
from attractor.validation import check_count, check_finite, check_floating, finite

Selection = Literal["hard", "soft"]


class Association(NamedTuple):
    """What two sequences `a` and `b` have to do with each other.

    There are `r = 2 heads keep` rows: those of words of `a`, head by head, the most important word first, then those of `b`.

    Attributes:
        rows: `(batch, r, dim)`; zero where a row is missing.
        mask: `(batch, r)`, False where a row is missing: its word is padding, or the other sequence has no words.
        words: `(batch, r)`, the place of the row's word in its own sequence; 0 where the row is missing.
        partners: `(batch, r, partners)`, places in the other sequence, the best one first; -1 where there is none.
        gates: `(batch, r)`, of the rows.
        scores: `(batch, r, partners)`, what weighs a partner in its row: the gate of the row times that of the partner.

    With the soft choice a row is a mixture over all words: `words`, `partners` and the gates of partners are those of the word that
    the hard choice would have taken.
    """

    rows: Tensor
    mask: Tensor
    words: Tensor
    partners: Tensor
    gates: Tensor
    scores: Tensor


class AssociativeInteraction(nn.Module):
    """The words of two sequences that are associated with each other, as rows that hold the values of their partners.

    Args:
        dim: width of a word.
        heads: how many interactions side by side.
        depth: width of all heads together.
        partners: `k1`, how many partners of a word its row holds.
        keep: `k2`, how many words of each side and head give a row.
        relations: how many kinds of association, each with projections of its own; gates and the map of the rows are shared.
        selection: `"hard"` keeps the rows of the `keep` most important words: the choice is learned through their gates alone.
            `"soft"` keeps mixtures of rows instead, weighted by a soft-max of the importances: the first mixture stands for the
            most important word, each further one for the next, by leaving out what those before it took.
        generator: of the first weights. Default: one with the seed 0.

    Raises:
        TypeError, ValueError: a number below 1, a depth that the heads do not divide, or an unknown selection. When a checkpoint is
            loaded: rows of another width.

    Example:
        >>> layer = AssociativeInteraction(16, depth=8, partners=3, keep=2)
        >>> question, answer = torch.randn(4, 5, 16), torch.randn(4, 7, 16)
        >>> found = layer(question, answer)
        >>> found.rows.shape, found.partners.shape
        (torch.Size([4, 8, 16]), torch.Size([4, 8, 3]))
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 2,
        depth: int = 40,
        partners: int = 15,
        keep: int = 5,
        relations: int = 1,
        selection: Selection = "hard",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.dim, self.heads = check_count("dim", dim), check_count("heads", heads)
        self.head_dim = check_heads(depth, heads)
        self.partners, self.keep = check_count("partners", partners), check_count("keep", keep)
        self.relations = check_count("relations", relations)
        self.selection = check_selection(selection)
        generator = torch.Generator().manual_seed(0) if generator is None else check_generator(generator)
        self.query, self.key, self.value = (projections(relations, depth, dim, generator) for _ in range(3))
        self.partner_gate = matrix(partners, partners, generator, bias=True)
        self.word_gate = matrix(keep, keep, generator, bias=True)
        self.map = matrix(partners * self.head_dim, dim, generator)
        self.register_load_state_dict_pre_hook(refuse_rows)

    def forward(
        self, a: Tensor, b: Tensor, a_mask: Tensor | None = None, b_mask: Tensor | None = None, *, relation: int = 0
    ) -> Association:
        """Associate two sequences.

        Args:
            a: `(batch, n, dim)`.
            b: `(batch, m, dim)`.
            a_mask: Boolean `(batch, n)`, True for words, False for padding; what stands there, NaN included, changes nothing.
                Default: all are words.
            b_mask: the same for `b`, `(batch, m)`.
            relation: which projections to use, from 0.

        Raises:
            TypeError: no tensors, or a mask that is not Boolean.
            ValueError: other shapes, another precision or device than the layer's, no such relation, words that are not finite, or
                too large for finite scores.
        """
        if not 0 <= check_count("relation", relation, 0) < self.relations:
            raise ValueError(f"relation must be from 0 to {self.relations - 1}, got {relation}")
        a, a_mask = checked("a", a, a_mask, self.query)
        b, b_mask = checked("b", b, b_mask, self.query)
        if len(a) != len(b):
            raise ValueError(f"b must have as many sequences as a, {len(a)}, got {len(b)}")
        found = self.associate(a, b, a_mask, b_mask, relation)
        if not finite(found.rows):
            raise ValueError(f"a and b must have finite scores with these weights in {found.rows.dtype}, scale them down")
        return found

    def associate(self, a: Tensor, b: Tensor, a_mask: Tensor, b_mask: Tensor, relation: int) -> Association:
        """The same without checks, of words that are zero at padding."""
        one, two = self._projected(a, a_mask, relation), self._projected(b, b_mask, relation)
        sides = self._side(one, two), self._side(two, one)
        return Association(*(torch.cat(parts, 1) for parts in zip(*sides, strict=True)))

    def extra_repr(self) -> str:
        return (
            f"{self.dim}, heads={self.heads}, depth={self.heads * self.head_dim}, partners={self.partners}, keep={self.keep}, "
            f"relations={self.relations}, selection={self.selection!r}"
        )

    def _projected(self, words: Tensor, mask: Tensor, relation: int) -> Projected:
        """Padding is zero, and stays zero: there are no shifts."""
        query, key, value = (
            (words @ weight[relation].mT).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
            for weight in (self.query, self.key, self.value)
        )
        return Projected(query, key, value, mask)

    def _side(self, own: Projected, other: Projected) -> Association:
        """The rows of one side."""
        count = other.mask.sum(-1).clamp_min(1)[:, None, None]
        mean_query = other.query.sum(2) / count
        importance = self.head_dim**-0.5 * (own.key @ mean_query[..., None]).squeeze(-1)
        real = (own.mask & other.mask.any(-1, keepdim=True))[:, None].expand_as(importance)
        words, present = best(importance, real, self.keep)
        if self.selection == "hard":
            found = self._partners(take(own.query, words), other)
            rows, chosen = found.rows, importance.gather(-1, words)
        else:
            weights = successive(importance, real, self.keep)
            whole = self._partners(own.query, other)
            rows, chosen = weights @ whole.rows, (weights @ importance[..., None]).squeeze(-1)
            found = Partners(*(take(part, words) for part in whole))
        gates = torch.sigmoid(self.word_gate(chosen.masked_fill(~present, 0))) * present
        gone = ~present[..., None]
        return Association(
            self.map(rows * gates[..., None]).flatten(1, 2),
            present.flatten(1, 2),
            words.masked_fill(~present, 0).flatten(1, 2),
            found.places.masked_fill(gone, -1).flatten(1, 2),
            gates.flatten(1, 2),
            (gates[..., None] * found.gates).flatten(1, 2),
        )

    def _partners(self, query: Tensor, other: Projected) -> Partners:
        """Of words with `query (batch, heads, n, head_dim)`."""
        scores = self.head_dim**-0.5 * query @ other.key.mT
        places, present = best(scores, other.mask[:, None, None].expand_as(scores), self.partners)
        gates = torch.sigmoid(self.partner_gate(scores.gather(-1, places).masked_fill(~present, 0))) * present
        values = take(other.value, places.flatten(2)).unflatten(2, places.shape[2:])
        return Partners((gates[..., None] * values).flatten(3), places.masked_fill(~present, -1), gates)


class Projected(NamedTuple):
    """`query`, `key` and `value (batch, heads, n, head_dim)` of words, and their `mask (batch, n)`."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor


class Partners(NamedTuple):
    """For words `(batch, heads, n)`: `rows (..., partners head_dim)`, `places (..., partners)` and `gates (..., partners)`."""

    rows: Tensor
    places: Tensor
    gates: Tensor


def best(scores: Tensor, real: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Places `(..., k)` of the `k` largest real scores, equal ones in the order of their places, and which of them there are."""
    count = min(k, scores.shape[-1])
    places = largest(scores.masked_fill(~real, -torch.inf), count)
    present = real.gather(-1, places)
    missing = (0, k - count)
    return pad(places, missing), pad(present, missing, value=False)


def successive(importance: Tensor, real: Tensor, k: int) -> Tensor:
    """Weights `(..., k, n)` of a soft choice of `k` words, one after the other: what one takes is gone for the next.

    The relaxed k nearest neighbours of Plötz and Roth 2018, `l <- l + log(1 - softmax(l))`.
    """
    logits, weights = importance, []
    for _ in range(k):
        weights.append(masked_softmax(logits, real))
        logits = logits + (1 - weights[-1]).clamp_min(torch.finfo(logits.dtype).eps).log()
    return torch.stack(weights, -2)


def take(values: Tensor, places: Tensor) -> Tensor:
    """`values (batch, heads, n, width)` at `places (batch, heads, m)`."""
    return values.gather(2, places[..., None].expand(*places.shape, values.shape[-1]))


def projections(relations: int, depth: int, dim: int, generator: torch.Generator | None) -> nn.Parameter:
    return nn.Parameter(torch.stack([matrix(dim, depth, generator).weight.detach() for _ in range(relations)]))


def checked(
    name: str, words: Tensor, mask: Tensor | None, weight: Tensor, *, mask_name: str = "", utterances: bool = False
) -> tuple[Tensor, Tensor]:
    """Words `(b, n, dim)`, `(b, U, n, dim)` with `utterances`, with zeros as padding, and their mask; for `weight (..., dim)`."""
    check_floating(name, words)
    dim, axes = weight.shape[-1], "batch, utterances, words" if utterances else "batch, words"
    if words.dim() != 3 + utterances or words.shape[-1] != dim or 0 in words.shape:
        raise ValueError(f"{name} must have shape ({axes}, {dim}), none of them 0, got {tuple(words.shape)}")
    # autocast brings all to one precision itself
    precision = words.dtype if torch.is_autocast_enabled(words.device.type) else weight.dtype
    if words.dtype != precision or words.device != weight.device:
        raise ValueError(f"{name} must be {precision} on {weight.device} like the weights, got {words.dtype} on {words.device}")
    if mask is None:
        mask = torch.ones(words.shape[:-1], dtype=torch.bool, device=words.device)
    check_mask(mask_name or f"{name}_mask", mask, words)
    words = torch.where(mask[..., None], words, 0)
    if not finite(words):
        check_finite(name, words.flatten(0, -2))
    return words, mask


def check_mask(name: str, mask: Tensor, words: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        came = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{name} must be a Boolean tensor, True for words, got {came}")
    if mask.shape != words.shape[:-1]:
        raise ValueError(f"{name} must have shape {tuple(words.shape[:-1])}, got {tuple(mask.shape)}")
    if mask.device != words.device:
        raise ValueError(f"{name} must be on {words.device} like its words, got {mask.device}")


def check_generator(generator: torch.Generator) -> torch.Generator:
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")
    return generator


def check_heads(depth: int, heads: int) -> int:
    """The width of a head."""
    if check_count("depth", depth) % heads:
        raise ValueError(f"depth must be a multiple of heads = {heads}, got {depth}")
    return depth // heads


def check_selection(selection: str) -> Selection:
    for known in get_args(Selection):
        if selection == known:
            return known
    raise ValueError(f"selection must be one of {list(get_args(Selection))}, got {selection!r}")


def refuse_rows(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Hook of a module with interactions inside, before a state is loaded: their rows must have the width of those in the state."""
    for name, part in module.named_modules(prefix=prefix.removesuffix(".")):
        if not isinstance(part, AssociativeInteraction):
            continue
        key = f"{name}.map.weight" if name else "map.weight"
        expected = part.partners * part.head_dim
        if key in state and state[key].shape[-1] != expected:
            raise ValueError(
                f"{key} must have rows of {part.partners} partners x {part.head_dim} = {expected} numbers, "
                f"got a checkpoint with {state[key].shape[-1]}"
            )
