"""Memory for language models, and associated words in dialogue.

Nothing of it is imported before it is asked for: the memory for models of Hugging Face needs transformers (extra `language`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor.language.camelot.attach import Camelot, attach
    from attractor.language.camelot.config import CamelotConfig
    from attractor.language.camelot.session import Session
    from attractor.language.camelot.views import SlotView
    from attractor.language.iamm import IAMM, AssociativeInteraction, IAMMConfig, associated_words, prompt_with_words

__all__ = [
    "IAMM",
    "AssociativeInteraction",
    "Camelot",
    "CamelotConfig",
    "IAMMConfig",
    "Session",
    "SlotView",
    "associated_words",
    "attach",
    "prompt_with_words",
]

MODULES = {
    "IAMM": "iamm",
    "AssociativeInteraction": "iamm",
    "Camelot": "camelot.attach",
    "CamelotConfig": "camelot.config",
    "IAMMConfig": "iamm",
    "Session": "camelot.session",
    "SlotView": "camelot.views",
    "associated_words": "iamm",
    "attach": "camelot.attach",
    "prompt_with_words": "iamm",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ImportError(f"{name} needs transformers: pip install 'attractor[language]'") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
