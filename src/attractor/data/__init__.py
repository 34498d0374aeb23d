"""Real image sets and graphs, the user's own files, damages that turn patterns into cues, and the scores of a recall."""

from attractor.data.blur import Blur
from attractor.data.damage import BitFlip, Compose, Corruption, Damage, GaussianNoise, SaltAndPepper, family
from attractor.data.files import load_files
from attractor.data.fraud_files import load_fraud_graph
from attractor.data.graph_collection import Graph, GraphCollection
from attractor.data.graph_set import GraphSet, NodeSplit
from attractor.data.image_set import ImageSet
from attractor.data.images import NAMES, available, load
from attractor.data.locate import DataUnavailableError
from attractor.data.molecules import Molecule, collection_of, load_solubility, read_sdf
from attractor.data.occlusion import Occlude
from attractor.data.reviews import Reviews, load_yelp_chi
from attractor.data.scores import exact, identified, nearest_neighbour
from attractor.data.tu_graphs import read_tu

__all__ = [
    "NAMES",
    "BitFlip",
    "Blur",
    "Compose",
    "Corruption",
    "Damage",
    "DataUnavailableError",
    "GaussianNoise",
    "Graph",
    "GraphCollection",
    "GraphSet",
    "ImageSet",
    "Molecule",
    "NodeSplit",
    "Occlude",
    "Reviews",
    "SaltAndPepper",
    "available",
    "collection_of",
    "exact",
    "family",
    "identified",
    "load",
    "load_files",
    "load_fraud_graph",
    "load_solubility",
    "load_yelp_chi",
    "nearest_neighbour",
    "read_sdf",
    "read_tu",
]
