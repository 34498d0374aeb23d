"""The modules of the site's extensions that need no Sphinx."""

import importlib.util
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def extension(name):
    """A module of `docs/_extensions`, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
