"""Every Python block of the pages runs, and shows what the page says it shows."""

import re
import warnings
from pathlib import Path

import pytest
from docs.snippets import BLOCK, run_blocks

from attractor import AttractorWarning

DOCS = Path(__file__).parents[2] / "docs"
OF_CLUSTERS = DOCS / "scale.md"  # run beside the tests of cluster banks, which have the engine started
PAGES = sorted(page for page in DOCS.rglob("*.md") if page != OF_CLUSTERS and BLOCK.search(page.read_text(encoding="utf-8")))
NEEDED = {"attractor.estimators": "sklearn", "attractor.language": "transformers", "faiss": "faiss", "networkx": "networkx"}


def name_of(page):
    return page.relative_to(DOCS).with_suffix("").as_posix()


def needed(page):
    """Packages that the blocks of a page import, and that not everybody has."""
    imported = re.findall(r"^(?:from|import) (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [package for start, package in NEEDED.items() if any(module.startswith(start) for module in imported)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_of_a_page_runs_without_a_warning(page, tmp_path, monkeypatch):
    for module in needed(page):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AttractorWarning)
        run_blocks(page)


def test_blocks_of_pages_are_of_kinds_that_are_run_or_read():
    for page in PAGES:
        assert set(re.findall(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= {
            "python",
            "pycon",
            "console",
            "text",
        }


@pytest.mark.parametrize(("shown", "fails"), [("3", False), ("4", True)])
def test_a_page_that_shows_something_else_fails(shown, fails, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"```python\na = 1\n```\n\n```pycon\n>>> b = a + 2\n>>> b\n{shown}\n```\n\n```python\nassert b == 3\n```\n")
    if fails:
        with pytest.raises(AssertionError, match="Expected"):
            run_blocks(page)
    else:
        assert run_blocks(page)["b"] == 3


def test_an_error_names_the_line_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\na = 1\na / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as error:
        run_blocks(page)
    assert (Path(error.traceback[-1].path), error.traceback[-1].lineno + 1) == (page, 5)
