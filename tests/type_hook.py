"""The type checker of the tests."""

from beartype import beartype


def private_only(target):
    """Checks the calls of private functions: the public ones refuse wrong arguments themselves, as the tests demand."""
    private = target.__name__.startswith("_") and not target.__name__.startswith("__")
    return beartype(target) if private else target
