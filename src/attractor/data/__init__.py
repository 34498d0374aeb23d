"""Real image sets and graphs, the user's own files, damages that turn patterns into cues, and the scores of a recall."""

from attractor.data.blur import Blur
from attractor.data.corpora import Corpus, load_corpus
from attractor.data.damage import BitFlip, Compose, Corruption, Damage, GaussianNoise, SaltAndPepper, family
from attractor.data.files import load_files
from attractor.data.fraud_files import load_fraud_graph
from attractor.data.graph_collection import Graph, GraphCollection
from attractor.data.graph_set import GraphSet, NodeSplit
from attractor.data.image_set import ImageSet
from attractor.data.images import NAMES, available, load
from attractor.data.locate import DataUnavailableError
from attractor.data.molecules import Molecule, collection_of, load_solubility, read_sdf
from attractor.data.networks import NETWORKS, LabelledNetwork, load_network
from attractor.data.occlusion import Occlude
from attractor.data.reviews import Reviews, load_yelp_chi
from attractor.data.scores import exact, identified, nearest_neighbour
from attractor.data.tables import TABLES, Table, load_table
from attractor.data.tu_graphs import read_tu
from attractor.data.word_similarity import WordPairs, load_word_pairs, read_word_pairs
from attractor.data.wordnet import Synset, read_wordnet

__all__ = [
    "NAMES",
    "NETWORKS",
    "TABLES",
    "BitFlip",
    "Blur",
    "Compose",
    "Corpus",
    "Corruption",
    "Damage",
    "DataUnavailableError",
    "GaussianNoise",
    "Graph",
    "GraphCollection",
    "GraphSet",
    "ImageSet",
    "LabelledNetwork",
    "Molecule",
    "NodeSplit",
    "Occlude",
    "Reviews",
    "SaltAndPepper",
    "Synset",
    "Table",
    "WordPairs",
    "available",
    "collection_of",
    "exact",
    "family",
    "identified",
    "load",
    "load_corpus",
    "load_files",
    "load_fraud_graph",
    "load_network",
    "load_solubility",
    "load_table",
    "load_word_pairs",
    "load_yelp_chi",
    "nearest_neighbour",
    "read_sdf",
    "read_tu",
    "read_word_pairs",
    "read_wordnet",
]
