"""Directives and roles for what was measured.

- `{papers-row} 13`: the rows of paper 13; the lines of its content choose, by how the claims begin, which stand in front;
- `{papers-figure} 13 capacity`: one figure of its report, drawn while the site is built; its content is the caption;
- `{papers-table}`: all papers;
- the roles `{measured}`, `{interval}`, `{published}` and `{baseline}`, as in ``{measured}`13 | the same, x^25` ``: one figure.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from docutils import nodes
from measured import report_of, section, summary, value
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from attractor.app.report import picture_of
from attractor.papers import is_stale, module_names
from attractor.papers.registry import REPORTS, described

PICTURES = "_images/papers"
WIDTH = 640


class ReportDirective(SphinxDirective):
    def depends_on(self, paper: str) -> None:
        """Builds the page again when the report changes."""
        self.env.note_dependency(str(REPORTS / f"{paper}.json"))

    def above(self) -> str:
        """The way from the page to the root of the site."""
        return "../" * self.env.docname.count("/")

    def picture(self, paper: str, name: str, caption: str = "") -> nodes.raw:
        figures = {figure.name: figure for figure in report_of(paper).figures}
        if name not in figures:
            raise self.error(f"figure must be one of {', '.join(figures)}, got {name!r}")
        path = Path(self.env.app.outdir) / PICTURES / f"{paper}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_of(figures[name]))
        title = escape(figures[name].title)
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        image = f'<img alt="{title}" src="{self.above()}{PICTURES}/{path.name}" width="{WIDTH}" loading="lazy">'
        return html(f'<figure class="measured">{image}{below}</figure>')


class PapersRow(ReportDirective):
    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        report = report_of(self.arguments[0])
        paper = described(report)
        self.depends_on(paper.id)
        claims = [line.strip() for line in self.content if line.strip()]
        try:
            text = section(paper, report, claims, is_stale(report))
        except ValueError as error:
            raise self.error(str(error)) from error
        return [html(text), *(self.picture(paper.id, figure.name) for figure in report.figures)]


class PapersFigure(ReportDirective):
    required_arguments = 2
    has_content = True

    def run(self) -> list[nodes.Node]:
        paper, name = self.arguments
        self.depends_on(paper)
        return [self.picture(paper, name, " ".join(self.content))]


class PapersTable(ReportDirective):
    def run(self) -> list[nodes.Node]:
        pages = {Path(name).name[:2]: name for name in self.env.found_docs if name.startswith("systems/")}
        entries = []
        for one in module_names():
            self.depends_on(one)
            report = report_of(one)
            entries.append((described(report), report, is_stale(report), f"{self.above()}{pages[one]}.html"))
        return [html(summary(entries))]


class Figure(SphinxRole):
    """One figure of a row: `paper | beginning of the claim`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        paper, _, claim = (part.strip() for part in self.text.partition("|"))
        self.env.note_dependency(str(REPORTS / f"{paper}.json"))
        try:
            return [nodes.inline(text=value(paper, claim, self.name), classes=["measured"])], []
        except ValueError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("papers-row", PapersRow)
    app.add_directive("papers-figure", PapersFigure)
    app.add_directive("papers-table", PapersTable)
    for name in ("measured", "interval", "published", "baseline"):
        app.add_role(name, Figure())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
