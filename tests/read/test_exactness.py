"""Soft-max reads in float32 against float64 on the same inputs, on every path that a bank may take."""

import pytest
import torch

from attractor import Dot, Euclidean, Exponential, RamBank, SoftMax
from attractor.bank.screen import Screen
from attractor.read import Block, Read
from attractor.read.tiles import fits_tiles, fold_tiles

EPS = torch.finfo(torch.float32).eps
FLOOR = 16 * EPS
BETAS = [1e-3, 1.0, 30.0, 1e4]
SIMILARITIES = [Euclidean(), Dot()]


def naive(similarity, cues, patterns, beta):
    scores = cues @ patterns.T
    if isinstance(similarity, Euclidean):
        scores = scores - patterns.square().sum(-1) / 2
    potential = (beta * scores).logsumexp(-1) / beta
    if isinstance(similarity, Euclidean):
        potential = potential - cues.square().sum(-1) / 2
    return (beta * scores).softmax(-1) @ patterns, potential


def largest_term(similarity, cues, patterns):
    """Of the sums that make up the scores."""
    product = float((cues.double() @ patterns.double().T).abs().max())
    if isinstance(similarity, Dot):
        return product
    lengths = [float(rows.double().square().sum(-1).max()) / 2 for rows in (cues, patterns)]
    return max(product, *lengths)


def made(kind, count, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(count, dim, generator=generator)
    if kind == "near ties":
        patterns = patterns[:1] + 1e-3 * patterns
    elif kind == "lengths":
        patterns = patterns * 20 * torch.rand(count, 1, generator=generator)
    elif kind == "rising":  # the best rows come last: weights relative to the first rows would overflow
        patterns = patterns * torch.linspace(0.1, 10, count)[:, None]
    cues = patterns[torch.randint(count, (16,), generator=generator)]
    return patterns, cues + 0.3 * torch.randn(16, dim, generator=generator)


def answers(bank, read):
    """By path: as the bank chooses, tile by tile, block by block, and over the rows that the screen leaves."""
    whole = next(bank.blocks(len(bank)))
    paths = {"bank": bank.fold(read), "blocks": read.fold(bank.blocks(read.rows_per_block))}
    if fits_tiles(read, whole):
        paths["tiles"] = fold_tiles(read, whole)
    places = Screen(whole).candidates(read)
    if places is not None:
        paths["screen"] = read.fold([whole.rows(places)])
    return {name: read.finish(partial) for name, partial in paths.items()}


def errors_of(similarity, beta, patterns, cues, bank):
    """Error of the read-out of each path and of the naive formula, relative to the largest entry, and the limit."""
    values, potential = naive(similarity, cues.double(), patterns.double(), beta)
    unit, term = float(patterns.abs().max()), largest_term(similarity, cues, patterns)
    found = answers(bank, Read(similarity, SoftMax(beta), cues))
    for answer in found.values():
        assert answer.values.isfinite().all() and answer.potential.isfinite().all()
        assert float((answer.potential - potential).abs().max()) <= 16 * EPS * term + 1e-5 / beta
    errors = {name: (answer.values - values).abs().amax(-1) / unit for name, answer in found.items()}
    plain = (naive(similarity, cues, patterns, beta)[0] - values).abs().amax(-1) / unit
    return errors, plain, max(1e-5, 16 * EPS * beta * term)


def bank_of(patterns):
    bank = RamBank(patterns.shape[1], screen=True)
    bank.append(patterns)
    return bank


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["random", "near ties", "lengths", "rising"])
@pytest.mark.parametrize("count", [1, 2, 31, 1000])
@pytest.mark.parametrize("beta", BETAS)
def test_read_is_as_exact_as_float32_allows(similarity, kind, count, beta):
    for seed in range(12 if count <= 31 else 4):
        patterns, cues = made(kind, count, 24, seed)
        errors, plain, limit = errors_of(similarity, beta, patterns, cues, bank_of(patterns))
        for name, error in errors.items():
            assert float(error.max()) <= min(limit, max(2 * float(plain.max()), FLOOR)), name
        assert {"bank", "blocks"} <= set(errors)
        assert "tiles" in errors or beta >= 1


@pytest.fixture(scope="module")
def large():
    patterns, cues = made("random", 70_000, 30, 0)
    return patterns, cues, bank_of(patterns)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("beta", BETAS)
def test_large_read_is_as_exact_as_float32_allows(similarity, beta, large):
    patterns, cues, bank = large
    errors, plain, limit = errors_of(similarity, beta, patterns, cues, bank)
    for name, error in errors.items():
        assert float(error.max()) <= min(limit, max(2 * float(plain.max()), FLOOR)), name
    if beta >= 10:
        assert "screen" in errors and bank._screen is not None


@pytest.mark.slow
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["random", "near ties", "lengths", "rising"])
def test_read_of_300_000_rows_is_as_exact_as_float32_allows(similarity, kind):
    patterns, cues = made(kind, 300_000, 64, 0)
    bank = bank_of(patterns)
    for beta in BETAS:
        errors, plain, limit = errors_of(similarity, beta, patterns, cues, bank)
        for name, error in errors.items():
            assert float(error.max()) <= min(limit, max(2 * float(plain.max()), FLOOR)), (name, beta)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("similarity", "separation"), [(Euclidean(), SoftMax(3.0)), (Dot(), SoftMax(3.0)), (Dot(), Exponential(0.3))]
)
@pytest.mark.parametrize("batch", [1, 5, 70])
def test_tiles_give_what_the_plain_fold_gives(dtype, similarity, separation, batch, generator, monkeypatch):
    monkeypatch.setattr("attractor.read.tiles.SCORES_PER_TILE", 2**12)
    monkeypatch.setattr("attractor.read.tiles.LEAST_ROWS_PER_TILE", 2048)
    monkeypatch.setattr("attractor.read.tiles.CUES_AT_ONCE", 64)
    patterns = torch.randn(9001, 6, generator=generator, dtype=torch.float64).to(dtype)
    cues = torch.randn(batch, 6, generator=generator, dtype=torch.float64).to(dtype)
    bank = RamBank(6, screen=False)
    bank.append(patterns, torch.randn(9001, 2, generator=generator, dtype=torch.float64).to(dtype))
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-5}
    for forgotten in (False, True):
        if forgotten:
            bank.forget(torch.arange(5, 9000, 11))
        for project in ("patterns", "values"):
            read = Read(similarity, separation, cues, project=project)
            assert fits_tiles(read, next(bank.blocks(len(bank))))
            tiled, plain = read.finish(bank.fold(read)), read.finish(read.fold(bank.blocks(999)))
            torch.testing.assert_close(tiled.values, plain.values, **tolerance)
            torch.testing.assert_close(tiled.potential, plain.potential, **tolerance)
            torch.testing.assert_close(tiled.scores, plain.scores, **tolerance)
            assert tiled.ids.tolist() == plain.ids.tolist()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_best_rows_far_beyond_the_first_tile_do_not_overflow(similarity):
    patterns = torch.zeros(30_000, 2)
    patterns[20_000], patterns[29_999] = torch.tensor([30.0, 0.0]), torch.tensor([0.0, 40.0])
    cues = torch.tensor([[30.0, 0.0], [0.0, 40.0], [0.0, 0.0]])
    bank = RamBank(2, screen=False)
    bank.append(patterns)
    for beta in (0.1, 1.0, 1e4):
        read = Read(similarity, SoftMax(beta), cues)
        answer = read.finish(bank.fold(read))
        torch.testing.assert_close(answer.values[:2], cues[:2])
        assert answer.ids[:2, 0].tolist() == [20_000, 29_999]
        assert answer.values.isfinite().all() and answer.potential.isfinite().all()


def test_ties_go_to_the_lower_id_across_tiles():
    patterns = torch.randint(-2, 3, (25_000, 4), generator=torch.Generator().manual_seed(0)).float()
    cues = torch.randint(-2, 3, (9, 4), generator=torch.Generator().manual_seed(1)).float()
    bank = RamBank(4, screen=False)
    bank.append(patterns)
    for batch in (cues, cues.repeat(8, 1)):
        read = Read(Dot(), SoftMax(1.0), batch)
        order = (batch.double() @ patterns.double().T).argsort(dim=-1, descending=True, stable=True)
        assert read.finish(bank.fold(read)).ids.tolist() == order[:, :2].tolist()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 64, 65, 1000])
def test_tiles_find_the_two_best_rows_of_any_number(similarity, count, generator):
    patterns, cues = torch.randn(count, 5, generator=generator), torch.randn(7, 5, generator=generator)
    block = Block(3 * torch.arange(count), patterns)
    read = Read(similarity, SoftMax(0.5), cues)
    tiled, plain = read.finish(fold_tiles(read, block)), read.finish(read.fold([block]))
    assert tiled.ids.tolist() == plain.ids.tolist()
    torch.testing.assert_close(tiled.scores, plain.scores)
    torch.testing.assert_close(tiled.values, plain.values)
