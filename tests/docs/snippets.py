"""Runs what pages show: the Python blocks of a page in one namespace, and its sessions of an interpreter as doctests."""

import doctest
import re
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_blocks(page: Path) -> dict[str, Any]:
    """The names that the blocks of a page leave behind; errors and failures name the line of the page.

    Raises:
        AssertionError: a session prints something else than the page says.
    """
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        kind, code = block.groups()
        line = text.count("\n", 0, block.start(2))
        if kind == "python":
            exec(compile("\n" * line + code, str(page), "exec"), names)
        else:
            check_session(code, names, page, line)
    return names


def check_session(code: str, names: dict[str, Any], page: Path, line: int) -> None:
    session = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
    said: list[str] = []
    failed = doctest.DocTestRunner(optionflags=OPTIONS).run(session, out=said.append, clear_globs=False).failed
    assert not failed, "".join(said)
    names.update(session.globs)
