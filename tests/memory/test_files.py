import json

import pytest
import torch
from torch import nn

from attractor import Binary, Cosine, DenseMemory, Dot, Memory, RamBank, RectifiedPolynomial, SoftMax, TopK


def same_answers(first, second, cues):
    ours, theirs = first.recall(cues), second.recall(cues)
    for name in ("patterns", "index", "score", "margin", "energy", "steps"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options",
    [{}, {"similarity": Cosine()}, {"similarity": Dot(), "separation": TopK(3, 0.3)}, {"state": "spherical"}],
)
def test_saved_memory_answers_as_before(options, dtype, tmp_path):
    memory = DenseMemory(4, **options)
    patterns = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    memory.store(patterns, metadata=[{"name": str(row)} for row in range(9)])
    memory.forget(torch.tensor([2]))
    memory.save(tmp_path / "memory")
    loaded = DenseMemory.load(tmp_path / "memory")
    same_answers(memory, loaded, patterns + 0.1)
    assert loaded.bank.metadata([8]) == [{"name": "8"}] and repr(loaded) == repr(memory)
    assert loaded.store(patterns[:1]).tolist() == [9]


def test_values_and_binary_updates_are_saved(tmp_path):
    memory = DenseMemory(4, separation=RectifiedPolynomial(3), state=Binary("synchronous"))
    memory.store(torch.ones(2, 4), torch.randn(2, 3))
    memory.save(tmp_path)
    loaded = Memory.load(tmp_path)
    assert isinstance(loaded, DenseMemory) and loaded.state.update == "synchronous" and loaded.separation.n == 3
    same_answers(memory, loaded, torch.ones(1, 4))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_learned_beta_is_saved_to_the_last_bit(shape, dtype, tmp_path):
    beta = nn.Parameter(torch.full(shape, 1 / 3, dtype=dtype))
    memory = DenseMemory(4, separation=SoftMax(beta))
    memory.store(torch.eye(4, dtype=dtype))
    memory.save(tmp_path)
    loaded = DenseMemory.load(tmp_path)
    assert isinstance(loaded.beta, nn.Parameter) and loaded.beta.dtype == dtype and torch.equal(loaded.beta, beta)


def test_beta_that_is_a_plain_tensor_keeps_its_value(tmp_path):
    memory = DenseMemory(4, separation=SoftMax(torch.tensor(2.5)))
    memory.store(torch.eye(4))
    memory.save(tmp_path)
    assert float(DenseMemory.load(tmp_path).beta) == 2.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_learned_patterns_are_saved(dtype, tmp_path):
    patterns = nn.Parameter(torch.randn(3, 4, dtype=dtype))
    memory = DenseMemory(bank=RamBank.from_parameter(patterns))
    memory.save(tmp_path)
    loaded = DenseMemory.load(tmp_path)
    assert torch.equal(loaded.bank.patterns, patterns) and isinstance(loaded.bank.patterns, nn.Parameter)


def test_empty_memory_is_saved(tmp_path):
    DenseMemory(4).save(tmp_path)
    loaded = DenseMemory.load(tmp_path)
    assert len(loaded) == 0 and loaded.dim == 4


def test_saving_again_replaces_the_old_memory(tmp_path):
    memory = DenseMemory(2)
    memory.store(torch.eye(2))
    memory.save(tmp_path)
    memory.store(torch.ones(1, 2))
    memory.save(tmp_path)
    assert len(DenseMemory.load(tmp_path)) == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="path"):
        DenseMemory(2).save(tmp_path)
    with pytest.raises(ValueError, match="path"):
        DenseMemory(2).save(tmp_path / "thesis.tex")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.fixture
def saved(tmp_path):
    memory = DenseMemory(2)
    memory.store(torch.eye(2))
    memory.save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"format": "1"},
        {"memory": "elephant"},
        {"configuration": {}},
        {"configuration": None},
        {"tensors": "none.safetensors"},
        {"tensors": "../../secret.safetensors"},
    ],
)
def test_settings_that_do_not_fit_are_refused(change, saved):
    file = saved / "memory.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError):
        DenseMemory.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"similarity": {"name": "nearest"}},
        {"separation": {"name": "softmax", "beta": -1.0}},
        {"state": None},
        {"dim": 3},
        {"dim": "two"},
        {"bank": {"kind": "tape"}},
        {"bank": {"kind": "parameter", "rows": 2, "dtype": "nothing"}},
        {"learned_beta": {"dtype": "float32"}},
    ],
)
def test_configuration_that_does_not_fit_is_refused(change, saved):
    file = saved / "memory.json"
    described = json.loads(file.read_text())
    described["configuration"] |= {"separation": {"name": "softmax", "beta": 1.0}} | change
    file.write_text(json.dumps(described))
    with pytest.raises((ValueError, TypeError)):
        DenseMemory.load(saved)


@pytest.mark.parametrize("name", ["memory.json", "tensors-1.safetensors"])
def test_damaged_files_are_refused(name, saved):
    content = (saved / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"\x00" * 100):
        (saved / name).write_bytes(damaged)
        with pytest.raises(ValueError):
            DenseMemory.load(saved)
    (saved / name).unlink()
    with pytest.raises(ValueError):
        DenseMemory.load(saved)
