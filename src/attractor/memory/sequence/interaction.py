"""What a stored pattern's overlap with the state is raised by: the function `f` of a sequence network.

`f(x) = x` is the classic asymmetric network, `f(x) = x^d` its polynomial and `f(x) = exp((N - 1)(x - 1))` its exponential
generalisation (Chaudhry, Zavatone-Veth, Krotov and Pehlevan 2023, section 3). Only the sign of a sum over `f` matters, so values
are kept as `mantissa * 2^exponent`: `x^100` and `exp(-784)` neither over- nor underflow, and powers of whole numbers are exact
as long as 53 bits hold them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from attractor.validation import check_count

NOTHING = -(2**30)
"""The exponent of zero: below that of any other value."""


class Scaled(NamedTuple):
    """Numbers `mantissa * 2^exponent`, float64 and int32."""

    mantissa: Tensor
    exponent: Tensor

    def over(self, other: Scaled, factor: float = 1.0) -> Scaled:
        """`factor` times these numbers, divided by others."""
        return Scaled(self.mantissa / other.mantissa * factor, self.exponent - other.exponent)

    def only(self, rows: Tensor) -> Scaled:
        """These numbers in the `rows` that are True, zero in the others."""
        return Scaled(self.mantissa.masked_fill(~rows, 0), self.exponent.masked_fill(~rows, NOTHING))


class Interaction(ABC):
    """A function of an overlap, `f(1) > 0`."""

    name: ClassVar[str]

    @abstractmethod
    def scaled(self, overlaps: Tensor, full: float, dim: int) -> Scaled:
        """`f(overlaps / full)` up to a positive factor that is the same for all overlaps.

        Args:
            overlaps: sums of `xi_j S_j`, float64.
            full: the sum that counts as an overlap of 1.
            dim: number of units.
        """

    def settings(self) -> dict[str, Any]:
        """JSON values from which `interaction_from` rebuilds it."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PolynomialInteraction(Interaction):
    """`f(x) = x^degree`; degree 1 is the classic asymmetric network.

    Raises:
        TypeError, ValueError: `degree` is no whole number of at least 1; another power of a negative overlap has no value.

    Example:
        >>> value = PolynomialInteraction(3).scaled(torch.tensor([-5.0], dtype=torch.float64), 10, 10)
        >>> torch.ldexp(*value).item()
        -125.0
    """

    name = "polynomial"

    def __init__(self, degree: int):
        self.degree = check_count("degree", degree)

    def scaled(self, overlaps: Tensor, full: float, dim: int) -> Scaled:
        # by repeated squaring, brought back to [0.5, 1) after each product: whole numbers stay whole, which keeps ties
        power, exponent = torch.frexp(torch.ones_like(overlaps))
        square, shift = torch.frexp(overlaps)
        left = self.degree
        while left:
            if left & 1:
                power, carry = torch.frexp(power * square)
                exponent = exponent + shift + carry
            square, carry = torch.frexp(square * square)
            shift = 2 * shift + carry
            left >>= 1
        return Scaled(power, exponent.masked_fill(power == 0, NOTHING))

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "degree": self.degree}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.degree})"


class ExponentialInteraction(Interaction):
    """`f(x) = exp((N - 1)(x - 1))`.

    Example:
        >>> value = ExponentialInteraction().scaled(torch.tensor([0.0, 1.0], dtype=torch.float64), 9, 10)
        >>> round(float(torch.ldexp(*value).log().diff()), 6)
        1.0
    """

    name = "exponential"

    def scaled(self, overlaps: Tensor, full: float, dim: int) -> Scaled:
        logarithm = overlaps * ((dim - 1) / full)
        exponent = (logarithm / math.log(2)).floor()
        return Scaled((logarithm - exponent * math.log(2)).exp(), exponent.int())


def relative(values: Sequence[Scaled], dtype: torch.dtype) -> list[Tensor]:
    """The values as plain numbers, each column divided by one power of two that brings its largest near 1.

    Args:
        values: of shape `(n, b)`; a column runs over the rows of all of them.
        dtype: of the result.
    """
    top = torch.stack([value.exponent.amax(0) for value in values]).amax(0)
    shifts = [(value.exponent - top).double() for value in values]
    # near the smallest of all numbers, products take hundreds of times as long: what comes down there is none
    least = 0.9 * math.log2(torch.finfo(dtype).tiny)
    factors = [shift.exp2().masked_fill_(shift < least, 0) for shift in shifts]
    return [(value.mantissa * factor).to(dtype) for value, factor in zip(values, factors, strict=True)]


def settings_of(interaction: Interaction) -> dict[str, Any]:
    """The settings of an interaction, for a file.

    Raises:
        ValueError: it is of a kind of one's own, which no file can bring back.
    """
    if type(interaction) not in KINDS.values():
        raise ValueError(f"interaction must be a power or the exponential to be saved, got {interaction!r}, which is one's own")
    return interaction.settings()


KINDS: dict[str, type[Interaction]] = {kind.name: kind for kind in (PolynomialInteraction, ExponentialInteraction)}


def interaction_from(given: Interaction | int | str | dict[str, Any]) -> Interaction:
    """An interaction from itself, a degree, `"exponential"`, or its settings.

    Raises:
        TypeError, ValueError: it is none of these.

    Example:
        >>> interaction_from(3), interaction_from("exponential")
        (PolynomialInteraction(3), ExponentialInteraction())
    """
    if isinstance(given, Interaction):
        return given
    if isinstance(given, str) and given == "exponential":
        return ExponentialInteraction()
    if isinstance(given, int) and not isinstance(given, bool):
        return PolynomialInteraction(check_count("interaction", given))
    if isinstance(given, dict) and given.get("name") in KINDS:
        return KINDS[given["name"]](**{key: value for key, value in given.items() if key != "name"})
    expected = "a degree (a whole number of at least 1), 'exponential' or an Interaction"
    raise (ValueError if isinstance(given, (str, dict)) else TypeError)(f"interaction must be {expected}, got {given!r}")
