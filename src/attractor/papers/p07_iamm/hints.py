"""Associated words as a hint to a large language model: is the true next turn less of a surprise to it?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from attractor.data.language_models import SMOLLM2, LanguageModel, load_language_model
from attractor.data.weak_emotions import HIDDEN, LabelledExchange
from attractor.language.iamm import AssociatedWord, prompt_with_words
from attractor.papers.p07_iamm.dialogue import Data, examples

NO_HINT, CHOSEN, RANDOM = "no hint", "chosen", "random"
HINTS = (NO_HINT, CHOSEN, RANDOM)


def surprises(data: Data, begin: int, pairs: Sequence[Sequence[Any]], seed: int, model: str = SMOLLM2) -> dict[str, Any]:
    """The mean negative log-likelihood, in nats a token, of the true next turn of tested dialogues.

    The random words are as many pairs of the same dialogue, each a word of an utterance and one of another text.

    Args:
        data: as in `learn`.
        begin: of the first dialogue.
        pairs: of the dialogues from there on, the fields of `AssociatedWord`.
        seed: of the random words.
        model: as `load_language_model` takes it.

    Returns:
        For each of `HINTS` a list of numbers, and `seconds` of this process.

    Raises:
        DataUnavailableError: the model or the data are not on this machine.
    """
    start = time.process_time()
    generator = torch.Generator().manual_seed(seed)
    large = opened(model)
    found: dict[str, list[float]] = {hint: [] for hint in HINTS}
    for one, listed in zip(examples(data)["test"][begin : begin + len(pairs)], pairs, strict=True):
        chosen = [AssociatedWord(*fields) for fields in listed]
        words = {NO_HINT: [], CHOSEN: chosen, RANDOM: random_words(one, len(chosen), generator)}
        for hint in HINTS:
            prompt = prompt_with_words(one.source.context, words[hint], situation=one.source.situation)
            found[hint].append(surprise(large, prompt, one.source.response))
    return {**found, "seconds": time.process_time() - start}


@lru_cache(maxsize=1)
def opened(model: str) -> LanguageModel:
    return load_language_model(model)


def random_words(one: LabelledExchange, count: int, generator: torch.Generator) -> list[AssociatedWord]:
    """Different pairs, drawn evenly: a word of an utterance and one of an earlier utterance or the situation; fewer where there are
    not as many."""
    texts = [one.situation, *one.context]
    possible = {
        (number, word, partner)
        for number, words in enumerate(one.context)
        for word in words
        for earlier in texts[: number + 1]
        for partner in earlier
        if HIDDEN not in (word, partner)
    }
    ordered = sorted(possible)
    places = torch.randperm(len(ordered), generator=generator)[:count].tolist()
    return [AssociatedWord(ordered[at][0], ordered[at][1], "history", ordered[at][2], 0.5) for at in places]


@torch.no_grad()
def surprise(large: LanguageModel, prompt: str, response: str) -> float:
    """Nats a token of the response after the prompt."""
    before, after = large.ids(prompt), large.ids(f" {response}")
    logits = large.model(torch.cat([before, after])[None]).logits[0, len(before) - 1 : -1]
    chances = logits.float().log_softmax(-1).gather(1, after[:, None])
    return -float(chances.double().mean())
