"""In-context learning with more demonstrations than a window holds (He et al. 2024, CAMELoT).

A stream is a text of labelled examples. At each label the model is asked which of a few words comes next, having read all that
stands before, answers included: the classes are compared by the logits of their first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attractor.language.perplexity import Way
from attractor.validation import check_count

NOUNS = (
    "apple", "car", "house", "dog", "shirt", "door", "boat", "hat", "cup", "book", "chair", "flower", "lamp", "ball", "bike",
    "pen", "box", "table", "bag", "coat", "wall", "phone", "bed", "horse", "ring", "clock", "key", "kite", "train",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "pink")


@dataclass(frozen=True, eq=False)
class Stream:
    """A text with questions in it.

    Attributes:
        ids: `(T,)` tokens.
        places: `(n,)` where the answers stand.
        answers: `(n,)` their classes.
        choices: `(k,)` first token of each class.
        asked: `(n,)` True where the answer counts; the others are demonstrations only.
    """

    ids: Tensor
    places: Tensor
    answers: Tensor
    choices: Tensor
    asked: Tensor

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / len(self.choices)


def colours_of_nouns(tokenizer: Any, *, seed: int, nouns: Sequence[str] = NOUNS, colours: Sequence[str] = COLOURS) -> Stream:
    """Every noun has a colour by chance: `The apple is red.` The list stands there twice, then shuffled, and there it is asked.

    Raises:
        ValueError: two colours begin with the same token.
    """
    generator = torch.Generator().manual_seed(check_count("seed", seed, 0))
    own = torch.randint(len(colours), (len(nouns),), generator=generator).tolist()
    order = list(range(len(nouns)))
    shuffled = torch.randperm(len(nouns), generator=generator).tolist()
    examples = [
        (f"{' ' if number else ''}The {nouns[each]} is", own[each]) for number, each in enumerate([*order, *order, *shuffled])
    ]
    return stream(tokenizer, examples, [f" {colour}" for colour in colours], ".", asked_from=2 * len(nouns))


def labelled_texts(
    tokenizer: Any, examples: Sequence[tuple[str, str]], labels: Sequence[str], *, seed: int, demonstrations: int
) -> Stream:
    """Texts with their labels, in an order by chance, none asked before so many demonstrations have been read.

    Raises:
        ValueError: a label that is not in `labels`, two that begin with the same token, or no text left to ask.
    """
    if not 0 <= check_count("demonstrations", demonstrations, 0) < len(examples):
        raise ValueError(f"demonstrations must be below {len(examples)}, the examples, got {demonstrations}")
    unknown = [label for _, label in examples if label not in labels]
    if unknown:
        raise ValueError(f"examples must have labels {', '.join(labels)}, one has {unknown[0]!r}")
    generator = torch.Generator().manual_seed(check_count("seed", seed, 0))
    order = torch.randperm(len(examples), generator=generator).tolist()
    asked = [(f"Review: {examples[each][0]}\nSentiment:", labels.index(examples[each][1])) for each in order]
    return stream(tokenizer, asked, [f" {label}" for label in labels], "\n\n", asked_from=demonstrations)


def stream(
    tokenizer: Any, examples: Sequence[tuple[str, int]], endings: Sequence[str], after: str, *, asked_from: int = 0
) -> Stream:
    """Questions with their answers, one behind the other.

    Args:
        tokenizer: of transformers.
        examples: text of a question, and the class of its answer.
        endings: what the answer of each class is.
        after: stands behind each answer.
        asked_from: the number of the first example that counts.

    Raises:
        ValueError: two endings begin with the same token.
    """

    def tokens(text: str) -> list[int]:
        listed: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return listed

    answers = [tokens(ending) for ending in endings]
    choices = [answer[0] for answer in answers if answer]
    if len(set(choices)) < len(endings):
        raise ValueError(f"endings must begin with different tokens, got {list(endings)}, which begin with {choices}")
    ids: list[int] = []
    places = []
    for question, label in examples:
        ids += tokens(question)
        places.append(len(ids))
        ids += answers[label] + tokens(after)
    numbers = torch.arange(len(examples))
    classes = torch.tensor([label for _, label in examples])
    return Stream(torch.tensor(ids), torch.tensor(places), classes, torch.tensor(choices), numbers >= asked_from)


@torch.no_grad()
def predictions(model: Any, stream: Stream, way: Way, *, window: int = 64) -> Tensor:
    """The class `(n,)` that the model expects at each answer, reading the stream in a way, so many tokens at a time.

    Raises:
        ValueError: logits that are not finite.
    """
    check_count("window", window, 2)
    row, choices = stream.ids.to(model.device)[None], stream.choices.to(model.device)
    scores = torch.cat([logits[0, :, choices].float().cpu() for logits in way.windows(model, row, window)])
    before = scores[stream.places - 1]
    if not bool(before.isfinite().all()):
        raise ValueError("model gave logits that are not finite")
    return before.argmax(-1)


def right(model: Any, stream: Stream, way: Way, *, window: int = 64) -> tuple[int, int]:
    """How many of the questions that are asked are answered rightly, and how many there are.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from attractor.language.perplexity import WindowOnly
        >>> tiny = LlamaConfig(vocab_size=8, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
        >>> ids, places, answers = torch.tensor([3, 1, 4, 2, 3, 1]), torch.tensor([1, 3, 5]), torch.tensor([0, 1, 0])
        >>> asked = Stream(ids, places, answers, choices=torch.tensor([1, 2]), asked=torch.tensor([False, True, True]))
        >>> right(LlamaForCausalLM(tiny).eval(), asked, WindowOnly(), window=4)[1]
        2
    """
    told = predictions(model, stream, way, window=window)
    return int((told == stream.answers)[stream.asked].sum()), int(stream.asked.sum())
