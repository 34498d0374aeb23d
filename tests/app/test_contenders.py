"""The memories of a comparison recall what they stored."""

import pytest
import torch

from attractor.app.contenders import RANDOM_FEATURES, SOFT_MAX
from attractor.data import identified, load


@pytest.mark.parametrize("contender", [SOFT_MAX, RANDOM_FEATURES], ids=lambda contender: contender.title)
@pytest.mark.parametrize("count", [50, 200])
def test_undamaged_images_are_identified(contender, count):
    images = load("digits").take(count, seed=0)
    memory = contender.build(images.dim, 0.0, 1.0)
    memory.store(images.patterns)
    found = memory.recall(images.patterns[:30]).patterns
    assert bool(identified(found, torch.arange(30), images.patterns).all())
