"""One file of tensors and JSON, and its digest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from attractor import tensor_file
from attractor.tensor_file import digest, read, write

WHAT = "a file of means"
PRECISIONS = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool)


def several() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {str(kind): torch.randint(0, 2, (3, 5), generator=generator).to(kind) for kind in PRECISIONS}


def written(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = folder / "means"
    write(path, {"unit": "metres"}, tensors)
    return path


@pytest.mark.parametrize(
    "tensors",
    [
        several(),
        {"scalar": torch.tensor(2.5)},
        {"transposed": torch.arange(6.0).view(2, 3).T, "every other": torch.arange(6.0)[::2]},
        {"empty": torch.empty(0, 3), "empty of NumPy": torch.from_numpy(np.array([], dtype=bool))},
        {},
    ],
    ids=["all precisions", "a scalar", "views", "empty", "none"],
)
def test_what_is_written_is_read(tmp_path, tensors):
    described, found = read(written(tmp_path, tensors), WHAT)
    assert described["unit"] == "metres"
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    whole = torch.arange(6.0)
    _, found = read(written(tmp_path, {"whole": whole, "part": whole[:3]}), WHAT)
    assert torch.equal(found["whole"], whole)
    assert torch.equal(found["part"], whole[:3])


def test_the_length_of_pieces_changes_no_digest(monkeypatch):
    wanted = digest("text", several())
    for piece in (1, 7, 64):
        monkeypatch.setattr(tensor_file, "PIECE", piece)
        assert digest("text", several()) == wanted


@pytest.mark.parametrize(
    "other",
    [
        {"means": torch.tensor([1.0, 2.0, 4.0])},
        {"others": torch.tensor([1.0, 2.0, 3.0])},
        {"means": torch.tensor([[1.0, 2.0, 3.0]])},
        {"means": torch.tensor([1.0, 2.0, 3.0]).view(torch.int32)},
        {},
    ],
    ids=["value", "name", "shape", "precision", "none"],
)
def test_other_tensors_have_another_digest(other):
    means = {"means": torch.tensor([1.0, 2.0, 3.0])}
    assert digest("text", means) == digest("text", means)
    assert digest("text", means) != digest("text", other)
    assert digest("text", means) != digest("other text", means)


def test_a_changed_tensor_is_noticed(tmp_path):
    path = written(tmp_path, {"means": torch.ones(3)})
    with tensor_file.safe_open(path, framework="pt") as file:
        header = file.metadata()
    save_file(load_file(path) | {"means": torch.zeros(3)}, path, metadata=header)
    with pytest.raises(ValueError, match=f"path must be {WHAT}.*changed since it was written"):
        read(path, WHAT)


def test_a_changed_text_is_noticed(tmp_path):
    path = written(tmp_path, {"means": torch.ones(3)})
    path.write_bytes(path.read_bytes().replace(b"metres", b"inches"))
    with pytest.raises(ValueError, match="changed since it was written"):
        read(path, WHAT)


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_file, "FORMAT", 2)
    path = written(tmp_path, {"means": torch.ones(3)})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 2, this version of attractor reads up to 1"):
        read(path, WHAT)


@pytest.mark.parametrize("content", [b"", b"not a file of tensors", b"\xff" * 64])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "means").write_bytes(content)
    with pytest.raises(ValueError, match=f"path must be {WHAT}"):
        read(tmp_path / "means", WHAT)


def test_safetensors_of_others_are_refused(tmp_path):
    save_file({"means": torch.ones(3)}, tmp_path / "means")
    with pytest.raises(ValueError, match=f"path must be {WHAT}"):
        read(tmp_path / "means", WHAT)


def test_no_file_is_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"path must be {WHAT}, there is no file"):
        read(tmp_path / "means", WHAT)


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(ValueError, match="path must be a file, got the folder"):
        write(tmp_path, {}, {})


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="path must be in a folder that exists"):
        write(tmp_path / "none" / "means", {}, {"means": torch.ones(3)})


def test_the_old_file_stays_when_writing_fails(tmp_path):
    path = written(tmp_path, {"means": torch.ones(3)})
    with pytest.raises(TypeError):
        write(path, {"unit": object()}, {"means": torch.zeros(3)})
    assert torch.equal(read(path, WHAT)[1]["means"], torch.ones(3))
    assert [one.name for one in tmp_path.iterdir()] == ["means"]
