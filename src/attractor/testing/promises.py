"""What the checks of a memory are made of: inputs to try, and promises that raise an `AssertionError` when broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from attractor.memory import Domain, Memory, Recall

Make = Callable[[], Memory]
REFUSALS = (TypeError, ValueError)


def promise(kept: bool, text: str) -> None:
    if not kept:
        raise AssertionError(text)


def refused(
    names: str, kinds: type[Exception] | tuple[type[Exception], ...], call: Callable[..., Any], *given: Any, **named: Any
) -> bool:
    """Whether the call raises one of `kinds` with one of `names`, separated by `|`, in its message."""
    try:
        call(*given, **named)
    except kinds as error:
        return any(name in str(error) for name in names.split("|"))
    return False


def must_refuse(names: str, came: str, call: Callable[..., Any], *given: Any, **named: Any) -> None:
    try:
        call(*given, **named)
    except REFUSALS as error:
        kept = any(name in str(error) for name in names.split("|"))
        promise(kept, f"{came} must be refused with a message that names {names}, got: {error}")
    else:
        raise AssertionError(f"{came} must be refused with a ValueError or TypeError that names {names}, it was accepted")


def recall_with(memory: Memory, cues: Tensor, **option: Any) -> Recall | None:
    """The recall with an option that not every memory has; None where this one does not."""
    call: Callable[..., Recall] = memory.recall
    try:
        return call(cues, **option)
    except TypeError as error:
        if next(iter(option)) in str(error):
            return None
        raise


def filled(make: Make, patterns: Tensor) -> Memory:
    memory = make()
    memory.store(patterns)
    return memory


def damaged(patterns: Tensor) -> Tensor:
    """The patterns, and a copy of each with every eighth entry from the next: near enough to one that rounding decides nothing."""
    mixed = patterns.clone()
    mixed[:, ::8] = patterns.roll(-1, 0)[:, ::8]
    return torch.cat([patterns, mixed])


def known_half(cues: Tensor) -> Tensor:
    known = torch.rand(cues.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    known[:, 0], known[:, -1] = True, False
    return known


def bad_matrices(domain: Domain, patterns: Tensor) -> Iterator[tuple[Any, str]]:
    """What is neither a pattern nor a cue, and what is wrong with it."""
    yield patterns.tolist(), "a list"
    yield patterns[0], "a vector"
    yield patterns[None], "three dimensions"
    yield patterns[:, 1:], "a matrix of another width"
    yield patterns[:0], "no rows"
    yield patterns.to(torch.int64), "integers"
    for value in (torch.nan, torch.inf):
        bad = patterns.clone()
        bad[-1, -1] = value
        yield bad, f"a matrix with {value}"
    if domain.kind != "real":
        bad = patterns.clone()
        bad[-1, -1] = 0.5
        yield bad, f"a matrix with an entry that is not {domain}"


def close(left: Tensor, right: Tensor) -> bool:
    """Equal up to the tolerance at which a float32 state is at rest."""
    return torch.allclose(left, right, rtol=1e-3, atol=1e-3, equal_nan=True)


def same_recall(left: Recall, right: Recall, text: str, *, exact: bool = True) -> None:
    """Promise that two recalls are equal, up to rounding unless `exact`."""
    for name in (field.name for field in fields(Recall) if field.name != "trace"):
        one, other = getattr(left, name), getattr(right, name)
        if name == "steps" and not exact:
            continue
        if one is None or other is None:
            promise(one is other, f"{text}: {name} differs")
        elif exact or not one.is_floating_point():
            # an infinite margin equals itself, NaN never occurs
            promise(torch.equal(one, other), f"{text}: {name} differs")
        else:
            promise(close(one, other), f"{text}: {name} differs")


def patterns_for(memory: Memory, rows: int = 6, seed: int = 0) -> Tensor:
    """Random patterns `(rows, dim)` of the memory's domain, float32."""
    generator = torch.Generator().manual_seed(seed)
    if memory.domain.kind == "bipolar":
        return torch.randint(0, 2, (rows, memory.dim), generator=generator).float() * 2 - 1
    if memory.domain.kind == "levels" and memory.domain.levels is not None:
        return torch.randint(0, memory.domain.levels, (rows, memory.dim), generator=generator).float()
    return torch.randn(rows, memory.dim, generator=generator)
