"""Files of estimators: one error for whatever is wrong with one, and none of a device for the file."""

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import KernelDensity

from attractor.estimators.saving import DAMAGE, load_on_device, restoring, save_estimator


@pytest.mark.parametrize("error", [*DAMAGE, KeyError, IndexError, OverflowError])
def test_whatever_a_damaged_file_raises_is_one_error_that_names_it(error):
    with (
        pytest.raises(ValueError, match=r"path must be a saved KMeans, some/file is not: .*wrong") as found,
        restoring(KMeans, "some/file"),
    ):
        raise error("wrong")
    assert isinstance(found.value.__cause__, error)


def test_a_device_that_is_not_here_is_no_fault_of_the_file(tmp_path):
    class Placed(KernelDensity):
        def __init__(self, device=None):
            self.device = device

    save_estimator(Placed("cuda:77"), tmp_path / "placed", {"weights": torch.ones(2)})
    with pytest.raises(ValueError, match=r"^device must be"):
        load_on_device(tmp_path / "placed", Placed, None)
    assert load_on_device(tmp_path / "placed", Placed, "cpu").settings == {"device": "cpu"}
