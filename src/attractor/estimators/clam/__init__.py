"""Clustering with associative memories: the estimator, its search over settings, and the trainer of its deep form."""

from attractor.estimators.clam.clustering import ClAM
from attractor.estimators.clam.deep import DeepClAMReport, fit_deep_clam
from attractor.estimators.clam.search import Candidate, ClAMSearch, search_clam

__all__ = ["Candidate", "ClAM", "ClAMSearch", "DeepClAMReport", "fit_deep_clam", "search_clam"]
