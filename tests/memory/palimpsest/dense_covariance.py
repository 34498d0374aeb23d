"""The same likelihood by the whole covariance of all synapses, for a handful of neurons."""

import torch

from attractor.memory.palimpsest import standardised


def covariance(statistics, size):
    """`(N (N - 1), N (N - 1))`, from what two synapses share, and the places `(2, N (N - 1))` of its rows."""
    behind, before = places = (~torch.eye(size, dtype=torch.bool)).nonzero().T
    same_post, same_pre = behind[:, None] == behind, before[:, None] == before
    crossed, crossed_back = behind[:, None] == before, before[:, None] == behind
    shared = same_post * statistics.shared_post + same_pre * statistics.shared_pre
    shared = shared + crossed * statistics.chain + crossed_back * statistics.chain
    same, swapped = same_post & same_pre, crossed & crossed_back
    return shared + (same | swapped) * statistics.symmetric + same * statistics.private, places


def log_likelihoods(weights, statistics, f, patterns):
    """Of `patterns (b, N)`."""
    u = standardised(patterns.double(), f)
    mean = statistics.mean + statistics.post * u[:, :, None] + statistics.pre * u[:, None, :]
    mean = mean + statistics.both * u[:, :, None] * u[:, None, :]
    matrix, (behind, before) = covariance(statistics, patterns.shape[1])
    left = (weights.double() - mean)[:, behind, before]
    return -0.5 * ((left * torch.linalg.solve(matrix, left.T).T).sum(1) + torch.linalg.slogdet(matrix)[1])


def log_odds(weights, statistics, f, pattern):
    """Of each neuron: the difference of the likelihoods with it active and silent."""
    chosen = torch.eye(len(pattern), dtype=torch.bool)
    active, silent = pattern.masked_fill(chosen, 1), pattern.masked_fill(chosen, 0)
    both = log_likelihoods(weights, statistics, f, torch.cat([active, silent]))
    return both[: len(pattern)] - both[len(pattern) :]


def difference(one, other):
    """Relative to the largest, or to a thousandth of a nat: some log odds are 0 in exact arithmetic."""
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-3))
