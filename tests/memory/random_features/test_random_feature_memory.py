"""The memory of random features, beside the exact one."""

import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor import AttractorWarning, DenseMemory, Euclidean, Memory, NotConvergedWarning, SoftMax
from attractor.memory.random_features import ArcCosine, PolynomialMap, RandomFeatureMemory, features
from attractor.memory.random_features.descent import Field, Way, descend
from attractor.testing import check_memory

pytestmark = pytest.mark.filterwarnings("ignore:.*are long for the positive features")

GAUSSIAN_MAPS = ["sincos", "cos", "exp", "expexp"]


def normal(rows, dim=8, seed=0, dtype=torch.float64):
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def binary(rows, dim, seed=0, dtype=torch.float64):
    """Vectors of `{0, 1/sqrt(d)}^d`."""
    return torch.randint(0, 2, (rows, dim), generator=torch.Generator().manual_seed(seed)).to(dtype) * dim**-0.5


def stored(patterns, **settings):
    memory = RandomFeatureMemory(patterns.shape[1], **settings)
    memory.store(patterns)
    return memory


def exact_energy(patterns, states, beta):
    return -(-beta / 2 * torch.cdist(states, patterns) ** 2).logsumexp(-1) / beta


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 1.0},
        {"beta": 1.0, "feature_map": "cos", "storage": "seeded", "projection": "orthogonal"},
        {"beta": 0.05, "feature_map": "exp", "center": False},
        {"beta": 1.0, "similarity": "dot"},
        {"beta": 0.5, "energy": "sum"},
        {"beta": 1.0, "feature_map": PolynomialMap(3, 1.0)},
    ],
)
def test_it_is_a_memory(settings):
    check_memory(partial(RandomFeatureMemory, 8, features=300, alpha=0.5, **settings))


@pytest.mark.parametrize("similarity", ["euclidean", "dot"])
def test_energy_and_force_are_those_of_the_exact_memory(similarity):
    patterns, states, beta = normal(20) / 3, normal(7, seed=1) / 3, 2.0
    memory = stored(patterns, features=100_000, beta=beta, similarity=similarity)
    weights = 0 if similarity == "euclidean" else beta / 2 * patterns.square().sum(-1)
    scores = weights - beta / 2 * torch.cdist(states, patterns) ** 2
    torch.testing.assert_close(memory.energy(states), -scores.logsumexp(-1) / beta, rtol=0, atol=0.02)
    torch.testing.assert_close(memory.force(states), scores.softmax(-1) @ patterns - states, rtol=0, atol=0.05)


def test_energy_is_that_of_a_dense_memory():
    patterns, states = binary(50, 20), binary(9, 20, seed=1)
    dense = DenseMemory(20, similarity=Euclidean(), separation=SoftMax(10.0))
    dense.store(patterns)
    apart = stored(patterns, features=100_000, beta=10.0).energy(states) - dense.energy(states)
    assert float(apart.std()) < 0.01 and float(apart.abs().max()) < 0.02


@pytest.mark.parametrize("feature_map", [PolynomialMap(3, 0.5), ArcCosine(2)])
def test_energy_of_a_polynomial_map_is_minus_the_sum_of_its_kernels(feature_map):
    patterns, states = normal(10) / 3, normal(4, seed=1) / 3
    memory = stored(patterns, features=60_000, beta=2.0, feature_map=feature_map)
    kernels = [[feature_map.kernel(float(x @ xi), float(x @ x), float(xi @ xi), 2.0) for xi in patterns] for x in states]
    wanted = -torch.tensor(kernels, dtype=torch.float64).sum(-1) / 2.0
    assert float((memory.energy(states) - wanted).abs().max()) < 5 * float(memory.error_estimate(states).standard_error.max())
    assert float((memory.energy(states) - wanted).abs().max()) < 0.2 * float(wanted.abs().max())


@pytest.mark.parametrize("energy", ["log", "sum"])
@pytest.mark.parametrize("feature_map", [*GAUSSIAN_MAPS, PolynomialMap(3, 0.5), ArcCosine(2)])
@pytest.mark.parametrize("projection", ["gaussian", "hadamard"])
def test_force_is_minus_the_gradient_of_the_energy(energy, feature_map, projection):
    if not isinstance(feature_map, str) and (energy == "log" or projection == "hadamard"):
        pytest.skip("refused: a polynomial kernel has no logarithm, and its features multiply independent rows")
    beta, center = 1.5, False if not isinstance(feature_map, str) else torch.full((8,), 0.1)
    given = {"beta": beta, "feature_map": feature_map, "projection": projection, "center": center, "energy": energy}
    memory = stored(normal(12) / 3, features=3000, **given)
    states, step = normal(5, seed=1) / 3, 1e-5
    rises = torch.stack(
        [
            (memory.energy(states + step * unit) - memory.energy(states - step * unit)) / (2 * step)
            for unit in torch.eye(8).double()
        ],
        -1,
    )
    assert not bool(memory.clipped(states).any())
    torch.testing.assert_close(memory.force(states), -rises, rtol=1e-4, atol=1e-6)


def test_closed_form_gradient_equals_autograd():
    patterns, states, beta = normal(12) / 3, (normal(5, seed=1) / 3).requires_grad_(), 3.0
    memory = stored(patterns, features=1500, beta=beta)
    rows = torch.cat([block.drawn for block in memory.features.blocks(patterns)])

    def phi(x):
        h = beta**0.5 * x @ rows.T
        return torch.cat([h.cos(), h.sin()], -1) / len(rows) ** 0.5

    energy = -(phi(states) @ phi(patterns).sum(0)).log() / beta
    (gradient,) = torch.autograd.grad(energy.sum(), states)
    assert float((memory.force(states.detach()) + gradient).abs().max()) < 1e-10
    assert float((memory.energy(states.detach()) - energy.detach()).abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("feature_map", "similarity"), [("sincos", "dot"), ("cos", None), ("exp", None), ("expexp", "dot"), ("arc-cosine", None)]
)
@settings(max_examples=8)
@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 1000))
def test_order_of_storing_changes_nothing_and_forgetting_undoes_it(feature_map, similarity, rows, cut, seed):
    patterns, more = normal(rows, seed=seed) / 3, normal(4, seed=seed + 1) / 3
    make = partial(RandomFeatureMemory, 8, features=300, beta=2.0, feature_map=feature_map, similarity=similarity, center=False)
    forward, backward = make(), make()
    forward.store(patterns)
    for some in patterns.flip(0).split(cut):
        backward.store(some)
    torch.testing.assert_close(weighed(forward), weighed(backward), rtol=1e-5, atol=1e-10)
    forward.store(more)
    forward.forget(more)
    torch.testing.assert_close(weighed(forward), weighed(backward), rtol=1e-5, atol=1e-9)
    assert len(forward) == rows


def weighed(memory):
    return memory.sums * memory.log_scale.exp()


def test_forgetting_everything_leaves_nothing():
    memory = stored(normal(5), features=100)
    memory.forget(normal(5))
    assert len(memory) == 0 and not bool(memory.sums.any())


@pytest.mark.parametrize("similarity", ["euclidean", "dot"])
def test_merged_memories_are_one(similarity):
    patterns = normal(12)
    make = partial(stored, features=500, beta=1.0, similarity=similarity)
    whole, merged = make(patterns), make(patterns[:5])
    merged.merge(make(patterns[5:], storage="seeded"))
    torch.testing.assert_close(merged.energy(patterns), whole.energy(patterns))
    torch.testing.assert_close(merged.moments, whole.moments)
    assert len(merged) == 12 and merged.store(patterns[:1]).tolist() == [12]
    empty = RandomFeatureMemory(8, features=500, beta=1.0, similarity=similarity)
    empty.merge(whole)
    torch.testing.assert_close(empty.energy(patterns), whole.energy(patterns))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"beta": 2.0},
        {"feature_map": "cos"},
        {"features": 99},
        {"projection": "orthogonal"},
        {"similarity": "dot"},
        {"center": torch.ones(8)},
    ],
)
def test_memories_that_differ_are_not_merged(other):
    memory = stored(normal(3), features=100, beta=1.0)
    before = memory.sums.clone()
    with pytest.raises(ValueError, match="other"):
        memory.merge(stored(normal(3), **{"features": 100, "beta": 1.0} | other))
    assert torch.equal(memory.sums, before) and len(memory) == 3


def test_size_does_not_grow_with_the_patterns():
    few, many = (stored(normal(rows, dtype=torch.float32), features=200) for rows in (10, 10_000))
    assert {name: one.shape for name, one in few.state_dict().items()} == {
        name: one.shape for name, one in many.state_dict().items()
    }
    assert few.size().numbers == many.size().numbers == 400 + 3 * 8 + 5 + 200 * 8
    assert many.size().exact_numbers == 80_000 > many.size().numbers
    seeded = stored(normal(10), features=200, storage="seeded")
    assert seeded.size().numbers == few.size().numbers - 200 * 8


def test_state_dict_is_exact():
    memory = stored(normal(30), features=300, center=True)
    other = RandomFeatureMemory(8, features=300)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.sums, memory.sums) and torch.equal(other.energy(normal(3)), memory.energy(normal(3)))


def test_memories_are_saved_with_their_map(tmp_path):
    for place, feature_map in enumerate([PolynomialMap(2, 0.5), "expexp"]):
        memory = stored(normal(5) / 3, features=100, beta=1.0, feature_map=feature_map)
        memory.save(tmp_path / str(place))
        loaded = Memory.load(tmp_path / str(place))
        assert loaded.map == memory.map and torch.equal(loaded.energy(normal(2) / 3), memory.energy(normal(2) / 3))


@pytest.mark.parametrize("feature_map", ["sincos", "cos", "arc-cosine"])
@pytest.mark.parametrize("projection", ["gaussian", "orthogonal", "hadamard"])
def test_seeded_and_stored_projections_give_equal_energies(feature_map, projection):
    given = {"features": 2500, "beta": 2.0, "feature_map": feature_map, "projection": projection}
    one, other = (stored(normal(9), storage=storage, **given) for storage in ("stored", "seeded"))
    assert torch.equal(one.sums, other.sums) and torch.equal(one.energy(normal(3)), other.energy(normal(3)))


def test_size_of_a_tile_changes_nothing(monkeypatch):
    whole = stored(normal(50), features=100)
    monkeypatch.setitem(features.NUMBERS_PER_TILE, "cpu", 700)
    torch.testing.assert_close(stored(normal(50), features=100).sums, whole.sums, rtol=1e-12, atol=1e-12)


def test_first_features_alone_estimate_without_bias():
    patterns, states = binary(40, 20), binary(3, 20, seed=1)
    exact = exact_energy(patterns, states, 10.0)
    off = [stored(patterns, features=2000, beta=10.0, seed=seed).energy(states, features=700) - exact for seed in range(8)]
    assert float(torch.stack(off).mean(0).abs().max()) < 0.02
    memory = stored(patterns, features=2000, beta=10.0)
    rows = torch.cat([block.drawn for block in memory.features.blocks(patterns)])[:700]
    h = [10.0**0.5 * one @ rows.T for one in (states, patterns)]
    phi = [torch.cat([one.cos(), one.sin()], -1) / 700**0.5 for one in h]
    torch.testing.assert_close(memory.energy(states, features=700), -(phi[0] @ phi[1].sum(0)).log() / 10)


@pytest.mark.filterwarnings("ignore::attractor.NotConvergedWarning")
@pytest.mark.parametrize("beta", [10.0, 30.0])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_energy_never_rises(beta, alpha):
    for seed in range(3):
        patterns = binary(50, 64, seed)
        cues = torch.where(torch.rand(50, 64, generator=torch.Generator().manual_seed(seed)) < 0.1, 0.125 - patterns, patterns)
        memory = stored(patterns, features=4000, beta=beta, seed=seed)
        energies = memory.recall(cues, max_steps=120 if seed == 0 else 25, alpha=alpha, trace=True).trace.energies
        assert float(energies.diff(dim=0).max()) <= 1e-9 and float(energies[0].mean() - energies[-1].mean()) > 1e-4


def test_step_that_would_raise_the_energy_is_shortened():
    patterns = binary(50, 64)
    memory = stored(patterns, features=1000, beta=30.0)
    unsure = patterns[torch.arange(40)] + normal(40, 64, seed=9) / 12
    near = unsure[~memory.clipped(unsure)]
    once = near + memory.force(near)
    assert bool((memory.energy(once) > memory.energy(near)).any())
    energies = memory.recall(near, alpha=1.0, max_steps=40, trace=True).trace.energies
    assert float(energies.diff(dim=0).max()) <= 1e-9


def test_recall_ends_where_the_exact_memory_does():
    patterns = binary(50, 64)
    cues = torch.where(torch.rand(20, 64, generator=torch.Generator().manual_seed(5)) < 0.1, 0.125 - patterns[:20], patterns[:20])
    found = stored(patterns, features=16_000, beta=30.0).recall(cues, max_steps=60)
    assert float(((found.patterns > 0.0625) != (patterns[:20] > 0.0625)).double().mean()) <= 0.01
    assert found.index is None and found.score is None and found.margin is None


def test_unknown_entries_start_from_the_mean_and_known_ones_stay():
    patterns = binary(20, 16) + 0.1
    memory = stored(patterns, features=2000, beta=5.0)
    known = torch.ones(4, 16, dtype=torch.bool)
    known[:, 8:] = False
    found = memory.recall(torch.where(known, patterns[:4], torch.nan), known, trace=True)
    torch.testing.assert_close(found.trace[0][:, 8:], patterns.mean(0)[8:].expand(4, 8))
    assert all(torch.equal(state[:, :8], patterns[:4, :8]) for state in found.trace)


def test_clipped_states_are_told_and_stay():
    memory = stored(normal(5) * 5, features=500, beta=30.0)
    far = normal(40, seed=2) * 5
    clipped = memory.clipped(far)
    assert 5 < int(clipped.sum()) < 40
    with pytest.warns(NotConvergedWarning, match=f"{int(clipped.sum())} of 40|lost in the noise"):
        found = memory.recall(far, max_steps=20)
    assert torch.equal(found.patterns[clipped], far[clipped]) and not bool(found.converged[clipped].any())
    assert not bool(memory.force(far)[clipped].any()) and bool(memory.error_estimate(far).standard_error[clipped].isinf().all())


@pytest.mark.parametrize(("feature_map", "count"), [(PolynomialMap(3), 3), (PolynomialMap(4), 3)])
def test_polynomial_memories_recall_signs_at_the_length_of_the_cue(feature_map, count):
    patterns = torch.randint(0, 2, (count, 16), generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    memory = stored(patterns, features=5000, feature_map=feature_map)
    cues = patterns.clone()
    cues[:, :2] *= -1
    found = memory.recall(cues, alpha=0.5)
    torch.testing.assert_close(found.patterns.norm(dim=-1), cues.norm(dim=-1))
    assert torch.equal(found.patterns.sign(), patterns)
    known = torch.ones_like(cues, dtype=torch.bool)
    known[:, :4] = False
    filled = memory.recall(cues, known, alpha=0.5)
    assert torch.equal(filled.patterns.sign(), patterns) and torch.equal(filled.patterns[known], cues[known])
    torch.testing.assert_close(filled.patterns[:, :4].norm(dim=-1), torch.full((count,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 10.0},
        {"beta": 10.0, "feature_map": "cos"},
        {"beta": 1.0, "feature_map": "exp"},
        {"beta": 10.0, "energy": "sum"},
        {"beta": 10.0, "projection": "orthogonal"},
        {"beta": 10.0, "similarity": "dot"},
    ],
)
def test_standard_error_is_the_scatter_of_energies_and_below_its_bound(settings):
    patterns, states = binary(30, 16), binary(4, 16, seed=1)
    memories = [stored(patterns, features=2048, seed=seed, **settings) for seed in range(60)]
    scatter = torch.stack([memory.energy(states) for memory in memories]).std(0)
    told = [memory.error_estimate(states) for memory in memories]
    typical = torch.stack([one.standard_error for one in told]).square().mean(0).sqrt()
    assert float((typical / scatter).log().abs().max()) < 0.45
    assert float((typical / scatter).log().mean().abs()) < 0.25
    assert all(bool((one.standard_error < one.bound).all()) for one in told)
    torch.testing.assert_close(told[0].energy, memories[0].energy(states))


def test_suggested_features_reach_the_error_asked_for():
    patterns, states = binary(30, 16), binary(6, 16, seed=1)
    memory = stored(patterns, features=4096, beta=10.0)
    wanted = float(memory.error_estimate(states).standard_error.max()) / 2
    count = memory.suggest_features(states, wanted)
    assert count == pytest.approx(4 * 4096, rel=1e-3)
    larger = stored(patterns, features=count, beta=10.0).error_estimate(states).standard_error
    assert float(larger.max()) == pytest.approx(wanted, rel=0.5)


def test_center_changes_no_kernel_and_serves_positive_maps():
    patterns, states = binary(30, 16) + 1.0, binary(4, 16, seed=1) + 1.0
    exact = exact_energy(patterns, states, 2.0)
    for center in (True, patterns.mean(0)):
        assert (
            float(
                (stored(patterns, features=20_000, beta=2.0, feature_map="exp", center=center).energy(states) - exact).abs().max()
            )
            < 0.2
        )
    with pytest.raises(ValueError, match="variance"):
        stored(patterns, features=100, beta=2.0, feature_map="exp", center=False)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"dim": 0}, "dim"), ({"features": 0}, "features"), ({"beta": 0.0}, "beta"), ({"beta": float("nan")}, "beta"),
        ({"alpha": 0.0}, "alpha"), ({"alpha": 1.5}, "alpha"), ({"feature_map": "tan"}, "feature_map"),
        ({"feature_map": "polynomial"}, "feature_map"), ({"projection": "flat"}, "projection"), ({"storage": "lost"}, "storage"),
        ({"energy": "cube"}, "energy"), ({"feature_map": PolynomialMap(2), "energy": "log"}, "energy"),
        ({"similarity": "cosine"}, "similarity"), ({"feature_map": "arc-cosine", "similarity": "euclidean"}, "similarity"),
        ({"center": torch.zeros(3)}, "center"), ({"center": torch.full((4,), torch.nan)}, "center"),
        ({"feature_map": "arc-cosine", "center": True}, "center"), ({"seed": -1}, "seed"), ({"seed": 2**70}, "seed"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(arguments, name):
    with pytest.raises(ValueError, match=name):
        RandomFeatureMemory(**{"dim": 4, "features": 10} | arguments)


def test_wrong_calls_are_refused():
    memory = RandomFeatureMemory(4, features=100)
    for call in (memory.energy, memory.force, memory.clipped, memory.error_estimate, memory.recall):
        with pytest.raises(ValueError, match="empty"):
            call(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="patterns"):
        memory.forget(torch.zeros(1, 4))
    with pytest.raises(TypeError, match="other"):
        memory.merge("another")
    memory.store(torch.eye(4))
    with pytest.raises(ValueError, match="features"):
        memory.energy(torch.eye(4), features=101)
    with pytest.raises(ValueError, match="states"):
        memory.energy(torch.eye(4).half())
    with pytest.raises(ValueError, match="groups"):
        stored(torch.eye(4), features=50).error_estimate(torch.eye(4))
    with pytest.raises(ValueError, match="finite features"):
        memory.store(torch.full((1, 4), 1e38))
    with pytest.raises(TypeError, match="keeps no ids"):
        memory.forget(torch.arange(2))
    with pytest.raises(ValueError, match="variance"):
        stored(torch.eye(4), features=99, beta=1.0, feature_map="exp").energy(torch.full((1, 4), 5.0))
    assert len(memory) == 4


def peak_bytes(call):
    """The most bytes of tensors alive at once during a call, beside those before it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    alive = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return peak


def test_seeded_memory_never_holds_its_projections():
    patterns = normal(4, 1024, dtype=torch.float32)
    seeded, kept = (RandomFeatureMemory(1024, features=100_000, storage=storage) for storage in ("seeded", "stored"))
    assert peak_bytes(lambda: seeded.store(patterns)) < 100e6
    assert 4 * kept.size().numbers > 400e6 > 100e6 > 4 * seeded.size().numbers


@pytest.mark.parametrize("given", [{}, {"similarity": "dot"}, {"feature_map": "exp"}, {"center": True}])
def test_peak_memory_of_storing_does_not_grow_with_the_patterns(given):
    def peak(rows):
        patterns = normal(rows, 32, dtype=torch.float32) / 20
        memory = RandomFeatureMemory(32, features=64, beta=1.0, **given)
        return peak_bytes(lambda: memory.store(patterns))

    assert peak(100_000) < peak(10_000) + 1.5e6


@pytest.mark.parametrize("given", [{"similarity": "dot", "beta": 30.0}, {"feature_map": "exp", "beta": 1.0}])
def test_memory_that_forgot_everything_is_as_new(given):
    long, patterns = 6 + normal(3), normal(5, seed=1) / 5
    used, new = (RandomFeatureMemory(8, features=500, **given) for _ in range(2))
    used.store(patterns if "feature_map" not in given else long)
    if "feature_map" not in given:
        used.store(patterns * 8)
        used.forget(torch.cat([patterns, patterns * 8]))
    else:
        used.forget(long)
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in used.state_dict().items() if name != "counts")
    used.store(patterns)
    new.store(patterns)
    assert torch.equal(used.energy(patterns), new.energy(patterns)) and torch.equal(used.center, new.center)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [1.0, 2.0, 3.0])
def test_forgetting_heavy_patterns_spares_the_others_or_is_refused(dtype, length):
    heavy, light = (normal(rows, seed=rows, dtype=dtype) for rows in (2, 5))
    heavy, light = (length * heavy / heavy.norm(dim=-1, keepdim=True), light / 12)
    make = partial(stored, features=4000, beta=10.0, similarity="dot")
    memory, wanted = make(torch.cat([light, heavy])), make(light).energy(light)
    before = memory.sums.clone()
    if length == 3.0 or (length == 2.0 and dtype == torch.float32):
        with pytest.raises(ValueError, match="outweigh"):
            memory.forget(heavy)
        assert torch.equal(memory.sums, before) and len(memory) == 7
    else:
        memory.forget(heavy)
        assert not bool(memory.clipped(light).any())
        torch.testing.assert_close(memory.energy(light), wanted, rtol=0, atol=2e-3)


def test_forgetting_others_than_those_stored_is_refused():
    memory = stored(normal(4), features=200)
    with pytest.raises(ValueError, match="not all those stored"):
        memory.forget(normal(4, seed=1))
    assert len(memory) == 4 and bool(memory.sums.any())


def test_sums_stay_float64_in_every_precision(tmp_path):
    memory = stored(torch.eye(4).repeat(30_000, 1), features=200, beta=2.0)
    wanted = memory.energy(torch.eye(4))
    for place, moved in enumerate((memory.half(), memory.bfloat16(), memory.float())):
        assert {buffer.dtype for buffer in moved.buffers()} == {torch.float64, torch.int64}
        assert torch.equal(moved.energy(torch.eye(4)), wanted)
        moved.save(tmp_path / str(place))
        assert torch.equal(Memory.load(tmp_path / str(place)).energy(torch.eye(4)), wanted)


def test_sums_of_other_features_are_not_loaded():
    memory = stored(torch.eye(4), features=200, beta=2.0, seed=0)
    for other in ({"seed": 1}, {"beta": 3.0}, {"projection": "orthogonal"}, {"similarity": "dot"}):
        empty = RandomFeatureMemory(4, **{"features": 200, "beta": 2.0, "seed": 0} | other)
        with pytest.raises(ValueError, match=next(iter(other))):
            empty.load_state_dict(memory.state_dict())
        assert len(empty) == 0 and not bool(empty.sums.any())


def test_all_settings_are_saved(tmp_path):
    given = {"beta": 3.0, "similarity": "dot", "energy": "sum", "center": True, "alpha": 0.7, "seed": 5, "storage": "seeded"}
    memory = RandomFeatureMemory(4, features=100, **given)
    memory.save(tmp_path)
    loaded = Memory.load(tmp_path)
    assert loaded.configuration(tmp_path) == memory.configuration(tmp_path)
    for one in (memory, loaded):
        one.store(torch.eye(4) + 3)
    assert torch.equal(loaded.center, memory.center) and bool(loaded.center.any())
    assert (loaded.similarity, loaded.form, loaded.alpha) == ("dot", "sum", 0.7)


def test_own_feature_maps_are_not_saved(tmp_path):
    class Doubled(PolynomialMap):
        name = "doubled"

    memory = stored(torch.eye(4), features=100, feature_map=Doubled(2))
    with pytest.raises(ValueError, match="feature_map"):
        memory.save(tmp_path / "memory")
    assert not (tmp_path / "memory").exists()


def test_dot_products_weigh_by_lengths_that_no_center_changes():
    patterns, states, beta = normal(10) / 3 + 0.5, normal(4, seed=1) / 3 + 0.5, 2.0
    memory = stored(patterns, features=100_000, beta=beta, similarity="dot", center=torch.full((8,), 0.5))
    scores = beta / 2 * patterns.square().sum(-1) - beta / 2 * torch.cdist(states, patterns) ** 2
    torch.testing.assert_close(memory.energy(states), -scores.logsumexp(-1) / beta, rtol=0, atol=0.02)


def test_moments_are_those_of_what_is_left():
    patterns = normal(9)
    memory = stored(patterns, features=50, center=torch.ones(8))
    memory.forget(patterns[5:])
    torch.testing.assert_close(memory.moments, torch.stack([patterns[:5].sum(0), patterns[:5].square().sum(0)]))
    torch.testing.assert_close(memory._stored().mean_square(memory.center), (patterns[:5] - 1).square().mean(0))


def test_memories_share_no_numbers_with_each_other_or_with_what_they_were_given():
    given = torch.ones(8, dtype=torch.float64)
    full = stored(normal(3), features=100, beta=1.0, similarity="dot", center=given)
    taking = RandomFeatureMemory(8, features=100, beta=1.0, similarity="dot", center=True)
    taking.merge(full)
    before, energy = full.state_dict(), full.energy(normal(2))
    kept = {name: value.clone() for name, value in before.items()}
    taking.load_state_dict(stored(normal(5, seed=1), features=100, beta=1.0, similarity="dot", center=True).state_dict())
    given.zero_()
    assert all(torch.equal(value, kept[name]) for name, value in full.state_dict().items())
    assert torch.equal(full.energy(normal(2)), energy)


@pytest.mark.filterwarnings("ignore::attractor.NotConvergedWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_patterns_stay_as_they_are(dtype):
    patterns = normal(6, dtype=dtype)
    memory = stored(patterns, features=100, beta=0.2, center=True)
    memory.forget(patterns[:2])
    memory.recall(patterns, max_steps=2)
    assert torch.equal(patterns, normal(6, dtype=dtype))


def test_forgotten_patterns_bound_nothing_in_a_memory_that_is_empty_again():
    memory = stored(9 * normal(2), features=100, beta=1.0)
    memory.forget(9 * normal(2))
    memory.store(normal(3))
    assert float(memory.longest) == pytest.approx(float(normal(3).square().sum(-1).max()))


def test_bound_holds_for_patterns_of_unequal_length():
    patterns = normal(100, 16)
    patterns *= torch.cat([torch.full((95,), 0.05), torch.full((5,), 2.4)])[:, None] / patterns.norm(dim=-1, keepdim=True)
    for seed in range(3):
        told = stored(patterns, features=4096, beta=2.0, similarity="dot", seed=seed).error_estimate(0.9 * patterns[-2:])
        assert bool((told.standard_error < told.bound).all()) and bool(told.bound.isfinite().all())
    one = stored(patterns[-1:], features=4096, beta=2.0, similarity="dot")
    kernel = float((2.0 * (patterns[-1] @ patterns[-1] - patterns[-1] @ patterns[-1] / 2)).exp())
    torch.testing.assert_close(
        one.error_estimate(patterns[-1:]).bound, torch.tensor([kernel * (0.5 / 4096) ** 0.5 / kernel / 2], dtype=torch.float64)
    )


def test_sums_within_their_own_noise_have_an_infinite_standard_error():
    memory, far = stored(normal(200) * 5, features=2000, beta=30.0), normal(60, seed=2) * 9 + 20
    told, clipped = memory.error_estimate(far), memory.clipped(far)
    assert not bool(clipped.all()) and float(told.standard_error.isinf().double().mean()) > 0.95
    assert bool(told.bound[told.standard_error.isinf()].isinf().all())


def test_long_vectors_of_positive_features_are_warned_of():
    patterns = normal(10)
    patterns *= 3 / patterns.norm(dim=-1, keepdim=True)
    memory = RandomFeatureMemory(8, features=2000, beta=1.0, feature_map="exp", center=False)
    with pytest.warns(AttractorWarning, match="patterns are long"):
        memory.store(patterns)
    with pytest.warns(AttractorWarning, match="states are long"):
        memory.error_estimate(patterns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored(patterns / 3, features=2000, beta=1.0, feature_map="exp", center=False).error_estimate(patterns / 3)


def test_short_steps_are_no_rest():
    patterns = binary(20, 32)
    memory, cues = stored(patterns, features=4000, beta=20.0), binary(5, 32, seed=1) * 0.3 + patterns[:5] * 0.7
    short = memory.recall(cues, alpha=1e-7, max_steps=20)
    assert not bool(short.converged.any())
    rest = memory.recall(cues, max_steps=2000)
    assert bool(rest.converged.any())
    assert float((0.1 * memory.force(rest.patterns[rest.converged])).abs().max()) <= 1e-6


def test_states_that_no_step_improves_do_not_converge():
    memory = stored(binary(50, 64), features=500, beta=30.0)
    cues = torch.where(torch.rand(50, 64, generator=torch.Generator().manual_seed(1)) < 0.1, 0.125 - binary(50, 64), binary(50, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = memory.recall(cues, alpha=1.0, max_steps=500)
    moved = 0.1 * memory.force(found.patterns).abs().amax(-1) / found.patterns.abs().amax(-1).clamp_min(1)
    assert float(moved.max()) > 1e-6 and bool((moved[found.converged] <= 1e-6).all())


def test_shortened_steps_grow_again():
    asked = []

    def walled(states):
        asked.append(float(states))
        energy = torch.where((states - 1.5).abs() < 0.1, 10.0, -states)[:, 0]
        return Field(energy, torch.ones_like(states), torch.zeros(len(states), dtype=torch.bool))

    descend(walled, torch.tensor([[0.5]]), None, None, Way(1.0, 1.0, 1e-6, 5, False))
    assert asked == [0.5, 1.5, 1.0, 2.0, 3.0, 4.0]


def test_polynomial_recall_starts_at_the_length_it_keeps():
    patterns = normal(6, 16) + 0.5
    memory = stored(patterns, features=2000, feature_map=PolynomialMap(2))
    known = torch.rand(10, 16, generator=torch.Generator().manual_seed(3)) < 0.5
    found = memory.recall(normal(10, 16, seed=4), known, trace=True)
    lengths = torch.stack([state.masked_fill(known, 0).norm(dim=-1) for state in found.trace])
    torch.testing.assert_close(lengths, memory._radius(patterns[:1], known)[:, 0].expand_as(lengths))
    assert float(found.trace.energies.diff(dim=0).max()) <= 1e-9 * float(found.trace.energies.abs().max())


def test_empty_memory_keeps_the_center_it_was_given():
    full = stored(normal(3) / 3, features=100, beta=1.0, center=torch.ones(8))
    for center in (torch.zeros(8), False):
        with pytest.raises(ValueError, match="center"):
            RandomFeatureMemory(8, features=100, beta=1.0, center=center).merge(full)
    waiting = RandomFeatureMemory(8, features=100, beta=1.0, center=True)
    waiting.merge(full)
    assert torch.equal(waiting.center, full.center) and torch.equal(waiting.energy(normal(2) / 3), full.energy(normal(2) / 3))
