"""Real image sets, the user's own files, damages that turn patterns into cues, and the scores of a recall."""

from attractor.data.blur import Blur
from attractor.data.damage import BitFlip, Compose, Corruption, Damage, GaussianNoise, SaltAndPepper, family
from attractor.data.files import load_files
from attractor.data.image_set import ImageSet
from attractor.data.images import NAMES, available, load
from attractor.data.locate import DataUnavailableError
from attractor.data.occlusion import Occlude
from attractor.data.scores import exact, identified, nearest_neighbour

__all__ = [
    "NAMES",
    "BitFlip",
    "Blur",
    "Compose",
    "Corruption",
    "Damage",
    "DataUnavailableError",
    "GaussianNoise",
    "ImageSet",
    "Occlude",
    "SaltAndPepper",
    "available",
    "exact",
    "family",
    "identified",
    "load",
    "load_files",
    "nearest_neighbour",
]
