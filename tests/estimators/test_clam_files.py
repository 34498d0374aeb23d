"""A fitted `ClAM` as a file: what comes back, and what a file must not say."""

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
from attractor.estimators import ClAM  # after the skip
from attractor.tensor_file import read, write


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    return 4 * random.normal(size=(3, 6))[np.arange(120) % 3] + random.normal(size=(120, 6))


def quick(**settings):
    return ClAM(3, **({"n_init": 2, "max_iter": 20, "random_state": 0} | settings))


@pytest.mark.parametrize(
    "settings", [{}, {"weighted": True}, {"spherical": True}, {"select": "silhouette"}, {"standardise": False}, {"init": "array"}]
)
def test_all_of_it_comes_back_and_learns_on_alike(tmp_path, table, settings):
    if "init" in settings:
        settings = {"init": table[:3]}
    fitted = quick(**settings).fit(table).partial_fit(table)
    fitted.save(tmp_path / "clam")
    loaded = ClAM.load(tmp_path / "clam")
    assert vars(loaded).keys() == vars(fitted).keys()
    for name in ("cluster_centers_", "weights_", "mean_", "scale_", "labels_", "losses_", "init"):
        assert np.array_equal(getattr(loaded, name), getattr(fitted, name))
    for one in (loaded, fitted):
        one.partial_fit(table)
    assert np.array_equal(loaded.cluster_centers_, fitted.cluster_centers_)


def test_names_of_features_and_a_device_that_is_not_here_come_back(tmp_path, table):
    fitted = quick().fit(table)
    fitted.feature_names_in_ = np.array(list("abcdef"), dtype=object)
    fitted.set_params(device="cuda:77").save(tmp_path / "clam")
    loaded = ClAM.load(tmp_path / "clam")
    assert loaded.feature_names_in_.tolist() == list("abcdef") and loaded.device == "cuda:77"
    del loaded.feature_names_in_
    assert np.array_equal(loaded.predict(table), fitted.labels_)
    with pytest.raises(ValueError, match="device"):
        loaded.partial_fit(table)


def named(part, **change):
    """Changes entries of the settings, the numbers or the tensors of a file."""

    def tamper(tensors, described):
        (tensors if part == "tensors" else described[part]).update(change)

    return tamper


@pytest.mark.parametrize(
    "tamper",
    [
        named("tensors", centers=torch.full((3, 6), torch.nan, dtype=torch.float64)),
        named("tensors", centers=torch.ones(3, 1, dtype=torch.float64)),
        named("tensors", centers=torch.ones(6, dtype=torch.float64)),
        named("tensors", centers=torch.ones(3, 6)),
        named("tensors", centers=torch.ones(0, 6, dtype=torch.float64)),
        named("tensors", centers=torch.ones(4, 6, dtype=torch.float64)),
        named("tensors", deviation=-torch.ones(6, dtype=torch.float64)),
        named("tensors", mean=torch.ones(2, 3, dtype=torch.float64)),
        named("tensors", mean=torch.ones(6, dtype=torch.bfloat16)),
        named("tensors", weights=-torch.ones(3, dtype=torch.float64)),
        named("tensors", weights=torch.ones(3, dtype=torch.float64)),
        named("tensors", labels_=torch.full((120,), 3)),
        named("tensors", labels_=torch.zeros(0, dtype=torch.int64)),
        named("tensors", losses_=torch.full((2,), torch.nan, dtype=torch.float64)),
        named("tensors", silhouettes_=torch.ones(7, dtype=torch.float64)),
        named("tensors", init=torch.ones(2, 2, dtype=torch.float64)),
        named("tensors", **{"adam.0.exp_avg": torch.ones(1)}),
        named("tensors", **{"adam.0.exp_avg_sq": -torch.ones(1, 3, 6)}),
        named("extra", beta="x"),
        named("extra", beta=-1.0),
        named("extra", steps=1.5),
        named("extra", seed=2**80),
        named("extra", asked=0),
        named("extra", names=["a"]),
        named("settings", unheard=1),
        named("settings", steps=0),
        named("settings", n_clusters="x"),
        lambda tensors, described: tensors.pop("labels_"),
        lambda tensors, described: tensors.pop("deviation"),
        lambda tensors, described: tensors.pop("adam.0.exp_avg"),
        lambda tensors, described: described.update(extra=[1]),
    ],
)
def test_file_that_is_not_of_a_fit_is_refused(tmp_path, table, tamper):
    quick().fit(table).save(tmp_path / "clam")
    described, tensors = read(tmp_path / "clam", "a clusterer")
    tamper(tensors, described)
    write(tmp_path / "other", described, tensors)
    with pytest.raises(ValueError, match="path must be a saved ClAM"):
        ClAM.load(tmp_path / "other")


def test_tensors_of_other_names_are_not_taken_over(tmp_path, table):
    quick().fit(table).save(tmp_path / "clam")
    described, tensors = read(tmp_path / "clam", "a clusterer")
    write(tmp_path / "other", described, tensors | {"predict": torch.ones(3), "n_init": torch.ones(3)})
    loaded = ClAM.load(tmp_path / "other")
    assert loaded.n_init == 2 and len(loaded.predict(table)) == 120
