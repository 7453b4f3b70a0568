"""Add-ons: what is sold once, for a flat price, by quantities, or both (R10.1, R10.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from ratel.core.band import Bands
from ratel.core.bill import PricedQuantity, PurchasedRate, PurchaseWorkings
from ratel.core.errors import Mistakes
from ratel.core.money import ONE, ZERO, Rounding, amount_text, exact, exponent, round_amount, text_from_decimal
from ratel.core.plan import fit_amount
from ratel.core.quantity import Quantity
from ratel.core.rating.quote import price_quantity


@dataclass(frozen=True, slots=True)
class AddOnRate:
    """The price of quantities of one unit.

    Attributes:
        quantity_min: the least that a first purchase may be of; None for any.
        quantity_max: the most that one purchase may be of; None for any.
        increment: what every quantity must be a multiple of; None for any.
        display_per_increment: whether its price is shown per increment.

    Raises:
        Invalid: with all mistakes: limits that are not above zero or contradict each other, a price per increment where
            the minimum is not the increment, above 1.
    """

    unit: str
    bands: Bands
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None
    increment: Decimal | None = None
    display_per_increment: bool = False

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        for field in ("quantity_min", "quantity_max", "increment"):
            value = getattr(self, field)
            if value is not None and value <= ZERO:
                mistakes.add(field, "NOT_POSITIVE", "must be greater than 0")
        if self.quantity_min and self.quantity_max and self.quantity_max < self.quantity_min:
            mistakes.add("quantity_max", "MAXIMUM_BELOW_MINIMUM", "must not be below quantity_min")
        increment = self.increment or ZERO
        if self.display_per_increment and not (increment > ONE and increment == self.quantity_min):
            message = "must be false unless quantity_min is the increment, and above 1"
            mistakes.add("display_per_increment", "INCREMENT_NOT_MINIMUM", message)
        mistakes.check()


@dataclass(frozen=True, slots=True)
class AddOn:
    """What can be bought once.

    Attributes:
        flat_price: of every purchase; None for none.
        setup_fee: of a purchase by who has no active one; None for none.
        rates: each of another unit.
        trial_days: how long a purchase is free at first.
        grace_days: how much longer it may still be cancelled for nothing.

    Raises:
        Invalid: with all mistakes: an unknown currency, amounts with too many digits, two rates of one unit, neither
            a flat price nor a rate.
    """

    id: str
    product_id: str
    name: str
    currency: str
    flat_price: Decimal | None = None
    setup_fee: Decimal | None = None
    rates: tuple[AddOnRate, ...] = ()
    trial_days: int = 0
    grace_days: int = 0

    def __post_init__(self) -> None:
        mistakes = Mistakes()
        with mistakes.under("currency"):
            exponent(self.currency)
        if not mistakes:
            for field in ("flat_price", "setup_fee"):
                object.__setattr__(self, field, fit_amount(mistakes, field, getattr(self, field), self.currency))
        units = [rate.unit for rate in self.rates]
        for index, unit in enumerate(units):
            if unit in units[:index]:
                mistakes.add(f"rates[{index}].unit", "UNIT_TWICE", "must differ from the units of the rates before it")
        if self.flat_price is None and not self.rates:
            mistakes.add("rates", "PRICE_MISSING", "must not be empty without a flat price")
        mistakes.check()


Quantities: TypeAlias = Mapping[str, Decimal]
"""By unit."""


def check_quantities(add_on: AddOn, quantities: Quantities, *, is_further: bool) -> None:
    """Check that quantities can be bought together.

    Args:
        add_on: what is bought.
        quantities: by unit.
        is_further: whether the account has an active purchase, so that minimums do not bind (R10.2).

    Raises:
        Invalid: with all mistakes, at paths such as ``quantities["user"]``.
    """
    mistakes = Mistakes()
    rates = {rate.unit: rate for rate in add_on.rates}
    for unit, quantity in sorted(quantities.items()):
        with mistakes.under(f'quantities["{unit}"]'):
            if unit not in rates:
                own = Mistakes()
                own.add("", "UNIT_UNKNOWN", f"must be of a unit of the add-on: {', '.join(rates) or 'it has none'}")
                own.check()
            _check_quantity(rates[unit], quantity, is_further=is_further)
    if not quantities and add_on.flat_price is None:
        mistakes.add("quantities", "QUANTITY_MISSING", "must not be empty: the add-on has no flat price")
    mistakes.check()


@exact
def _check_quantity(rate: AddOnRate, quantity: Decimal, *, is_further: bool) -> None:
    mistakes = Mistakes()
    if quantity <= ZERO:
        mistakes.add("", "NOT_POSITIVE", "must be greater than 0")
    elif rate.quantity_min is not None and quantity < rate.quantity_min and not is_further:
        mistakes.add("", "QUANTITY_BELOW_MINIMUM", f"must be at least {text_from_decimal(rate.quantity_min)}")
    if rate.quantity_max is not None and quantity > rate.quantity_max:
        mistakes.add("", "QUANTITY_ABOVE_MAXIMUM", f"must be at most {text_from_decimal(rate.quantity_max)}")
    if rate.increment is not None and quantity % rate.increment:
        increment = text_from_decimal(rate.increment)
        mistakes.add("", "QUANTITY_OFF_INCREMENT", f"must be a multiple of {increment}")
    mistakes.check()


@exact
def price_quantities(add_on: AddOn, quantities: Quantities) -> PurchaseWorkings:
    """Return what quantities of an add-on come to: its flat price once, and each rate (R10.2)."""
    rates = tuple(
        PurchasedRate(rate.unit, rate.bands.cumulative, _priced(rate, quantities[rate.unit]))
        for rate in add_on.rates
        if rate.unit in quantities
    )
    return PurchaseWorkings(add_on.flat_price, rates)


def _priced(rate: AddOnRate, quantity: Decimal) -> PricedQuantity:
    return price_quantity(Quantity(quantity), ONE, Rounding.NONE, rate.bands)


@exact
def display_prices(add_on: AddOn) -> list[str]:
    """Return what people read of the rates that are sold by increments, such as ``5.00 per 5 users`` (R10.3)."""
    shown = []
    for rate in add_on.rates:
        if rate.display_per_increment and rate.increment is not None:
            amount = round_amount(rate.bands.amount(rate.increment), add_on.currency)
            shown.append(f"{amount_text(amount, add_on.currency)} per {text_from_decimal(rate.increment)} {rate.unit}")
    return shown
