"""Random features in blocks: all of them together are never in memory.

Features come in blocks of about a thousand, each drawn from a seed of its own, which follows from the one seed of the whole. A
block can be kept or drawn again each time it is needed: the numbers are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.memory.random_features.feature_maps import FeatureMap
from attractor.memory.random_features.projections import Projection

Storage = Literal["stored", "seeded"]
ROWS_PER_BLOCK = 1024
# small enough for the caches of the cores, large enough for the threads, which wait for each other after each operation on a tile;
# an accelerator wants fewer, larger calls
NUMBERS_PER_TILE = {"cpu": 2**19}
NUMBERS_PER_TILE_ELSEWHERE = 2**25
VECTORS_AT_ONCE = 2**13


@dataclass(frozen=True, eq=False)
class Block:
    """The features `first` to `last - 1`: what makes their projections, and what is added to those."""

    first: int
    last: int
    drawn: Tensor
    offsets: Tensor | None

    def like(self, other: Tensor) -> Block:
        """The same in the precision and at the place of `other`."""
        if self.drawn.dtype == other.dtype and self.drawn.device == other.device:
            return self
        return Block(self.first, self.last, self.drawn.to(other), None if self.offsets is None else self.offsets.to(other))


@dataclass(frozen=True, eq=False)
class Estimate:
    """`value (b,)` of `psi(x) . sums` at the vectors, and its `gradient (b, dim)` by them."""

    value: Tensor
    gradient: Tensor


class RandomFeatures:
    """`count` features of vectors `(b, dim)`.

    Args:
        dim: width of a vector.
        count: number of features.
        feature_map: what they are.
        projection: what they look along.
        storage: `"stored"` keeps the projections, `"seeded"` draws them again whenever they are needed.
        seed: of all projections.

    Raises:
        ValueError: `storage` is unknown, or the map wants independent rows and the projection gives dependent ones.
    """

    def __init__(self, dim: int, count: int, feature_map: FeatureMap, projection: Projection, storage: Storage, seed: int):
        if storage not in ("stored", "seeded"):
            raise ValueError(f"storage must be 'stored' or 'seeded', got {storage!r}")
        group = projection.group(dim)
        if feature_map.rows > 1 and group > 1:
            raise ValueError(
                f"projection must be 'gaussian' for {feature_map!r}, whose features multiply independent rows, got {projection!r}"
            )
        self.dim, self.count = dim, count
        self.feature_map, self.projection = feature_map, projection
        self.storage: Storage = storage
        self.seed = seed
        self.group = group
        # whole groups, so that no two blocks depend on each other
        self.width = group * -(-ROWS_PER_BLOCK // (group * feature_map.rows))
        self._kept: list[Block] | None = None

    def blocks(self, like: Tensor) -> Iterator[Block]:
        """All blocks in turn, in the precision and at the place of `like`."""
        if self.storage == "seeded":
            for index in range(self._number_of_blocks):
                yield self._draw(index).like(like)
            return
        if self._kept is None:
            self._kept = [self._draw(index) for index in range(self._number_of_blocks)]
        for index in range(self._number_of_blocks):
            self._kept[index] = self._kept[index].like(like)
            yield self._kept[index]

    def sums(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """`sum_mu weights_mu psi(vectors_mu)`, `(parts, count)` in float64, for `vectors (n, dim)` and `weights (n,)`."""
        whole = torch.zeros(self.feature_map.parts, self.count, dtype=torch.float64, device=vectors.device)
        rows = self.width * self.feature_map.rows
        numbers = NUMBERS_PER_TILE.get(vectors.device.type, NUMBERS_PER_TILE_ELSEWHERE)
        # even, so that a pair is in one tile
        tile = min(len(vectors) + 1, max(2, numbers // rows)) // 2 * 2
        buffers = vectors.new_empty(2, tile * rows)
        tiles = list(zip(vectors.split(tile), weights.split(tile), strict=True))
        psi_of = self.feature_map.psi
        if self.feature_map.pairs and bool((weights == weights[0]).all()):
            psi_of, tiles = self.feature_map.psi_of_pairs, [in_pairs(*some) for some in tiles]
        for block in self.blocks(vectors):
            wide = (block.last - block.first) * self.feature_map.rows
            # one float32 sum for each tile, added up in float64 all at once: an addition for each tile costs as much as its sum
            columns = vectors.new_empty(self.feature_map.parts, len(tiles), block.last - block.first)
            h, scratch = (buffer[: tile * wide].view(tile, wide) for buffer in buffers)
            for place, (some, weight) in enumerate(tiles):
                looks = self.project(block, some, out=h[: len(some)])
                for part, psi in enumerate(psi_of(looks, scratch[: len(some)])):
                    torch.mv(psi.T, weight, out=columns[part, place])
            whole[:, block.first : block.last] = columns.sum(1, dtype=torch.float64)
        return whole

    def estimate(self, vectors: Tensor, sums: Tensor, count: int | None = None) -> Estimate:
        """The product of `psi(vectors)` with `sums (parts, count)`, over the first `count` features; all by default."""
        value, gradient = vectors.new_zeros(len(vectors)), torch.zeros_like(vectors)
        most = self.count if count is None else count
        for block in self.blocks(vectors):
            if block.first >= most:
                break
            here = sums[:, block.first : block.last].to(vectors.dtype, copy=True)
            here[:, max(0, most - block.first) :] = 0
            slope = self.feature_map.slope(self.project(block, vectors), here)
            value += slope.value
            gradient += self.projection.transposed(block.drawn, slope.along, self.dim)
        return Estimate(value, gradient)

    def group_values(self, vectors: Tensor, sums: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """The product of `psi(vectors)` with `sums` over groups of at least `size` features: `(groups, b)`, and their sizes."""
        step, rows = self.group * -(-size // self.group), self.feature_map.rows
        values, sizes = [], []
        for block in self.blocks(vectors):
            here, h = sums[:, block.first : block.last].to(vectors.dtype), self.project(block, vectors)
            for some, looks in zip(here.split(step, 1), h.split(step * rows, 1), strict=True):
                values.append(self.feature_map.slope(looks.clone(), some).value)
                sizes.append(some.shape[1])
        return torch.stack(values), torch.tensor(sizes, dtype=vectors.dtype, device=vectors.device)

    def project(self, block: Block, vectors: Tensor, out: Tensor | None = None) -> Tensor:
        """`h (b, rows)` of a block."""
        wide = (block.last - block.first) * self.feature_map.rows
        h = self.projection.apply(block.drawn, vectors, wide, out)
        return h if block.offsets is None else h.add_(block.offsets)

    @property
    def numbers(self) -> int:
        """How many random numbers the projections are made of."""
        return self.projection.numbers(self.count * self.feature_map.rows, self.dim)

    @property
    def operations(self) -> int:
        """Multiplications and additions of one estimate with its gradient: a projection and its transpose."""
        return 2 * self.projection.operations(self.count * self.feature_map.rows, self.dim)

    @property
    def _number_of_blocks(self) -> int:
        return -(-self.count // self.width)

    def _draw(self, index: int) -> Block:
        # seeds that follow each other would give memories of neighbouring seeds the same blocks
        seeds = torch.randint(2**62, (index + 1,), generator=torch.Generator().manual_seed(self.seed))
        generator = torch.Generator().manual_seed(int(seeds[index]))
        first = index * self.width
        last = min(self.count, first + self.width)
        rows = (last - first) * self.feature_map.rows
        return Block(first, last, self.projection.draw(rows, self.dim, generator), self.feature_map.offsets(rows, generator))


def in_pairs(vectors: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The halved sums of pairs of `vectors (n, dim)`, then their halved differences, and the summed weight of each pair.

    One vector left over is a pair with itself.
    """
    count = len(vectors) // 2
    first, second, left = vectors.split([count, count, len(vectors) - 2 * count])
    halves = torch.cat([first + second, 2 * left, first - second, 0 * left]).div_(2)
    return halves, torch.cat([2 * weights[:count], weights[2 * count :]])
