"""IAMM: empathetic dialogue with an iterative memory of associated words (Yang et al. 2024, arXiv 2402.17959)."""

from attractor.language.iamm.batch import CLS, EOS, PAD, SOS, SPECIAL, SYS, UNK, USR, Dialogue, DialogueBatch, collate
from attractor.language.iamm.config import IAMMConfig
from attractor.language.iamm.decoding import Responses, beam_search, greedy, sample
from attractor.language.iamm.interaction import Association, AssociativeInteraction
from attractor.language.iamm.knowledge import RELATIONS, KnowledgeSource
from attractor.language.iamm.memory import AssociatedMemory, IterativeMemory
from attractor.language.iamm.model import IAMM, Emotions, Encoding, Losses
from attractor.language.iamm.vocabulary import Vocabulary
from attractor.language.iamm.words import AssociatedWord, associated_words, prompt_with_words

__all__ = [
    "CLS",
    "EOS",
    "IAMM",
    "PAD",
    "RELATIONS",
    "SOS",
    "SPECIAL",
    "SYS",
    "UNK",
    "USR",
    "AssociatedMemory",
    "AssociatedWord",
    "Association",
    "AssociativeInteraction",
    "Dialogue",
    "DialogueBatch",
    "Emotions",
    "Encoding",
    "IAMMConfig",
    "IterativeMemory",
    "KnowledgeSource",
    "Losses",
    "Responses",
    "Vocabulary",
    "associated_words",
    "beam_search",
    "collate",
    "greedy",
    "prompt_with_words",
    "sample",
]
