"""The reference covers what is public, reads docstrings as they are meant, and loads nothing from elsewhere."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest
from docs.site_modules import DOCS, extension

import attractor

docstrings, self_contained = extension("docstrings"), extension("self_contained")
PAGES = {
    package: page.stem
    for page in (DOCS / "api").glob("*.rst")
    for package in re.findall(r"public-names:: (\S+)", page.read_text(encoding="utf-8"))
}


def test_every_room_has_a_page_that_the_list_names():
    rooms = {f"attractor.{path.parent.name}" for path in Path(attractor.__file__).parent.glob("*/__init__.py")}
    assert rooms - {"attractor.app"} <= set(PAGES)
    listed = (DOCS / "api" / "index.md").read_text(encoding="utf-8").split("```{toctree}")[1].split()
    assert set(PAGES.values()) <= set(listed)


def test_what_the_package_hands_on_is_documented_where_it_lives():
    elsewhere = {name for package in PAGES if package != "attractor" for name in vars(importlib.import_module(package))}
    assert {name for name in attractor.__all__ if not isinstance(getattr(attractor, name), ModuleType)} <= elsewhere


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("|x|^2 of labels_", r"\|x\|^2 of labels\_"),
        ("`a|b` times `c*`", "`a|b` times `c*`"),
        ("joined by ` + `", "joined by `+`"),
        ("a * b in n_init", r"a \* b in n_init"),
    ],
)
def test_letters_that_are_markup_elsewhere_mean_themselves(text, rest):
    assert docstrings.escaped(text) == rest


def test_examples_and_the_names_of_arguments_stay_as_they_are():
    lines = ["What.", "", "Args:", "    **settings: of `a", "        b`, |x|.", "", "Example:", "    >>> 2 * 3", "    6"]
    found = docstrings.as_rest(lines)
    assert found == ["What.", "", "Args:", r"    **settings: of `a b`, \|x\|.", "", "Example:", "    >>> 2 * 3", "    6"]


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ('<a href="https://example.org">a link</a> <img src="_images/a.png">', 0),
        ('<script async src="https://example.org/a.js"></script>', 1),
        ('<img alt="" src="//example.org/a.png"> <img src="a//b.png">', 1),
        ('<link rel="stylesheet" href="//example.org/a.css" />', 1),
        ('@import "https://example.org/a.css";', 1),
        ("@import url(https://example.org/a.css); a { background: url('http://example.org/b.png') }", 2),
    ],
)
def test_what_a_page_loads_from_another_host_is_found(page, count):
    assert len(self_contained.loaded_from_elsewhere(page)) == count
