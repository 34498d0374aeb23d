"""A small site, built by Sphinx with the extensions of the real one: what it shows of reports, and the mistakes that it tells."""

import re
import subprocess
import sys

import pytest
from docs.site_modules import DOCS, extension

pytest.importorskip("myst_parser", reason="the site needs Sphinx (extra docs)")
pytestmark = pytest.mark.slow  # so that a release runs it, after `make docs` has installed Sphinx

measured = extension("measured")
CONF = f"""
import sys
import attractor.papers
sys.path.insert(0, {str(DOCS / "_extensions")!r})
attractor.papers.is_stale = lambda report: report.paper == "20"
extensions = ["myst_parser", "paper_pages", "benchmark_pages", "self_contained"]
html_js_files = [{{}}]
"""
PAGE = """# A page

```{papers-row} 20
F = x^2 keeps
```

```{papers-figure} 20 capacity
Kept & *counted*.
```

Exponents: {measured}`20 | F = x^2 keeps`, {published}`20 | F = x^2 keeps`, {interval}`20 | F = x^2 keeps`,
{baseline}`20 | MNIST, 1000 stored, lower half unknown`, {bench}`Targets of the site | a | b`.
"""


def build(folder, page, script=""):
    """Writes a page into a folder of the site and builds it; gives the page and what Sphinx complained of."""
    (folder / "systems").mkdir()
    (folder / "conf.py").write_text(CONF.format(repr(script) if script else ""))
    (folder / "index.md").write_text("# Index\n\n```{toctree}\nsystems/page\n```\n")
    (folder / "systems" / "page.md").write_text(page)
    command = [sys.executable, "-m", "sphinx", "--quiet", "--builder", "html", str(folder), str(folder / "out")]
    complaints = subprocess.run(command, capture_output=True, text=True, timeout=300).stderr
    return (folder / "out" / "systems" / "page.html").read_text(encoding="utf-8"), complaints


def test_a_page_shows_rows_pictures_and_figures_of_the_reports(tmp_path):
    html, complaints = build(tmp_path, PAGE.replace(", {bench}`Targets of the site | a | b`", ""))
    assert complaints == ""
    row = measured.row_of("20", "F = x^2 keeps")
    shown = re.findall(r'<span class="measured">([^<]+)</span>', html)
    nearest = measured.value("20", "MNIST, 1000 stored, lower half unknown", "baseline")
    assert shown == [measured.number(row.measured), measured.published(row), measured.interval(row), nearest]
    pictures = re.findall(r'<figure class="measured"><img alt="[^"]+" src="([^"]+)"', html)
    assert len(pictures) == 1 + len(measured.report_of("20").figures)
    assert all((tmp_path / "out" / "systems" / picture).resolve().is_file() for picture in pictures)
    assert "<figcaption>Kept &amp; *counted*.</figcaption>" in html
    assert "The code has changed since these rows were measured." in html


def test_mistakes_of_a_page_are_told(tmp_path):
    page = PAGE.replace("20 capacity", "20 absent").replace("{measured}`20 | F = x^2 keeps`", "{measured}`20 | F`")
    _, complaints = build(tmp_path, page, "https://example.org/a.js")
    for told in (
        "figure must be one of capacity, ",
        "claim must be the beginning of one claim of paper 20, got 'F'",
        "title must be one of ",
        'systems/page.html loads from another host: <script src="https://example.org/a.js',
    ):
        assert told in complaints, complaints
