"""Torch is imported by the tests that need it: where workers run them, the process that hands them out does without."""

import gc
import os

import pytest
from hypothesis import settings

if "ATTRACTOR_TYPE_HOOK" in os.environ:  # half as slow again: for releases
    from jaxtyping import install_import_hook

    install_import_hook("attractor", "type_hook.private_only")

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # the workers share the cores

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    gc.disable()  # what is imported and collected stays: looking through it again and again would take a fifth as long more
    found = yield
    gc.freeze()
    gc.enable()
    return found


@pytest.fixture
def generator():
    import torch

    return torch.Generator().manual_seed(0)
