"""Torch is imported by the tests that need it: where workers run them, the process that hands them out does without."""

import gc
import os
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

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


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmarks by name, without leaving their short names behind."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)
