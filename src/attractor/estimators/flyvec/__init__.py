"""FlyVec: sparse binary word codes from the network of the fruit fly's mushroom body."""

from attractor.estimators.flyvec.codes import Codes
from attractor.estimators.flyvec.corpus import tokenise
from attractor.estimators.flyvec.model import FlyVec
from attractor.estimators.flyvec.vectorizer import FlyVecVectorizer

__all__ = ["Codes", "FlyVec", "FlyVecVectorizer", "tokenise"]
