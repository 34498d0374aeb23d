"""Pickled numbers, strings and containers of them, read without running anything.

A pickle is a program: its instructions can import modules and call functions. This reader knows the few instructions of protocols 1
to 5 that build plain values and refuses every other one, so that a file can bring data along and no code. Protocol 0, and integers
of more than 255 bytes, have instructions of their own and are refused as well.
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
COUNTED = EMPTY.keys() | SHORT_TUPLES.keys() | STORE | {"MEMOIZE", "TUPLE", "MARK"}
SCALARS = (str, int, float, type(None))

MAXIMUM_BYTES = 2**23
"""Largest file that is read: a larger one is taken for damaged or hostile."""
MAXIMUM_OBJECTS = 2**19
"""Most containers, marks and remembered values of one file: an instruction of one byte can take a hundred bytes of memory."""


def read_plain_pickle(path: str | Path, *, maximum_bytes: int = MAXIMUM_BYTES) -> Any:
    """The value in a pickle of numbers, strings, None, and lists, tuples and dictionaries of them.

    Keys of dictionaries are numbers, strings, None, or tuples of these.

    Raises:
        ValueError: the file is too large, damaged, holds too many objects, or an instruction that plain values do not need, such
            as one that names a class or a function.

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
        ValueError: an instruction is none of them, or does not fit those before it.
        LookupError, TypeError, AttributeError: the instructions do not fit each other.
    """
    stack = Stack()
    memo: dict[Any, Any] = {}
    objects = 0
    for instruction, argument, _ in pickletools.genops(program):
        name = instruction.name
        objects += name in COUNTED
        if objects > MAXIMUM_OBJECTS:
            raise ValueError(f"there are more than {MAXIMUM_OBJECTS:,} containers, marks and remembered values")
        if name in LITERALS:
            stack.push(argument)
        elif name in FETCH:
            stack.push(memo[argument])
        elif name in STORE:
            memo[argument] = stack.top()
        elif name == "MEMOIZE":
            memo[len(memo)] = stack.top()
        elif name in CONSTANTS:
            stack.push(CONSTANTS[name])
        elif name in EMPTY:
            stack.push(EMPTY[name]())
        elif name in SHORT_TUPLES:
            stack.push(tuple(stack.pop(SHORT_TUPLES[name])))
        elif name == "MARK":
            stack.mark()
        elif name == "TUPLE":
            stack.push(tuple(stack.pop_to_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = stack.pop_to_mark() if name == "APPENDS" else stack.pop(1)
            stack.top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            pairs = stack.pop_to_mark() if name == "SETITEMS" else stack.pop(2)
            stack.top(dict).update(zip(map(checked_key, pairs[::2]), pairs[1::2], strict=True))
        elif name == "STOP":
            return stack.only()
        elif name not in NOTHING:
            raise ValueError(f"the instruction {name} is not one that plain values need")
    raise ValueError("the file ends before the value is complete")


class Stack:
    """What an interpreter of pickles works on: values, in parts that marks divide. No instruction reaches below the last mark."""

    def __init__(self) -> None:
        self.parts: list[list[Any]] = [[]]

    def push(self, value: Any) -> None:
        self.parts[-1].append(value)

    def mark(self) -> None:
        self.parts.append([])

    def pop(self, count: int) -> list[Any]:
        part = self.parts[-1]
        if len(part) < count:
            raise ValueError(f"an instruction needs {count} values where there are {len(part)}")
        taken = part[-count:]
        del part[-count:]
        return taken

    def pop_to_mark(self) -> list[Any]:
        if len(self.parts) == 1:
            raise ValueError("an instruction needs a mark where there is none")
        return self.parts.pop()

    def top(self, kind: type = object) -> Any:
        (value,) = self.pop(1)
        if not isinstance(value, kind):
            raise ValueError(f"an instruction needs a {kind.__name__}, got a {type(value).__name__}")
        self.push(value)
        return value

    def only(self) -> Any:
        if len(self.parts) != 1 or len(self.parts[0]) != 1:
            raise ValueError("the file ends with more or less than one value")
        return self.parts[0][0]


def checked_key(key: Any) -> Any:
    """A key that is hashed without recursion: tuples in tuples could be nested deeper than the interpreter's stack."""
    if not isinstance(key, SCALARS) and not (isinstance(key, tuple) and all(isinstance(entry, SCALARS) for entry in key)):
        raise ValueError(f"a key must be a number, a string, None or a tuple of these, got a {type(key).__name__}")
    return key
