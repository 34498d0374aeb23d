"""The reference of a package: what its `__all__` names, summed up and then in full.

A name that several packages hand on is documented in the one farthest inside, and listed with a link in the others.
"""

from __future__ import annotations

import inspect
from collections import Counter
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from docstrings import escaped
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

PACKAGES = (
    "attractor",
    "attractor.read",
    "attractor.bank",
    "attractor.memory",
    "attractor.energy",
    "attractor.energy.lagrangians",
    "attractor.energy.synapses",
    "attractor.energy.lyapunov",
    "attractor.energy.flatness",
    "attractor.energy.stability",
    "attractor.dynamics",
    "attractor.dynamics.diffusion",
    "attractor.nn",
    "attractor.estimators",
    "attractor.estimators.sequential",
    "attractor.language",
    "attractor.language.iamm",
    "attractor.data",
    "attractor.papers",
    "attractor.testing",
    "attractor.errors",
)


def public(package: str) -> list[str]:
    """What a package offers: its `__all__`, or what a module without one defines itself."""
    module = import_module(package)
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    return [
        name for name, value in vars(module).items() if not name.startswith("_") and getattr(value, "__module__", "") == package
    ]


@cache
def homes() -> dict[str, str]:
    """The full name under which each public object is documented, by the full name of where it is defined."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for name in public(package):
            value = getattr(import_module(package), name)
            if not isinstance(value, ModuleType):
                found[defined(value, package, name)] = f"{package}.{name}"
    return found


def defined(value: Any, package: str, name: str) -> str:
    """Where an object is defined, as a full name; a constant is where it is found."""
    module = getattr(value, "__module__", None)
    return f"{module}.{value.__qualname__}" if module and hasattr(value, "__qualname__") else f"value {id(value)}"


class PublicNames(SphinxDirective):
    """`{public-names} PACKAGE`: a table of what the package offers, and the reference of what is documented here."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        known = homes()
        here: list[tuple[str, Any]] = []
        listed: list[tuple[str, Any]] = []
        for name in public(package):
            value = getattr(import_module(package), name)
            if isinstance(value, ModuleType):
                continue
            home = known[defined(value, package, name)]
            listed.append((home, value))
            if home == f"{package}.{name}":
                here.append((name, value))
        lines = [".. list-table::", "   :class: names", "   :widths: auto", ""]
        for home, value in listed:
            lines += [f"   * - :py:obj:`~{home}`", f"     - {first_paragraph(value)}"]
        lines += [""]
        for name, value in here:
            lines += [*reference(f"{package}.{name}", value), ""]
        return self.parse_text_to_nodes("\n".join(lines))


def first_paragraph(value: Any) -> str:
    """What an object is, as its docstring begins; the type of a constant."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return f"A constant, `{type(value).__name__}`."
    return escaped(" ".join((inspect.getdoc(value) or "").split("\n\n")[0].split()))


def reference(name: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", "   :show-inheritance:"]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name}"]
    return [f".. autodata:: {name}", "   :no-value:"]


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element) -> nodes.Node | None:
    """Links names as the code imports them to where they are documented; what signatures name of other packages stays plain."""
    target = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    home = short_homes().get(target.rpartition(".")[2]) if target.startswith("attractor.") or "." not in target else None
    if home and home in domain.objects:
        entry = domain.objects[home]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, home)
    return content if node["refdoc"].startswith("api/") else None


@cache
def short_homes() -> dict[str, str]:
    """Full names by their last parts, where these are documented once."""
    full = list(homes().values())
    count = Counter(name.rpartition(".")[2] for name in full)
    return {name.rpartition(".")[2]: name for name in full if count[name.rpartition(".")[2]] == 1}


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("public-names", PublicNames)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
