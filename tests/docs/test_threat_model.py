"""Each promise of the threat model names tests, and those exist."""

import ast
import re
from pathlib import Path

import attractor

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "docs" / "threat_model.md").read_text(encoding="utf-8")


def promises():
    """The rows of tables of promises: what is promised, and what is named behind it."""
    for table in re.findall(r"\| promise \| held by \|\n\|---\|---\|\n((?:\|.*\n)+)", MODEL):
        for line in table.splitlines():
            promise, held = line.strip("| ").split(" | ")
            yield promise, held


def names_in(path):
    return {node.name for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_tests():
    rows = list(promises())
    assert len(rows) > 15 and [promise for promise, held in rows if not re.search(r"`tests/\S+::test_\w+`", held)] == []


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", MODEL)
    found = {path: names_in(path) for path, _ in named}
    assert MODEL.count("`tests/") == len(named)
    assert [f"{path}::{name}" for path, name in named if name not in found[path]] == []


def keywords(call, tree):
    """The keywords of a call with their values, those of `**name` looked up where the name is bound to a dictionary."""
    for word in call.keywords:
        if word.arg is not None:
            yield word.arg, ast.unparse(word.value)
        for node in ast.walk(tree) if word.arg is None else ():
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == ast.unparse(word.value):
                yield from ast.literal_eval(node.value).items()


def test_models_are_loaded_from_local_folders_without_their_code():
    found = []
    for path in Path(attractor.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source if ".from_pretrained(" in source else "")
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_pretrained")
        ]
        found += [(f"{path.name}:{call.lineno}", {name: str(value) for name, value in keywords(call, tree)}) for call in calls]
    assert found
    assert [place for place, words in found if words.get("local_files_only") != "True"] == []
    assert [place for place, words in found if words.get("trust_remote_code", "False") != "False"] == []
