"""What the README shows is run, and the commands that it names exist."""

import re
from pathlib import Path

from docs.snippets import run_blocks

from attractor.app.cli import app

PAGE = Path(__file__).parents[1] / "README.md"
README = PAGE.read_text(encoding="utf-8")
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")


def test_python_of_the_readme_runs_and_recalls():
    names = run_blocks(PAGE)
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
