"""What the README shows is run, and the commands that it names exist."""

import re
from pathlib import Path
from runpy import run_path

from attractor.app.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")


def test_python_of_the_readme_runs_and_recalls(tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text(snippet, encoding="utf-8")
    names = run_path(str(script))
    recalled, images = names["recalled"], names["images"]
    assert (recalled.index == names["torch"].arange(len(images))).all()
    assert (recalled.patterns - images).abs().max() < 1e-3


def test_commands_of_the_readme_exist():
    named = set(re.findall(r"^\$ attractor (\w+)", README, re.MULTILINE))
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert named and named <= known


def test_make_targets_of_the_readme_exist():
    named = set(re.findall(r"`make (\w+)`", README))
    assert named and all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in named)
