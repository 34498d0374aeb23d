"""Emotions of dialogues, told by a memory of associated words."""

from attractor.estimators.emotion_classifier.classifier import AssociativeEmotionClassifier

__all__ = ["AssociativeEmotionClassifier"]
