"""The rooms of the package and the arrows between them: imports run one way."""

import ast
import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import attractor

PACKAGE = Path(attractor.__file__).parent
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

SHARED = {"errors", "validation", "tensor_file", "products", "threads"}
GROUND = {"read", "energy", "bank", "dynamics"}
MAY_IMPORT = {
    "errors": set(),
    "validation": {"errors"},
    "tensor_file": set(),
    "products": set(),
    "threads": set(),
    "data": SHARED,
    "read": SHARED,
    "energy": SHARED | {"read"},
    "bank": SHARED | {"read"},
    "dynamics": SHARED | {"read", "energy"},
    "memory": SHARED | GROUND,
    "nn": SHARED | GROUND,
    "testing": SHARED | GROUND | {"memory"},
    "estimators": SHARED | GROUND | {"memory", "nn", "language"},
    "language": SHARED | GROUND | {"memory", "nn", "data"},
    "papers": SHARED | GROUND | {"memory", "nn", "estimators", "language", "data", "testing"},
    "app": SHARED | GROUND | {"memory", "nn", "estimators", "language", "data", "testing", "papers", ""},
    "": SHARED | GROUND | {"memory", "nn", "estimators", "language", "data", "testing"},
}
ONLY_TORCH = {"read", "errors", "validation", "products", "threads"}
ONLY_IN_APP = {"matplotlib", "rich", "typer"}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def package_sources():
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return sources


def room_of(module):
    """`attractor.read.fold` -> `read`; the package itself is the room ``."""
    return module.split(".")[1] if "." in module else ""


def imported(node, module, is_package):
    """The dotted names that a statement imports: `from a import b` gives `a.b`, a module or a name in `a`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parent = module.split(".")
        parent = parent[: len(parent) - node.level + is_package]
        base = ".".join([*parent, base] if base else parent)
    return [f"{base}.{alias.name}" for alias in node.names]


def nearest_module(name, modules):
    while name not in modules and "." in name:
        name = name.rpartition(".")[0]
    return name


def statements_at_import(body):
    """What runs when the module is imported: not the functions' bodies, not the type checker's branch."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from statements_at_import(node.orelse)
            continue
        yield node
        yield from statements_at_import(ast.iter_child_nodes(node))


def imports_of(module, nodes, sources):
    is_package = any(name.startswith(f"{module}.") for name in sources)
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported(node, module, is_package):
                yield node.lineno, name


def wrong_imports(sources):
    """Arrows that point the wrong way, and packages in rooms that do without them."""
    for module, source in sources.items():
        room = room_of(module)
        if room not in MAY_IMPORT:
            yield f"{module}: {room} is not a room"
            continue
        for line, name in imports_of(module, ast.walk(ast.parse(source)), sources):
            top = name.partition(".")[0]
            if top == "attractor":
                target = room_of(name) if room_of(name) in MAY_IMPORT else ""
                if target not in MAY_IMPORT[room] | {room}:
                    yield f"{module}:{line}: {room or 'attractor'} may not import {name}"
            elif room in ONLY_TORCH and top != "torch" and top not in sys.stdlib_module_names:
                yield f"{module}:{line}: {room} stands on torch alone, not on {top}"
            elif top in ONLY_IN_APP and room != "app":
                yield f"{module}:{line}: only app imports {top}"
            elif top in PICKLES:
                yield f"{module}:{line}: {top} runs code that a file brings along"


def wrong_calls(sources):
    """Calls that print outside `app`, or run code that came as data."""
    for module, source in sources.items():
        tree = ast.parse(source)
        names = dict(bound_names(tree))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            head, _, rest = ast.unparse(node.func).partition(".")
            called = f"{names.get(head, head)}.{rest}".rstrip(".")
            pickled = any(word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords)
            if called in {"eval", "exec", "torch.load"} or pickled:
                yield f"{module}:{node.lineno}: {called} runs code that came as data"
            elif called == "print" and room_of(module) != "app":
                yield f"{module}:{node.lineno}: only app prints"


def bound_names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias, name in zip(node.names, imported(node, "", False), strict=True):
                if alias.asname or isinstance(node, ast.ImportFrom):
                    yield alias.asname or alias.name, name


def circles(sources):
    """The first circle among the modules, counting what runs at import only."""
    graph = {}
    for module, source in sources.items():
        nodes = statements_at_import(ast.parse(source).body)
        targets = {nearest_module(name, sources) for _, name in imports_of(module, nodes, sources)}
        graph[module] = {target for target in targets if target in sources and target != module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield " -> ".join(error.args[1])


def test_imports_run_one_way():
    assert list(wrong_imports(package_sources())) == []


def test_page_on_the_architecture_tells_the_rooms_and_their_arrows():
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.*)\|$", PAGE.split("## A recall")[0], re.MULTILINE)
    told = {room: set(re.findall(r"`(\w+)`", may)) for room, may in rows}
    rooms = MAY_IMPORT.keys() - SHARED - {""}
    told |= {"papers": rooms - {"papers", "app"}, "app": rooms - {"app"}}
    assert told == {room: MAY_IMPORT[room] - SHARED - {""} for room in rooms}


def test_page_on_the_architecture_names_files_that_exist():
    named = re.findall(r"`([\w/]+/[\w.]+)`", PAGE)
    places = {name: [ROOT / name, PACKAGE / name] for name in named if "pNN" not in name}
    assert len(places) > 30
    assert [name for name, found in places.items() if not any(path.exists() for path in found)] == []


def test_nothing_prints_outside_app_and_no_data_is_run():
    assert list(wrong_calls(package_sources())) == []


def test_no_circular_imports():
    assert list(circles(package_sources())) == []


def test_whole_package_is_checked():
    sources = package_sources()
    assert "attractor" in sources
    assert len(sources) == len(list(PACKAGE.rglob("*.py")))


def test_every_room_is_a_package():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


ROOMS = {"attractor": "", "attractor.read": "", "attractor.read.fold": "", "attractor.memory": "", "attractor.app": ""}


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("attractor.read.new", "from attractor.memory import DenseMemory", "read may not import"),
        ("attractor.read.new", "from ..memory import DenseMemory", "read may not import"),
        ("attractor.read.new", "def f():\n    import attractor.memory", "read may not import"),
        ("attractor.read.new", "import numpy as np", "torch alone"),
        ("attractor.energy.new", "from attractor.bank import RamBank", "energy may not import"),
        ("attractor.bank.new", "from attractor.dynamics import relax", "bank may not import"),
        ("attractor.nn.new", "from attractor.memory import DenseMemory", "nn may not import"),
        ("attractor.memory.new", "from attractor.data import load", "memory may not import"),
        ("attractor.memory.new", "from attractor import DenseMemory", "memory may not import"),
        ("attractor.papers.new", "from attractor.app.cli import main", "papers may not import"),
        ("attractor.data.new", "from attractor.read import fold", "data may not import"),
        ("attractor.memory.new", "import matplotlib.pyplot as plt", "only app imports matplotlib"),
        ("attractor.app.new", "import pickle", "runs code"),
        ("attractor.attic.new", "", "not a room"),
    ],
)
def test_wrong_import_is_found(module, source, complaint):
    (found,) = wrong_imports(ROOMS | {module: source})
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attractor.memory.new", "from attractor.read.fold import read\nfrom ..read import fold\nimport numpy"),
        (
            "attractor.read.new",
            "from __future__ import annotations\nimport math\nfrom . import fold\nfrom .fold import f",
        ),
        ("attractor.app.new", "import typer, rich\nfrom attractor import __version__\nfrom attractor.papers import x"),
        ("attractor.language.new", "from attractor.data import load"),
    ],
)
def test_right_import_is_let_through(module, source):
    assert list(wrong_imports(ROOMS | {module: source, "attractor.papers": "", "attractor.data": ""})) == []


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "eval('1')",
        "def f():\n    exec('1')",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x')",
        "from torch import load\nload('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_wrong_call_is_found(source):
    assert len(list(wrong_calls(ROOMS | {"attractor.memory.new": source}))) == 1


def test_methods_that_share_a_name_with_a_wrong_call_are_let_through():
    source = "import numpy as np\nmodel.eval()\nMemory.load('x')\nnp.load('x', allow_pickle=False)\n'print(1)'"
    assert list(wrong_calls(ROOMS | {"attractor.memory.new": source, "attractor.app.new": "print(1)"})) == []


def test_circle_is_found():
    first, second = "attractor.memory.first", "attractor.memory.second"
    eager = {first: f"import {second}", second: "from .first import f"}
    assert len(list(circles(ROOMS | eager))) == 1
    through_package = {"attractor.memory": "from .first import f", first: "from attractor.memory import g"}
    assert len(list(circles(ROOMS | through_package))) == 1


def test_late_import_makes_no_circle():
    first, second = "attractor.memory.first", "attractor.memory.second"
    late = {
        first: f"def f():\n    import {second}",
        second: "from typing import TYPE_CHECKING\nfrom .first import f\nif TYPE_CHECKING:\n    import attractor.app",
        "attractor.app": f"from {second} import g",
    }
    assert list(circles(ROOMS | late)) == []
