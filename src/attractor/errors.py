"""Warnings of the library, under one parent so that a user can silence or promote them together."""

from __future__ import annotations


class AttractorWarning(UserWarning):
    """Parent of every warning that `attractor` gives."""


class CapacityWarning(AttractorWarning):
    """More patterns are stored than the memory can be expected to recall."""


class EnergyUnboundedWarning(AttractorWarning):
    """The energy has no lower bound: descent may diverge."""


class NotConvergedWarning(AttractorWarning):
    """A relaxation stopped at its step limit before it came to rest."""
