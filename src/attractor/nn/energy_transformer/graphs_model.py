"""The Energy Transformer for graph classification (Hoover et al. 2023, arXiv 2302.07253).

Node features -> linear encoder -> CLS in front -> positions from the Laplacian added -> weights of all pairs of tokens, once ->
blocks, each with parameters of its own, `depth` steps each -> layer norm of the last block -> CLS -> linear -> classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.graphs import TokenBatch
from attractor.nn.energy_transformer.layers import linear
from attractor.nn.energy_transformer.norm import refuse_gains
from attractor.nn.energy_transformer.structure import StructuredEnergyTransformer
from attractor.nn.energy_transformer.structure_attention import Structure, StructureWeights
from attractor.validation import check_count


class GraphEnergyTransformer(nn.Module):
    """Scores the classes of whole graphs.

    Args:
        features: of a node.
        edge_features: of an edge, as `edge_width` counts them.
        classes: how many.
        dim: entries of a token.
        heads: of the attention.
        key_dim: entries of a query or key of a head.
        memories: rows of each block's memory term. Default: `4 dim`.
        blocks: how many blocks, each with weights of its own.
        depth: steps of each block.
        step_size: of a step.
        positions: Laplacian eigenvectors of a token.
        weighted: weigh the attention by structure; otherwise the blocks are plain `EnergyTransformer`, whose attention is masked by
            the edges and sees nothing else of them.
        kernel: of the convolution in `StructureWeights`.
        noise: of a step in training.
        init: as in the blocks.
        generator: of the first weights.

    Raises:
        TypeError, ValueError: a number out of its range, or an unknown `init`.

    Example:
        >>> from types import SimpleNamespace
        >>> from attractor.nn.energy_transformer.graphs import collate, prepare
        >>> edges = torch.tensor([[0, 1], [1, 0]])
        >>> graphs = [SimpleNamespace(node_features=torch.ones(n, 4), edge_index=edges, edge_features=None) for n in (2, 5)]
        >>> model = GraphEnergyTransformer(4, 3, 2, dim=16, heads=2, key_dim=8, blocks=2).eval()
        >>> model(collate(prepare(graphs))).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        features: int,
        edge_features: int,
        classes: int,
        *,
        dim: int = 128,
        heads: int = 12,
        key_dim: int = 64,
        memories: int | None = None,
        blocks: int = 4,
        depth: int = 1,
        step_size: float = 0.1,
        positions: int = 15,
        weighted: bool = True,
        kernel: int = 3,
        noise: float = 0.02,
        init: str = "scaled",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.register_load_state_dict_pre_hook(refuse_gains)
        self.encoder = linear(check_count("features", features), check_count("dim", dim), generator)
        self.place = linear(positions, dim, generator) if check_count("positions", positions, 0) else None
        self.class_token = nn.Parameter(torch.randn(dim, generator=generator))
        self.weights = StructureWeights(dim, heads, edge_features, kernel=kernel, generator=generator) if weighted else None
        steps = check_count("depth", depth)
        options: dict[str, Any] = {"steps": steps, "step_size": step_size, "noise": noise, "init": init, "generator": generator}
        kind: type[nn.Module] = StructuredEnergyTransformer
        if not weighted:
            kind, options = EnergyTransformer, options | {"self_attention": True, "learn_beta": True}
        self.blocks = nn.ModuleList(
            kind(dim, heads=heads, key_dim=key_dim, memories=memories, **options) for _ in range(check_count("blocks", blocks))
        )
        self.decoder = linear(dim, check_count("classes", classes), generator)

    def forward(self, batch: TokenBatch, *, generator: torch.Generator | None = None) -> Tensor:
        """Scores `(b, classes)` of a batch from `collate`.

        Args:
            batch: of graphs.
            generator: of the noise, in training.

        Raises:
            ValueError: features or positions of another number or precision than those of the model, or not finite, or noise in
                training without a generator.
        """
        self._check(batch)
        x = self.embed(batch)
        structure = self.structure(x, batch)
        noise = generator if self.training else None
        for block in self.blocks:
            x = block(x, mask=batch.allowed, generator=noise) if structure is None else block(x, structure, generator=noise)
        assert isinstance(block, StructuredEnergyTransformer | EnergyTransformer)
        return self.decoder(block.normalize(x)[:, 0])

    def embed(self, batch: TokenBatch) -> Tensor:
        """The tokens `(b, 1 + n, dim)` that the descent starts from; zero for padding."""
        nodes = self.encoder(batch.nodes)
        x = torch.cat([self.class_token.expand(len(nodes), 1, -1), nodes], 1)
        if self.place is not None:
            x = x + self.place(batch.positions)
        return x * batch.present[..., None]

    def structure(self, x: Tensor, batch: TokenBatch) -> Structure | None:
        """What the blocks are told of the edges; None where they are masked by them only."""
        if self.weights is None:
            return None
        return Structure(self.weights(x, batch.edges), batch.allowed, batch.present)

    def _check(self, batch: TokenBatch) -> None:
        widths = {"nodes": self.encoder.in_features, "positions": 0 if self.place is None else self.place.in_features}
        if self.weights is not None:
            widths["edges"] = self.weights.linear.in_features
        for name, width in widths.items():
            part, weights = getattr(batch, name), self.encoder.weight.dtype
            if part.shape[-1] != width or part.dtype != weights:
                raise ValueError(
                    f"batch.{name} must be {width} wide and {weights} like the model, got {part.shape[-1]} and {part.dtype}"
                )
