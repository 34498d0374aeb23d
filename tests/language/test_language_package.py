"""What the package `attractor.language` hands out, and what it says where something is missing."""

import subprocess
import sys

import pytest

from attractor import language


def test_every_name_is_there():
    assert set(language.__all__) == set(language.MODULES)
    for name in language.__all__:
        assert getattr(language, name).__name__ == name


ERRORS = """
import sys
for module in ("safetensors", "transformers"):
    sys.modules[module] = None
    try:
        from attractor.language import attach
    except ImportError as error:
        print(f"{type(error).__name__}: {error}")
    del sys.modules[module]
"""


@pytest.fixture(scope="module")
def errors():
    """What `attach` says without a module that it needs, for each of two."""
    return subprocess.run([sys.executable, "-c", ERRORS], capture_output=True, text=True, check=True).stdout.splitlines()


def test_without_transformers_the_extra_is_named(errors):
    assert errors[1:] == ["ImportError: attach needs transformers: pip install 'attractor[language]'"]


def test_another_missing_module_is_no_matter_of_the_extra(errors):
    assert errors[0].startswith("ModuleNotFoundError: ") and "attractor[language]" not in errors[0]
