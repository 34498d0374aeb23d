"""Pickled numbers, strings and containers of them, read without running anything.

A pickle is a program: its instructions can import modules and call functions. This reader knows the few instructions that build
plain values and refuses every other one, so that a file can bring data along and no code.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Any

CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
STORE = {"BINPUT", "LONG_BINPUT"}
FETCH = {"BINGET", "LONG_BINGET"}
SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NOTHING = {"PROTO", "FRAME"}

MAXIMUM_BYTES = 2**28
"""Largest file that is read: a larger one is taken for damaged or hostile."""


def read_plain_pickle(path: str | Path, *, maximum_bytes: int = MAXIMUM_BYTES) -> Any:
    """The value in a pickle of numbers, strings, None, and lists, tuples and dictionaries of them.

    Raises:
        ValueError: the file is too large, damaged, or holds an instruction that plain values do not need, such as one that names a
            class or a function.

    Example:
        >>> import pickle, tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(pickle.dumps([{"a": 1.5}, ("b", None)]))
        ...     file.flush()
        ...     read_plain_pickle(file.name)
        [{'a': 1.5}, ('b', None)]
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > maximum_bytes:
            raise ValueError(f"{str(path)!r} must have at most {maximum_bytes:,} bytes, got {size:,}")
        return build(path.read_bytes())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


def build(program: bytes) -> Any:
    """Carry out the instructions of a pickle that build plain values.

    Raises:
        ValueError: an instruction is none of them.
        LookupError, TypeError, AttributeError: the instructions do not fit each other.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    for instruction, argument, _ in pickletools.genops(program):
        name = instruction.name
        if name in LITERALS:
            stack.append(argument)
        elif name in FETCH:
            stack.append(memo[argument])
        elif name in STORE:
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in SHORT_TUPLES:
            stack[-SHORT_TUPLES[name] :] = [tuple(stack[-SHORT_TUPLES[name] :])]
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE":
            start = marks.pop()
            stack[start:] = [tuple(stack[start:])]
        elif name in ("APPEND", "APPENDS"):
            start = marks.pop() if name == "APPENDS" else len(stack) - 1
            items = stack[start:]
            del stack[start:]
            stack[-1] += items
        elif name in ("SETITEM", "SETITEMS"):
            start = marks.pop() if name == "SETITEMS" else len(stack) - 2
            pairs = stack[start:]
            del stack[start:]
            stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))
        elif name == "STOP":
            (value,) = stack
            return value
        elif name not in NOTHING:
            raise ValueError(f"the instruction {name} is not one that plain values need")
    raise ValueError("the file ends before the value is complete")
