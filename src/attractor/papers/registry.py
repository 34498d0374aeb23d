"""The papers that are reproduced here, their last reports, and whether those still belong to the code.

A module `pNN_name.py` of this room has `PAPER`, a `Paper`, and `run(scale, seed, progress=None) -> Report`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from attractor.papers.claim import Paper
from attractor.papers.report import Progress, Report, Scale

PACKAGE = Path(__file__).parent.parent
REPORTS = Path(__file__).parent / "reports"
NOT_MEASURED_WITH = "app"


class PaperModule(Protocol):
    """What a module of a paper offers."""

    __name__: str
    PAPER: Paper

    def run(self, scale: Scale, seed: int, progress: Progress | None = None) -> Report: ...


def module_names() -> dict[str, str]:
    """Full names of the modules by the id of their paper, in rising order.

    Example:
        >>> module_names()["20"]
        'attractor.papers.p20_large_associative_memory'
    """
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return {name[1:3]: f"attractor.papers.{name}" for name in names if re.match(r"p\d\d_", name)}


def paper_module(paper_id: str) -> PaperModule:
    """The module of a paper; ids of one digit are understood.

    Raises:
        ValueError: there is none with this id.

    Example:
        >>> paper_module("20").PAPER.year
        2021
    """
    names = module_names()
    if paper_id.zfill(2) not in names:
        raise ValueError(f"paper must be one of {', '.join(names)}, got {paper_id!r}")
    return cast(PaperModule, importlib.import_module(names[paper_id.zfill(2)]))


def last_report(paper_id: str) -> Report | None:
    """The committed report of a paper, or None.

    Raises:
        ValueError: the file is damaged.
    """
    path = REPORTS / f"{paper_id}.json"
    return Report.from_json(path.read_text(encoding="utf-8")) if path.exists() else None


def is_stale(report: Report) -> bool:
    """Whether the code that `report` depends on has changed since it was made."""
    return report.provenance is None or report.provenance.hash != source_hash(module_names()[report.paper])


def source_hash(module: str, package: Path = PACKAGE) -> str:
    """A hash of the source of `module` and of all modules of the package that it needs, but for the room `app`.

    Args:
        module: full name.
        package: folder of the package that the name starts with.

    Example:
        >>> len(source_hash("attractor.papers.claim"))
        16
    """
    digest = hashlib.sha256()
    for name in sorted(dependencies(module, package)):
        # line ends differ between checkouts
        source = _source(name, package).replace("\r\n", "\n")
        digest.update(f"{name}\0{len(source)}\0{source}".encode())
    return digest.hexdigest()[:16]


def dependencies(module: str, package: Path = PACKAGE) -> set[str]:
    """`module` and the modules of the package that it imports, directly or through others.

    A name that a folder only hands on leads to where it is defined: its neighbours are no dependencies.

    Raises:
        ValueError: there is no such module.
    """
    if not _is_module(module, package):
        raise ValueError(f"module must be in the package {package.name!r}, got {module!r}")
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [target for target in _imported_modules(name, package) if target.split(".")[1:2] != [NOT_MEASURED_WITH]]
    return found


def _imported_modules(module: str, package: Path) -> Iterator[str]:
    for _, name in _imports(module, package):
        target = _definition(name, package)
        if target is not None:
            yield target


def _imports(module: str, package: Path) -> Iterator[tuple[str, str]]:
    """What `module` imports: the name it is bound to, and the full dotted name."""
    parts = module.split(".")
    inside = parts if _path(module, package).name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(_source(module, package))):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*inside[: len(inside) + 1 - node.level], *([node.module] if node.module else [])])
            base = base if node.level else node.module or ""
            yield from ((alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names)


def _definition(name: str, package: Path) -> str | None:
    """The module that a dotted name is, or that defines it; None outside of the package."""
    if name.partition(".")[0] != package.name:
        return None
    if _is_module(name, package):
        return name
    home, _, bound = name.rpartition(".")
    if _is_module(home, package) and _path(home, package).name == "__init__.py":
        for alias, target in _imports(home, package):
            if alias == bound:
                return _definition(target, package)
    return _definition(home, package) if home else None


def _is_module(name: str, package: Path) -> bool:
    return name.partition(".")[0] == package.name and _path(name, package).exists()


def _path(name: str, package: Path) -> Path:
    place = package.parent.joinpath(*name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _source(name: str, package: Path) -> str:
    return _path(name, package).read_text(encoding="utf-8")
