"""Docstrings of the package as reStructuredText.

They are written for the terminal: code stands between single backticks, and `|x|`, `a * b` or `labels_` mean themselves. Here the
letters that reStructuredText would take for markup are escaped, outside of code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CODE = re.compile(r"(`[^`]*`)")
MARKUP = re.compile(r"[|*]|(?<=\w)_(?!\w)")
FIELD = re.compile(r"\s*(?:\*{0,2}\w+)(?:, \*{0,2}\w+)*(?=:|,| \()")
SECTION = re.compile(r"(\s*)(Args|Attributes|Raises|Returns|Warns|Yields|Example|Examples|Note):\s*$")


def escaped(text: str) -> str:
    """One line, with its markup escaped but for what is between backticks, where no space may begin or end.

    Example:
        >>> escaped("`a|b` and |x|^2 of labels_")
        '`a|b` and \\\\|x\\\\|^2 of labels\\\\_'
    """
    parts = CODE.split(text)
    return "".join(f"`{part[1:-1].strip()}`" if number % 2 else MARKUP.sub(r"\\\g<0>", part) for number, part in enumerate(parts))


def as_rest(lines: list[str]) -> list[str]:
    """All lines of a docstring; examples stay as they are, and code that goes on in the next line is joined to its beginning."""
    found: list[str] = []
    begun = ""
    in_example = False
    for line in lines:
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if in_example or SECTION.match(line):
            found.append(line)
            continue
        line, begun = (f"{begun} {line.strip()}", "") if begun else (line, "")
        if line.count("`") % 2:
            begun = line
        else:
            found.append(as_markup(line))
    return found


def as_markup(line: str) -> str:
    """A line outside of examples, escaped but for the names of arguments before their colon, which napoleon reads."""
    name = FIELD.match(line) if line.startswith(" ") else None
    kept = name.group() if name else ""
    return kept + escaped(line[len(kept) :])


def convert(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    if what == "data" and obj.__doc__ in (type(obj).__doc__, getattr(obj, "__origin__", type(obj)).__doc__):
        lines[:] = []  # what the type of a constant says is no description of the constant
    else:
        lines[:] = as_rest(lines)


def skip(app: Sphinx, what: str, name: str, obj: object, skipped: bool, options: object) -> bool | None:
    """Leaves out the methods that scikit-learn writes itself."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", convert, priority=100)  # before napoleon
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
