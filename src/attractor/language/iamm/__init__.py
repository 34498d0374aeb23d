"""IAMM: empathetic dialogue with an iterative memory of associated words (Yang et al. 2024, arXiv 2402.17959)."""

from attractor.data.dialogues import tokenise
from attractor.language.iamm.batch import CLS, EOS, PAD, SOS, SPECIAL, SYS, UNK, USR, Dialogue, DialogueBatch, collate
from attractor.language.iamm.config import IAMMConfig
from attractor.language.iamm.decoding import Responses, beam_search, greedy, sample
from attractor.language.iamm.interaction import Association, AssociativeInteraction
from attractor.language.iamm.knowledge import (
    RELATIONS,
    CachedKnowledge,
    CometKnowledge,
    KnowledgeSource,
    LexiconKnowledge,
    NullKnowledge,
    knowledge_about,
)
from attractor.language.iamm.memory import AssociatedMemory, IterativeMemory
from attractor.language.iamm.metrics import Scores, bootstrap, distinct, score
from attractor.language.iamm.model import IAMM, Encoding, Losses
from attractor.language.iamm.reader import DialogueReader, Emotions, Reading
from attractor.language.iamm.training import Training, fit_iamm
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
    "CachedKnowledge",
    "CometKnowledge",
    "Dialogue",
    "DialogueBatch",
    "DialogueReader",
    "Emotions",
    "Encoding",
    "IAMMConfig",
    "IterativeMemory",
    "KnowledgeSource",
    "LexiconKnowledge",
    "Losses",
    "NullKnowledge",
    "Reading",
    "Responses",
    "Scores",
    "Training",
    "Vocabulary",
    "associated_words",
    "beam_search",
    "bootstrap",
    "collate",
    "distinct",
    "fit_iamm",
    "greedy",
    "knowledge_about",
    "prompt_with_words",
    "sample",
    "score",
    "tokenise",
]
