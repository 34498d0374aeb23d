import json
import statistics
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import attractor

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def output_of(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_version_is_the_one_of_the_project_file():
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    assert attractor.__version__ == metadata.version("attractor") == declared


def test_types_are_published():
    assert (Path(attractor.__file__).parent / "py.typed").exists()


def test_import_loads_nothing_heavy_beside_torch():
    heavy = {"PIL", "faiss", "matplotlib", "mlxtend", "pandas", "rich", "scipy", "sklearn", "typer"}
    assert find_spec("sklearn"), "the check needs the packages that it looks for"
    added = json.loads(
        output_of(
            "import json, sys, torch; before = set(sys.modules); from attractor import *;"
            "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
        )
    )
    assert "attractor" in added
    assert heavy.isdisjoint(added)


def test_every_name_is_there_and_no_other():
    for module in (attractor, attractor.bank):
        assert all(getattr(module, name) for name in module.__all__)
        assert set(module.__all__) <= set(dir(module))
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = module.nonsense


def test_rooms_are_reached_by_the_name_of_the_package():
    print_one = "import attractor; print(attractor.{}.__name__)"
    for room in ("bank", "memory", "read", "errors", "dynamics", "energy"):
        assert output_of(print_one.format(room)).strip() == f"attractor.{room}"


def test_import_takes_under_one_and_a_half_times_the_import_of_torch():
    program = (
        "from time import perf_counter as now; start = now(); import torch; middle = now(); from attractor import *;"
        "print((now() - start) / (middle - start))"
    )
    ratios = [float(output_of(program)) for _ in range(3)]
    assert statistics.median(ratios) < 1.5, ratios
