"""The dense associative memory as a classifier: pixels and class neurons in one energy, its memories learned by gradient.

Krotov and Hopfield, "Dense Associative Memory for Pattern Recognition", 2016, with the temperature inside of the interaction as in
McAlister, Robins and Szymanski, "Improved Robustness and Hyperparameter Selection in Modern Hopfield Networks", 2024.
"""

from attractor.nn.dense_classifier.classifier import DenseClassifier
from attractor.nn.dense_classifier.learning import MemoryOptimizer, classification_loss

__all__ = ["DenseClassifier", "MemoryOptimizer", "classification_loss"]
