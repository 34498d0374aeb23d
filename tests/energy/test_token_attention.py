"""Attention among tokens: three routes and a sparse one to the same pulls, none of which keeps more than it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from attractor.energy.synapses import block_attention, token_attention
from attractor.energy.synapses.allowed import Edges
from attractor.energy.synapses.token_attention import log_partitions, pulls
from attractor.errors import AttractorWarning

LINEAR = ("blocks", "fused")


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks, the last one shorter, already for a few tokens."""
    monkeypatch.setattr(block_attention, "BLOCK", 1)
    monkeypatch.setattr(block_attention, "LEAST_ROWS", 3)


def queries_and_keys(generator, *shape, dtype=torch.float64):
    return [one.to(dtype).requires_grad_() for one in torch.randn(2, *shape, generator=generator, dtype=torch.float64)]


def masks(tokens, batch=2, heads=3):
    """Every kind, two of them with queries that have nothing to read."""
    generator = torch.Generator().manual_seed(1)
    holes = torch.rand(batch, heads, tokens, tokens, generator=generator) < 0.4
    holes[0, :, 2] = False
    shared = holes[:1, :1].clone()
    return {
        "all": None,
        "no-self": "no-self",
        "causal": torch.ones(tokens, tokens, dtype=torch.bool).tril(),
        "hole": holes[0, 0],
        "by sample": holes[:, :1],
        "by head": holes,
        "one for all": shared,
    }


def naive(queries, keys, allowed):
    """Log-partitions by a sum of exponentials, one query at a time."""
    batch, heads, tokens, _ = queries.shape
    if isinstance(allowed, str):
        allowed = ~torch.eye(tokens).bool()
    everyone = torch.ones(batch, heads, tokens, tokens, dtype=torch.bool)
    reads = everyone if allowed is None else allowed & everyone
    found = torch.zeros(batch, heads, tokens, dtype=queries.dtype)
    for sample, head, query in torch.cartesian_prod(*map(torch.arange, (batch, heads, tokens))).tolist():
        seen = keys[sample, head, reads[sample, head, query]]
        if len(seen):
            found[sample, head, query] = (seen @ queries[sample, head, query]).exp().sum().log()
    return found


@pytest.mark.parametrize("route", ["plain", *LINEAR])
@pytest.mark.parametrize("kind", masks(7))
def test_pulls_are_the_gradients_of_the_log_partitions(kind, route, generator, small_blocks):
    allowed = masks(7)[kind]
    queries, keys = queries_and_keys(generator, 2, 3, 7, 4)
    known = naive(queries, keys, allowed)
    assert_close(log_partitions(queries, keys, allowed), known, rtol=1e-12, atol=1e-12)
    assert_close(pulls(queries, keys, allowed, route), torch.autograd.grad(known.sum(), (queries, keys)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("route", LINEAR)
@pytest.mark.parametrize("kind", masks(7))
def test_derivatives_of_all_routes_agree(kind, route, generator, small_blocks):
    allowed = masks(7)[kind]
    queries, keys = queries_and_keys(generator, 2, 3, 7, 4)
    upstream = torch.randn(2, *queries.shape, generator=generator, dtype=torch.float64)

    def derivatives(route):
        drawn, pulled = pulls(queries, keys, allowed, route)
        return torch.autograd.grad([drawn, pulled], (queries, keys), [*upstream])

    assert_close(derivatives(route), derivatives("plain"), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [1, 2 * 3 * 49])
@pytest.mark.parametrize("kind", masks(7, 5))
def test_blocks_of_rows_and_of_samples_change_nothing(kind, block, generator, small_blocks, monkeypatch):
    monkeypatch.setattr(block_attention, "BLOCK", block)
    allowed = masks(7, 5)[kind]
    queries, keys = queries_and_keys(generator, 5, 3, 7, 4)
    samples, rows = block_attention.blocks_of(queries)
    assert (len(samples), len(rows)) == ((5, 3) if block == 1 else (3, 1))
    upstream = torch.randn(3, *queries.shape, generator=generator, dtype=torch.float64)

    def everything(partitions, drawn, pulled):
        gradients = torch.autograd.grad([partitions, drawn, pulled], (queries, keys), [upstream[2, ..., 0], *upstream[:2]])
        return partitions, drawn, pulled, *gradients

    known = everything(naive(queries, keys, allowed), *pulls(queries, keys, allowed, "plain"))
    found = everything(log_partitions(queries, keys, allowed), *pulls(queries, keys, allowed, "blocks"))
    assert_close(found, known, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("route", ["plain", *LINEAR])
def test_gradcheck(route, generator, small_blocks):
    queries, keys = queries_and_keys(generator, 1, 2, 5, 3)
    beta = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    for allowed in (None, "no-self", masks(5, 1, 2)["by head"]):

        def both(queries, keys, beta, allowed=allowed):
            drawn, pulled = pulls(queries * beta.view(-1, 1, 1), keys, allowed, route)
            return drawn, pulled / beta.view(-1, 1, 1)

        assert torch.autograd.gradcheck(both, (queries, keys, beta))


def test_only_the_plain_route_is_differentiated_twice(generator):
    queries, keys = queries_and_keys(generator, 1, 1, 4, 2)
    assert torch.autograd.gradgradcheck(lambda *both: pulls(*both, "no-self", "plain"), (queries, keys))
    for route in LINEAR:
        with pytest.raises(RuntimeError, match="is differentiated once"):
            torch.autograd.grad(pulls(queries, keys, None, route)[0].sum(), keys, create_graph=True)


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 40), st.integers(1, 5)),
    st.floats(0.0, 1.0),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 2**31),
)
def test_any_mask_has_the_same_pulls_by_every_route_and_along_its_edges(shape, share, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    queries, keys = queries_and_keys(generator, *shape, dtype=dtype)
    allowed = torch.rand(shape[2], shape[2], generator=generator) < share
    edges = Edges(*allowed.nonzero().T[:, torch.randperm(int(allowed.sum()), generator=generator)])
    known = pulls(queries, keys, allowed, "plain")
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    for found in (pulls(queries, keys, edges), *(pulls(queries, keys, allowed, route) for route in LINEAR)):
        assert_close(found, known, **tolerance)
    assert_close(log_partitions(queries, keys, edges), log_partitions(queries, keys, allowed), **tolerance)


def test_derivatives_along_edges_are_those_of_the_mask(generator):
    queries, keys = queries_and_keys(generator, 2, 2, 6, 3)
    allowed = masks(6)["hole"]
    weights = torch.randn(2, *queries.shape, generator=generator, dtype=torch.float64)

    def derivatives(allowed):
        drawn, pulled = pulls(queries, keys, allowed)
        return torch.autograd.grad([drawn, pulled, log_partitions(queries, keys, allowed).sum()], (queries, keys), [*weights, None])

    assert_close(derivatives(Edges(*allowed.nonzero().T)), derivatives(allowed), rtol=1e-10, atol=1e-12)


def test_an_edge_that_stands_twice_counts_twice(generator):
    queries, keys = queries_and_keys(generator, 1, 1, 2, 3)
    edges = Edges(torch.tensor([0, 0, 0]), torch.tensor([1, 1, 0]))
    logits = queries[0, 0, 0] @ keys[0, 0].T
    wanted = (logits[0].exp() + 2 * logits[1].exp()).log()
    assert_close(log_partitions(queries, keys, edges)[0, 0], torch.stack([wanted, torch.zeros_like(wanted)]))


@pytest.mark.parametrize("route", ["plain", *LINEAR])
def test_a_query_with_nothing_to_read_has_no_part_and_no_gradient(route, generator):
    queries, keys = queries_and_keys(generator, 1, 1, 4, 2)
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    drawn, pulled = pulls(queries, keys, nothing, route)
    partitions = log_partitions(queries, keys, nothing)
    (drawn.sum() + pulled.square().sum() + partitions.sum()).backward()
    assert all(bool((one == 0).all()) for one in (drawn, pulled, partitions, queries.grad, keys.grad))


@pytest.mark.parametrize("route", ["plain", *LINEAR, "edges"])
def test_scores_far_beyond_the_range_of_exponentials_are_read(route, generator, small_blocks):
    queries, keys = (1e3 * one.detach() for one in queries_and_keys(generator, 1, 2, 7, 4, dtype=torch.float32))
    queries = torch.where(torch.arange(7)[:, None] % 2 == 0, queries.abs(), -queries.abs())
    keys = keys.abs()  # so that all scores of a query have one sign
    others = (~torch.eye(7, dtype=torch.bool)).nonzero().T
    allowed, route = (Edges(*others), "auto") if route == "edges" else ("no-self", route)
    drawn, pulled = pulls(queries, keys, allowed, route)
    highest, best = (queries @ keys.mT - 1e12 * torch.eye(7)).max(-1)
    assert_close(drawn, keys.gather(2, best[..., None].expand_as(keys)))
    assert_close(log_partitions(queries, keys, allowed), highest)
    assert bool(pulled.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("route", ["plain", *LINEAR])
def test_half_precision_is_half_precision_of_the_same(route, dtype, generator, small_blocks):
    queries, keys = queries_and_keys(generator, 1, 2, 40, 4, dtype=dtype)
    found = pulls(queries, keys, "no-self", route)
    known = pulls(queries.double(), keys.double(), "no-self")
    for one, wanted in zip(found, known, strict=True):
        assert one.dtype == dtype
        assert_close(one.double(), wanted, rtol=0.05, atol=0.05)
    partitions = log_partitions(queries, keys, "no-self")
    assert partitions.dtype == torch.float32
    assert_close(partitions.double(), log_partitions(queries.double(), keys.double(), "no-self"), rtol=0.01, atol=0.02)


class Largest(TorchDispatchMode):
    """Notes the most entries that a tensor made inside has."""

    def __init__(self):
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else (found,):
            if isinstance(one, torch.Tensor):
                self.entries = max(self.entries, one.numel())
        return found


@pytest.mark.parametrize("route", [*LINEAR, "edges"])
def test_no_matrix_of_all_pairs_forward_or_backward(route, generator, monkeypatch):
    monkeypatch.setattr(block_attention, "BLOCK", 2**15)
    tokens = 600
    queries, keys = queries_and_keys(generator, 1, 2, tokens, 4, dtype=torch.float32)
    ring = torch.arange(tokens)
    allowed = Edges(ring, ring.roll(1)) if route == "edges" else None
    with Largest() as seen:
        drawn, pulled = pulls(queries, keys, allowed, "auto" if route == "edges" else route)
        (drawn.sum() + pulled.square().sum() + log_partitions(queries, keys, allowed).sum()).backward()
    assert 0 < seen.entries <= 2 * 2**15 < 2 * tokens**2 / 10
    with Largest() as seen:
        pulls(queries, keys, None, "plain")
    assert seen.entries == 2 * tokens**2


@pytest.mark.parametrize(
    ("shape", "route"), [((1, 1, 724), "plain"), ((1, 1, 725), "blocks"), ((8, 4, 128), "plain"), ((16, 4, 400), "blocks")]
)
def test_the_route_is_chosen_by_the_number_of_scores(shape, route, generator):
    queries, keys = queries_and_keys(generator, *shape, 2, dtype=torch.float32)
    assert token_attention.resolved("auto", queries, keys, None) == route


def test_without_a_fused_kernel_blocks_are_used_and_it_is_said(generator, monkeypatch):
    monkeypatch.setattr(token_attention, "has_kernel", lambda *_: False)
    queries, keys = queries_and_keys(generator, 1, 2, 6, 3)
    with pytest.warns(AttractorWarning, match="no fused attention kernel takes torch.float64"):
        found = pulls(queries, keys, "no-self", "fused")
    assert_close(found, pulls(queries, keys, "no-self", "plain"))


@pytest.mark.parametrize("route", ["plain", *LINEAR])
def test_pulls_are_found_in_inference_mode(route, generator):
    queries, keys = (one.detach() for one in queries_and_keys(generator, 1, 2, 6, 3))
    with torch.inference_mode():
        found = pulls(queries + 0, keys + 0, "no-self", route)
    assert_close(tuple(one.clone() for one in found), pulls(queries, keys, "no-self", "plain"))
