"""Responses, word by word: the likeliest next word, a drawn one, or the best of several sentences at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.language.iamm.batch import CLS, EOS, PAD, SOS, SYS, USR, DialogueBatch
from attractor.language.iamm.decoder import DecoderInput, lowest
from attractor.language.iamm.interaction import check_generator
from attractor.language.iamm.protocols import Writer
from attractor.nn.top_k import largest
from attractor.validation import check_count, check_positive

NEVER_SAID = [PAD, SOS, USR, SYS, CLS]


class Responses(NamedTuple):
    """For each dialogue the ids of its response, without EOS, and `log_probabilities (b,)`, in float64, of all that was said.

    That of EOS is among it, but for a response that was cut off after `most` words.
    """

    ids: list[list[int]]
    log_probabilities: Tensor


def greedy(model: Writer, batch: DialogueBatch, *, most: int = 50) -> Responses:
    """Take the likeliest word each time, up to `most` words; the response of a dialogue does not depend on the rest of the batch.

    Raises:
        TypeError, ValueError: `most` below 1, or a device without float64 (mps); else as `IAMM.encode`.

    Example:
        >>> from attractor.language.iamm import IAMM, IAMMConfig, Vocabulary, collate
        >>> vocabulary = Vocabulary(["my", "dog", "died", "so", "sorry"])
        >>> model = IAMM(IAMMConfig(len(vocabulary), dim=16, depth=8, relations=0))
        >>> said = greedy(model, collate([vocabulary.dialogue([["my", "dog", "died"]])], len(vocabulary)), most=3)
        >>> len(said.ids[0]) <= 3
        True
    """
    return written_by(model, batch, most, lambda scores: largest(scores, 1)[:, 0])


def sample(
    model: Writer, batch: DialogueBatch, *, temperature: float = 1.0, most: int = 50, generator: torch.Generator | None = None
) -> Responses:
    """Draw each word by its probability, whose logarithm is first divided by `temperature`.

    Args:
        model: to ask.
        batch: of dialogues.
        temperature: > 0; small: nearly always the likeliest word.
        most: words of a response.
        generator: of the draws, on the device of the model. Default: one with the seed 0.

    Raises:
        TypeError, ValueError: a number out of its range; else as `IAMM.encode`.
    """
    check_positive("temperature", temperature)
    drawn = torch.Generator(batch.utterances.device).manual_seed(0) if generator is None else check_generator(generator)

    def pick(scores: Tensor) -> Tensor:
        return torch.multinomial(((scores - scores.amax(-1, keepdim=True)) / temperature).softmax(-1), 1, generator=drawn)[:, 0]

    return written_by(model, batch, most, pick)


@torch.no_grad()
def beam_search(model: Writer, batch: DialogueBatch, *, width: int = 5, most: int = 50) -> Responses:
    """Follow the `width` likeliest sentences at once. The greedy response is kept where it is likelier than all of them.

    Raises:
        TypeError, ValueError: `width` or `most` below 1; else as `IAMM.encode`.
    """
    check_count("width", width)
    plain = greedy(model, batch, most=most)
    answer = model.encode(batch).answer.repeated(width)
    count, device = len(batch), batch.utterances.device
    written = torch.full((count, width, 1), SOS, device=device)
    sums = torch.full((count, width), -torch.inf, dtype=torch.float64, device=device)
    sums[:, 0] = 0
    done = torch.zeros_like(sums, dtype=torch.bool)
    for _ in range(most):
        scores = spoken(model, written.flatten(0, 1), answer).unflatten(0, (count, width))
        waiting = torch.full_like(scores[0, 0], -torch.inf)
        waiting[PAD] = 0
        all_sums = sums[..., None] + torch.where(done[..., None], waiting, scores)
        places = largest(all_sums.flatten(1), width)
        sums = all_sums.flatten(1).gather(1, places)
        parents, words = places // scores.shape[-1], places % scores.shape[-1]
        before = written.gather(1, parents[..., None].expand(*parents.shape, written.shape[-1]))
        written = torch.cat([before, words[..., None]], -1)
        done = done.gather(1, parents) | (words == EOS)
        if bool(done.all()):
            break
    found = trimmed(written[:, 0])
    better = (plain.log_probabilities > sums[:, 0]).tolist()
    ids = [old if keep else new for old, new, keep in zip(plain.ids, found, better, strict=True)]
    return Responses(ids, torch.maximum(plain.log_probabilities, sums[:, 0]))


@torch.no_grad()
def written_by(model: Writer, batch: DialogueBatch, most: int, pick: Callable[[Tensor], Tensor]) -> Responses:
    """Responses of words that `pick` takes by their scores `(b, words)`."""
    check_count("most", most)
    check_place(batch.utterances.device)
    answer = model.encode(batch).answer
    written = torch.full((len(batch), 1), SOS, device=batch.utterances.device)
    sums = torch.zeros(len(batch), dtype=torch.float64, device=written.device)
    done = torch.zeros_like(sums, dtype=torch.bool)
    for _ in range(most):
        scores = spoken(model, written, answer)
        words = pick(scores).masked_fill(done, PAD)
        sums += scores.gather(1, words[:, None])[:, 0].masked_fill(done, 0)
        written = torch.cat([written, words[:, None]], 1)
        done |= words == EOS
        if bool(done.all()):
            break
    return Responses(trimmed(written), sums)


def check_place(device: torch.device) -> None:
    if device.type == "mps":
        raise ValueError("batch must be on the CPU or a CUDA device to be answered: mps has no float64, in which chances are added")


def spoken(model: Writer, written: Tensor, answer: DecoderInput) -> Tensor:
    """Log-probabilities `(b, words)` of what may come next, in float64, that sums of them make no ties."""
    scores = model.next_log_probabilities(written, answer)
    scores[:, NEVER_SAID] = lowest(scores)
    return scores.double()


def trimmed(written: Tensor) -> list[list[int]]:
    """What stands between SOS and EOS."""
    texts = [row[1:] for row in written.tolist()]
    return [row[: row.index(EOS)] if EOS in row else row for row in texts]
