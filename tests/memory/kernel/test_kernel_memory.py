from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from attractor import Binary, DenseMemory, Entmax, Polynomial, SoftMax, Sparsemax, TopK
from attractor.bank import RamBank
from attractor.memory import Memory
from attractor.memory.kernel import KernelMemory, UHopPlus
from attractor.read import Affine, Kernel, Linear
from attractor.read.kernel import unit
from attractor.testing import check_memory

pytestmark = pytest.mark.filterwarnings("ignore:.*came to rest between patterns")
ALPHAS = {1.0: SoftMax, 1.5: lambda beta: Entmax(1.5, beta), 2.0: Sparsemax}


def rows(generator, *shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def with_random_map(memory, generator):
    """The memory with random tensors in its map, those of an affine map included."""
    for name, tensor in memory.similarity.feature_map.double().state_dict().items():
        tensor.copy_(torch.tensor(1.3) if name == "scale" else rows(generator, *tensor.shape) / tensor.shape[-1] ** 0.5)
    return memory


def affine_memory(features, separation, dim=6):
    return KernelMemory(dim, feature_map="affine", features=features, normalize=False, separation=separation)


def filled(memory, patterns):
    memory.store(patterns)
    return memory


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"normalize": False},
        {"feature_map": "affine", "features": 12},
        {"feature_map": "affine", "features": 5, "normalize": False},
        {"feature_map": "mlp", "separation": Sparsemax()},
        {"space": "feature"},
        {"space": "feature", "normalize": False, "separation": Entmax(1.5)},
    ],
    ids=str,
)
def test_contract_is_kept(settings):
    check_memory(partial(KernelMemory, 8, **settings))


def test_identity_without_normalisation_is_attention(generator):
    patterns, cues, beta = torch.randn(20, 6, generator=generator), torch.randn(5, 6, generator=generator), 0.7
    read = filled(KernelMemory(6, normalize=False, separation=SoftMax(beta)), patterns).read(cues).values
    attended = scaled_dot_product_attention(cues[None], patterns[None], patterns[None], scale=beta)[0]
    assert_close(read, attended, rtol=0, atol=1e-6)
    assert_close(read, (beta * cues @ patterns.T).softmax(-1) @ patterns, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_energy_is_half_the_kernel_minus_the_conjugate_entropy(alpha, generator):
    """`E = K(x, x) / 2 - max_p (p . K(Xi, x) + H_alpha(p) / beta)`, with the maximum at the weights of the read."""
    beta = 1.7
    memory = with_random_map(affine_memory(4, ALPHAS[alpha](beta), dim=5), generator)
    patterns, states = rows(generator, 9, 5), rows(generator, 6, 5)
    memory.store(patterns, torch.eye(9).double())
    weights = memory.read(states).values
    entropy = -(weights * weights.log()).sum(-1) if alpha == 1 else (1 - (weights**alpha).sum(-1)) / (alpha * (alpha - 1))
    z, bank = memory.features(states), memory.features(patterns)
    potential = (weights * (z @ bank.T)).sum(-1) + entropy / beta
    assert_close(memory.energy(states), (z * z).sum(-1) / 2 - potential, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-10)])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(
    "settings",
    [
        {"space": "feature"},
        {"space": "feature", "feature_map": "mlp", "features": 7},
        {"normalize": False},
        {"normalize": False, "feature_map": "affine", "features": 9},
    ],
    ids=str,
)
def test_energy_never_rises_where_the_law_says_so(settings, alpha, dtype, tolerance, generator):
    memory = with_random_map(KernelMemory(5, separation=ALPHAS[alpha](3.0), **settings), generator)
    assert memory.law == (True, True)
    memory.store(rows(generator, 12, 5).to(dtype))
    assert float(memory.energy_rise(2 * rows(generator, 100, 5).to(dtype)).max()) <= tolerance


@pytest.mark.parametrize("features", [3, 9])
def test_energy_never_rises_with_known_entries_fixed(features, generator):
    memory = with_random_map(affine_memory(features, SoftMax(2.0)), generator)
    memory.store(rows(generator, 12, 6))
    known = torch.rand(40, 6, generator=generator) < 0.5
    known[:, 0] = True
    cues = 2 * rows(generator, 40, 6)
    recalled = memory.recall(cues, known, trace=True)
    assert float(memory.energy_rise(cues, known).max()) <= 1e-10
    assert int(recalled.steps.max()) > 3 and torch.equal(recalled.patterns[known], cues[known])
    plain = filled(DenseMemory(6, similarity="dot", separation=SoftMax(2.0)), rows(generator, 12, 6))
    kernel = filled(KernelMemory(6, normalize=False, separation=SoftMax(2.0)), plain.bank.get(plain.bank.ids()).patterns)
    assert_close(kernel.recall(cues, known).patterns, plain.recall(cues, known).patterns)


def test_no_law_is_claimed_for_normalised_features_and_their_energy_does_rise(generator):
    rises = []
    for _ in range(20):
        memory = with_random_map(KernelMemory(5, features=3, separation=SoftMax(2.0)), generator)
        assert memory.law == (True, False)
        rises.append(float(filled(memory, rows(generator, 12, 5)).energy_rise(rows(generator, 20, 5)).max()))
    assert max(rises) > 1e-3


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("kind", ["linear", "affine"])
def test_both_spaces_give_the_same_features_of_an_affine_map(kind, alpha, generator):
    settings = {"feature_map": kind, "features": 4, "normalize": False, "separation": ALPHAS[alpha](2.0)}
    value = filled(with_random_map(KernelMemory(5, **settings), generator), rows(generator, 10, 5))
    feature = KernelMemory(
        bank=value.bank, **settings | {"feature_map": value.similarity.feature_map, "features": None, "space": "feature"}
    )
    cues = rows(generator, 100, 5)
    states = value.recall(cues, trace=True, max_steps=50, tol=1e-14).trace
    others = feature.recall(cues, trace=True, max_steps=50, tol=1e-14).trace
    for step in range(min(len(states), len(others))):
        assert_close(value.features(states[step]), others[step], rtol=0, atol=1e-10)


@pytest.mark.parametrize("space", ["value", "feature"])
@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_sparse_maps_keep_memories_exactly_where_the_margin_allows_it_and_the_soft_max_does_not(alpha, space, generator):
    patterns = rows(generator, 12, 8)
    memory = filled(KernelMemory(8, separation=ALPHAS[alpha](1.0)), patterns)
    beta = 1.001 / ((alpha - 1) * memory.code_report().separation)

    def recall(separation):
        return filled(KernelMemory(8, separation=separation, space=space), patterns).recall(patterns)

    exact = recall(ALPHAS[alpha](beta))
    assert torch.equal(exact.patterns, patterns) and exact.converged.all()
    too_warm = recall(ALPHAS[alpha](0.9 * beta)).patterns
    assert not torch.equal(too_warm, patterns)
    assert not (recall(SoftMax(beta)).patterns == patterns).all(-1).any()


def test_feature_space_recall_is_the_iteration_written_out(generator):
    memory = with_random_map(KernelMemory(5, features=4, separation=SoftMax(4.0), space="feature"), generator)
    memory.store(rows(generator, 9, 5))
    patterns, cues = memory.bank.get(memory.bank.ids()).patterns, rows(generator, 7, 5)
    bank, z = memory.features(patterns), memory.features(cues)
    assert_close(memory.energy(cues), (z * z).sum(-1) / 2 - (4 * z @ bank.T).logsumexp(-1) / 4)
    for _ in range(200):
        z = (4 * z @ bank.T).softmax(-1) @ bank
    recalled = memory.recall(cues, trace=True, tol=1e-12)
    assert_close(recalled.trace[-1], z, rtol=1e-6, atol=1e-6)
    assert_close(recalled.patterns, (4 * z @ bank.T).softmax(-1) @ patterns, rtol=1e-6, atol=1e-6)
    assert_close(recalled.energy, (z * z).sum(-1) / 2 - (4 * z @ bank.T).logsumexp(-1) / 4, rtol=1e-6, atol=1e-6)


def test_refused_cues_of_feature_space_come_back_as_given(generator):
    memory = filled(KernelMemory(5, space="feature"), rows(generator, 9, 5))
    cues = rows(generator, 4, 5)
    assert torch.equal(memory.recall(cues, reject=2.0).patterns, cues)


def test_dense_memory_takes_a_kernel_as_its_similarity(generator, tmp_path):
    kernel = Kernel(Affine(6, 4))
    memory = filled(DenseMemory(6, similarity=kernel), torch.randn(9, 6, generator=generator))
    assert [name for name, _ in memory.named_parameters()] == ["similarity.feature_map.weight", "similarity.feature_map.bias"]
    memory.save(tmp_path / "memory")
    cues = torch.randn(4, 6, generator=generator)
    assert_close(DenseMemory.load(tmp_path / "memory").recall(cues).patterns, memory.recall(cues).patterns, rtol=0, atol=0)


def test_learned_kernel_is_saved_with_its_memory(generator, tmp_path):
    patterns = torch.randn(8, 6, generator=generator)
    for space in ("value", "feature"):
        memory = filled(KernelMemory(6, feature_map="mlp", features=5, space=space), patterns)
        memory.learn(UHopPlus(steps=20, restarts=1))
        memory.save(tmp_path / space)
        loaded = Memory.load(tmp_path / space)
        assert loaded.space == space and repr(loaded) == repr(memory)
        cues = patterns + 0.3 * torch.randn(8, 6, generator=generator)
        assert_close(loaded.recall(cues).patterns, memory.recall(cues).patterns, rtol=0, atol=0)
        assert torch.equal(loaded.energy(cues), memory.energy(cues))


def test_gradients_reach_the_kernel_through_a_recall(generator):
    memory = filled(KernelMemory(6, features=4, separation=SoftMax(3.0)), torch.randn(9, 6, generator=generator))
    for space in ("value", "feature"):
        memory.space = space
        memory.zero_grad()
        memory.recall(torch.randn(3, 6, generator=generator), differentiable=True, max_steps=3).patterns.sum().backward()
        assert float(memory.similarity.feature_map.weight.grad.abs().max()) > 0


def test_temperature_follows_the_kernel(generator):
    memory = filled(KernelMemory(6), torch.randn(9, 6, generator=generator))
    cold = memory.beta
    with torch.no_grad():
        memory.similarity.feature_map.weight[2:] = 0
    assert memory.beta > 1.5 * cold


def test_values_are_read_out_in_both_spaces(generator):
    patterns, values = torch.randn(6, 5, generator=generator), torch.eye(6)
    for space in ("value", "feature"):
        memory = KernelMemory(5, space=space)
        memory.store(patterns, values)
        assert_close(memory.recall(patterns).patterns, values, rtol=0, atol=1e-2)


def test_module_of_ones_own_is_used_but_not_saved(generator, tmp_path):
    memory = filled(KernelMemory(6, feature_map=nn.Sequential(nn.Linear(6, 9), nn.ReLU())), torch.randn(5, 6, generator=generator))
    assert memory.features(torch.randn(2, 6)).shape == (2, 9)
    with pytest.raises(ValueError, match="feature_map"):
        memory.save(tmp_path / "memory")


def test_bank_on_other_grounds_is_taken(generator):
    bank = RamBank(6)
    bank.append(torch.randn(5, 6, generator=generator))
    assert len(KernelMemory(bank=bank, features=3)) == 5


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: KernelMemory(), "dim"),
        (lambda: KernelMemory(4, features=0), "features"),
        (lambda: KernelMemory(4, feature_map="quadratic"), "feature_map"),
        (lambda: KernelMemory(4, feature_map=Linear(4), features=3), "features"),
        (lambda: KernelMemory(4, space="time"), "space"),
        (lambda: KernelMemory(8, feature_map=nn.Linear(5, 3)), "patterns of width 8"),
        (lambda: KernelMemory(8, feature_map=Linear(5)), "patterns of width 8"),
        (lambda: KernelMemory(1, feature_map=Linear(5)), "patterns of width 1"),
        (lambda: KernelMemory(8, feature_map=nn.Flatten(0)), "patterns of width 8"),
        (lambda: DenseMemory(8, similarity=Kernel(Linear(5))), "patterns of width 8"),
        (lambda: KernelMemory(4, separation=SoftMax(0.0)), "beta"),
        (lambda: KernelMemory(4, separation=Entmax(0.5)), "alpha"),
        (lambda: KernelMemory(4, separation=Polynomial(2)), "sum to one"),
        (lambda: DenseMemory(4, similarity=Kernel(Linear(4)), state=Binary()), "continuous"),
        (lambda: DenseMemory(4, similarity=Kernel(Linear(4)), state="spherical"), "continuous"),
    ],
)
def test_bad_settings_are_refused_by_name(make, named):
    with pytest.raises((ValueError, TypeError), match=named):
        make()


def test_patterns_and_cues_without_features_are_refused_by_row(generator):
    memory = KernelMemory(4)
    patterns = torch.randn(5, 4, generator=generator)
    with pytest.raises(ValueError, match=r"patterns must have a direction in feature space.*\[2\]"):
        memory.store(torch.cat([patterns[:2], torch.zeros(1, 4)]))
    assert len(memory) == 0
    memory.store(patterns)
    with pytest.raises(ValueError, match=r"cues must have a direction in feature space.*\[1\]"):
        memory.recall(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]))
    assert filled(KernelMemory(4, normalize=False), torch.zeros(1, 4)).recall(patterns).index.tolist() == [0] * 5


def test_mask_is_refused_in_feature_space(generator):
    memory = filled(KernelMemory(4, space="feature"), torch.randn(5, 4, generator=generator))
    with pytest.raises(ValueError, match="known must be None"):
        memory.recall(torch.ones(1, 4), torch.ones(1, 4, dtype=torch.bool))


def test_metastable_states_are_counted_beside_correctness(generator):
    patterns = torch.eye(6)
    memory = filled(KernelMemory(6, separation=SoftMax(30.0)), patterns)
    found = memory.metastable(patterns, torch.tensor([0, 1, 2, 3, 5, 4]))
    assert found.size.tolist() == [1] * 6 and found.correct.tolist() == [True] * 4 + [False] * 2
    assert "100.0% at a single memory" in repr(found) and "66.7% at the right one" in repr(found)
    warm = filled(KernelMemory(6, separation=SoftMax(0.1)), patterns)
    assert warm.metastable(patterns, torch.arange(6)).size.tolist() == [6] * 6
    pair = filled(KernelMemory(2, separation=Sparsemax(1.0)), torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]]))
    assert pair.metastable(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).size.tolist() == [2]
    with pytest.raises(ValueError, match="index"):
        memory.metastable(patterns, torch.arange(5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("space", ["value", "feature"])
def test_metastable_states_of_half_precision_are_counted(space, dtype):
    memory = filled(KernelMemory(6, separation=SoftMax(20.0), space=space), torch.eye(6, dtype=dtype))
    found = memory.metastable(torch.eye(6, dtype=dtype), torch.arange(6))
    assert found.single == found.identified == 1.0


def test_soft_top_k_is_counted_by_the_weight_that_counts():
    memory = filled(KernelMemory(6, separation=TopK(4, 30.0)), torch.eye(6))
    assert memory.metastable(torch.eye(6), torch.arange(6)).size.tolist() == [1] * 6
    warm = filled(KernelMemory(6, separation=TopK(4, 0.1)), torch.eye(6))
    assert warm.metastable(torch.eye(6), torch.arange(6)).size.tolist() == [4] * 6


@pytest.mark.parametrize("size", [1e-25, 1e20])
def test_directions_count_whatever_the_size(size, generator):
    patterns = torch.randn(6, 8, generator=generator)
    memory, same = (filled(KernelMemory(8, separation=SoftMax(50.0)), rows) for rows in (patterns * size, patterns))
    assert_close(memory.features(patterns * size).norm(dim=-1), torch.ones(6))
    assert memory.recall(patterns * size).index.tolist() == list(range(6))
    assert memory.code_report().separation == pytest.approx(same.code_report().separation, rel=1e-5)
    before, after = (one.learn(UHopPlus(steps=30, restarts=1)).after for one in (memory, same))
    assert before == pytest.approx(after, rel=1e-3)
    jacobians = [torch.autograd.functional.jacobian(phi, patterns) for phi in (unit, lambda x: x / x.norm(dim=-1, keepdim=True))]
    assert_close(*jacobians)


@pytest.mark.parametrize("normalize", [True, False])
def test_features_beyond_the_numbers_are_refused_by_row(normalize):
    memory = KernelMemory(2, normalize=normalize)
    with torch.no_grad():
        memory.similarity.feature_map.weight.fill_(3e38)
    with pytest.raises(ValueError, match=r"patterns must have finite features.*\[1\]"):
        memory.store(torch.tensor([[1e-3, 0.0], [10.0, 0.0]]))
    assert len(memory) == 0


def test_memory_made_under_inference_mode_reads_learns_and_notices(generator):
    patterns = torch.randn(6, 8, generator=generator)
    with torch.inference_mode():
        memory = filled(KernelMemory(8), patterns.clone())
        cold = memory.beta
        fit = memory.learn(UHopPlus(steps=30, restarts=1))
        assert fit.after > fit.before and memory.beta != cold
        assert memory.recall(patterns).index.tolist() == list(range(6))
    assert memory.learn(UHopPlus(steps=5, restarts=1)).after > fit.before
    with torch.inference_mode():
        own = filled(KernelMemory(8, feature_map=nn.Linear(8, 8)), patterns.clone())
        cold = own.beta
        own.learn(UHopPlus(steps=30))
        assert own.beta != cold


def test_looking_at_a_map_of_ones_own_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    map_of_ones_own = nn.Dropout(0.5)
    KernelMemory(8, feature_map=map_of_ones_own)
    assert torch.equal(torch.rand(1), expected)
