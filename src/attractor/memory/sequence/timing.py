"""Holding each pattern of a sequence for several steps (MixedNet of Chaudhry et al. 2023, section 5)."""

from __future__ import annotations

import math
import warnings
from typing import Any

from attractor.errors import AttractorWarning
from attractor.memory.sequence.interaction import Interaction, interaction_from, settings_of
from attractor.validation import check_count


class Timing:
    """A pull towards the present pattern against a stronger one towards the next, which comes late.

    `S_i(t+1) = sgn[ sum_mu xi_i^mu f_S(m_i^mu(t)) + strength xi_i^{mu+1} f_A(mean of m_i^mu(t - rho), rho = 0 .. delay - 1) ]`:
    the state stays at a pattern until the mean over the last `delay` states has reached it. With steep interactions it so stays
    for `delay` steps, with flat ones it leaves earlier. With `x` for both this is the Temporal Association Network.

    Args:
        delay: number of states `tau` in the mean, at least 1.
        strength: `lambda` of the pull towards the next pattern; at 1 or below it never wins, of which you are warned.
        interaction: `f_S` of the pull towards the present pattern. Default: that of the memory, which is `f_A`.

    Raises:
        TypeError, ValueError: `delay` below 1, `strength` not positive and finite, or an unknown interaction.

    Example:
        >>> Timing(delay=5)
        Timing(delay=5, strength=2.5)
    """

    def __init__(self, delay: int = 5, *, strength: float = 2.5, interaction: Interaction | int | str | None = None):
        self.delay = check_count("delay", delay)
        if isinstance(strength, bool) or not isinstance(strength, (int, float)):
            raise TypeError(f"strength must be a number, got {type(strength).__name__}")
        if not 0 < strength < math.inf:
            raise ValueError(f"strength must be a positive finite number, got {strength!r}")
        self.strength = float(strength)
        self.interaction = None if interaction is None else interaction_from(interaction)
        if strength <= 1:
            warnings.warn(
                f"strength={strength:g}: at 1 or below, the pull towards the next pattern never wins and the state stays",
                AttractorWarning,
                stacklevel=2,
            )

    def holding(self, interaction: Interaction) -> Interaction:
        """`f_S` for a memory with this `interaction`."""
        return interaction if self.interaction is None else self.interaction

    def settings(self) -> dict[str, Any]:
        """JSON values from which `timing_from` rebuilds it."""
        held = None if self.interaction is None else settings_of(self.interaction)
        return {"delay": self.delay, "strength": self.strength, "interaction": held}

    def __repr__(self) -> str:
        held = "" if self.interaction is None else f", interaction={self.interaction!r}"
        return f"{type(self).__name__}(delay={self.delay}, strength={self.strength:g}{held})"


def timing_from(settings: dict[str, Any] | None) -> Timing | None:
    """Rebuild from `Timing.settings`."""
    if settings is None:
        return None
    held = settings["interaction"]
    return Timing(settings["delay"], strength=settings["strength"], interaction=None if held is None else interaction_from(held))
