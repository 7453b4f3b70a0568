"""R10: one-time purchases of add-ons."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction

from tests.naive.bands import price
from tests.naive.debts import AddOn, Purchase, Rate
from tests.naive.exact import ZERO, money

Quantities = Mapping[str, Fraction]


def mistakes(add_on: AddOn, quantities: Quantities, *, is_further: bool = False) -> list[str]:
    """R10.1, R10.2: each purchase by itself, but the minimum binds only the first one while it is active."""
    found = []
    for rate in add_on.rates:
        quantity = quantities.get(rate.unit, ZERO)
        if rate.minimum is not None and quantity < rate.minimum and not is_further:
            found.append(f"{rate.unit}: below the minimum")
        if rate.maximum is not None and quantity > rate.maximum:
            found.append(f"{rate.unit}: above the maximum")
        if rate.increment is not None and (quantity / rate.increment).denominator != 1:
            found.append(f"{rate.unit}: off the increment")
    return found


def purchase_price(add_on: AddOn, quantities: Quantities) -> Fraction:
    """R10.2: flat price and rates add; keep pricing tier with volume is ``cumulative = false``."""
    exact = add_on.flat or ZERO
    for rate in add_on.rates:
        exact += price(rate.bands, quantities.get(rate.unit, ZERO), cumulative=rate.cumulative)
    return money(exact, add_on.currency)


def price_per_increment(rate: Rate, currency: str) -> tuple[Fraction, Fraction]:
    """R10.3: for display, so much for so many; needs minimum = increment > 1."""
    assert rate.display_per_increment
    assert rate.minimum is not None
    assert rate.minimum == rate.increment
    return money(price(rate.bands, rate.minimum, cumulative=rate.cumulative), currency), rate.minimum


def setup_fee(add_on: AddOn, purchases: Sequence[Purchase], of: Purchase) -> Fraction | None:
    """R10.2: if the account has no active purchase of the add-on; buying again after cancelling pays it again."""
    earlier = [each for each in purchases if each.add_on == add_on.id and (each.time, each.id) < (of.time, of.id)]
    return None if any(each.cancelled > of.time for each in earlier) else add_on.setup


def due_time(add_on: AddOn, of: Purchase) -> datetime | None:
    """R10.2: when trial and grace days are over; cancelling before charges nothing."""
    due = of.time + add_on.trial + add_on.grace
    return due if of.cancelled >= due else None
