"""What is known of a graph after training, and what it answers with."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from attractor.estimators.graph_embedding.adjacency import is_graph, some, without_loops
from attractor.estimators.graph_embedding.contexts import windows
from attractor.estimators.graph_embedding.network import energy, recalled_activity

Kind = Literal["window", "context", "hidden", "content", "activity"]
KINDS = get_args(Kind)
SCORES = 2**22  # of nodes for contexts that are held at once


class RecalledNodes(NamedTuple):
    """The best nodes for each of b contexts, best first.

    Attributes:
        nodes: b lists of as many nodes as were asked for.
        probability: `(b, top)` of each.
        energy: `(b,)` of the state that was reached: low where the network knows such a context.
    """

    nodes: list[list[Hashable]]
    probability: np.ndarray
    energy: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """A graph and the memories of it.

    Attributes:
        nodes: n names.
        adjacency: `(n, n)`, the graph as it was given.
        content, context: `(n, K)`.
        reached: `(n, K)`, `M` of `contexts.py`.
        drives: `(n, K)`, those of the expected contexts; zero for nodes that have none.
    """

    nodes: list[Hashable]
    adjacency: csr_array
    content: Tensor
    context: Tensor
    reached: Tensor
    drives: Tensor

    @cached_property
    def place(self) -> dict[Hashable, int]:
        """The row of each node."""
        return {node: row for row, node in enumerate(self.nodes)}

    @cached_property
    def windows(self) -> Tensor:
        """The drives `(n, K)` of whole windows, in which nodes see themselves too."""
        return torch.from_numpy(windows(without_loops(self.adjacency), as_numpy(self.reached))).to(self.reached)

    def embedding(self, nodes: Any, kind: Kind, *, beta: float, steps: int) -> Tensor:
        """The embedding `(m, K)` of nodes, or of new ones by their neighbours."""
        alone = kind in ("window", "context")  # without content
        if isinstance(nodes, Mapping):
            drive = self.new_drives(list(nodes.values()))
            content = drive if alone else self.recalled_content(drive, beta, steps)
        else:
            rows = slice(None) if nodes is None else self.rows(nodes)
            drive, content = (self.windows if kind == "window" else self.drives)[rows], self.content[rows]
        hidden = drive if alone else content if kind == "content" else content + drive
        # the softmax over memories is blind to a number that all of them share: what training has left there is no knowledge
        found = self.activity(hidden, beta) if kind == "activity" else hidden - hidden.mean(1, keepdim=True)
        # what has no neighbour has no embedding
        return found * drive.any(1, keepdim=True)

    def activity(self, hidden: Tensor, beta: float) -> Tensor:
        return (beta * hidden).softmax(-1)

    def recall(self, contexts: Any, top: int, *, beta: float, steps: int) -> RecalledNodes:
        """The nodes that contexts, or those of all nodes, call to mind."""
        drive = self.drives if contexts is None else self.new_drives(list(contexts))
        places, chances, energies = [], [], []
        for part in self.parts(drive):
            v = recalled_activity(self.content, part, beta=beta, steps=steps) @ self.content.T
            best = v.topk(top)
            places.append(best.indices)
            chances.append((best.values - v.logsumexp(-1, keepdim=True)).exp())
            energies.append(energy(self.content, part, v, beta))
        nodes = [[self.nodes[place] for place in row] for row in torch.cat(places).tolist()]
        return RecalledNodes(nodes, as_numpy(torch.cat(chances)), as_numpy(torch.cat(energies)))

    def recalled_content(self, drive: Tensor, beta: float, steps: int) -> Tensor:
        """`Xi g (b, K)` of the state that the network comes to."""
        parts = []
        for part in self.parts(drive):
            f = recalled_activity(self.content, part, beta=beta, steps=steps)
            parts.append((f @ self.content.T).softmax(-1) @ self.content)
        return torch.cat(parts)

    def parts(self, drive: Tensor) -> Sequence[Tensor]:
        """So few contexts at once that the scores of all nodes stay small."""
        return drive.split(max(1, SCORES // len(self.nodes)))

    def rows(self, names: Iterable[Hashable]) -> Tensor:
        """The rows `(m,)` of nodes."""
        if is_graph(names) or getattr(names, "ndim", 1) != 1:
            raise TypeError(f"nodes must be names of nodes of the graph that was learned, got a graph, {type(names).__name__}")
        wanted = self.listed("nodes", names)
        unknown = [node for node in wanted if node not in self.place]
        if unknown:
            raise ValueError(
                f"nodes must be names of nodes of the graph, these are not: {some(unknown)}; give new ones with their neighbours"
            )
        return torch.tensor([self.place[node] for node in wanted], dtype=torch.int64)

    def listed(self, what: str, names: Any) -> list[Hashable]:
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise TypeError(f"{what} must be a sequence of names of nodes, got {names!r}")
        found = names.tolist() if isinstance(names, Tensor) else list(names)
        if not all(isinstance(node, Hashable) for node in found):
            raise TypeError(f"{what} must be a sequence of hashable names of nodes, got {names!r}")
        return found

    def new_drives(self, contexts: Sequence[Any]) -> Tensor:
        """The drives `(b, K)` of nodes that are not in the graph, by their neighbours."""
        found = [self.new_drive(one) for one in contexts]
        return torch.stack(found) if found else self.reached.new_empty(0, self.reached.shape[1])

    def new_drive(self, neighbours: Any) -> Tensor:
        names = self.listed("a context", neighbours)
        weights = dict(neighbours) if isinstance(neighbours, Mapping) else dict.fromkeys(names, 1.0)
        unknown = [node for node in weights if node not in self.place]
        if unknown or not weights:
            raise ValueError(f"a context must name nodes of the graph, at least one, got {some(unknown) or 'none'}")
        shares = np.asarray(list(weights.values()))
        if shares.dtype.kind not in "biuf":
            raise TypeError(f"weights of a context must be real numbers, got {shares.tolist()}")
        largest = shares.max()
        if not (shares >= 0).all() or not 0 < largest < np.inf:
            raise ValueError(f"weights of a context must be finite, not negative and not all zero, got {shares.tolist()}")
        shares = shares / largest
        seen = self.reached[[self.place[node] for node in weights]]
        return torch.from_numpy(shares / shares.sum()).to(seen) @ seen


def check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


def as_numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
