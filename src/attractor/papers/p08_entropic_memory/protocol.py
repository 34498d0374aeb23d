"""The protocol of the paper: 70% of the images train the networks, 20% are registered, 10% are cues.

A principal component analysis stands for the convolutional encoder and decoder. The classifier judges only: the memory never sees a
label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attractor.data import ImageSet, load
from attractor.memory import PCA, ColumnQuantiser, EntropicMemory

FOR_PCA = 10_000
BATCH = 128
AT_ONCE = 1000


class Outcome(NamedTuple):
    """Of all cues: how many were accepted, and how many of what was retrieved has the class of its cue."""

    cues: int
    accepted: int
    correct: int

    @property
    def precision(self) -> float:
        return self.correct / max(1, self.accepted)

    @property
    def recall(self) -> float:
        return self.correct / self.cues

    @property
    def answered(self) -> float:
        return self.accepted / self.cues


@dataclass(frozen=True, eq=False)
class Protocol:
    """Images in three parts, their codes, and the network that judges.

    Attributes:
        remembered, cues: images that are registered, and asked for.
        encoder: to codes and back.
        classifier: class scores `(b, c)` of codes.
        codes, labels: of what is registered.
        cue_codes, cue_labels: of the cues.
    """

    remembered: ImageSet
    cues: ImageSet
    encoder: PCA
    classifier: nn.Module

    @property
    def codes(self) -> Tensor:
        return self.encoder.encode(self.remembered.patterns)

    @property
    def cue_codes(self) -> Tensor:
        return self.encoder.encode(self.cues.patterns)

    @property
    def cue_labels(self) -> Tensor:
        return labels_of(self.cues)

    def memory(self, m: int, *, sigma: float, share: float = 1.0) -> tuple[EntropicMemory, ColumnQuantiser]:
        """A memory of `m` levels with this share of what is to be registered, and the quantiser of all of it."""
        codes = self.codes
        quantiser = ColumnQuantiser.fit(codes, m)
        memory = EntropicMemory(codes.shape[1], m, sigma=sigma)
        memory.store(quantiser.encode(codes[: max(1, round(share * len(codes)))]))
        return memory, quantiser

    def classes(self, codes: Tensor) -> Tensor:
        """What the network takes codes for, `(b,)`."""
        with torch.no_grad():
            return self.classifier(codes).argmax(-1)

    def outcome(self, memory: EntropicMemory, quantiser: ColumnQuantiser, codes: Tensor, seed: int) -> Outcome:
        """What retrievals for `codes (b, n)` of the cues are worth."""
        generator = torch.Generator().manual_seed(seed)
        found = memory.recall(quantiser.encode(codes), generator=generator)
        right = self.classes(quantiser.decode(found.patterns)) == self.cue_labels[: len(codes)]
        return Outcome(len(codes), int(found.accepted.sum()), int((right & found.accepted).sum()))

    def accuracy(self, codes: Tensor) -> float:
        """How many codes of cues are taken for what they are."""
        return float((self.classes(codes) == self.cue_labels[: len(codes)]).double().mean())

    def nearest(self, codes: Tensor) -> float:
        """How many codes of cues have the class of the nearest registered code."""
        held = self.codes
        nearest = torch.cat([torch.cdist(some, held).argmin(1) for some in codes.split(AT_ONCE)])
        found = labels_of(self.remembered)[nearest]
        return float((found == self.cue_labels[: len(codes)]).double().mean())


@lru_cache(maxsize=2)
def prepare(name: str, most: int, width: int, cues: int, epochs: int, seed: int) -> Protocol:
    """Split the images, fit the encoder, train the classifier.

    Raises:
        DataUnavailableError: the images are not on this machine.
    """
    images = load(name)
    count = min(most, len(images))
    trained, kept = round(0.7 * count), round(0.2 * count)
    training, remembered, asked = images.split(trained, kept, count - trained - kept, seed=seed)
    encoder = PCA.fit(training.patterns[:FOR_PCA], width)
    classifier = train(encoder.encode(training.patterns), labels_of(training), epochs, seed)
    return Protocol(remembered, asked[:cues], encoder, classifier)


def train(codes: Tensor, labels: Tensor, epochs: int, seed: int) -> nn.Module:
    """A network n-256-classes with dropout, by Adam."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(codes.shape[1], 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, int(labels.max()) + 1))
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(codes)).split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(codes[rows]), labels[rows]).backward()
                optimiser.step()
    return network.eval()


def labels_of(images: ImageSet) -> Tensor:
    assert images.labels is not None
    return images.labels
