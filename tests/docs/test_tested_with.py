"""A version of Python or PyTorch is declared only where a test run of it is on record."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNS = re.findall(
    r"^\| (\d+\.\d+)\.\d+ \| (\d+\.\d+)\.\d+[^|]*\|", (ROOT / "docs" / "tested_with.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_python_that_is_declared_was_run():
    declared = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)}
    assert declared == {python for python, _ in RUNS}
    assert PROJECT["requires-python"] == f">={min(declared, key=release)}"


def test_the_oldest_pytorch_that_is_declared_was_run():
    (bound,) = (name.partition(">=")[2] for name in PROJECT["dependencies"] if name.startswith("torch>="))
    assert bound == min((torch for _, torch in RUNS), key=release)


def release(version):
    return tuple(map(int, version.split(".")))
