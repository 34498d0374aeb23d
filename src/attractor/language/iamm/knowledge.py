"""Where common sense about a text comes from: nowhere, a lexicon, or a model of Hugging Face that was trained on it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch

from attractor.validation import check_count

RELATIONS = ("intent", "need", "want", "effect", "react")
"""What the published model asks of a text: why, what it takes, what is wanted then, what happens, and how one feels."""
Words = Sequence[str]
WORD = re.compile(r"[\w']+")
FORMAT = 1


@runtime_checkable
class KnowledgeSource(Protocol):
    """Words about a text, for each of some relations.

    Example:
        >>> class Echo:
        ...     relations = ("same",)
        ...     def about(self, words):
        ...         return (tuple(words),)
        >>> isinstance(Echo(), KnowledgeSource)
        True
    """

    relations: Sequence[str]
    """Their names; a model is built for so many."""

    def about(self, words: Sequence[str]) -> Sequence[Sequence[str]]:
        """For each relation the words that hold of the text `words`; none where nothing is known."""
        ...


class NullKnowledge:
    """Knows nothing: for models with `relations=0`, which have no such branch and no loss of it.

    Example:
        >>> NullKnowledge().about(["my", "dog"])
        ()
    """

    relations: Sequence[str] = ()

    def about(self, words: Words) -> tuple[Words, ...]:
        """Nothing."""
        return ()

    def __repr__(self) -> str:
        return "NullKnowledge()"


class LexiconKnowledge:
    """What lexicons have for each word of a text, in the order of the words, each once.

    Where labels come from the same lexicon, hide its words in the text first.

    Args:
        lexicons: for each relation the words that belong to a word, such as the emotions that it suggests or its neighbours in
            WordNet.

    Raises:
        ValueError: there is none.

    Example:
        >>> knowledge = LexiconKnowledge({"emotion": {"dog": ["joy", "trust"], "died": ["sadness"], "pet": ["joy"]}})
        >>> knowledge.about(["my", "pet", "dog", "died"])
        (('joy', 'trust', 'sadness'),)
    """

    def __init__(self, lexicons: Mapping[str, Mapping[str, Words]]):
        if len(lexicons) == 0:
            raise ValueError("lexicons must hold at least one, got none; NullKnowledge knows nothing")
        self.relations: Sequence[str] = tuple(lexicons)
        self.lexicons = dict(lexicons)

    def about(self, words: Words) -> tuple[Words, ...]:
        """For each relation the words of its lexicon."""
        return tuple(
            tuple(dict.fromkeys(found for word in words for found in lexicon.get(word, ()))) for lexicon in self.lexicons.values()
        )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {len(lexicon):,} words" for name, lexicon in self.lexicons.items())
        return f"LexiconKnowledge({sizes})"


class CometKnowledge:
    """What a sequence-to-sequence model of Hugging Face says, such as COMET trained on ATOMIC 2020 (Hwang et al. 2021).

    It is asked `"{text} {relation} [GEN]"`, and the words of its best phrases for a relation are joined, as in the published run.

    Args:
        model: with `generate`.
        tokenizer: of the model.
        questions: for each relation how the model was taught to call it.
        phrases: of each relation, found by a beam search of that width.
        longest: tokens of a phrase.

    Raises:
        TypeError, ValueError: a number below 1, or no questions.

    Example:
        >>> knowledge = CometKnowledge.from_pretrained("comet-atomic-2020-bart")              # doctest: +SKIP
        >>> cached = CachedKnowledge(knowledge, "comet.jsonl")                                # doctest: +SKIP
        >>> cached.about(["my", "dog", "died"])                                               # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        questions: Mapping[str, str] | None = None,
        phrases: int = 5,
        longest: int = 24,
    ):
        self.questions = {name: f"x{name.title()}" for name in RELATIONS} if questions is None else dict(questions)
        if not self.questions:
            raise ValueError("questions must hold at least one, got none")
        self.relations: Sequence[str] = tuple(self.questions)
        self.model, self.tokenizer = model, tokenizer
        self.phrases, self.longest = check_count("phrases", phrases), check_count("longest", longest)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], **settings: Any) -> Self:
        """The model in a folder of this machine; nothing is fetched.

        Args:
            folder: as `save_pretrained` of transformers writes it.
            settings: those of this class.

        Raises:
            ImportError: transformers is not installed.
            ValueError: there is no such folder.
        """
        if not Path(folder).is_dir():
            raise ValueError(f"folder must hold a model of Hugging Face on this machine, got {os.fspath(folder)!r}")
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        model = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True).eval()
        return cls(model, AutoTokenizer.from_pretrained(folder, local_files_only=True), **settings)

    @torch.no_grad()
    def about(self, words: Words) -> tuple[Words, ...]:
        """For each relation the words of the phrases, the best phrase first."""
        asked = [f"{' '.join(words)} {question} [GEN]" for question in self.questions.values()]
        tokens = self.tokenizer(asked, return_tensors="pt", padding=True, truncation=True)
        written = self.model.generate(
            input_ids=tokens["input_ids"].to(self.model.device),
            attention_mask=tokens["attention_mask"].to(self.model.device),
            num_beams=self.phrases,
            num_return_sequences=self.phrases,
            max_new_tokens=self.longest,
            do_sample=False,
        )
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        groups = (texts[start : start + self.phrases] for start in range(0, len(texts), self.phrases))
        return tuple(tuple(word for text in group for word in WORD.findall(text.lower())) for group in groups)

    def __repr__(self) -> str:
        name = getattr(self.model.config, "name_or_path", "") or type(self.model).__name__
        return f"CometKnowledge({name}, {self.questions}, phrases={self.phrases}, longest={self.longest})"


class CachedKnowledge:
    """A source that is asked only once about a text: the answers are kept in a file, one line of JSON each.

    Args:
        source: to ask.
        path: of the file. It begins with what the source calls itself (`repr`); that of another source is refused.

    Raises:
        ValueError: a damaged file, or one of another source. A last line that an interrupted run left open is passed over.

    Example:
        >>> import tempfile
        >>> source = LexiconKnowledge({"emotion": {"died": ["sadness"]}})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     known = CachedKnowledge(source, Path(folder, "emotions.jsonl"))
        ...     known.about(["it", "died"]), len(known)
        ((('sadness',),), 1)
    """

    def __init__(self, source: KnowledgeSource, path: str | os.PathLike[str]):
        self.source, self.path = source, Path(path)
        self.relations: Sequence[str] = tuple(source.relations)
        self.known: dict[tuple[str, ...], tuple[Words, ...]] = {}
        self.header = {"format": FORMAT, "source": repr(source), "relations": list(self.relations)}
        if self.path.exists():
            self._read()

    def about(self, words: Words) -> tuple[Words, ...]:
        """What the file has, or else the source, whose answer is added to the file."""
        key = tuple(words)
        if key not in self.known:
            found = tuple(tuple(some) for some in self.source.about(words))
            lines = [] if self.path.exists() else [json.dumps(self.header)]
            lines.append(json.dumps([key, found]))
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            self.known[key] = found
        return self.known[key]

    def __len__(self) -> int:
        """How many texts are in the file."""
        return len(self.known)

    def __repr__(self) -> str:
        return f"CachedKnowledge({self.source!r}, {len(self)} texts)"

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        first, *lines = text.split("\n")
        # what follows the last end of a line was never finished
        unfinished = lines.pop() if lines else ""
        try:
            if json.loads(first) != self.header:
                raise ValueError(f"it is of {json.loads(first).get('source')}")
            for key, found in map(json.loads, lines):
                if len(found) != len(self.relations):
                    raise ValueError(f"{len(found)} relations")
                self.known[tuple(key)] = tuple(tuple(map(str, some)) for some in found)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"path must be new or hold what {self.source!r} knows, {self.path} does not: {error}") from error
        if unfinished:
            os.truncate(self.path, len(text.encode()) - len(unfinished.encode()))


def knowledge_about(
    source: KnowledgeSource, utterances: Sequence[Words], situation: Words
) -> dict[str, tuple[tuple[Words, ...], ...] | tuple[Words, ...] | None]:
    """The arguments `knowledge` and `situation_knowledge` of `Vocabulary.dialogue`; None of a source without relations.

    Example:
        >>> source = LexiconKnowledge({"emotion": {"died": ["sadness"]}})
        >>> knowledge_about(source, [["it", "died"]], ["rain"])
        {'knowledge': ((('sadness',),),), 'situation_knowledge': ((),)}
    """
    if not source.relations:
        return {"knowledge": None, "situation_knowledge": None}
    said = tuple(tuple(source.about(words)) for words in utterances)
    return {"knowledge": said, "situation_knowledge": tuple(source.about(situation))}
