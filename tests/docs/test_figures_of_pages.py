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


def test_text_of_claims_is_escaped():
    row = Row(Claim("<b> & |x|", "<", "theory"), 1.0, None, 1, 0.1, "data")
    assert "&lt;b&gt; &amp; |x|" in measured.table([row]) and "<b>" not in measured.table([row])


def test_a_title_that_two_benchmark_tables_have_is_not_offered():
    with pytest.raises(ValueError, match="title must be one of"):
        results.table("Targets")
