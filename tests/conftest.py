import os

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

if "ATTRACTOR_TYPE_HOOK" in os.environ:  # half as slow again: for releases
    install_import_hook("attractor", "type_hook.private_only")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
