"""Training of image models that fill in hidden patches, and what they are compared with."""

from attractor.estimators.image_completion.baselines import LoopedEncoder, harmonic, visible_mean
from attractor.estimators.image_completion.errors import CompletionErrors, completion_errors
from attractor.estimators.image_completion.training import ImageCompletion

__all__ = ["CompletionErrors", "ImageCompletion", "LoopedEncoder", "completion_errors", "harmonic", "visible_mean"]
