"""The formulas of a read, written out over all patterns at once, in float64 and without any of the library's code."""

import itertools
import math

import torch

from attractor.read import (
    Block,
    Cosine,
    Dot,
    Entmax,
    Euclidean,
    Exponential,
    Identity,
    Manhattan,
    Polynomial,
    RectifiedPolynomial,
    SoftMax,
    Sparsemax,
    TopK,
)

SIMILARITIES = {kind.name: kind for kind in (Euclidean, Dot, Cosine, Manhattan)}
SEPARATIONS = {
    "softmax": lambda beta: SoftMax(beta),
    "sparsemax": lambda beta: Sparsemax(beta),
    "entmax": lambda beta: Entmax(1.5, beta),
    "top-k": lambda beta: TopK(3, beta),
    "exponential": lambda beta: Exponential(min(beta, 4.0)),
    "polynomial-3": lambda beta: Polynomial(3),
    "polynomial-4": lambda beta: Polynomial(4),
    "rectified-polynomial": lambda beta: RectifiedPolynomial(3),
    "identity": lambda beta: Identity(),
}
NORMALISED = ("softmax", "sparsemax", "entmax", "top-k")
PAIRS = [
    (similarity, separation)
    for similarity, separation in itertools.product(SIMILARITIES, SEPARATIONS)
    if separation in NORMALISED or similarity in ("dot", "cosine")
]


def scores_of(name, cues, patterns, known=None):
    """`(b, n)`, over the known entries only."""
    trusted = torch.ones_like(cues, dtype=torch.bool) if known is None else known
    x = torch.where(trusted, cues, 0)[:, None, :]
    xi = torch.where(trusted[:, None, :], patterns[None], 0)
    if name == "euclidean":
        return -(x - xi).square().sum(-1) / 2
    if name == "dot":
        return (x * xi).sum(-1)
    if name == "manhattan":
        return -(x - xi).abs().sum(-1)
    lengths = x.square().sum(-1).sqrt() * xi.square().sum(-1).sqrt()
    return torch.where(lengths > 0, (x * xi).sum(-1) / torch.where(lengths > 0, lengths, 1), 0)


def rows_of(name, patterns):
    """What the state is drawn to: the patterns, of unit length for a similarity of directions."""
    if name != "cosine":
        return patterns
    lengths = patterns.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, patterns / torch.where(lengths > 0, lengths, 1), 0)


def weights_of(separation, scores):
    """The derivative `(b, n)` of the potential; for the exponential its direction only."""
    if isinstance(separation, SoftMax):
        return (separation.beta * scores).softmax(-1)
    if isinstance(separation, TopK):
        order = scores.argsort(dim=-1, descending=True, stable=True)[:, : separation.k]
        chosen = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, True)
        return (separation.beta * scores).masked_fill(~chosen, -math.inf).softmax(-1)
    if isinstance(separation, Sparsemax):
        return by_sorting(separation.beta * scores, sparsemax_threshold).clamp_min(0)
    if isinstance(separation, Entmax):
        assert separation.alpha == 1.5
        # squares of large numbers would cancel: the weights do not change when all scores are shifted
        shifted = scores - scores.amax(-1, keepdim=True)
        return by_sorting(separation.beta * shifted / 2, entmax15_threshold).clamp_min(0).square()
    base = scores.clamp_min(0) if isinstance(separation, RectifiedPolynomial) else scores
    return base ** (separation.n - 1)


def potential_of(separation, scores):
    """`Psi (b,)`."""
    if isinstance(separation, Exponential):
        return (separation.beta * scores).exp().sum(-1) / separation.beta
    if isinstance(separation, SoftMax):
        return (separation.beta * scores).logsumexp(-1) / separation.beta
    weights = weights_of(separation, scores)
    if isinstance(separation, TopK):
        return (separation.beta * scores).masked_fill(weights == 0, -math.inf).logsumexp(-1) / separation.beta
    if isinstance(separation, Entmax):
        alpha = separation.alpha
        entropy = (1 - (weights**alpha).sum(-1)) / (alpha * (alpha - 1))
        return (weights * scores).sum(-1) + entropy / separation.beta
    base = scores.clamp_min(0) if isinstance(separation, RectifiedPolynomial) else scores
    return (base**separation.n).sum(-1) / separation.n


def by_sorting(values, threshold):
    """`values - tau`, with the threshold `tau` of the largest support that fits."""
    ordered = values.sort(-1, descending=True).values
    taus = threshold(ordered)
    support = (ordered > taus).sum(-1, keepdim=True)
    return values - taus.gather(-1, support - 1)


def sparsemax_threshold(ordered):
    count = torch.arange(1, ordered.shape[-1] + 1, dtype=ordered.dtype)
    return (ordered.cumsum(-1) - 1) / count


def entmax15_threshold(ordered):
    """Closed form of Peters et al. 2019, algorithm 2."""
    count = torch.arange(1, ordered.shape[-1] + 1, dtype=ordered.dtype)
    mean, square = ordered.cumsum(-1) / count, ordered.square().cumsum(-1) / count
    return mean - ((1 - count * (square - mean.square())) / count).clamp_min(0).sqrt()


def two_best_of(scores):
    """Scores and columns of the two best, a tie to the lower column; -inf and -1 where there is no second."""
    order = scores.argsort(dim=-1, descending=True, stable=True)[:, :2]
    best = scores.gather(-1, order)
    if scores.shape[-1] == 1:
        best = torch.cat([best, torch.full_like(best, -math.inf)], -1)
        order = torch.cat([order, torch.full_like(order, -1)], -1)
    return best, order


def blocks_of(patterns, sizes, values=None, first_id=0):
    """Consecutive blocks of the given sizes, the rest in a last one."""
    ids = torch.arange(first_id, first_id + len(patterns))
    start = 0
    for size in [*sizes, len(patterns)]:
        stop = min(start + size, len(patterns))
        if stop > start:
            yield Block(ids[start:stop], patterns[start:stop], None if values is None else values[start:stop])
        start = stop
