"""The type checker of the tests."""

from beartype import beartype

REFUSE_THEMSELVES = ("_check", "_append")
"""Private functions that get what the user gave, and refuse what is wrong in the name of the public ones."""


def private_only(target):
    """Checks the calls of private functions: the public ones refuse wrong arguments themselves, as the tests demand."""
    private = target.__name__.startswith("_") and not target.__name__.startswith("__")
    # beartype knows `Self` only where it is given the class
    checked = private and target.__name__ not in REFUSE_THEMSELVES and "Self" not in str(target.__annotations__)
    return beartype(target) if checked else target
