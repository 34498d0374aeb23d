"""What a model must be able to do to be trained, scored, or asked for answers: IAMM, or any module with the same methods."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from attractor.language.iamm.batch import DialogueBatch
from attractor.language.iamm.decoder import DecoderInput


class Trainable(Protocol):
    """A module whose `losses(batch).total` can be lowered."""

    training: bool

    def losses(self, batch: DialogueBatch) -> Any: ...

    def parameters(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...

    def train(self, mode: bool = True) -> Any: ...


class Totalled(Protocol):
    """Scores of emotions, whose `total (b, classes)` tells the emotion."""

    @property
    def total(self) -> Tensor: ...


class Encoded(Protocol):
    """What a model makes of dialogues, with its scores of emotions."""

    @property
    def emotions(self) -> Totalled: ...


class Scorable(Trainable, Protocol):
    """A module that tells emotions and the chances of given responses."""

    def encode(self, batch: DialogueBatch) -> Encoded: ...

    def token_log_probabilities(self, batch: DialogueBatch, encoding: Any = None) -> Tensor: ...


class Answerable(Protocol):
    """What a model makes of dialogues, with what it answers from."""

    @property
    def answer(self) -> DecoderInput: ...


class Writer(Protocol):
    """A module that says word by word how likely which one comes next."""

    def encode(self, batch: DialogueBatch) -> Answerable: ...

    def next_log_probabilities(self, written: Tensor, answer: DecoderInput) -> Tensor: ...
