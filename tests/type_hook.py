"""The type checker of the tests."""

from beartype import beartype

REFUSES_ITSELF = "_append"
"""Of banks: it gets what the user gave for metadata, and refuses what is wrong by the number of the row."""


def private_only(target):
    """Checks the calls of private functions: the public ones refuse wrong arguments themselves, as the tests demand."""
    private = target.__name__.startswith("_") and not target.__name__.startswith("__")
    # beartype knows `Self` only where it is given the class
    checked = private and target.__name__ != REFUSES_ITSELF and "Self" not in str(target.__annotations__)
    return beartype(target) if checked else target
