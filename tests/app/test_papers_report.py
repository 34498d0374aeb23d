"""The page of all papers, and runs that go on after an interruption."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from attractor.app import papers as commands
from attractor.app import reproduction
from attractor.app.report import number, with_provenance
from attractor.app.report_page import Entry, page
from attractor.app.reproduction import Order, finished_before, read_report, reports
from attractor.data import DataUnavailableError
from attractor.papers import Claim, Paper, Report, Row, last_report, module_names, paper_module, source_hash
from attractor.papers.figures import Chart, Series

HOSTILE = '<script>alert("1")</script> & more'
CLAIM = Claim(HOSTILE, "published & <b>", "a source", unit="rate", least=0.5)
SILENT = Claim("a claim that nobody measured", 2.5, "elsewhere")
TOY = Paper("20", "A title", ("An Author",), 2020, "a venue", "https://example.org", (CLAIM, SILENT))
ROWS = (
    Row(CLAIM, 0.25, (0.2, 0.3), 1234, 0.4, "data & <i>", 0.125, HOSTILE),
    Row(SILENT, None, None, 0, 0.0, "none", note="not on this machine"),
)
CHART = Chart("curve", "a 'chart'", "load", "kept", (Series("a", (1, 2), (1, 2)),))
REPORT = with_provenance(Report("20", "smoke", 3, ROWS, (CHART,), 61.0), source_hash(module_names()["20"]))
STALE = replace(REPORT, provenance=replace(REPORT.provenance, hash="0" * 16))


def page_of(*entries):
    return page("a title", [Entry(*entry) for entry in entries])


def text_of(html):
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def test_page_shows_all_that_belongs_to_a_claim():
    text = text_of(page_of((TOY, REPORT)))
    provenance = REPORT.provenance
    for shown in (
        "0.250",
        "0.200 to 0.300",
        "0.125",
        "1,234",
        "0.4 s",
        "at least 0.5",
        "a source",
        "rate",
        "2.5",
        "not on this machine",
    ):
        assert shown in text
    for shown in (
        "attractor reproduce 20 --scale smoke --seed 3",
        provenance.processor,
        provenance.torch,
        provenance.date[:10],
        "1 min 1 s",
    ):
        assert shown in text
    assert "stale" not in text
    busy = replace(REPORT, provenance=replace(provenance, threads=7))
    assert "7 threads" in text_of(page_of((TOY, busy)))


@pytest.mark.parametrize(
    ("value", "text"), [(-0.25, "-0.250"), (0.0004, "4.0e-04"), (-0.0004, "-4.0e-04"), (0.0, "0.000"), (None, "-")]
)
def test_numbers_keep_their_sign_and_show_what_is_small(value, text):
    assert number(value) == text


def test_page_escapes_what_it_shows():
    html = page_of((replace(TOY, title=HOSTILE, authors=(HOSTILE,), url='https://example.org/"><script>'), REPORT))
    assert "<script" not in html and "<i>" not in html and "<b>" not in html
    assert html.count("&lt;script&gt;") >= 4


def test_page_needs_nothing_from_elsewhere():
    html = page_of((TOY, REPORT, {"curve": b"\x89PNG"}), (TOY, None))
    sources = re.findall(r"""(?:src|href|srcset|action|data)\s*=\s*["']([^"']*)""", html)
    assert "data:image/png;base64,iVBORw==" in sources and 'alt="a &#39;chart&#39;: kept against load"' in html
    assert {source for source in sources if not source.startswith(("#", "data:"))} == {
        "https://example.org"
    }  # links, not resources
    assert not re.search(r"<script|<link|<iframe|@import|url\(|\son\w+=", html)


def test_stale_and_missing_reports_are_marked():
    assert "stale: the code has changed since" in text_of(page_of((TOY, STALE)))
    missing = text_of(page_of((TOY, None)))
    assert "not run" in missing and "run: attractor reproduce 20" in missing and "published & <b>" not in missing


def test_overview_leads_to_each_paper_and_marks_those_that_are_stale():
    html = page_of((replace(TOY, id="19"), REPORT), (TOY, STALE))
    assert re.findall(r'href="#([^"]*)"', html) == re.findall(r'<section id="([^"]*)"', html) == ["paper-19", "paper-20"]
    lines = re.findall(r"<tr>.*?</tr>", html[: html.index("<section")], re.DOTALL)
    assert ["stale" in line for line in lines] == [False, False, True, False]  # the head, the two papers, and the sum


def test_each_figure_has_its_own_picture():
    other = replace(CHART, name="other", title="another chart")
    html = page_of((TOY, replace(REPORT, figures=(CHART, other)), {"curve": b"one", "other": b"two"}))
    assert re.findall(r'alt="(.*?):.*?base64,(\w*)', html) == [("a &#39;chart&#39;", "b25l"), ("another chart", "dHdv")]


def test_overview_counts_the_verdicts_of_all_papers():
    html = page_of((TOY, REPORT), (replace(TOY, id="19"), None))
    totals = re.search(r"<tfoot>.*</tfoot>", html, re.DOTALL).group()
    assert dict(re.findall(r'data-label="([^"]*)">(\d+)', totals)) == {
        "claims": "4", "agree": "0", "do not agree": "1", "only reported": "0", "not measured": "3",
    }  # fmt: skip


def test_page_of_the_committed_reports_has_every_row():
    entries = [(paper_module(one).PAPER, last_report(one)) for one in ("08", "20")]
    html = page_of(*entries)
    assert html.count('<tr><th scope="row">') == sum(len(report.rows) for _, report in entries) + len(entries) + 1


def test_html_of_a_folder_of_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "module_names", lambda: {"20": "", "19": ""})
    monkeypatch.setattr(commands, "paper_module", lambda one: SimpleNamespace(PAPER=replace(TOY, id=one)))
    monkeypatch.setattr(commands, "pictures_of", lambda report: {"curve": b"\x89PNG"} if report else {})
    (tmp_path / "20.json").write_text(REPORT.to_json())
    commands.papers(html=tmp_path / "report.html", folder=tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;" in html and "data:image/png" in html and "not run" in html


@pytest.mark.parametrize(
    "arguments", [{"as_json": True, "html": "page.html"}, {"html": "absent/page.html"}, {"folder": "absent"}], ids=str
)
def test_wrong_options_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="--"):
        commands.papers(**{name: tmp_path / value if isinstance(value, str) else value for name, value in arguments.items()})


def test_report_of_another_paper_is_refused(tmp_path):
    (tmp_path / "19.json").write_text(REPORT.to_json())
    with pytest.raises(ValueError, match="paper 19, got one of 20"):
        read_report(tmp_path, "19")


@pytest.fixture
def order(tmp_path, monkeypatch):
    """Three papers that are measured at once; `ran` lists them, `fails` says which one raises what."""
    ran, fails = [], {}

    def module(one):
        def run(scale, seed, progress):
            ran.append(one)
            if one in fails:
                raise fails[one]
            return Report(one, scale, seed, (), (), 0.1)

        return SimpleNamespace(__name__=module_names()[one], PAPER=replace(TOY, id=one, claims=()), run=run)

    monkeypatch.setattr(reproduction, "paper_module", module)
    order = Order(("18", "19", "20"), "smoke", 0, tmp_path / "out", 1)
    return SimpleNamespace(order=order, ran=ran, fails=fails, out=tmp_path / "out")


def ids(found):
    return [report.paper for report in found]


def test_finished_papers_are_not_run_again_after_an_interruption(order):
    order.fails["19"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        list(reports(order.order))
    order.fails.clear()
    order.ran.clear()
    assert ids(reports(order.order)) == ["18", "19", "20"] and order.ran == ["19", "20"]


def test_a_whole_run_is_no_interrupted_one(order):
    assert ids(reports(order.order)) == ids(reports(order.order)) == ["18", "19", "20"]
    assert order.ran == ["18", "19", "20"] * 2
    assert not list(order.out.glob(".*"))


@pytest.mark.parametrize("change", [{"scale": "laptop"}, {"seed": 1}, {"provenance": STALE.provenance}], ids=str)
def test_reports_of_other_runs_are_not_taken_for_finished(order, change):
    list(reports(order.order))
    order.order.ledger.write_text("18\n19\n20\n")
    path = order.out / "19.json"
    path.write_text(replace(Report.from_json(path.read_text()), **change).to_json())
    assert list(finished_before(order.order)) == ["18", "20"]


def test_missing_data_stop_no_other_paper(order):
    order.fails["18"] = DataUnavailableError("install it")
    found = []
    with pytest.raises(DataUnavailableError, match="paper 18 was not run: install it"):
        found.extend(reports(order.order))  # what came before the error is kept
    assert order.ran == ["18", "19", "20"] and ids(finished_before(order.order).values()) == ["19", "20"]


def run_of_three(folder):
    arguments = ["reproduce", "03", "05", "09", "--scale", "smoke", "--workers", "2", "-o", str(folder)]
    return [sys.executable, "-m", "attractor.app.cli", *arguments]


@pytest.mark.slow
def test_killed_run_leaves_no_process_and_goes_on_where_it_stopped(tmp_path):
    first = subprocess.Popen(run_of_three(tmp_path), stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob(".*.finished")) and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    first.wait()
    (ledger,) = tmp_path.glob(".*.finished")
    done = ledger.read_text().split()
    before = {one: (tmp_path / f"{one}.json").read_bytes() for one in done}
    assert 1 <= len(done) < 3
    time.sleep(5)
    with pytest.raises(ProcessLookupError):
        os.killpg(first.pid, signal.SIGKILL)
    subprocess.run(run_of_three(tmp_path), check=True, stdout=subprocess.DEVNULL)
    assert {one: (tmp_path / f"{one}.json").read_bytes() for one in done} == before
    assert {path.stem for path in tmp_path.glob("*.json")} == {"03", "05", "09"} and (tmp_path / "report.html").exists()
    assert not list(tmp_path.glob(".*"))
