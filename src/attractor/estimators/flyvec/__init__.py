"""FlyVec: sparse binary word codes from the network of the fruit fly's mushroom body."""

from attractor.estimators.flyvec.codes import Codes
from attractor.estimators.flyvec.model import FlyVec
from attractor.estimators.flyvec.vectorizer import FlyVecVectorizer
from attractor.estimators.flyvec.words import tokenise

__all__ = ["Codes", "FlyVec", "FlyVecVectorizer", "tokenise"]
