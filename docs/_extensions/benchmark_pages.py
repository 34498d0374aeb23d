"""Directive and role for the benchmarks.

- `{benchmark} TITLE`: one table of `benchmarks/results.md`;
- the role ``{bench}`TITLE | row | column` ``: one cell.
"""

from __future__ import annotations

from docutils import nodes
from results import RESULTS, cell, table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole


class Benchmark(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(RESULTS))
        try:
            text = table(self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.container("", *self.parse_text_to_nodes(text), classes=["benchmark"])]


class Cell(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(str(RESULTS))
        try:
            title, row, column = (part.strip() for part in self.text.split("|"))
            return [nodes.inline(text=cell(title, row, column), classes=["measured"])], []
        except ValueError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("benchmark", Benchmark)
    app.add_role("bench", Cell())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
