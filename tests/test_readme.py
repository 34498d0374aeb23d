"""What the README shows is run; its commands are in the care of `docs/test_commands.py`."""

from pathlib import Path

from docs.snippets import run_blocks

PAGE = Path(__file__).parents[1] / "README.md"


def test_python_of_the_readme_runs_and_recalls():
    names = run_blocks(PAGE)
    recalled, images = names["recalled"], names["images"]
    assert (recalled.index == names["torch"].arange(len(images))).all()
    assert (recalled.patterns - images).abs().max() < 1e-3
