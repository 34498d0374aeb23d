import json

import numpy as np
import pytest
import torch
from PIL import Image

from attractor.app.cli import main
from attractor.bank import DiskBank

SIZE = 24


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def scene(number, size=SIZE):
    """A picture of smooth colours that no other number gives."""
    generator = torch.Generator().manual_seed(number)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    return (smooth[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def bank(tmp_path, capsys, monkeypatch):
    """Twenty pictures in a bank, half of them in a sub-folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(20):
        write(tmp_path / "pictures" / ("more" if number >= 10 else "") / f"scene{number:02d}.png", scene(number))
    code, out, err = run(capsys, "store", "pictures", "--bank", "bank")
    assert (code, err) == (0, "") and "20 stored" in out and "holds 20" in out
    return "bank"


def test_names_and_shapes_are_kept(bank):
    with DiskBank(bank) as opened:
        entries = opened.metadata(opened.ids())
    assert {entry["name"] for entry in entries} >= {"scene00.png", "more/scene19.png"}
    assert all(entry["shape"] == [3, SIZE, SIZE] for entry in entries)


@pytest.mark.parametrize("box", [f"0,0,{SIZE},{SIZE // 2}", f"{SIZE // 2},0,{SIZE},{SIZE}"])
def test_torn_picture_comes_back_whole(bank, tmp_path, capsys, box):
    x0, y0, x1, y1 = map(int, box.split(","))
    torn = np.zeros_like(scene(7))
    torn[y0:y1, x0:x1] = scene(7)[y0:y1, x0:x1]
    write(tmp_path / "torn.png", torn)
    code, out, err = run(capsys, "recall", "torn.png", "--bank", bank, "--known-box", box, "-o", "whole.png")
    assert (code, err) == (0, "")
    assert "torn.png is scene07.png" in out and "margin" in out and "energy" in out
    with Image.open("whole.png") as whole:
        assert np.array_equal(np.asarray(whole), scene(7))


def test_mask_from_a_picture_equals_the_box(bank, tmp_path, capsys):
    torn = scene(12)
    torn[SIZE // 2 :] = 200
    write(tmp_path / "torn.png", torn)
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[: SIZE // 2] = 255
    write(tmp_path / "mask.png", mask)
    by_mask = run(capsys, "recall", "torn.png", "--bank", bank, "--known", "mask.png", "--json")
    by_box = run(capsys, "recall", "torn.png", "--bank", bank, "--known-box", f"0,0,{SIZE},{SIZE // 2}", "--json")
    assert by_mask == by_box and by_mask[0] == 0
    (answer,) = json.loads(by_mask[1])["answers"]
    assert answer["recognised"] and answer["name"] == "more/scene12.png"
    assert answer["resemblance"] == pytest.approx(1, abs=1e-3) and answer["margin"] > 0


def test_several_noisy_cues_are_recognised_and_written_to_a_folder(bank, tmp_path, capsys):
    noise = np.random.default_rng(0).normal(scale=60, size=(2, SIZE, SIZE, 3))
    for number in (3, 15):
        write(tmp_path / f"noisy{number}.png", np.clip(scene(number) + noise[number // 10], 0, 255).astype(np.uint8))
    code, out, _ = run(capsys, "recall", "noisy3.png", "noisy15.png", "--bank", bank, "-o", "whole")
    assert code == 0 and "noisy3.png is scene03.png" in out and "noisy15.png is more/scene15.png" in out
    for number in (3, 15):
        with Image.open(tmp_path / "whole" / f"noisy{number}.png") as whole:
            assert np.array_equal(np.asarray(whole), scene(number))


@pytest.mark.parametrize("kind", ["noise", "white", "checks"])
def test_unrelated_cue_is_refused_with_exit_code_1(bank, tmp_path, capsys, kind):
    checks = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((SIZE // 4, SIZE // 4)))
    pixels = {
        "noise": np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)),
        "white": np.full((SIZE, SIZE, 3), 255),
        "checks": np.repeat(255 * checks[..., None], 3, -1),
    }[kind]
    write(tmp_path / "unrelated.png", pixels.astype(np.uint8))
    code, out, err = run(capsys, "recall", "unrelated.png", "--bank", bank, "-o", "out.png")
    assert (code, err) == (1, "")
    assert "unrelated.png resembles nothing stored" in out
    assert not (tmp_path / "out.png").exists()
    assert run(capsys, "recall", "unrelated.png", "--bank", bank, "--reject", "-100")[0] == 0


def test_running_again_stores_nothing_twice(bank, tmp_path, capsys):
    write(tmp_path / "pictures" / "new.png", scene(99))
    write(tmp_path / "pictures" / "newcopy.png", scene(99))
    code, out, _ = run(capsys, "store", "pictures", "--bank", bank)
    assert code == 0 and "1 stored, 21 stored already; bank holds 21" in out
    code, _, err = run(capsys, "store", "pictures/new.png", "--bank", bank, "--if-present", "raise")
    assert code == 2 and "new.png is stored already" in err
    code, out, _ = run(capsys, "store", "pictures/new.png", "--bank", bank, "--if-present", "add")
    assert code == 0 and "holds 22" in out


def test_arrays_are_stored_recalled_and_written(tmp_path, capsys, monkeypatch, generator):
    monkeypatch.chdir(tmp_path)
    vectors = torch.randn(12, 20, generator=generator)
    np.save("vectors.npy", vectors.numpy())
    np.save("cue.npy", (vectors[5] + 0.3 * torch.randn(20, generator=generator)).numpy())
    assert run(capsys, "store", "vectors.npy", "--bank", "bank")[0] == 0
    code, out, _ = run(capsys, "recall", "cue.npy", "--bank", "bank", "-o", "whole.npy")
    assert code == 0 and "cue.npy is vectors.npy[5]" in out
    assert np.allclose(np.load("whole.npy"), vectors[5].numpy(), atol=1e-4)
    code, _, err = run(capsys, "recall", "cue.npy", "--bank", "bank", "-o", "whole.png")
    assert code == 2 and ".npy" in err


def test_cues_are_fitted_as_the_stored_images_were(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        write(tmp_path / "pictures" / f"scene{number}.png", scene(number, 48))
    assert run(capsys, "store", "pictures", "--bank", "bank", "--size", "16x12", "--grey")[0] == 0
    write(tmp_path / "large.png", scene(4, 96))
    code, out, _ = run(capsys, "recall", "large.png", "--bank", "bank", "-o", "small.png")
    assert code == 0 and "large.png is scene4.png" in out
    with Image.open("small.png") as small:
        assert small.size == (16, 12) and small.mode == "L"


def test_bank_of_one_item_still_refuses(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "only.png", scene(1))
    write(tmp_path / "other.png", np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8))
    assert run(capsys, "store", "only.png", "--bank", "bank")[0] == 0
    assert run(capsys, "recall", "only.png", "--bank", "bank")[0] == 0
    code, out, _ = run(capsys, "recall", "other.png", "--bank", "bank", "--json")
    assert code == 1 and json.loads(out)["answers"][0]["margin"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recall", "wrong.png", "--bank", "bank"], ["10x24", "24x24"]),
        (["store", "wrong.png", "--bank", "bank"], ["10x24", "24x24"]),
        (["recall", "broken.png", "--bank", "bank"], ["broken.png", "cannot be read"]),
        (["store", "broken.png", "--bank", "new"], ["broken.png", "cannot be read"]),
        (["recall", "missing.png", "--bank", "bank"], ["missing.png"]),
        (["store", "missing.png", "--bank", "bank"], ["missing.png"]),
        (["recall", "right.png", "--bank", "nowhere"], ["--bank", "nowhere"]),
        (["recall", "right.png", "--bank", "pictures"], ["--bank", "pictures"]),
        (["store", "right.png", "--bank", "pictures"], ["pictures"]),
        (["store", "right.png", "--bank", "right.png"], ["right.png"]),
        (["recall", "right.png"], ["--bank"]),
        (["recall", "right.png", "--bank", "bank", "--stored", "5"], ["--stored"]),
        (["recall", "right.png", "--bank", "bank", "-o", "out.nonsense"], ["out.nonsense"]),
        (["recall", "right.png", "--bank", "bank", "--known-box", "0,0,99,1"], ["--known-box", "24x24"]),
        (["recall", "right.png", "--bank", "bank", "--known-box", "all"], ["--known-box", "all"]),
        (["recall", "right.png", "--bank", "bank", "--known", "wrong.png"], ["--known", "10x24", "24x24"]),
        (["recall", "right.png", "--bank", "bank", "--known", "black.png"], ["--known", "black.png"]),
    ],
)
def test_mistake_is_one_line_and_stores_nothing(bank, tmp_path, capsys, arguments, words):
    write(tmp_path / "right.png", scene(0))
    write(tmp_path / "wrong.png", scene(0)[:, :10])
    write(tmp_path / "black.png", np.zeros((SIZE, SIZE), dtype=np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no image")
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("attractor: error: ") and err.count("\n") == 1
    assert all(word in err for word in words), err
    assert not (tmp_path / "new").exists()
    with DiskBank(bank) as opened:
        assert len(opened) == 20
