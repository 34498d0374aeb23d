import pytest
import torch

from attractor import PCA, Binarise, CapacityWarning, DenseMemory, Encoded, EntropicMemory, HopfieldMemory, Memory, Quantise
from attractor.memory.encoders import encoder_from

pytestmark = pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")


def images(rows, dim, seed=0):
    return torch.rand(rows, dim, generator=torch.Generator().manual_seed(seed))


def half_known(shape):
    known = torch.zeros(shape, dtype=torch.bool)
    known[:, : shape[1] // 2] = True
    return known


def test_binarise_is_strict_and_gives_back_low_and_high():
    encoder = Binarise(threshold=3.0, low=2.0, high=5.0)
    codes = encoder.encode(torch.tensor([2.0, 3.0, 3.5]))
    assert codes.tolist() == [-1, -1, 1] and encoder.decode(codes).tolist() == [2, 2, 5]


def test_quantise_is_exact_on_its_grid_and_rounds_to_it():
    encoder = Quantise(256)
    grid = torch.arange(256) / 255
    assert encoder.encode(grid).tolist() == list(range(256)) and torch.equal(encoder.decode(encoder.encode(grid)), grid)
    assert Quantise(3, low=-1.0, high=3.0).encode(torch.tensor([-9.0, -0.1, 0.1, 2.1, 9.0])).tolist() == [0, 0, 1, 2, 2]
    assert Quantise(3, low=-1.0, high=3.0).decode(torch.arange(3.0)).tolist() == [-1, 1, 3]


def test_pca_keeps_a_plane_and_finds_the_nearest_point_on_it():
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    points = torch.randn(20, 2, generator=generator, dtype=torch.float64) @ plane + 3
    encoder = PCA.fit(points, 2)
    torch.testing.assert_close(encoder.decode(encoder.encode(points)), points)
    away = torch.linalg.svd(plane).Vh[2:3]
    torch.testing.assert_close(encoder.decode(encoder.encode(points + away)), points)
    with pytest.raises(ValueError, match="count must be at most 6"):
        PCA.fit(points, 7)


def test_recall_speaks_of_the_codes_and_gives_back_patterns():
    patterns, cues = images(3, 60), images(4, 60, seed=1)
    encoder = Binarise(low=0.25, high=0.75)
    inside = DenseMemory(60, state="binary")
    memory = Encoded(DenseMemory(60, state="binary"), encoder)
    assert torch.equal(memory.store(patterns), inside.store(encoder.encode(patterns)))
    found, expected = memory.recall(cues, trace=True), inside.recall(encoder.encode(cues), trace=True)
    assert torch.equal(found.patterns, encoder.decode(expected.patterns))
    assert torch.equal(found.trace.states, encoder.decode(expected.trace.states))
    for name in ("index", "score", "margin", "energy", "steps", "converged"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    torch.testing.assert_close(memory.energy(found.patterns), found.energy)


def test_known_entries_come_back_unrounded_and_the_others_decoded():
    patterns = images(2, 80)
    memory = Encoded(HopfieldMemory(80), Binarise())
    memory.store(patterns)
    known = half_known(patterns.shape)
    found = memory.recall(torch.where(known, patterns, torch.nan), known)
    assert torch.equal(found.patterns[known], patterns[known])
    assert torch.equal(found.patterns[~known], (patterns[~known] > 0.5).float())


def test_refused_cue_comes_back_as_given():
    memory = Encoded(DenseMemory(40, state="binary", similarity="cosine"), Binarise())
    memory.store(images(2, 40))
    cues = torch.cat([images(2, 40), images(1, 40, seed=9)])
    found = memory.recall(cues, reject=0.9)
    assert found.accepted.tolist() == [True, True, False]
    assert torch.equal(found.patterns[2], cues[2]) and not torch.equal(found.patterns[0], cues[0])


@pytest.mark.parametrize(
    ("memory", "options"),
    [(lambda: EntropicMemory(4, 8), {}), (lambda: DenseMemory(4), {"reject": 1e9})],
)
def test_what_is_unknown_of_a_refused_cue_is_a_number_and_what_is_known_comes_back(memory, options):
    memory = Encoded(memory(), Quantise(8, 0.0, 7.0))
    memory.store(torch.tensor([[0.0, 3.0, 5.0, 1.0], [0.0, 3.0, 5.0, 2.0]]))
    cues = torch.tensor([[6.4, 6.3, torch.nan, torch.nan]])
    known = ~cues.isnan()
    found = memory.recall(cues, known, **options)
    assert not bool(found.accepted)
    assert torch.equal(found.patterns[known], cues[known])
    assert bool(found.patterns.isfinite().all())


def test_pca_refuses_a_mask():
    patterns = images(9, 6)
    memory = Encoded(DenseMemory(3), PCA.fit(patterns, 3))
    memory.store(patterns)
    assert memory.recall(patterns).patterns.shape == (9, 6)
    with pytest.raises(ValueError, match="known must be None"):
        memory.recall(patterns, half_known(patterns.shape))


def test_forget_takes_ids_or_patterns_as_the_memory_does():
    patterns = images(3, 30)
    by_id, by_pattern = Encoded(DenseMemory(30), Quantise(4)), Encoded(HopfieldMemory(30), Binarise())
    by_id.forget(by_id.store(patterns)[1:])
    by_pattern.store(patterns)
    by_pattern.forget(patterns[1:])
    assert len(by_id) == len(by_pattern) == 1
    expected = HopfieldMemory(30)
    expected.store(Binarise().encode(patterns[:1]))
    assert torch.equal(by_pattern.memory.couplings, expected.couplings)


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: Encoded(HopfieldMemory(20, rule="pseudo-inverse"), Binarise(0.4, -1.0, 2.0)),
        lambda rows: Encoded(DenseMemory(20), Quantise(7)),
        lambda rows: Encoded(DenseMemory(5), PCA.fit(rows, 5)),
        lambda rows: Encoded(Encoded(HopfieldMemory(20), Binarise(1.5)), Quantise(4)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_memory_recalls_the_same(tmp_path, make, dtype):
    patterns = images(8, 20).to(dtype)
    memory = make(patterns)
    memory.store(patterns)
    memory.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert type(loaded) is Encoded and repr(loaded) == repr(memory) and len(loaded) == 8
    assert torch.equal(loaded.recall(patterns).patterns, memory.recall(patterns).patterns)


def test_wrong_partners_are_refused_by_name():
    with pytest.raises(ValueError, match="encoder must give codes that are bipolar"):
        Encoded(HopfieldMemory(4), Quantise(3))
    with pytest.raises(ValueError, match="width 4"):
        Encoded(DenseMemory(4), PCA.fit(images(5, 6), 3))
    with pytest.raises(TypeError, match="memory"):
        Encoded(Binarise(), HopfieldMemory(4))
    with pytest.raises(TypeError, match="encoder"):
        Encoded(HopfieldMemory(4), "binarise")


def test_wrong_domain_names_the_encoder_that_helps():
    memory = HopfieldMemory(4)
    with pytest.raises(ValueError, match=r"Encoded\(memory, Binarise\(threshold\)\)"):
        memory.store(images(1, 4))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Binarise(float("nan")), "threshold"),
        (lambda: Binarise(low=1.0, high=1.0), "low"),
        (lambda: Quantise(1), "levels"),
        (lambda: Quantise(4, high=float("inf")), "low"),
        (lambda: encoder_from({"name": "wavelet"}), "wavelet"),
        (lambda: encoder_from({"name": "quantise", "depth": 3}), "depth"),
        (lambda: encoder_from({"name": "pca", "width": 3, "count": 1, "dtype": "load"}), "dtype"),
    ],
)
def test_useless_settings_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=name):
        make()


def test_values_are_refused_and_nothing_is_stored():
    memory = Encoded(DenseMemory(4), Quantise(3))
    with pytest.raises(TypeError, match="values"):
        memory.store(images(2, 4), images(2, 1))
    with pytest.raises(ValueError, match="patterns must be finite"):
        memory.store(torch.full((1, 4), torch.nan))
    assert len(memory) == 0


def test_over_capacity_warns_through_the_encoder():
    memory = Encoded(HopfieldMemory(20), Binarise())
    memory.store(images(9, 20))
    with pytest.warns(CapacityWarning):
        memory.recall(images(1, 20))
