"""The engine of a bank over a cluster: how a process is connected to Ray, and what of a read goes to the workers."""

from __future__ import annotations

import os
import socket
from copy import deepcopy
from dataclasses import replace
from logging import WARNING
from typing import Any

from torch import Tensor, nn

from attractor.read import Read
from attractor.read.separation import Tempered


def engine(address: str | None) -> Any:
    """Ray, connected.

    Raises:
        ImportError: Ray is not installed.
        ValueError: this process is connected already, to another cluster than that at `address`.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError("a cluster needs Ray: pip install 'attractor[ray]'") from error
    if ray.is_initialized():
        if address is None or "://" in address:  # another protocol: its address tells nothing
            return ray
        running = ray.get_runtime_context().gcs_address
        if not leads_to(address, running):
            raise ValueError(f"address must be that of the engine that this process uses already, {running}, got {address!r}")
        return ray
    # Ray would run its workers at niceness 15, behind everything else that the machine does
    os.environ.setdefault("RAY_worker_niceness", "0")
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address=address or "local", include_dashboard=None if address else False, log_to_driver=False, logging_level=WARNING)
    return ray


def leads_to(address: str, running: str) -> bool:
    """Whether `address` may be that of the engine at `running`, `"host:port"`; `"auto"` leads anywhere."""
    host, separator, port = address.rpartition(":")
    if not separator:
        return True
    try:
        number = socket.gethostbyname(host)
    except OSError:
        return False
    there, _, its_port = running.rpartition(":")
    return port == its_port and (number == there or number.startswith("127."))


class Places:
    """Room for `count` workers, spread over the nodes as evenly as may be; where a node is lost, its places move to others.

    Ray's scheduling strategy "SPREAD" may put all workers on one node. A place keeps hardly anything of a processor for its worker,
    so that banks share the processors; Ray would put a worker that keeps nothing anywhere.
    """

    SHARE = 0.001

    def __init__(self, ray: Any, count: int):
        self._ray = ray
        self._group = ray.util.placement_group([{"CPU": self.SHARE}] * count, strategy="SPREAD")

    def start(self, place: int, kind: type, *arguments: object) -> Any:
        """A worker at a place, which starts again wherever the place then is."""
        at = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(self._group, place)
        actor = self._ray.remote(num_cpus=self.SHARE, max_restarts=-1, max_task_retries=-1, scheduling_strategy=at)(kind)
        return actor.remote(*arguments)

    def close(self) -> None:
        """Give the room back, and end the workers that are there."""
        self._ray.util.remove_placement_group(self._group)


def in_memory_of_all(read: Read) -> Read:
    """The same question away from gradients and accelerators, to go to workers that may have none.

    It goes as an object, not in its plain form: that one knows only the similarities of this library.
    """
    similarity, separation = read.similarity, read.separation
    if isinstance(similarity, nn.Module):
        similarity = deepcopy(similarity).cpu().requires_grad_(False)
    if isinstance(separation, Tempered) and isinstance(separation.beta, Tensor):
        separation = separation.at(separation.beta.detach().cpu())
    known = None if read.known is None else read.known.cpu()
    return replace(read, similarity=similarity, separation=separation, cues=read.cues.detach().cpu(), known=known)
