import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from attractor import CapacityWarning, SoftMax
from attractor.memory.kernel import (
    KernelMemory,
    NoiseAware,
    UHop,
    UHopPlus,
    optimal_separation,
    recognition_loss,
    separation_loss,
    separation_upper_bound,
)
from attractor.memory.kernel import fit as fitting


def unit_rows(generator, *shape):
    return normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)


def filled(patterns, **settings):
    memory = KernelMemory(patterns.shape[1], **settings)
    memory.store(patterns)
    return memory


def normal(count, dim, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rows_at_once", [2, 3, 100])
def test_loss_is_the_log_sum_exp_over_the_pairs_beside_the_diagonal(rows_at_once, generator, monkeypatch):
    monkeypatch.setattr("attractor.memory.kernel.losses.ROWS_AT_ONCE", rows_at_once)
    features = unit_rows(generator, 7, 4).requires_grad_()
    off = ~torch.eye(7, dtype=torch.bool)
    for tau in (0.01, 0.3):
        naive = tau * ((features @ features.T)[off] / tau).logsumexp(0)
        loss = separation_loss(features, tau)
        assert_close(loss, naive, rtol=1e-12, atol=1e-12)
        assert_close(*(torch.autograd.grad(one, features)[0] for one in (loss, naive)), rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(lambda given: 3 * separation_loss(given, 0.5), (features,))


def test_cold_loss_is_the_largest_cosine_and_not_the_mean_of_the_rows(generator):
    features = unit_rows(generator, 9, 4)
    cosines = (features @ features.T).fill_diagonal_(-1)
    cold = float(separation_loss(features, 1e-4))
    assert cold == pytest.approx(float(cosines.max()), abs=1e-3)
    assert cold - float(cosines.amax(-1).mean()) > 0.05


def test_uniformity_loss_is_the_mean_over_pairs(generator):
    features, method = unit_rows(generator, 6, 3), UHop(t=1.3)
    naive = (-1.3 * torch.pdist(features).square()).exp().mean().log()
    assert_close(method.loss(lambda given: given, features, 0, generator), naive, rtol=1e-12, atol=1e-12)


def test_recognition_loss_is_the_cross_entropy_of_its_own_original(generator):
    queries, features = unit_rows(generator, 5, 3), unit_rows(generator, 5, 3)
    weights = (queries @ features.T / 0.2).softmax(-1)
    assert_close(recognition_loss(queries, features, 0.2), -weights.diagonal().log().mean())


def test_temperature_and_rate_fall_as_they_are_told():
    method = UHopPlus(steps=601, tau=(0.5, 0.005), learning_rate=0.1)
    assert [method.temperature(step) for step in (0, 300, 600)] == pytest.approx([0.5, 0.05, 0.005])
    assert [method.rate(step) for step in (0, 600)] == pytest.approx([0.1, 0.1 / 601])
    assert UHopPlus(steps=1).temperature(0) == 0.5


@pytest.mark.parametrize(("count", "dim", "least"), [(4, 3, 0.995), (6, 3, 0.98), (8, 3, 0.98), (5, 4, 0.995), (10, 9, 0.995)])
def test_whitened_memories_reach_the_best_code(count, dim, least):
    memory = filled(normal(count, count), features=dim)
    found = memory.learn(UHopPlus(whiten=True, restarts=1, steps=400)).after
    best = optimal_separation(count, dim)
    assert least * best <= found <= min(best + 1e-4, separation_upper_bound(count, dim) + 1e-6)
    assert found == pytest.approx(memory.code_report().separation, abs=1e-6)


def test_raw_memories_come_near_the_best_code():
    memory = filled(normal(12, 12), features=3)
    assert memory.learn(UHopPlus(restarts=2, steps=400)).after >= 0.98 * optimal_separation(12, 3)


def test_best_of_the_restarts_is_kept(monkeypatch):
    ends = []
    train = fitting.train

    def kept(*given):
        losses = train(*given)
        ends.append(losses[-1])
        return losses

    monkeypatch.setattr(fitting, "train", kept)
    fit = filled(normal(10, 5), features=2).learn(UHopPlus(steps=25, restarts=4))
    assert len(ends) == 4 and fit.losses[-1] == min(ends) < max(ends)


def test_learning_moves_recalls_to_single_memories():
    memory = filled(normal(10, 5), separation=SoftMax(10.0))
    queries = normal(50, 5, seed=1)
    nearest = memory.nearest(queries).ids[:, 0]
    before = memory.metastable(queries, nearest)
    fit = memory.learn(UHopPlus(steps=60, restarts=1))
    after = memory.metastable(queries, memory.nearest(queries).ids[:, 0])
    assert before.single <= 0.6 and after.single >= 0.95 and fit.after > 3 * fit.before


def test_centre_and_scale_are_those_of_the_memories_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(fitting, "ROWS_AT_ONCE", 4)
    patterns = normal(10, 5) + 3
    memory = filled(patterns)
    memory.learn(UHopPlus(steps=1, restarts=1))
    feature_map = memory.similarity.feature_map
    assert_close(feature_map.centre, patterns.mean(0))
    assert_close(feature_map.scale, (patterns - patterns.mean(0)).norm(dim=-1).mean())


def test_whitening_becomes_a_part_of_the_map():
    patterns = normal(6, 20, seed=3) + 1
    memory = filled(patterns, features=6)
    memory.learn(UHopPlus(steps=1, restarts=1, whiten=True, learning_rate=1e-9))
    gram = patterns - patterns.mean(0)
    _, _, right = torch.linalg.svd(gram, full_matrices=False)
    weight = memory.similarity.feature_map.weight.detach()
    # rows of the map lie in the span of the centred memories
    assert_close(weight @ right[:5].T @ right[:5], weight, rtol=1e-3, atol=1e-3)
    assert float(weight.abs().max()) > 1e-2


def test_memories_added_later_are_placed_by_a_few_more_steps():
    memory = filled(normal(8, 12), features=6)
    memory.learn(UHopPlus(steps=200, restarts=1))
    centre = memory.similarity.feature_map.centre.clone()
    memory.store(normal(2, 12, seed=1))
    fit = memory.learn(UHopPlus(steps=40, restarts=0, tau=(0.05, 0.01), learning_rate=0.02))
    assert fit.after > fit.before + 0.1 and torch.equal(memory.similarity.feature_map.centre, centre)
    assert f"{fit.before:.4g} -> {fit.after:.4g}" in repr(fit)


def test_perceptron_separates_more_memories_than_it_has_entries():
    patterns, method = normal(20, 4), UHopPlus(steps=150, restarts=1)
    found = [filled(patterns, feature_map=kind, features=12).learn(method).after for kind in ("linear", "mlp")]
    assert found[1] > 0.8 > 2 * found[0]


@pytest.mark.parametrize("method", ["uhop+", "uhop", "noise-aware"])
def test_same_seed_gives_the_same_kernel_and_leaves_the_global_generator_alone(method):
    patterns = normal(12, 8)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    methods = {"uhop+": UHopPlus(steps=5), "uhop": UHop(steps=5), "noise-aware": NoiseAware(steps=5)}
    maps = []
    for seed in (0, 0, 1):
        memory = filled(patterns)
        memory.learn(methods[method], seed=seed)
        maps.append(memory.similarity.feature_map.weight)
    assert torch.equal(maps[0], maps[1]) and not torch.equal(maps[0], maps[2])
    assert torch.equal(state, torch.get_rng_state())


def test_uhop_separates(generator):
    fit = filled(normal(8, 8)).learn("uhop")
    assert fit.after > fit.before and fit.losses[-1] < fit.losses[0] and len(fit.losses) == 100


def test_noise_aware_learning_recognises_damage_that_separation_alone_does_not():
    patterns = normal(60, 40).sign() * 0.2 + normal(1, 40, seed=1)
    damaged = NoiseAware().damage(patterns, torch.Generator().manual_seed(9))
    right = {}
    for method in (UHopPlus(steps=60, restarts=1, learning_rate=0.01), NoiseAware(steps=60, learning_rate=0.01)):
        memory = filled(patterns, features=30)
        memory.learn(method)
        right[type(method)] = float((memory.nearest(damaged).ids[:, 0] == torch.arange(60)).float().mean())
    assert right[NoiseAware] > right[UHopPlus] + 0.2


def test_default_damage_hides_half_of_each_row():
    damaged = NoiseAware().damage(torch.ones(50, 10), torch.Generator().manual_seed(0))
    assert (damaged.sum(-1) == 5).all() and len(damaged.unique(dim=0)) > 30


def test_batches_are_drawn_from_the_bank():
    seen = []

    def damage(patterns, generator):
        seen.append(patterns)
        return patterns

    patterns = normal(30, 6)
    memory = filled(patterns)
    memory.learn(NoiseAware(steps=20, batch=5, damage=damage))
    rows = torch.cat(seen)
    assert {len(one) for one in seen} == {5} and len(rows.unique(dim=0)) > 20
    assert all(bool((patterns == row).all(-1).any()) for row in rows)


def test_progress_is_told_and_what_it_raises_leaves_the_memory_as_it_was():
    memory, told = filled(normal(6, 6)), []
    memory.learn(UHopPlus(steps=4, restarts=2), progress=told.append)
    assert told == [step / 8 for step in range(1, 9)]
    before = {name: tensor.clone() for name, tensor in memory.state_dict().items()}

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.learn(UHopPlus(steps=4), progress=stop)
    assert all(torch.equal(tensor, before[name]) for name, tensor in memory.state_dict().items())


def test_module_of_ones_own_is_trained_from_where_it_stands():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 6))
    memory = filled(normal(9, 5), feature_map=module)
    before = module[0].weight.detach().clone()
    fit = memory.learn(UHopPlus(steps=150))
    assert len(fit.losses) == 150 and fit.after > 2 * fit.before and not torch.equal(module[0].weight, before)


def test_kernel_of_a_memory_in_double_precision_is_learned():
    memory = filled(normal(5, 6).double(), features=4)
    assert memory.learn(UHopPlus(steps=100, restarts=1, whiten=True)).after > 1.1


def test_duplicates_are_told_by_their_ids():
    patterns = normal(5, 4)
    memory = filled(torch.cat([patterns, patterns[1:3]]))
    with pytest.warns(CapacityWarning, match=r"duplicates.*\[5, 6\]"):
        fit = memory.learn(UHopPlus(steps=3, restarts=1))
    assert fit.after == pytest.approx(0, abs=1e-6)


def test_separation_out_of_reach_is_told_with_its_reason():
    wanted = UHopPlus(steps=30, restarts=1, wanted=0.9)
    with pytest.warns(CapacityWarning, match="a linear map places 20 memories of 4 entries no further"):
        filled(normal(20, 4), features=12).learn(wanted)
    with pytest.warns(CapacityWarning, match="no code of 20 points in 2 dimensions"):
        filled(normal(20, 4), features=2).learn(wanted)


def test_memory_at_the_centre_is_named_and_nothing_changes():
    memory = filled(torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]]))
    before = memory.similarity.feature_map.weight.clone()
    with pytest.raises(ValueError, match=r"map to zero: \[2\]"):
        memory.learn(UHopPlus(steps=3, restarts=1))
    assert torch.equal(memory.similarity.feature_map.weight, before)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: UHopPlus(steps=0), "steps"),
        (lambda: UHopPlus(learning_rate=0.0), "learning_rate"),
        (lambda: UHopPlus(tau=(0.5, 0.0)), "tau"),
        (lambda: UHopPlus(restarts=-1), "restarts"),
        (lambda: UHopPlus(restarts=0, whiten=True), "restarts"),
        (lambda: UHopPlus(batch=1), "batch"),
        (lambda: UHopPlus(wanted=0.0), "wanted"),
        (lambda: UHop(t=-1.0), "t must"),
        (lambda: NoiseAware(tau=0.0), "tau"),
        (lambda: NoiseAware(whiten=True), "whiten"),
        (lambda: separation_loss(torch.eye(2), 0.0), "tau"),
        (lambda: separation_loss(torch.eye(2)[:1], 0.1), "at least 2"),
        (lambda: KernelMemory(4).learn(), "at least 2 patterns"),
        (lambda: filled(torch.eye(4)[:1]).learn(), "at least 2 patterns"),
        (lambda: filled(torch.eye(4)).learn("hopfield"), "method"),
        (lambda: filled(torch.eye(4)).learn(3), "method"),
        (lambda: filled(torch.eye(4), feature_map="mlp").learn(UHopPlus(whiten=True)), "whiten"),
        (lambda: filled(torch.eye(4)).learn(DIVERGING), "learning_rate"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, named):
    with pytest.raises((ValueError, TypeError), match=named):
        make()


class Diverging(UHop):
    """A loss that is no number from the second step on."""

    def loss(self, features, patterns, step, generator):
        return super().loss(features, patterns, step, generator) * (math.nan if step else 1)


DIVERGING = Diverging(steps=3)


def test_loss_of_a_kernel_is_taken_over_unit_features_even_where_it_does_not_normalise():
    memory = filled(normal(6, 6), normalize=False)
    seen = SimpleNamespace(lengths=None)

    class Watching(UHop):
        def loss(self, features, patterns, step, generator):
            seen.lengths = features(patterns).norm(dim=-1)
            return super().loss(features, patterns, step, generator)

    memory.learn(Watching(steps=1))
    assert_close(seen.lengths, torch.ones(6))


@pytest.mark.parametrize("rows_at_once", [2, 100])
def test_second_derivatives_of_the_loss_are_right(rows_at_once, generator, monkeypatch):
    monkeypatch.setattr("attractor.memory.kernel.losses.ROWS_AT_ONCE", rows_at_once)
    features = unit_rows(generator, 5, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda given: separation_loss(given, 0.5) ** 2 + given.square().sum(), (features,))


@pytest.mark.parametrize("tau", [0.1, (0.1,), (0.5, 0.1, 0.01), "ab"])
def test_temperatures_must_be_two(tau):
    with pytest.raises(ValueError, match="tau must be two temperatures"):
        UHopPlus(tau=tau)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memories_that_are_all_the_same_are_refused(whiten, dtype):
    memory = filled(torch.tensor([[0.1, 0.7, 0.3]], dtype=dtype).expand(4, 3).contiguous())
    before = memory.similarity.feature_map.weight.clone()
    with pytest.warns(CapacityWarning, match="duplicates"), pytest.raises(ValueError, match="patterns that differ"):
        memory.learn(UHopPlus(steps=5, whiten=whiten))
    assert torch.equal(memory.similarity.feature_map.weight, before)


@pytest.mark.parametrize("steps", [1, 5])
def test_learning_that_diverges_asks_for_a_lower_rate(steps):
    memory = filled(normal(6, 8) * 1e5)
    before = memory.similarity.feature_map.weight.clone()
    with pytest.raises(ValueError, match="learning_rate must be lower"):
        memory.learn(UHop(steps=steps, learning_rate=1e38, restarts=0))
    assert torch.equal(memory.similarity.feature_map.weight, before)
