import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from attractor.app import demo, sources
from attractor.app.cli import main
from attractor.app.measure import Row
from attractor.app.tables import recall_table

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
SMALL = ["recall", "--data", "digits", "--stored", "100", "--cues", "20"]
TINY = ["recall", "--data", "digits", "--stored", "10", "--cues", "3"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATTRACTOR_DATA", raising=False)


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_table_and_picture_come_out(capsys, tmp_path):
    code, out, err = run(capsys, *SMALL)
    assert (code, err) == (0, "")
    for word in ("soft-max, Euclidean", "Hopfield, Hebbian", "nearest, Euclidean", "lower half", "20% flips", "digits", "beta"):
        assert word in out
    assert "Binarise" in out and "never" in out
    assert str(tmp_path / "recall.png") in out
    with Image.open("recall.png") as picture:
        assert picture.format == "PNG" and picture.width > 800
        assert len(np.unique(np.asarray(picture))) > 10


def test_table_fits_80_columns():
    row = Row("30% salt and pepper", False, "sparsemax, Euclidean", False, 1.0, 1.0, 0.0123, 12.0, 200, 100.25, True, 0.0)
    console = Console(width=80, file=io.StringIO())
    console.print(recall_table([row], "title", narrow=True))
    text = console.file.getvalue()
    assert "…" not in text
    assert all(word in text for word in ("sparsemax, Euclidean", "1.000", "0.0123", "12/200", "100.25", "never"))


def test_json_holds_both_scores_of_memories_and_baselines(capsys):
    code, out, _ = run(capsys, *SMALL, "--json", "--no-picture")
    report = json.loads(out)
    assert code == 0 and report["data"]["name"] == "digits" and report["data"]["stored"] == 100
    rows = report["rows"]
    assert {row["baseline"] for row in rows} == {True, False}
    assert all(0 <= row[score] <= 1 for row in rows for score in ("exact", "identified"))
    asked = {(row["damage"], row["mask_given"], row["memory"]): row for row in rows}
    masked = asked["lower half", True, "soft-max, Euclidean"]
    assert masked["exact"] == 1.0 and masked["identified"] == 1.0 and masked["mean_squared_error"] < 1e-6
    assert masked["energy_law"] is True and masked["energy_rise"] <= 1e-10
    assert asked["lower half", False, "soft-max, Euclidean"]["exact"] < 1.0
    for damage, mask_given, memory in asked:
        if memory == "soft-max, Euclidean":
            baseline = asked[damage, mask_given, "nearest, Euclidean"]
            assert abs(asked[damage, mask_given, memory]["identified"] - baseline["identified"]) <= 0.2
    assert report["beta"]["soft-max, Euclidean"] > 0
    assert any("random ones can be recalled" in note for note in report["notes"]["Hopfield, Hebbian"])


def test_same_seed_gives_the_same_scores(capsys):
    def scores():
        _, out, _ = run(capsys, *TINY, "--json", "--no-picture", "--seed", "3")
        return [(row["memory"], row["exact"], row["mean_squared_error"]) for row in json.loads(out)["rows"]]

    assert scores() == scores()


def test_own_folder_of_arrays_is_recalled(capsys, tmp_path, generator):
    np.save(tmp_path / "vectors.npy", 10 * torch.randn(30, 16, generator=generator).numpy())
    code, out, _ = run(capsys, "recall", "--data", "vectors.npy", "--json", "-o", "vectors.png")
    report = json.loads(out)
    assert code == 0 and report["data"]["stored"] == 30
    masked = next(row for row in report["rows"] if row["mask_given"] and row["memory"] == "soft-max, Euclidean")
    assert masked["damage"].startswith("right half") and masked["exact"] == 1.0
    assert (tmp_path / "vectors.png").stat().st_size > 1000


def test_without_data_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setattr(sources, "available", lambda: dict.fromkeys(("digits", "mnist-5k")))
    code, out, err = run(capsys, "recall")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "attractor[demo]" in err


def test_digits_do_where_mnist_is_missing(capsys, monkeypatch):
    there = sources.available() | {"mnist-5k": None}
    monkeypatch.setattr(sources, "available", lambda: there)
    assert sources.choose_images(None, 50, 0, None, False).name == "digits"


def test_without_matplotlib_the_table_comes_and_the_extra_is_named(capsys, monkeypatch):
    def missing(*arguments, **options):
        raise ImportError("matplotlib")

    monkeypatch.setattr(demo, "gallery", missing)
    code, out, err = run(capsys, *TINY)
    assert code == 0 and "nearest" in out
    assert "attractor[demo]" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recall", "--data", "nonsense"], ["--data", "digits", "nonsense"]),
        (["recall", "--data", "digits", "--stored", "100000"], ["1797", "100000"]),
        (["recall", "--data", "digits", "--stored", "10", "--cues", "11"], ["--cues", "10", "11"]),
        (["recall", "--data", "digits", "--stored", "0"], ["--stored"]),
        (["recall", "--data", "digits", "--size", "8x8"], ["--size"]),
        (["recall", "--size", "wide"], ["--size", "wide"]),
        (["recall", "--reject", "0.5"], ["--reject", "CUE"]),
        (["recall", "--bogus"], ["--bogus"]),
        ([*SMALL, "--output", "nowhere/recall.png"], ["--output", "nowhere"]),
        ([*SMALL, "--output", "recall.nonsense"], ["--output", "recall.nonsense"]),
        (["nonsense"], ["nonsense"]),
        (["compare", "--loads", "ten"], ["--loads", "ten"]),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(capsys, arguments, words):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("attractor: error: ") and err.count("\n") == 1
    assert all(word in err for word in words), err


def test_exit_codes_reach_the_shell_without_traceback():
    command = [sys.executable, "-m", "attractor.app.cli", "recall", "--data", "nonsense"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 2 and finished.stdout == ""
    assert finished.stderr.count("\n") == 1 and "Traceback" not in finished.stderr


def test_help_and_version(capsys):
    assert run(capsys, "--version")[1].startswith("attractor 0.")
    for command in ((), ("recall",), ("store",), ("compare",)):
        code, out, err = run(capsys, *command, "--help")
        assert (code, err) == (0, "") and "Usage: attractor" in out
    assert "recall" in run(capsys)[1]


def test_interruption_exits_130(capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "choose_images", interrupt)
    assert run(capsys, *SMALL)[0] == 130
