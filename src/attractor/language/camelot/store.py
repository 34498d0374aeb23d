"""What the layers of a model remember.

Layers of one shape that rotate alike are kept and written together: their heads lie side by side, `(B, layers x heads, ...)`. Each
has slots of merged tokens, whose keys are not rotated, and the newest tokens as they came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from attractor.language.camelot.attention import AttentionLayer
from attractor.language.camelot.config import CamelotConfig
from attractor.language.camelot.positions import Rotary
from attractor.language.camelot.timeline import Step, Timeline
from attractor.memory.consolidated import Slots, write

P = ParamSpec("P")
T = TypeVar("T")


class Remembered(NamedTuple):
    """What one layer can read: `keys (B, H, M + R, D)` as queries see them, slots before recent tokens, `values (B, H, M + R, E)`;
    of the slots, the logarithm of what each counts for, `weight (B, H, M)`, and the mean `positions (B, H, M)`."""

    keys: Tensor
    values: Tensor
    weight: Tensor
    occupied: Tensor
    positions: Tensor


@dataclass(eq=False)
class Seen:
    """The slots as the model sees them: keys rotated, all in the precision of the model; `stale (B, h, M)` are to be done again,
    None for all of them."""

    keys: Tensor
    values: Tensor
    stale: Tensor | None


def lasting(method: Callable[P, T]) -> Callable[P, T]:
    """What the method makes can be changed later, also where it is called in inference mode."""
    return torch.inference_mode(False)(torch.no_grad()(method))


class LayerGroup:
    """The memory of some layers.

    Args:
        config: its settings.
        layers: they have one shape and one rotation.
        merges: whether they have slots, or recent tokens only.
    """

    def __init__(self, config: CamelotConfig, layers: list[AttentionLayer], merges: bool):
        self.config, self.layers, self.merges = config, layers, merges
        self.rotary: Rotary | None = None if config.position == "stored" else layers[0].rotary
        self.heads = layers[0].heads
        self.slots: Slots | None = None
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.seen: Seen | None = None

    @property
    def joined(self) -> bool:
        """Whether the keys of all heads of a layer are compared as one."""
        return self.config.granularity == "layer"

    def part(self, index: int) -> Slots:
        """The slots of layer number `index`, as views."""
        assert self.slots is not None
        part = slice(index, index + 1) if self.joined else slice(index * self.heads, (index + 1) * self.heads)
        return self.slots.map(lambda value: value[:, part])

    def everything(self) -> list[Tensor]:
        """All tensors that are kept, once each."""
        held = [*self.tensors().values()]
        if self.seen is not None:
            held += [each for each in (self.seen.keys, self.seen.values, self.seen.stale) if each is not None]
        return list({tensor.data_ptr(): tensor for tensor in held}.values())

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, without what follows from it."""
        slots = {} if self.slots is None else {f"slots.{name}": value for name, value in self.slots.tensors().items()}
        if self.keys is not None and self.values is not None:
            slots |= {"recent.keys": self.keys, "recent.values": self.values}
        return slots

    @lasting
    def restore(self, tensors: dict[str, Tensor], batch: int, like: Tensor, *, anew: bool) -> None:
        """Take over what `tensors()` gave for `batch` sequences, to the device and precision of `like`; `anew` with the thresholds
        that the settings say.

        Raises:
            ValueError: other names or shapes than this group has.
        """
        width = len(self.layers) * self.heads
        kept = tensors["recent.keys"].shape[2] if tensors.get("recent.keys", torch.empty(0)).dim() == 4 else 0
        layer = self.layers[0]
        expected: dict[str, tuple[int, ...]] = {
            f"recent.{name}": (batch, width, kept, dim) for name, dim in (("keys", layer.key_dim), ("values", layer.value_dim))
        }
        empty = self._empty(batch, like.device) if self.merges else None
        if not any(name.startswith("slots.") for name in tensors):
            # nothing has left the recent tokens yet
            empty = None
        if empty is not None:
            expected |= {f"slots.{name}": tuple(value.shape) for name, value in empty.tensors().items()}
        shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        if shapes != expected:
            raise ValueError(f"path must hold a state of {expected}, got {shapes}")
        self.keys, self.values = (tensors[f"recent.{name}"].to(like) for name in ("keys", "values"))
        if empty is not None:
            given = {name: tensors[f"slots.{name}"].to(value, copy=True) for name, value in empty.tensors().items()}
            self.slots = empty.filled(given | {"threshold": empty.threshold} if anew else given)
        self.seen = None

    @lasting
    def take(self, rows: Tensor) -> None:
        """Keep copies of these rows of the batch."""
        if self.slots is not None:
            self.slots = self.slots.take(rows.to(self.slots.keys.device))
        if self.keys is not None and self.values is not None:
            self.keys, self.values = (each.index_select(0, rows.to(each.device)) for each in (self.keys, self.values))
        self.seen = None

    @lasting
    def commit(self, new: list[tuple[Tensor, Tensor]], before: Timeline, step: Step) -> None:
        """Take in what the layers handed over, `(B, H, T, D)` each: let the oldest exact tokens go into the slots."""
        parts = [tuple(torch.cat(list(each), 1) for each in zip(*new, strict=True))] if new else []
        if self.keys is not None and self.values is not None:
            parts.insert(0, (self.keys, self.values))
        keys, values = (torch.cat(list(each), 2) for each in zip(*parts, strict=True))
        if step.leave.columns.shape[1] and self.merges:
            leave = moved(step.leave, keys)
            self._write(leave.of_heads(keys), leave.of_heads(values), step, before)
        if step.stay is not None:
            stay = moved(step.stay, keys)
            keys, values = stay.of_heads(keys), stay.of_heads(values)
        self.keys, self.values = keys, values

    def shift(self, timeline: Timeline, origin: Tensor) -> None:
        """Move on to another origin `(B,)`: recent keys are rotated anew, and the slots when they are read next."""
        if self.rotary is not None and self.keys is not None and self.keys.shape[2]:
            place, newest = (each.to(self.keys.device) for each in (timeline.positions, timeline.newest))
            old, new = (place - each.to(place)[:, None] for each in (timeline.origin, origin))
            bare = self.rotary.undo(self.keys, self.rotary.tables(old, newest, self.keys.dtype))
            self.keys = self.rotary.rotate(bare, self.rotary.tables(new, newest, self.keys.dtype)).to(self.keys.dtype)
        self.look_anew()

    def look_anew(self) -> None:
        """The slots stand elsewhere now, as seen from the model's position 0."""
        if self.seen is not None and self.config.position == "mean":
            self.seen.stale = None

    def begin(self) -> None:
        """Before a pass through the model: frequencies that depend on the length of the text may be others now."""
        if self.rotary is not None and self.rotary.varies:
            self.look_anew()

    def similarity(self, index: int, keys: Tensor) -> Tensor:
        """Similarity `(B, H or 1, T, M)` of keys `(B, H, T, D)` of layer number `index`, not rotated, to its slots; -inf where
        there is nothing to find, and for the pinned ones."""
        slots = self.part(index)
        asked = keys.transpose(1, 2).flatten(2)[:, None] if self.joined else keys
        scores = slots.similarity(asked, self.config.measure, centred=self.config.centred)
        return scores.masked_fill(~slots.movable[..., None, :], -torch.inf)

    def remembered(self, index: int, origin: Tensor, newest: Tensor) -> Remembered | None:
        """What layer number `index` of the group can read; None while it is nothing."""
        if self.keys is None or self.values is None:
            return None
        part = slice(index * self.heads, (index + 1) * self.heads)
        keys, values = self.keys[:, part], self.values[:, part]
        if self.slots is None:
            if not keys.shape[2]:
                return None
            nothing = keys.new_zeros(*keys.shape[:2], 0, dtype=torch.float32)
            return Remembered(keys, values, nothing, nothing > 0, nothing)
        seen = self._up_to_date(self.slots, self.keys.dtype, origin, newest)
        facts = slice(index, index + 1) if self.joined else part
        counts = self.slots.counts[:, facts]
        weight = counts.clamp_min(1).float().log() if self.config.count_bias else torch.zeros_like(counts, dtype=torch.float32)
        return Remembered(
            torch.cat([seen.keys[:, part], keys], 2),
            torch.cat([seen.values[:, part], values], 2),
            weight,
            counts > 0,
            self.slots.positions[:, facts],
        )

    def _write(self, keys: Tensor, values: Tensor, step: Step, before: Timeline) -> None:
        device = keys.device
        if self.slots is None:
            self.slots = self._empty(len(keys), device)
        if self.rotary is not None:
            places = (step.positions - before.origin[:, None]).to(device)
            keys = self.rotary.undo(keys, self.rotary.tables(places, step.newest.to(device), keys.dtype))
        if self.joined:
            keys, values = self._join(keys), self._join(values)
        number = self.slots.written.clone()
        positions, there = (each.to(device)[:, None] for each in (step.positions, step.leave.there))
        write(self.slots, keys, values, positions, there, self.config.rule)
        if self.seen is not None and self.seen.stale is not None:
            self.seen.stale = None if self.joined else self.seen.stale | (self.slots.last >= number[..., None])

    @lasting
    def _up_to_date(self, slots: Slots, dtype: torch.dtype, origin: Tensor, newest: Tensor) -> Seen:
        """The slots as they are seen now; only those that have changed are rotated again."""
        if self.seen is None or self.seen.stale is None:
            keys, values = (self._split(each) if self.joined else each for each in (slots.keys, slots.values))
            places = slots.positions.repeat_interleave(self.heads, 1) if self.joined else slots.positions
            turned = self._turn(keys.flatten(0, 1)[:, None], self._places(places, origin).flatten(0, 1), newest).view(keys.shape)
            self.seen = Seen(turned.to(dtype), values.to(dtype), torch.zeros_like(places, dtype=torch.bool))
        elif bool(self.seen.stale.any()):
            stale = self.seen.stale
            turned = self._turn(slots.keys[stale][None, None], self._places(slots.positions, origin)[stale][None], newest)[0, 0]
            self.seen.keys[stale] = turned.to(dtype)
            if self.seen.values.data_ptr() != slots.values.data_ptr():
                self.seen.values[stale] = slots.values[stale].to(dtype)
            self.seen.stale = torch.zeros_like(stale)
        return self.seen

    def _places(self, positions: Tensor, origin: Tensor) -> Tensor:
        """Where slots at `positions (B, h, M)` are seen: no nearer to the start than the model's position 0."""
        if self.config.position == "fixed":
            return torch.zeros_like(positions)
        return (positions - origin.to(positions)[:, None, None]).clamp_min(0)

    def _turn(self, keys: Tensor, places: Tensor, newest: Tensor) -> Tensor:
        """Keys `(n, 1, T, D)` rotated to `places (n, T)`."""
        if self.rotary is None:
            return keys.clone()
        if self.config.position == "fixed":
            places = places[:1, :1]
        return self.rotary.rotate(keys, self.rotary.tables(places, newest.to(places.device)))

    def _empty(self, batch: int, device: torch.device) -> Slots:
        layer, count = self.layers[0], len(self.layers)
        lead, times = ((batch, count), self.heads) if self.joined else ((batch, count * self.heads), 1)
        config = self.config
        kind: dict[str, Any] = {"threshold": config.limit.value, "pinned": config.sink_slots, "device": device}
        return Slots.empty(lead, config.merged, layer.key_dim * times, layer.value_dim * times, **kind)

    def _join(self, vectors: Tensor) -> Tensor:
        """`(B, layers x heads, T, D)` as `(B, layers, T, heads x D)`."""
        batch, _, tokens, _ = vectors.shape
        return vectors.view(batch, len(self.layers), self.heads, tokens, -1).transpose(2, 3).flatten(3)

    def _split(self, vectors: Tensor) -> Tensor:
        """The reverse of `_join`."""
        batch, count, tokens, _ = vectors.shape
        return vectors.view(batch, count, tokens, self.heads, -1).transpose(2, 3).flatten(1, 2)


def moved(chosen: Any, like: Tensor) -> Any:
    """The same choice on the device of `like`."""
    return type(chosen)(*(each.to(like.device) for each in chosen))
