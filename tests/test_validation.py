"""Checks of numbers that users hand in."""

import numpy as np
import pytest
import torch

from attractor.validation import (
    check_count,
    check_device,
    check_fraction,
    check_not_negative,
    check_positive,
    check_proportion,
    check_share,
)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_of_any_kind_are_counts(value):
    count = check_count("steps", value)
    assert count == 3 and type(count) is int


@pytest.mark.parametrize("check", [check_positive, check_share, check_fraction, check_proportion, check_not_negative])
@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5)])
def test_real_numbers_of_any_kind_are_numbers(check, value):
    assert check("rate", value) == 0.5 and type(check("rate", value)) is float


@pytest.mark.parametrize("check", [check_count, check_positive, check_share, check_fraction, check_proportion, check_not_negative])
@pytest.mark.parametrize("value", [True, "1", None, 1j, [1]])
def test_other_things_are_no_numbers(check, value):
    with pytest.raises(TypeError, match="rate must be"):
        check("rate", value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_count, 0),
        (check_positive, 0),
        (check_positive, float("nan")),
        (check_positive, float("inf")),
        (check_fraction, 0.0),
        (check_fraction, 1.1),
        (check_fraction, float("nan")),
        (check_proportion, -0.1),
        (check_proportion, 1.1),
        (check_proportion, float("nan")),
        (check_share, 1.0),
        (check_share, -0.1),
        (check_share, float("nan")),
        (check_not_negative, -0.1),
        (check_not_negative, float("inf")),
        (check_not_negative, float("nan")),
    ],
)
def test_numbers_out_of_range_are_refused(check, value):
    with pytest.raises(ValueError, match="rate must be"):
        check("rate", value)


@pytest.mark.parametrize("value", [0, 1])
def test_a_proportion_may_be_none_or_all(value):
    assert check_proportion("rate", value) == value


def test_unknown_devices_are_named():
    check_device("cpu")
    check_device(torch.device("cpu"))
    for bad in ("gpu", "cuda:99", 1.5):
        with pytest.raises(ValueError, match="device"):
            check_device(bad)
