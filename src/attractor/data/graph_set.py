"""A graph whose nodes are normal or anomalous: features, edges of one or several kinds, labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.validation import check_finite


class NodeSplit(NamedTuple):
    """Which nodes are for training, validation and test: three Boolean masks `(n,)` that do not overlap."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class GraphSet:
    """A graph for node classification.

    Args:
        features: `(n, f)` floating point and finite, one node a row.
        relations: edges by their kind, each `(2, e)` int64; a column `(c, b)` says that node `c` attends to node `b`, as the graph
            estimators read it. Where neighbours know each other there are both directions.
        labels: `(n,)` int64; 1 anomalous, 0 normal, -1 unknown.
        name: what to call the graph in a table.
        columns: one name a feature, or nothing.
        source: where the data came from and under which licence.

    Raises:
        ValueError: the shapes disagree, a feature is not finite, an edge ends at no node, a label is none of the three.
        TypeError: something is no tensor, or has another type than said above.

    Example:
        >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> graph = GraphSet(torch.rand(4, 2), {"friends": edges}, torch.tensor([0, 1, 0, -1]), "four people")
        >>> graph
        GraphSet('four people', 4 nodes of 2 features, friends: 4 edges, 1 of 3 labelled nodes anomalous)
    """

    features: Tensor
    relations: Mapping[str, Tensor]
    labels: Tensor
    name: str
    columns: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        given = {
            "features": self.features,
            "labels": self.labels,
            **{f"relation {kind!r}": e for kind, e in self.relations.items()},
        }
        for name, value in given.items():
            if not isinstance(value, Tensor):
                raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
        if not self.features.is_floating_point():
            raise TypeError(f"features must be floating point, got {self.features.dtype}")
        if self.features.ndim != 2 or self.features.numel() == 0:
            raise ValueError(f"features must have shape (n, f) and not be empty, got {tuple(self.features.shape)}")
        check_finite("features", self.features)
        if self.labels.dtype != torch.int64:
            raise TypeError(f"labels must be int64, got {self.labels.dtype}")
        if self.labels.shape != (len(self),) or not bool(((self.labels >= -1) & (self.labels <= 1)).all()):
            raise ValueError(f"labels must be {len(self)} numbers of -1, 0 and 1, got shape {tuple(self.labels.shape)}")
        for kind, edges in self.relations.items():
            if edges.dtype != torch.int64:
                raise TypeError(f"relation {kind!r} must be int64, got {edges.dtype}")
            if edges.ndim != 2 or len(edges) != 2:
                raise ValueError(f"relation {kind!r} must have shape (2, e), got {tuple(edges.shape)}")
            ends = torch.aminmax(edges) if edges.numel() else (0, 0)
            if not 0 <= int(ends[0]) <= int(ends[1]) < len(self):
                raise ValueError(f"relation {kind!r} must join nodes 0 to {len(self) - 1}, got {int(ends[0])} to {int(ends[1])}")
        if self.columns and len(self.columns) != self.features.shape[1]:
            raise ValueError(f"columns must hold {self.features.shape[1]} names, got {len(self.columns)}")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def edges(self) -> Tensor:
        """The edges of all relations as one graph `(2, e)`: each pair once, in the order of the nodes."""
        codes = torch.cat([torch.empty(0, dtype=torch.int64), *(e[0] * len(self) + e[1] for e in self.relations.values())]).unique()
        return torch.stack([codes // len(self), codes % len(self)])

    def split(self, train: float, *, seed: int, validation: float = 0.33) -> NodeSplit:
        """Labelled nodes for training, validation and test, with the same share of anomalies in each as far as whole nodes allow.

        Args:
            train: share of the labelled nodes of each class for training.
            seed: of the draw.
            validation: share for validation of those that remain; the others are for test.

        Raises:
            ValueError: a share is not between 0 and 1, or leaves a part without one of the classes.
        """
        for name, share in (("train", train), ("validation", validation)):
            if not 0 < share < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {share!r}")
        generator = torch.Generator().manual_seed(seed)
        masks = NodeSplit(*(torch.zeros(len(self), dtype=torch.bool) for _ in range(3)))
        for label in (0, 1):
            members = (self.labels == label).nonzero().flatten()
            members = members[torch.randperm(len(members), generator=generator)]
            first = round(train * len(members))
            sizes = (first, round(validation * (len(members) - first)))
            parts = members.split([*sizes, len(members) - sum(sizes)])
            for mask, part, name in zip(masks, parts, NodeSplit._fields, strict=True):
                if not len(part):
                    raise ValueError(f"{name} gets none of the {len(members)} nodes of label {label}; change the shares")
                mask[part] = True
        return masks

    def __repr__(self) -> str:
        kinds = ", ".join(f"{kind}: {edges.shape[1]:,} edges" for kind, edges in self.relations.items())
        counts = f"{int((self.labels == 1).sum()):,} of {int((self.labels >= 0).sum()):,} labelled nodes anomalous"
        return f"GraphSet({self.name!r}, {len(self):,} nodes of {self.features.shape[1]} features, {kinds}, {counts})"
