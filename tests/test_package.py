import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import attractor
from attractor import estimators, language

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_version_is_the_one_of_the_project_file():
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    cited = re.search(r"^version: (.+)$", (PYPROJECT.parent / "CITATION.cff").read_text(), re.MULTILINE)[1]
    assert attractor.__version__ == metadata.version("attractor") == declared == cited


def test_types_are_published():
    assert (Path(attractor.__file__).parent / "py.typed").exists()


FRESH = """
import json, sys, time

start = time.process_time()
import torch
middle, before = time.process_time(), set(sys.modules)
from attractor import *
ratio = (time.process_time() - start) / (middle - start)
added = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
rooms = []
for room in sys.argv[1:]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "attractor"]:
        del sys.modules[name]
    import attractor
    rooms.append(getattr(attractor, room).__name__)
print(json.dumps([ratio, added, rooms]))
"""
ROOMS = ("bank", "memory", "read", "errors", "dynamics", "energy")


@pytest.fixture(scope="module")
def fresh():
    """Of a process of its own: time of the import in that of torch, packages that it loads, rooms that new imports reach."""
    told = subprocess.run([sys.executable, "-c", FRESH, *ROOMS], capture_output=True, text=True, check=True).stdout
    return dict(zip(("ratio", "added", "rooms"), json.loads(told), strict=True))


def test_import_loads_nothing_heavy_beside_torch(fresh):
    heavy = {"PIL", "faiss", "matplotlib", "mlxtend", "pandas", "rich", "scipy", "sklearn", "typer"}
    assert find_spec("sklearn"), "the check needs the packages that it looks for"
    assert "attractor" in fresh["added"]
    assert heavy.isdisjoint(fresh["added"])


def test_every_name_is_there_and_no_other():
    for module in (attractor, attractor.bank, estimators, language):
        assert all(getattr(module, name) for name in module.__all__)
        assert set(module.__all__) <= set(dir(module))
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = module.nonsense


def test_rooms_are_reached_by_the_name_of_the_package(fresh):
    assert fresh["rooms"] == [f"attractor.{room}" for room in ROOMS]


def test_import_takes_under_one_and_a_half_times_the_import_of_torch(fresh):
    assert fresh["ratio"] < 1.5
