"""Numbers of the naive engine: plain fractions, rounded only where a rule says so (R1.6, R1.7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

ZERO = Fraction(0)
DIGITS_OF_CURRENCY = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3}


def divide(numerator: Fraction, denominator: Fraction) -> Fraction:
    """R1.7: a division is carried to exactly 50 significant digits, half even."""
    value = numerator / denominator
    if value == 0:
        return value
    shift = Fraction(1)
    while abs(value) * shift < 10**49:
        shift *= 10
    while abs(value) * shift >= 10**50:
        shift /= 10
    return round(value * shift) / shift  # Python rounds fractions half to even


@dataclass(frozen=True)
class Quantity:
    """A quantity before any division, if there is one to do: that of a MEAN is a sum and a count."""

    numerator: Fraction
    denominator: Fraction = Fraction(1)

    @property
    def shown(self) -> Fraction:
        return self.numerator if self.denominator == 1 else divide(self.numerator, self.denominator)

    def units(self, per_unit: Fraction, rounding: str) -> Fraction:
        """R1.6: the rounding is decided on the exact ratio; without one it is a division, after multiplying first."""
        if rounding == "NONE":
            whole = self.denominator * per_unit
            return self.numerator if whole == 1 else divide(self.numerator, whole)
        return round_to_integer(self.numerator / self.denominator / per_unit, rounding)


def round_to_integer(value: Fraction, how: str) -> Fraction:
    """Round by the names of R1.6 and of the settings' rounding mode."""
    sign = -1 if value < 0 else 1
    match how:
        case "UP":  # away from zero
            return Fraction(sign * ceil(abs(value)))
        case "DOWN":  # toward zero
            return Fraction(sign * floor(abs(value)))
        case "NEAREST" | "HALF_UP":  # halves away from zero
            return Fraction(sign * floor(abs(value) + Fraction(1, 2)))
        case "HALF_EVEN":
            return Fraction(round(value))
    raise ValueError(how)


def allocate(amount: Fraction, shares: Sequence[Fraction], currency: str) -> list[Fraction]:
    """R11.1: split by shares, in the currency's unit: what is left goes to the largest remainders, the first first."""
    total = sum(shares, ZERO)
    if total == 0:
        return [ZERO for _ in shares]
    unit = unit_of(currency)
    exact = [amount * share / total for share in shares]
    whole = [floor(each / unit) * unit for each in exact]
    order = sorted(range(len(shares)), key=lambda place: (whole[place] - exact[place], place))
    for place in order[: int((amount - sum(whole, ZERO)) / unit)]:
        whole[place] += unit
    return whole


def unit_of(currency: str) -> Fraction:
    return Fraction(1, 10 ** DIGITS_OF_CURRENCY[currency])


def money(amount: Fraction, currency: str, mode: str = "HALF_UP") -> Fraction:
    """R1.7: to the currency's digits."""
    cent = unit_of(currency)
    return round_to_integer(amount / cent, mode) * cent
