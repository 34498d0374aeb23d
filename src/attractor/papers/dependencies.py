"""Which source a measurement depends on, and a hash of it, by which a report knows that the code has changed since.

Documentation is no code: docstrings, and other strings that stand alone, are left out of the hash.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
NOT_MEASURED_WITH = "app"


def source_hash(module: str, package: Path = PACKAGE) -> str:
    """A hash of the code of `module` and of all modules of the package that it needs, but for the room `app`.

    Args:
        module: full name.
        package: folder of the package that the name starts with.

    Raises:
        ValueError: there is no such module.

    Example:
        >>> len(source_hash("attractor.papers.claim"))
        16
    """
    digest = hashlib.sha256()
    for name in sorted(dependencies(module, package)):
        code = code_of(read_source(module_path(name, package)))
        digest.update(f"{name}\0{len(code)}\0{code}".encode())
    return digest.hexdigest()[:16]


def dependencies(module: str, package: Path = PACKAGE) -> set[str]:
    """`module` and the modules of the package that it imports, directly or through others.

    A name that a folder only hands on leads to where it is defined: its neighbours are no dependencies.

    Raises:
        ValueError: there is no such module.
    """
    imports = Imports(package)
    if not imports.is_module(module):
        raise ValueError(f"module must be in the package {package.name!r}, got {module!r}")
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            targets = {imports.definition(target) for target in imports.of(name).values()}
            waiting += [target for target in targets if target and target.split(".")[1:2] != [NOT_MEASURED_WITH]]
    return found


class Imports:
    """The imports of the modules of a package."""

    def __init__(self, package: Path):
        self.package = package

    def of(self, module: str) -> dict[str, str]:
        """What `module` imports, inside functions too: the name it is bound to, and the full dotted name."""
        path = module_path(module, self.package)
        inside = module.split(".")[: None if path.name == "__init__.py" else -1]
        return bound_names(read_source(path), tuple(inside))

    def is_module(self, name: str) -> bool:
        return name.partition(".")[0] == self.package.name and module_path(name, self.package).exists()

    def definition(self, name: str) -> str | None:
        """The module that a dotted name is, or that defines it; None outside of the package."""
        if name.partition(".")[0] != self.package.name:
            return None
        if self.is_module(name):
            return name
        home, _, bound = name.rpartition(".")
        if self.is_module(home) and module_path(home, self.package).name == "__init__.py" and bound in self.of(home):
            return self.definition(self.of(home)[bound])
        return self.definition(home) if home else None


@cache
def bound_names(source: str, inside: tuple[str, ...]) -> dict[str, str]:
    """The imports in the source of a module whose folder is the package `inside`."""
    names: dict[str, str] = {}
    for node in imports_and_statements(source):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
    return names


@cache
def code_of(source: str) -> str:
    """Source without the strings that stand alone, nor the lines that hold nothing else.

    Example:
        >>> code_of("def one():\\n    'One.'\\n    return '1'\\n")
        "def one():\\n    return '1'\\n"
    """
    lines = source.encode().splitlines(keepends=True)
    for node in reversed(imports_and_statements(source)):  # so that taking one out moves none of those to come
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            left = lines[first][: node.col_offset] + lines[last][node.end_col_offset :]
            lines[first : last + 1] = [left if left.strip() else b"", *[b""] * (last - first)]
    return b"".join(lines).decode()


@cache
def imports_and_statements(source: str) -> list[ast.Import | ast.ImportFrom | ast.Expr]:
    """All nodes of these kinds, in their order."""
    kinds = (ast.Import, ast.ImportFrom, ast.Expr)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def module_path(name: str, package: Path) -> Path:
    place = package.parent.joinpath(*name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def read_source(path: Path) -> str:
    """The text of a file with line ends of one kind, as they differ between checkouts."""
    return path.read_text(encoding="utf-8")
