"""The pages of the benchmarks are made from the last results of each subject, and of nothing else."""

import sys
from dataclasses import replace

import pytest

README = "before\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nafter\n"


@pytest.fixture
def run(bench, monkeypatch, tmp_path):
    """The harness, with its pages in a folder of their own."""
    run = bench("run")
    for name in ("FIGURES", "PAGE", "README"):
        monkeypatch.setattr(run, name, tmp_path / name)
    run.README.write_text(README)
    return run


def section(run, title, met):
    report = sys.modules["report"]
    target = report.Target("twice as fast", ">= 2", "1.90", met)
    return report.Section(title, [report.Table("Times", ("who", "ms"), [["ours", "3"]])], [target], {"raw": object()})


def test_a_subject_measured_again_takes_the_place_of_its_last_results_only(run):
    results, facts = sys.modules["results"], dict.fromkeys(("command", "date", "threads", "processor", "versions"), "first")
    run.keep(
        {"speed": results.Result(section(run, "Speed", True), facts), "memory": results.Result(section(run, "Memory", True), facts)}
    )
    run.keep({"speed": results.Result(section(run, "Speed", False), {**facts, "date": "second"})})
    page = run.PAGE.read_text()
    assert "Speed | 1 | 0 |" in page and "Memory | 1 | 1 |" in page
    assert page.count("first, first, first threads") == 1 and page.count("first, second, first threads") == 1
    assert "- Speed: twice as fast: 1.90, wanted >= 2" in page
    readme = run.README.read_text()
    assert readme.startswith("before\n") and readme.endswith("\nafter\n") and "old" not in readme
    assert "- Speed: twice as fast: 1.90, wanted >= 2" in readme


def test_results_come_back_from_their_file_as_they_were(run):
    results = sys.modules["results"]
    facts = {"date": "today"}
    before = {"speed": results.Result(section(run, "Speed", None), facts)}
    results.save(before, run.FIGURES)
    (after,) = results.load(run.FIGURES).values()
    assert after.facts == facts and after.section.figures == {}
    plain = replace(after.section, tables=[]), replace(before["speed"].section, tables=[], figures={})
    assert plain[0] == plain[1]
    assert [table.markdown() for table in after.section.tables] == [table.markdown() for table in before["speed"].section.tables]


def test_the_committed_pages_are_those_of_the_committed_results(bench):
    harness, results = bench("run"), bench("results")
    found = results.load(harness.FIGURES)
    assert harness.PAGE.read_text(encoding="utf-8") == results.page(found)
    readme = harness.README.read_text(encoding="utf-8")
    assert results.with_overview(readme, found) == readme


@pytest.mark.parametrize("arguments", [["--save"], ["--save", "--quick", "--only", "import"]])
def test_quick_runs_are_not_saved(run, arguments, capsys):
    with pytest.raises(SystemExit):
        run.main(arguments)
    assert "--save goes with --only" in capsys.readouterr().err
