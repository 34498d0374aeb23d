"""The words that IAMM associates in a dialogue, and a prompt that hands them to a large language model.

They are what the model's memory is made of, not always its reasons: where a planted pair of words told the answer, a model that
keeps one word a side had that pair among its own far more often than chance, and one that keeps five words a side less often.
Measure before you take them as an explanation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.language.iamm.batch import SPECIAL, Dialogue, DialogueBatch, check_dialogues, collate
from attractor.language.iamm.memory import SITUATION, Origin, Read, Source
from attractor.language.iamm.reader import DialogueReader
from attractor.language.iamm.vocabulary import Vocabulary
from attractor.validation import check_count

SPEAKERS = ("Speaker", "Listener")
INSTRUCTION = "Continue the dialogue with one empathetic reply."


class AssociatedWord(NamedTuple):
    """A word of an utterance and a word that it is associated with.

    Attributes:
        utterance: its number, from 0.
        word: of that utterance.
        source: where the partner comes from: the `"situation"`, the `"history"`, or the `"memory"`, whose rows stand for words.
        partner: the other word.
        score: above 0, below 1: the gate of the row times that of the partner in it.
    """

    utterance: int
    word: str
    source: Source
    partner: str
    score: float


@torch.no_grad()
def associated_words(
    model: DialogueReader, dialogues: Sequence[Dialogue], vocabulary: Vocabulary, *, most: int = 10, batch_size: int = 32
) -> list[list[AssociatedWord]]:
    """The words of each dialogue that its memory was made from, best first.

    A pair that was chosen more than once, by another head or from the other side, counts once, with its best score.

    Args:
        model: in which the words are associated.
        dialogues: with the knowledge that the model needs; responses and labels are not read.
        vocabulary: of the dialogues, and of the model.
        most: pairs of a dialogue.
        batch_size: dialogues at a time; it changes no result but by rounding.

    Raises:
        TypeError, ValueError: a number below 1, a model that has learned from other words; else as `collate` and `IAMM.read`.

    Example:
        >>> from attractor.language.iamm import IAMM, IAMMConfig
        >>> vocabulary = Vocabulary(["my", "dog", "died"])
        >>> model = IAMM(IAMMConfig(len(vocabulary), dim=16, depth=8, relations=0))
        >>> (words,) = associated_words(model, [vocabulary.dialogue([["my", "dog"]], ["died"])], vocabulary)
        >>> sorted((one.word, one.source, one.partner) for one in words)
        [('dog', 'situation', 'died'), ('my', 'situation', 'died')]
    """
    check_count("most", most)
    check_count("batch_size", batch_size)
    check_vocabulary(model, vocabulary)
    check_dialogues(dialogues, len(vocabulary))
    silent = [replace(one, response=None, label=None) for one in dialogues]
    chunks = (silent[start : start + batch_size] for start in range(0, len(silent), batch_size))
    return [words for chunk in chunks for words in words_of_batch(model, chunk, vocabulary, most)]


def prompt_with_words(
    utterances: Sequence[str], words: Sequence[AssociatedWord], *, situation: str = "", instruction: str = INSTRUCTION
) -> str:
    """A prompt for a language model: the dialogue, and as a hint which of its words belong together.

    Args:
        utterances: of the two speakers in turn.
        words: of `associated_words`; none gives a prompt without a hint.
        situation: what the dialogue is about.
        instruction: the first line.

    Raises:
        TypeError: one text in the place of a sequence, or words that are not those of one dialogue.
        ValueError: there are no utterances.

    Example:
        >>> print(prompt_with_words(["My dog died."], [AssociatedWord(0, "dog", "situation", "died", 0.5)]))
        Continue the dialogue with one empathetic reply.
        <BLANKLINE>
        Speaker: My dog died.
        <BLANKLINE>
        Associated words: dog - died
        <BLANKLINE>
        Listener:
    """
    if isinstance(utterances, str):
        raise TypeError("utterances must be a sequence of texts, got one text")
    for one in words:
        if not isinstance(one, AssociatedWord):
            raise TypeError(
                "words must be of one dialogue, an entry of the list that associated_words returns, "
                f"got {type(one).__name__} among them"
            )
    if len(utterances) == 0:
        raise ValueError("utterances must hold at least one, got none")
    said = [f"{SPEAKERS[number % 2]}: {text}" for number, text in enumerate(utterances)]
    pairs = list(dict.fromkeys(f"{one.word} - {one.partner}" for one in words))
    parts = [instruction, f"Situation: {situation}" if situation else "", "\n".join(said)]
    parts += [f"Associated words: {'; '.join(pairs)}" if pairs else "", f"{SPEAKERS[len(utterances) % 2]}:"]
    return "\n\n".join(part for part in parts if part)


def check_vocabulary(model: DialogueReader, vocabulary: Vocabulary) -> None:
    """Ids that mean other words to the model are refused; one that was not told its words takes any."""
    if model.vocabulary is None or model.vocabulary.words == vocabulary.words:
        return
    own, other = model.vocabulary.words, vocabulary.words
    places = (place for place, pair in enumerate(zip(own, other, strict=False)) if pair[0] != pair[1])
    place = next(places, min(len(own), len(other)))
    told = [repr(words[place]) if place < len(words) else "nothing" for words in (own, other)]
    raise ValueError(f"vocabulary must be that of the model, to which id {place} means {told[0]}, got one where it is {told[1]}")


def words_of_batch(
    model: DialogueReader, dialogues: list[Dialogue], vocabulary: Vocabulary, most: int
) -> list[list[AssociatedWord]]:
    batch = collate(dialogues, len(vocabulary)).to(model.embedding.weight.device)
    _, memory = model.remember(batch)
    found: list[dict[tuple[int, int, Source, int], float]] = [{} for _ in dialogues]
    for read in memory.reads:
        for place, pairs in enumerate(pairs_of(batch, read)):
            for word, partner, score in pairs:
                key = (read.number, word, read.source, partner)
                found[place][key] = max(score, found[place].get(key, 0.0))
    return [named(pairs, vocabulary, one.unknown, most) for pairs, one in zip(found, dialogues, strict=True)]


def pairs_of(batch: DialogueBatch, read: Read) -> Iterator[list[tuple[int, int, float]]]:
    """For each dialogue the ids of words of the utterance and of their partners, with scores; special words are left out.

    A row of a word of the other side has its partners in the utterance: there the two change places.
    """
    own, other = ids_of(batch, read.own), ids_of(batch, read.other)
    half = read.found.words.shape[1] // 2
    words, partners, scores = (part.split(half, 1) for part in (read.found.words, read.found.partners, read.found.scores))
    forward = (own.gather(1, words[0]), other.gather(1, partners[0].clamp_min(0).flatten(1)))
    back = (other.gather(1, words[1]), own.gather(1, partners[1].clamp_min(0).flatten(1)))
    width = partners[0].shape[-1]
    said = torch.cat([forward[0].repeat_interleave(width, 1), back[1]], 1)
    met = torch.cat([forward[1], back[0].repeat_interleave(width, 1)], 1)
    weights = torch.cat([one.flatten(1) for one in scores], 1)
    there = (torch.cat([one.flatten(1) for one in partners], 1) >= 0) & (said >= len(SPECIAL)) & (met >= len(SPECIAL))
    for rows in zip(said, met, weights, there, strict=True):
        *ids, kept = rows
        yield list(zip(*(part[kept].tolist() for part in ids), strict=True))


def ids_of(batch: DialogueBatch, words: Origin) -> Tensor:
    """The ids `(b, n)` of what rows stand for."""
    scene, length = batch.situation.shape[1], batch.utterances.shape[2]
    text = torch.cat([batch.situation, batch.utterances.flatten(1)], 1)
    return text.gather(1, torch.where(words.source == SITUATION, words.place, scene + words.source * length + words.place))


def named(
    pairs: dict[tuple[int, int, Source, int], float], vocabulary: Vocabulary, unknown: Sequence[str], most: int
) -> list[AssociatedWord]:
    """The best pairs as words."""
    best = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:most]
    texts = [vocabulary.text([word, partner], unknown) for (_, word, _, partner), _ in best]
    return [
        AssociatedWord(number, word, source, partner, score)
        for ((number, _, source, _), score), (word, partner) in zip(best, texts, strict=True)
    ]
