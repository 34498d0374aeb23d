"""Words and their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from attractor.language.iamm.batch import SPECIAL, UNK, Dialogue
from attractor.validation import check_count

MEANINGLESS = frozenset({"to", "none"})
"""Words that generated knowledge is full of, and that are left out of it."""


class Vocabulary:
    """The words that a model knows.

    Args:
        words: each once; the seven special ones come in front of them.

    Attributes:
        words: all of them, by id.
        ids: of the words. A text that has a special word other than that for unknown ones does not mean it: it has no id here.

    Raises:
        TypeError: one text in the place of words, or a word that is no text.
        ValueError: no words, or one that comes twice or is a special one.

    Example:
        >>> vocabulary = Vocabulary(["my", "dog", "died"])
        >>> dialogue = vocabulary.dialogue([["my", "dog", "Rex", "died"], ["Rex", "and", "Max", "?"]])
        >>> dialogue.utterances, dialogue.unknown
        (((7, 8, 10, 9), (10, 11, 12, 13)), ('Rex', 'and', 'Max', '?'))
        >>> vocabulary.text([7, 8, 10], dialogue.unknown)
        ['my', 'dog', 'Rex']
    """

    def __init__(self, words: Iterable[str]):
        if isinstance(words, str):
            raise TypeError("words must be a sequence of words, got one text")
        self.words = (*SPECIAL, *words)
        strange = [word for word in self.words if not isinstance(word, str)]
        if strange:
            raise TypeError(f"words must be texts, got {strange[0]!r}")
        twice = [word for word, count in Counter(self.words).items() if count > 1]
        if twice:
            raise ValueError(f"words must come once, and not be among {SPECIAL}, got twice: {twice[:8]}")
        if len(self.words) == len(SPECIAL):
            raise ValueError("words must hold at least one, got none")
        self.ids = {word: number for number, word in enumerate(self.words) if number == UNK or number >= len(SPECIAL)}

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], *, min_count: int = 1, most: int | None = None) -> Vocabulary:
        """The words of texts, the most frequent ones first, then by the alphabet.

        Args:
            texts: as words.
            min_count: how often a word must come.
            most: how many words to take. Default: all.

        Raises:
            TypeError, ValueError: a number below 1, or no word is left.
        """
        check_count("min_count", min_count)
        limit = None if most is None else check_count("most", most)
        counts = Counter(word for text in texts for word in text if word not in SPECIAL)
        frequent = sorted((word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word))
        return cls(frequent[:limit])

    @property
    def own(self) -> tuple[str, ...]:
        """The words without the special ones: `Vocabulary(vocabulary.own)` is the same again."""
        return self.words[len(SPECIAL) :]

    def __len__(self) -> int:
        """The special words are counted."""
        return len(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words)"

    def dialogue(
        self,
        utterances: Sequence[Sequence[str]],
        situation: Sequence[str] = (),
        *,
        response: Sequence[str] | None = None,
        label: int | None = None,
        knowledge: Sequence[Sequence[Sequence[str]]] | None = None,
        situation_knowledge: Sequence[Sequence[str]] | None = None,
    ) -> Dialogue:
        """The ids of a dialogue given as words.

        Words of the utterances that are not in the vocabulary are numbered over the whole dialogue, from `len(self)` on. In the
        response they keep their number; other unknown words, of the response and of the situation, are UNK. Knowledge leaves out
        unknown words, "to" and "none".

        Args:
            utterances: words of the user and the system in turn.
            situation: words.
            response: words.
            label: number of the emotion.
            knowledge: for each utterance, for each relation, words.
            situation_knowledge: for each relation, words.
        """
        unknown: dict[str, int] = {}
        for text in utterances:
            for word in text:
                if word not in self.ids:
                    unknown.setdefault(word, len(self) + len(unknown))

        def number(word: str) -> int:
            return self.ids.get(word, unknown.get(word, UNK))

        def known(words: Sequence[str]) -> tuple[int, ...]:
            return tuple(self.ids[word] for word in words if word in self.ids and word not in MEANINGLESS)

        return Dialogue(
            tuple(tuple(number(word) for word in text) for text in utterances),
            tuple(self.ids.get(word, UNK) for word in situation),
            None if response is None else tuple(number(word) for word in response),
            label,
            tuple(unknown),
            None if knowledge is None else tuple(tuple(known(words) for words in one) for one in knowledge),
            None if situation_knowledge is None else tuple(known(words) for words in situation_knowledge),
        )

    def text(self, ids: Iterable[int], unknown: Sequence[str] = ()) -> list[str]:
        """The words of ids; `unknown` are those of the dialogue.

        Raises:
            ValueError: an id that has no word.
        """
        size = len(self)
        numbers = list(ids)
        wrong = [number for number in numbers if not 0 <= number < size + len(unknown)]
        if wrong:
            raise ValueError(f"ids must be from 0 to {size + len(unknown) - 1}, got {wrong[:8]}")
        return [self.words[number] if number < size else unknown[number - size] for number in numbers]
