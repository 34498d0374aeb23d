"""The commands that pages show exist, with the options that they show; those that are quick are run."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from attractor.app.cli import app, main

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINES = sorted(
    {
        line
        for page in PAGES
        for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        for line in re.findall(r"^\$ (.+?)(?:\s+#.*)?$", block, re.MULTILINE)
    }
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
QUICK = ["attractor --version", "attractor landscape"]


def of(program):
    found = [line for line in LINES if line.split()[0] == program]
    assert found
    return found


def parsed(arguments):
    """What the command line makes of arguments, without running anything."""
    name, *rest = arguments
    command = typer.main.get_command(app).get_command(None, name)
    assert command is not None, f"no such command: {name}"
    return command.make_context(name, rest)


@pytest.mark.parametrize("line", [line for line in of("attractor") if line not in QUICK])
def test_a_command_is_understood(line):
    assert parsed(shlex.split(line)[1:]).info_name == shlex.split(line)[1]


def test_the_test_of_commands_refuses_what_does_not_exist():
    for wrong in (["reproduce", "--fast"], ["dream"]):
        with pytest.raises(Exception, match=r"(?i)no such (option|command)"):
            parsed(wrong)


@pytest.mark.parametrize("line", QUICK)
def test_a_quick_command_runs(line, tmp_path, monkeypatch, capsys):
    assert line in LINES
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", of("pip"))
def test_extras_that_pages_install_exist(line):
    named = {extra for group in re.findall(r"\[([\w,]+)\]", line) for extra in group.split(",")}
    assert shlex.split(line)[:2] == ["pip", "install"] and named <= EXTRAS


def test_the_page_on_installing_lists_every_extra_of_users():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == EXTRAS - {"bench", "browser", "dev", "docs", "notebooks"}


@pytest.mark.parametrize("line", of("make"))
def test_make_targets_of_pages_exist(line):
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_tests_that_pages_run_exist():
    named = [part for line in LINES if line.startswith("python -m pytest ") for part in shlex.split(line)[3:]]
    assert all(part.startswith("tests/") and list(ROOT.glob(part)) for part in named)


def test_nothing_else_is_shown_as_a_command():
    assert {line.split()[0] for line in LINES if not line.startswith("python -m pytest ")} == {"attractor", "pip", "make"}
