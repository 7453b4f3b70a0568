"""Splitting an amount by shares, so that the parts add up to it to the smallest unit of the currency (R1.7)."""

from collections.abc import Sequence
from decimal import Decimal

from ratel.core.money import ONE, ZERO, exact, exponent


@exact
def allocate(amount: Decimal, shares: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Split a rounded amount by shares: largest remainder first, ties to the earlier share.

    Args:
        amount: with at most the currency's digits, of either sign.
        shares: their sum is not negative.
        currency: gives the smallest unit.

    Returns:
        A part for each share, with exactly the currency's digits; all are zero where there is nothing to share by.
    """
    step = ONE.scaleb(-exponent(currency))
    total = sum(shares, ZERO)
    if not total:
        return [ZERO * step for _ in shares]
    whole = total * step
    steps = [_floor(amount * share, whole) for share in shares]
    rests = [amount * share - count * whole for share, count in zip(shares, steps, strict=True)]
    left = amount.scaleb(exponent(currency)) - sum(steps, ZERO)
    for place in sorted(range(len(shares)), key=lambda place: (-rests[place], place))[: int(left)]:
        steps[place] += 1
    return [count * step for count in steps]


def _floor(numerator: Decimal, denominator: Decimal) -> Decimal:
    whole, rest = divmod(numerator, denominator)  # toward zero
    return whole - 1 if rest < 0 else whole
