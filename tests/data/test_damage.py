import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attractor.data import BitFlip, Blur, Compose, Corruption, Damage, GaussianNoise, Occlude, SaltAndPepper, family

FRACTIONS = st.floats(0, 1)
SIDES = ("lower", "upper", "left", "right")
CORNERS = ("upper left", "upper right", "lower left", "lower right")
FILLS = st.sampled_from([0.0, 0.5, "mean", "noise"])

OCCLUSIONS = st.one_of(
    st.builds(Occlude.half, st.sampled_from(SIDES), fill=FILLS),
    st.builds(Occlude.side, st.sampled_from(SIDES), FRACTIONS, fill=FILLS),
    st.builds(Occlude.quarter, st.sampled_from(CORNERS), fill=FILLS),
    st.builds(Occlude.centre, FRACTIONS, fill=FILLS),
    st.builds(Occlude.rectangles, FRACTIONS, count=st.integers(1, 3), fill=FILLS),
    st.builds(Occlude.pixels, FRACTIONS, fill=FILLS),
)
CHANGES = st.one_of(
    st.builds(GaussianNoise, st.floats(0, 2)),
    st.builds(partial(SaltAndPepper, low=0, high=1), FRACTIONS),
    st.builds(partial(BitFlip, low=0, high=1), FRACTIONS),
    st.builds(Blur, st.floats(0, 5)),
)


@st.composite
def images(draw):
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.rand(draw(st.integers(1, 4)), math.prod(shape), generator=generator), shape


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(images(), st.one_of(OCCLUSIONS, CHANGES), st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_damage_and_leaves_the_patterns_alone(batch, damage, seed):
    patterns, shape = batch
    before = patterns.clone()
    first, second = (damage(patterns, shape=shape, generator=seeded(seed)) for _ in range(2))
    assert torch.equal(patterns, before)
    assert torch.equal(first.cue, second.cue)
    assert first.cue.isfinite().all()
    assert first.cue.shape == patterns.shape
    assert first.cue.dtype == patterns.dtype
    assert first.cue.data_ptr() != patterns.data_ptr()
    assert (first.known is None) == (second.known is None)
    assert first.known is None or torch.equal(first.known, second.known)


@given(images(), OCCLUSIONS)
def test_an_occluded_cue_equals_the_pattern_wherever_it_is_known(batch, damage):
    patterns, shape = batch
    cue, known = damage(patterns, shape=shape, generator=seeded())
    assert known.dtype == torch.bool
    assert known.shape == patterns.shape
    assert torch.equal(cue[known], patterns[known])


@given(images(), OCCLUSIONS)
def test_what_was_hidden_leaves_no_trace_in_the_cue(batch, damage):
    patterns, shape = batch
    cue, known = damage(patterns, shape=shape, generator=seeded())
    others = torch.where(known, patterns, 1 - patterns)
    again, known_again = damage(others, shape=shape, generator=seeded())
    assert torch.equal(known, known_again)
    assert torch.equal(cue, again)


@given(images(), OCCLUSIONS)
def test_a_pixel_is_hidden_in_all_its_channels(batch, damage):
    patterns, shape = batch
    known = damage(patterns, shape=shape, generator=seeded()).known.unflatten(1, shape)
    assert (known == known[:, :1]).all()


@given(images(), CHANGES)
def test_noise_flips_and_blur_give_no_mask(batch, damage):
    patterns, shape = batch
    assert damage(patterns, shape=shape).known is None


@given(images(), st.lists(st.one_of(OCCLUSIONS, CHANGES), min_size=1, max_size=4))
def test_a_chain_is_its_parts_one_after_the_other_with_the_masks_joined(batch, parts):
    patterns, shape = batch
    cue, known = Compose(parts)(patterns, shape=shape, generator=seeded())
    generator, expected, mask = seeded(), patterns, None
    for part in parts:
        expected, visible = part(expected, shape=shape, generator=generator)
        if visible is not None:
            mask = visible if mask is None else torch.logical_and(mask, visible)
    assert torch.equal(cue, expected)
    assert (known is None) == (mask is None)
    assert mask is None or torch.equal(known, mask)


def test_the_bar_chains_and_flattens():
    a, b, c = Occlude.half("left"), GaussianNoise(0.1), Occlude.half("upper")
    assert (a | b | c).parts == (a | (b | c)).parts == (a, b, c)
    known = (a | b | c)(torch.rand(1, 4), shape=(1, 2, 2)).known
    assert known.tolist() == [[False, False, False, True]]


@given(images(), FRACTIONS)
def test_exactly_the_fraction_is_flipped(batch, fraction):
    patterns, _ = batch
    off_centre = patterns * 0.4
    cue = BitFlip(fraction)(off_centre).cue
    changed = cue != off_centre
    assert (changed.sum(1) == round(fraction * patterns.shape[1])).all()
    torch.testing.assert_close(cue[changed], 1 - off_centre[changed])


def test_flips_of_bipolar_data_change_the_sign():
    patterns = torch.randint(0, 2, (50, 40), generator=seeded()).double() * 2 - 1
    cue = BitFlip(0.25)(patterns).cue
    assert cue.dtype == torch.float64
    assert (cue.abs() == 1).all()
    assert ((cue != patterns).sum(1) == 10).all()


def test_flips_differ_between_rows_and_fall_everywhere():
    flipped = BitFlip(0.5)(torch.zeros(400, 20)).cue.bool()
    assert len(flipped.unique(dim=0)) > 390
    assert (flipped.float().mean(0) - 0.5).abs().max() < 0.12


@pytest.mark.parametrize("damage", [BitFlip, SaltAndPepper])
def test_a_range_that_cannot_be_told_is_refused_with_the_way_out(damage):
    noisy = torch.tensor([[-0.2, 0.4, 1.1]])
    with pytest.raises(ValueError, match=r"-0\.2.*1\.1.*low=.*high="):
        damage(0.5)(noisy)
    assert damage(1.0, low=0, high=1)(noisy).cue.isfinite().all()


def test_given_ends_are_used():
    torch.testing.assert_close(BitFlip(1.0, low=0, high=255)(torch.tensor([[0.0, 100.0]])).cue, torch.tensor([[255.0, 155]]))
    assert set(SaltAndPepper(1.0, low=-3, high=7)(torch.zeros(1, 50)).cue.unique().tolist()) == {-3, 7}


@given(images(), FRACTIONS)
def test_exactly_the_fraction_is_salted_or_peppered(batch, fraction):
    inside = 0.25 + batch[0] / 2
    cue = SaltAndPepper(fraction)(inside).cue
    changed = cue != inside
    assert (changed.sum(1) == round(fraction * inside.shape[1])).all()
    assert ((cue[changed] == 0) | (cue[changed] == 1)).all()


def test_salt_is_as_frequent_as_pepper():
    assert abs(SaltAndPepper(1.0)(torch.full((10, 1000), 0.5)).cue.mean() - 0.5) < 0.02


def test_noise_has_its_standard_deviation_and_no_mean():
    noise = GaussianNoise(0.5)(torch.full((100, 1000), 0.3)).cue - 0.3
    assert abs(noise.std() - 0.5) < 0.005
    assert abs(noise.mean()) < 0.005


@pytest.mark.parametrize(
    ("damage", "hidden"),
    [
        (Occlude.half("lower"), "....|....|####|####"),
        (Occlude.half("upper"), "####|####|....|...."),
        (Occlude.half("left"), "##..|##..|##..|##.."),
        (Occlude.half("right"), "..##|..##|..##|..##"),
        (Occlude.side("lower", 0.25), "....|....|....|####"),
        (Occlude.side("left", 0.75), "###.|###.|###.|###."),
        (Occlude.quarter("upper left"), "##..|##..|....|...."),
        (Occlude.quarter("upper right"), "..##|..##|....|...."),
        (Occlude.quarter("lower left"), "....|....|##..|##.."),
        (Occlude.quarter("lower right"), "....|....|..##|..##"),
        (Occlude.centre(0.25), "....|.##.|.##.|...."),
    ],
)
def test_windows_are_where_their_name_says(damage, hidden):
    patterns = torch.arange(1.0, 33.0)[None]
    cue, known = damage(patterns, shape=(2, 4, 4))
    expected = torch.tensor([[cell == "#" for cell in row] for row in hidden.split("|")])
    for channel in range(2):
        assert torch.equal(~known.reshape(2, 4, 4)[channel], expected)
        assert torch.equal(cue.reshape(2, 4, 4)[channel] == 0, expected)


@pytest.mark.parametrize("size", [5, 6, 7, 28])
def test_two_halves_make_a_whole(size):
    patterns, shape = torch.rand(1, size * size), (1, size, size)
    for first, second in (("lower", "upper"), ("left", "right")):
        masks = [Occlude.half(side)(patterns, shape=shape).known for side in (first, second)]
        assert torch.equal(masks[0], ~masks[1])


@given(images(), FRACTIONS)
def test_exactly_the_fraction_of_pixels_is_hidden(batch, fraction):
    patterns, (channels, height, width) = batch
    known = Occlude.pixels(fraction)(patterns, shape=(channels, height, width)).known
    assert ((~known).sum(1) == channels * round(fraction * height * width)).all()
    known = Occlude.pixels(fraction)(patterns).known
    assert ((~known).sum(1) == round(fraction * patterns.shape[1])).all()


def test_a_random_rectangle_is_one_has_its_size_and_goes_everywhere():
    hidden = ~Occlude.rectangles(0.25)(torch.rand(500, 48), shape=(1, 8, 6)).known.reshape(500, 8, 6)
    assert (hidden.sum((1, 2)) == 4 * 3).all()
    assert (hidden.any(2).sum(1) == 4).all()
    assert (hidden.any(1).sum(1) == 3).all()
    assert hidden.any(0).all()
    assert len(hidden.flatten(1).unique(dim=0)) == 5 * 4


def test_fills_stand_in_the_hidden_entries():
    patterns = torch.tensor([[0.2, 0.4, 0.9, 0.9], [1.0, 1.0, 0.0, 0.0]])
    hide = partial(Occlude.half, "lower")
    assert torch.equal(hide(fill=0.5)(patterns, shape=(1, 2, 2)).cue[:, 2:], torch.full((2, 2), 0.5))
    means = hide(fill="mean")(patterns, shape=(1, 2, 2)).cue[:, 2:]
    torch.testing.assert_close(means, torch.tensor([[0.3, 0.3], [1.0, 1.0]]))
    noise = hide(fill="noise")(patterns, shape=(1, 2, 2)).cue[:, 2:]
    assert ((noise[0] > 0.2) & (noise[0] < 0.4)).all()
    assert (noise[1] == 1).all()


def test_blur_keeps_constants_spreads_a_point_evenly_and_mixes_no_channels():
    flat = torch.full((1, 35), 0.7, dtype=torch.float64)
    torch.testing.assert_close(Blur(2.0)(flat, shape=(1, 5, 7)).cue, flat)
    point = torch.zeros(1, 2, 21, 31, dtype=torch.float64)
    point[0, 1, 10, 12] = 1
    blurred = Blur(1.5)(point.flatten(1), shape=(2, 21, 31)).cue.reshape(2, 21, 31)
    assert (blurred[0] == 0).all()
    rows, columns = torch.meshgrid(torch.arange(21) - 10, torch.arange(31) - 12, indexing="ij")
    weights = torch.exp(-(rows**2 + columns**2) / (2 * 1.5**2)).double() * ((rows.abs() <= 6) & (columns.abs() <= 6))
    torch.testing.assert_close(blurred[1], weights / weights.sum(), atol=1e-9, rtol=1e-6)


def test_no_damage_changes_nothing():
    patterns = torch.rand(3, 12)
    for damage in (GaussianNoise(0), SaltAndPepper(0), BitFlip(0), Blur(0), Occlude.pixels(0), Occlude.centre(0)):
        cue, known = damage(patterns, shape=(1, 3, 4))
        torch.testing.assert_close(cue, patterns)
        assert known is None or known.all()


def test_a_generator_moves_on_and_no_generator_repeats():
    patterns, generator = torch.zeros(2, 30), seeded()
    noise = GaussianNoise(1.0)
    assert not torch.equal(noise(patterns, generator=generator).cue, noise(patterns, generator=generator).cue)
    assert torch.equal(noise(patterns).cue, noise(patterns).cue)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "damage", [GaussianNoise(1), BitFlip(0.3), Blur(1), Occlude.rectangles(fill="noise"), SaltAndPepper(0.5)], ids=str
)
def test_a_seed_means_the_same_on_every_device(damage):
    patterns = torch.rand(4, 36)
    here, there = (damage(x, shape=(1, 6, 6), generator=seeded()) for x in (patterns, patterns.cuda()))
    torch.testing.assert_close(there.cue.cpu(), here.cue)
    assert here.known is None or torch.equal(there.known.cpu(), here.known)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (GaussianNoise(0.5), "noise sd 0.5"),
        (SaltAndPepper(0.1), "10% salt and pepper"),
        (BitFlip(0.2), "20% flips"),
        (Blur(1.5), "blur sigma 1.5"),
        (Occlude.half("lower"), "lower half"),
        (Occlude.side("lower", 0.3), "lower 30%"),
        (Occlude.quarter("upper left"), "upper left quarter"),
        (Occlude.centre(), "centre patch 25%"),
        (Occlude.rectangles(0.1), "random rectangle 10%"),
        (Occlude.rectangles(0.1, count=2), "2 random rectangles of 10%"),
        (Occlude.pixels(0.5, fill="mean"), "50% of pixels hidden (mean fill)"),
        (Occlude.half("lower") | GaussianNoise(0.1), "lower half + noise sd 0.1"),
    ],
)
def test_names_fit_a_table(damage, name):
    assert damage.name == name


def test_a_family_is_a_damage_of_a_strength():
    patterns = torch.zeros(2, 20)
    for kind, strength in ((BitFlip, 0.3), (Occlude.pixels, 0.4), (partial(Occlude.side, "upper"), 0.5)):
        made = family(kind, shape=(1, 4, 5))(patterns, strength, seeded(1))
        expected = kind(strength)(patterns, shape=(1, 4, 5), generator=seeded(1))
        assert isinstance(made, Damage)
        assert torch.equal(made.cue, expected.cue)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: GaussianNoise(-1), "sd"),
        (lambda: GaussianNoise(math.nan), "sd"),
        (lambda: SaltAndPepper(1.1), "fraction"),
        (lambda: BitFlip(-0.1), "fraction"),
        (lambda: BitFlip(math.nan), "fraction"),
        (lambda: BitFlip(0.1, low=0), "low and high"),
        (lambda: BitFlip(0.1, low=1, high=0), "low and high"),
        (lambda: Blur(math.inf), "sigma"),
        (lambda: Occlude.half("bottom"), "side"),
        (lambda: Occlude.side("left", 2.0), "fraction"),
        (lambda: Occlude.quarter("left upper"), "corner"),
        (lambda: Occlude.centre(-1), "fraction"),
        (lambda: Occlude.rectangles(0.1, count=0), "count"),
        (lambda: Occlude.half(fill="zero"), "fill"),
        (lambda: Occlude.half(fill=math.nan), "fill"),
        (lambda: Compose([]), "parts"),
    ],
)
def test_impossible_damages_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        make()


@pytest.mark.parametrize(
    ("patterns", "shape", "error", "name"),
    [
        (torch.rand(4), None, ValueError, "patterns"),
        (torch.rand(0, 4), None, ValueError, "patterns"),
        (torch.ones(1, 4, dtype=torch.int64), None, ValueError, "patterns"),
        (torch.tensor([[math.nan] * 4]), None, ValueError, "patterns"),
        ([[0.0] * 4], None, TypeError, "patterns"),
        (torch.rand(1, 4), None, ValueError, "shape"),
        (torch.rand(1, 4), (1, 2, 3), ValueError, "shape"),
        (torch.rand(1, 4), (2, 2), ValueError, "shape"),
    ],
)
@pytest.mark.parametrize("damage", [Occlude.half(), Blur(1.0), Occlude.half() | GaussianNoise(0.1)], ids=str)
def test_impossible_patterns_are_refused_by_name(damage, patterns, shape, error, name):
    with pytest.raises(error, match=f"^{name}"):
        damage(patterns, shape=shape)


def test_only_damages_chain():
    with pytest.raises(TypeError, match="parts"):
        Compose([GaussianNoise(0.1), "blur"])
    assert isinstance(GaussianNoise(0.1), Corruption)
