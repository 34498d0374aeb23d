"""Feature maps and projections: they estimate their kernels without bias, with the variance that they state."""

import itertools
from math import exp

import pytest
import torch
from scipy import integrate, stats
from sklearn.kernel_approximation import RBFSampler

from attractor.memory.random_features import ArcCosine, Cos, Exp, ExpExp, Gaussian, Hadamard, Orthogonal, PolynomialMap, SinCos
from attractor.memory.random_features.features import RandomFeatures
from attractor.memory.random_features.polynomial import arc_cosine
from attractor.memory.random_features.projections import walsh_hadamard

BOUNDED = [(feature_map, beta) for feature_map in (SinCos(), Cos()) for beta in (1.0, 10.0)]
POSITIVE = [(Exp(), 1.0), (ExpExp(), 1.0)]
POLYNOMIAL = [(PolynomialMap(2), 1.0), (PolynomialMap(3, 0.5), 1.0), (ArcCosine(1), 1.0), (ArcCosine(2), 1.0)]
PROJECTIONS = [Gaussian(), Orthogonal(), Hadamard()]


def pair(dim=6, norm=0.5):
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, dim, generator=generator, dtype=torch.float64)
    return norm * x / x.norm(), norm * (x + y) / (x + y).norm()


def products(x, y):
    return float(x @ y), float(x @ x), float(y @ y)


def estimates(feature_map, beta, x, y, draws, projection=None, count=1):
    """One estimate of the kernel from each of `draws` sets of `count` features."""
    features = RandomFeatures(len(x), draws * count, feature_map, projection or Gaussian(), "stored", seed=5)
    steep = beta**0.5 if feature_map.gaussian else 1.0
    found = []
    for block in features.blocks(x):
        psi = [list(feature_map.psi(h, torch.empty_like(h))) for h in (features.project(block, steep * v[None]) for v in (x, y))]
        found.append(sum(a * b for a, b in zip(*psi, strict=True))[0])
    damping = feature_map.damping * beta * (x @ x + y @ y)
    return (feature_map.scale * torch.cat(found) * exp(-damping)).view(draws, count).mean(1)


@pytest.mark.parametrize(("feature_map", "beta"), BOUNDED + POSITIVE + POLYNOMIAL)
def test_map_is_unbiased_with_the_variance_of_its_formula(feature_map, beta):
    x, y = pair()
    found = estimates(feature_map, beta, x, y, 60_000)
    kernel = feature_map.kernel(*products(x, y), beta)
    assert abs(float(found.mean()) - kernel) < 4 * float(found.std()) / 60_000**0.5
    assert float(found.var()) == pytest.approx(feature_map.variance(*products(x, y), beta), rel=0.15)


@pytest.mark.parametrize(("feature_map", "beta"), BOUNDED)
def test_variance_falls_with_the_number_of_features(feature_map, beta):
    x, y = pair()
    found = estimates(feature_map, beta, x, y, 2000, count=20)
    assert float(found.var()) == pytest.approx(feature_map.variance(*products(x, y), beta) / 20, rel=0.15)


@pytest.mark.parametrize("feature_map", [SinCos(), Cos(), Exp(), PolynomialMap(2, 0.3), ArcCosine(2)])
def test_largest_variance_is_never_exceeded(feature_map):
    _, xx, yy = products(*pair())
    largest = feature_map.largest_variance(xx, yy, 2.0)
    for cosine in torch.linspace(-1, 1, 21).tolist():
        assert feature_map.variance(cosine * (xx * yy) ** 0.5, xx, yy, 2.0) <= largest + 1e-12


@pytest.mark.parametrize("feature_map", [one for one, _ in BOUNDED[::2] + POSITIVE + POLYNOMIAL])
def test_slope_is_the_derivative_of_the_value(feature_map):
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(4, 5 * feature_map.rows, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(feature_map.parts, 5, generator=generator, dtype=torch.float64)
    value = (
        sum(part @ weight for part, weight in zip(feature_map.psi(h * 1.0, torch.empty_like(h)), weights, strict=True))
        if feature_map.parts == 1
        else two_parts(feature_map, h, weights)
    )
    (along,) = torch.autograd.grad(value.sum(), h)
    found = feature_map.slope(h.detach().clone(), weights)
    torch.testing.assert_close(found.value, value.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.along, along, rtol=1e-12, atol=1e-12)


def two_parts(feature_map, h, weights):
    first, second = (h.cos(), h.sin()) if isinstance(feature_map, SinCos) else (h.exp(), (-h).exp())
    return first @ weights[0] + second @ weights[1]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("cosine", [-0.9, 0.0, 0.4, 1.0])
def test_arc_cosine_kernel_is_its_integral(n, cosine):
    angle = torch.tensor(cosine).acos().item()
    radial = 2**n * torch.arange(1, n + 1).prod().item()
    turn, _ = integrate.quad(
        lambda u: max(0, torch.tensor(u).cos().item() * torch.tensor(u - angle).cos().item()) ** n,
        angle - torch.pi / 2,
        torch.pi / 2,
    )
    assert arc_cosine(n, cosine * 6.0, 4.0, 9.0) == pytest.approx(2 * radial * 6.0**n * turn / (2 * torch.pi), abs=1e-3, rel=1e-4)


def test_cos_map_agrees_with_scikit_learn():
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    beta, count = 3.0, 50
    features = RandomFeatures(6, count, Cos(), Gaussian(), "stored", seed=1)
    (block,) = features.blocks(x)
    sampler = RBFSampler(gamma=beta / 2, n_components=count).fit(x.numpy())
    sampler.random_weights_ = (beta**0.5 * block.drawn).T.numpy()
    sampler.random_offset_ = block.offsets.numpy()
    mine = (2 / count) ** 0.5 * next(Cos().psi(features.project(block, beta**0.5 * x), torch.empty(0)))
    torch.testing.assert_close(mine, torch.from_numpy(sampler.transform(x.numpy())), rtol=0, atol=1e-6)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_projection_and_its_transpose_are_one_matrix(projection):
    drawn = projection.draw(11, 6, torch.Generator().manual_seed(0)).double()
    rows = projection.apply(drawn, torch.eye(6, dtype=torch.float64), 11).T
    weights = torch.randn(3, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert rows.shape == (11, 6)
    torch.testing.assert_close(projection.transposed(drawn, weights, 6), weights @ rows)


@pytest.mark.parametrize("projection", PROJECTIONS[1:])
def test_rows_of_a_group_are_orthogonal(projection):
    drawn = projection.draw(16, 16, torch.Generator().manual_seed(0)).double()
    rows = projection.apply(drawn, torch.eye(16, dtype=torch.float64), 16).T
    products = rows @ rows.T
    assert float((products - products.diagonal().diag()).abs().max()) < 1e-5
    assert float(products.diagonal().std()) > 0.1


def test_rows_of_orthogonal_projections_are_normal():
    rows = torch.cat([Orthogonal().draw(5, 5, torch.Generator().manual_seed(seed)) for seed in range(800)])
    assert all(stats.kstest(column.numpy(), "norm").pvalue > 1e-3 for column in rows.T)


@pytest.mark.parametrize("projection", PROJECTIONS[1:])
@pytest.mark.parametrize("feature_map", [SinCos(), Exp()])
def test_orthogonal_rows_are_unbiased_and_better_at_low_beta(projection, feature_map):
    x, y = pair(dim=16)
    count = 16
    kernel = feature_map.kernel(*products(x, y), 1.0)
    mine, plain = (estimates(feature_map, 1.0, x, y, 3000, one, count) for one in (projection, Gaussian()))
    assert abs(float(mine.mean()) - kernel) < 4 * float(mine.std()) / 3000**0.5 + (0.003 if projection.name == "hadamard" else 0)
    assert float(mine.var()) < 0.9 * float(plain.var())


@pytest.mark.parametrize("dim", [2, 4])
def test_hadamard_rows_of_few_dimensions_are_mixed_enough(dim):
    x = torch.zeros(2, dim, dtype=torch.float64)
    x[1, 0] = 1.0
    features = RandomFeatures(dim, 40_000, SinCos(), Hadamard(), "seeded", seed=1)
    cosines = torch.cat([(features.project(block, x)[1] * 1.0).cos() for block in features.blocks(x)])
    assert float(cosines.mean()) == pytest.approx(exp(-0.5), abs=0.015)
    lengths = torch.cat([block.drawn[3].flatten() for block in features.blocks(x)])
    assert float(lengths.square().mean()) == pytest.approx(features.group, rel=0.02)


def test_drawing_hadamard_rows_takes_no_square_matrix():
    rows, alive = 4096, []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        Hadamard().draw(64, rows, torch.Generator().manual_seed(0))
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            alive.append(event.nbytes() + (alive[-1] if alive else 0))
    assert max(alive) < rows * rows


def test_walsh_hadamard_is_orthonormal_and_its_own_inverse():
    for width in (1, 2, 8, 32):
        vectors = torch.randn(3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(walsh_hadamard(walsh_hadamard(vectors)), vectors)
        torch.testing.assert_close(walsh_hadamard(vectors).norm(dim=-1), vectors.norm(dim=-1))


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_seeded_blocks_are_those_stored_and_differ_from_each_other(projection):
    like = torch.zeros(0)
    stored, seeded = (RandomFeatures(5, 2500, Cos(), projection, kind, seed=2) for kind in ("stored", "seeded"))
    blocks = list(seeded.blocks(like))
    for mine, theirs in zip(blocks, stored.blocks(like), strict=True):
        assert torch.equal(mine.drawn, theirs.drawn) and torch.equal(mine.offsets, theirs.offsets)
    neighbour = list(RandomFeatures(5, 2500, Cos(), projection, "seeded", seed=3).blocks(like))
    for one, other in [*itertools.combinations(blocks[:2], 2), *itertools.product(blocks[:2], neighbour[:2])]:
        assert not torch.equal(one.drawn, other.drawn)


def test_dependent_rows_are_refused_where_a_feature_multiplies_them():
    with pytest.raises(ValueError, match="projection"):
        RandomFeatures(5, 10, PolynomialMap(2), Orthogonal(), "stored", 0)


@pytest.mark.parametrize("make", [lambda: PolynomialMap(0), lambda: PolynomialMap(2, -1.0), lambda: ArcCosine(0)])
def test_wrong_powers_are_refused(make):
    with pytest.raises(ValueError, match=r"n must|c must"):
        make()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5, 1025])
@pytest.mark.parametrize("feature_map", [SinCos(), Cos(), ExpExp(), PolynomialMap(2)])
def test_sums_are_those_of_vectors_one_by_one(feature_map, count, weighted):
    generator = torch.Generator().manual_seed(2)
    vectors = torch.randn(count, 6, generator=generator, dtype=torch.float64) / 2
    weights = torch.rand(count, generator=generator, dtype=torch.float64) if weighted else torch.full((count,), 0.7).double()
    features = RandomFeatures(6, 1100, feature_map, Gaussian(), "stored", seed=5)
    looks = [features.project(block, vectors) for block in features.blocks(vectors)]
    one_by_one = [torch.stack([weights @ psi.clone() for psi in feature_map.psi(h, torch.empty_like(h))]) for h in looks]
    torch.testing.assert_close(features.sums(vectors, weights), torch.cat(one_by_one, 1), rtol=1e-11, atol=1e-11)
