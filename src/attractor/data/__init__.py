"""Real image sets, graphs and dialogues, the user's own files, damages that turn patterns into cues, and the scores of a recall."""

from attractor.data.blur import Blur
from attractor.data.corpora import Corpus, load_corpus
from attractor.data.damage import BitFlip, Compose, Corruption, Damage, GaussianNoise, SaltAndPepper, family
from attractor.data.dialogues import (
    Conversation,
    Exchange,
    exchanges,
    load_chitchat,
    load_empathetic_dialogues,
    read_empathetic_dialogues,
)
from attractor.data.files import load_files
from attractor.data.fraud_files import load_fraud_graph
from attractor.data.graph_collection import Graph, GraphCollection
from attractor.data.graph_set import GraphSet, NodeSplit
from attractor.data.image_set import ImageSet
from attractor.data.images import NAMES, available, load
from attractor.data.language_models import LanguageModel, load_language_model
from attractor.data.locate import DataUnavailableError
from attractor.data.molecules import Molecule, collection_of, load_solubility, read_sdf
from attractor.data.networks import NETWORKS, LabelledNetwork, load_network
from attractor.data.occlusion import Occlude
from attractor.data.reviews import Reviews, load_yelp_chi
from attractor.data.scores import exact, identified, nearest_neighbour
from attractor.data.tables import TABLES, Table, load_table
from attractor.data.texts import Text, Texts, load_reviews, load_speeches, read_texts
from attractor.data.tu_graphs import read_tu
from attractor.data.weak_emotions import LabelledExchange, load_emotion_lexicon, weakly_labelled
from attractor.data.word_similarity import WordPairs, load_word_pairs, read_word_pairs
from attractor.data.wordnet import Synset, read_wordnet

__all__ = [
    "NAMES",
    "NETWORKS",
    "TABLES",
    "BitFlip",
    "Blur",
    "Compose",
    "Conversation",
    "Corpus",
    "Corruption",
    "Damage",
    "DataUnavailableError",
    "Exchange",
    "GaussianNoise",
    "Graph",
    "GraphCollection",
    "GraphSet",
    "ImageSet",
    "LabelledExchange",
    "LabelledNetwork",
    "LanguageModel",
    "Molecule",
    "NodeSplit",
    "Occlude",
    "Reviews",
    "SaltAndPepper",
    "Synset",
    "Table",
    "Text",
    "Texts",
    "WordPairs",
    "available",
    "collection_of",
    "exact",
    "exchanges",
    "family",
    "identified",
    "load",
    "load_chitchat",
    "load_corpus",
    "load_emotion_lexicon",
    "load_empathetic_dialogues",
    "load_files",
    "load_fraud_graph",
    "load_language_model",
    "load_network",
    "load_reviews",
    "load_solubility",
    "load_speeches",
    "load_table",
    "load_word_pairs",
    "load_yelp_chi",
    "nearest_neighbour",
    "read_empathetic_dialogues",
    "read_sdf",
    "read_texts",
    "read_tu",
    "read_word_pairs",
    "read_wordnet",
    "weakly_labelled",
]
