"""What rebuilds a memory by predictive coding without its patterns, as JSON values, and back."""

from __future__ import annotations

from typing import Any

import torch

from attractor.memory.predictive_coding.connections import connection_from
from attractor.memory.predictive_coding.inference import Inference
from attractor.memory.predictive_coding.learning import PredictiveLearning
from attractor.memory.predictive_coding.network import PredictiveNetwork


def network_settings(network: PredictiveNetwork) -> dict[str, Any]:
    """The shape of a network."""
    return {
        "dim": network.connections[0].below,
        "layers": [connection.settings() for connection in network.connections],
        "activation": str(network.activation),
        "precisions": [network.sensory_precision.tolist(), *network.precisions],
        "bias": network.bias,
    }


def keywords(configuration: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a memory with this configuration."""
    given = dict(configuration)
    senses, *others = given["precisions"]
    given["precisions"] = [torch.tensor(senses) if isinstance(senses, list) else senses, *others]
    given["layers"] = [connection_from(layer) for layer in given["layers"]]
    between = given["learning"]["inference"]
    given["learning"] = PredictiveLearning(**{**given["learning"], "inference": None if between is None else Inference(**between)})
    given["inference"] = Inference(**given["inference"])
    return given
