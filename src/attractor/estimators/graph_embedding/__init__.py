"""Embedding of the nodes of a graph by a modern Hopfield network that recalls a node from its context."""

try:
    from attractor.estimators.graph_embedding.coarsening import Coarse, modularity
    from attractor.estimators.graph_embedding.embedding import HopfieldGraphEmbedding
    from attractor.estimators.graph_embedding.fitted import RecalledNodes
except ImportError as error:
    raise ImportError("HopfieldGraphEmbedding needs scikit-learn: pip install 'attractor[sklearn]'") from error

__all__ = ["Coarse", "HopfieldGraphEmbedding", "RecalledNodes", "modularity"]
