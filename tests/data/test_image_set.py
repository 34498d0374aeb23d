import pytest
import torch

from attractor.data import ImageSet


@pytest.fixture
def numbered() -> ImageSet:
    """Twenty items of shape (2, 1, 3); every entry of an item, its label and its name tell its place."""
    places = torch.arange(20)
    patterns = places[:, None].float().expand(20, 6) / 19
    names = tuple(f"item {place}" for place in range(20))
    return ImageSet(patterns, (2, 1, 3), "numbered", levels=20, labels=places, names=names, source="made")


def places(part):
    return (part.patterns[:, 0] * 19).round().long().tolist()


def test_labels_and_names_follow_the_patterns(numbered):
    for part in (numbered[5], numbered[3:7], numbered[[4, 1]], numbered[torch.tensor([9, 0, 9])], numbered.take(6)):
        assert part.labels.tolist() == places(part)
        assert part.names == tuple(f"item {place}" for place in places(part))
        assert (part.shape, part.levels, part.source) == ((2, 1, 3), 20, "made")


def test_a_mask_selects(numbered):
    assert places(numbered[numbered.labels > 16]) == [17, 18, 19]


def test_a_single_index_gives_a_set_of_one_and_iteration_ends(numbered):
    assert [places(item) for item in numbered] == [[place] for place in range(20)]
    assert places(numbered[-1]) == [19]
    with pytest.raises(IndexError, match="20"):
        numbered[20]


def test_images_are_channel_first_and_row_major():
    patterns = torch.arange(12.0)[None]
    assert torch.equal(ImageSet(patterns, (2, 2, 3), "x").images, torch.arange(12.0).reshape(1, 2, 2, 3))


def test_take_is_a_seeded_permutation(numbered):
    assert places(numbered.take(7, seed=3)) == places(numbered.take(7, seed=3))
    assert places(numbered.take(7, seed=3)) != places(numbered.take(7, seed=4))
    assert sorted(places(numbered.take(20))) == list(range(20))
    assert places(numbered.take(20)) != list(range(20))


def test_split_is_disjoint_and_begins_with_take(numbered):
    stored, probes = numbered.split(12, 5, seed=2)
    assert (len(stored), len(probes)) == (12, 5)
    assert not set(places(stored)) & set(places(probes))
    assert places(stored) == places(numbered.take(12, seed=2))


@pytest.mark.parametrize("n", [0, -1, 21])
def test_taking_more_than_there_is_is_refused(numbered, n):
    with pytest.raises(ValueError, match="between 1 and 20"):
        numbered.take(n)


@pytest.mark.parametrize("sizes", [(), (10, 11), (0, 5), (-1,)])
def test_impossible_splits_are_refused(numbered, sizes):
    with pytest.raises(ValueError, match="sizes"):
        numbered.split(*sizes)


def test_negative_seed_is_refused(numbered):
    with pytest.raises(ValueError, match="seed"):
        numbered.take(3, seed=-1)


@pytest.mark.parametrize(
    ("error", "name", "arguments"),
    [
        (TypeError, "patterns", {"patterns": torch.ones(2, 6, dtype=torch.int64)}),
        (ValueError, "patterns", {"patterns": torch.ones(6)}),
        (ValueError, "shape", {"shape": (1, 2, 2)}),
        (ValueError, "shape", {"shape": (2, 3)}),
        (ValueError, "levels", {"levels": 1}),
        (TypeError, "labels", {"labels": torch.ones(2)}),
        (ValueError, "labels", {"labels": torch.ones(3, dtype=torch.int64)}),
        (ValueError, "names", {"names": ("one",)}),
    ],
)
def test_parts_that_disagree_are_refused(error, name, arguments):
    with pytest.raises(error, match=f"^{name} "):
        ImageSet(**{"patterns": torch.ones(2, 6), "shape": (1, 2, 3), "name": "x"} | arguments)
