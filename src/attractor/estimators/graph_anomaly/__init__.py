"""Anomalous nodes of a graph, found by the Energy Transformer."""

from attractor.estimators.graph_anomaly.detector import GraphAnomalyDetector

__all__ = ["GraphAnomalyDetector"]
