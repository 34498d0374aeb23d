import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import typer
from papers.stand_ins import unavailable

from attractor.app import papers as commands
from attractor.app import reproduction
from attractor.app.cli import main
from attractor.app.paper_figures import draw
from attractor.app.report import number, picture_of, with_provenance
from attractor.app.reproduction import threads_of_children, write_report
from attractor.data import DataUnavailableError
from attractor.papers import Claim, Paper, Report, Row, registry
from attractor.papers import dependencies as sources
from attractor.papers.figures import Chart, ImageGrid, Series
from attractor.papers.p20_large_associative_memory import PAPER

CLAIM = Claim("a [bold] claim", 2, "a source", least=1.5, most=2.5)
TOY = Paper("20", "A <title>", ("An Author",), 2020, "a venue", "https://example.org", (CLAIM,))


SERIES = (Series("a", (1, 10), (1, 100), (1, 90), (2, 110)), Series("g", (1, 10), (1, 100), style="guide"))
CHART = Chart("curve", "a chart", "load", "kept", SERIES, "log", "log", bands=(("here", 2, 3),))
GRID = ImageGrid("pictures", "a grid", ("one", "two"), ("row",), ((((0, 255), (9, 9)), ((1, 2), (3, 4))),))


def run_toy(scale, seed, progress):
    progress("measuring", 0.5)
    return Report("20", scale, seed, (Row(CLAIM, 2.0, (1.9, 2.1), 3, 0.1, "data"),), (CHART, GRID), 0.1)


TOY_MODULE = SimpleNamespace(__name__="attractor.papers.p20_large_associative_memory", PAPER=TOY, run=run_toy)


@pytest.fixture
def room(tmp_path, monkeypatch):
    """An empty folder of reports, and a paper that is measured at once."""
    reports = tmp_path / "reports"
    monkeypatch.setattr(registry, "REPORTS", reports)
    monkeypatch.setattr(registry, "CATALOGUE", tmp_path / "catalogue.json")
    monkeypatch.setattr(commands, "REPORTS", reports)
    monkeypatch.setattr(commands, "paper_module", lambda one: TOY_MODULE)
    monkeypatch.setattr("attractor.app.reproduction.paper_module", lambda one: TOY_MODULE)
    monkeypatch.setattr("attractor.app.report.picture_of", lambda figure: f"picture of {figure.name}".encode())
    monkeypatch.setattr(commands, "module_names", lambda: {"20": TOY_MODULE.__name__})
    return tmp_path


@pytest.fixture
def run(capsys):
    def run(*arguments):
        app = typer.Typer()
        app.command()(commands.papers)
        app.command()(commands.reproduce)
        app(args=list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return run


def saved(room, run):
    run("reproduce", "20", "--scale", "smoke", "--output", str(room / "out"), "--save")
    return registry.last_report("20")


def test_paper_without_report_is_not_run(room, run):
    assert "not run" in run("papers")
    (paper,) = json.loads(run("papers", "--json"))["papers"]
    assert paper["status"] == "not run" and paper["rows"][0]["measured"] is None and paper["command"] == "attractor reproduce 20"


def test_reproduce_writes_report_pictures_and_page(room, run):
    printed = run("reproduce", "20", "--scale", "smoke", "--seed", "4", "--output", str(room / "out"))
    assert {path.name for path in (room / "out").iterdir()} == {"20.json", "20.html", "20-curve.png", "20-pictures.png"}
    assert "a [bold] claim" in printed and str(room / "out" / "20.html") in printed
    report = Report.from_json((room / "out" / "20.json").read_text())
    assert report.seed == 4 and report.provenance.hash == sources.source_hash(TOY_MODULE.__name__)
    page = (room / "out" / "20.html").read_text()
    assert "A &lt;title&gt;" in page and "data:image/png;base64," in page and 'src="http' not in page


def test_papers_without_their_data_leave_the_page_of_the_others(room, run, monkeypatch):
    def module(one):
        return TOY_MODULE if one == "20" else SimpleNamespace(__name__=TOY_MODULE.__name__, PAPER=TOY, run=unavailable)

    monkeypatch.setattr("attractor.app.reproduction.paper_module", module)
    monkeypatch.setattr(commands, "module_names", lambda: dict.fromkeys(("13", "20"), TOY_MODULE.__name__))
    with pytest.raises(DataUnavailableError, match="paper 13 was not run"):
        run("reproduce", "13", "20", "--scale", "smoke", "--workers", "1", "--output", str(room / "out"))
    assert "a [bold] claim" in (room / "out" / "report.html").read_text()


def test_a_package_that_is_not_installed_is_one_line(monkeypatch, capsys):
    def incomplete(*_, **__):
        raise ImportError("this needs faiss: pip install 'attractor[ann]'")

    monkeypatch.setattr("attractor.app.cli.app", incomplete)
    assert main(["reproduce", "14"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("pip install 'attractor[ann]'")


@pytest.fixture
def interruptible():
    """Processes that begin here take interruptions, also where the tests run in the background of a shell, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="an interruption is a signal")
def test_an_interruption_ends_all_papers_at_once(tmp_path, interruptible):
    command = [sys.executable, "-m", "attractor.app.cli", "reproduce", "09", "10", "20", "--scale", "laptop", "--workers", "2"]
    with subprocess.Popen([*command, "--output", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(20)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(60) == 130
        assert time.monotonic() - began < 30
    time.sleep(5)
    assert not list(tmp_path.glob("*.json"))


def openmp_threads():
    """Of a new process, as the libraries under NumPy and scikit-learn read it."""
    return os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize(("asked", "given"), [(None, "3"), ("7", "7")])
def test_processes_share_the_processors_also_in_libraries_other_than_torch(asked, given, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    with threads_of_children(3), ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(openmp_threads).result() == given
    assert openmp_threads() == asked


@pytest.mark.parametrize(("ids", "workers", "threads"), [(["20"], 4, "1"), (["19", "20"], 2, "1"), (["19", "20"], 6, "3")])
def test_papers_are_measured_with_their_share_of_the_processors(room, monkeypatch, ids, workers, threads):
    seen = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(reproduction, "attempt", lambda *_: seen.append(openmp_threads()))
    monkeypatch.setattr(reproduction, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    order = reproduction.Order(tuple(ids), "smoke", 0, room / "out", workers)
    assert len(list(reproduction.measured(order, ids, None))) == len(ids)
    assert seen == [threads] * len(ids)


def test_only_save_changes_the_committed_report(room, run):
    run("reproduce", "20", "--output", str(room / "out"))
    assert registry.last_report("20") is None
    assert saved(room, run).scale == "smoke"


def test_saved_report_fills_the_table(room, run):
    saved(room, run)
    (paper,) = json.loads(run("papers", "--json"))["papers"]
    (row,) = paper["rows"]
    assert (row["measured"], row["ok"], row["status"], paper["scale"]) == (2.0, True, "current", "smoke")
    assert paper["command"] == "attractor reproduce 20 --scale smoke"
    assert "stale" not in run("papers").lower()


def test_saved_paper_is_shown_without_its_module(room, run, monkeypatch):
    saved(room, run)
    monkeypatch.setattr(commands, "paper_module", lambda one: pytest.fail("its packages may not be there"))
    (paper,) = json.loads(run("papers", "--json"))["papers"]
    assert (paper["title"], paper["authors"], paper["rows"][0]["text"]) == (TOY.title, list(TOY.authors), CLAIM.text)


def test_report_of_other_code_is_stale(room, run):
    report = saved(room, run)
    old = replace(report, provenance=replace(report.provenance, hash="0" * 16))
    (room / "reports" / "20.json").write_text(old.to_json())
    (paper,) = json.loads(run("papers", "--json"))["papers"]
    assert paper["status"] == paper["rows"][0]["status"] == "stale"
    assert "stale" in run("papers").lower()


def test_changed_module_makes_the_report_stale(room, run, monkeypatch):
    report = saved(room, run)
    assert not registry.is_stale(report)
    read = sources.read_source
    monkeypatch.setattr(sources, "read_source", lambda path: read(path) + "\n" * (path.name == "dense.py"))
    assert registry.is_stale(report)


@pytest.mark.parametrize("arguments", [[], ["20", "--all"], ["99"], ["20", "99"], ["20", "--scale", "huge"]])
def test_mistakes_are_refused_before_anything_runs(run, monkeypatch, arguments):
    monkeypatch.setattr(commands, "reports", lambda *_: pytest.fail("it ran"))
    with pytest.raises(ValueError):
        run("reproduce", *arguments)


def test_without_matplotlib_the_report_is_written_all_the_same(room, monkeypatch):
    def no_matplotlib(figure):
        raise ImportError("matplotlib")

    monkeypatch.setattr("attractor.app.report.picture_of", no_matplotlib)
    report = with_provenance(run_toy("smoke", 0, lambda what, done: None), "a hash")
    write_report(TOY, report, room / "out")
    assert {file.name for file in (room / "out").iterdir()} == {"20.json", "20.html"}


def test_figures_are_drawn_from_their_data():
    pytest.importorskip("matplotlib")
    (axes,) = draw(CHART).axes
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "load")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["here", "a"]
    assert [text.get_text() for text in axes.texts] == ["g"]
    left, right = draw(GRID).axes
    assert left.images[0].get_array().tolist() == [[0, 255], [9, 9]] and right.get_title() == "two"
    assert picture_of(GRID).startswith(b"\x89PNG")


def test_numbers_show_what_matters():
    shown = {None: "-", 0.0: "0.000", 0.9876: "0.988", 2e-16: "2.0e-16", -2e-7: "-2.0e-07", 12.0: "12.000"}
    assert {value: number(value) for value in shown} == shown


def test_committed_table_prints(run):
    assert PAPER.title in " ".join(run("papers").split())
    assert json.loads(run("papers", "--json"), parse_constant=pytest.fail)["papers"]
