import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from attractor.app import contenders
from attractor.app.cli import main
from attractor.app.comparison import compare_memories, plan
from attractor.app.measure import Entrant, Task
from attractor.data import BitFlip, ImageSet
from attractor.memory import MEMORIES
from attractor.memory.kernel import NoiseAware
from attractor.memory.predictive_coding import PredictiveLearning

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def test_every_memory_is_compared_beside_the_baselines(capsys, tmp_path, monkeypatch):
    """Both loads, and the least of each damage; what learns does so for a few steps."""

    def shortened(images, loads):
        load, *damages = plan(images, loads)
        return load, *(replace(sweep, points=sweep.points[:1]) for sweep in damages)

    monkeypatch.setattr("attractor.app.compare.plan", shortened)
    for name, learning in (("NoiseAware", NoiseAware), ("PredictiveLearning", PredictiveLearning)):
        monkeypatch.setattr(contenders, name, lambda learning=learning, **_: learning(steps=3, batch=32))
    picture = tmp_path / "compare.png"
    arguments = ["compare", "--data", "digits", "--loads", "30,5", "--cues", "5", "--json", "-o", str(picture)]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    load, *damages = report["sweeps"]
    assert [point["stored"] for point in load["points"]] == [5, 30]
    assert len(damages) == 3
    for sweep in report["sweeps"]:
        for point in sweep["points"]:
            found = {row["memory"]: row for row in point["rows"]}
            assert set(found) >= {one.title for one in contenders.registered()} | {"nearest, Euclidean", "nearest, binarised"}
            assert all(row["baseline"] == name.startswith("nearest") for name, row in found.items())
    masked = damages[-1]["points"][0]["rows"]
    assert next(row for row in masked if row["memory"] == "soft-max, Euclidean")["exact"] == 1.0
    binarised = next(row for row in masked if row["memory"] == "nearest, binarised")
    encoded = next(row for row in masked if row["memory"] == "soft-max, binary")
    assert encoded["mean_squared_error"] == pytest.approx(binarised["mean_squared_error"])
    assert "Binarise" in report["encoders"]["Hopfield, Hebbian"]
    with Image.open(picture) as figure:
        assert figure.width > 1000


def test_photos_are_compared_in_the_size_that_was_asked_for(tmp_path, monkeypatch, capsys):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    seen = []

    def planned(images, loads):
        seen.append(images)
        raise ValueError("that will do")

    monkeypatch.setattr("attractor.app.compare.plan", planned)
    assert main(["compare", "--data", str(tmp_path), "--size", "8x6", "--grey", "--no-picture"]) == 2
    assert [images.patterns.shape for images in seen] == [(2, 48)]
    assert main(["compare", "--data", str(tmp_path), "--size", "8y6", "--no-picture"]) == 2
    assert "size" in capsys.readouterr().err


def test_table_names_memories_and_encoder(capsys, monkeypatch):
    titles = {"soft-max, Euclidean", "Hopfield, Hebbian", "entropic, 16 levels"}
    few = [one for one in contenders.registered() if one.title in titles]
    monkeypatch.setattr("attractor.app.compare.registered", lambda: few)
    assert len(few) == 3
    assert main(["compare", "--data", "digits", "--loads", "10", "--cues", "3", "--no-picture"]) == 0
    out = capsys.readouterr().out
    assert all(one.title in out for one in few)
    assert "soft-max, binary" not in out
    assert "Binarise" in out and "fraction hidden" in out


def test_every_registered_memory_is_a_contender():
    assert {*contenders.CONTENDERS, *contenders.NOT_COMPARED} >= {
        name for name, kind in MEMORIES.items() if kind.__module__.startswith("attractor.")
    }


def test_memory_of_another_package_takes_part(monkeypatch):
    class Strange(MEMORIES["hopfield"]):
        pass

    monkeypatch.setitem(MEMORIES, "strange", Strange)
    strange = next(one for one in contenders.registered() if one.title == "strange")
    assert strange.binary
    memory = strange.build(8, 0.0, 1.0)
    assert memory.dim == 8 and isinstance(memory.memory, Strange)


def test_a_memory_that_data_do_not_suit_stays_out_and_says_why(capsys, monkeypatch):
    few = [one for one in contenders.registered() if one.title in ("palimpsest", "soft-max, Euclidean")]
    monkeypatch.setattr("attractor.app.compare.registered", lambda: few)
    assert main(["compare", "--data", "digits", "--loads", "10", "--cues", "3", "--no-picture"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("note: palimpsest: made for random patterns of independent neurons, 50% of them active") == 1


def test_what_a_memory_warns_of_is_a_note(capsys, monkeypatch):
    monkeypatch.setattr("attractor.app.compare.registered", lambda: [contenders.SPARSE_RECOVERY])
    assert main(["compare", "--data", "digits", "--loads", "10,30", "--cues", "3", "--no-picture"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("note: sparse recovery: most cues have more wrong or missing entries") == 1


def test_what_a_memory_refuses_is_a_note(generator):
    images = ImageSet(torch.rand(40, 16, generator=generator), shape=(1, 4, 4), name="random", levels=256)
    result = compare_memories(images, plan(images, (40,)), 3, 0, [contenders.SPARSE_RECOVERY])
    (note,) = (note for note in result.notes if note.startswith("sparse recovery: patterns"))
    assert "must leave a constraint" in note and "do not fit" in note


def test_a_memory_that_data_suit_takes_part(generator):
    bits = torch.randint(0, 2, (6, 64), generator=generator).float()
    stored = ImageSet(bits, shape=(1, 8, 8), name="random", levels=2)
    entrant = Entrant(contenders.PALIMPSEST, stored, 0.0, 1.0, check_energy=False)
    row, _ = entrant.recall(Task.of(BitFlip(0.1, low=0.0, high=1.0), stored, 5, mask_given=False, seed=0))
    assert row.exact == 1.0 and row.note is None
