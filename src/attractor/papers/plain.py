"""Reading JSON objects that may come from anywhere: every entry is asked for by name and type, and none may be left over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

Option = TypeVar("Option", bound=str)


class Fields:
    """The entries of a JSON object, to be taken one by one.

    Args:
        name: what the object is, for messages.
        plain: the object.

    Raises:
        ValueError: `plain` is no object; on taking, an entry is missing or of another type.

    Example:
        >>> fields = Fields("point", {"x": 1})
        >>> fields.number("x")
        1.0
        >>> fields.done()
    """

    def __init__(self, name: str, plain: object):
        if not isinstance(plain, dict):
            raise ValueError(f"{name} must be a JSON object, got {type(plain).__name__}")
        self.name = name
        self._left: dict[str, Any] = dict(plain)

    def take(self, key: str) -> Any:
        if key not in self._left:
            raise ValueError(f"{self.name} must have an entry {key!r}")
        return self._left.pop(key)

    def is_number(self, key: str) -> bool:
        return _is_number(self._left.get(key))

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text", value)
        return value

    def number(self, key: str) -> float:
        value = self.take(key)
        if not _is_number(value):
            raise self._wrong(key, "a finite number", value)
        return float(value)

    def optional_number(self, key: str) -> float | None:
        return self.take(key) if self._left.get(key, 0) is None else self.number(key)

    def whole(self, key: str) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "a whole number", value)
        return value

    def optional_numbers(self, key: str) -> tuple[float, ...] | None:
        return self.take(key) if self._left.get(key, 0) is None else self.numbers(key)

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self.items(key)
        if not all(map(_is_number, values)):
            raise self._wrong(key, "a list of finite numbers", values)
        return tuple(map(float, values))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "a list of texts", values)
        return tuple(values)

    def items(self, key: str) -> list[Any]:
        value = self.take(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        return value

    def done(self) -> None:
        """Raise `ValueError` where entries are left that nobody asked for."""
        if self._left:
            raise ValueError(f"{self.name} has unknown entries {sorted(self._left)}")

    def _wrong(self, key: str, expected: str, value: object) -> ValueError:
        return ValueError(f"{self.name}: {key} must be {expected}, got {str(value)[:80]!r}")


def one_of(name: str, value: str, options: Sequence[Option]) -> Option:
    """Return `value` when it is one of `options`.

    Raises:
        ValueError: it is not.

    Example:
        >>> one_of("scale", "log", ("linear", "log"))
        'log'
    """
    for option in options:
        if option == value:
            return option
    raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
