"""A tiny random model with a tokenizer of whole words, in a folder as users have them."""

from language.tiny_models import tiny

from attractor.language.in_context import COLOURS, NOUNS

WORDS = ["<unk>", "The", "is", ".", "Review", "Sentiment", ":", "negative", "positive", *COLOURS, *NOUNS]


def tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")


def saved(folder, **options):
    """Write a model and its tokenizer."""
    tiny(**options).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def prose(count, seed=0):
    """A text of so many words."""
    import random

    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS[1:]) for _ in range(count))
