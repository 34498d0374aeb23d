"""What the package `attractor.language` hands out, and what it says where something is missing."""

import subprocess
import sys

import pytest

from attractor import language


def test_every_name_is_there():
    assert set(language.__all__) == set(language.MODULES)
    for name in language.__all__:
        assert getattr(language, name).__name__ == name


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="'nothing'"):
        language.nothing  # noqa: B018


def error_without(module: str) -> str:
    program = f"import sys; sys.modules[{module!r}] = None; from attractor.language import attach"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stderr.splitlines()[-1]


def test_without_transformers_the_extra_is_named():
    assert error_without("transformers") == "ImportError: attach needs transformers: pip install 'attractor[language]'"


def test_another_missing_module_is_no_matter_of_the_extra():
    assert error_without("safetensors").startswith("ModuleNotFoundError: ")
