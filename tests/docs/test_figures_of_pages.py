"""Pages name claims and benchmark tables that exist; every system, public name and picture has its place."""

import re

import pytest
from docs.site_modules import DOCS, extension

from attractor.papers import module_names
from attractor.papers.claim import Claim, Row

PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = {page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


measured, results = extension("measured"), extension("results")


def roles(name):
    return [
        (page, *(part.strip() for part in inside.replace(r"\|", "|").split("|")))
        for page, text in TEXTS.items()
        for inside in re.findall(rf"\{{{name}\}}`([^`]+)`", text)
    ]


@pytest.mark.parametrize("what", ["measured", "baseline", "bench"])
def test_figures_in_the_text_are_found(what):
    found = roles(what)
    assert found
    for page, *parts in found:
        figure = results.cell(*parts) if what == "bench" else measured.value(*parts, what)
        assert re.search(r"\d", figure), (page, parts)


@pytest.mark.parametrize("paper", module_names())
def test_each_paper_has_a_page_whose_claims_are_found(paper):
    (text,) = [text for page, text in TEXTS.items() if page.startswith(f"systems/{paper}-")]
    (content,) = re.findall(rf"```\{{papers-row\}} {paper}\n(.*?)```", text, re.DOTALL)
    claims = content.strip().splitlines()
    report = measured.report_of(paper)
    front = measured.shown(report, claims)
    assert claims and len(front) >= len(claims)
    assert all(row in front for row in report.rows if row.ok is False)
    assert all(heading in text for heading in ("## First lines", "## Our measurement", "## Limits", "**Claim.**"))


def test_charts_in_the_text_are_in_their_reports():
    named = [pair for text in TEXTS.values() for pair in re.findall(r"```\{papers-figure\} (\d\d) (\S+)", text)]
    assert named
    for paper, name in named:
        assert name in {figure.name for figure in measured.report_of(paper).figures}


def test_benchmark_tables_in_the_text_exist():
    titles = [title for text in TEXTS.values() for title in re.findall(r"```\{benchmark\} (.+)", text)]
    assert titles and all(results.table(title).startswith("|") for title in titles)


def test_pages_link_to_files_that_exist():
    linked = [
        (page, target)
        for page, text in TEXTS.items()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ]
    assert linked
    for page, target in linked:
        assert (DOCS / page).parent.joinpath(target).exists(), (page, target)


def test_no_figure_of_a_table_is_typed():
    """Decimals stand in what is generated; a page that has one beside its code says something that nobody measures."""
    for page, text in TEXTS.items():
        if page.startswith(("systems/", "ideas/", "choose")):
            for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines():
                if line.startswith("|"):
                    plain = re.sub(r"\{\w[\w-]*\}`[^`]+`|`[^`]+`", "", line)
                    assert not re.search(r"(?<![\d.])\d+\.\d{2,}", plain) or "about 0.14 N" in plain, (page, line)


def rows_of(*oks):
    claims = [Claim(f"claim {place}", 1, "theory", least=1.0) for place in range(len(oks))]
    return [Row(claim, 2.0 if ok else 0.0, None, 1, 0.1, "data") for claim, ok in zip(claims, oks, strict=True)]


def test_a_claim_must_name_one_row(monkeypatch):
    report = measured.Report("99", "smoke", 0, tuple(rows_of(True, True)), (), 0.1)
    monkeypatch.setattr(measured, "report_of", lambda paper: report)
    assert measured.row_of("99", "claim 0").claim.text == "claim 0"
    for claim in ("claim", "another"):
        with pytest.raises(ValueError, match="claim must be the beginning of one claim of paper 99"):
            measured.row_of("99", claim)


def test_rows_that_do_not_agree_cannot_be_left_out(monkeypatch):
    report = measured.Report("99", "smoke", 0, tuple(rows_of(True, False, True)), (), 0.1)
    monkeypatch.setattr(measured, "report_of", lambda paper: report)
    assert [row.claim.text for row in measured.shown(report, ["claim 2"])] == ["claim 1", "claim 2"]
    assert measured.verdict(report) == "2 of 3 claims with a bound agree."


ROW = Row(Claim("<b> & |x|", "< 1", "<table>", unit="bits", least=0.5), -0.75, (-1.0, 0.5), 12, 0.1, "<data>", 0.25, "<note>")
BLANK = Row(Claim("a claim that nobody measured", 2.5, "elsewhere", least=1.0), None, None, 0, 0.0, "none")
REPORTED = Row(Claim("a claim without a bound", 2, "elsewhere"), 1.0, None, 1, 0.1, "data")
PAPER = measured.Paper("99", "On <titles>", ("A & B",), 2020, "a venue", "https://example.org", ())


def cells_of(html):
    return re.findall(r'<td(?: class="([^"]*)")?>(.*?)</td>', html)


def test_a_row_shows_all_that_was_measured_and_escapes_it():
    assert cells_of(measured.table([ROW])) == [
        ("", "&lt;b&gt; &amp; |x|<br><small>&lt;data&gt;, n = 12; &lt;note&gt;; source: &lt;table&gt;</small>"),
        ("", "&lt; 1<br><small>agrees: at least 0.5</small>"),
        ("number", "-0.750"),
        ("number", "-1.000 to 0.500"),
        ("number", "0.250"),
        ("no", "no"),
    ]
    assert [kind for kind, _ in cells_of(measured.table([BLANK]))[2:]] == ["nothing"] * 4


@pytest.mark.parametrize(
    ("what", "text"),
    [("measured", "-0.750 bits"), ("interval", "-1.000 to 0.500"), ("published", "< 1"), ("baseline", "0.250")],
)
def test_a_figure_in_the_text_is_the_one_that_was_asked_for(monkeypatch, what, text):
    monkeypatch.setattr(measured, "report_of", lambda paper: measured.Report(paper, "smoke", 0, (ROW,), (), 0.1))
    assert measured.value("99", "<b>", what) == text


def test_a_section_tells_verdicts_staleness_and_every_row(monkeypatch):
    report = measured.Report("99", "smoke", 0, (*rows_of(True, True, False), BLANK, REPORTED), (), 0.1)
    monkeypatch.setattr(measured, "report_of", lambda paper: report)
    html = measured.section(PAPER, report, ["claim 0"], stale=True)
    front, rest = html.split("<details>")
    assert [row.claim.text for row in report.rows if row.claim.text in front] == ["claim 0", "claim 2"]
    assert all(row.claim.text in rest for row in report.rows) and "All 5 rows" in rest
    assert "2 of 3 claims with a bound agree; 1 more figure is reported without one; 1 could not be measured here." in front
    assert "The code has changed" in front and "The code has changed" not in measured.section(PAPER, report, [], stale=False)
    assert "<em>On &lt;titles&gt;</em>" in front and "A &amp; B." in front


def test_a_line_of_the_summary_counts_the_verdicts():
    report = measured.Report("99", "smoke", 0, (*rows_of(True, True, False), BLANK, REPORTED), (), 61.0)
    html = measured.summary([(PAPER, report, True, "page.html")])
    assert [text for kind, text in cells_of(html) if kind == "number"] == ["2", "1", "1", "1", "61 s"]
    assert '<a href="page.html">On &lt;titles&gt;</a>' in html and "(stale)" in html


def test_a_cell_of_a_benchmark_table_is_found_by_row_and_column(monkeypatch):
    monkeypatch.setattr(results, "table", lambda title: "| size | one | two |\n| --- | ---: | ---: |\n| 10 | 1 s | 2 s |\n\nmore")
    assert results.cell("times", "10", "one") == "1 s" and results.cell("times", "10", "two") == "2 s"
    for row, column in (("20", "one"), ("10", "three")):
        with pytest.raises(ValueError, match="row and column must be of the table 'times'"):
            results.cell("times", row, column)


def test_a_title_that_two_benchmark_tables_have_is_not_offered():
    with pytest.raises(ValueError, match="title must be one of"):
        results.table("Targets")
