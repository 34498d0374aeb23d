from dataclasses import replace

import pytest

from attractor.papers import module_names, paper_module, registry
from attractor.papers.dependencies import dependencies, source_hash

SOURCES = {
    "__init__.py": "from toy.memory import Memory\n",
    "papers/__init__.py": "",
    "papers/p01.py": "from toy.memory import Memory\n\n\ndef run():\n    from toy.read.fold import fold\n",
    "memory/__init__.py": "from toy.memory.dense import Memory\nfrom .other import Other\n",
    "memory/dense.py": "from ..read import similarity\nimport torch\n",
    "memory/other.py": "",
    "read/__init__.py": "",
    "read/similarity.py": "X = 1\n",
    "read/fold.py": "import toy.app.cli\n",
    "app/__init__.py": "",
    "app/cli.py": "from toy.memory.other import Other\n",
}
NEEDED = {"toy.papers.p01", "toy.memory.dense", "toy.read.similarity", "toy.read.fold"}


@pytest.fixture
def toy(tmp_path):
    package = tmp_path / "toy"
    for name, source in SOURCES.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


def test_dependencies_lead_through_folders_to_where_a_name_is_defined(toy):
    assert dependencies("toy.papers.p01", toy) == NEEDED


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_hash_changes_with_a_dependency(toy, name):
    before = source_hash("toy.papers.p01", toy)
    path = toy.parent.joinpath(*name.split(".")).with_suffix(".py")
    path.write_text(path.read_text() + "Y = 2\n")
    assert source_hash("toy.papers.p01", toy) != before


@pytest.mark.parametrize("name", ["memory/other.py", "app/cli.py", "memory/__init__.py"])
def test_hash_ignores_what_is_not_needed(toy, name):
    before = source_hash("toy.papers.p01", toy)
    path = toy / name
    path.write_text(path.read_text() + "Y = 2\n")
    assert source_hash("toy.papers.p01", toy) == before


PLAIN = "import torch\nY = 'ä'\nclass A:\n    def one(self):\n        return 1; 'ä'\n"
DOCUMENTED = (
    '"""A module.\n\nOf\x0clines.\n"""\nimport torch\nY = \'ä\'\n"""What it is.\n"""\nclass A:\n    """A class."""\n'
    '    def one(self):\n        """A method, ä.\n\n        Of lines."""\n        return 1; "ö"\n'
)


def test_hash_ignores_docstrings(toy):
    path = toy / "memory/dense.py"
    path.write_text(PLAIN, encoding="utf-8")
    before = source_hash("toy.papers.p01", toy)
    path.write_text(DOCUMENTED, encoding="utf-8")
    assert source_hash("toy.papers.p01", toy) == before


@pytest.mark.parametrize(
    ("old", "new"), [("Y = 'ä'", "Y = 'ö'"), ("return 1", "return 1  # why"), ("import torch", "\nimport torch")]
)
def test_hash_changes_with_strings_that_are_used_and_with_all_else(toy, old, new):
    path = toy / "memory/dense.py"
    path.write_text(PLAIN, encoding="utf-8")
    before = source_hash("toy.papers.p01", toy)
    path.write_text(PLAIN.replace(old, new), encoding="utf-8")
    assert source_hash("toy.papers.p01", toy) != before


def test_hash_ignores_the_kind_of_line_ends(toy):
    before = source_hash("toy.papers.p01", toy)
    path = toy / "memory/dense.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert source_hash("toy.papers.p01", toy) == before


def test_hash_of_a_paper_covers_its_memories_and_measurements_but_no_drawing():
    needed = dependencies(paper_module("20").__name__)
    assert {
        "attractor.papers.p20_large_associative_memory.claims",
        "attractor.papers.storage",
        "attractor.memory.dense",
        "attractor.memory.hopfield",
        "attractor.memory.flips",
        "attractor.read.polynomial",
        "attractor.data.scores",
    } <= needed
    assert not [name for name in needed if name.startswith("attractor.app")]


def test_unknown_module_is_refused(toy):
    with pytest.raises(ValueError, match=r"toy\.absent"):
        source_hash("toy.absent", toy)


@pytest.mark.parametrize("unknown", ["99", "x", "", "020"])
def test_unknown_paper_is_refused_with_the_known_ones(unknown):
    with pytest.raises(ValueError, match="20"):
        paper_module(unknown)


def test_every_paper_is_well_formed():
    for one in module_names():
        paper = paper_module(one).PAPER
        assert paper.id == one and paper.claims and paper.authors and paper.url.startswith("https://")
        assert len({claim.text for claim in paper.claims}) == len(paper.claims)
        assert all(claim.source for claim in paper.claims)
        report = registry.last_report(one)
        assert report is None or replace(registry.described(report), claims=paper.claims) == paper  # the catalogue is not older


def test_committed_reports_belong_to_papers():
    for path in registry.REPORTS.glob("*.json"):
        report = registry.last_report(path.stem)
        assert report is not None and report.paper == path.stem and report.provenance is not None
        assert path.stem in module_names()
        assert path.stat().st_size < 300_000
