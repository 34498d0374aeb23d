"""The contract that every memory keeps, as one call: `check_memory(make)`.

In the spirit of scikit-learn's `check_estimator`. What a memory does not offer it says through the contract itself: `Recall.index`
is None where no items are kept, a `TypeError` answers `energy`, `forget`, `values` or `if_present` where they do not apply, and a
`ValueError` naming `known` answers a mask that has no meaning. Whatever is offered is checked.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor

from attractor.errors import AttractorWarning
from attractor.memory import MEMORIES, Domain, Memory, Recall
from attractor.testing.promises import (
    Make,
    bad_matrices,
    close,
    damaged,
    filled,
    known_half,
    must_refuse,
    patterns_for,
    promise,
    recall_with,
    refused,
    same_recall,
)


def check_memory(make: Make, patterns: Tensor | None = None) -> None:
    """Check that the memories which `make()` builds keep the contract.

    Args:
        make: builds an empty memory, the same each time: a class, a function, or a `functools.partial`.
        patterns: `(n, dim)`, at least 4 distinct rows that suit the memory, float32. Default: 6 random ones of its domain.

    Raises:
        AssertionError: a promise is broken; the message says which.

    Example:
        >>> from functools import partial
        >>> from attractor import DenseMemory
        >>> check_memory(partial(DenseMemory, dim=8))
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttractorWarning)
        if patterns is None:
            patterns = patterns_for(make())
        for check in CHECKS:
            try:
                check(make, patterns.clone())
            except AssertionError:
                raise
            except Exception as error:
                broken = (check.__doc__ or check.__name__).splitlines()[0]
                raise AssertionError(f"{broken} {type(error).__name__} came instead: {error}") from error


def check_description(make: Make, patterns: Tensor) -> None:
    """A memory is registered, empty at first, and says what it is."""
    memory = make()
    promise(isinstance(memory, Memory), f"make() must give a Memory, got {type(memory).__name__}")
    known_as = MEMORIES.get(memory.registered_name)
    promise(
        known_as is type(memory), f'{type(memory).__name__} must be registered with @register("name"), so that it can be loaded'
    )
    promise(type(memory.dim) is int and memory.dim == patterns.shape[1], f"dim must be {patterns.shape[1]}, got {memory.dim!r}")
    promise(isinstance(memory.domain, Domain), f"domain must be a Domain, got {memory.domain!r}")
    promise(len(memory) == 0, f"a new memory must be empty, its length is {len(memory)}")
    promise(bool(memory), "an empty memory must be true, it is a memory still")
    empty = repr(memory)
    memory.store(patterns)
    promise(type(memory).__name__ in empty and type(memory).__name__ in repr(memory), f"repr must name the class, got {empty}")


def check_storing(make: Make, patterns: Tensor) -> None:
    """Storing gives new ids, adds to the length, and keeps nothing of the caller's tensors."""
    cues = damaged(patterns)
    memory, given = make(), patterns.clone()
    first = memory.store(given[:2])
    second = memory.store(given[2:])
    ids = torch.cat([first, second])
    promise(ids.dtype == torch.int64 and first.shape == (2,), f"store must give int64 ids (n,), got {first.dtype} {first}")
    promise(len(ids.unique()) == len(patterns), f"store must give each row an id of its own, got {ids.tolist()}")
    promise(len(memory) == len(patterns), f"the length must count the {len(patterns)} rows stored, got {len(memory)}")
    promise(torch.equal(given, patterns), "store must not change the tensor given")
    before = memory.recall(cues)
    given.zero_()
    same_recall(before, memory.recall(cues), "patterns must be copied: changing the tensor given changes recalls")
    same_recall(before, filled(make, patterns).recall(cues), "storing in two calls must equal one", exact=False)


def check_recall_fields(make: Make, patterns: Tensor) -> None:
    """A recall holds what `Recall` documents, in the shapes and types it documents."""
    memory, cues = make(), patterns[:3].clone().requires_grad_()
    ids = memory.store(patterns)
    found = memory.recall(cues)
    promise(isinstance(found, Recall), f"recall must give a Recall, got {type(found).__name__}")
    promise(torch.equal(cues, patterns[:3]), "recall must not change the cues given")
    promise(found.patterns.shape == cues.shape, f"patterns must be {tuple(cues.shape)}, got {tuple(found.patterns.shape)}")
    promise(found.patterns.dtype == cues.dtype, f"patterns must be {cues.dtype} like the cues, got {found.patterns.dtype}")
    promise(not found.patterns.requires_grad, "recall must carry no gradients unless it is asked to")
    promise(bool(found.patterns.isfinite().all()), "recalled patterns must be finite")
    for name, dtypes in EXPECTED.items():
        value = getattr(found, name)
        if value is not None or name not in MAY_BE_NONE:
            promise(isinstance(value, Tensor) and value.shape == (3,), f"{name} must have shape (3,), got {value!r}")
            promise(value.dtype in dtypes, f"{name} must be {' or '.join(map(str, dtypes))}, got {value.dtype}")
            promise(name == "margin" or not bool(value.isnan().any()), f"{name} must not be NaN")
    some = [name for name in ("index", "score", "margin") if getattr(found, name) is None]
    promise(len(some) in (0, 3), f"index, score and margin must be None together, only {some} are")
    if found.index is not None:
        promise(set(found.index.tolist()) <= set(ids.tolist()), f"index must hold ids that store gave, got {found.index.tolist()}")
    promise(bool((found.steps >= 0).all()), f"steps must not be negative, got {found.steps.tolist()}")
    promise(found.trace is None, "trace must be None unless it is asked for")
    traced = recall_with(memory, patterns[:3], trace=True)
    if traced is not None:
        same_recall(found, traced, "keeping the trace must change nothing")
        way = traced.trace
        promise(way is not None and way.states.shape[1:] == cues.shape, f"trace must hold states (t, 3, {memory.dim})")
        if way is not None:
            promise((way.energies is None) == (found.energy is None), "trace must hold energies where the memory has one")


def check_determinism(make: Make, patterns: Tensor) -> None:
    """Equal memories recall equally, whatever torch's global generator and the batch size are."""
    cues = damaged(patterns)
    found = filled(make, patterns).recall(cues)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = filled(make, patterns)
    same_recall(found, again.recall(cues), "the same patterns and cues must give the same recall")
    promise(torch.equal(state, torch.get_rng_state()), "torch's global generator must be left alone: draw from a seed")
    one, other = recall_with(again, cues, seed=7), recall_with(again, cues, seed=7)
    if one is not None and other is not None:
        same_recall(one, other, "the same seed must give the same recall")
    for size in (1, 4):
        split = recall_with(again, cues, batch_size=size)
        if split is not None:
            same_recall(found, split, "batch_size must change nothing", exact=False)


def check_known(make: Make, patterns: Tensor) -> None:
    """Known entries stay bit for bit, and what stands at unknown ones is never read."""
    memory, cues, known = filled(make, patterns), patterns[:3], known_half(patterns[:3])
    everything = torch.ones_like(known)
    if refused("known", ValueError, memory.recall, cues, known):
        promise(refused("known", ValueError, memory.recall, cues, everything), "a memory that refuses masks must refuse them all")
        return
    found = memory.recall(cues, known)
    promise(torch.equal(found.patterns[known], cues[known]), "known entries must come back unchanged, bit for bit")
    for garbage in (torch.nan, torch.inf, 0.3):
        other = memory.recall(torch.where(known, cues, garbage), known)
        same_recall(found, other, f"what stands at unknown entries must change nothing, {garbage} does")
    promise(torch.equal(memory.recall(cues, everything).patterns, cues), "a cue that is known everywhere must come back unchanged")
    for mask, came in (
        (known.float(), "a mask of floats"),
        (known[:, 1:], "a mask of another width"),
        (known[:2], "a mask of fewer rows"),
        (known & torch.tensor([[True], [False], [True]]), "a row with nothing known"),
    ):
        must_refuse("known", came, memory.recall, cues, mask)
    stray = cues.clone()
    stray[known] = torch.nan
    must_refuse("cues", "NaN at known entries", memory.recall, stray, known)


def check_refusals(make: Make, patterns: Tensor) -> None:
    """Bad input is refused by the argument's name, and changes nothing."""
    cues = damaged(patterns)
    memory, fresh = filled(make, patterns), make()
    before = memory.recall(cues)
    must_refuse("empty", "a recall from an empty memory", fresh.recall, patterns)
    for bad, came in bad_matrices(memory.domain, patterns):
        must_refuse("patterns", f"store of {came}", memory.store, bad)
        must_refuse("patterns", f"first store of {came}", fresh.store, bad)
        must_refuse("cues", f"recall of {came}", memory.recall, bad)
        if before.energy is not None:
            must_refuse("states|cues", f"energy of {came}", memory.energy, bad)
    must_refuse("if_present", "an unknown if_present", memory.store, patterns, if_present="sometimes")
    must_refuse("metadata", "metadata for one row of many", memory.store, patterns, metadata=[None])
    promise(len(fresh) == 0 and len(memory) == len(patterns), "a store that raises must store nothing, the length changed")
    same_recall(before, memory.recall(cues), "a call that raises must change nothing, recalls changed")
    fresh.store(patterns)
    same_recall(before, fresh.recall(cues), "a store that raises must leave an empty memory as it was")


def check_presence(make: Make, patterns: Tensor) -> None:
    """`if_present` adds, skips or raises, or is refused by a memory that cannot tell."""
    memory = filled(make, patterns)
    if refused("if_present", TypeError, memory.store, patterns, if_present="skip"):
        promise(len(memory) == len(patterns), "a store that raises must store nothing")
        return
    promise(len(memory.store(patterns, if_present="skip")) == 0, "if_present='skip' must store no row that is stored already")
    must_refuse("patterns", "a row stored already, if_present='raise'", memory.store, patterns, if_present="raise")
    promise(len(memory) == len(patterns), "if_present='skip' and 'raise' must not store a row again")
    promise(len(memory.store(patterns[:1])) == 1, "if_present='add' must store a row again")


def check_forgetting(make: Make, patterns: Tensor) -> None:
    """What is forgotten is gone, its id is never given again, and forgetting what is not stored is refused."""
    cues = damaged(patterns)
    memory = make()
    ids = memory.store(patterns)
    before = memory.recall(cues)
    if before.index is None:
        if refused("", TypeError, memory.forget, patterns[-1:]):
            promise(len(memory) == len(patterns), "forget that raises must change nothing, the length changed")
            same_recall(before, memory.recall(cues), "forget that raises must change nothing, recalls changed")
            return
        memory.forget(patterns[-2:-1])
    else:
        must_refuse("ids", "forget of an id that is not stored", memory.forget, ids.max()[None] + 1)
        must_refuse("ids", "forget with one id that is not stored", memory.forget, torch.stack([ids[0], ids.max() + 1]))
        same_recall(before, memory.recall(cues), "forget that raises must change nothing")
        memory.forget(ids[-2:])
    promise(len(memory) == len(patterns) - 2, f"the length must be stored minus forgotten, got {len(memory)}")
    after = memory.recall(cues)
    same_recall(after, filled(make, patterns[:-2]).recall(cues), "a forgotten pattern must leave nothing behind", exact=False)
    if after.index is not None:
        must_refuse("ids", "forget of an id that is forgotten", memory.forget, ids[-1:])
    fresh = memory.store(patterns[-2:])
    promise(not set(fresh.tolist()) & set(ids.tolist()), f"ids must never be given again, {fresh.tolist()} were")


def check_energy(make: Make, patterns: Tensor) -> None:
    """The energy is one number for each state and the one that `Recall` reports, or a `TypeError` says that there is none."""
    cues = damaged(patterns)
    memory = filled(make, patterns)
    found = memory.recall(cues)
    if found.energy is None:
        names = "|".join(type(part).__name__ for part in memory.modules())
        promise(refused(names, TypeError, memory.energy, patterns), "energy must raise a TypeError naming the class")
        return
    energies = memory.energy(patterns)
    promise(energies.shape == (len(patterns),), f"energy must give one number for each state, got shape {tuple(energies.shape)}")
    promise(bool(energies.isfinite().all()), f"energy must be finite, got {energies.tolist()}")
    alone = torch.cat([memory.energy(patterns[row : row + 1]) for row in range(len(patterns))])
    promise(close(energies, alone), "the energy of a state must not depend on the others")
    traced = recall_with(memory, cues, trace=True)
    if traced is None or traced.trace is None or traced.trace.energies is None:
        way, told = [found.patterns[found.converged]], [found.energy[found.converged]]
    else:
        # what is given back may be in other units than the states on the way
        way, told = [traced.trace[0], traced.trace[-1]], [traced.trace.energies[0], found.energy]
    for states, energy in zip(way, told, strict=True):
        again = memory.energy(states)
        promise(close(again, energy), f"Recall must report the energy of its states: {energy.tolist()}, not {again.tolist()}")


def check_saving(make: Make, patterns: Tensor) -> None:
    """A memory that is saved and loaded is the same memory."""
    for dtype in (torch.float32, torch.float64):
        memory, cues = make(), damaged(patterns).to(dtype)
        ids = memory.store(patterns.to(dtype))
        before = memory.recall(cues)
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(2):
                memory.save(Path(folder) / "memory")
            loaded = Memory.load(Path(folder) / "memory")
            promise(type(loaded) is type(memory), f"load must give a {type(memory).__name__}, got {type(loaded).__name__}")
            promise(len(loaded) == len(memory), f"load must restore the length {len(memory)}, got {len(loaded)}")
            same_recall(before, loaded.recall(cues), f"a loaded memory must recall as the one saved ({dtype})")
            same_recall(before, memory.recall(cues), "save must change nothing")
            fresh = loaded.store(cues[:1])
            promise(not set(fresh.tolist()) & set(ids.tolist()), f"ids must never be given again after load, {fresh.tolist()} were")
            make().save(Path(folder) / "empty")
            promise(len(Memory.load(Path(folder) / "empty")) == 0, "an empty memory must be saved and loaded as one")


def check_precision(make: Make, patterns: Tensor) -> None:
    """A memory follows `.to(dtype)`, and the dtype of its first patterns."""
    moved = filled(make, patterns).to(torch.float64)
    found = moved.recall(patterns.double())
    promise(found.patterns.dtype == torch.float64, f".to(float64) must lead to float64 recalls, got {found.patterns.dtype}")
    promise(len(moved) == len(patterns), "a memory must keep its patterns under .to()")
    double = filled(make, patterns.double()).recall(patterns.double())
    promise(double.patterns.dtype == torch.float64, f"float64 patterns must lead to float64 recalls, got {double.patterns.dtype}")


def check_values(make: Make, patterns: Tensor) -> None:
    """Values stored beside the patterns are read out in their place, or refused by name."""
    values = torch.arange(3.0 * len(patterns)).reshape(-1, 3) / len(patterns)
    memory, negated = make(), make()
    if refused("values", TypeError, memory.store, patterns, values):
        promise(len(memory) == 0, "a store that raises must store nothing")
        return
    negated.store(patterns, -values)
    found = memory.recall(patterns)
    promise(
        found.patterns.shape == values.shape, f"recall must give values {tuple(values.shape)}, got {tuple(found.patterns.shape)}"
    )
    promise(bool(found.patterns.isfinite().all()), "recalled values must be finite")
    promise(
        not torch.equal(negated.recall(patterns).patterns, found.patterns), "recall must read out the values, they do not matter"
    )
    for bad, came in (
        (values[1:], "fewer rows"),
        (values[:, :1], "another width"),
        (values * torch.nan, "NaN"),
        (None, "no values"),
    ):
        must_refuse("values", f"values with {came}", memory.store, patterns, bad)
    promise(len(memory) == len(patterns), "a store that raises must store nothing")


CHECKS = (
    check_description,
    check_recall_fields,
    check_storing,
    check_determinism,
    check_known,
    check_refusals,
    check_presence,
    check_forgetting,
    check_energy,
    check_saving,
    check_precision,
    check_values,
)
FLOATS = (torch.float32, torch.float64)
MAY_BE_NONE = ("index", "score", "margin", "energy")
EXPECTED = {
    "index": (torch.int64,),
    "score": FLOATS,
    "margin": FLOATS,
    "accepted": (torch.bool,),
    "energy": FLOATS,
    "steps": (torch.int64,),
    "converged": (torch.bool,),
}
